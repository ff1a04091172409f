#pragma once

/// @file
/// A small network over a prompt's numbers as a policy.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/core/random.hpp"
#include "maestro/policy/categorical.hpp"
#include "maestro/policy/policy.hpp"

namespace maestro {

struct MlpPolicyOptions {
  std::size_t features = 1;  ///< F, the length of Prompt::features
  std::size_t actions = 2;   ///< A
  std::uint64_t seed = 0;    ///< of the initial weights
};

/// logits = W2 tanh(W1 x + b1) + b2 over x = Prompt::features (F); a response is one action, its text the action's
/// decimal number. Weights start normal with deviation 1/sqrt(inputs), biases at 0; they depend on the seed alone.
/// Hidden state (Width + A): tanh(W1 x + b1) ++ one-hot action.
/// log_probs is thread-safe as long as nothing changes the policy.
template <std::size_t Width, class T = float>
class MlpPolicy {
  static_assert(Width > 0, "maestro: an MlpPolicy needs at least one hidden unit");

 public:
  using scalar_type = T;

  /// @throws BadArgument when a size is 0.
  explicit MlpPolicy(const MlpPolicyOptions& options) : options_(options) {
    require(options.features > 0, "mlp policy: features must be at least 1");
    require(options.actions > 0, "mlp policy: actions must be at least 1");
    values_.assign(parameter_count(), T(0));
    gradients_.assign(parameter_count(), T(0));
    const auto fill = [&](std::size_t offset, std::size_t count, std::size_t inputs, std::uint32_t tensor) {
      const RandomStream stream({.seed = options.seed, .purpose = Purpose::initialisation, .row = tensor});
      const double deviation = 1.0 / std::sqrt(static_cast<double>(inputs));
      for (std::size_t i = 0; i < count; ++i) {
        values_[offset + i] = static_cast<T>(deviation * stream.normal(static_cast<std::uint32_t>(i)));
      }
    };
    fill(0, Width * options.features, options.features, 0);
    fill(output_weight(), options.actions * Width, Width, 1);
  }

  std::size_t hidden_size() const { return Width + options_.actions; }
  const MlpPolicyOptions& options() const { return options_; }

  Rollouts generate(std::span<const Prompt> prompts, const Sampling& sampling, const DrawKey& key) {
    Matrix<T> hidden;
    Matrix<T> logits;
    run(prompts, hidden, logits);
    Rollouts result = detail::Categorical<T>::generate(prompts, sampling, key, 1, logits);
    constexpr std::int32_t placeholder = 0;  // a prompt has no tokens of its own; packing wants at least one
    for (std::size_t n = 0; n < prompts.size(); ++n) result.prompt_tokens.push_row({&placeholder, 1});
    detail::Categorical<T>::hidden_states(result, hidden, options_.actions);
    return result;
  }

  void forward(const Rollouts& rollouts, GroupRange range, std::span<float> log_probs, std::span<float> entropies) {
    run_forward(rollouts, range, log_probs, entropies);
  }
  void forward(const Rollouts& rollouts, GroupRange range, std::span<double> log_probs, std::span<double> entropies) {
    run_forward(rollouts, range, log_probs, entropies);
  }
  void backward(std::span<const float> d_log_probs, std::span<const float> d_entropies) {
    run_backward(d_log_probs, d_entropies);
  }
  void backward(std::span<const double> d_log_probs, std::span<const double> d_entropies) {
    run_backward(d_log_probs, d_entropies);
  }
  void log_probs(const Rollouts& rollouts, GroupRange range, std::span<float> out) const {
    run_log_probs(rollouts, range, out);
  }
  void log_probs(const Rollouts& rollouts, GroupRange range, std::span<double> out) const {
    run_log_probs(rollouts, range, out);
  }

  void zero_gradients() { gradients_.assign(gradients_.size(), T(0)); }
  template <class F>
  void visit(F&& f) {
    const auto show = [&](const char* tensor, std::size_t offset, std::size_t rows, std::size_t cols) {
      f(ParameterView<T>{.name = tensor,
                         .values = std::span<T>(values_).subspan(offset, rows * cols),
                         .gradients = std::span<T>(gradients_).subspan(offset, rows * cols),
                         .rows = rows,
                         .cols = cols,
                         .decay = rows == 1 ? WeightDecay::skip : WeightDecay::apply});
    };
    show("hidden.weight", 0, Width, options_.features);
    show("hidden.bias", hidden_bias(), 1, Width);
    show("output.weight", output_weight(), options_.actions, Width);
    show("output.bias", output_bias(), 1, options_.actions);
  }

