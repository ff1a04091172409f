#pragma once

/// @file
/// Draws of one token from a row of logits.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/softmax.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"

namespace maestro {

/// SampledToken is a drawn token with its log-prob.
struct SampledToken {
  std::int32_t token = 0;
  double log_prob = 0.0;  ///< after temperature, before top-k / top-p / min-p
  double entropy = 0.0;   ///< nats, of the same distribution
};

/// Sampler draws tokens with one set of options. It holds buffers, so each thread needs its own. Among equally probable
/// tokens, the filters keep the lowest indices, and greedy decoding takes the lowest. Top-p is a share of the
/// probability that top-k left. Nothing is allocated once a row of the same length has been seen.
template <class T>
class Sampler {
 public:
  /// Makes a sampler for these options.
  /// @throws BadArgument naming an option outside its domain.
  explicit Sampler(const Sampling& sampling)
      : temperature_(sampling.temperature),
        top_k_(sampling.top_k),
        top_p_(sampling.top_p),
        min_p_(sampling.min_p),
        repetition_penalty_(sampling.repetition_penalty),
        decoding_(sampling.decoding) {
    check(sampling);
  }

  /// Allocates the buffers for rows of `vocabulary` logits.
  void reserve(std::size_t vocabulary) {
    scaled_.resize(vocabulary);
    weights_.resize(vocabulary);
    tops_.reserve((vocabulary + softmax_chunk - 1) / softmax_chunk);
    if (filters()) candidates_.reserve(vocabulary);
  }

  /// Draws the token at `position` of the response of `stream`. The draw depends only on the stream, the position and
  /// the logits.
  /// @param logits  (V) before temperature; -infinity excludes a token.
  /// @param seen    distinct tokens to which repetition_penalty applies; may be empty.
  /// @throws BadData naming the stream's data row and response if a logit is NaN or +infinity, or if none is finite.
  SampledToken draw(std::span<const T> logits, const RandomStream& stream, std::uint32_t position,
                    std::span<const std::int32_t> seen = {}) {
    reserve(logits.size());
    const auto inverse = static_cast<T>(1.0 / temperature_);
    for (std::size_t i = 0; i < logits.size(); ++i) scaled_[i] = logits[i] * inverse;
    const SoftmaxState softmax = weigh();
    if (!softmax.valid()) refuse(stream, position);
    const bool penalized = repetition_penalty_ != 1.0 && !seen.empty();
    if (penalized) hold_down(logits, inverse, seen, softmax.max);
    const std::span<const T> ranked = penalized ? std::span<const T>(weights_) : logits;
    const std::size_t token = decoding_ == Decoding::greedy ? most_probable(ranked) : choose(stream.uniform(position));
    return {.token = static_cast<std::int32_t>(token),
            .log_prob = softmax.log_prob(static_cast<double>(scaled_[token])),
            .entropy = softmax.entropy()};
  }

