#pragma once

/// @file
/// Decoding with cached keys and values. Each prompt runs once and its responses share its cache. Each response has a
/// cache of its own for its tokens.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/vector_loops.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/ragged.hpp"
#include "maestro/model/block.hpp"
#include "maestro/model/kv_cache.hpp"
#include "maestro/model/layers/embedding.hpp"
#include "maestro/model/layers/tile_product.hpp"
#include "maestro/model/packed_batch.hpp"
#include "maestro/model/prepared_weights.hpp"
#include "maestro/model/transformer.hpp"
#include "maestro/model/weights.hpp"

namespace maestro {

/// PromptRunner runs each prompt once and keeps its keys and values. Decoders of its responses read them.
template <class T, class Backend>
class PromptRunner {
 public:
  /// Runs the prompts and forgets all earlier ones.
  /// @return (N x d) hidden states after the final norm of the prompts' last tokens; valid until the next call.
  /// @throws BadArgument naming an empty prompt, a token outside the vocabulary, or a prompt beyond max_positions.
  template <class Weights>
  MatrixView<const T> run(const Weights& weights, const Ragged<std::int32_t>& prompts) {
    batch_.pack_prompts(prompts);
    cache_.reset(weights.config(), prompts);
    const MatrixView<const T> hidden = Transformer<T, Backend>::forward(
        weights, batch_, workspace_, Keep::nothing, [&](std::size_t layer, const LayerActivations<T>& a) {
          const std::size_t cost = batch_.rows() * a.qkv.cols() / std::max<std::size_t>(prompts.rows(), 1);
          parallel_for(prompts.rows(), cost, [&](std::size_t n) {
            const Segment& segment = batch_.segments()[n];
            cache_.store(layer, n, a.qkv.view().middle_rows(segment.begin, segment.rows));
          });
        });
    rows_ += batch_.rows();
    hidden_.resize(prompts.rows(), weights.config().hidden);
    for (std::size_t n = 0; n < prompts.rows(); ++n) {
      std::ranges::copy(hidden.row(batch_.terminal_rows()[n]), hidden_.row(n).begin());
    }
    return hidden_.view();
  }

  const PromptCache<T>& cache() const { return cache_; }
  /// Gives the number of prompt tokens of all calls so far.
  std::size_t rows() const { return rows_; }

 private:
  PackedBatch batch_;
  TransformerWorkspace<T> workspace_;
  PromptCache<T> cache_;
  Matrix<T> hidden_;
  std::size_t rows_ = 0;
};

/// Decoder decodes responses token by token, as one batch of rows. Each row attends to the cache of its prompt and to
/// the cache of its own response. Several decoders may run on different threads over the same prompts if their
/// responses are disjoint.
///
/// Reusing an object reuses its storage. The caches of responses grow in blocks of 64 tokens between steps; otherwise a
/// step allocates nothing once its largest batch has been seen. Results do not depend on which other rows are in a
/// step, except for the rounding of the GEMM backend. With NativeBackend they have the same bits as those of
/// Transformer::forward.
template <class T, class Backend, class Weights = ModelWeights<T>>
class Decoder {
 public:
  /// Removes all responses. Afterwards response i continues prompt groups[i] of `prompts`, which must outlive the
  /// steps.
  void begin(const ModelConfig& config, const PromptCache<T>& prompts, std::span<const std::size_t> groups) {
    prompts_ = &prompts;
    tails_.reset(config, groups.size());
    group_of_.assign(groups.begin(), groups.end());
  }

  /// Appends tokens[r] to response responses[r] and runs these rows.
  /// @param responses  (R) ascending indices of the responses.
  /// @return (R x d) hidden states after the final norm; valid until the next call.
  /// @throws BadArgument if responses and tokens differ in number, if the responses are not ascending or do not exist,
  ///         for a token outside the vocabulary, or for a response beyond max_positions.
  /// @throws BadArgument for a token outside the vocabulary, or a response beyond max_positions.
  MatrixView<const T> step(const PreparedWeights<T, Backend, Weights>& weights, std::span<const std::size_t> responses,
                           std::span<const std::int32_t> tokens) {
    const ModelConfig& c = weights.config();
    plan(c, responses, tokens);
    activations_.resize(c, responses.size());
    embed<T>(weights.embedding(), tokens, activations_.input);
    for (std::size_t l = 0; l < c.layers; ++l) {
      const auto w = weights.layer(l);
      attention_input<Backend, T>(c, w, rope_, positions_, activations_);
      attend(c, l, responses);
      attention_output<Backend, T>(c, w, activations_, activations_.input.view());
    }
    hidden_.resize(responses.size(), c.hidden);
    inverse_.resize(responses.size());
    rms_norm<T>(activations_.input, weights.final_norm(), c.norm_eps, hidden_, inverse_);
    return hidden_.view();
  }

