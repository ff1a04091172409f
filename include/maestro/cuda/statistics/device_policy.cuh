#pragma once

/// @file
/// The policy with which Thrust runs on a stream of the device, with scratch that is kept.

#if !defined(__CUDACC__)
#error "maestro/cuda/statistics/device_policy.cuh holds kernels: compile this file with nvcc (name it .cu)"
#endif

#include <thrust/system/cuda/execution_policy.h>

#include <bit>
#include <cstddef>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/cuda/core/stream.hpp"

namespace maestro::gpu {

/// An allocator for Thrust's scratch: blocks of device memory that are handed out again and freed by the destructor
/// alone. For one stream, whose order makes it safe to hand a block out while its last use still runs.
class DeviceScratch {
 public:
  using value_type = char;

  /// The smallest free block that is large enough, else a new one of a power of two: only then does it allocate.
  /// @throws CudaError where memory is out.
  char* allocate(std::ptrdiff_t bytes) {
    const auto wanted = static_cast<std::size_t>(bytes);
    Block* best = nullptr;
    for (Block& block : blocks_) {
      if (block.used || block.memory.capacity() < wanted) continue;
      if (best == nullptr || block.memory.capacity() < best->memory.capacity()) best = &block;
    }
    if (best == nullptr) {
      constexpr std::size_t least = 4096;
      DeviceBuffer<char> memory;
      memory.reserve(std::bit_ceil(wanted < least ? least : wanted));
      blocks_.push_back({std::move(memory)});
      best = &blocks_.back();
    }
    best->used = true;
    return best->memory.data();
  }
  void deallocate(char* memory, std::size_t) {
    for (Block& block : blocks_) {
      if (block.memory.data() == memory) block.used = false;
    }
  }

 private:
  struct Block {
    DeviceBuffer<char> memory;
    bool used = false;
  };
  std::vector<Block> blocks_;
};

/// Thrust's policy for a stream: nothing waits but what returns a value to the host. Keep it, for it keeps the scratch.
class DevicePolicy {
 public:
  /// @param stream  must outlive the policy and its work.
  explicit DevicePolicy(cudaStream_t stream) : stream_(stream) {}
  DevicePolicy(const DevicePolicy&) = delete;
  DevicePolicy& operator=(const DevicePolicy&) = delete;

  /// What algorithms take; it refers to this object.
  auto get() { return thrust::cuda::par_nosync(scratch_).on(stream_); }

 private:
  cudaStream_t stream_;
  DeviceScratch scratch_;
};

}  // namespace maestro::gpu
