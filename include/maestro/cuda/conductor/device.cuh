#pragma once

/// @file
/// The Trainer's Conductor on a device.

#if !defined(__CUDACC__)
#error "maestro/cuda/conductor/device.cuh holds kernels: compile this file with nvcc (name it .cu)"
#endif

#include <memory>

#include "maestro/conductor/learned_options.hpp"
#include "maestro/cuda/conductor/device_conductor.hpp"
#include "maestro/cuda/core/stream_executor.cuh"

namespace maestro::gpu {

/// Makes a learned Conductor on the current device, with a stream of its own. S is the type of hidden states and
/// activations on the device (see Head). Call it from a function in a .cu file; the rest of the program, compiled
/// without nvcc, needs only the function's declaration:
///
///     gpu::DeviceConductor<LinearNetwork<5>> on_device(const LearnedConductorOptions& options) {
///       return gpu::make_conductor<LinearNetwork<5>>(options);
///     }
///
/// @throws CudaError if there is no device; BadArgument naming an option outside its domain.
template <class Network, class S = float>
DeviceConductor<Network> make_conductor(const LearnedConductorOptions& options = {}) {
  return DeviceConductor<Network>(std::make_unique<ConductorOn<OwnStreamExecutor, Network, S>>(options));
}

}  // namespace maestro::gpu
