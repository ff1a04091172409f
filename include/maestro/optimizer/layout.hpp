#pragma once

/// @file
/// Loops over the trainable parameters of a part, which the optimizers share. Neutral.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/hash.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/parameter.hpp"

namespace maestro {

/// Calls f(view) for every parameter that has gradients; frozen ones (empty gradients) are skipped.
/// @throws BadArgument naming the parameter whose gradients and values differ in length.
template <Visitable P, class F>
void visit_trainable(P& part, F&& f) {
  part.visit([&](auto view) {
    if (view.gradients.empty()) return;
    if (view.gradients.size() != view.values.size()) {
      throw BadArgument("optimizer: parameter " + std::string(view.name) + " has " +
                        std::to_string(view.gradients.size()) + " gradients for " + std::to_string(view.values.size()) +
                        " values");
    }
    f(view);
  });
}

/// ParameterLayout holds the number of trainable values and a fingerprint of the parameters' names, lengths and order.
struct ParameterLayout {
  std::size_t values = 0;
  std::uint64_t fingerprint = fnv1a_start;  ///< of each name and its length in eight bytes, the lowest first

  void add(std::string_view name, std::size_t length) {
    char bytes[8];
    for (std::size_t b = 0; b < 8; ++b) bytes[b] = static_cast<char>(std::uint64_t{length} >> (8 * b));
    fingerprint = fnv1a({bytes, sizeof bytes}, fnv1a(name, fingerprint));
    values += length;
  }
};

/// Gives the layout of the trainable parameters of `part`.
template <Visitable P>
ParameterLayout layout_of(P& part) {
  ParameterLayout layout;
  visit_trainable(part, [&](const auto& view) { layout.add(view.name, view.values.size()); });
  return layout;
}

/// Calls f(begin, end) over fixed blocks of [0, count), in parallel.
template <class F>
void parallel_blocks(std::size_t count, F&& f) {
  constexpr std::size_t block = 16384;
  const std::size_t blocks = (count + block - 1) / block;
  parallel_for(blocks, [&](std::size_t b) {
    const std::size_t end = (b + 1) * block;
    f(b * block, end < count ? end : count);
  });
}

}  // namespace maestro
