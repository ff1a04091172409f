#pragma once

/// @file
/// The language-model head without a logits tensor. Log-probs, entropies and their gradients are computed in chunks of
/// rows and of vocabulary.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/softmax.hpp"
#include "maestro/core/views.hpp"
#include "maestro/gemm/gemm.hpp"
#include "maestro/model/layers/linear.hpp"

namespace maestro {

/// LmHeadOptions limits the memory of the language-model head.
struct LmHeadOptions {
  std::size_t workspace_bytes = std::size_t{4} << 20;  ///< of logits and gathered rows together, at least 65536
};

/// HeadBatch asks the head for log p(targets[t] | hidden[predictors[t]]) for every token t. M is the type of the view
/// of the weight, packed or not.
template <class T, class M = MatrixView<const T>>
struct HeadBatch {
  MatrixView<const T> hidden;               ///< (R x d) final hidden states
  M weight;                                 ///< (V x d)
  std::span<const std::size_t> predictors;  ///< (tokens) in [0, R); tokens may share a row
  std::span<const std::int32_t> targets;    ///< (tokens) in [0, V)
  double temperature = 1.0;                 ///< above 0: softmax(hidden weight^T / temperature)
};

/// LmHead computes log-probs and entropies in chunks. Its buffers stay within LmHeadOptions::workspace_bytes, or within
/// 16 rows if these need more, for any number of tokens and any V. It also keeps a few words per token. Logits are
/// computed once per distinct predictor row, and again in the backward pass. Results are deterministic for the same
/// shapes, thread count and backend.
template <class T, class Backend>
class LmHead {
 public:
  /// @throws BadArgument if workspace_bytes is below 65536.
  explicit LmHead(const LmHeadOptions& options = {}) : options_(options) {
    require(options.workspace_bytes >= 65536, "lm head: workspace_bytes must be at least 65536");
  }

  /// Computes the log-probs of the targets and the entropies.
  /// @param log_probs  (tokens) overwritten.
  /// @param entropies  (tokens) nats, overwritten; or empty.
  /// @throws BadArgument for sizes and indices out of range; BadData if a row's logits are not finite.
  template <class M, class U>
  void forward(const HeadBatch<T, M>& batch, std::span<U> log_probs, std::type_identity_t<std::span<U>> entropies) {
    sort_by_predictor(batch);
    if (log_probs.size() != batch.targets.size() || (!entropies.empty() && entropies.size() != log_probs.size())) {
      throw BadArgument("lm head: log_probs and entropies need one value per token");
    }
    softmax_.assign(rows_.size(), {});
    target_logits_.resize(batch.targets.size());
    for_chunks(batch, [&](const Chunk& chunk) {
      parallel_for(chunk.row_count, 8 * chunk.logits.cols(), [&](std::size_t i) {
        const std::size_t row = chunk.first_row + i;
        const std::span<const T> logits = chunk.logits.row(i);
        add_logits<T>(softmax_[row], logits);
        for_targets(batch, chunk, row, [&](std::size_t token, std::size_t column) {
          target_logits_[token] = static_cast<double>(logits[column]);
        });
      });
    });
    for (std::size_t row = 0; row < rows_.size(); ++row) {
      if (!softmax_[row].valid()) {
        throw BadData("lm head: the logits of hidden row " + std::to_string(rows_[row]) +
                      " hold NaN or infinity; the policy has diverged");
      }
      for (std::size_t i = begins_[row]; i < begins_[row + 1]; ++i) {
        const std::size_t token = order_[i];
        log_probs[token] = static_cast<U>(softmax_[row].log_prob(target_logits_[token]));
        if (!entropies.empty()) entropies[token] = static_cast<U>(softmax_[row].entropy());
      }
    }
  }

  /// Computes the gradient of sum(d_log_probs * log_probs) + sum(d_entropies * entropies) for the batch of the last
  /// forward pass.
  /// @param d_entropies  (tokens) or empty.
  /// @param d_hidden  (R x d) accumulated.
  /// @param d_weight  (V x d) accumulated; empty if the head is frozen.
  /// @throws BadArgument if the batch is not that of the last forward pass, or if the gradients do not fit it.
  template <class M, class U>
  void backward(const HeadBatch<T, M>& batch, std::span<const U> d_log_probs,
                std::type_identity_t<std::span<const U>> d_entropies, MatrixView<T> d_hidden, MatrixView<T> d_weight) {
    if (batch.targets.size() != order_.size() || d_log_probs.size() != order_.size() ||
        (!d_entropies.empty() && d_entropies.size() != order_.size())) {
      throw BadArgument("lm head: backward needs the batch of the last forward and one gradient per token");
    }
    const auto scale = static_cast<T>(1.0 / batch.temperature);
    for_chunks(batch, [&](const Chunk& chunk) {
      parallel_for(chunk.row_count, 8 * chunk.logits.cols(), [&](std::size_t i) {
        const std::size_t row = chunk.first_row + i;
        double d_log_prob = 0.0;
        double d_entropy = 0.0;
        for (std::size_t k = begins_[row]; k < begins_[row + 1]; ++k) {
          d_log_prob += static_cast<double>(d_log_probs[order_[k]]);
          if (!d_entropies.empty()) d_entropy += static_cast<double>(d_entropies[order_[k]]);
        }
        const std::span<T> logits = chunk.logits.row(i);
        softmax_gradient<T>(softmax_[row], d_log_prob, d_entropy, logits);
        for_targets(batch, chunk, row, [&](std::size_t token, std::size_t column) {
          logits[column] += static_cast<T>(d_log_probs[token]);
        });
      });
      d_gathered_.resize(chunk.row_count, batch.hidden.cols());
      linear_backward_input<Backend, T>(
          chunk.logits, middle_outputs(batch.weight, chunk.first_column, chunk.logits.cols()), d_gathered_.view());
      scatter_add(chunk, scale, d_hidden);
      if (!d_weight.empty()) {
        gemm<Backend>(Transpose::yes, Transpose::no, scale, chunk.logits, gathered_.view(), T(1),
                      d_weight.middle_rows(chunk.first_column, chunk.logits.cols()));
      }
    });
  }

