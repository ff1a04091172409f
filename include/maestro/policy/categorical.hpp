#pragma once

/// @file
/// The common part of the policies without a language model. Every token of a response is drawn from one categorical
/// distribution over A actions, which depends only on the prompt.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/softmax.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/policy/sampler.hpp"

namespace maestro::detail {

/// Categorical draws responses and computes the softmax of such a policy. The policy computes the logits and takes
/// their gradient.
template <class T>
class Categorical {
 public:
  /// Draws G responses of `length` tokens per prompt n from logits.row(n), (N x A) before temperature. A response is
  /// cut at max_completion_length, and ends early with a stop token. All members of the rollouts but `prompt_tokens`
  /// and `hidden` are filled.
  /// @throws BadArgument for a sampling option that concerns texts, or outside its domain; BadData if logits are not
  ///         finite.
  static Rollouts generate(std::span<const Prompt> prompts, const Sampling& sampling, const DrawKey& key,
                           std::size_t length, MatrixView<const T> logits) {
    refuse_text_options(sampling, "categorical policy");
    Sampler<T> sampler(sampling);
    Rollouts result;
    result.prompts.assign(prompts.begin(), prompts.end());
    result.groups = Groups::uniform(prompts.size(), sampling.num_generations);
    result.temperature = sampling.temperature;
    std::vector<std::int32_t> response;
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      for (std::size_t g = 0; g < sampling.num_generations; ++g) {
        const RandomStream stream = token_stream(key, result, result.groups.begin(n) + g);
        const std::size_t limit = std::min(length, sampling.max_completion_length);
        Finish finish = length <= sampling.max_completion_length ? Finish::stop : Finish::length;
        response.clear();
        std::string text;
        while (response.size() < limit) {
          const SampledToken drawn = sampler.draw(logits.row(n), stream, static_cast<std::uint32_t>(response.size()));
          result.log_probs.push_back(static_cast<float>(drawn.log_prob));
          result.entropies.push_back(static_cast<float>(drawn.entropy));
          response.push_back(drawn.token);
          if (std::ranges::find(sampling.stop_tokens, drawn.token) != sampling.stop_tokens.end()) {
            finish = Finish::stop;
            break;
          }
          if (!text.empty()) text += ' ';
          text += std::to_string(drawn.token);
        }
        result.tokens.push_row(response);
        result.finish.push_back(finish);
        result.texts.push_back(text);
      }
    }
    return result;
  }

  /// Computes the hidden states (B x (F + A)): features.row(group of the response) ++ the share of each action among
  /// the response's tokens.
  static void hidden_states(Rollouts& rollouts, MatrixView<const T> features, std::size_t actions) {
    rollouts.hidden.assign(rollouts.size(), features.cols() + actions, 0.0f);
    for (std::size_t g = 0; g < rollouts.groups.count(); ++g) {
      for (std::size_t i = rollouts.groups.begin(g); i < rollouts.groups.end(g); ++i) {
        const std::span<float> row = rollouts.hidden.row(i);
        for (std::size_t c = 0; c < features.cols(); ++c) row[c] = static_cast<float>(features(g, c));
        const std::span<const std::int32_t> tokens = rollouts.tokens.row(i);
        for (const std::int32_t a : tokens) {
          row[features.cols() + static_cast<std::size_t>(a)] += 1.0f / static_cast<float>(tokens.size());
        }
      }
    }
  }

