#pragma once

/// @file
/// Floating-point operations of matrix products and attention, a multiplication and an addition counted as two.
/// Norms, softmax, activations and the optimizer are left out. peers/flops.py mirrors this file for the peers.

#include <cstddef>
#include <vector>

#include "maestro/model/config.hpp"
#include "maestro/model/packed_batch.hpp"

namespace maestro::bench {

/// Parameters of the layers' matrices: each row of a forward pass meets each of them once.
inline double layer_parameters(const ModelConfig& c) {
  const std::size_t attention = c.hidden * (c.qkv_size() + c.query_size());
  return static_cast<double>(c.layers * (attention + 3 * c.hidden * c.intermediate));
}

inline double head_parameters(const ModelConfig& c) { return static_cast<double>(c.vocabulary * c.hidden); }

/// Pairs of a row and a row that it sees.
inline double attention_pairs(const PackedBatch& batch) {
  std::size_t pairs = 0;
  for (const Segment& s : batch.segments()) pairs += s.rows * s.prefix_rows + s.rows * (s.rows + 1) / 2;
  return static_cast<double>(pairs);
}

/// Operations for one pair, in all layers and heads: a product of queries with keys and one with values.
inline double pair_flops(const ModelConfig& c) { return static_cast<double>(4 * c.layers * c.query_size()); }

/// Rows of the head: the distinct predictors.
inline double head_rows(const PackedBatch& batch) {
  std::vector<bool> seen(batch.rows(), false);
  std::size_t count = 0;
  for (const std::size_t row : batch.predictors()) {
    if (!seen[row]) ++count;
    seen[row] = true;
  }
  return static_cast<double>(count);
}

/// Forward and backward through the layers: 2 + 4 per row and parameter; 2 products forward and 5 backward per pair
/// (the scores are computed again).
inline double layer_training_flops(const ModelConfig& c, const PackedBatch& batch) {
  return 6.0 * static_cast<double>(batch.rows()) * layer_parameters(c) + 3.5 * pair_flops(c) * attention_pairs(batch);
}

/// And through the head: logits forward, again backward, and two gradients.
inline double training_flops(const ModelConfig& c, const PackedBatch& batch) {
  return layer_training_flops(c, batch) + 8.0 * head_rows(batch) * head_parameters(c);
}

/// The same where only adapters with `factors` parameters are trained: no gradients of the frozen weights, and 8 per
/// row and parameter of an adapter (x A' is computed again).
inline double lora_training_flops(const ModelConfig& c, const PackedBatch& batch, double factors) {
  const auto rows = static_cast<double>(batch.rows());
  return training_flops(c, batch) - 2.0 * rows * layer_parameters(c) - 2.0 * head_rows(batch) * head_parameters(c) +
         8.0 * rows * factors;
}

/// Prefill of each prompt once, then `response` steps of all sequences, each over the keys before it.
inline double generation_flops(const ModelConfig& c, std::size_t groups, std::size_t generations, std::size_t prompt,
                               std::size_t response) {
  const auto p = static_cast<double>(prompt);
  const auto r = static_cast<double>(response);
  const auto sequences = static_cast<double>(groups * generations);
  const double prefill =
      static_cast<double>(groups) * (2.0 * p * layer_parameters(c) + pair_flops(c) * p * (p + 1) / 2);
  const double steps = sequences * (2.0 * r * layer_parameters(c) + pair_flops(c) * (r * p + r * (r + 1) / 2));
  const double heads = static_cast<double>(groups) + sequences * (r - 1);
  return prefill + steps + 2.0 * heads * head_parameters(c);
}

}  // namespace maestro::bench
