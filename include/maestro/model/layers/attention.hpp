#pragma once

/// @file
/// Grouped-query causal attention over a packed batch. Scores exist only as tiles (block of queries x keys) per head.
/// The backward pass recomputes them from the log-sum-exp of the forward pass. Source: Dao et al. 2022
/// (FlashAttention), https://arxiv.org/abs/2205.14135.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/vector_loops.hpp"
#include "maestro/core/views.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/layers/tile_product.hpp"
#include "maestro/model/packed_batch.hpp"

namespace maestro {

/// The number of a segment's own keys whose terms are summed in one product, after those of its prefix. A decoder
/// stores a response in blocks of this many tokens and sums in the same order, so both give the same bits.
inline constexpr std::size_t attention_stretch = 64;

/// Gives how many of the `visible` positions (a query's own and all before it) a window of this many positions hides. A
/// window of 0 hides none.
constexpr std::size_t hidden_keys(std::size_t visible, std::size_t window) {
  return window > 0 && visible > window ? visible - window : 0;
}

/// AttentionScratch holds the tiles of one thread.
template <class T>
struct AttentionScratch {
  Matrix<T> keys;               ///< (n x D)
  Matrix<T> keys_transposed;    ///< (D x n)
  Matrix<T> values;             ///< (n x D)
  Matrix<T> values_transposed;  ///< (D x n)
  Matrix<T> d_keys;             ///< (n x D)
  Matrix<T> d_values;           ///< (n x D)
  Matrix<T> scores;             ///< (block x n)
  Matrix<T> d_scores;           ///< (block x n)
  Matrix<T> queries;            ///< (block x D)
  Matrix<T> d_outputs;          ///< (block x D)
  Matrix<T> outputs;            ///< (block x D)
};

/// Attention computes the attention of one layer. Queries, keys and values are the columns of qkv (rows x (H + 2 Hkv)
/// D).
template <class T>
class Attention {
 public:
  /// Computes attended (rows x H D) and log_sum_exp (rows x H) and overwrites both. A query sees the last `window`
  /// positions up to its own (0: all). The loop over (segment, key head) is parallel, and the result does not depend on
  /// the number of threads.
  void forward(const ModelConfig& config, const PackedBatch& batch, MatrixView<const T> qkv, MatrixView<T> attended,
               MatrixView<T> log_sum_exp, std::size_t window = 0) {
    const std::size_t work = prepare(config, batch, Pass::forward);
    const std::span<const Segment> segments = batch.segments();
    run(segments.size() * config.kv_heads, work, [&](std::size_t item) {
      AttentionScratch<T>& s = scratch();
      const Segment& segment = segments[item / config.kv_heads];
      const std::size_t kv_head = item % config.kv_heads;
      load_keys(config, segment, kv_head, qkv, s, Pass::forward);
      for (std::size_t h = kv_head * config.heads_per_kv(); h < (kv_head + 1) * config.heads_per_kv(); ++h) {
        for (std::size_t first = 0; first < segment.rows; first += block) {
          attend(config, segment, window, h, first, qkv, attended, log_sum_exp, s);
        }
      }
    });
  }

  /// Computes d_qkv (rows x (H + 2 Hkv) D) and overwrites it. The inputs are d_attended (rows x H D), and what
  /// `forward` read and wrote, with the same window. The loop over (cluster, key head) is parallel. The responses of a
  /// cluster add to their prompt's rows in order, so the result does not depend on the number of threads.
  void backward(const ModelConfig& config, const PackedBatch& batch, MatrixView<const T> qkv,
                MatrixView<const T> attended, MatrixView<const T> log_sum_exp, MatrixView<const T> d_attended,
                MatrixView<T> d_qkv, std::size_t window = 0) {
    const std::size_t work = prepare(config, batch, Pass::backward);
    run(batch.cluster_count() * config.kv_heads, work, [&](std::size_t item) {
      AttentionScratch<T>& s = scratch();
      const std::size_t cluster = item / config.kv_heads;
      const std::size_t kv_head = item % config.kv_heads;
      for (std::size_t i = batch.clusters()[cluster]; i < batch.clusters()[cluster + 1]; ++i) {
        const Segment& segment = batch.segments()[i];
        load_keys(config, segment, kv_head, qkv, s, Pass::backward);
        const std::size_t padded = padded_cols<T>(config.head_dim) * (segment.prefix_rows + segment.rows);
        std::fill_n(s.d_keys.data(), padded, T(0));
        std::fill_n(s.d_values.data(), padded, T(0));
        for (std::size_t h = kv_head * config.heads_per_kv(); h < (kv_head + 1) * config.heads_per_kv(); ++h) {
          for (std::size_t first = 0; first < segment.rows; first += block) {
            attend_backward(config, segment, window, h, first, {qkv, attended, log_sum_exp, d_attended}, d_qkv, s);
          }
        }
        store_keys(config, segment, kv_head, d_qkv, s);
      }
    });
  }

