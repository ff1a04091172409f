#pragma once

/// @file
/// The fields of a config.json that determine what a model computes. transformers ignores a field that its class of the
/// family does not know, so such a field cannot change a result. The fields that change a result and are not
/// implemented here are a finite list, and are refused.
/// Source: PreTrainedConfig and the configurations of the families in https://github.com/huggingface/transformers.

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/io/json.hpp"

namespace maestro::detail {

/// The fields that are read.
inline constexpr std::array<std::string_view, 32> read_config_fields{"model_type",
                                                                     "architectures",
                                                                     "vocab_size",
                                                                     "hidden_size",
                                                                     "num_hidden_layers",
                                                                     "num_attention_heads",
                                                                     "num_key_value_heads",
                                                                     "head_dim",
                                                                     "intermediate_size",
                                                                     "rope_theta",
                                                                     "rope_parameters",
                                                                     "rope_scaling",
                                                                     "original_max_position_embeddings",
                                                                     "partial_rotary_factor",
                                                                     "rms_norm_eps",
                                                                     "max_position_embeddings",
                                                                     "tie_word_embeddings",
                                                                     "bos_token_id",
                                                                     "eos_token_id",
                                                                     "pad_token_id",
                                                                     "hidden_act",
                                                                     "attention_bias",
                                                                     "mlp_bias",
                                                                     "use_sliding_window",
                                                                     "sliding_window",
                                                                     "max_window_layers",
                                                                     "attention_chunk_size",
                                                                     "layer_types",
                                                                     "is_causal",
                                                                     "quantization_config",
                                                                     "dtype",
                                                                     "torch_dtype"};

/// The fields of transformers that do not change the logits of a plain forward pass: notes about the origin of a file,
/// dropout and initialization, settings of generation (which belong into generation_config.json), and heads other than
/// the causal one.
inline constexpr std::array<std::string_view, 68> silent_config_fields{"_name_or_path",
                                                                       "name_or_path",
                                                                       "transformers_version",
                                                                       "use_cache",
                                                                       "initializer_range",
                                                                       "attention_dropout",
                                                                       "sep_token_id",
                                                                       "cls_token_id",
                                                                       "unk_token_id",
                                                                       "mask_token_id",
                                                                       "decoder_start_token_id",
                                                                       "pretraining_tp",
                                                                       "_attn_implementation",
                                                                       "_attn_implementation_internal",
                                                                       "_attn_implementation_autoset",
                                                                       "attn_implementation",
                                                                       "_experts_implementation",
                                                                       "_commit_hash",
                                                                       "task_specific_params",
                                                                       "problem_type",
                                                                       "id2label",
                                                                       "label2id",
                                                                       "num_labels",
                                                                       "return_dict",
                                                                       "use_return_dict",
                                                                       "output_hidden_states",
                                                                       "output_attentions",
                                                                       "torchscript",
                                                                       "use_bfloat16",
                                                                       "tf_legacy_loss",
                                                                       "chunk_size_feed_forward",
                                                                       "pruned_heads",
                                                                       "classifier_dropout",
                                                                       "is_decoder",
                                                                       "add_cross_attention",
                                                                       "cross_attention_hidden_size",
                                                                       "tie_encoder_decoder",
                                                                       "tokenizer_class",
                                                                       "prefix",
                                                                       "finetuning_task",
                                                                       "is_llama_config",
                                                                       "do_sample",
                                                                       "temperature",
                                                                       "top_k",
                                                                       "top_p",
                                                                       "typical_p",
                                                                       "repetition_penalty",
                                                                       "length_penalty",
                                                                       "num_beams",
                                                                       "num_beam_groups",
                                                                       "num_return_sequences",
                                                                       "max_length",
                                                                       "min_length",
                                                                       "max_new_tokens",
                                                                       "early_stopping",
                                                                       "diversity_penalty",
                                                                       "no_repeat_ngram_size",
                                                                       "encoder_no_repeat_ngram_size",
                                                                       "exponential_decay_length_penalty",
                                                                       "begin_suppress_tokens",
                                                                       "suppress_tokens",
                                                                       "bad_words_ids",
                                                                       "forced_bos_token_id",
                                                                       "forced_eos_token_id",
                                                                       "remove_invalid_values",
                                                                       "output_scores",
                                                                       "return_dict_in_generate",
                                                                       "transformers.js_config"};

/// RefusedField is a field that changes the result in a way that is not implemented here.
struct RefusedField {
  const char* name;
  const char* why;
};
/// The fields that are refused if they have a value.
inline constexpr std::array<RefusedField, 9> refused_config_fields{
    {{"quantization_config", "quantized checkpoints are not implemented; use one in F32, F16 or BF16"},
     {"per_layer_config", "layers with settings of their own are not implemented"},
     {"is_encoder_decoder", "encoder-decoder models are not implemented"},
     {"fusion_config", "which replaces parts of the model; that is not implemented"},
     {"text_config", "models inside others are not implemented"},
     {"decoder", "models inside others are not implemented"},
     {"generator", "models inside others are not implemented"},
     {"kv_sharing_modes", "keys and values that layers share are not implemented"},
     {"transformers_weights", "weights in a file of another name are not implemented; rename it"}}};

/// Tells whether a value is empty: null, false, 0, or an empty list, object or text.
inline bool says_nothing(const Json& value) {
  if (value.is_null() || value == Json(false) || value == Json(0) || value == Json("")) return true;
  return value.is_structured() && value.empty();
}

/// Refuses fields that change the result and are not implemented here.
inline void refuse_unimplemented(const JsonFields& fields) {
  if (fields.has("hidden_act") && fields.text("hidden_act") != "silu" && fields.text("hidden_act") != "swish") {
    fields.unsupported("hidden_act", "which is not implemented; 'silu' is");
  }
  if (fields.number_or("partial_rotary_factor", 1.0) != 1.0) {
    fields.unsupported("partial_rotary_factor", "which is not implemented; 1 is");
  }
  if (!fields.boolean_or("is_causal", true))
    fields.unsupported("is_causal", "attention to later tokens is not implemented");
  for (const RefusedField& field : refused_config_fields) {
    if (fields.has(field.name) && !says_nothing(fields.at(field.name))) fields.unsupported(field.name, field.why);
  }
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (!fields.has(key)) continue;
    const std::string& dtype = fields.text(key);
    if (dtype != "float32" && dtype != "bfloat16" && dtype != "float16" && dtype != "float64" && dtype != "auto") {
      fields.unsupported(key, "which is not implemented; float32, float16 and bfloat16 are");
    }
  }
}

/// Gives the names of fields with a value that neither this library nor transformers reads.
inline std::vector<std::string> ignored_fields(const Json& config) {
  const auto among = [](const auto& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  std::vector<std::string> names;
  for (const auto& item : config.items()) {
    const std::string& name = item.key();
    if (says_nothing(item.value()) || among(read_config_fields, name) || among(silent_config_fields, name)) continue;
    const auto same = [&](const RefusedField& field) { return field.name == name; };
    if (std::none_of(refused_config_fields.begin(), refused_config_fields.end(), same)) names.push_back(name);
  }
  return names;
}

}  // namespace maestro::detail
