#pragma once

/// @file
/// The functions here turn errors of CUDA and cuBLAS calls into exceptions. They need the toolkit's headers, but not
/// its compiler.

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <string>

#include "maestro/core/error.hpp"

namespace maestro::gpu {

/// CudaError reports that a call of the CUDA runtime or of a CUDA library failed.
class CudaError : public Error {
 public:
  using Error::Error;
};

/// Checks the status that the call named `call` returned.
/// @throws CudaError naming the call, the error and what the error means, unless the call succeeded.
inline void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // clears the error, so that the check of a later launch does not find it
  throw CudaError(std::string(call) + ": " + cudaGetErrorName(status) + ", " + cudaGetErrorString(status));
}
inline void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw CudaError(std::string(call) + ": " + cublasLtGetStatusName(status) + ", " + cublasLtGetStatusString(status));
}

/// Tells whether this machine has a device that programs can use; if not, it sets `reason` to the cause. It never
/// throws CudaError.
inline bool has_device(std::string* reason = nullptr) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) cudaGetLastError();  // clears the error, so that no later check finds it
  if (status == cudaSuccess && count > 0) return true;
  if (reason != nullptr) *reason = status == cudaSuccess ? "no CUDA device" : cudaGetErrorString(status);
  return false;
}

}  // namespace maestro::gpu

/// Makes a CUDA or cuBLAS call, and throws CudaError if the call does not succeed.
#define MAESTRO_CUDA(call) ::maestro::gpu::check((call), #call)
