#pragma once

/// @file
/// Conductors that do not learn: equal, given and random weights. Missing rewards do not change the weights; the
/// scalarization skips what is missing.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "maestro/conductor/conductor.hpp"
#include "maestro/conductor/decide.hpp"
#include "maestro/conductor/emphasis.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/core/random.hpp"

namespace maestro {

namespace detail {

template <std::size_t K>
constexpr std::array<float, K> filled(float value) {
  std::array<float, K> result{};
  for (float& x : result) x = value;
  return result;
}

}  // namespace detail

/// FixedWeights is a Conductor that gives the same weights, of any sign and sum, to every response. It draws no action.
template <std::size_t K>
class FixedWeights {
 public:
  static constexpr std::size_t actions = K;
  static constexpr bool stateless = true;

  /// @throws BadArgument naming a weight that is not finite.
  explicit FixedWeights(const std::array<float, K>& weights) : weights_(weights) {
    detail::check_weights(weights_, "FixedWeights");
  }
  Decision decide(const StepView& view) { return same_for_all(view, weights_); }
  void weights(MatrixView<const float>, MatrixView<float> out) const { fill_rows(weights_, out); }

 private:
  std::array<float, K> weights_;
};

/// EqualWeights gives 1/K to every reward, so that rows lie on the simplex. TRL's equal weights are 1 each. They give
/// the same advantages up to the epsilon of a normalizer, and K times larger ones if nothing normalizes.
template <std::size_t K>
class EqualWeights : public FixedWeights<K> {
 public:
  EqualWeights() : FixedWeights<K>(detail::filled<K>(1.0f / static_cast<float>(K))) {}
};

/// RandomSharing says which responses share a random draw.
enum class RandomSharing : std::uint8_t { per_response, per_prompt };

/// RandomKind says what is drawn.
enum class RandomKind : std::uint8_t {
  simplex,          ///< weights, uniform on the simplex
  one_hot,          ///< one reward that applies, each equally likely
  blended_uniform,  ///< such a reward too, which gets c on top of (1 - c) / K for every reward
};

/// RandomWeightsOptions holds the options of RandomWeights.
struct RandomWeightsOptions {
  RandomSharing sharing = RandomSharing::per_response;
  RandomKind kind = RandomKind::blended_uniform;
  double strength = 0.5;  ///< c of blended_uniform, in (0, 1]
};

/// The names of the kinds of sharing and of draws, in the enums' order.
inline constexpr std::array<std::string_view, 2> random_sharing_names{"per_response", "per_prompt"};
inline constexpr std::array<std::string_view, 3> random_kind_names{"simplex", "one_hot", "blended_uniform"};

/// Lists the options of random weights; see OptionList.
template <OptionsOf<RandomWeightsOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "random_sharing",
     .help = "Which responses share a draw of --conductor random: {}",
     .values = random_sharing_names},
    s.sharing);
  f({.name = "random_kind", .help = "What --conductor random draws: {}", .values = random_kind_names}, s.kind);
  f({.name = "random_strength", .help = "Share of the drawn reward in blended_uniform, in (0, 1]"}, s.strength);
}

/// RandomWeights is a Conductor of random weights, the baseline for a learned one. By default the weights are
/// distributed as those of an untrained learned Conductor. Draws are keyed by (seed, step, data row, response_number of
/// the response or of its group's first). `weights` gives their mean, 1/K.
template <std::size_t K>
class RandomWeights {
 public:
  static constexpr std::size_t actions = K;
  static constexpr bool stateless = true;

  /// @throws BadArgument unless the strength lies in (0, 1].
  explicit RandomWeights(const RandomWeightsOptions& options = {}) : options_(options) {
    require(options.strength > 0.0 && options.strength <= 1.0, "RandomWeights: strength must lie in (0, 1]");
  }

  Decision decide(const StepView& view) {
    check_step_view(view, K);
    Decision decision;
    const bool by_action = options_.kind != RandomKind::simplex;
    decision.weights.assign(view.groups.rows(), K, 0.0f);
    if (by_action) {
      decision.actions.resize(view.groups.rows());
      decision.probabilities.resize(view.groups.rows(), K);
    }
    for (std::size_t g = 0; g < view.groups.count(); ++g) {
      const std::size_t first = view.groups.begin(g);
      for (std::size_t i = first; i < view.groups.end(g); ++i) {
        const bool own = options_.sharing == RandomSharing::per_response;
        const RandomStream stream = draw_stream(view, Purpose::random_weights, g, own ? i - first : 0);
        if (by_action) {
          draw_action(view, own ? i : first, i, stream, decision);
        } else {
          draw_simplex(stream, decision.weights.row(i));
        }
      }
    }
    if (by_action) {
      const bool blended = options_.kind == RandomKind::blended_uniform;
      apply_emphasis(blended ? Emphasis::blended_uniform : Emphasis::one_hot, options_.strength, decision);
    } else {
      decision.base = decision.weights;
      decision.mean_weights.assign(view.groups.rows(), K, 1.0f / static_cast<float>(K));
    }
    return decision;
  }
  void weights(MatrixView<const float>, MatrixView<float> out) const {
    fill_rows(detail::filled<K>(1.0f / static_cast<float>(K)), out);
  }

 private:
  /// Draws uniformly from the simplex, by normalized exponential draws.
  static void draw_simplex(const RandomStream& stream, std::span<float> out) {
    std::array<double, K> draws;
    double sum = 0.0;
    for (std::size_t k = 0; k < K; ++k) {
      draws[k] = -std::log1p(-stream.uniform(static_cast<std::uint32_t>(k)));
      sum += draws[k];
    }
    for (std::size_t k = 0; k < K; ++k) {
      out[k] = sum > 0.0 ? static_cast<float>(draws[k] / sum) : 1.0f / static_cast<float>(K);
    }
  }
  static void draw_action(const StepView& view, std::size_t source, std::size_t i, const RandomStream& stream,
                          Decision& decision) {
    const std::span<float> q = decision.probabilities.row(i);
    std::size_t applicable = 0;
    for (std::size_t k = 0; k < K; ++k) applicable += std::isnan(view.rewards(source, k)) ? 0u : 1u;
    for (std::size_t k = 0; k < K; ++k) {
      const bool drawable = applicable == 0 || !std::isnan(view.rewards(source, k));
      q[k] = drawable ? 1.0f / static_cast<float>(applicable == 0 ? K : applicable) : 0.0f;
    }
    decision.actions[i] = static_cast<std::int32_t>(sample_index(q.data(), K, stream.uniform(0)));
  }

  RandomWeightsOptions options_;
};

}  // namespace maestro
