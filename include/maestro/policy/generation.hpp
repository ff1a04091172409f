#pragma once

/// @file
/// The rollout loop of a transformer. It runs the prompts once (prefill). Then each step draws one token per response
/// and feeds it to the model.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/random.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/model/decoder.hpp"
#include "maestro/model/layers/linear.hpp"
#include "maestro/model/prepared_weights.hpp"
#include "maestro/model/weights.hpp"
#include "maestro/policy/response_state.hpp"
#include "maestro/policy/sampler.hpp"

namespace maestro {

/// GenerationOptions trades memory for speed in generation.
struct GenerationOptions {
  std::size_t logits_bytes = std::size_t{8} << 20;  ///< of logits of rows sampled together, at least one row
  /// If the weights have at most this many bytes, every thread decodes its own responses (a lane) and waits for no
  /// other. Otherwise all responses are one batch that the threads share, so that a step reads the weights once.
  std::size_t lane_weight_bytes = std::size_t{32} << 20;
};

/// GenerationCounters counts what a generator has run so far.
struct GenerationCounters {
  std::size_t prompt_rows = 0;    ///< rows of prefill: each prompt token once, whatever the group's size
  std::size_t response_rows = 0;  ///< rows of all steps
  std::size_t steps = 0;          ///< of the longest lane
};

namespace detail {

/// GenerationLane draws and feeds the tokens of some responses until all are done.
///
/// Every drawn token is fed, the last one included, so that the terminal hidden state depends on the whole response.
/// Rows that are done leave the batch.
template <class T, class Backend, class Weights>
class GenerationLane {
 public:
  struct Drawn {
    std::size_t response;
    std::int32_t token;
    float log_prob;
    float entropy;
  };
  struct Request {
    const PreparedWeights<T, Backend, Weights>& weights;
    const PromptCache<T>& prompts;
    MatrixView<const T> prompt_hidden;  ///< (N x d)
    const Sampling& sampling;
    const DrawKey& key;
    std::span<const std::int32_t> stop_tokens;
    const StopTexts& stop_texts;
    std::size_t logits_bytes;
  };

  /// Takes over responses [first, last).
  void begin(const Request& request, const Rollouts& rollouts, std::size_t first, std::size_t last) {
    first_ = first;
    samplers_.assign(static_cast<std::size_t>(max_threads()), Sampler<T>(request.sampling));
    for (Sampler<T>& sampler : samplers_) sampler.reserve(request.weights.config().vocabulary);
    streams_.clear();
    watches_.assign(request.stop_texts.texts.empty() ? 0 : last - first, {});
    seen_.assign(request.sampling.repetition_penalty == 1.0 ? 0 : last - first, {});
    active_.clear();
    source_.clear();
    for (std::size_t i = first; i < last; ++i) {
      const std::size_t g = rollouts.groups.group_of(i);
      streams_.push_back(token_stream(request.key, rollouts, i));
      active_.push_back(i - first);
      source_.push_back(g);
      if (seen_.empty()) continue;
      for (const std::int32_t token : rollouts.prompt_tokens.row(g)) seen_[i - first].add(token);
    }
    log_.clear();
    log_.reserve((last - first) * std::min<std::size_t>(request.sampling.max_completion_length, 256));
    decoder_.begin(request.weights.config(), request.prompts, source_);
  }

  /// Writes hidden states and Finish of its responses. Both arrays must already have their sizes. The tokens are in
  /// log().
  void run(const Request& request, Rollouts& rollouts) {
    MatrixView<const T> hidden = request.prompt_hidden;
    for (std::uint32_t position = 0; !active_.empty(); ++position) {
      sample(request, hidden, position);
      mark_finished(request, position, rollouts);
      hidden = decoder_.step(request.weights, active_, tokens_);
      collect(hidden, rollouts);
      steps_ = position + 1;
    }
  }

  /// Gives the drawn tokens in step order; `response` counts in the whole batch.
  std::span<const Drawn> log() const { return log_; }
  std::size_t steps() const { return steps_; }

 private:
  enum class State : std::uint8_t { running, finished };

