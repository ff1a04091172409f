#pragma once

/// @file
/// The global norm of the gradients, and clipping by it. Neutral.

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/optimizer/layout.hpp"

namespace maestro {

/// Computes the sum of squares in double, over fixed blocks and lanes, so that the bits are the same for any number of
/// threads. It allocates nothing.
template <class T>
double sum_of_squares(std::span<const T> values) {
  constexpr std::size_t blocks = 64;
  constexpr std::size_t lanes = 8;
  const std::size_t count = values.size();
  const auto block_sum = [&](std::size_t b) {
    std::array<double, lanes> sums{};
    std::size_t i = count * b / blocks;
    const std::size_t end = count * (b + 1) / blocks;
    for (; i + lanes <= end; i += lanes) {
      for (std::size_t l = 0; l < lanes; ++l) {
        const auto value = static_cast<double>(values[i + l]);
        sums[l] += value * value;
      }
    }
    for (std::size_t l = 0; i < end; ++i, ++l)
      sums[l] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    double sum = 0.0;
    for (const double lane : sums) sum += lane;
    return sum;
  };
  std::array<double, blocks> partial{};
  parallel_for(blocks, count / blocks, [&](std::size_t b) { partial[b] = block_sum(b); });
  double sum = 0.0;
  for (const double p : partial) sum += p;
  return sum;
}

/// Computes the sum of the squares of all gradients together, in double.
/// @throws BadData naming the first parameter whose gradients are not all finite.
template <Visitable P>
double squared_norm(P& part) {
  double sum = 0.0;
  visit_trainable(part, [&](const auto& view) {
    using T = typename std::remove_cvref_t<decltype(view)>::scalar_type;
    const double squares = sum_of_squares(std::span<const T>(view.gradients));
    if (!std::isfinite(squares)) {
      throw BadData("optimizer: the gradient of parameter " + std::string(view.name) +
                    " is not finite; lower the learning rate or check the loss");
    }
    sum += squares;
  });
  return sum;
}

/// Computes the Euclidean norm of all gradients together, in double.
/// @throws BadData naming the first parameter whose gradients are not all finite.
template <Visitable P>
double global_norm(P& part) {
  return std::sqrt(squared_norm(part));
}

/// Scales all gradients by max_norm / (norm + 1e-6) if that is below 1 (torch.nn.utils.clip_grad_norm_).
/// @param norm the norm of the gradients, which the caller has computed.
/// @param max_norm  above 0; infinity leaves the gradients unchanged.
/// @throws BadArgument for another max_norm.
template <Visitable P>
void clip_known_norm(P& part, double norm, double max_norm) {
  require(max_norm > 0.0, "optimizer: max_norm must be above 0; infinity measures without clipping");
  const double scale = max_norm / (norm + 1e-6);
  if (!(scale < 1.0)) return;
  visit_trainable(part, [&](const auto& view) {
    using T = typename std::remove_cvref_t<decltype(view)>::scalar_type;
    parallel_blocks(view.gradients.size(), [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) view.gradients[i] *= static_cast<T>(scale);
    });
  });
}

/// Scales all gradients by max_norm / (norm + 1e-6) if that is below 1 (torch.nn.utils.clip_grad_norm_).
/// @param max_norm  above 0; with infinity the norm is only computed and checked.
/// @return the norm before clipping.
/// @throws BadArgument for another max_norm; BadData naming the parameter whose gradients are not all finite.
template <Visitable P>
double clip_global_norm(P& part, double max_norm) {
  require(max_norm > 0.0, "optimizer: max_norm must be above 0; infinity measures without clipping");
  const double norm = global_norm(part);
  clip_known_norm(part, norm, max_norm);
  return norm;
}

}  // namespace maestro
