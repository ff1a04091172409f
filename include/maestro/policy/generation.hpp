#pragma once

/// @file
/// The rollout loop of a transformer: prefill, then draw and feed one token per response and step.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/gemm.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/random.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/model/decoder.hpp"
#include "maestro/model/weights.hpp"
#include "maestro/policy/sampler.hpp"
#include "maestro/policy/sampling.hpp"

namespace maestro {

struct GenerationOptions {
  std::size_t logits_bytes = std::size_t{8} << 20;  ///< logits of rows sampled together; at least one row in any case
};

/// Draws responses; owns the decoder's and the sampler's storage, reused over calls.
///
/// Every drawn token is fed, the last one too, so that the terminal hidden state has read the whole response; rows that
/// are done leave the batch. The logits of a response's first token are computed once per prompt.
template <class T, class Backend>
class Generator {
 public:
  explicit Generator(const GenerationOptions& options = {}) : options_(options) {}

  /// Fills tokens, log_probs, entropies, hidden and finish of `rollouts` from its prompts, prompt_tokens and groups.
  /// @param stop_tokens  a response ends with the first of these that it draws.
  void run(const ModelWeights<T>& weights, const Sampling& sampling, const DrawKey& key,
           std::span<const std::int32_t> stop_tokens, Rollouts& rollouts) {
    begin(weights, sampling, key, rollouts);
    MatrixView<const T> hidden = decoder_.prefill(weights, rollouts.prompt_tokens, rollouts.groups);
    rollouts.hidden.resize(rollouts.groups.rows(), weights.config().hidden);
    for (std::size_t g = 0; g < rollouts.groups.count(); ++g) {
      for (std::size_t i = rollouts.groups.begin(g); i < rollouts.groups.end(g); ++i) {
        active_.push_back(i);
        source_.push_back(g);
      }
    }
    for (std::uint32_t position = 0; !active_.empty(); ++position) {
      sample(weights, hidden, position);
      mark_finished(sampling, stop_tokens, position, rollouts);
      hidden = decoder_.step(weights, active_, tokens_);
      collect(hidden, rollouts);
    }
    unpack(rollouts);
  }

  const DecoderCounters& counters() const { return decoder_.counters(); }

 private:
  enum class State : std::uint8_t { running, finished };
  struct Drawn {
    std::size_t response;
    std::int32_t token;
    float log_prob;
    float entropy;
  };

  void begin(const ModelWeights<T>& weights, const Sampling& sampling, const DrawKey& key, const Rollouts& rollouts) {
    const std::size_t rows = rollouts.groups.rows();
    samplers_.assign(static_cast<std::size_t>(max_threads()), Sampler<T>(sampling));
    for (Sampler<T>& sampler : samplers_) sampler.reserve(weights.config().vocabulary);
    streams_.clear();
    for (std::size_t g = 0; g < rollouts.groups.count(); ++g) {
      for (std::size_t i = 0; i < rollouts.groups.size(g); ++i) {
        streams_.push_back(token_stream(key, rollouts.prompts[g].row, i));
      }
    }
    active_.clear();
    source_.clear();
    log_.clear();
    log_.reserve(rows * std::min<std::size_t>(sampling.max_completion_length, 256));
    tokens_.reserve(rows);
    drawn_.reserve(rows);
    state_.reserve(rows);
  }

