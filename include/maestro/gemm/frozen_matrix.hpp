#pragma once

/// @file
/// The right operand of a matrix product, in one of the forms in which frozen weights are stored.

#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>

#include "maestro/core/bfloat16.hpp"
#include "maestro/gemm/packed_matrix.hpp"
#include "maestro/gemm/quantized_matrix.hpp"

namespace maestro {

/// FrozenMatrix is a view of op(B) (k x n): packed in T, for float also in Bfloat16, or as quantized blocks. The form
/// is known at run time. Copying it copies no values.
template <class T>
class FrozenMatrix {
 public:
  FrozenMatrix() = default;
  FrozenMatrix(const PackedView<T>& view) : view_(view) {}
  FrozenMatrix(const PackedView<T, Bfloat16>& view) requires(std::is_same_v<T, float>) : view_(view) {}
  FrozenMatrix(const QuantizedView<T>& view) : view_(view) {}

  /// Calls f with the view of the form that it has, and gives the result of f.
  template <class F>
  decltype(auto) visit(F&& f) const {
    return std::visit(std::forward<F>(f), view_);
  }

  /// Gives k.
  std::size_t rows() const {
    return visit([](const auto& view) { return view.rows(); });
  }
  /// Gives n.
  std::size_t cols() const {
    return visit([](const auto& view) { return view.cols(); });
  }
  /// Gives columns [first, first + count). `first` must be a multiple of 16.
  FrozenMatrix middle_cols(std::size_t first, std::size_t count) const {
    return visit([&](const auto& view) { return FrozenMatrix(view.middle_cols(first, count)); });
  }
  /// Overwrites `out` (k) with a column of op(B).
  void copy_col(std::size_t col, std::span<T> out) const {
    visit([&](const auto& view) { view.copy_col(col, out); });
  }

 private:
  using Views = std::conditional_t<std::is_same_v<T, float>,
                                   std::variant<PackedView<T>, PackedView<T, Bfloat16>, QuantizedView<T>>,
                                   std::variant<PackedView<T>, QuantizedView<T>>>;
  Views view_;
};

}  // namespace maestro
