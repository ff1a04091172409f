#pragma once

#include <cstddef>
#include <cstdint>

#include "maestro/core/buffer.hpp"
#include "maestro/core/random.hpp"

namespace maestro_test {

/// A matrix of standard normal numbers, the same for the same salt.
template <class T>
maestro::Matrix<T> noise(std::size_t rows, std::size_t cols, std::uint32_t salt) {
  maestro::Matrix<T> result(rows, cols);
  const maestro::RandomStream stream({.seed = salt});
  for (std::size_t i = 0; i < rows * cols; ++i) {
    result.data()[i] = static_cast<T>(stream.normal(static_cast<std::uint32_t>(i)));
  }
  return result;
}

}  // namespace maestro_test
