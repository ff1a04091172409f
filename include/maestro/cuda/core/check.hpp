#pragma once

/// @file
/// CUDA and cuBLAS calls that throw. Needs the toolkit's headers, not its compiler.

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

/// Checks the status of a call.
/// @throws CudaError naming the call, the error and what it means.
inline void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // forgotten, so that the check of a later launch does not meet it
  throw CudaError(std::string(call) + ": " + cudaGetErrorName(status) + ", " + cudaGetErrorString(status));
}
inline void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw CudaError(std::string(call) + ": " + cublasLtGetStatusName(status) + ", " + cublasLtGetStatusString(status));
}

/// Tells whether this machine has a device that programs can use; if not, `reason` says why. Never throws.
inline bool has_device(std::string* reason = nullptr) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) cudaGetLastError();  // forgotten, so that no later check meets it
  if (status == cudaSuccess && count > 0) return true;
  if (reason != nullptr) *reason = status == cudaSuccess ? "no CUDA device" : cudaGetErrorString(status);
  return false;
}

}  // namespace maestro::gpu

/// Throws CudaError if the given call does not succeed.
#define MAESTRO_CUDA(call) ::maestro::gpu::check((call), #call)
