#pragma once

/// @file
/// cuBLASLt computes the products of a layer. This header needs the toolkit's headers and libcublasLt, but not nvcc.

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "maestro/core/bfloat16.hpp"
#include "maestro/cuda/core/check.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/stream.hpp"

namespace maestro::gpu {

/// Matmul computes the products of a layer, with the bias or its gradient fused into them. Floats are multiplied in
/// single precision, not in TF32. The algorithm of a shape is chosen once and kept with those of 63 other shapes; the
/// workspace of 32 MiB is allocated at the first product. Results are identical from run to run on one device.
class Matmul {
 public:
  Matmul() { MAESTRO_CUDA(cublasLtCreate(&handle_)); }
  Matmul(const Matmul&) = delete;
  Matmul& operator=(const Matmul&) = delete;
  ~Matmul() {
    for (const Plan& plan : plans_) plan.destroy();
    cublasLtDestroy(handle_);
  }

  /// Tells whether cuBLASLt is used for a product: rows, inputs and outputs are at least 32, and pointers and rows are
  /// aligned to 16 bytes. For smaller layers the kernels of cuda/conductor/dense.hpp read the same bytes in one pass.
  template <class S>
  static bool suits(const LayerProduct<S>& p) {
    constexpr std::size_t least = 32;
    const auto aligned = [](auto address) { return address % alignment == 0; };
    const auto address = [](const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); };
    return p.rows >= least && p.inputs >= least && p.outputs >= least && aligned(p.inputs * sizeof(S)) &&
           aligned(p.outputs * sizeof(S)) && aligned(address(p.x)) && aligned(address(p.weight)) &&
           aligned(address(p.y)) && aligned(address(p.bias)) && aligned(address(p.result));
  }

