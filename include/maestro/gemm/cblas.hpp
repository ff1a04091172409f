#pragma once

/// @file
/// The cblas backend of gemm/gemm.hpp, by OpenBLAS or another library with cblas.h. Link the target maestro::blas.

#include <cblas.h>

#include <limits>

#include "maestro/core/parallel.hpp"
#include "maestro/gemm/gemm.hpp"

namespace maestro {

/// Gemm<CblasBackend> multiplies by one call of the linked library.
template <>
struct Gemm<CblasBackend> {
  template <class T>
  static void run(Transpose ta, Transpose tb, T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta,
                  MatrixView<T> c) {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "cblas multiplies float and double");
    match_threads();
    const auto op = [](Transpose t) { return t == Transpose::yes ? CblasTrans : CblasNoTrans; };
    const int k = narrow(ta == Transpose::no ? a.cols() : a.rows());
    const int lda = leading(a);
    const int ldb = leading(b);
    const int ldc = leading(MatrixView<const T>(c));
    if constexpr (std::is_same_v<T, float>) {
      cblas_sgemm(CblasRowMajor, op(ta), op(tb), narrow(c.rows()), narrow(c.cols()), k, alpha, a.data(), lda, b.data(),
                  ldb, beta, c.data(), ldc);
    } else {
      cblas_dgemm(CblasRowMajor, op(ta), op(tb), narrow(c.rows()), narrow(c.cols()), k, alpha, a.data(), lda, b.data(),
                  ldb, beta, c.data(), ldc);
    }
  }

 private:
  // OpenBLAS has threads of its own: it is told how many a loop here would use, once per calling thread and change.
  static void match_threads() {
#if defined(OPENBLAS_VERSION)
    thread_local int told = 0;
    const int wanted = in_parallel_loop() ? 1 : max_threads();
    if (told != wanted) openblas_set_num_threads(wanted);
    told = wanted;
#endif
  }
  static int narrow(std::size_t n) {
    if (n > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
      throw BadArgument("gemm: cblas takes sizes below 2^31");
    }
    return static_cast<int>(n);
  }
  template <class T>
  static int leading(MatrixView<const T> m) {
    return narrow(m.stride() > 0 ? m.stride() : 1);
  }
};

}  // namespace maestro
