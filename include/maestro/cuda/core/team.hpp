#pragma once

/// @file
/// A team is the threads that work together on one piece of a batch. A kernel's body is a function over a team, so that
/// the same body runs as a block of threads on the device and as a plain loop on the host. This header compiles without
/// nvcc and without the CUDA toolkit.

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"

namespace maestro::gpu {

/// A Team is the threads, its members, that work together on one piece of a batch. Every member must reach every
/// barrier.
///
/// - `rank()` gives a member's number in [0, `size()`).
/// - `sync()` is a barrier, after which every member sees what the others wrote.
/// - `reduce(value, op)` combines the members' values by op, in a fixed order, and gives the result to every member. It
///   is a barrier too.
/// - `sum_each<Most>(values, count, sums)` writes sums[v] = the sum of the members' values[v] for v < count <= Most;
///   `sums` lies in the shared scratch. It is a barrier too.
/// - `shared()` gives the team's scratch, aligned to 16 bytes.
template <class T>
concept Team = requires(const T& team, double value, double (*op)(double, double), const float* values, float* sums) {
  { team.rank() } -> std::convertible_to<std::size_t>;
  { team.size() } -> std::convertible_to<std::size_t>;
  team.sync();
  { team.reduce(value, op) } -> std::same_as<double>;
  team.template sum_each<4>(values, std::size_t{}, sums);
  { team.shared() } -> std::same_as<unsigned char*>;
};

/// SerialTeam is the host's team, of one member.
class SerialTeam {
 public:
  MAESTRO_HD explicit SerialTeam(unsigned char* shared) : shared_(shared) {}

  MAESTRO_HD std::size_t rank() const { return 0; }
  MAESTRO_HD std::size_t size() const { return 1; }
  MAESTRO_HD void sync() const {}
  template <class T, class Op>
  MAESTRO_HD T reduce(T value, const Op&) const {
    return value;
  }
  template <std::size_t Most>
  MAESTRO_HD void sum_each(const float* values, std::size_t count, float* sums) const {
    for (std::size_t v = 0; v < count; ++v) sums[v] = values[v];
  }
  MAESTRO_HD unsigned char* shared() const { return shared_; }

 private:
  unsigned char* shared_;
};

/// Calls f(i) for every i in [0, count), each on one member. It has no barrier.
template <Team T, class F>
MAESTRO_HD void for_each(const T& team, std::size_t count, const F& f) {
  for (std::size_t i = team.rank(); i < count; i += team.size()) f(i);
}

/// Add is the operation a + b of reduce().
struct Add {
  template <class T>
  MAESTRO_HD T operator()(const T& a, const T& b) const {
    return a + b;
  }
};
/// Larger is the operation max(a, b) of reduce().
struct Larger {
  template <class T>
  MAESTRO_HD T operator()(const T& a, const T& b) const {
    return a < b ? b : a;
  }
};
/// Smaller is the operation min(a, b) of reduce().
struct Smaller {
  template <class T>
  MAESTRO_HD T operator()(const T& a, const T& b) const {
    return b < a ? b : a;
  }
};

/// Computes the moments of get(0), ..., get(count - 1) by the whole team and gives them to every member. As with
/// moments_of(), NaN is skipped and equal values give exactly 0 as `squares`; but the values are summed in another
/// order, which depends on the team's size. It has up to four barriers.
template <Team T, class Get>
MAESTRO_HD Moments team_moments(const T& team, std::size_t count, const Get& get) {
  constexpr std::uint64_t none = ~std::uint64_t{0};
  std::uint64_t own_first = none;
  double present = 0.0;
  for (std::size_t i = team.rank(); i < count; i += team.size()) {
    const auto value = static_cast<double>(get(i));
    if (value != value) continue;
    if (own_first == none) own_first = i;
    present += 1.0;
  }
  const std::uint64_t first = team.reduce(own_first, Smaller{});
  if (first == none) return {};
  const double anchor = static_cast<double>(get(static_cast<std::size_t>(first)));
  double sum = 0.0;
  for (std::size_t i = team.rank(); i < count; i += team.size()) {
    const double difference = static_cast<double>(get(i)) - anchor;
    if (difference == difference) sum += difference;
  }
  const double number = team.reduce(present, Add{});
  Moments result;
  result.count = static_cast<std::size_t>(number);
  result.mean = anchor + team.reduce(sum, Add{}) / number;
  double squares = 0.0;
  for (std::size_t i = team.rank(); i < count; i += team.size()) {
    const double deviation = static_cast<double>(get(i)) - result.mean;
    if (deviation == deviation) squares = multiply_add(deviation, deviation, squares);
  }
  result.squares = team.reduce(squares, Add{});
  return result;
}

}  // namespace maestro::gpu