  /// Computes log-probs and entropies (nats) of the response tokens of the groups in range, and overwrites both spans.
  /// `entropies` may be empty.
  /// @param logits  (groups in range x A) before temperature.
  /// @throws BadArgument for spans of another size; BadData naming the data row whose logits are not finite, or the
  ///         response whose token is not an action.
  template <class U>
  static void log_probs(const Rollouts& rollouts, GroupRange range, MatrixView<const T> logits, std::span<U> log_probs,
                        std::span<U> entropies, const char* policy) {
    const std::size_t first = token_offset(rollouts, range.first);
    if (log_probs.size() != token_offset(rollouts, range.last) - first ||
        (!entropies.empty() && entropies.size() != log_probs.size())) {
      throw BadArgument(std::string(policy) + ": log_probs and entropies need one value per response token");
    }
    AlignedVector<T> scaled(logits.cols());
    const T inverse = static_cast<T>(1.0 / rollouts.temperature);
    for (std::size_t g = range.first; g < range.last; ++g) {
      const std::span<const T> row = logits.row(g - range.first);
      for (std::size_t a = 0; a < row.size(); ++a) scaled[a] = row[a] * inverse;
      SoftmaxState softmax;
      add_logits<T>(softmax, scaled);
      if (!softmax.valid()) {
        throw BadData(std::string(policy) + ": the logits of data row " + std::to_string(rollouts.prompts[g].row) +
                      " are not finite; the policy has diverged");
      }
      for (std::size_t i = rollouts.groups.begin(g); i < rollouts.groups.end(g); ++i) {
        const std::span<const std::int32_t> tokens = rollouts.tokens.row(i);
        for (std::size_t t = 0; t < tokens.size(); ++t) {
          const auto action = static_cast<std::size_t>(tokens[t]);
          if (tokens[t] < 0 || action >= scaled.size()) {
            throw BadData(std::string(policy) + ": token " + std::to_string(tokens[t]) + " of response " +
                          std::to_string(i) + " is not one of the " + std::to_string(scaled.size()) + " actions");
          }
          const std::size_t at = rollouts.tokens.offset(i) - first + t;
          log_probs[at] = static_cast<U>(softmax.log_prob(static_cast<double>(scaled[action])));
          if (!entropies.empty()) entropies[at] = static_cast<U>(softmax.entropy());
        }
      }
    }
  }

  /// Kept holds what backward needs of the rollouts of a forward pass.
  struct Kept {
    std::vector<std::int32_t> tokens;
    std::vector<std::size_t> begins;  ///< per group in range, and one past the last
    double temperature = 1.0;

    void keep(const Rollouts& rollouts, GroupRange range) {
      const std::size_t first = token_offset(rollouts, range.first);
      const std::size_t last = token_offset(rollouts, range.last);
      const std::span<const std::int32_t> all = rollouts.tokens.flat();
      tokens.assign(all.begin() + static_cast<std::ptrdiff_t>(first), all.begin() + static_cast<std::ptrdiff_t>(last));
      begins.clear();
      for (std::size_t g = range.first; g <= range.last; ++g) begins.push_back(token_offset(rollouts, g) - first);
      temperature = rollouts.temperature;
    }
  };

  /// Overwrites logits (groups in range x A, before temperature) with the gradient of sum(d_log_probs * log_probs) +
  /// sum(d_entropies * entropies).
  /// @throws BadArgument if there was no forward pass, or if it had another number of tokens.
  template <class U>
  static void backward(const Kept& kept, std::span<const U> d_log_probs, std::span<const U> d_entropies,
                       MatrixView<T> logits, const char* policy) {
    if (kept.begins.empty() || d_log_probs.size() != kept.tokens.size() ||
        (!d_entropies.empty() && d_entropies.size() != d_log_probs.size())) {
      throw BadArgument(std::string(policy) + ": backward needs a forward before it, and one gradient per token of it");
    }
    const T inverse = static_cast<T>(1.0 / kept.temperature);
    for (std::size_t g = 0; g < logits.rows(); ++g) {
      const std::span<T> row = logits.row(g);
      for (T& z : row) z *= inverse;
      SoftmaxState softmax;
      add_logits<T>(softmax, row);
      double d_log_prob = 0.0;
      double d_entropy = 0.0;
      for (std::size_t t = kept.begins[g]; t < kept.begins[g + 1]; ++t) {
        d_log_prob += static_cast<double>(d_log_probs[t]);
        if (!d_entropies.empty()) d_entropy += static_cast<double>(d_entropies[t]);
      }
      softmax_gradient<T>(softmax, d_log_prob, d_entropy, row);
      for (std::size_t t = kept.begins[g]; t < kept.begins[g + 1]; ++t) {
        row[static_cast<std::size_t>(kept.tokens[t])] += static_cast<T>(d_log_probs[t]);
      }
      for (T& z : row) z *= inverse;
    }
  }

  /// Gives the index of the first token of group g.
  static std::size_t token_offset(const Rollouts& rollouts, std::size_t g) {
    return rollouts.tokens.offsets()[rollouts.groups.offsets()[g]];
  }
};

/// Refuses a range of groups that the batch does not have.
/// @throws BadArgument naming the policy and the range.
inline void check_range(const Rollouts& rollouts, GroupRange range, const char* policy) {
  if (range.first > range.last || range.last > rollouts.groups.count()) {
    throw BadArgument(std::string(policy) + ": groups " + std::to_string(range.first) + " .. " +
                      std::to_string(range.last) + " are not in a batch of " + std::to_string(rollouts.groups.count()));
  }
}

}  // namespace maestro::detail
