#pragma once

/// @file
/// A policy whose actions are floats. A small network computes the means of normal distributions, from which actions
/// are drawn.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/core/random.hpp"
#include "maestro/policy/categorical.hpp"
#include "maestro/policy/float_and_double.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/policy/sampler.hpp"
#include "maestro/policy/tanh_network.hpp"

namespace maestro {

/// GaussianPolicyOptions holds the options of a GaussianPolicy.
struct GaussianPolicyOptions {
  std::size_t features = 1;    ///< F, the length of Prompt::features; at least 1
  std::size_t width = 32;      ///< H, hidden units; at least 1
  std::size_t dimensions = 1;  ///< D, floats of one action; at least 1
  std::size_t steps = 1;       ///< T, actions of a response; at least 1
  double std_dev = 1.0;        ///< of every dimension, before training; positive and finite
  std::uint64_t seed = 0;      ///< of the initial weights
};

/// GaussianPolicy draws actions of D floats from normal distributions with diagonal covariance. A response is a plan of
/// T actions, all drawn given only the prompt: a_td ~ N(mu_td, sigma_d^2), mu = W2 tanh(W1 x + b1) + b2 (T x D), with x
/// = Prompt::features (F). log sigma (D) is learned and does not depend on the prompt. The weights are initialized as
/// those of MlpPolicy.
/// MlpPolicy.
///
/// log p of a step is sum_d log N(a_d; mu_d, sigma_d^2). Its entropy is sum_d (1/2 + 1/2 log 2 pi + log sigma_d) in
/// nats. A temperature tau replaces p by p^(1/tau), normalized, so sigma is multiplied by sqrt(tau). Greedy decoding
/// gives the means. max_completion_length cuts a plan. There are no prompt tokens and no texts. A draw is keyed by
/// seed, step, data row, response and its index t D + d.
///
/// The hidden state (H + D) is tanh(W1 x + b1) ++ the mean of (a - mu) / sigma over the steps of the response. It
/// depends on the response, but not on the scale of the actions. log_probs is thread-safe while nothing changes the
/// policy.
template <class T = float>
class GaussianPolicy : public detail::FloatAndDouble<GaussianPolicy<T>> {
 public:
  using scalar_type = T;

  /// Makes a policy with initial weights.
  /// @throws BadArgument naming the option outside its domain.
  explicit GaussianPolicy(const GaussianPolicyOptions& options)
      : options_(checked(options)),
        network_({.features = options.features, .width = options.width, .outputs = options.steps * options.dimensions},
                 options.seed),
        log_std_dev_(options.dimensions, static_cast<T>(std::log(options.std_dev))),
        log_std_dev_gradient_(options.dimensions, T(0)) {}

  std::size_t hidden_size() const { return options_.width + options_.dimensions; }
  const GaussianPolicyOptions& options() const { return options_; }
  /// Gives the means of the prompts' plans, (N x T D), which greedy decoding gives too.
  /// @throws BadArgument naming the data row whose features do not fit.
  Matrix<T> means(std::span<const Prompt> prompts) const {
    Pass pass;
    network_.forward(prompts, name, pass);
    return pass.outputs;
  }

  /// Refuses, before a run begins, prompts and options that generate would refuse.
  /// @throws BadArgument as generate.
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const {
    check_sampling(sampling);
    for (const Prompt& prompt : prompts) network_.check_prompt(prompt, name);
  }

