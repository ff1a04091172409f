#pragma once

/// @file
/// The table of a transformer's tensors. The trained and the frozen weights, the LoRA adapters, the files and the
/// memory estimate are derived from it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/parameter.hpp"
#include "maestro/model/config.hpp"

namespace maestro {

/// TensorKind is the role of a tensor in the model. The kinds stand in the order of visits.
enum class TensorKind : std::uint8_t {
  embedding,
  input_norm,
  query,
  key,
  value,
  query_bias,
  key_bias,
  value_bias,
  query_norm,
  key_norm,
  output,
  output_bias,
  post_norm,
  gate,
  up,
  gate_bias,
  up_bias,
  down,
  down_bias,
  final_norm,
  head,
};
/// The number of kinds of tensors.
inline constexpr std::size_t tensor_kinds = 21;

/// TensorInit says how a tensor is initialized in a new model.
enum class TensorInit : std::uint8_t {
  normal,    ///< standard deviation 0.02
  residual,  ///< standard deviation 0.02 / sqrt(2 layers), for projections that add to the residual stream
  ones,
  zeros,
};

namespace detail {

/// TensorSide lists the sizes that the rows or columns of a tensor can have.
enum class TensorSide : std::uint8_t { one, vocabulary, hidden, query, key, head, intermediate };
/// TensorPresence says which configurations have a tensor.
enum class TensorPresence : std::uint8_t {
  always,
  with_qkv_bias,
  with_output_bias,
  with_mlp_bias,
  with_query_key_norm,
  with_separate_head
};
/// TensorPlace says where a tensor is stored. A tensor that continues follows the one before it without a gap, so that
/// one product computes both.
enum class TensorPlace : std::uint8_t { begins, continues };

/// TensorRow is a row of the table. `name` is the name in Hugging Face checkpoints, without the prefix of the layer if
/// the tensor belongs to a layer.
struct TensorRow {
  TensorKind kind;
  std::string_view name;
  TensorSide rows;
  TensorSide cols;
  TensorInit init;
  WeightDecay decay;
  TensorPlace place;
  TensorPresence presence = TensorPresence::always;
};

/// The table is indexed by TensorKind. Matrices are (out x in); vectors have one row.
inline constexpr std::array<TensorRow, tensor_kinds> tensor_table = [] {
  using enum TensorKind;
  using enum TensorInit;
  using enum TensorPlace;
  using enum TensorPresence;
  using Side = TensorSide;
  constexpr WeightDecay apply = WeightDecay::apply;
  constexpr WeightDecay skip = WeightDecay::skip;
  return std::array<TensorRow, tensor_kinds>{{
      {embedding, "model.embed_tokens.weight", Side::vocabulary, Side::hidden, normal, apply, begins},
      {input_norm, "input_layernorm.weight", Side::one, Side::hidden, ones, skip, begins},
      {query, "self_attn.q_proj.weight", Side::query, Side::hidden, normal, apply, begins},
      {key, "self_attn.k_proj.weight", Side::key, Side::hidden, normal, apply, continues},
      {value, "self_attn.v_proj.weight", Side::key, Side::hidden, normal, apply, continues},
      {query_bias, "self_attn.q_proj.bias", Side::one, Side::query, zeros, skip, begins, with_qkv_bias},
      {key_bias, "self_attn.k_proj.bias", Side::one, Side::key, zeros, skip, continues, with_qkv_bias},
      {value_bias, "self_attn.v_proj.bias", Side::one, Side::key, zeros, skip, continues, with_qkv_bias},
      {query_norm, "self_attn.q_norm.weight", Side::one, Side::head, ones, skip, begins, with_query_key_norm},
      {key_norm, "self_attn.k_norm.weight", Side::one, Side::head, ones, skip, begins, with_query_key_norm},
      {output, "self_attn.o_proj.weight", Side::hidden, Side::query, residual, apply, begins},
      {output_bias, "self_attn.o_proj.bias", Side::one, Side::hidden, zeros, skip, begins, with_output_bias},
      {post_norm, "post_attention_layernorm.weight", Side::one, Side::hidden, ones, skip, begins},
      {gate, "mlp.gate_proj.weight", Side::intermediate, Side::hidden, normal, apply, begins},
      {up, "mlp.up_proj.weight", Side::intermediate, Side::hidden, normal, apply, continues},
      {gate_bias, "mlp.gate_proj.bias", Side::one, Side::intermediate, zeros, skip, begins, with_mlp_bias},
      {up_bias, "mlp.up_proj.bias", Side::one, Side::intermediate, zeros, skip, continues, with_mlp_bias},
      {down, "mlp.down_proj.weight", Side::hidden, Side::intermediate, residual, apply, begins},
      {down_bias, "mlp.down_proj.bias", Side::one, Side::hidden, zeros, skip, begins, with_mlp_bias},
      {final_norm, "model.norm.weight", Side::one, Side::hidden, ones, skip, begins},
      {head, "lm_head.weight", Side::vocabulary, Side::hidden, normal, apply, begins, with_separate_head},
  }};
}();

constexpr const TensorRow& table_row(TensorKind kind) { return tensor_table[static_cast<std::size_t>(kind)]; }

inline std::size_t side(const ModelConfig& c, TensorSide side) {
  switch (side) {
    case TensorSide::one:
      return 1;
    case TensorSide::vocabulary:
      return c.vocabulary;
    case TensorSide::hidden:
      return c.hidden;
    case TensorSide::query:
      return c.query_size();
    case TensorSide::key:
      return c.key_size();
    case TensorSide::head:
      return c.head_dim;
    case TensorSide::intermediate:
      break;
  }
  return c.intermediate;
}

inline bool is_present(const ModelConfig& c, TensorPresence presence) {
  switch (presence) {
    case TensorPresence::always:
      return true;
    case TensorPresence::with_qkv_bias:
      return c.qkv_bias == QkvBias::present;
    case TensorPresence::with_output_bias:
      return c.output_bias == OutputBias::present;
    case TensorPresence::with_mlp_bias:
      return c.mlp_bias == MlpBias::present;
    case TensorPresence::with_query_key_norm:
      return c.query_key_norm == QueryKeyNorm::present;
    case TensorPresence::with_separate_head:
      break;
  }
  return c.head == HeadWeights::separate;
}

}  // namespace detail

/// Gives the name of a tensor in checkpoints. For a tensor of a layer, this is the part after "model.layers.N.".
constexpr std::string_view tensor_name(TensorKind kind) { return detail::table_row(kind).name; }
/// Tells whether tensors of this kind belong to a layer.
constexpr bool is_in_layer(TensorKind kind) { return kind > TensorKind::embedding && kind < TensorKind::final_norm; }
/// Tells whether a tensor is a matrix. Norms and biases are vectors; all other tensors are matrices.
constexpr bool is_matrix(TensorKind kind) { return detail::table_row(kind).rows != detail::TensorSide::one; }

/// TensorSpec describes one tensor of a model. It is an entry of ModelLayout.
struct TensorSpec {
  std::string name{};  ///< in checkpoints
  TensorKind kind = TensorKind::embedding;
  std::size_t layer = 0;  ///< 0 outside the layers
  std::size_t rows = 1;   ///< outputs of a matrix; 1 for a vector
  std::size_t cols = 1;   ///< inputs of a matrix; the length of a vector
  TensorInit init = TensorInit::normal;
  WeightDecay decay = WeightDecay::apply;