  // Draws tokens_[r] for active_[r] from hidden row source_[r]; equal sources are neighbors and share their logits.
  void sample(const Request& request, MatrixView<const T> hidden, std::uint32_t position) {
    const std::size_t vocabulary = request.weights.config().vocabulary;
    const std::size_t fit = request.logits_bytes / (sizeof(T) * vocabulary);
    const std::size_t chunk = std::max<std::size_t>(1, std::min(fit, hidden.rows()));
    drawn_.resize(active_.size());
    std::size_t first = 0;
    while (first < active_.size()) {
      const std::size_t begin = source_[first];
      std::size_t last = first;
      while (last < active_.size() && source_[last] < begin + chunk) ++last;
      const std::size_t rows = source_[last - 1] + 1 - begin;
      logits_.resize(rows, vocabulary);
      linear<Backend, T, typename PreparedWeights<T, Backend, Weights>::MatrixType>(
          hidden.middle_rows(begin, rows), request.weights.head(), {}, logits_.view());
      parallel_for(last - first, 8 * vocabulary, [&](std::size_t i) {
        const std::size_t r = first + i;
        Sampler<T>& sampler = samplers_[static_cast<std::size_t>(thread_index())];
        const auto seen = seen_.empty() ? std::span<const std::int32_t>() : seen_[active_[r]].tokens();
        drawn_[r] = sampler.draw(logits_.row(source_[r] - begin), streams_[active_[r]], position, seen);
      });
      first = last;
    }
    tokens_.clear();
    for (std::size_t r = 0; r < active_.size(); ++r) {
      tokens_.push_back(drawn_[r].token);
      if (!seen_.empty()) seen_[active_[r]].add(drawn_[r].token);
      log_.push_back({.response = first_ + active_[r],
                      .token = drawn_[r].token,
                      .log_prob = static_cast<float>(drawn_[r].log_prob),
                      .entropy = static_cast<float>(drawn_[r].entropy)});
    }
  }

  void mark_finished(const Request& request, std::uint32_t position, Rollouts& rollouts) {
    state_.resize(active_.size());
    for (std::size_t r = 0; r < active_.size(); ++r) {
      const bool stopped = std::ranges::find(request.stop_tokens, tokens_[r]) != request.stop_tokens.end() ||
                           (!watches_.empty() &&
                            watches_[active_[r]].add(request.stop_texts.text_of(tokens_[r]), request.stop_texts.texts));
      const bool done = stopped || std::size_t{position} + 1 >= request.sampling.max_completion_length;
      state_[r] = done ? State::finished : State::running;
      if (done) rollouts.finish[first_ + active_[r]] = stopped ? Finish::stop : Finish::length;
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
      const std::span<float> to = rollouts.hidden.row(first_ + active_[r]);
      for (std::size_t c = 0; c < to.size(); ++c) to[c] = static_cast<float>(hidden(r, c));
      decoder_.release(active_[r]);
    }
    active_.resize(kept);
    source_.resize(kept);
  }

  Decoder<T, Backend, Weights> decoder_;
  std::size_t first_ = 0;
  std::size_t steps_ = 0;
  std::vector<Sampler<T>> samplers_;   ///< per thread
  std::vector<RandomStream> streams_;  ///< per response
  std::vector<StopWatch> watches_;     ///< per response; empty if there are no stop texts
  std::vector<TokensSeen> seen_;       ///< per response; empty if none are held down
  std::vector<std::size_t> active_;    ///< responses that still run, ascending, counted from first_
  std::vector<std::size_t> source_;    ///< their rows in the last hidden states
  std::vector<std::int32_t> tokens_;
  std::vector<SampledToken> drawn_;
  std::vector<State> state_;
  std::vector<Drawn> log_;
  Matrix<T> logits_;
};

}  // namespace detail

/// Generator draws the responses of a batch. It owns its buffers and reuses them over calls. A prompt runs once for all
/// its responses. The logits of the first token are computed once per prompt and lane. Results have the same bits for
/// the same seed, threads and backend.
template <class T, class Backend, class Weights = ModelWeights<T>>
class Generator {
 public:
  explicit Generator(const GenerationOptions& options = {}) : options_(options) {}