  /// Draws G plans per prompt.
  /// @throws BadArgument naming the data row whose features do not fit, or for a sampling option that concerns tokens
  ///         or texts; BadData if the policy has diverged.
  Rollouts generate(std::span<const Prompt> prompts, const Sampling& sampling, const DrawKey& key) {
    check_sampling(sampling);
    Pass pass;
    network_.forward(prompts, name, pass);
    Rollouts result;
    result.prompts.assign(prompts.begin(), prompts.end());
    result.groups = Groups::uniform(prompts.size(), sampling.num_generations);
    result.temperature = sampling.temperature;
    for (std::size_t n = 0; n < prompts.size(); ++n) result.prompt_tokens.push_row({});
    const std::size_t length = std::min(options_.steps, sampling.max_completion_length);
    const std::vector<std::int32_t> tokens(length, no_token);
    for (std::size_t i = 0; i < result.groups.rows(); ++i) result.tokens.push_row(tokens);
    result.actions.resize(result.tokens.size(), options_.dimensions);
    result.finish.assign(result.size(), length == options_.steps ? Finish::stop : Finish::length);
    result.texts.resize(result.size());
    draw_actions(sampling.decoding, key, pass.outputs, result);
    result.log_probs.resize(result.tokens.size());
    result.entropies.resize(result.tokens.size());
    const GroupRange all{0, prompts.size()};
    Kept kept;
    fill<float>(result, all, pass.outputs, result.log_probs, result.entropies, kept);
    fill_hidden(pass.hidden, kept.std_devs, result);
    return result;
  }

  void zero_gradients() {
    network_.zero_gradients();
    log_std_dev_gradient_.assign(options_.dimensions, T(0));
  }
  /// Calls f(ParameterView<T>) for the network's parameters under the names of MlpPolicy, then for "log_std_dev" (1 x
  /// D), which weight decay skips.
  template <class F>
  void visit(F&& f) {
    network_.visit(f);
    f(ParameterView<T>{.name = "log_std_dev",
                       .values = log_std_dev_,
                       .gradients = log_std_dev_gradient_,
                       .rows = 1,
                       .cols = options_.dimensions,
                       .decay = WeightDecay::skip});
  }

 private:
  friend class detail::FloatAndDouble<GaussianPolicy>;
  using Pass = typename detail::TanhNetwork<T>::Pass;
  static constexpr const char* name = "gaussian policy";

  /// Spread holds what the distributions of all steps have in common.
  struct Spread {
    std::vector<double> inverse_std_dev;  ///< (D) at the temperature of the rollouts
    double log_normalizer = 0.0;          ///< sum_d (log sigma_d + 1/2 log 2 pi)
  };
  /// Kept holds what backward needs of a forward pass beside the network's own pass.
  struct Kept {
    Matrix<T> std_devs;              ///< (steps x D) z = (a - mu) / sigma
    std::vector<std::size_t> means;  ///< (steps) where the means of a step begin in the pass's outputs
    Spread spread;
    bool ready = false;
  };

  static const GaussianPolicyOptions& checked(const GaussianPolicyOptions& options) {
    require(options.features > 0, "gaussian policy: features must be at least 1");
    require(options.width > 0, "gaussian policy: width must be at least 1");
    require(options.dimensions > 0, "gaussian policy: dimensions must be at least 1");
    require(options.steps > 0, "gaussian policy: steps must be at least 1");
    require(options.steps <= std::numeric_limits<std::uint32_t>::max() / options.dimensions,
            "gaussian policy: steps times dimensions must be below 2^32, the random streams' limit");
    require(options.std_dev > 0.0 && std::isfinite(options.std_dev),
            "gaussian policy: std_dev must be positive and finite");
    return options;
  }
  static void check_sampling(const Sampling& sampling) {
    check(sampling);
    refuse_text_options(sampling, "gaussian policy");
    require(
        sampling.top_k == 0 && sampling.top_p == 1.0 && sampling.min_p == 0.0,
        "gaussian policy: top_k, top_p and min_p choose among tokens; leave them at 0, 1 and 0, and set temperature "
        "to narrow the draws");
    require(sampling.stop_tokens.empty(),
            "gaussian policy: its actions are no tokens, so no token stops a response; leave stop_tokens empty");
  }
  double std_dev(std::size_t d, double temperature) const {
    return std::exp(static_cast<double>(log_std_dev_[d])) * std::sqrt(temperature);
  }
  Spread spread(double temperature) const {
    Spread result;
    for (std::size_t d = 0; d < options_.dimensions; ++d) {
      result.inverse_std_dev.push_back(1.0 / std_dev(d, temperature));
      result.log_normalizer +=
          static_cast<double>(log_std_dev_[d]) + 0.5 * std::log(2.0 * std::numbers::pi * temperature);
    }
    return result;
  }

