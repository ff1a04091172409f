#pragma once

/// @file
/// The one place that says which GEMM backend the benchmarks of maestro use.

#include "maestro/core/gemm.hpp"

namespace maestro::bench {

using Backend = maestro::EigenBackend;
inline constexpr const char* backend_name = "Eigen";

}  // namespace maestro::bench
