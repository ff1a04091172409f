#pragma once

/// @file
/// Weight rules for RuleConductor: from the step, from the spread and correlation of the rewards, from a column of the
/// prompts.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "maestro/conductor/rule.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/core/platform.hpp"

namespace maestro {

namespace detail {

/// Gives the weight of reward k, or 1/K if no weights were given.
inline double given_weight(std::span<const float> given, std::size_t k, const RuleView& view) {
  if (given.empty()) return static_cast<double>(1.0f / static_cast<float>(view.rewards));
  if (given.size() == view.rewards) return static_cast<double>(given[k]);
  throw BadArgument("conductor: " + std::to_string(given.size()) + " weights for " + std::to_string(view.rewards) +
                    " rewards");
}

}  // namespace detail

/// Schedule is a rule whose weights change linearly over the trainer's steps: `from` (K) until first_step, `to` (K)
/// from last_step on. They may have any sign and sum; an empty vector means 1/K each.
struct Schedule {
  static constexpr bool as_given = true;

  std::vector<float> from{};
  std::vector<float> to{};
  std::uint32_t first_step = 0;
  std::uint32_t last_step = 100;  ///< above first_step

  /// @throws BadArgument if there are other than K weights.
  void weights(const RuleView& view, double* w) const {
    const std::uint32_t passed = std::clamp(view.step, first_step, last_step) - first_step;
    const double share = static_cast<double>(passed) / static_cast<double>(last_step - first_step);
    for (std::size_t k = 0; k < view.rewards; ++k) {
      w[k] = (1.0 - share) * detail::given_weight(from, k, view) + share * detail::given_weight(to, k, view);
    }
  }
};

/// @throws BadArgument naming a weight that is not finite, or steps in the wrong order.
inline void check(const Schedule& rule) {
  detail::check_weights(rule.from, "Schedule: from");
  detail::check_weights(rule.to, "Schedule: to");
  if (rule.last_step > rule.first_step) return;
  throw BadArgument("Schedule: last_step is " + std::to_string(rule.last_step) + ", expected above first_step, " +
                    std::to_string(rule.first_step));
}

/// Saw is a rule that weights each reward by its coefficient of variation in the group: w_k = CV_k / sum_l CV_l, CV_k =
/// sigma_k / (|mu_k| + delta), ddof 1. A group whose rewards are all constant gets equal weights. Source: SAW (arXiv
/// 2606.07705), for rewards of at least 0; the absolute value is ours.
struct Saw {
  double delta = 1e-8;  ///< at least 0

  MAESTRO_HD void weights(const RuleView& view, double* w) const {
    for (std::size_t k = 0; k < view.rewards; ++k) {
      const double sigma = view.group[k].std_dev(1);
      w[k] = sigma > 0.0 ? sigma / (std::fabs(view.group[k].mean) + delta) : 0.0;
    }
  }
};

/// Lists the options of Saw; see OptionList.
template <OptionsOf<Saw> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "saw_delta", .help = "Of --conductor saw: added to the mean that a deviation is divided by"}, s.delta);
}

/// @throws BadArgument unless delta is finite and above 0, or 0.
inline void check(const Saw& rule) {
  require(std::isfinite(rule.delta) && rule.delta >= 0.0, "Saw: delta must be finite and at least 0");
}

/// Contrast is a rule that weights each reward by how much it differs between responses: w_k = base_k c_k / sum_l
/// base_l c_l, with c_k the mean over the batch's groups of the group's standard deviation of r_k (ddof 1). It is for
/// rewards of one scale, such as [0, 1]. The weights are equal if every base_k c_k is 0. Source: in the manner of POW3R
/// (arXiv 2605.20164), whose exact rule may differ.
struct Contrast {
  std::vector<float> base{};  ///< (K) at least 0; none given means 1/K each

  /// @throws BadArgument if there are other than K weights.
  void weights(const RuleView& view, double* w) const {
    for (std::size_t k = 0; k < view.rewards; ++k) w[k] = detail::given_weight(base, k, view) * view.std_dev[k];
  }
};