 private:
  enum class Pass { forward, backward };
  static constexpr std::size_t block = 24;

  struct Kept {
    MatrixView<const T> qkv;
    MatrixView<const T> attended;
    MatrixView<const T> log_sum_exp;
    MatrixView<const T> d_attended;
  };

  AttentionScratch<T>& scratch() { return scratch_[static_cast<std::size_t>(thread_index())]; }
  static T scale(const ModelConfig& c) { return static_cast<T>(1.0 / std::sqrt(static_cast<double>(c.head_dim))); }
  static std::size_t key_row(const Segment& segment, std::size_t j) {
    return j < segment.prefix_rows ? segment.prefix_begin + j : segment.begin + j - segment.prefix_rows;
  }
  // Gives the first key that a block of queries reads. A prefix or a stretch is read whole or not at all, so that sums
  // have the order that a decoder's have.
  static std::size_t first_key(const Segment& segment, std::size_t first, std::size_t window) {
    const std::size_t hidden = hidden_keys(segment.prefix_rows + first + 1, window);
    if (hidden < segment.prefix_rows || hidden == 0) return 0;
    return hidden - (hidden - segment.prefix_rows) % attention_stretch;
  }
  static std::size_t whole_tiles(std::size_t columns) { return columns / tile_cols<T> * tile_cols<T>; }

  // Every thread's tiles get the size of the longest segment, so that the dynamic schedule never decides who allocates.
  // Returns about how many multiplications the batch needs.
  std::size_t prepare(const ModelConfig& c, const PackedBatch& batch, Pass pass) {
    const std::size_t keys = padded_cols<T>(batch.longest());
    const std::size_t dim = padded_cols<T>(c.head_dim);
    const auto threads = static_cast<std::size_t>(max_threads());
    if (scratch_.size() < threads) scratch_.resize(threads);
    for (AttentionScratch<T>& s : scratch_) {
      grow(s.keys_transposed, c.head_dim, keys);
      grow(s.values, keys, dim);
      grow(s.scores, block, keys);
      grow(s.outputs, block, dim);
      if (pass == Pass::forward) continue;
      grow(s.keys, keys, dim);
      grow(s.values_transposed, c.head_dim, keys);
      grow(s.d_keys, keys, dim);
      grow(s.d_values, keys, dim);
      grow(s.d_scores, block, keys);
      grow(s.queries, block, dim);
      grow(s.d_outputs, block, dim);
    }
    std::size_t pairs = 0;
    for (const Segment& segment : batch.segments()) pairs += segment.rows * (segment.prefix_rows + segment.rows);
    return pairs * c.query_size() / 4;
  }
  template <class F>
  static void run(std::size_t items, std::size_t work, F&& body) {
    if (work >= parallel_threshold) return parallel_for_uneven(items, body);
    for (std::size_t i = 0; i < items; ++i) body(i);
  }
  static void grow(Matrix<T>& m, std::size_t rows, std::size_t cols) {
    if (m.flat().size() < rows * cols) m.assign(rows, cols, T(0));
  }