 private:
  static constexpr const char* name = "mlp policy";

  std::size_t hidden_bias() const { return Width * options_.features; }
  std::size_t output_weight() const { return hidden_bias() + Width; }
  std::size_t output_bias() const { return output_weight() + options_.actions * Width; }
  std::size_t parameter_count() const { return output_bias() + options_.actions; }

  /// hidden (N x Width) and logits (N x A), both overwritten.
  void run(std::span<const Prompt> prompts, Matrix<T>& hidden, Matrix<T>& logits) const {
    const std::size_t inputs = options_.features;
    hidden.resize(prompts.size(), Width);
    logits.resize(prompts.size(), options_.actions);
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      const std::span<const float> x = prompts[n].features;
      if (x.size() != inputs) {
        throw BadArgument("mlp policy: data row " + std::to_string(prompts[n].row) + " has " +
                          std::to_string(x.size()) + " features, the policy reads " + std::to_string(inputs));
      }
      for (std::size_t h = 0; h < Width; ++h) {
        T sum = values_[hidden_bias() + h];
        for (std::size_t f = 0; f < inputs; ++f) sum += values_[h * inputs + f] * static_cast<T>(x[f]);
        hidden(n, h) = std::tanh(sum);
      }
      for (std::size_t a = 0; a < options_.actions; ++a) {
        T sum = values_[output_bias() + a];
        for (std::size_t h = 0; h < Width; ++h) sum += values_[output_weight() + a * Width + h] * hidden(n, h);
        logits(n, a) = sum;
      }
    }
  }
  static std::span<const Prompt> prompts_of(const Rollouts& rollouts, GroupRange range) {
    detail::check_range(rollouts, range, name);
    return std::span<const Prompt>(rollouts.prompts).subspan(range.first, range.last - range.first);
  }
  template <class U>
  void run_log_probs(const Rollouts& rollouts, GroupRange range, std::span<U> out) const {
    Matrix<T> hidden;
    Matrix<T> logits;
    run(prompts_of(rollouts, range), hidden, logits);
    detail::Categorical<T>::template log_probs<U>(rollouts, range, logits, out, {}, name);
  }
  template <class U>
  void run_forward(const Rollouts& rollouts, GroupRange range, std::span<U> log_probs, std::span<U> entropies) {
    const std::span<const Prompt> prompts = prompts_of(rollouts, range);
    run(prompts, hidden_, logits_);
    detail::Categorical<T>::template log_probs<U>(rollouts, range, logits_, log_probs, entropies, name);
    kept_.keep(rollouts, range);
    inputs_.resize(prompts.size(), options_.features);
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      for (std::size_t f = 0; f < options_.features; ++f) inputs_(n, f) = static_cast<T>(prompts[n].features[f]);
    }
  }
  template <class U>
  void run_backward(std::span<const U> d_log_probs, std::span<const U> d_entropies) {
    detail::Categorical<T>::template backward<U>(kept_, d_log_probs, d_entropies, logits_, name);
    const std::size_t inputs = options_.features;
    for (std::size_t n = 0; n < logits_.rows(); ++n) {
      T d_hidden[Width] = {};
      for (std::size_t a = 0; a < options_.actions; ++a) {
        const T d = logits_(n, a);
        gradients_[output_bias() + a] += d;
        for (std::size_t h = 0; h < Width; ++h) {
          gradients_[output_weight() + a * Width + h] += d * hidden_(n, h);
          d_hidden[h] += d * values_[output_weight() + a * Width + h];
        }
      }
      for (std::size_t h = 0; h < Width; ++h) {
        const T d = d_hidden[h] * (T(1) - hidden_(n, h) * hidden_(n, h));
        gradients_[hidden_bias() + h] += d;
        for (std::size_t f = 0; f < inputs; ++f) gradients_[h * inputs + f] += d * inputs_(n, f);
      }
    }
    kept_.begins.clear();
  }

  MlpPolicyOptions options_;
  AlignedVector<T> values_;  ///< hidden.weight | hidden.bias | output.weight | output.bias
  AlignedVector<T> gradients_;
  Matrix<T> inputs_;  ///< of the last forward's groups, as are hidden_ and logits_
  Matrix<T> hidden_;
  Matrix<T> logits_;
  typename detail::Categorical<T>::Kept kept_;
};

}  // namespace maestro
