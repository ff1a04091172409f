#pragma once

/// @file
/// The configuration of a decoder-only transformer of the Llama, Mistral, Qwen2 or Qwen3 family. hub/config_json.hpp
/// reads it from a config.json.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "maestro/core/error.hpp"

namespace maestro {

/// Architecture is the family that a checkpoint belongs to. It decides the form of config.json and does not affect what
/// is computed.
enum class Architecture : std::uint8_t { llama, qwen2, qwen3, mistral };
/// QkvBias says whether the query, key and value projections add a bias.
enum class QkvBias : std::uint8_t { absent, present };
/// OutputBias says whether attention's output projection adds a bias.
enum class OutputBias : std::uint8_t { absent, present };
/// MlpBias says whether the gate, up and down projections add a bias.
enum class MlpBias : std::uint8_t { absent, present };
/// QueryKeyNorm says whether each query and key head is RMS-normalized before RoPE.
enum class QueryKeyNorm : std::uint8_t { absent, present };
/// HeadWeights says whether the LM head is the embedding matrix.
enum class HeadWeights : std::uint8_t { separate, tied };

/// RopeType says how the frequencies of RoPE are changed for contexts longer than those of pretraining (rope_type).
enum class RopeType : std::uint8_t {
  unscaled,  ///< not at all ("default")
  llama3,    ///< by wavelength, as Llama 3.1 does: rope_frequency in model/layers/rope.hpp
  linear,    ///< every pair turns `factor` times slower
  yarn       ///< by the number of turns in the old context, with larger cosines and sines
};

/// RopeScaling holds the numbers of a scaled RoPE (rope_scaling, or rope_parameters in newer files).
struct RopeScaling {
  RopeType type = RopeType::unscaled;
  double factor = 1.0;                        ///< slow pairs turn this many times slower, 1 or more
  double low_freq_factor = 1.0;               ///< llama3: pairs that turn less often in the old context are slow
  double high_freq_factor = 4.0;              ///< llama3: pairs that turn more often in it stay as they are
  std::size_t original_max_positions = 8192;  ///< llama3, yarn: the old context (original_max_position_embeddings)
  double attention_factor = 1.0;              ///< yarn: multiplies cosines and sines, above 0
  double beta_fast = 32.0;                    ///< yarn: pairs that turn this often in the old context stay as they are
  double beta_slow = 1.0;                     ///< yarn: pairs that turn this often in it, or less, are slow
  bool whole_pairs = true;                    ///< yarn: both bounds are rounded to whole pairs (truncate)

  friend bool operator==(const RopeScaling&, const RopeScaling&) = default;
};

/// RopeOptions holds everything that the angles of RoPE depend on.
struct RopeOptions {
  std::size_t head_dim = 0;
  double theta = 10000.0;
  RopeScaling scaling = {};

  friend bool operator==(const RopeOptions&, const RopeOptions&) = default;
};

/// ModelConfig holds the sizes and switches of a model. Parentheses give the names of Hugging Face where they differ.
struct ModelConfig {
  Architecture architecture = Architecture::qwen3;
  std::size_t vocabulary = 0;    ///< V (vocab_size)
  std::size_t hidden = 0;        ///< d (hidden_size)
  std::size_t layers = 0;        ///< (num_hidden_layers)
  std::size_t heads = 0;         ///< query heads (num_attention_heads)
  std::size_t kv_heads = 0;      ///< key and value heads, a divisor of heads (num_key_value_heads)
  std::size_t head_dim = 0;      ///< even; heads * head_dim need not equal hidden
  std::size_t intermediate = 0;  ///< width of the MLP (intermediate_size)
  double rope_theta = 10000.0;
  RopeScaling rope_scaling = {};
  double norm_eps = 1e-6;            ///< (rms_norm_eps)
  std::size_t max_positions = 2048;  ///< (max_position_embeddings)
  std::vector<std::size_t> windows;  ///< (layers) positions that a layer sees, its own included; empty: all of them
  QkvBias qkv_bias = QkvBias::absent;
  OutputBias output_bias = OutputBias::absent;
  MlpBias mlp_bias = MlpBias::absent;
  QueryKeyNorm query_key_norm = QueryKeyNorm::absent;
  HeadWeights head = HeadWeights::separate;  ///< (tie_word_embeddings)
  std::int32_t begin_token = -1;             ///< -1 if there is none (bos_token_id)
  std::vector<std::int32_t> end_tokens;      ///< (eos_token_id, one or several)
  std::int32_t pad_token = -1;               ///< only for other programs, which may pad; -1 if there is none