  /// Fills tokens, log_probs, entropies, finish, hidden states and prompt_hidden of `rollouts`, whose prompts,
  /// prompt_tokens and groups must be set.
  /// @param stop_tokens  the first of these that is drawn ends a response.
  /// @param stop_texts   the first of these that the tokens complete ends a response.
  /// @throws BadArgument for a prompt without tokens or beyond max_positions, or for sampling options outside their
  ///         domains; BadData naming the data row and the response if logits are NaN or +infinity, or none is finite.
  void run(const Weights& weights, const Sampling& sampling, const DrawKey& key,
           std::span<const std::int32_t> stop_tokens, Rollouts& rollouts, const StopTexts& stop_texts = {}) {
    const std::size_t rows = rollouts.groups.rows();
    rollouts.hidden.resize(rows, weights.config().hidden);
    rollouts.finish.resize(rows, Finish::length);
    const std::size_t before = prompts_.rows();
    const MatrixView<const T> hidden = prompts_.run(weights, rollouts.prompt_tokens);
    rollouts.prompt_hidden.resize(hidden.rows(), hidden.cols());
    for (std::size_t i = 0; i < hidden.rows(); ++i) {
      for (std::size_t c = 0; c < hidden.cols(); ++c) rollouts.prompt_hidden(i, c) = static_cast<float>(hidden(i, c));
    }
    prepared_.assign(weights);
    const Request request{.weights = prepared_,
                          .prompts = prompts_.cache(),
                          .prompt_hidden = hidden,
                          .sampling = sampling,
                          .key = key,
                          .stop_tokens = stop_tokens,
                          .stop_texts = stop_texts,
                          .logits_bytes = options_.logits_bytes};
    lanes_.resize(lane_count(weights, rows));
    const std::size_t lanes = lanes_.size();
    for (std::size_t l = 0; l < lanes; ++l) {
      lanes_[l].begin(request, rollouts, rows * l / lanes, rows * (l + 1) / lanes);
    }
    if (lanes == 1) {
      lanes_[0].run(request, rollouts);
    } else {
      parallel_for(lanes, [&](std::size_t l) { lanes_[l].run(request, rollouts); });
    }
    unpack(rollouts);
    counters_.prompt_rows += prompts_.rows() - before;
    counters_.response_rows += rollouts.tokens.size();
    std::size_t steps = 0;
    for (const Lane& lane : lanes_) steps = std::max(steps, lane.steps());
    counters_.steps += steps;
  }

  const GenerationCounters& counters() const { return counters_; }

 private:
  using Lane = detail::GenerationLane<T, Backend, Weights>;
  using Request = typename Lane::Request;

  // A lane of fewer than four rows would waste more on reading weights than it saves on waiting.
  std::size_t lane_count(const Weights& weights, std::size_t rows) const {
    if (weights.bytes() > options_.lane_weight_bytes) return 1;
    return std::clamp<std::size_t>(rows / 4, 1, static_cast<std::size_t>(max_threads()));
  }

  // The logs are in step order; the rollouts are in response order.
  void unpack(Rollouts& rollouts) {
    const std::size_t rows = rollouts.groups.rows();
    begins_.assign(rows + 1, 0);
    for (const Lane& lane : lanes_) {
      for (const auto& drawn : lane.log()) ++begins_[drawn.response + 1];
    }
    for (std::size_t i = 0; i < rows; ++i) begins_[i + 1] += begins_[i];
    const std::size_t count = begins_[rows];
    rollouts.log_probs.resize(count);
    rollouts.entropies.resize(count);
    tokens_.resize(count);
    next_.assign(begins_.begin(), begins_.end());
    for (const Lane& lane : lanes_) {
      for (const auto& drawn : lane.log()) {
        const std::size_t at = next_[drawn.response]++;
        tokens_[at] = drawn.token;
        rollouts.log_probs[at] = drawn.log_prob;
        rollouts.entropies[at] = drawn.entropy;
      }
    }
    rollouts.tokens.clear();
    rollouts.tokens.reserve(rows, count);
    for (std::size_t i = 0; i < rows; ++i) {
      rollouts.tokens.push_row(std::span<const std::int32_t>(tokens_).subspan(begins_[i], begins_[i + 1] - begins_[i]));
    }
  }

  GenerationOptions options_;
  PromptRunner<T, Backend> prompts_;
  PreparedWeights<T, Backend, Weights> prepared_;
  std::vector<Lane> lanes_;
  std::vector<std::size_t> begins_;
  std::vector<std::size_t> next_;
  std::vector<std::int32_t> tokens_;
  GenerationCounters counters_;
};

}  // namespace maestro
