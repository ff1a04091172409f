#pragma once

/// @file
/// This header includes everything that runs on a CUDA device. It needs the toolkit's headers. The headers with kernels
/// are included only if nvcc compiles the file. Link maestro::cuda.

#include "maestro/cuda/conductor/decide.hpp"
#include "maestro/cuda/conductor/dense.hpp"
#include "maestro/cuda/conductor/device_conductor.hpp"
#include "maestro/cuda/conductor/head.hpp"
#include "maestro/cuda/conductor/learned.hpp"
#include "maestro/cuda/conductor/state.hpp"
#include "maestro/cuda/conductor/update.hpp"
#include "maestro/cuda/core/check.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/cuda/core/group_walk.hpp"
#include "maestro/cuda/core/host_executor.hpp"
#include "maestro/cuda/core/matmul.hpp"
#include "maestro/cuda/core/stream.hpp"
#include "maestro/cuda/core/team.hpp"
#include "maestro/cuda/objective/kl_penalty.hpp"
#include "maestro/cuda/objective/loss.hpp"
#include "maestro/cuda/objective/responses.hpp"
#include "maestro/cuda/scalarization/estimate.hpp"
#include "maestro/cuda/scalarization/group_tiling.hpp"
#include "maestro/cuda/scalarization/reward_batch.hpp"
#include "maestro/cuda/scalarization/scalarizer.hpp"
#include "maestro/cuda/scalarization/team_group.hpp"
#include "maestro/cuda/statistics/group_statistics.hpp"

#if defined(__CUDACC__)
#include "maestro/cuda/conductor/device.cuh"
#include "maestro/cuda/core/stream_executor.cuh"
#include "maestro/cuda/statistics/device_policy.cuh"
#include "maestro/cuda/statistics/sorted_ranks.hpp"
#endif
