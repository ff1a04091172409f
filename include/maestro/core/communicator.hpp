#pragma once

/// @file
/// The ranks that share one batch. Every batch-wide figure (a mean, a count, a gradient) goes through a Communicator;
/// `SingleProcess` is the case of one rank. A group never spans two ranks.

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

namespace maestro {

/// RankBytes holds one array of bytes from each rank, in the order of the ranks.
using RankBytes = std::vector<std::vector<std::byte>>;

/// A Communicator lets ranks share figures. All ranks make the same calls in the same order. The result of a collective
/// is the same to the bit on every rank, and in every run with the same ranks and the same library behind it. The order
/// of a sum is up to that library.
///
/// - `rank()`: this rank's number, from 0; `size()`: the number of ranks.
/// - `all_reduce_sum(values)`: replaces every value by its sum over the ranks.
/// - `all_gather(own)`: gives the bytes of all ranks; each rank may have a different number of bytes.
/// - `barrier()`: returns once every rank has called it.
///
/// If another rank has failed, a collective throws instead of waiting for it, as far as it can know.
template <class C>
concept Communicator = std::move_constructible<C> &&
    requires(C& c, std::span<double> doubles, std::span<float> floats, std::span<const std::byte> bytes) {
  { c.rank() } -> std::convertible_to<std::size_t>;
  { c.size() } -> std::convertible_to<std::size_t>;
  c.all_reduce_sum(doubles);
  c.all_reduce_sum(floats);
  { c.all_gather(bytes) } -> std::same_as<RankBytes>;
  c.barrier();
};

/// SingleProcess is the Communicator of one process: every collective is the identity.
struct SingleProcess {
  static constexpr std::size_t rank() { return 0; }
  static constexpr std::size_t size() { return 1; }
  static constexpr void all_reduce_sum(std::span<double>) {}
  static constexpr void all_reduce_sum(std::span<float>) {}
  static RankBytes all_gather(std::span<const std::byte> own) {
    return {std::vector<std::byte>(own.begin(), own.end())};
  }
  static constexpr void barrier() {}
};

}  // namespace maestro