  // Draws tokens_[r] for active_[r] from hidden row source_[r]; equal sources are neighbours and share their logits.
  void sample(const ModelWeights<T>& weights, MatrixView<const T> hidden, std::uint32_t position) {
    const MatrixView<const T> head = weights.head();
    const std::size_t fit = options_.logits_bytes / (sizeof(T) * head.rows());
    const std::size_t chunk = std::max<std::size_t>(1, std::min(fit, hidden.rows()));
    drawn_.resize(active_.size());
    std::size_t first = 0;
    while (first < active_.size()) {
      const std::size_t begin = source_[first];
      std::size_t last = first;
      while (last < active_.size() && source_[last] < begin + chunk) ++last;
      const std::size_t rows = source_[last - 1] + 1 - begin;
      logits_.resize(rows, head.rows());
      gemm<Backend>(Transpose::no, Transpose::yes, T(1), hidden.middle_rows(begin, rows), head, T(0), logits_.view());
      parallel_for(last - first, [&](std::size_t i) {
        const std::size_t r = first + i;
        Sampler<T>& sampler = samplers_[static_cast<std::size_t>(thread_index())];
        drawn_[r] = sampler.draw(logits_.row(source_[r] - begin), streams_[active_[r]], position);
      });
      first = last;
    }
    tokens_.clear();
    for (std::size_t r = 0; r < active_.size(); ++r) {
      tokens_.push_back(drawn_[r].token);
      log_.push_back({.response = active_[r],
                      .token = drawn_[r].token,
                      .log_prob = static_cast<float>(drawn_[r].log_prob),
                      .entropy = static_cast<float>(drawn_[r].entropy)});
    }
  }

  void mark_finished(const Sampling& sampling, std::span<const std::int32_t> stop_tokens, std::uint32_t position,
                     Rollouts& rollouts) {
    rollouts.finish.resize(rollouts.groups.rows(), Finish::length);
    state_.resize(active_.size());
    for (std::size_t r = 0; r < active_.size(); ++r) {
      const bool stopped = std::ranges::find(stop_tokens, tokens_[r]) != stop_tokens.end();
      const bool done = stopped || std::size_t{position} + 1 >= sampling.max_completion_length;
      state_[r] = done ? State::finished : State::running;
      if (done) rollouts.finish[active_[r]] = stopped ? Finish::stop : Finish::length;
    }
  }

  // Takes the hidden states of finished rows and leaves the others active; source_ becomes their row of `hidden`.
  void collect(MatrixView<const T> hidden, Rollouts& rollouts) {
    std::size_t kept = 0;
    source_.resize(active_.size());
    for (std::size_t r = 0; r < active_.size(); ++r) {
      if (state_[r] == State::running) {
        active_[kept] = active_[r];
        source_[kept++] = r;
        continue;
      }
      const std::span<float> to = rollouts.hidden.row(active_[r]);
      for (std::size_t c = 0; c < to.size(); ++c) to[c] = static_cast<float>(hidden(r, c));
      decoder_.release(active_[r]);
    }
    active_.resize(kept);
    source_.resize(kept);
  }

  // The log is in step order; the rollouts are in response order.
  void unpack(Rollouts& rollouts) {
    const std::size_t rows = rollouts.groups.rows();
    begins_.assign(rows + 1, 0);
    for (const Drawn& drawn : log_) ++begins_[drawn.response + 1];
    for (std::size_t i = 0; i < rows; ++i) begins_[i + 1] += begins_[i];
    rollouts.log_probs.resize(log_.size());
    rollouts.entropies.resize(log_.size());
    std::vector<std::int32_t> tokens(log_.size());
    std::vector<std::size_t> next(begins_.begin(), begins_.end());
    for (const Drawn& drawn : log_) {
      const std::size_t at = next[drawn.response]++;
      tokens[at] = drawn.token;
      rollouts.log_probs[at] = drawn.log_prob;
      rollouts.entropies[at] = drawn.entropy;
    }
    rollouts.tokens.clear();
    rollouts.tokens.reserve(rows, log_.size());
    for (std::size_t i = 0; i < rows; ++i) {
      rollouts.tokens.push_row(std::span<const std::int32_t>(tokens).subspan(begins_[i], begins_[i + 1] - begins_[i]));
    }
  }

  GenerationOptions options_;
  Decoder<T, Backend> decoder_;
  std::vector<Sampler<T>> samplers_;   ///< per thread
  std::vector<RandomStream> streams_;  ///< per response
  std::vector<std::size_t> active_;    ///< responses that still run, ascending
  std::vector<std::size_t> source_;    ///< their rows in the last hidden states
  std::vector<std::int32_t> tokens_;
  std::vector<SampledToken> drawn_;
  std::vector<State> state_;
  std::vector<Drawn> log_;
  std::vector<std::size_t> begins_;
  Matrix<T> logits_;
};

}  // namespace maestro