  RopeOptions rope() const { return {.head_dim = head_dim, .theta = rope_theta, .scaling = rope_scaling}; }
  /// Gives the number of columns of the query projection's result.
  std::size_t query_size() const { return heads * head_dim; }
  /// Gives the number of columns of the key projection's result, which is also that of the value projection's.
  std::size_t key_size() const { return kv_heads * head_dim; }
  /// Gives the number of columns of queries, keys and values together.
  std::size_t qkv_size() const { return query_size() + 2 * key_size(); }
  /// Gives the number of positions that a layer sees, its own included: position i sees all j <= i with i - j < window.
  /// 0 means that it sees all j <= i.
  std::size_t window(std::size_t layer) const { return windows.empty() ? 0 : windows[layer]; }
  /// Gives the number of query heads that share one key head.
  std::size_t heads_per_kv() const { return heads / kv_heads; }

  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

/// Makes a Qwen3 configuration: query and key norm, no biases, tied head.
inline ModelConfig qwen3_config(std::size_t vocabulary, std::size_t hidden, std::size_t layers, std::size_t heads,
                                std::size_t kv_heads, std::size_t head_dim, std::size_t intermediate) {
  ModelConfig config;
  config.architecture = Architecture::qwen3;
  config.vocabulary = vocabulary;
  config.hidden = hidden;
  config.layers = layers;
  config.heads = heads;
  config.kv_heads = kv_heads;
  config.head_dim = head_dim;
  config.intermediate = intermediate;
  config.query_key_norm = QueryKeyNorm::present;
  config.head = HeadWeights::tied;
  return config;
}

namespace detail {
inline void require_config(bool condition, const char* field, const std::string& rule) {
  if (!condition) throw BadArgument(std::string("model config: ") + field + " " + rule);
}

inline void check_rope_scaling(const RopeScaling& s) {
  if (s.type == RopeType::unscaled) return;
  const auto positive = [](double value, const char* field) {
    require_config(std::isfinite(value) && value > 0.0, field, "must be positive and finite");
  };
  require_config(std::isfinite(s.factor) && s.factor >= 1.0, "rope_scaling.factor", "must be 1 or more, and finite");
  if (s.type == RopeType::linear) return;
  require_config(s.original_max_positions > 0 && s.original_max_positions <= std::size_t{1} << 30,
                 "rope_scaling.original_max_positions", "must lie in 1 .. 1073741824");
  if (s.type == RopeType::yarn) {
    positive(s.attention_factor, "rope_scaling.attention_factor");
    positive(s.beta_fast, "rope_scaling.beta_fast");
    positive(s.beta_slow, "rope_scaling.beta_slow");
    return;
  }
  positive(s.low_freq_factor, "rope_scaling.low_freq_factor");
  require_config(std::isfinite(s.high_freq_factor) && s.high_freq_factor > s.low_freq_factor,
                 "rope_scaling.high_freq_factor", "must be above low_freq_factor, and finite");
}
}  // namespace detail

/// Refuses a configuration that no model can have.
/// @throws BadArgument naming the field.
inline void check(const ModelConfig& c) {
  using detail::require_config;
  // This is far above any model, and low enough that products of three sizes fit into 64 bits.
  constexpr std::size_t limit = std::size_t{1} << 20;
  const auto size = [&](std::size_t value, const char* field, std::size_t most) {
    require_config(value > 0 && value <= most, field,
                   std::string("must lie in 1 .. ") + std::to_string(most) + ", got " + std::to_string(value));
  };
  size(c.vocabulary, "vocabulary", limit * 16);
  size(c.hidden, "hidden", limit);
  size(c.layers, "layers", 4096);
  size(c.heads, "heads", 4096);
  size(c.kv_heads, "kv_heads", 4096);
  size(c.head_dim, "head_dim", 4096);
  size(c.intermediate, "intermediate", limit);
  size(c.max_positions, "max_positions", std::size_t{1} << 30);
  require_config(c.windows.empty() || c.windows.size() == c.layers, "windows", "must have one entry per layer");
  require_config(
      c.heads % c.kv_heads == 0, "kv_heads",
      std::string("(") + std::to_string(c.kv_heads) + ") must divide heads (" + std::to_string(c.heads) + ")");
  require_config(c.head_dim % 2 == 0, "head_dim",
                 std::string("must be even for RoPE, got ") + std::to_string(c.head_dim));
  require_config(std::isfinite(c.rope_theta) && c.rope_theta > 0.0, "rope_theta", "must be positive and finite");
  detail::check_rope_scaling(c.rope_scaling);
  require_config(c.rope_scaling.type != RopeType::yarn || c.rope_theta > 1.0, "rope_theta", "must be above 1 for yarn");
  require_config(std::isfinite(c.norm_eps) && c.norm_eps >= 0.0, "norm_eps", "must be non-negative and finite");
  const auto token = [&](std::int32_t id, const char* field) {
    require_config(
        id >= 0 && static_cast<std::size_t>(id) < c.vocabulary, field,
        std::string("(") + std::to_string(id) + ") must lie in the vocabulary of " + std::to_string(c.vocabulary));
  };
  if (c.begin_token != -1) token(c.begin_token, "begin_token");
  for (const std::int32_t id : c.end_tokens) token(id, "end_tokens");
  require_config(c.pad_token >= -1, "pad_token", "must be a token id, or -1 for none");
}

}  // namespace maestro