  // Copies one key head's keys and values, of the prefix and of the segment itself, into contiguous tiles.
  static void load_keys(const ModelConfig& c, const Segment& segment, std::size_t kv_head, MatrixView<const T> qkv,
                        AttentionScratch<T>& s, Pass pass) {
    const std::size_t dim = c.head_dim;
    const std::size_t dim_padded = padded_cols<T>(dim);
    const std::size_t count = segment.prefix_rows + segment.rows;
    const std::size_t keys_padded = padded_cols<T>(count);
    for (std::size_t j = 0; j < count; ++j) {
      const T* const key = qkv.row(key_row(segment, j)).data() + c.query_size() + kv_head * dim;
      const T* const value = key + c.key_size();
      for (std::size_t i = 0; i < dim; ++i) s.keys_transposed.data()[i * keys_padded + j] = key[i];
      copy_padded(value, dim, dim_padded, s.values.data() + j * dim_padded);
      if (pass == Pass::forward) continue;
      for (std::size_t i = 0; i < dim; ++i) s.values_transposed.data()[i * keys_padded + j] = value[i];
      copy_padded(key, dim, dim_padded, s.keys.data() + j * dim_padded);
    }
  }
  static void copy_padded(const T* from, std::size_t count, std::size_t padded, T* to) {
    std::copy_n(from, count, to);
    std::fill(to + count, to + padded, T(0));
  }

  static void attend(const ModelConfig& c, const Segment& segment, std::size_t window, std::size_t head,
                     std::size_t first, MatrixView<const T> qkv, MatrixView<T> attended, MatrixView<T> log_sum_exp,
                     AttentionScratch<T>& s) {
    const std::size_t dim = c.head_dim;
    const std::size_t dim_padded = padded_cols<T>(dim);
    const std::size_t prefix = segment.prefix_rows;
    const std::size_t row_size = padded_cols<T>(prefix + segment.rows);
    const std::size_t rows = std::min(block, segment.rows - first);
    const std::size_t keys = prefix + first + rows;
    const T factor = scale(c);
    T* const scores = s.scores.data();
    const T* const queries = qkv.row(segment.begin + first).data() + head * dim;
    const std::size_t low = first_key(segment, first, window);
    const std::size_t skipped = whole_tiles(low);
    tile_product(Transpose::no, rows, padded_cols<T>(keys) - skipped, dim, queries, qkv.stride(),
                 s.keys_transposed.data() + skipped, row_size, scores + skipped, row_size);
    T sums[block];
    for (std::size_t i = 0; i < rows; ++i) {
      T* const row = scores + i * row_size;
      const std::size_t visible = prefix + first + i + 1;
      const std::size_t hidden = hidden_keys(visible, window);
      const std::size_t shared = std::min(hidden, prefix);
      const std::size_t own = std::max(hidden, prefix);
      const T most = factor * largest(row + hidden, visible - hidden);
      sums[i] = exp_and_sum(row + shared, prefix - shared, factor, most, row + shared) +
                exp_and_sum(row + own, visible - own, factor, most, row + own);
      std::fill(row + low, row + hidden, T(0));
      std::fill(row + visible, row + keys, T(0));
      log_sum_exp(segment.begin + first + i, head) = most + std::log(sums[i]);
    }
    TileResult result = TileResult::overwrite;
    const auto add_values = [&](std::size_t begin, std::size_t end) {
      tile_product(Transpose::no, rows, dim_padded, end - begin, scores + begin, row_size,
                   s.values.data() + begin * dim_padded, dim_padded, s.outputs.data(), dim_padded, result);
      result = TileResult::accumulate;
    };
    if (low < prefix) add_values(0, prefix);
    for (std::size_t j = std::max(low, prefix); j < keys; j += attention_stretch) {
      add_values(j, std::min(keys, j + attention_stretch));
    }
    for (std::size_t i = 0; i < rows; ++i) {
      const T inverse = T(1) / sums[i];
      const T* const from = s.outputs.data() + i * dim_padded;
      T* const to = attended.row(segment.begin + first + i).data() + head * dim;
      for (std::size_t k = 0; k < dim; ++k) to[k] = from[k] * inverse;
    }
  }

