#pragma once

/// @file
/// The tokens of a template. White space is handled as with trim_blocks and lstrip_blocks.

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/jinja/characters.hpp"

namespace maestro::jinja {

/// Gives the start of a message about a line of a template.
inline std::string at_line(std::size_t line) { return "chat template, line " + std::to_string(line) + ": "; }

enum class TokenKind : std::uint8_t {
  data,            ///< text outside of tags
  variable_begin,  ///< {{
  variable_end,
  block_begin,  ///< {%
  block_end,
  name,
  text,
  integer,
  real,
  symbol,  ///< an operator or a bracket
  end,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::size_t line = 1;
  std::string name{};  ///< of names and symbols
  Characters text{};   ///< of data and texts
  std::int64_t integer = 0;
  double real = 0.0;
};

namespace detail {

/// Lexer reads one template. Source: the lexer of Jinja2 3.1.
class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) read_data();
    add(TokenKind::end);
    return std::move(tokens_);
  }

 private:
  /// Replaces each line end by one \n, and removes one at the end of the text.
  static Characters normalized(std::string_view source) {
    const Characters given = to_characters(source);
    Characters text;
    text.reserve(given.size());
    for (std::size_t i = 0; i < given.size(); ++i) {
      if (given[i] == '\r' && i + 1 < given.size() && given[i + 1] == '\n') continue;
      text.push_back(given[i] == '\r' ? U'\n' : given[i]);
    }
    if (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }

  char32_t peek(std::size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : 0; }
  bool at(CharacterView text) const { return CharacterView(source_).substr(at_).starts_with(text); }
  [[noreturn]] void fail(const std::string& what) const { throw BadArgument(at_line(line_) + what); }

  Token& add(TokenKind kind) {
    tokens_.push_back({.kind = kind, .line = line_});
    return tokens_.back();
  }
  /// Advances by `count` characters, and counts lines.
  void advance(std::size_t count) {
    for (const std::size_t end = at_ + count; at_ < end; ++at_) line_ += source_[at_] == '\n';
    starts_line_ = count > 0 && source_[at_ - 1] == '\n';
  }
  void skip_space() {
    std::size_t count = 0;
    while (at_ + count < source_.size() && is_space(source_[at_ + count])) ++count;
    if (count > 0) advance(count);
  }

  /// Gives the index of the next tag.
  std::size_t next_tag() const {
    for (std::size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] == '{' && (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#')) return i;
    }
    return source_.size();
  }

  /// Adds the data up to `end`, where a tag with the given sign begins.
  void add_data(std::size_t end, char32_t sign, bool variable) {
    CharacterView text = CharacterView(source_).substr(at_, end - at_);
    if (sign == '-') {
      text = stripped(text, Ends::right);
    } else if (sign != '+' && !variable) {
      const std::size_t newline = text.rfind(U'\n');
      const std::size_t begin = newline == CharacterView::npos ? 0 : newline + 1;
      const CharacterView rest = text.substr(begin);
      const bool blank = stripped(rest, Ends::left).empty();
      if (blank && (begin > 0 || starts_line_)) text = text.substr(0, begin);
    }
    if (!text.empty()) {
      add(TokenKind::data).text = text;
    }
    if (end > at_) advance(end - at_);
  }

  void read_data() {
    const std::size_t tag = next_tag();
    if (tag == source_.size()) {
      add(TokenKind::data).text = source_.substr(at_);
      advance(tag - at_);
      return;
    }
    const char32_t type = source_[tag + 1];
    const char32_t next = tag + 2 < source_.size() ? source_[tag + 2] : 0;
    const char32_t sign = next == '-' || next == '+' ? next : 0;
    add_data(tag, sign, type == '{');
    const std::size_t begin = at_;
    if (type == '%' && read_raw_begin()) return read_raw();
    at_ = begin;
    if (type != '#') add(type == '{' ? TokenKind::variable_begin : TokenKind::block_begin);
    advance(sign == 0 ? 2 : 3);
    if (type == '#') return read_comment();
    read_tag(type == '{' ? TokenKind::variable_end : TokenKind::block_end);
  }

  void read_comment() {
    const std::size_t end = CharacterView(source_).find(U"#}", at_);
    if (end == CharacterView::npos) fail("a comment has no end #}");
    const char32_t sign = end > at_ ? source_[end - 1] : 0;
    advance(end + 2 - at_);
    after_tag(sign);
  }
  /// Handles the white space after a block or comment.
  void after_tag(char32_t sign) {
    if (sign == '-') {
      skip_space();
    } else if (sign != '+' && peek() == '\n') {
      advance(1);
    }
  }

  /// Reads `{% raw %}` if it is next, and tells whether it was.
  bool read_raw_begin() {
    at_ += 2;
    if (peek() == '-' || peek() == '+') ++at_;
    while (at_ < source_.size() && is_space(peek())) ++at_;
    if (!at(U"raw")) return false;
    at_ += 3;
    while (at_ < source_.size() && is_space(peek())) ++at_;
    const bool strips = at(U"-%}");
    if (!strips && !at(U"%}")) return false;
    at_ += strips ? 3 : 2;
    starts_line_ = false;
    if (strips) skip_space();
    return true;
  }
  void read_raw() {
    for (std::size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] != '{' || source_[i + 1] != '%') continue;
      std::size_t j = i + 2;
      const char32_t sign = j < source_.size() && (source_[j] == '-' || source_[j] == '+') ? source_[j] : 0;
      if (sign != 0) ++j;
      while (j < source_.size() && is_space(source_[j])) ++j;
      if (!CharacterView(source_).substr(j).starts_with(U"endraw")) continue;
      j += 6;
      while (j < source_.size() && is_space(source_[j])) ++j;
      const CharacterView rest = CharacterView(source_).substr(j);
      const char32_t end_sign = rest.starts_with(U"-%}") || rest.starts_with(U"+%}") ? rest.front() : 0;
      if (end_sign == 0 && !rest.starts_with(U"%}")) continue;
      add_data(i, sign, false);
      advance(j + (end_sign == 0 ? 2 : 3) - at_);
      return after_tag(end_sign);
    }
    fail("{% raw %} has no {% endraw %}");
  }

  /// Reads the end of the tag if it is next, and tells whether it was.
  bool read_tag_end(TokenKind end) {
    const bool block = end == TokenKind::block_end;
    const CharacterView closing = block ? U"%}" : U"}}";
    const char32_t sign = peek() == '-' || (block && peek() == '+') ? peek() : 0;
    if (!CharacterView(source_).substr(std::min(at_ + (sign == 0 ? 0 : 1), source_.size())).starts_with(closing)) {
      return false;
    }
    add(end);
    advance(sign == 0 ? 2 : 3);
    if (block || sign == '-') {
      after_tag(sign);
    }
    return true;
  }

  void read_tag(TokenKind end) {
    std::vector<char32_t> open;
    for (;;) {
      if (at_ >= source_.size()) {
        // What is missing is found by the parser, which knows the line of the tag.
        return;
      }
      if (open.empty() && read_tag_end(end)) return;
      const char32_t c = peek();
      if (is_space(c)) {
        skip_space();
      } else if (is_digit(c)) {
        read_number();
      } else if (is_name(c)) {
        read_name();
      } else if (c == '\'' || c == '"') {
        read_text(c);
      } else {
        read_symbol(open);
      }
    }
  }

  static bool is_name(char32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
  }
  void read_name() {
    Token& token = add(TokenKind::name);
    while (is_name(peek())) token.name.push_back(static_cast<char>(source_[at_++]));
    starts_line_ = false;
  }

  /// Reads digits, which single underscores may separate.
  std::string digits() {
    std::string text;
    while (is_digit(peek()) || (peek() == '_' && is_digit(peek(1)) && !text.empty())) {
      if (peek() != '_') text.push_back(static_cast<char>(peek()));
      ++at_;
    }
    return text;
  }
  void read_number() {
    starts_line_ = false;
    if (peek() == '0' &&
        (peek(1) == 'x' || peek(1) == 'X' || peek(1) == 'b' || peek(1) == 'B' || peek(1) == 'o' || peek(1) == 'O')) {
      throw Unsupported(at_line(line_) + "numbers in base 2, 8 and 16 are not implemented; write it in base 10");
    }
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    std::string text = digits();
    bool real = false;
    if (!after_dot && peek() == '.' && is_digit(peek(1))) {
      ++at_;
      text += "." + digits();
      real = true;
    }
    const bool exponent = peek() == 'e' || peek() == 'E';
    const std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
    if (!after_dot && exponent && is_digit(peek(1 + sign))) {
      text += 'e';
      ++at_;
      if (sign == 1) text += static_cast<char>(source_[at_++]);
      text += digits();
      real = true;
    }
    if (real) {
      add(TokenKind::real).real = std::strtod(text.c_str(), nullptr);
      return;
    }
    if (text.size() > 1 && text.front() == '0' && text.find_first_not_of('0') != std::string::npos) {
      fail("a whole number must not begin with 0");
    }
    Token& token = add(TokenKind::integer);
    const auto result = std::from_chars(text.data(), text.data() + text.size(), token.integer);
    if (result.ec != std::errc())
      throw Unsupported(at_line(line_) + "whole numbers beyond 64 bits are not implemented");
  }

  void read_symbol(std::vector<char32_t>& open) {
    static constexpr std::array<CharacterView, 26> symbols{U"//", U"**", U"==", U"!=", U">=", U"<=", U"+", U"-", U"/",
                                                           U"*",  U"%",  U"~",  U"[",  U"]",  U"(",  U")", U"{", U"}",
                                                           U">",  U"<",  U"=",  U".",  U":",  U"|",  U",", U";"};
    for (const CharacterView symbol : symbols) {
      if (!at(symbol)) continue;
      const char32_t c = symbol.front();
      if (c == '(' || c == '[' || c == '{') {
        if (open.size() >= 200) fail("brackets are nested more than 200 levels deep");
        open.push_back(c == '(' ? U')' : c == '[' ? U']' : U'}');
      } else if (c == ')' || c == ']' || c == '}') {
        if (open.empty() || open.back() != c) fail("'" + to_utf8(symbol) + "' closes nothing that is open");
        open.pop_back();
      }
      add(TokenKind::symbol).name = to_utf8(symbol);
      return advance(symbol.size());
    }
    if (peek() >= 0x80) {
      throw Unsupported(at_line(line_) + "names beyond ASCII ('" + to_utf8(CharacterView(source_).substr(at_, 1)) +
                        "') are not implemented");
    }
    fail("the character '" + to_utf8(CharacterView(source_).substr(at_, 1)) + "' does not belong into a tag");
  }

  void read_text(char32_t quote) {
    const std::size_t line = line_;
    std::size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2u : 1u;
    if (end >= source_.size()) fail("a text has no end");
    Characters text = unescaped(CharacterView(source_).substr(at_ + 1, end - at_ - 1));
    tokens_.push_back({.kind = TokenKind::text, .line = line, .text = std::move(text)});
    advance(end + 1 - at_);
  }

  /// Replaces Python's escapes.
  Characters unescaped(CharacterView text) const {
    Characters out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\' || i + 1 >= text.size()) {
        out.push_back(text[i]);
        continue;
      }
      const char32_t c = text[++i];
      static constexpr CharacterView names = U"abfnrtv\\'\"";
      static constexpr CharacterView values = U"\a\b\f\n\r\t\v\\'\"";
      const std::size_t known = names.find(c);
      const std::size_t size = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
      if (known != CharacterView::npos) {
        out.push_back(values[known]);
      } else if (c == '\n') {
        continue;
      } else if (size > 0) {
        out.push_back(code_point(text.substr(i + 1, size), size));
        i += size;
      } else if (c == 'N' || (c >= '0' && c <= '7')) {
        throw Unsupported(at_line(line_) + "the escape \\" + to_utf8(text.substr(i, 1)) +
                          " is not implemented; write the character itself, or \\u and its number");
      } else {
        out.push_back(U'\\');
        out.push_back(c);
      }
    }
    return out;
  }
  char32_t code_point(CharacterView digits, std::size_t size) const {
    std::uint32_t value = 0;
    for (const char32_t c : digits) {
      const char32_t lower = c | 0x20;
      const bool letter = lower >= 'a' && lower <= 'f';
      if (!is_digit(c) && !letter) fail("an escape needs " + std::to_string(size) + " hexadecimal digits");
      value = value * 16 + (letter ? lower - 'a' + 10 : c - '0');
    }
    if (digits.size() < size) fail("an escape needs " + std::to_string(size) + " hexadecimal digits");
    if (value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) fail("an escape names no character");
    return value;
  }

  Characters source_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  bool starts_line_ = true;
  std::vector<Token> tokens_;
};

}  // namespace detail

/// Splits a template into tokens, of which the last has kind `end`.
/// @throws BadArgument naming the line of malformed text; Unsupported naming the line of a construct that is not
///         implemented.
inline std::vector<Token> tokens_of(std::string_view source) { return detail::Lexer(source).run(); }

}  // namespace maestro::jinja
