// The smallest user: a product by each backend, a random draw, and, of the installed package, the whole library.

#include <cstdio>
#include <string>
#include <vector>

#include "maestro/core/version.hpp"
#include "maestro/gemm/eigen.hpp"
#if defined(CONSUMER_BLAS)
#include "maestro/gemm/cblas.hpp"
#endif
#if defined(CONSUMER_WHOLE)
#include "maestro/maestro.hpp"
#endif
#if defined(CONSUMER_TOKENIZERS)
#include "maestro/tokenizers.hpp"
#endif
#if defined(CONSUMER_CUDA)
#include "maestro/cuda.hpp"
double sum_of_halves(std::size_t count);  // kernel.cu
#endif
#if defined(_OPENMP)
#error "maestro::maestro brings OpenMP"
#endif

template <class Backend>
float dot() {
  const std::vector<float> a = {1, 2, 3};
  float result = 0;
  const maestro::MatrixView<const float> row(a.data(), 1, 3);
  maestro::gemm<Backend>(maestro::Transpose::no, maestro::Transpose::yes, 1, row, row, 0,
                         maestro::MatrixView<float>(&result, 1, 1));
  return result;
}

int main() {
  float result = dot<maestro::EigenBackend>();
#if defined(CONSUMER_BLAS)
  result += dot<maestro::CblasBackend>() - 14;
#endif
#if defined(CONSUMER_TOKENIZERS)
  if (maestro::to_nfc("e\u0301") != "\u00e9" || !maestro::Pattern("\\p{L}").found_in("\u00e9")) return 1;
#endif
#if defined(CONSUMER_CUDA)
  if (std::string reason; !maestro::gpu::has_device(&reason)) {
    std::printf("no device: %s\n", reason.c_str());
  } else if (sum_of_halves(1000) != 500) {
    return 1;
  }
#endif
  std::printf("maestro %d.%d.%d: %g\n", maestro::version.major, maestro::version.minor, maestro::version.patch,
              static_cast<double>(result));
  return result == 14 ? 0 : 1;
}
