#pragma once

/// @file
/// Torch's tensors as the library's views.

#include <torch/extension.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/data/groups.hpp"

namespace maestro_torch {

inline void check_tensor(const torch::Tensor& tensor, const char* name, std::int64_t dimensions) {
  TORCH_CHECK_VALUE(tensor.scalar_type() == torch::kFloat32, name, " is ", tensor.scalar_type(), ", expected float32");
  TORCH_CHECK_VALUE(tensor.dim() == dimensions, name, " has ", tensor.dim(), " dimensions, expected ", dimensions);
  TORCH_CHECK_VALUE(tensor.is_contiguous(), name, " is not contiguous");
}

inline maestro::MatrixView<const float> rows_of(const torch::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), static_cast<std::size_t>(tensor.size(0)),
          static_cast<std::size_t>(tensor.size(1))};
}

inline std::span<float> values_of(torch::Tensor& tensor) {
  return {tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

inline torch::Tensor tensor_of(const maestro::Matrix<float>& matrix) {
  torch::Tensor tensor =
      torch::empty({static_cast<std::int64_t>(matrix.rows()), static_cast<std::int64_t>(matrix.cols())});
  std::copy(matrix.flat().begin(), matrix.flat().end(), tensor.mutable_data_ptr<float>());
  return tensor;
}

inline maestro::Groups groups_of(const std::vector<std::int64_t>& sizes, std::size_t rows) {
  std::vector<std::size_t> all;
  std::size_t sum = 0;
  for (const std::int64_t size : sizes) {
    TORCH_CHECK_VALUE(size >= 0, "group_sizes holds ", size);
    all.push_back(static_cast<std::size_t>(size));
    sum += all.back();
  }
  TORCH_CHECK_VALUE(sum == rows, "group_sizes add up to ", sum, ", but there are ", rows, " responses");
  return maestro::Groups::from_sizes(all);
}

}  // namespace maestro_torch
