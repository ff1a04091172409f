#pragma once

/// @file
/// Caches of keys and values. That of a prompt is written once and read by all its responses; that of a response grows
/// token by token. Keys are stored transposed (D x tokens), so that one tile product gives the scores of many keys.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/ragged.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/layers/attention.hpp"
#include "maestro/model/layers/tile_product.hpp"

namespace maestro {

/// PromptCache holds the keys and values of N prompts of known lengths, in one allocation.
template <class T>
class PromptCache {
 public:
  void reset(const ModelConfig& config, const Ragged<std::int32_t>& prompts) {
    dim_ = config.head_dim;
    heads_ = config.kv_heads;
    query_size_ = config.query_size();
    lengths_.clear();
    begins_.clear();
    std::size_t size = 0;
    for (std::size_t n = 0; n < prompts.rows(); ++n) {
      lengths_.push_back(prompts.length(n));
      begins_.push_back(size);
      size += config.layers * heads_ * head_size(n);
    }
    values_.assign(size, T(0));
  }

  std::size_t length(std::size_t prompt) const { return lengths_[prompt]; }
  /// Gives the number of columns of keys().
  std::size_t padded(std::size_t prompt) const { return padded_cols<T>(lengths_[prompt]); }
  /// Gives the keys of one head, (D x padded).
  const T* keys(std::size_t layer, std::size_t prompt, std::size_t head) const {
    return values_.data() + begins_[prompt] + (layer * heads_ + head) * head_size(prompt);
  }
  /// Gives the values of one head, (length x padded D).
  const T* values(std::size_t layer, std::size_t prompt, std::size_t head) const {
    return keys(layer, prompt, head) + dim_ * padded(prompt);
  }

  /// Copies keys and values from the prompt's rows of qkv (length x (H + 2 Hkv) D). Different prompts may be stored in
  /// parallel.
  void store(std::size_t layer, std::size_t prompt, MatrixView<const T> qkv) {
    const std::size_t stride = padded(prompt);
    for (std::size_t head = 0; head < heads_; ++head) {
      T* const to_keys = values_.data() + begins_[prompt] + (layer * heads_ + head) * head_size(prompt);
      T* const to_values = to_keys + dim_ * stride;
      for (std::size_t j = 0; j < qkv.rows(); ++j) {
        const T* const key = qkv.row(j).data() + query_size_ + head * dim_;
        for (std::size_t i = 0; i < dim_; ++i) to_keys[i * stride + j] = key[i];
        std::copy_n(key + heads_ * dim_, dim_, to_values + j * padded_cols<T>(dim_));
      }
    }
  }

 private:
  std::size_t head_size(std::size_t prompt) const {
    return dim_ * padded(prompt) + lengths_[prompt] * padded_cols<T>(dim_);
  }

  std::size_t dim_ = 0;
  std::size_t heads_ = 0;
  std::size_t query_size_ = 0;
  std::vector<std::size_t> lengths_;
  std::vector<std::size_t> begins_;
  AlignedVector<T> values_;
};

/// TailCache holds the keys and values of B responses in blocks of attention_stretch tokens. Its memory grows with the
/// tokens that exist and does not depend on the length limit. Blocks of released responses are used again.
template <class T>
class TailCache {
 public:
  static constexpr std::size_t block_tokens = attention_stretch;

  /// Removes all responses, and keeps the allocated blocks if their size fits the configuration.
  void reset(const ModelConfig& config, std::size_t responses) {
    const std::size_t dim_padded = padded_cols<T>(config.head_dim);
    const std::size_t head_size = block_tokens * (config.head_dim + dim_padded);
    const std::size_t size = config.layers * config.kv_heads * head_size;
    if (size != block_size_ || config.head_dim != dim_ || config.kv_heads != heads_) blocks_.clear();
    dim_ = config.head_dim;
    dim_padded_ = dim_padded;
    heads_ = config.kv_heads;
    head_size_ = head_size;
    block_size_ = size;
    free_.clear();
    for (std::size_t b = blocks_.size(); b-- > 0;) free_.push_back(b);
    lengths_.assign(responses, 0);
    if (owned_.size() < responses) owned_.resize(responses);
    for (std::vector<std::size_t>& list : owned_) list.clear();
  }

  std::size_t length(std::size_t response) const { return lengths_[response]; }
  /// Gives the number of score columns that the response's blocks occupy.
  std::size_t padded(std::size_t response) const { return owned_[response].size() * block_tokens; }
  std::size_t blocks() const { return blocks_.size(); }

  /// Adds one token to the response. `store` must then write its key and value for every layer and head. It must not be
  /// called in parallel.
  void extend(std::size_t response) {
    if (lengths_[response] % block_tokens == 0) {
      if (free_.empty()) {
        free_.push_back(blocks_.size());
        blocks_.emplace_back(block_size_, T(0));
      }
      owned_[response].push_back(free_.back());
      free_.pop_back();
    }
    ++lengths_[response];
  }
  /// Writes the key and the value (D each) of the response's last token.
  void store(std::size_t layer, std::size_t head, std::size_t response, const T* key, const T* value) {
    const std::size_t token = lengths_[response] - 1;
    const std::size_t column = token % block_tokens;
    T* const to = block(layer, head, response, token / block_tokens);
    for (std::size_t i = 0; i < dim_; ++i) to[i * block_tokens + column] = key[i];
    std::copy_n(value, dim_, to + dim_ * block_tokens + column * dim_padded_);
  }
  /// Calls body(first token, tokens, keys (D x block_tokens), values (tokens x padded D)) for each block.
  template <class Body>
  void for_blocks(std::size_t layer, std::size_t head, std::size_t response, const Body& body) {
    for (std::size_t first = 0; first < lengths_[response]; first += block_tokens) {
      const T* const keys = block(layer, head, response, first / block_tokens);
      body(first, std::min(block_tokens, lengths_[response] - first), keys, keys + dim_ * block_tokens);
    }
  }
  void release(std::size_t response) {
    for (const std::size_t b : owned_[response]) free_.push_back(b);
    owned_[response].clear();
    lengths_[response] = 0;
  }

 private:
  T* block(std::size_t layer, std::size_t head, std::size_t response, std::size_t index) {
    return blocks_[owned_[response][index]].data() + (layer * heads_ + head) * head_size_;
  }

  std::size_t dim_ = 0;
  std::size_t dim_padded_ = 0;
  std::size_t heads_ = 0;
  std::size_t head_size_ = 0;
  std::size_t block_size_ = 0;
  std::vector<AlignedVector<T>> blocks_;
  std::vector<std::size_t> free_;
  std::vector<std::vector<std::size_t>> owned_;  ///< blocks of each response
  std::vector<std::size_t> lengths_;
};

}  // namespace maestro