  static void attend_backward(const ModelConfig& c, const Segment& segment, std::size_t window, std::size_t head,
                              std::size_t first, const Kept& kept, MatrixView<T> d_qkv, AttentionScratch<T>& s) {
    const std::size_t dim = c.head_dim;
    const std::size_t dim_padded = padded_cols<T>(dim);
    const std::size_t row_size = padded_cols<T>(segment.prefix_rows + segment.rows);
    const std::size_t rows = std::min(block, segment.rows - first);
    const std::size_t keys = segment.prefix_rows + first + rows;
    const std::size_t low = whole_tiles(first_key(segment, first, window));
    const std::size_t read = keys - low;
    const std::size_t read_padded = padded_cols<T>(keys) - low;
    const T factor = scale(c);
    const std::size_t begin = segment.begin + first;
    T* const scores = s.scores.data() + low;
    T* const d_scores = s.d_scores.data() + low;
    for (std::size_t i = 0; i < rows; ++i) {
      copy_padded(kept.qkv.row(begin + i).data() + head * dim, dim, dim_padded, s.queries.data() + i * dim_padded);
      copy_padded(kept.d_attended.row(begin + i).data() + head * dim, dim, dim_padded,
                  s.d_outputs.data() + i * dim_padded);
    }
    tile_product(Transpose::no, rows, read_padded, dim, s.queries.data(), dim_padded, s.keys_transposed.data() + low,
                 row_size, scores, row_size);
    tile_product(Transpose::no, rows, read_padded, dim, s.d_outputs.data(), dim_padded,
                 s.values_transposed.data() + low, row_size, d_scores, row_size);
    for (std::size_t i = 0; i < rows; ++i) {
      const std::size_t visible = segment.prefix_rows + first + i + 1;
      const T mean = dot(s.d_outputs.data() + i * dim_padded, kept.attended.row(begin + i).data() + head * dim, dim);
      score_gradient(scores + i * row_size, d_scores + i * row_size, hidden_keys(visible, window) - low, visible - low,
                     read, factor, kept.log_sum_exp(begin + i, head), mean);
    }
    tile_product(Transpose::no, rows, dim_padded, read, d_scores, row_size, s.keys.data() + low * dim_padded,
                 dim_padded, s.outputs.data(), dim_padded);
    for (std::size_t i = 0; i < rows; ++i) {
      std::copy_n(s.outputs.data() + i * dim_padded, dim, d_qkv.row(begin + i).data() + head * dim);
    }
    tile_product(Transpose::yes, read, dim_padded, rows, d_scores, row_size, s.queries.data(), dim_padded,
                 s.d_keys.data() + low * dim_padded, dim_padded, TileResult::accumulate);
    tile_product(Transpose::yes, read, dim_padded, rows, scores, row_size, s.d_outputs.data(), dim_padded,
                 s.d_values.data() + low * dim_padded, dim_padded, TileResult::accumulate);
  }

  // scores become probabilities p; d_scores, which hold d p, become p (d p - mean) factor.
  static void score_gradient(T* __restrict scores, T* __restrict d_scores, std::size_t hidden, std::size_t visible,
                             std::size_t keys, T factor, T log_sum_exp, T mean) {
    std::fill_n(scores, hidden, T(0));
    std::fill_n(d_scores, hidden, T(0));
    for (std::size_t j = hidden; j < visible; ++j) {
      const T p = fast_exp(factor * scores[j] - log_sum_exp);
      scores[j] = p;
      d_scores[j] = p * (d_scores[j] - mean) * factor;
    }
    std::fill(scores + visible, scores + keys, T(0));
    std::fill(d_scores + visible, d_scores + keys, T(0));
  }

  // The segment's own rows are met here for the first time; the prefix's rows were written by the prefix's segment.
  static void store_keys(const ModelConfig& c, const Segment& segment, std::size_t kv_head, MatrixView<T> d_qkv,
                         const AttentionScratch<T>& s) {
    const std::size_t dim = c.head_dim;
    const std::size_t dim_padded = padded_cols<T>(dim);
    for (std::size_t j = 0; j < segment.prefix_rows + segment.rows; ++j) {
      T* const key = d_qkv.row(key_row(segment, j)).data() + c.query_size() + kv_head * dim;
      T* const value = key + c.key_size();
      const T* const d_key = s.d_keys.data() + j * dim_padded;
      const T* const d_value = s.d_values.data() + j * dim_padded;
      const T old = j < segment.prefix_rows ? T(1) : T(0);
      for (std::size_t i = 0; i < dim; ++i) {
        key[i] = old == T(0) ? d_key[i] : key[i] + d_key[i];
        value[i] = old == T(0) ? d_value[i] : value[i] + d_value[i];
      }
    }
  }

  std::vector<AttentionScratch<T>> scratch_;
};

}  // namespace maestro
