#pragma once

/// @file
/// The importance-sampling correction for responses that were drawn by another policy than the trained one: by a server
/// with other kernels or older weights. Neutral.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/option.hpp"

namespace maestro {

/// ImportanceCorrection says what the surrogate of each token is multiplied by. The ratio is rho_t = exp(log pi_old -
/// log mu) of a token, or rho, the product over the tokens of a response. pi_old is the trained policy before the
/// step's first update; mu is the policy that drew the response.
enum class ImportanceCorrection {
  none,               ///< nothing
  token_truncate,     ///< min(rho_t, cap)
  token_mask,         ///< rho_t if floor <= rho_t <= cap, else 0
  sequence_truncate,  ///< min(rho, cap), the same for all tokens of a response
  sequence_mask,      ///< rho if floor <= rho <= cap, else 0: no gradient from the response
};
/// The names of the corrections, in the enum's order.
inline constexpr std::array<std::string_view, 5> importance_correction_names{"none", "token_truncate", "token_mask",
                                                                             "sequence_truncate", "sequence_mask"};

/// ImportanceOptions chooses a correction. The cap's default is TRL's. IcePop is token_mask with floor 0.5 and cap 5.
struct ImportanceOptions {
  ImportanceCorrection correction = ImportanceCorrection::none;
  double cap = 3.0;    ///< above 0
  double floor = 0.0;  ///< of the masks; at least 0 and below the cap
};

/// Lists the options of the correction; see OptionList.
template <OptionsOf<ImportanceOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "importance_correction",
     .help = "What corrects for responses of a server, whose policy is a little or some updates off: {}",
     .values = importance_correction_names,
     .recorded = Recorded::unless_default},
    s.correction);
  f({.name = "importance_cap",
     .help = "Ratio of the policies at which the correction truncates or masks",
     .recorded = Recorded::unless_default},
    s.cap);
  f({.name = "importance_floor",
     .help = "Ratio below which the masks leave a token or response out",
     .recorded = Recorded::unless_default},
    s.floor);
}

/// Refuses options outside their domains.
/// @throws BadArgument naming the option.
inline void check(const ImportanceOptions& options) {
  require(std::isfinite(options.cap) && options.cap > 0.0, "importance correction: the cap must be finite and above 0");
  require(options.floor >= 0.0 && options.floor < options.cap,
          "importance correction: the floor must be at least 0 and below the cap");
}

/// ImportanceFigures holds statistics of the ratios before the correction cuts them. There is one ratio per token, or
/// at sequence level one per response.
struct ImportanceFigures {
  double sum = 0.0;
  double min = std::numeric_limits<double>::infinity();
  double max = 0.0;
  std::size_t count = 0;
  std::size_t cut = 0;  ///< truncated or masked

  double mean() const { return count > 0 ? sum / static_cast<double>(count) : 1.0; }
  double cut_share() const { return count > 0 ? static_cast<double>(cut) / static_cast<double>(count) : 0.0; }
  void add(double ratio, bool was_cut) {
    sum += ratio;
    min = std::min(min, ratio);
    max = std::max(max, ratio);
    ++count;
    cut += was_cut ? 1 : 0;
  }
};

/// Gives the figures of two parts of a batch taken together.
inline ImportanceFigures merge_importance(const ImportanceFigures& a, const ImportanceFigures& b) {
  return {.sum = a.sum + b.sum,
          .min = std::min(a.min, b.min),
          .max = std::max(a.max, b.max),
          .count = a.count + b.count,
          .cut = a.cut + b.cut};
}

/// Gives the weight of a ratio under the chosen ImportanceCorrection, in [0, cap]; 1 for `none`.
inline double importance_weight(const ImportanceOptions& options, double ratio) {
  switch (options.correction) {
    case ImportanceCorrection::none:
      return 1.0;
    case ImportanceCorrection::token_truncate:
    case ImportanceCorrection::sequence_truncate:
      return std::min(ratio, options.cap);
    case ImportanceCorrection::token_mask:
    case ImportanceCorrection::sequence_mask:
      break;
  }
  return ratio >= options.floor && ratio <= options.cap ? ratio : 0.0;
}

/// Computes the weights of a micro-batch's tokens. They are constants of the loss: no gradient goes through them.
/// @param learner  (t) log pi_old of the tokens: the trained policy before the step's first update.
/// @param sampler  (t) log mu of the same tokens: the policy that drew them.
/// @param offsets  (b + 1) token offsets; may start anywhere.
/// @param weights  (t) overwritten.
/// @param figures  added to.
/// Deterministic. O(t).
/// @throws BadArgument for sizes that do not fit; BadData if a ratio is NaN.
/// Source: truncated importance sampling, Yao et al. 2025 ("Your efficient RL framework secretly brings you off-policy
/// RL training"); token masks, IcePop (Ling team 2025); sequence masks, Liu et al. 2025 ("When speed kills stability");
/// TRL's vllm_importance_sampling_mode, whose four modes these are. pi_old as the proximal policy of stale responses:
/// AReaL (arXiv 2505.24298).
inline void importance_weights(const ImportanceOptions& options, std::span<const float> learner,
                               std::span<const float> sampler, std::span<const std::size_t> offsets,
                               std::span<float> weights, ImportanceFigures& figures) {
  const std::size_t tokens = offsets.back() - offsets.front();
  require(learner.size() == tokens && sampler.size() == tokens && weights.size() == tokens,
          "importance correction: offsets, log-probs and weights do not fit");
  const bool of_sequences = options.correction == ImportanceCorrection::sequence_truncate ||
                            options.correction == ImportanceCorrection::sequence_mask;
  const auto weigh = [&](double log_ratio) {
    if (std::isnan(log_ratio)) throw BadData("importance correction: a log-prob is no number");
    const double ratio = std::exp(log_ratio);
    const double weight = importance_weight(options, ratio);
    figures.add(ratio, weight != ratio);
    return static_cast<float>(weight);
  };
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
    const std::size_t begin = offsets[i] - offsets.front();
    const std::size_t end = offsets[i + 1] - offsets.front();
    double sum = 0.0;
    for (std::size_t t = begin; t < end; ++t) {
      const double log_ratio = static_cast<double>(learner[t]) - static_cast<double>(sampler[t]);
      sum += log_ratio;
      if (!of_sequences) weights[t] = weigh(log_ratio);
    }
    if (!of_sequences || begin == end) continue;
    const float weight = weigh(sum);
    std::fill(weights.begin() + static_cast<std::ptrdiff_t>(begin), weights.begin() + static_cast<std::ptrdiff_t>(end),
              weight);
  }
}

}  // namespace maestro