/// @throws BadArgument naming a weight that is below 0 or not finite.
inline void check(const Contrast& rule) {
  detail::check_weights(rule.base, "Contrast: base");
  for (const float weight : rule.base) require(weight >= 0.0f, "Contrast: base weights must be at least 0");
}

/// Consensus is a rule that weights each reward by how far the other rewards agree with it:
///
///     w_k ~ max(0, sum_(l != k) C_kl / sqrt(sum_(l, m != k) C_lm)) + floor,
///
/// the correlation of reward k with the sum of the others' z-scores, C the mean correlations inside the groups of the
/// step. A reward is compared with the others only, so it cannot confirm itself. A bias that most rewards share is
/// reinforced, though. There is one set of weights per step; it is equal if no rewards agree, and for K = 1.
/// Source: ours; the leave-one-out consensus of crowdsourcing.
struct Consensus {
  static constexpr bool reads_correlation = true;

  double floor = 1e-3;  ///< what a reward that none agrees with keeps, at least 0

  void weights(const RuleView& view, double* w) const {
    const std::size_t count = view.rewards;
    for (std::size_t k = 0; k < count; ++k) {
      double with_others = 0.0;
      double among_others = 0.0;
      for (std::size_t l = 0; l < count; ++l) {
        if (l == k) continue;
        with_others += view.correlation[k * count + l];
        for (std::size_t m = 0; m < count; ++m) among_others += m == k ? 0.0 : view.correlation[l * count + m];
      }
      w[k] = floor;
      if (with_others > 0.0 && among_others > 0.0) w[k] += with_others / std::sqrt(among_others);
    }
  }
};

/// @throws BadArgument unless the floor is finite and at least 0.
inline void check(const Consensus& rule) {
  require(rule.floor >= 0.0 && std::isfinite(rule.floor), "Consensus: floor must be finite and at least 0");
}

/// PromptWeights is a rule that reads the weights of each prompt, of any sign and sum, from a table by its data row. A
/// Conductor's `weights` gives the mean over the prompts of the last decision, or over the table before the first.
struct PromptWeights {
  static constexpr bool as_given = true;

  Matrix<float> table{};  ///< (prompts x K), row i that of Prompt::row i; io/prompt_weights.hpp reads it

  /// @throws BadArgument naming a data row outside the table, or another number of rewards.
  void weights(const RuleView& view, double* w) const {
    if (table.cols() != view.rewards || view.row >= static_cast<std::int64_t>(table.rows())) {
      throw BadArgument("PromptWeights: the table has " + std::to_string(table.rows()) + " prompts of " +
                        std::to_string(table.cols()) + " weights, asked for data row " + std::to_string(view.row) +
                        " of " + std::to_string(view.rewards));
    }
    const std::size_t first = view.row < 0 ? 0 : static_cast<std::size_t>(view.row);
    const std::size_t last = view.row < 0 ? table.rows() : first + 1;
    for (std::size_t k = 0; k < view.rewards; ++k) {
      w[k] = 0.0;
      for (std::size_t i = first; i < last; ++i) w[k] += static_cast<double>(table(i, k));
      w[k] /= static_cast<double>(last - first);
    }
  }
};

/// @throws BadArgument naming a weight that is not finite, a prompt without any weight but 0, or an empty table.
inline void check(const PromptWeights& rule) {
  require(!rule.table.empty(), "PromptWeights: the table is empty");
  for (std::size_t i = 0; i < rule.table.rows(); ++i) {
    const std::string name = "PromptWeights: data row " + std::to_string(i);
    detail::check_weights(rule.table.row(i), name);
    const auto row = rule.table.row(i);
    if (std::all_of(row.begin(), row.end(), [](float w) { return w == 0.0f; })) {
      throw BadArgument(name + ": every weight is 0, so that nothing would judge its responses");
    }
  }
}

}  // namespace maestro
