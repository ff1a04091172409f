#include "maestro/gemm/native.hpp"

#if defined(MAESTRO_CORRECT)
using Backend = maestro::NativeBackend;
#else
using Backend = maestro::CblasBackend;
#endif

void product(maestro::MatrixView<const float> a, maestro::MatrixView<float> c);
void product(maestro::MatrixView<const float> a, maestro::MatrixView<float> c) {
  maestro::gemm<Backend>(maestro::Transpose::no, maestro::Transpose::yes, 1, a, a, 0, c);
}
