#pragma once

/// @file
/// Regular expressions by Oniguruma, with the engine, syntax and options of Hugging Face's `tokenizers`. Needs
/// maestro::tokenizers.

// Without this the header defines a macro UChar.
#ifndef ONIG_ESCAPE_UCHAR_COLLISION
#define ONIG_ESCAPE_UCHAR_COLLISION
#endif
#include <oniguruma.h>

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/text/utf8.hpp"

namespace maestro {

namespace detail {

inline std::string oniguruma_message(int code, OnigErrorInfo* info) {
  OnigUChar text[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int length =
      info != nullptr ? ::onig_error_code_to_str(text, code, info) : ::onig_error_code_to_str(text, code);
  return replace_invalid_utf8(
      std::string_view(reinterpret_cast<const char*>(text), length > 0 ? static_cast<std::size_t>(length) : 0));
}

inline void initialize_oniguruma() {
  static const int code = [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    return ::onig_initialize(encodings, 1);
  }();
  if (code != ONIG_NORMAL) throw Error("Oniguruma cannot start: " + oniguruma_message(code, nullptr));
}

/// OnigurumaRegion holds the position of the last match of this thread.
class OnigurumaRegion {
 public:
  OnigurumaRegion() : region_(::onig_region_new()) {
    if (region_ == nullptr) throw std::bad_alloc();
  }
  OnigurumaRegion(const OnigurumaRegion&) = delete;
  OnigurumaRegion& operator=(const OnigurumaRegion&) = delete;
  ~OnigurumaRegion() { ::onig_region_free(region_, 1); }
  OnigRegion* get() { return region_; }

 private:
  OnigRegion* region_;
};

}  // namespace detail

/// Pattern is a compiled regular expression. The object does not change after its construction. Copies share it, and
/// several threads may use it at once.
class Pattern {
 public:
  static constexpr std::size_t longest_expression = std::size_t{1} << 16;  ///< bytes

  /// Compiles an expression.
  /// @throws BadArgument with Oniguruma's message if `expression` does not compile, is not UTF-8, or is too long.
  explicit Pattern(std::string_view expression) : expression_(expression) {
    detail::initialize_oniguruma();
    if (expression.size() > longest_expression || !is_utf8(expression)) {
      throw BadArgument("a regular expression must be UTF-8 of at most " + std::to_string(longest_expression) +
                        " bytes");
    }
    const auto* begin = reinterpret_cast<const OnigUChar*>(expression_.data());
    OnigRegex regex = nullptr;
    OnigErrorInfo info{};
    const int code = ::onig_new(&regex, begin, begin + expression_.size(), ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
                                ONIG_SYNTAX_ONIGURUMA, &info);
    if (code != ONIG_NORMAL) {
      throw BadArgument("the regular expression '" + expression_.substr(0, 200) +
                        "' does not compile: " + detail::oniguruma_message(code, &info));
    }
    regex_ = {regex, [](OnigRegex r) { ::onig_free(r); }};
  }

  const std::string& expression() const { return expression_; }

  /// Calls f(begin, end) for each match in turn. Each search begins at the end of the last match. An empty match
  /// directly after the last match does not count. `text` must be valid UTF-8.
  /// @throws BadData if Oniguruma exceeds its limits, for example by endless backtracking.
  template <class F>
  void for_each_match(std::string_view text, F&& f) const {
    std::size_t from = 0;
    std::size_t last_end = std::string_view::npos;
    std::pair<std::size_t, std::size_t> match;
    while (from <= text.size() && search(text, from, match)) {
      const auto [begin, end] = match;
      if (begin == end && end == last_end) {
        std::size_t broken = 0;
        from = end < text.size() ? end + utf8_length(text.substr(end), broken) : end + 1;
        continue;
      }
      from = last_end = end;
      f(begin, end);
    }
  }

  /// Tells whether `text` contains a match.
  /// @throws BadData as for_each_match.
  bool found_in(std::string_view text) const {
    std::pair<std::size_t, std::size_t> match;
    return search(text, 0, match);
  }

 private:
  bool search(std::string_view text, std::size_t from, std::pair<std::size_t, std::size_t>& match) const {
    // The region is read before the caller goes on to another pattern, so one for each thread is enough.
    static thread_local detail::OnigurumaRegion region;
    static constexpr OnigUChar nothing = 0;
    const auto* begin = text.empty() ? &nothing : reinterpret_cast<const OnigUChar*>(text.data());
    const auto* end = begin + text.size();
    const int code = ::onig_search(regex_.get(), begin, end, begin + from, end, region.get(), ONIG_OPTION_NONE);
    if (code == ONIG_MISMATCH) return false;
    if (code < 0) {
      throw BadData("the regular expression '" + expression_.substr(0, 200) + "' gave up on a text of " +
                    std::to_string(text.size()) + " bytes: " + detail::oniguruma_message(code, nullptr));
    }
    match = {static_cast<std::size_t>(region.get()->beg[0]), static_cast<std::size_t>(region.get()->end[0])};
    return true;
  }

  std::string expression_;
  std::shared_ptr<OnigRegexType> regex_;
};

}  // namespace maestro
