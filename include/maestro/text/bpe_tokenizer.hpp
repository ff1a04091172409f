#pragma once

/// @file
/// Byte-pair encoding, byte-level or of SentencePiece's kind, with the ids of Hugging Face's `tokenizers`.
/// hub/bpe_tokenizer_json.hpp reads it from a tokenizer.json. Needs maestro::tokenizers.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/added_tokens.hpp"
#include "maestro/text/byte_level.hpp"
#include "maestro/text/merges.hpp"
#include "maestro/text/metaspace.hpp"
#include "maestro/text/nfc.hpp"
#include "maestro/text/pre_tokenizer.hpp"
#include "maestro/text/tokenizer.hpp"
#include "maestro/text/utf8.hpp"
#include "maestro/text/word_cache.hpp"

namespace maestro {

/// Normalization says how a tokenizer normalizes a text before it splits it.
enum class Normalization : std::uint8_t { none, nfc };

/// WholeWords says whether a word that is itself a token is merged as any other word, or taken as that token
/// (`ignore_merges`).
enum class WholeWords : std::uint8_t { merged, taken };

/// BpeTokenizerParts holds everything that a BpeTokenizer is made of.
struct BpeTokenizerParts {
  /// Tokens and their ids. The tokens are in the byte-level alphabet, or as a SentencePiece model writes them.
  std::vector<std::pair<std::string, std::int32_t>> vocabulary{};
  std::vector<Merge> merges{};  ///< in the order of their ranks
  WholeWords whole_words = WholeWords::merged;
  std::vector<AddedToken> added_tokens{};  ///< ids follow those of the vocabulary, unless it contains the token
  Normalization normalization = Normalization::none;
  PreTokenizer pre_tokenizer{};
  std::optional<Metaspace> metaspace{};        ///< of a SentencePiece model; nullopt for byte-level BPE
  bool byte_fallback = false;                  ///< of a SentencePiece model: tokens such as <0x0A> are bytes
  std::int32_t end_token = 0;                  ///< the id of a special token
  std::optional<std::int32_t> begin_token{};   ///< the id of a special token
  std::map<std::string, std::string> files{};  ///< names and contents of the files it was read from
};

namespace detail {

enum class TokenKind : std::uint8_t { none, plain, special };

/// TokenText is the position of one token's bytes in the text of all tokens.
struct TokenText {
  std::uint32_t begin = 0;
  std::uint32_t size = 0;
  TokenKind kind = TokenKind::none;
};

/// BpeTables holds the data that the copies of a tokenizer share. Only its cache changes after its construction.
class BpeTables {
 public:
  static constexpr std::int32_t id_limit = 1 << 22;

  explicit BpeTables(BpeTokenizerParts parts) : parts_(std::move(parts)) {
    std::unordered_map<std::string_view, std::int32_t> ids;
    add_vocabulary(ids);
    add_tokens(ids);
    check_merges();
    merges_ = MergeTable(parts_.merges);
    parts_.merges = {};
    check_special(parts_.end_token, "end");
    if (parts_.begin_token) check_special(*parts_.begin_token, "begin");
    index_words();
    parts_.vocabulary = {};
  }

  const BpeTokenizerParts& parts() const { return parts_; }
  std::size_t size() const { return texts_.size(); }
  const TokenText& at(std::int32_t id) const { return texts_[static_cast<std::size_t>(id)]; }
  std::string_view bytes(std::int32_t id) const { return std::string_view(bytes_).substr(at(id).begin, at(id).size); }
  std::optional<std::int32_t> find(std::string_view word) const {
    const auto it = words_.find(word);
    return it == words_.end() ? std::nullopt : std::optional(it->second);
  }

  /// Appends the tokens of `text`, which must be valid UTF-8.
  /// @param first  whether no other text precedes it.
  void encode(std::string_view text, SpecialTokens specials, bool first, std::vector<std::int32_t>& tokens) const {
    raw_.split(text, specials, [&](std::string_view piece, std::optional<std::int32_t> id) {
      if (id) {
        tokens.push_back(*id);
      } else if (parts_.metaspace) {
        std::vector<std::int32_t> symbols;
        characters_.spell(metaspaced(*parts_.metaspace, piece, first && piece.data() == text.data()), *parts_.metaspace,
                          symbols);
        merges_.apply(symbols);
        tokens.insert(tokens.end(), symbols.begin(), symbols.end());
      } else if (parts_.normalization == Normalization::nfc && !surely_nfc(piece)) {
        encode_normalized(to_nfc(piece), specials, tokens);
      } else {
        encode_normalized(piece, specials, tokens);
      }
    });
  }