  /// Makes the cache blocks of a finished response available to other responses.
  void release(std::size_t response) { tails_.release(response); }

 private:
  /// Work is consecutive rows of a step with the same prompt.
  struct Work {
    std::size_t first;
    std::size_t rows;
    std::size_t group;
  };
  struct Scratch {
    AlignedVector<T> queries;  ///< (rows * heads per kv x D)
    AlignedVector<T> scores;   ///< (rows * heads per kv x keys)
    AlignedVector<T> outputs;  ///< (rows * heads per kv x padded D)
    AlignedVector<T> sums;     ///< (rows * heads per kv) of the exponentials
  };
  static constexpr std::size_t rows_per_item = 8;

  // Everything that may allocate happens here, outside parallel loops.
  void plan(const ModelConfig& c, std::span<const std::size_t> responses, std::span<const std::int32_t> tokens) {
    require(responses.size() == tokens.size(), "decoder: one token per response is needed");
    work_.clear();
    positions_.clear();
    std::size_t max_keys = 0;
    std::size_t longest = 0;
    for (std::size_t r = 0; r < responses.size(); ++r) {
      const std::size_t response = responses[r];
      if (response >= group_of_.size() || (r > 0 && responses[r - 1] >= response)) {
        throw BadArgument("decoder: responses must be ascending and below " + std::to_string(group_of_.size()));
      }
      const std::size_t group = group_of_[response];
      const std::size_t position = prompts_->length(group) + tails_.length(response);
      if (position >= c.max_positions) {
        throw BadArgument("decoder: response " + std::to_string(response) + " reaches position " +
                          std::to_string(position) + ", the model's max_positions is " +
                          std::to_string(c.max_positions));
      }
      tails_.extend(response);
      positions_.push_back(static_cast<std::int32_t>(position));
      longest = std::max(longest, position + 1);
      max_keys = std::max(max_keys, prompts_->padded(group) + tails_.padded(response));
      if (work_.empty() || work_.back().group != group || work_.back().rows == rows_per_item) {
        work_.push_back({.first = r, .rows = 0, .group = group});
      }
      ++work_.back().rows;
    }
    rope_.ensure(c.rope(), longest);
    const auto threads = static_cast<std::size_t>(max_threads());
    if (scratch_.size() < threads) scratch_.resize(threads);
    const std::size_t lines = rows_per_item * c.heads_per_kv();
    for (Scratch& s : scratch_) {
      s.queries.resize(lines * c.head_dim);
      s.outputs.resize(lines * padded_cols<T>(c.head_dim));
      s.sums.resize(lines);
      if (s.scores.size() < lines * max_keys) s.scores.resize(lines * max_keys * 2);
    }
    item_cost_ = lines * max_keys * c.head_dim / 4;
  }

  void attend(const ModelConfig& c, std::size_t layer, std::span<const std::size_t> responses) {
    parallel_for_uneven(work_.size() * c.kv_heads, item_cost_, [&](std::size_t item) {
      attend_item(c, layer, item % c.kv_heads, work_[item / c.kv_heads], responses);
    });
  }

