#pragma once

/// @file
/// Owning storage on 64-byte boundaries: `AlignedVector` and the row-major `Matrix`.

#include <cstddef>
#include <new>
#include <span>
#include <vector>

#include "maestro/core/views.hpp"

namespace maestro {

/// AlignedAllocator allocates on 64-byte boundaries, so that vectorized sums do not depend on where a buffer happens to
/// lie.
template <class T>
struct AlignedAllocator {
  using value_type = T;
  static constexpr std::size_t alignment = 64;

  AlignedAllocator() = default;
  template <class U>
  constexpr AlignedAllocator(const AlignedAllocator<U>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) {
    if (count > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_array_new_length();
    return static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{alignment}));
  }
  void deallocate(T* pointer, std::size_t) noexcept { ::operator delete (pointer, std::align_val_t{alignment}); }

  template <class U>
  friend constexpr bool operator==(const AlignedAllocator&, const AlignedAllocator<U>&) noexcept {
    return true;
  }
};

/// AlignedVector is a std::vector whose values begin on a 64-byte boundary.
template <class T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

/// Matrix owns a row-major rows x cols matrix, contiguous and 64-byte aligned. `resize` allocates only if the new size
/// exceeds the capacity, so a workspace that is resized every step stops allocating.
template <class T>
class Matrix {
 public:
  Matrix() = default;
  Matrix(std::size_t rows, std::size_t cols, T value = T{}) : values_(rows * cols, value), rows_(rows), cols_(cols) {}

  /// Sets the shape. The values are unspecified afterwards.
  void resize(std::size_t rows, std::size_t cols) {
    values_.resize(rows * cols);
    rows_ = rows;
    cols_ = cols;
  }
  /// Sets the shape and gives every element the same value.
  void assign(std::size_t rows, std::size_t cols, T value) {
    values_.assign(rows * cols, value);
    rows_ = rows;
    cols_ = cols;
  }

  T& operator()(std::size_t row, std::size_t col) { return values_[row * cols_ + col]; }
  const T& operator()(std::size_t row, std::size_t col) const { return values_[row * cols_ + col]; }
  std::span<T> row(std::size_t row) { return {values_.data() + row * cols_, cols_}; }
  std::span<const T> row(std::size_t row) const { return {values_.data() + row * cols_, cols_}; }

  MatrixView<T> view() { return {values_.data(), rows_, cols_}; }
  MatrixView<const T> view() const { return {values_.data(), rows_, cols_}; }
  operator MatrixView<T>() { return view(); }
  operator MatrixView<const T>() const { return view(); }

  std::span<T> flat() { return values_; }
  std::span<const T> flat() const { return values_; }
  T* data() { return values_.data(); }
  const T* data() const { return values_.data(); }
  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return cols_; }
  bool empty() const { return values_.empty(); }

  friend bool operator==(const Matrix&, const Matrix&) = default;

 private:
  AlignedVector<T> values_;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

}  // namespace maestro