  /// Gives the positions of special tokens: those searched for in the unchanged text, and between them the others.
  std::vector<SpecialPlace> special_places(std::string_view text) const {
    std::vector<SpecialPlace> first;
    raw_.find_special(text, 0, first);
    std::vector<SpecialPlace> all;
    std::size_t done = 0;
    const auto between = [&](std::size_t end) { normalized_.find_special(text.substr(done, end - done), done, all); };
    for (const SpecialPlace& place : first) {
      between(place.begin);
      all.push_back(place);
      done = place.begin + place.size;
    }
    between(text.size());
    return all;
  }

 private:
  void set(std::int32_t id, std::string_view bytes, TokenKind kind) {
    const auto index = static_cast<std::size_t>(id);
    if (index >= texts_.size()) texts_.resize(index + 1);
    require(bytes_.size() + bytes.size() <= 0xffffffffu, "bpe tokenizer: tokens of more than 2^32 bytes in all");
    texts_[index] = {static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(bytes.size()), kind};
    bytes_ += bytes;
  }

  void add_vocabulary(std::unordered_map<std::string_view, std::int32_t>& ids) {
    byte_ids_.fill(-1);
    for (const auto& [token, id] : parts_.vocabulary) {
      if (id < 0 || id >= id_limit) {
        throw BadArgument("the id " + std::to_string(id) + " of token '" + replace_invalid_utf8(token) +
                          "' is not in 0 .. " + std::to_string(id_limit - 1));
      }
      if (!ids.emplace(token, id).second) {
        throw BadArgument("token '" + replace_invalid_utf8(token) + "' is in the vocabulary twice");
      }
      if (static_cast<std::size_t>(id) < texts_.size() && at(id).kind != TokenKind::none) {
        throw BadArgument("two tokens of the vocabulary have the id " + std::to_string(id));
      }
      if (parts_.metaspace) {
        set(id, parts_.byte_fallback || !byte_of_token(token) ? metaspace_bytes(token) : token, TokenKind::plain);
        characters_.add(token, id, parts_.byte_fallback);
        continue;
      }
      const std::optional<std::string> bytes = bytes_of_symbols(token);
      set(id, bytes ? *bytes : token, TokenKind::plain);
      if (bytes && bytes->size() == 1) byte_ids_[static_cast<unsigned char>(bytes->front())] = id;
    }
  }

  /// Gives ids to the added tokens. A token of the vocabulary keeps its id; the others are numbered after the
  /// vocabulary.
  void add_tokens(const std::unordered_map<std::string_view, std::int32_t>& ids) {
    std::unordered_set<std::string_view> seen;
    std::size_t next = parts_.vocabulary.size();
    for (const AddedToken& token : parts_.added_tokens) {
      const std::string shown = "added token '" + replace_invalid_utf8(token.content) + "'";
      if (!seen.insert(token.content).second) throw BadArgument(shown + " is given twice");
      const auto known = ids.find(token.content);
      const std::size_t id = known != ids.end() ? static_cast<std::size_t>(known->second) : next++;
      if (token.id < 0 || static_cast<std::size_t>(token.id) != id) {
        throw BadArgument(shown + " has the id " + std::to_string(token.id) + ", but its place makes it " +
                          std::to_string(id));
      }
      const bool taken = id < texts_.size() && texts_[id].kind != TokenKind::none;
      if (id >= static_cast<std::size_t>(id_limit) || (known == ids.end() && taken)) {
        throw BadArgument(shown + ": the id " + std::to_string(id) + " is taken or too large");
      }
      if (parts_.metaspace && token.normalized) {
        throw Unsupported(shown +
                          " is searched for in normalized text (normalized), which is not implemented for "
                          "SentencePiece models");
      }
      const bool normalize = token.normalized && parts_.normalization == Normalization::nfc;
      const std::string pattern = normalize ? to_nfc(token.content) : token.content;
      (token.normalized ? normalized_ : raw_).add(token, pattern);
      set(token.id, pattern, token.special ? TokenKind::special : TokenKind::plain);
    }
  }

  /// Checks that merges stay inside the vocabulary and cannot turn plain text into a special token.
  void check_merges() const {
    const auto check = [&](std::int32_t id) {
      require(id >= 0 && static_cast<std::size_t>(id) < size() && at(id).kind != TokenKind::none,
              "a merge names an id outside the vocabulary");
    };
    const auto check_result = [&](std::int32_t id) {
      if (at(id).kind != TokenKind::special) return;
      throw Unsupported("special token '" + replace_invalid_utf8(bytes(id)) +
                        "' is also a byte or the result of a merge, so that plain text could become it");
    };
    for (const Merge& merge : parts_.merges) {
      check(merge.left);
      check(merge.right);
      check(merge.result);
      check_result(merge.result);
    }
    for (const std::int32_t id : byte_ids_) {
      if (id >= 0) check_result(id);
    }
  }

