#pragma once

/// @file
/// A tokenizer whose type is known only at run time, such as that of a model folder.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/chat_encode.hpp"
#include "maestro/text/tokenizer.hpp"
#include "maestro/text/utf8.hpp"

namespace maestro {

/// AnyTokenizer holds a tokenizer of any type and forwards every call, so its results are those of the tokenizer
/// itself. A copy shares it and costs a pointer. The object does not change after its construction, so several threads
/// may use it at once.
///
/// Optional members of a tokenizer are forwarded if it has them. If it has no `special`, no special token is known, and
/// a chat format is refused. If it has no `begin_token`, there is no begin token.
class AnyTokenizer {
 public:
  /// Takes over a tokenizer.
  /// @param files  names and contents of the files that the tokenizer was read from. If it is empty, the tokenizer's
  ///               own `files()` are used, if it has them.
  template <Tokenizer Tok>
  requires(!std::same_as<Tok, AnyTokenizer>) explicit AnyTokenizer(Tok tokenizer,
                                                                   std::map<std::string, std::string> files = {})
      : AnyTokenizer(std::make_shared<const Held<Tok>>(std::move(tokenizer), std::move(files))) {}

  std::vector<std::int32_t> encode(std::string_view text) const { return held_->encode(text); }
  /// Encodes text that follows other tokens, by the tokenizer's encode_behind if it has one.
  std::vector<std::int32_t> encode_behind(std::string_view text) const { return held_->encode_behind(text); }
  /// Gives the bytes of the tokens, without special tokens.
  std::string decode(std::span<const std::int32_t> tokens) const { return held_->decode(tokens); }
  /// Decodes as `decode` does, with U+FFFD for bytes that are not UTF-8. The result is for people and for JSON.
  std::string decode_display(std::span<const std::int32_t> tokens) const {
    return replace_invalid_utf8(decode(tokens));
  }
  /// Decodes as `decode` does, and writes special tokens by name if the tokenizer has decode_with_special.
  std::string decode_with_special(std::span<const std::int32_t> tokens) const {
    return held_->decode_with_special(tokens);
  }
  std::size_t vocabulary_size() const { return vocabulary_size_; }
  /// Gives the largest id + 1 among the tokens that `encode` can give; vocabulary_size() if the tokenizer does not
  /// tell.
  std::size_t text_vocabulary_size() const { return held_->text_vocabulary_size(); }
  std::int32_t end_token() const { return end_token_; }
  /// Gives the token that the tokenizer's own template puts before a text; nullopt if there is none.
  std::optional<std::int32_t> begin_token() const { return held_->begin_token(); }
  /// Gives the id of a special token by its name, such as "<|im_end|>".
  /// @throws BadArgument naming a token that does not exist.
  std::int32_t special(std::string_view name) const { return held_->special(name); }
  /// Gives the positions of the special tokens that a text spells, in order.
  /// @throws BadArgument if the tokenizer has no special_places.
  std::vector<SpecialPlace> special_places(std::string_view text) const { return held_->special_places(text); }
  /// Gives names and contents of the files that the tokenizer was read from; empty if it was made otherwise.
  const std::map<std::string, std::string>& files() const { return held_->files(); }

  /// Gives the tokenizer if it is a Tok, else nullptr.
  template <Tokenizer Tok>
  const Tok* get_if() const {
    const auto* held = dynamic_cast<const Held<Tok>*>(held_.get());
    return held == nullptr ? nullptr : &held->tokenizer;
  }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;
    virtual std::string decode(std::span<const std::int32_t> tokens) const = 0;
    virtual std::vector<std::int32_t> encode_behind(std::string_view text) const = 0;
    virtual std::string decode_with_special(std::span<const std::int32_t> tokens) const = 0;
    virtual std::size_t text_vocabulary_size() const = 0;
    virtual std::optional<std::int32_t> begin_token() const = 0;
    virtual std::int32_t special(std::string_view name) const = 0;
    virtual std::vector<SpecialPlace> special_places(std::string_view text) const = 0;
    virtual std::size_t vocabulary_size() const = 0;
    virtual std::int32_t end_token() const = 0;
    virtual const std::map<std::string, std::string>& files() const = 0;
  };

  template <class Tok>
  struct Held final : Interface {
    Held(Tok made, std::map<std::string, std::string> read) : tokenizer(std::move(made)), own_files(std::move(read)) {}

    std::vector<std::int32_t> encode(std::string_view text) const override { return tokenizer.encode(text); }
    std::string decode(std::span<const std::int32_t> tokens) const override { return tokenizer.decode(tokens); }
    std::vector<std::int32_t> encode_behind(std::string_view text) const override {
      return detail::encode_behind(tokenizer, text);
    }
    std::string decode_with_special(std::span<const std::int32_t> tokens) const override {
      return detail::decode_response(tokenizer, tokens);
    }
    std::size_t text_vocabulary_size() const override { return detail::text_vocabulary_size(tokenizer); }
    std::optional<std::int32_t> begin_token() const override {
      if constexpr (requires { std::optional<std::int32_t>(tokenizer.begin_token()); }) {
        return tokenizer.begin_token();
      }
      return std::nullopt;
    }
    std::int32_t special(std::string_view name) const override {
      if constexpr (ChatTokenizer<Tok>) return static_cast<std::int32_t>(tokenizer.special(name));
      throw BadArgument("tokenizer: there is no special token '" + replace_invalid_utf8(name) +
                        "', since this tokenizer names none: it has no member special(std::string_view)");
    }
    std::vector<SpecialPlace> special_places(std::string_view text) const override {
      if constexpr (TemplateTokenizer<Tok>) return tokenizer.special_places(text);
      throw BadArgument(
          "tokenizer: a chat template needs a tokenizer that finds special tokens in a text; this one has "
          "no member special_places(std::string_view)");
    }
    std::size_t vocabulary_size() const override { return static_cast<std::size_t>(tokenizer.vocabulary_size()); }
    std::int32_t end_token() const override { return static_cast<std::int32_t>(tokenizer.end_token()); }
    const std::map<std::string, std::string>& files() const override {
      if constexpr (requires {
                      { tokenizer.files() } -> std::same_as<const std::map<std::string, std::string>&>;
                    }) {
        if (own_files.empty()) return tokenizer.files();
      }
      return own_files;
    }

    Tok tokenizer;
    std::map<std::string, std::string> own_files;
  };

  explicit AnyTokenizer(std::shared_ptr<const Interface> held)
      : held_(std::move(held)), vocabulary_size_(held_->vocabulary_size()), end_token_(held_->end_token()) {}

  std::shared_ptr<const Interface> held_;
  std::size_t vocabulary_size_;  // asked for every token of a response
  std::int32_t end_token_;
};

static_assert(ChatTokenizer<AnyTokenizer>);

}  // namespace maestro
