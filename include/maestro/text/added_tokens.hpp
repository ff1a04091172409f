#pragma once

/// @file
/// Tokens that are found in the text itself before it is split: special ones such as <|im_end|>, and plain ones. Needs
/// maestro::tokenizers.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/tokenizer.hpp"
#include "maestro/text/unicode.hpp"
#include "maestro/text/utf8.hpp"
#include "maestro/text/white_space.hpp"

namespace maestro {

/// AddedToken is one entry of a tokenizer's added tokens.
struct AddedToken {
  std::int32_t id = 0;
  std::string content{};
  bool special = false;      ///< plain text never becomes it, and decoding omits it
  bool single_word = false;  ///< it counts only if no word character is beside it
  bool lstrip = false;       ///< it includes the white space before it
  bool rstrip = false;       ///< it includes the white space after it
  bool normalized = false;   ///< its normalized form is searched for in normalized text

  friend bool operator==(const AddedToken&, const AddedToken&) = default;
};

/// SpecialTokens says whether text that spells a special token is read as that token.
enum class SpecialTokens : std::uint8_t { recognized, as_text };

namespace detail {

/// TextTrie finds the longest of a set of texts at a position. It needs about 40 bytes of memory per byte of the texts.
class TextTrie {
 public:
  static constexpr std::size_t max_bytes = std::size_t{1} << 22;  ///< of all texts together

  /// Adds a text.
  /// @throws BadArgument for an empty text or one that was added before; Unsupported for too many bytes.
  void add(std::string_view text, std::size_t value) {
    require(!text.empty(), "added tokens: one is empty");
    if (nodes_.size() + text.size() > max_bytes) throw Unsupported("added tokens: more than 4194304 bytes in all");
    std::size_t node = 0;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      std::size_t child = child_of(node, byte);
      if (child == none) {
        child = nodes_.size();
        nodes_.emplace_back();
        auto& children = nodes_[node].children;
        const auto place = std::lower_bound(children.begin(), children.end(), std::pair(byte, std::size_t{0}));
        children.insert(place, {byte, child});
      }
      node = child;
    }
    if (nodes_[node].value != none) {
      throw BadArgument("added tokens: '" + std::string(text) + "' is given twice");
    }
    nodes_[node].value = value;
    starts_[static_cast<unsigned char>(text.front())] = true;
  }

  bool empty() const { return nodes_.size() == 1; }

  /// Gives the value of the longest text with which `rest` begins, and its length. The length is 0 if there is none.
  std::pair<std::size_t, std::size_t> longest(std::string_view rest) const {
    std::pair<std::size_t, std::size_t> best{none, 0};
    if (!starts_[static_cast<unsigned char>(rest.front())]) return best;
    std::size_t node = 0;
    for (std::size_t i = 0; i < rest.size(); ++i) {
      node = child_of(node, static_cast<unsigned char>(rest[i]));
      if (node == none) break;
      if (nodes_[node].value != none) best = {nodes_[node].value, i + 1};
    }
    return best;
  }

 private:
  static constexpr std::size_t none = ~std::size_t{0};

  struct Node {
    std::vector<std::pair<unsigned char, std::size_t>> children{};  // sorted
    std::size_t value = none;
  };

  std::size_t child_of(std::size_t node, unsigned char byte) const {
    const auto& children = nodes_[node].children;
    const auto place = std::lower_bound(children.begin(), children.end(), std::pair(byte, std::size_t{0}));
    return place != children.end() && place->first == byte ? place->second : none;
  }

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<bool, 256> starts_{};
};

}  // namespace detail

/// AddedTokenSearch finds added tokens as the `tokenizers` library does: the leftmost first, and the longest of those.
/// A token that is found but does not count (a special one read as text, or a part of a word) hides others that begin
/// inside it.
class AddedTokenSearch {
 public:
  /// Adds a token, which is searched for as `pattern`.
  /// @throws BadArgument for a pattern that is empty or was added before; Unsupported for too many bytes.
  void add(AddedToken token, std::string_view pattern) {
    trie_.add(pattern, tokens_.size());
    tokens_.push_back(std::move(token));
  }

  /// Appends the positions of special tokens in `text`, without the white space that they include, shifted by `offset`.
  /// The text must be valid UTF-8.
  void find_special(std::string_view text, std::size_t offset, std::vector<SpecialPlace>& places) const {
    for (std::size_t at = 0; at < text.size() && !trie_.empty();) {
      const auto [index, length] = trie_.longest(text.substr(at));
      const std::size_t begin = at;
      at += std::max<std::size_t>(length, 1);
      if (length == 0 || !tokens_[index].special) continue;
      const AddedToken& token = tokens_[index];
      if (token.single_word && inside_word(text, begin, begin + length)) continue;
      places.push_back(
          {.begin = offset + begin, .size = length, .strips_before = token.lstrip, .strips_behind = token.rstrip});
    }
  }

  /// Calls f(piece, id) for each piece of `text` in order. id is empty for a piece that is text. `text` must be valid
  /// UTF-8.
  template <class F>
  void split(std::string_view text, SpecialTokens specials, F&& f) const {
    std::size_t done = 0;
    for (std::size_t at = 0; at < text.size() && !trie_.empty();) {
      const auto [index, length] = trie_.longest(text.substr(at));
      if (length == 0) {
        ++at;
        continue;
      }
      std::size_t begin = at;
      std::size_t end = at + length;
      at = end;
      const AddedToken& token = tokens_[index];
      if (token.special && specials == SpecialTokens::as_text) continue;
      if (token.single_word && inside_word(text, begin, end)) continue;
      if (token.lstrip) begin = std::max(begin - trailing_white_space(text.substr(0, begin)), done);
      if (token.rstrip) end += leading_white_space(text.substr(end));
      end = std::max(end, begin);
      if (done < begin) f(text.substr(done, begin - done), std::optional<std::int32_t>());
      f(text.substr(begin, end - begin), std::optional(token.id));
      done = end;
    }
    if (done < text.size()) f(text.substr(done), std::optional<std::int32_t>());
  }

 private:
  static bool inside_word(std::string_view text, std::size_t begin, std::size_t end) {
    const auto word_at_end = [](std::string_view before) {
      return !before.empty() && is_word_character(before.substr(before.size() - last_code_point(before).bytes));
    };
    const auto word_at_start = [](std::string_view behind) {
      return !behind.empty() && is_word_character(behind.substr(0, first_code_point(behind).bytes));
    };
    return word_at_end(text.substr(0, begin)) || word_at_start(text.substr(end));
  }

  detail::TextTrie trie_;
  std::vector<AddedToken> tokens_;
};

}  // namespace maestro
