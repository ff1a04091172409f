#pragma once

/// @file
/// The one place that says which GEMM backend the benchmarks of maestro use.

#include "maestro/gemm/native.hpp"

namespace maestro::bench {

using Backend = maestro::NativeBackend;
inline constexpr const char* backend_name = "native kernels";

}  // namespace maestro::bench