  // One key head, some rows of one prompt: scores lie as [prompt keys | tail keys], each part padded.
  void attend_item(const ModelConfig& c, std::size_t layer, std::size_t kv_head, const Work& work,
                   std::span<const std::size_t> responses) {
    Scratch& s = scratch_[static_cast<std::size_t>(thread_index())];
    const std::size_t dim = c.head_dim;
    const std::size_t shared = c.heads_per_kv();
    const std::size_t prompt_keys = prompts_->length(work.group);
    const std::size_t prompt_padded = prompts_->padded(work.group);
    const std::size_t window = c.window(layer);
    const auto hidden = [&](std::size_t r) {
      return hidden_keys(prompt_keys + tails_.length(responses[work.first + r]), window);
    };
    std::size_t stride = 0;
    bool prompt_seen = false;
    for (std::size_t r = 0; r < work.rows; ++r) {
      const std::size_t response = responses[work.first + r];
      const T* const row = activations_.qkv.row(work.first + r).data();
      const T* const key = row + c.query_size() + kv_head * dim;
      tails_.store(layer, kv_head, response, key, key + c.key_size());
      std::copy_n(row + kv_head * shared * dim, shared * dim, s.queries.data() + r * shared * dim);
      stride = std::max(stride, prompt_padded + tails_.padded(response));
      prompt_seen = prompt_seen || hidden(r) < prompt_keys;
    }
    const std::size_t dim_padded = padded_cols<T>(dim);
    const std::size_t lines = work.rows * shared;
    if (prompt_seen) {
      tile_product(Transpose::no, lines, prompt_padded, dim, s.queries.data(), dim,
                   prompts_->keys(layer, work.group, kv_head), prompt_padded, s.scores.data(), stride);
    }
    for (std::size_t r = 0; r < work.rows; ++r) {
      const std::size_t response = responses[work.first + r];
      T* const scores = s.scores.data() + r * shared * stride;
      tails_.for_blocks(layer, kv_head, response, [&](std::size_t first, std::size_t count, const T* keys, const T*) {
        if (prompt_keys + first + count <= hidden(r)) return;
        tile_product(Transpose::no, shared, padded_cols<T>(count), dim, s.queries.data() + r * shared * dim, dim, keys,
                     tails_.block_tokens, scores + prompt_padded + first, stride);
      });
      for (std::size_t h = 0; h < shared; ++h) {
        s.sums[r * shared + h] =
            exponentiate(c, scores + h * stride, prompt_keys, prompt_padded, tails_.length(response), hidden(r));
      }
    }
    if (prompt_seen) {
      tile_product(Transpose::no, lines, dim_padded, prompt_keys, s.scores.data(), stride,
                   prompts_->values(layer, work.group, kv_head), dim_padded, s.outputs.data(), dim_padded);
    } else {
      std::fill_n(s.outputs.data(), lines * dim_padded, T(0));
    }
    for (std::size_t r = 0; r < work.rows; ++r) {
      T* const outputs = s.outputs.data() + r * shared * dim_padded;
      const T* const scores = s.scores.data() + r * shared * stride + prompt_padded;
      tails_.for_blocks(layer, kv_head, responses[work.first + r],
                        [&](std::size_t first, std::size_t count, const T*, const T* values) {
                          if (prompt_keys + first + count <= hidden(r)) return;
                          tile_product(Transpose::no, shared, dim_padded, count, scores + first, stride, values,
                                       dim_padded, outputs, dim_padded, TileResult::accumulate);
                        });
      T* const attended = activations_.attended.row(work.first + r).data() + kv_head * shared * dim;
      for (std::size_t h = 0; h < shared; ++h) {
        const T inverse = T(1) / s.sums[r * shared + h];
        for (std::size_t i = 0; i < dim; ++i) attended[h * dim + i] = outputs[h * dim_padded + i] * inverse;
      }
    }
  }

  // Both parts of a row of scores become exponentials, 0 for the first `hidden` keys, in the order of
  // layers/attention.hpp; returns their sum.
  static T exponentiate(const ModelConfig& c, T* scores, std::size_t prompt_keys, std::size_t prompt_padded,
                        std::size_t tail_keys, std::size_t hidden) {
    const auto factor = static_cast<T>(1.0 / std::sqrt(static_cast<double>(c.head_dim)));
    const std::size_t hidden_prompt = std::min(hidden, prompt_keys);
    const std::size_t hidden_tail = hidden - hidden_prompt;
    T* const seen = scores + hidden_prompt;
    T* const tail = scores + prompt_padded + hidden_tail;
    const std::size_t seen_keys = prompt_keys - hidden_prompt;
    tail_keys -= hidden_tail;
    T most = largest(tail, tail_keys);
    if (seen_keys > 0) most = std::max(largest(seen, seen_keys), most);
    most *= factor;
    std::fill(scores, seen, T(0));
    std::fill(scores + prompt_padded, tail, T(0));
    return exp_and_sum(seen, seen_keys, factor, most, seen) + exp_and_sum(tail, tail_keys, factor, most, tail);
  }

  const PromptCache<T>* prompts_ = nullptr;
  TailCache<T> tails_;
  RopeTable<T> rope_;
  std::vector<std::size_t> group_of_;
  std::vector<Work> work_;
  std::vector<std::int32_t> positions_;
  std::vector<Scratch> scratch_;
  std::size_t item_cost_ = 0;  ///< of a Work and a key head, at most
  LayerActivations<T> activations_;
  Matrix<T> hidden_;
  AlignedVector<T> inverse_;
};

}  // namespace maestro