  /// Enqueues the product on `stream` and returns true, or does nothing and returns false if suits() is false.
  /// @throws CudaError naming the call that failed, or the shape for which cuBLASLt has no algorithm.
  template <class S>
  bool operator()(const LayerProduct<S>& p, cudaStream_t stream) {
    if (!suits(p)) return false;
    using Kind = typename LayerProduct<S>::Kind;
    Plan& plan = plan_of<S>(p);
    const void* a = p.kind == Kind::weights ? static_cast<const void*>(p.x) : static_cast<const void*>(p.weight);
    const void* b = p.kind == Kind::forward ? static_cast<const void*>(p.x) : static_cast<const void*>(p.y);
    if (p.kind != Kind::input) {
      MAESTRO_CUDA(
          cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p.bias, sizeof(p.bias)));
    }
    const float one = 1.0f;
    const float zero = 0.0f;
    MAESTRO_CUDA(cublasLtMatmul(handle_, plan.operation, &one, a, plan.a, b, plan.b, &zero, p.result, plan.d, p.result,
                                plan.d, &plan.algorithm, workspace_.data(), workspace_.capacity(), stream));
    return true;
  }

 private:
  static constexpr std::uint32_t alignment = 16;  // bytes, of pointers and rows: cuBLASLt's fast kernels load so many
  static constexpr std::size_t max_plans = 64;
  static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;

  /// Plan describes a product to cuBLASLt, which is column-major: it reads a row-major matrix as its transpose.
  struct Plan {
    int kind = 0;
    cudaDataType type = CUDA_R_32F;
    std::size_t rows = 0;
    std::size_t inputs = 0;
    std::size_t outputs = 0;
    cublasLtMatmulDesc_t operation = nullptr;
    cublasLtMatrixLayout_t a = nullptr;
    cublasLtMatrixLayout_t b = nullptr;
    cublasLtMatrixLayout_t d = nullptr;
    cublasLtMatmulAlgo_t algorithm{};

    void destroy() const {
      cublasLtMatrixLayoutDestroy(a);
      cublasLtMatrixLayoutDestroy(b);
      cublasLtMatrixLayoutDestroy(d);
      cublasLtMatmulDescDestroy(operation);
    }
  };

  template <class S>
  Plan& plan_of(const LayerProduct<S>& p) {
    static_assert(std::is_same_v<S, float> || std::is_same_v<S, Bfloat16>, "maestro: float or Bfloat16");
    constexpr cudaDataType type = std::is_same_v<S, float> ? CUDA_R_32F : CUDA_R_16BF;
    const int kind = static_cast<int>(p.kind);
    for (Plan& plan : plans_) {
      if (plan.kind == kind && plan.type == type && plan.rows == p.rows && plan.inputs == p.inputs &&
          plan.outputs == p.outputs) {
        return plan;
      }
    }
    workspace_.reserve(workspace_bytes);
    if (plans_.size() == max_plans) {  // the oldest goes, so that batches of ever new sizes do not fill the memory
      plans_.front().destroy();
      plans_.erase(plans_.begin());
    }
    plans_.push_back({.kind = kind, .type = type, .rows = p.rows, .inputs = p.inputs, .outputs = p.outputs});
    try {
      describe(plans_.back());
    } catch (...) {
      plans_.back().destroy();
      plans_.pop_back();
      throw;
    }
    return plans_.back();
  }

  void describe(Plan& plan) {
    const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
      MAESTRO_CUDA(cublasLtMatmulDescSetAttribute(plan.operation, attribute, &value, sizeof(value)));
    };
    const auto layout = [&](cublasLtMatrixLayout_t& to, cudaDataType type, std::size_t rows, std::size_t cols) {
      MAESTRO_CUDA(cublasLtMatrixLayoutCreate(&to, type, rows, cols, static_cast<std::int64_t>(rows)));
    };
    MAESTRO_CUDA(cublasLtMatmulDescCreate(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    const cublasOperation_t transposed = CUBLAS_OP_T;
    using Kind = LayerProduct<float>::Kind;
    switch (static_cast<Kind>(plan.kind)) {
      case Kind::forward:  // (out x rows) = (in x out)' (in x rows)
        set(CUBLASLT_MATMUL_DESC_TRANSA, transposed);
        set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
        layout(plan.a, plan.type, plan.inputs, plan.outputs);
        layout(plan.b, plan.type, plan.inputs, plan.rows);
        layout(plan.d, CUDA_R_32F, plan.outputs, plan.rows);
        break;
      case Kind::weights:  // (in x out) = (in x rows) (out x rows)'
        set(CUBLASLT_MATMUL_DESC_TRANSB, transposed);
        set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BGRADB);
        layout(plan.a, plan.type, plan.inputs, plan.rows);
        layout(plan.b, plan.type, plan.outputs, plan.rows);
        layout(plan.d, CUDA_R_32F, plan.inputs, plan.outputs);
        break;
      case Kind::input:  // (in x rows) = (in x out) (out x rows)
        layout(plan.a, plan.type, plan.inputs, plan.outputs);
        layout(plan.b, plan.type, plan.outputs, plan.rows);
        layout(plan.d, CUDA_R_32F, plan.inputs, plan.rows);
        break;
    }
    if (static_cast<Kind>(plan.kind) != Kind::input) {
      set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUDA_R_32F);
    }
    cublasLtMatmulPreference_t preference = nullptr;
    MAESTRO_CUDA(cublasLtMatmulPreferenceCreate(&preference));
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof(value));
    };
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment);
    prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment);
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle_, plan.operation, plan.a, plan.b, plan.d,
                                                                 plan.d, preference, 1, &found, &count);
    cublasLtMatmulPreferenceDestroy(preference);
    check(status, "cublasLtMatmulAlgoGetHeuristic");
    if (count == 0) {
      throw CudaError("cuBLASLt knows no algorithm for a layer of " + std::to_string(plan.inputs) + " inputs and " +
                      std::to_string(plan.outputs) + " outputs on " + std::to_string(plan.rows) + " rows");
    }
    plan.algorithm = found.algo;
  }

  cublasLtHandle_t handle_ = nullptr;
  std::vector<Plan> plans_;
  DeviceBuffer<unsigned char> workspace_;
};

}  // namespace maestro::gpu