  void draw_actions(Decoding decoding, const DrawKey& key, MatrixView<const T> means, Rollouts& rollouts) const {
    for (std::size_t i = 0; i < rollouts.size(); ++i) {
      const RandomStream stream = token_stream(key, rollouts, i);
      const std::span<const T> mean = means.row(rollouts.groups.group_of(i));
      for (std::size_t t = 0; t < rollouts.tokens.length(i); ++t) {
        for (std::size_t d = 0; d < options_.dimensions; ++d) {
          const std::size_t place = t * options_.dimensions + d;
          double action = static_cast<double>(mean[place]);
          if (decoding == Decoding::sample) {
            action += std_dev(d, rollouts.temperature) * stream.normal(static_cast<std::uint32_t>(place));
          }
          rollouts.actions(rollouts.tokens.offset(i) + t, d) = static_cast<float>(action);
        }
      }
    }
  }
  static void fill_hidden(MatrixView<const T> units, MatrixView<const T> std_devs, Rollouts& rollouts) {
    rollouts.hidden.assign(rollouts.size(), units.cols() + std_devs.cols(), 0.0f);
    for (std::size_t i = 0; i < rollouts.size(); ++i) {
      const std::span<float> row = rollouts.hidden.row(i);
      const std::span<const T> unit = units.row(rollouts.groups.group_of(i));
      std::ranges::transform(unit, row.begin(), [](T value) { return static_cast<float>(value); });
      const std::size_t length = rollouts.tokens.length(i);
      for (std::size_t t = 0; t < length; ++t) {
        const std::span<const T> z = std_devs.row(rollouts.tokens.offset(i) + t);
        for (std::size_t d = 0; d < z.size(); ++d) {
          row[unit.size() + d] += static_cast<float>(z[d]) / static_cast<float>(length);
        }
      }
    }
  }

  /// Gives the prompts of the groups in range.
  /// @throws BadArgument or BadData for rollouts of another policy.
  std::span<const Prompt> prompts_of(const Rollouts& rollouts, GroupRange range) const {
    detail::check_range(rollouts, range, name);
    if (rollouts.actions.rows() != rollouts.tokens.size() ||
        (rollouts.actions.rows() > 0 && rollouts.actions.cols() != options_.dimensions)) {
      throw BadData(std::string(name) + ": the rollouts hold actions of " + std::to_string(rollouts.actions.rows()) +
                    " x " + std::to_string(rollouts.actions.cols()) + " floats, the policy needs " +
                    std::to_string(rollouts.tokens.size()) + " x " + std::to_string(options_.dimensions) +
                    "; they are not of this policy");
    }
    return std::span<const Prompt>(rollouts.prompts).subspan(range.first, range.last - range.first);
  }