 private:
  struct Chunk {
    std::size_t first_row;  ///< among the distinct predictor rows
    std::size_t row_count;
    std::size_t first_column;
    MatrixView<T> logits;  ///< after temperature
  };

  /// Fills order_ (tokens sorted by predictor), rows_ (the distinct predictors) and begins_ (where each one's tokens
  /// begin).
  template <class M>
  void sort_by_predictor(const HeadBatch<T, M>& batch) {
    if (!(batch.temperature > 0.0)) throw BadArgument("lm head: temperature must be positive");
    if (batch.predictors.size() != batch.targets.size()) {
      throw BadArgument("lm head: one predictor row per target is needed");
    }
    counts_.assign(batch.hidden.rows() + 1, 0);
    for (std::size_t t = 0; t < batch.targets.size(); ++t) {
      if (batch.predictors[t] >= batch.hidden.rows() || batch.targets[t] < 0 ||
          static_cast<std::size_t>(batch.targets[t]) >= outputs_of(batch.weight)) {
        throw BadArgument("lm head: token " + std::to_string(t) + " asks for target " +
                          std::to_string(batch.targets[t]) + " of hidden row " + std::to_string(batch.predictors[t]) +
                          ", beyond " + std::to_string(outputs_of(batch.weight)) + " tokens or " +
                          std::to_string(batch.hidden.rows()) + " rows");
      }
      ++counts_[batch.predictors[t] + 1];
    }
    rows_.clear();
    begins_.assign(1, 0);
    for (std::size_t r = 0; r < batch.hidden.rows(); ++r) {
      if (counts_[r + 1] > 0) {
        rows_.push_back(r);
        begins_.push_back(begins_.back() + counts_[r + 1]);
      }
      counts_[r + 1] += counts_[r];
    }
    order_.resize(batch.targets.size());
    for (std::size_t t = 0; t < batch.targets.size(); ++t) order_[counts_[batch.predictors[t]]++] = t;
  }

  /// Calls body(chunk) for every block of rows x vocabulary, rows outermost, with the block's logits.
  template <class M, class Body>
  void for_chunks(const HeadBatch<T, M>& batch, const Body& body) {
    const std::size_t d = batch.hidden.cols();
    const std::size_t vocabulary = outputs_of(batch.weight);
    const std::size_t budget = options_.workspace_bytes / sizeof(T);
    const std::size_t columns = std::min<std::size_t>({vocabulary, softmax_chunk, budget / 32 / 64 * 64});
    // logits, gathered rows and their gradients; rows in multiples of 16 suit the kernels
    const std::size_t fit = budget / (columns + 2 * d);
    const std::size_t rows = std::clamp<std::size_t>(fit - fit % 16, 16, 512);
    for (std::size_t first = 0; first < rows_.size(); first += rows) {
      const std::size_t count = std::min(rows, rows_.size() - first);
      gathered_.resize(count, d);
      for (std::size_t i = 0; i < count; ++i) {
        std::ranges::copy(batch.hidden.row(rows_[first + i]), gathered_.row(i).begin());
      }
      for (std::size_t column = 0; column < vocabulary; column += columns) {
        const std::size_t width = std::min(columns, vocabulary - column);
        logits_.resize(count, width);
        linear<Backend, T, M>(gathered_.view(), middle_outputs(batch.weight, column, width), {}, logits_.view());
        // The temperature is not applied by gemm's alpha: a sampler scales finished logits, and the two must agree to
        // the bit.
        if (batch.temperature != 1.0) scale_logits(static_cast<T>(1.0 / batch.temperature));
        body(Chunk{.first_row = first, .row_count = count, .first_column = column, .logits = logits_.view()});
      }
    }
  }

  void scale_logits(T factor) {
    parallel_for(logits_.rows(), logits_.cols(), [&](std::size_t i) {
      for (T& z : logits_.row(i)) z *= factor;
    });
  }

  /// Calls body(token, column) for the tokens of `row` whose target lies in the chunk's columns.
  template <class M, class Body>
  void for_targets(const HeadBatch<T, M>& batch, const Chunk& chunk, std::size_t row, const Body& body) const {
    for (std::size_t i = begins_[row]; i < begins_[row + 1]; ++i) {
      const auto target = static_cast<std::size_t>(batch.targets[order_[i]]);
      if (target >= chunk.first_column && target < chunk.first_column + chunk.logits.cols()) {
        body(order_[i], target - chunk.first_column);
      }
    }
  }

  void scatter_add(const Chunk& chunk, T scale, MatrixView<T> d_hidden) const {
    for (std::size_t i = 0; i < chunk.row_count; ++i) {
      const std::span<const T> from = d_gathered_.row(i);
      const std::span<T> to = d_hidden.row(rows_[chunk.first_row + i]);
      for (std::size_t c = 0; c < from.size(); ++c) to[c] += scale * from[c];
    }
  }

  LmHeadOptions options_;
  std::vector<std::size_t> counts_;
  std::vector<std::size_t> order_;
  std::vector<std::size_t> rows_;
  std::vector<std::size_t> begins_;
  std::vector<SoftmaxState> softmax_;  ///< per distinct predictor row
  std::vector<double> target_logits_;  ///< per token, after temperature
  Matrix<T> gathered_;
  Matrix<T> d_gathered_;
  Matrix<T> logits_;
};

}  // namespace maestro
