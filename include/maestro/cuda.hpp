#pragma once

/// @file
/// What runs on a CUDA device, and the same bodies on the host. Needs the toolkit's headers; the kernels come along
/// where nvcc compiles. Link maestro::cuda.

#include "maestro/cuda/core/check.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/cuda/core/host_executor.hpp"
#include "maestro/cuda/core/matmul.hpp"
#include "maestro/cuda/core/stream.hpp"
#include "maestro/cuda/core/team.hpp"

#if defined(__CUDACC__)
#include "maestro/cuda/core/stream_executor.cuh"
#endif