  /// Computes log-probs, and entropies if that span is not empty, of the groups in range, overwritten; fills `kept`
  /// too.
  template <class U>
  void fill(const Rollouts& rollouts, GroupRange range, MatrixView<const T> means, std::span<U> log_probs,
            std::span<U> entropies, Kept& kept) const {
    const std::size_t first = detail::Categorical<T>::token_offset(rollouts, range.first);
    const std::size_t count = detail::Categorical<T>::token_offset(rollouts, range.last) - first;
    if (log_probs.size() != count || (!entropies.empty() && entropies.size() != count)) {
      throw BadArgument(std::string(name) + ": log_probs and entropies need one value per step of the responses");
    }
    kept.spread = spread(rollouts.temperature);
    kept.std_devs.resize(count, options_.dimensions);
    kept.means.resize(count);
    for (std::size_t g = range.first; g < range.last; ++g) {
      for (std::size_t i = rollouts.groups.begin(g); i < rollouts.groups.end(g); ++i) {
        check_length(rollouts, i);
        for (std::size_t t = 0; t < rollouts.tokens.length(i); ++t) {
          const std::size_t step = rollouts.tokens.offset(i) - first + t;
          kept.means[step] = (g - range.first) * means.cols() + t * options_.dimensions;
          const double log_prob = log_density(rollouts.actions.row(first + step), means.data() + kept.means[step],
                                              kept.spread, kept.std_devs.row(step));
          if (!std::isfinite(log_prob)) refuse(rollouts, i);
          log_probs[step] = static_cast<U>(log_prob);
        }
      }
    }
    const double entropy = kept.spread.log_normalizer + 0.5 * static_cast<double>(options_.dimensions);
    std::ranges::fill(entropies, static_cast<U>(entropy));
  }
  /// Gives log p of one action (D), and overwrites std_devs (D) with z.
  static double log_density(std::span<const float> action, const T* mean, const Spread& spread, std::span<T> std_devs) {
    double squares = 0.0;
    for (std::size_t d = 0; d < action.size(); ++d) {
      const double z = (static_cast<double>(action[d]) - static_cast<double>(mean[d])) * spread.inverse_std_dev[d];
      squares += z * z;
      std_devs[d] = static_cast<T>(z);
    }
    return -0.5 * squares - spread.log_normalizer;
  }
  void check_length(const Rollouts& rollouts, std::size_t i) const {
    if (rollouts.tokens.length(i) <= options_.steps) return;
    throw BadData(std::string(name) + ": response " + std::to_string(i) + " has " +
                  std::to_string(rollouts.tokens.length(i)) + " steps, the policy plans " +
                  std::to_string(options_.steps));
  }
  [[noreturn]] static void refuse(const Rollouts& rollouts, std::size_t i) {
    throw BadData(std::string(name) + ": the log-prob of response " + std::to_string(i) + " to data row " +
                  std::to_string(rollouts.prompts[rollouts.groups.group_of(i)].row) +
                  " is not finite; the policy has diverged: its means overflow, or a standard deviation vanishes (an "
                  "entropy bonus keeps it up)");
  }

  template <class U>
  void run_log_probs(const Rollouts& rollouts, GroupRange range, std::span<U> out) const {
    Pass pass;
    network_.forward(prompts_of(rollouts, range), name, pass);
    Kept kept;
    fill<U>(rollouts, range, pass.outputs, out, {}, kept);
  }
  template <class U>
  void run_forward(const Rollouts& rollouts, GroupRange range, std::span<U> log_probs, std::span<U> entropies) {
    kept_.ready = false;
    network_.forward(prompts_of(rollouts, range), name, pass_);
    fill<U>(rollouts, range, pass_.outputs, log_probs, entropies, kept_);
    kept_.ready = true;
  }
  /// Uses d log p / d mu = z / sigma, d log p / d log sigma = z^2 - 1 and d entropy / d log sigma = 1, with z = (a -
  /// mu) / sigma.
  template <class U>
  void run_backward(std::span<const U> d_log_probs, std::span<const U> d_entropies) {
    if (!kept_.ready || d_log_probs.size() != kept_.means.size() ||
        (!d_entropies.empty() && d_entropies.size() != d_log_probs.size())) {
      throw BadArgument(std::string(name) + ": backward needs a forward before it, and one gradient per step of it");
    }
    const std::span<T> d_means = pass_.outputs.flat();
    std::ranges::fill(d_means, T(0));
    for (std::size_t s = 0; s < d_log_probs.size(); ++s) {
      const auto by_log_prob = static_cast<double>(d_log_probs[s]);
      const double by_entropy = d_entropies.empty() ? 0.0 : static_cast<double>(d_entropies[s]);
      for (std::size_t d = 0; d < options_.dimensions; ++d) {
        const auto z = static_cast<double>(kept_.std_devs(s, d));
        d_means[kept_.means[s] + d] += static_cast<T>(by_log_prob * z * kept_.spread.inverse_std_dev[d]);
        log_std_dev_gradient_[d] += static_cast<T>(by_log_prob * (z * z - 1.0) + by_entropy);
      }
    }
    network_.backward(pass_);
    kept_.ready = false;
  }

  GaussianPolicyOptions options_;
  detail::TanhNetwork<T> network_;
  AlignedVector<T> log_std_dev_;
  AlignedVector<T> log_std_dev_gradient_;
  Pass pass_;  ///< of the last forward's groups
  Kept kept_;
};

}  // namespace maestro
