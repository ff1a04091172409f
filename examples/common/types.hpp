#pragma once

/// @file
/// The compile-time parts that the example programs share.

#if defined(MAESTRO_EXAMPLES_BLAS)
#include "maestro/gemm/cblas.hpp"
#endif
#include "maestro/gemm/native.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/text/byte_tokenizer.hpp"

namespace maestro::examples {

#if defined(MAESTRO_EXAMPLES_BLAS)
using Backend = CblasBackend;
inline constexpr const char* backend_name = "OpenBLAS";
#else
using Backend = NativeBackend;
inline constexpr const char* backend_name = "native kernels";
#endif
using Tokenizer = ByteTokenizer;
using Policy = TransformerPolicy<float, Backend, Tokenizer>;

}  // namespace maestro::examples
