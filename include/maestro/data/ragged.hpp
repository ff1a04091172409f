#pragma once

/// @file
/// Rows of different lengths, packed one after another without padding.

#include <cstddef>
#include <span>
#include <vector>

namespace maestro {

/// Ragged holds packed rows of T. `offsets` has rows + 1 entries, of which the first is 0.
template <class T>
class Ragged {
 public:
  std::size_t rows() const { return offsets_.size() - 1; }
  /// Gives the number of values in all rows together.
  std::size_t size() const { return values_.size(); }
  std::size_t length(std::size_t row) const { return offsets_[row + 1] - offsets_[row]; }
  std::size_t offset(std::size_t row) const { return offsets_[row]; }
  std::span<T> row(std::size_t row) { return {values_.data() + offsets_[row], length(row)}; }
  std::span<const T> row(std::size_t row) const { return {values_.data() + offsets_[row], length(row)}; }
  std::span<const std::size_t> offsets() const { return offsets_; }
  std::span<T> flat() { return values_; }
  std::span<const T> flat() const { return values_; }

  void push_row(std::span<const T> row) {
    values_.insert(values_.end(), row.begin(), row.end());
    offsets_.push_back(values_.size());
  }
  void clear() {
    values_.clear();
    offsets_.assign(1, 0);
  }
  void reserve(std::size_t rows, std::size_t values) {
    offsets_.reserve(rows + 1);
    values_.reserve(values);
  }

  friend bool operator==(const Ragged&, const Ragged&) = default;

 private:
  std::vector<T> values_;
  std::vector<std::size_t> offsets_{0};
};

}  // namespace maestro
