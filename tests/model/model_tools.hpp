#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/random.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/data/ragged.hpp"
#include "maestro/gemm/native.hpp"
#include "maestro/model/packed_batch.hpp"
#include "maestro/model/transformer.hpp"

namespace maestro_test {

using namespace maestro;

inline ModelConfig small_config(Architecture architecture) {
  ModelConfig c = qwen3_config(19, 10, 2, 4, 2, 6, 14);
  c.architecture = architecture;
  c.norm_eps = 1e-3;
  if (architecture == Architecture::qwen2) c.qkv_bias = QkvBias::present;
  if (architecture != Architecture::qwen3) c.query_key_norm = QueryKeyNorm::absent;
  if (architecture == Architecture::llama) {
    c.head = HeadWeights::separate;
    c.kv_heads = 1;
    c.head_dim = 18;  // not a multiple of the tile
  }
  return c;
}

/// Every parameter random: weights sd 0.3, biases sd 0.5, norms 1 +- 0.3.
template <class T>
ModelWeights<T> random_weights(const ModelConfig& config, std::uint64_t seed) {
  ModelWeights<T> weights(config);
  std::uint32_t which = 0;
  weights.visit([&](ParameterView<T> p) {
    const RandomStream stream({.seed = seed, .row = which++});
    const bool norm = p.name.find("norm") != std::string_view::npos;
    const bool bias = p.name.find("bias") != std::string_view::npos;
    for (std::size_t i = 0; i < p.values.size(); ++i) {
      const double z = stream.normal(static_cast<std::uint32_t>(i));
      p.values[i] = static_cast<T>(norm ? 1.0 + 0.3 * z : (bias ? 0.5 : 0.3) * z);
    }
  });
  return weights;
}

struct Tokens {
  Ragged<std::int32_t> prompts;
  Ragged<std::int32_t> responses;
  Groups groups;
};

/// Groups with the given response lengths, prompts of the given lengths.
inline Tokens random_tokens(const std::vector<std::size_t>& prompts,
                            const std::vector<std::vector<std::size_t>>& responses, std::size_t vocabulary) {
  Tokens tokens;
  const RandomStream stream({.seed = 5});
  std::uint32_t position = 0;
  const auto make = [&](std::size_t length) {
    std::vector<std::int32_t> row(length);
    for (std::int32_t& id : row) id = static_cast<std::int32_t>(stream.below(vocabulary, position++));
    return row;
  };
  std::vector<std::size_t> sizes;
  for (std::size_t g = 0; g < prompts.size(); ++g) {
    tokens.prompts.push_row(make(prompts[g]));
    for (const std::size_t length : responses[g]) tokens.responses.push_row(make(length));
    sizes.push_back(responses[g].size());
  }
  tokens.groups = Groups::from_sizes(sizes);
  return tokens;
}

/// A fixed direction: sum over targets and terminal rows of c . hidden, the rows of any layout weighted alike.
template <class T>
void direction(const PackedBatch& batch, std::size_t d, Matrix<T>& out) {
  out.assign(batch.rows(), d, T(0));
  const RandomStream stream({.seed = 77});
  std::uint32_t position = 0;
  for (const std::size_t row : batch.predictors()) {
    for (std::size_t k = 0; k < d; ++k) out(row, k) += static_cast<T>(stream.normal(position++));
  }
  for (const std::size_t row : batch.terminal_rows()) {
    for (std::size_t k = 0; k < d; ++k) out(row, k) += static_cast<T>(stream.normal(position++));
  }
}

template <class T>
double objective(MatrixView<const T> hidden, const Matrix<T>& direction) {
  double sum = 0.0;
  for (std::size_t i = 0; i < direction.flat().size(); ++i) {
    sum += static_cast<double>(hidden.data()[i]) * static_cast<double>(direction.flat()[i]);
  }
  return sum;
}

/// max |a - b| / max |b|.
template <class A, class B>
double relative_gap(const A& a, const B& b) {
  double gap = 0.0;
  double most = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    gap = std::max(gap, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    most = std::max(most, std::abs(static_cast<double>(b[i])));
  }
  return most > 0.0 ? gap / most : gap;
}

/// Prompts of odd lengths with one to three responses.
inline PackedBatch odd_batch(const ModelConfig& config) {
  const Tokens tokens = random_tokens({5, 3, 1, 2}, {{4, 0, 1}, {3}, {2, 6}, {0}}, config.vocabulary);
  PackedBatch batch;
  batch.pack(tokens.prompts, tokens.responses, tokens.groups, 0, 4, {.last_token = LastToken::feed});
  return batch;
}

/// The final hidden states of a pass.
template <class T, class Weights>
Matrix<T> hidden_of(const Weights& weights, const PackedBatch& batch) {
  TransformerWorkspace<T> ws;
  Transformer<T, NativeBackend>::forward(weights, batch, ws);
  return ws.hidden;
}

/// The gradients of a pass against one fixed direction.
template <class T, class Weights>
typename Weights::Gradients gradients_of(const Weights& weights, const PackedBatch& batch, Keep keep) {
  TransformerWorkspace<T> ws;
  Matrix<T> d_hidden;
  direction(batch, weights.config().hidden, d_hidden);
  Transformer<T, NativeBackend>::forward(weights, batch, ws, keep);
  auto gradients = weights.make_gradients();
  Transformer<T, NativeBackend>::backward(weights, batch, ws, d_hidden, gradients);
  return gradients;
}

/// All values of a visitable's gradients.
template <class Weights>
auto flat_gradients(Weights weights, typename Weights::Gradients gradients) {
  std::vector<double> all;
  weights.visit(gradients, [&](auto p) { all.insert(all.end(), p.gradients.begin(), p.gradients.end()); });
  return all;
}

template <class T>
bool same_bits(const Matrix<T>& a, const Matrix<T>& b) {
  return std::ranges::equal(a.flat(), b.flat());
}

}  // namespace maestro_test
