#pragma once

/// @file
/// The ranks that share one batch. Every batch-wide figure (a mean, a count, a gradient) goes through a Communicator;
/// `SingleProcess` is the case of one rank. A group never spans two ranks.

#include <concepts>
#include <cstddef>
#include <span>

namespace maestro {

/// A Communicator sums over ranks, in rank order, so that results do not depend on timing.
template <class C>
concept Communicator = std::move_constructible<C> &&
    requires(C& c, std::span<double> doubles, std::span<float> floats) {
  { c.rank() } -> std::convertible_to<std::size_t>;
  { c.size() } -> std::convertible_to<std::size_t>;
  c.all_reduce_sum(doubles);
  c.all_reduce_sum(floats);
  c.barrier();
};

/// SingleProcess is the Communicator of one process: every collective is the identity.
struct SingleProcess {
  static constexpr std::size_t rank() { return 0; }
  static constexpr std::size_t size() { return 1; }
  static constexpr void all_reduce_sum(std::span<double>) {}
  static constexpr void all_reduce_sum(std::span<float>) {}
  static constexpr void barrier() {}
};

}  // namespace maestro