  std::size_t size() const { return rows * cols; }
  /// Gives the shape that checkpoints store: one size for a vector, two for a matrix.
  std::vector<std::size_t> shape() const {
    return is_matrix(kind) ? std::vector<std::size_t>{rows, cols} : std::vector<std::size_t>{cols};
  }

  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};

/// ModelLayout lists the tensors of a model in the order in which they are visited, initialized and written. It depends
/// only on the configuration.
class ModelLayout {
 public:
  ModelLayout() = default;
  /// Lists the tensors of `config`.
  /// @throws BadArgument if the configuration is not valid.
  explicit ModelLayout(const ModelConfig& config) {
    check(config);
    add(config, TensorKind::embedding, {}, 0);
    for (std::size_t l = 0; l < config.layers; ++l) {
      const std::string prefix = "model.layers." + std::to_string(l) + ".";
      for (const detail::TensorRow& row : detail::tensor_table) {
        if (is_in_layer(row.kind)) add(config, row.kind, prefix, l);
      }
    }
    add(config, TensorKind::final_norm, {}, 0);
    add(config, TensorKind::head, {}, 0);
  }

  /// Gives all entries. A tied head has no entry, since it is the embedding.
  std::span<const TensorSpec> tensors() const& { return tensors_; }
  std::span<const TensorSpec> tensors() const&& = delete;  // the entries would be gone
  const TensorSpec& operator[](std::size_t index) const { return tensors_[index]; }
  std::size_t size() const { return tensors_.size(); }

  /// Gives the number of values in all matrices.
  std::size_t matrix_parameters() const { return count(true); }
  /// Gives the number of values in all norms and biases.
  std::size_t vector_parameters() const { return count(false); }
  std::size_t parameters() const { return matrix_parameters() + vector_parameters(); }

  /// Calls f(first, last) for each run [first, last) of entries that are stored as one matrix or vector: query, key and
  /// value; gate and up; the biases of each; and every other tensor by itself.
  template <class F>
  void for_each_block(F&& f) const {
    for (std::size_t first = 0; first < size();) {
      std::size_t last = first + 1;
      while (last < size() && detail::table_row(tensors_[last].kind).place == detail::TensorPlace::continues) ++last;
      f(first, last);
      first = last;
    }
  }
  /// Gives the number of outputs of the matrix of a block, or the length of its vector.
  std::size_t block_outputs(std::size_t first, std::size_t last) const {
    std::size_t outputs = 0;
    for (std::size_t i = first; i < last; ++i)
      outputs += is_matrix(tensors_[i].kind) ? tensors_[i].rows : tensors_[i].cols;
    return outputs;
  }

  friend bool operator==(const ModelLayout&, const ModelLayout&) = default;

 private:
  void add(const ModelConfig& config, TensorKind kind, const std::string& prefix, std::size_t layer) {
    const detail::TensorRow& row = detail::table_row(kind);
    if (!detail::is_present(config, row.presence)) return;
    tensors_.push_back({.name = prefix + std::string(row.name),
                        .kind = kind,
                        .layer = layer,
                        .rows = detail::side(config, row.rows),
                        .cols = detail::side(config, row.cols),
                        .init = row.init,
                        .decay = row.decay});
  }
  std::size_t count(bool matrices) const {
    std::size_t values = 0;
    for (const TensorSpec& tensor : tensors_) values += is_matrix(tensor.kind) == matrices ? tensor.size() : 0;
    return values;
  }

  std::vector<TensorSpec> tensors_;
};

}  // namespace maestro
