#pragma once

/// @file
/// The choice of prompts for a step. Every epoch is a new permutation of the data, drawn from the seed.

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/random.hpp"
#include "maestro/data/prompt.hpp"

namespace maestro {

namespace detail {

/// Refuses two prompts of one row. Their draws would be related, and whatever goes by rows would take them for one.
/// @throws BadArgument naming the first such prompt and the one before it.
inline void require_own_rows(std::span<const Prompt> data) {
  std::unordered_map<std::int64_t, std::size_t> seen;
  seen.reserve(data.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    const auto [first, added] = seen.emplace(data[i].row, i);
    if (added) continue;
    throw BadArgument("training data: prompts " + std::to_string(first->second) + " and " + std::to_string(i) +
                      " both have row " + std::to_string(data[i].row) + "; number them: prompts[i].row = i");
  }
}

}  // namespace detail

/// PromptOrder gives the prompts of each step. The position in the data depends only on the step, so a resumed run
/// needs no state for it.
class PromptOrder {
 public:
  /// Takes a view of the data, which must outlive the object.
  /// @throws BadArgument if there are no prompts, if two have the same row, or if prompts_per_step is 0.
  PromptOrder(std::span<const Prompt> data, std::size_t prompts_per_step, std::uint64_t seed)
      : data_(data), prompts_per_step_(prompts_per_step), seed_(seed) {
    require(!data.empty(), "training data: there are no prompts");
    require(prompts_per_step > 0, "training data: prompts_per_step must be at least 1");
    detail::require_own_rows(data);
  }

  /// Gives the prompts of 0-based step `step`. A batch may cross the end of an epoch.
  std::vector<Prompt> batch(std::uint32_t step) {
    std::vector<Prompt> prompts;
    prompts.reserve(prompts_per_step_);
    const std::uint64_t first = std::uint64_t{step} * prompts_per_step_;
    for (std::uint64_t i = first; i < first + prompts_per_step_; ++i) {
      prompts.push_back(data_[permutation(i / data_.size())[i % data_.size()]]);
    }
    return prompts;
  }

  /// Gives the number of passes over the data after `steps` steps.
  double epoch(std::uint32_t steps) const {
    return static_cast<double>(steps) * static_cast<double>(prompts_per_step_) / static_cast<double>(data_.size());
  }

 private:
  const std::vector<std::uint32_t>& permutation(std::uint64_t epoch) {
    if (order_.empty() || epoch != epoch_) {
      order_.resize(data_.size());
      std::iota(order_.begin(), order_.end(), 0u);
      shuffle(std::span<std::uint32_t>(order_),
              RandomStream({.seed = seed_, .purpose = Purpose::shuffle, .step = static_cast<std::uint32_t>(epoch)}));
      epoch_ = epoch;
    }
    return order_;
  }

  std::span<const Prompt> data_;
  std::size_t prompts_per_step_;
  std::uint64_t seed_;
  std::uint64_t epoch_ = 0;
  std::vector<std::uint32_t> order_;
};

}  // namespace maestro