  void check_special(std::int32_t id, const char* role) const {
    if (id < 0 || static_cast<std::size_t>(id) >= size() || at(id).kind != TokenKind::special) {
      throw BadArgument(std::string("the ") + role + " token, id " + std::to_string(id) + ", is no special token");
    }
  }

  /// Indexes the tokens that are spelled in the alphabet, since only these can be words.
  void index_words() {
    if (parts_.metaspace) return;
    words_.reserve(parts_.vocabulary.size());
    for (const auto& [token, id] : parts_.vocabulary) {
      const TokenText& text = at(id);
      if (bytes_of_symbols(token)) words_.emplace(std::string_view(bytes_).substr(text.begin, text.size), id);
    }
  }

  void encode_normalized(std::string_view text, SpecialTokens specials, std::vector<std::int32_t>& tokens) const {
    std::vector<std::int32_t> symbols;
    normalized_.split(text, specials, [&](std::string_view piece, std::optional<std::int32_t> id) {
      if (id) {
        tokens.push_back(*id);
      } else {
        parts_.pre_tokenizer.for_each_word(
            piece, [&](std::string_view word) { encode_word(word, specials, symbols, tokens); });
      }
    });
  }

  void encode_word(std::string_view word, SpecialTokens specials, std::vector<std::int32_t>& symbols,
                   std::vector<std::int32_t>& tokens) const {
    if (parts_.whole_words == WholeWords::taken) {
      const std::optional<std::int32_t> id = find(word);
      if (id && (specials == SpecialTokens::recognized || at(*id).kind != TokenKind::special)) {
        tokens.push_back(*id);
        return;
      }
    }
    if (cache_.append(word, tokens)) return;
    symbols.clear();
    for (const char c : word) {
      const std::int32_t id = byte_ids_[static_cast<unsigned char>(c)];
      if (id >= 0) symbols.push_back(id);
    }
    merges_.apply(symbols);
    cache_.store(word, symbols);
    tokens.insert(tokens.end(), symbols.begin(), symbols.end());
  }

  BpeTokenizerParts parts_;
  std::string bytes_;
  std::vector<TokenText> texts_;
  std::array<std::int32_t, 256> byte_ids_{};
  std::unordered_map<std::string_view, std::int32_t> words_;
  CharacterIds characters_;
  AddedTokenSearch raw_;
  AddedTokenSearch normalized_;
  MergeTable merges_;
  mutable WordCache cache_;
};

}  // namespace detail

/// BpeTokenizer applies normalization, added tokens, pre-tokenizer and merges in the order of the `tokenizers` library.
/// The object does not change after its construction. Copies share their tables, and several threads may use it at
/// once.
///
/// Text that is not UTF-8 is read with one U+FFFD for each broken sequence, as with Python's errors="replace". Bytes
/// without a token in the vocabulary are omitted, as `tokenizers` does without an unknown token.
/// decode(encode(text)) equals `text`, except for the changes that the file asks for: NFC, lstrip and rstrip, a prefix
/// space, a split that removes text. There is one deviation: an added token decodes to its own content, while
/// `tokenizers` reads content that is spelled in the byte-level alphabet (such as "\u00e9") as bytes.
class BpeTokenizer {
 public:
  static constexpr std::size_t longest_text = std::size_t{1} << 27;  ///< bytes of one text to encode

  /// Makes a tokenizer from its parts.
  /// @throws BadArgument naming a token that is not valid; Unsupported for a special token that merges can make.
  explicit BpeTokenizer(BpeTokenizerParts parts)
      : tables_(std::make_shared<const detail::BpeTables>(std::move(parts))) {}

  /// Gives the largest id + 1. Some smaller ids may have no token.
  std::size_t vocabulary_size() const { return tables_->size(); }
  /// Gives the largest id + 1 among the tokens that `encode` can give: all but special ones.
  std::size_t text_vocabulary_size() const {
    std::size_t size = vocabulary_size();
    while (size > 0 && tables_->at(static_cast<std::int32_t>(size - 1)).kind != detail::TokenKind::plain) --size;
    return size;
  }
  std::int32_t end_token() const { return tables_->parts().end_token; }
  /// Gives the token that the file's own template puts before a text, if there is one. Encoding never adds it.
  std::optional<std::int32_t> begin_token() const { return tables_->parts().begin_token; }