 private:
  /// Changes the weights of the tokens seen to those of their penalized logits. The others keep theirs, so that sums of
  /// weights are no longer those of the softmax, which choose() does not need.
  void hold_down(std::span<const T> logits, T inverse, std::span<const std::int32_t> seen, double max) {
    for (const std::int32_t token : seen) {
      const auto place = static_cast<std::size_t>(token);
      const auto logit = static_cast<double>(logits[place]);
      const double held = logit > 0.0 ? logit / repetition_penalty_ : logit * repetition_penalty_;
      weights_[place] = static_cast<T>(std::exp(held * static_cast<double>(inverse) - max));
    }
  }
  /// Fills weights_ from scaled_ in the chunks of the LM head, so that both give a token the same log-prob.
  SoftmaxState weigh() {
    SoftmaxState softmax;
    tops_.clear();
    const std::span<const T> scaled = scaled_;
    const std::span<T> weights = weights_;
    for (std::size_t begin = 0; begin < scaled.size(); begin += softmax_chunk) {
      const std::size_t count = std::min(softmax_chunk, scaled.size() - begin);
      tops_.push_back(largest(scaled.data() + begin, count));
      add_logits<T>(softmax, scaled.subspan(begin, count), weights.subspan(begin, count));
    }
    if (tops_.size() < 2) return softmax;
    for (std::size_t chunk = 0; chunk < tops_.size(); ++chunk) {
      const double below = static_cast<double>(tops_[chunk]) - softmax.max;
      if (!(below < 0.0)) continue;
      const auto factor = static_cast<T>(std::exp(below));
      const std::size_t begin = chunk * softmax_chunk;
      for (T& weight : weights.subspan(begin, std::min(softmax_chunk, weights.size() - begin))) weight *= factor;
    }
    return softmax;
  }
  bool filters() const { return decoding_ == Decoding::sample && (top_k_ > 0 || top_p_ < 1.0 || min_p_ > 0.0); }
  static std::size_t most_probable(std::span<const T> logits) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < logits.size(); ++i) {
      if (logits[i] > logits[best]) best = i;
    }
    return best;
  }
  std::size_t choose(double uniform) {
    if (!filters()) return sample_index(weights_.data(), weights_.size(), uniform);
    keep_candidates();
    if (candidates_.empty()) return 0;
    // Candidates are drawn in index order, so that a filter which removes nothing draws the same token as no filter.
    std::sort(candidates_.begin(), candidates_.end());
    kept_.resize(candidates_.size());
    for (std::size_t i = 0; i < candidates_.size(); ++i) kept_[i] = weights_[candidates_[i]];
    return candidates_[sample_index(kept_.data(), kept_.size(), uniform)];
  }
  void keep_candidates() {
    candidates_.clear();
    T heaviest = T(0);
    for (const T weight : weights_) heaviest = weight > heaviest ? weight : heaviest;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      if (weights_[i] > T(0)) candidates_.push_back(static_cast<std::uint32_t>(i));
    }
    const auto before = [this](std::uint32_t a, std::uint32_t b) {
      return weights_[a] != weights_[b] ? weights_[a] > weights_[b] : a < b;
    };
    if (top_k_ > 0 && top_k_ < candidates_.size()) {
      const auto middle = candidates_.begin() + static_cast<std::ptrdiff_t>(top_k_);
      std::nth_element(candidates_.begin(), middle, candidates_.end(), before);
      candidates_.resize(top_k_);
    }
    if (top_p_ < 1.0) keep_top_p(before);
    // Dividing both sides by the sum of weights gives p >= min_p * max p.
    const double least = min_p_ * static_cast<double>(heaviest);
    std::erase_if(candidates_, [&](std::uint32_t i) { return static_cast<double>(weights_[i]) < least; });
  }
  /// Takes the most probable candidates off a heap until their share reaches top_p. O(V) for a peaked distribution.
  template <class Before>
  void keep_top_p(const Before& before) {
    std::sort(candidates_.begin(), candidates_.end());  // the sum's order must not depend on how top-k was found
    double total = 0.0;
    for (const std::uint32_t i : candidates_) total += static_cast<double>(weights_[i]);
    const auto after = [&](std::uint32_t a, std::uint32_t b) { return before(b, a); };
    std::make_heap(candidates_.begin(), candidates_.end(), after);
    auto heap_end = candidates_.end();
    double mass = 0.0;
    while (heap_end != candidates_.begin() && mass < top_p_ * total) {
      std::pop_heap(candidates_.begin(), heap_end, after);
      --heap_end;
      mass += static_cast<double>(weights_[*heap_end]);
    }
    candidates_.erase(candidates_.begin(), heap_end);
  }
  [[noreturn]] static void refuse(const RandomStream& stream, std::uint32_t position) {
    throw BadData("sampler: the logits at position " + std::to_string(position) + " of response " +
                  std::to_string(stream.key().response) + " to data row " + std::to_string(stream.key().row) +
                  " hold NaN or +infinity, or no finite value; the policy has diverged");
  }

  double temperature_;
  std::size_t top_k_;
  double top_p_;
  double min_p_;
  double repetition_penalty_;
  Decoding decoding_;
  AlignedVector<T> scaled_;
  AlignedVector<T> weights_;  ///< exp(z - max)
  std::vector<T> tops_;       ///< largest logit of every chunk
  std::vector<std::uint32_t> candidates_;
  std::vector<T> kept_;
};

/// Gives the random stream of one response's tokens; `response` is its response_number.
inline RandomStream token_stream(const DrawKey& key, std::int64_t data_row, std::size_t response) {
  return RandomStream({.seed = key.seed,
                       .purpose = Purpose::token_sampling,
                       .step = key.step,
                       .row = static_cast<std::uint32_t>(data_row),
                       .response = static_cast<std::uint32_t>(response)});
}

/// Gives the random stream of response i of a batch whose prompts and groups are set. Earlier prompts of the key with
/// the same data row count as if their groups came before this one, with the same size. So ranks that share a step draw
/// what one rank would draw.
inline RandomStream token_stream(const DrawKey& key, const Rollouts& rollouts, std::size_t i) {
  const std::size_t group = rollouts.groups.group_of(i);
  const auto row_of = [&](std::size_t g) { return rollouts.prompts[g].row; };
  std::size_t member = i - rollouts.groups.begin(group);
  for (const Prompt& prompt : key.earlier) {
    if (prompt.row == row_of(group)) member += rollouts.groups.size(group);
  }
  return token_stream(key, row_of(group), response_number(rollouts.groups, group, member, row_of));
}

}  // namespace maestro
