#pragma once

/// @file
/// Where torch is now: its current device and stream. MAESTRO_TORCH_CUDA says that the device path is compiled in.

#include <torch/extension.h>

#if defined(MAESTRO_TORCH_CUDA)
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#endif

#include "device_side.hpp"

namespace maestro_torch {

#if defined(MAESTRO_TORCH_CUDA)

inline constexpr bool built_for_cuda = true;

/// Makes the device of a tensor the current one, and tells torch's current stream there.
class CurrentPlace {
 public:
  explicit CurrentPlace(const torch::Tensor& tensor) : guard_(tensor.device()) {}
  DevicePlace place() const {
    const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream();
    return {stream.device_index(), stream.stream()};
  }

 private:
  c10::cuda::CUDAGuard guard_;
};

#else

inline constexpr bool built_for_cuda = false;

class CurrentPlace {
 public:
  explicit CurrentPlace(const torch::Tensor&) {}
  DevicePlace place() const { return {}; }
};

#endif

}  // namespace maestro_torch