  /// Gives the id of a special token by its name, such as "<|im_end|>".
  /// @throws BadArgument naming a token that does not exist.
  std::int32_t special(std::string_view name) const {
    if (const std::optional<std::int32_t> id = find_special(name)) return *id;
    throw BadArgument("tokenizer: there is no special token '" + replace_invalid_utf8(name) + "'");
  }
  std::optional<std::int32_t> find_special(std::string_view name) const {
    for (const AddedToken& token : added_tokens()) {
      if (token.special && token.content == name) return token.id;
    }
    return std::nullopt;
  }
  /// Gives the positions of the special tokens that a text spells, in order. The text must be valid UTF-8.
  std::vector<SpecialPlace> special_places(std::string_view text) const { return tables_->special_places(text); }
  /// Gives the id of a token, added or not, that decodes to this text; nullopt if there is none.
  std::optional<std::int32_t> find_token(std::string_view text) const {
    for (const AddedToken& token : added_tokens()) {
      if (token.content == text) return token.id;
    }
    return tables_->find(text);
  }
  /// Lists the added tokens, special and plain, in the order of the file.
  const std::vector<AddedToken>& added_tokens() const { return tables_->parts().added_tokens; }
  /// Gives names and contents of the files that the tokenizer was read from.
  const std::map<std::string, std::string>& files() const { return tables_->parts().files; }

  /// Encodes plain text. Text that spells a special token is encoded as its characters, so an untrusted prompt cannot
  /// end a turn. Added tokens that are not special are found. The result is that of `tokenizers` with
  /// encode_special_tokens = True.
  /// @throws BadArgument for a text longer than `longest_text`; BadData if a pattern of the file exceeds its limits.
  std::vector<std::int32_t> encode(std::string_view text) const {
    return encode_as(text, SpecialTokens::as_text, true);
  }
  /// Encodes text that follows other tokens. Some SentencePiece models put a space before the first text only;
  /// otherwise the result is that of `encode`.
  std::vector<std::int32_t> encode_behind(std::string_view text) const {
    return encode_as(text, SpecialTokens::as_text, false);
  }
  /// Encodes text in which special tokens are spelled out, such as a rendered chat. The result is that of `tokenizers`
  /// with encode(text, add_special_tokens=False).
  std::vector<std::int32_t> encode_with_special(std::string_view text) const {
    return encode_as(text, SpecialTokens::recognized, true);
  }

  /// Gives the bytes of the tokens, which need not be valid UTF-8, without special tokens and ids without a token.
  /// @throws BadArgument for an id outside the vocabulary.
  std::string decode(std::span<const std::int32_t> tokens) const { return decode_as(tokens, SpecialTokens::as_text); }
  /// Decodes as `decode` does, and writes special tokens by name.
  std::string decode_with_special(std::span<const std::int32_t> tokens) const {
    return decode_as(tokens, SpecialTokens::recognized);
  }
  /// Decodes as `decode` does, with U+FFFD for bytes that are not UTF-8. The result is for people and for JSON.
  std::string decode_display(std::span<const std::int32_t> tokens) const {
    return replace_invalid_utf8(decode(tokens));
  }

 private:
  std::string decode_as(std::span<const std::int32_t> tokens, SpecialTokens specials) const {
    std::string text;
    for (const std::int32_t id : tokens) {
      if (id < 0 || static_cast<std::size_t>(id) >= vocabulary_size()) {
        throw BadArgument("tokenizer: token " + std::to_string(id) + " lies outside the vocabulary of " +
                          std::to_string(vocabulary_size()));
      }
      const detail::TokenKind kind = tables_->at(id).kind;
      const bool named = kind == detail::TokenKind::special && specials == SpecialTokens::recognized;
      if (kind == detail::TokenKind::plain || named) text += tables_->bytes(id);
    }
    const std::optional<Metaspace>& metaspace = tables_->parts().metaspace;
    if (metaspace && metaspace->decoder_strips && text.starts_with(' ')) text.erase(0, 1);
    return text;
  }
  std::vector<std::int32_t> encode_as(std::string_view text, SpecialTokens specials, bool first) const {
    require(text.size() <= longest_text, "tokenizer: a text of more than 2^27 bytes");
    std::vector<std::int32_t> tokens;
    tokens.reserve(text.size() / 3);
    if (is_utf8(text)) {
      tables_->encode(text, specials, first, tokens);
    } else {
      tables_->encode(replace_invalid_utf8(text), specials, first, tokens);
    }
    return tokens;
  }

  std::shared_ptr<const detail::BpeTables> tables_;
};

static_assert(Tokenizer<BpeTokenizer>);

}  // namespace maestro
