#pragma once

/// @file
/// The choice of prompts for a step. Every epoch is a new permutation of the data, drawn from the seed.

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/random.hpp"
#include "maestro/data/prompt.hpp"

namespace maestro {

/// PromptOrder gives the prompts of each step. The position in the data depends only on the step, so a resumed run
/// needs no state for it.
class PromptOrder {
 public:
  /// Takes a view of the data, which must outlive the object.
  /// @throws BadArgument if there are no prompts, or if prompts_per_step is 0.
  PromptOrder(std::span<const Prompt> data, std::size_t prompts_per_step, std::uint64_t seed)
      : data_(data), prompts_per_step_(prompts_per_step), seed_(seed) {
    require(!data.empty(), "training data: there are no prompts");
    require(prompts_per_step > 0, "training data: prompts_per_step must be at least 1");
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
