#pragma once

/// @file
/// The execution policy with which Thrust runs on a stream of the device and reuses its scratch memory.

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

/// DeviceScratch is an allocator for Thrust's scratch memory. It reuses blocks of device memory and frees them in its
/// destructor alone. It is for one stream: the order of the stream makes it safe to reuse a block while the last kernel
/// that uses it still runs.
class DeviceScratch {
 public:
  using value_type = char;

  /// Gives the smallest free block that is large enough. If there is none, it allocates a new block, whose size is a
  /// power of two and at least 4096 bytes.
  /// @throws CudaError if there is not enough memory.
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
  /// Marks a block as free; the memory stays allocated.
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

/// DevicePolicy makes Thrust's execution policy for a stream. Only algorithms that return a value to the host wait.
/// Reuse the object, since it owns the scratch memory.
class DevicePolicy {
 public:
  /// @param stream  must outlive the policy and its work.
  explicit DevicePolicy(cudaStream_t stream) : stream_(stream) {}
  DevicePolicy(const DevicePolicy&) = delete;
  DevicePolicy& operator=(const DevicePolicy&) = delete;

  /// Gives the policy that Thrust's algorithms take; it refers to this object.
  auto get() { return thrust::cuda::par_nosync(scratch_).on(stream_); }

 private:
  cudaStream_t stream_;
  DeviceScratch scratch_;
};

}  // namespace maestro::gpu
