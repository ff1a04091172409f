#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/text/byte_tokenizer.hpp"

namespace maestro::test {

/// The byte tokenizer with Llama's special tokens at 272 .. 275: that of make_chats.py.
struct LlamaBytes {
  static constexpr std::array<std::string_view, 4> names{"<|begin_of_text|>", "<|start_header_id|>",
                                                         "<|end_header_id|>", "<|eot_id|>"};
  ByteTokenizer bytes{};

  std::size_t vocabulary_size() const { return 276; }
  std::int32_t end_token() const { return 275; }
  std::int32_t special(std::string_view name) const {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == name) return 272 + static_cast<std::int32_t>(i);
    }
    return bytes.special(name);
  }
  std::vector<SpecialPlace> special_places(std::string_view text) const {
    std::vector<SpecialPlace> places = bytes.special_places(text);
    for (const std::string_view name : names) {
      for (std::size_t at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
        places.push_back({.begin = at, .size = name.size()});
      }
    }
    std::sort(places.begin(), places.end(), [](const auto& a, const auto& b) { return a.begin < b.begin; });
    return places;
  }
  std::vector<std::int32_t> encode(std::string_view text) const { return bytes.encode(text); }
  std::string decode(std::span<const std::int32_t> tokens) const {
    std::vector<std::int32_t> known;
    for (const std::int32_t id : tokens) {
      if (id < 272) known.push_back(id);
    }
    return bytes.decode(known);
  }
  /// With special tokens by their names.
  std::string spelled(std::span<const std::int32_t> tokens) const {
    std::string text;
    for (const std::int32_t id : tokens) {
      if (id >= 272) {
        text += names[static_cast<std::size_t>(id - 272)];
      } else if (id >= 256) {
        text += bytes.special_name(id);
      } else {
        text.push_back(static_cast<char>(static_cast<unsigned char>(id)));
      }
    }
    return text;
  }
};

}  // namespace maestro::test
