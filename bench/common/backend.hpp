#pragma once

/// @file
/// The GEMM backend of the benchmarks.

#include "maestro/core/gemm.hpp"

namespace maestro::bench {

using Backend = maestro::EigenBackend;

}  // namespace maestro::bench
