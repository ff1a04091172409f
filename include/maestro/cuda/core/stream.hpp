#pragma once

/// @file
/// The types here own a CUDA stream and device memory. This header needs the toolkit's headers, but not its compiler.

#include <cuda_runtime_api.h>

#include <cstddef>
#include <utility>

#include "maestro/cuda/core/check.hpp"

namespace maestro::gpu {

/// Stream is a CUDA stream that does not wait for the legacy default stream. Its destructor does not wait for its work.
class Stream {
 public:
  /// Makes a stream on the current device.
  /// @throws CudaError if there is no device.
  Stream() { MAESTRO_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~Stream() {
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  cudaStream_t get() const { return stream_; }
  /// Waits until everything on the stream is done.
  /// @throws CudaError if that failed.
  void wait() const { MAESTRO_CUDA(cudaStreamSynchronize(stream_)); }

 private:
  cudaStream_t stream_ = nullptr;
};

/// DeviceBuffer is device memory for values of T that never shrinks. If it grows, its contents are lost. The memory is
/// not initialized.
template <class T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), capacity_(std::exchange(other.capacity_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~DeviceBuffer() {
    if (data_ != nullptr) cudaFree(data_);
  }

  /// Makes room for `count` values, and returns whether the storage moved. Only if it moves does the call allocate, and
  /// wait for the device.
  /// @throws CudaError if there is not enough memory; BadArgument if the size overflows.
  bool reserve(std::size_t count) {
    if (count <= capacity_) return false;
    if (count > static_cast<std::size_t>(-1) / sizeof(T)) throw BadArgument("device buffer: the size overflows");
    if (data_ != nullptr) MAESTRO_CUDA(cudaFree(std::exchange(data_, nullptr)));
    capacity_ = 0;
    MAESTRO_CUDA(cudaMalloc(reinterpret_cast<void**>(&data_), count * sizeof(T)));
    capacity_ = count;
    return true;
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t capacity() const { return capacity_; }

 private:
  T* data_ = nullptr;
  std::size_t capacity_ = 0;
};

}  // namespace maestro::gpu
