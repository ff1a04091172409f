#pragma once

/// @file
/// The state of a response during generation: the end of its text, for stop texts, and the tokens that it has.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace maestro {

/// StopTexts holds texts that end a response with the token that completes one of them. If there are none, no token is
/// decoded.
struct StopTexts {
  std::span<const std::string> texts{};
  std::function<std::string(std::int32_t)> text_of{};  ///< the bytes of a token; several threads call it
};

namespace detail {

/// StopWatch searches the end of a response for stop texts.
class StopWatch {
 public:
  /// Adds a token's text, and tells whether it completes a stop text.
  bool add(std::string_view text, std::span<const std::string> stops) {
    end_ += text;
    std::size_t longest = 0;
    for (const std::string& stop : stops) {
      if (end_.find(stop) != std::string::npos) return true;
      longest = std::max(longest, stop.size());
    }
    if (end_.size() >= longest) end_.erase(0, end_.size() - (longest - 1));
    return false;
  }

 private:
  std::string end_;  ///< what may be the beginning of a stop text
};

/// TokensSeen holds the distinct tokens of a text.
class TokensSeen {
 public:
  void add(std::int32_t token) {
    const auto place = static_cast<std::size_t>(token);
    if (place >= has_.size()) has_.resize(place + 1);
    if (!has_[place]) tokens_.push_back(token);
    has_[place] = true;
  }
  std::span<const std::int32_t> tokens() const { return tokens_; }

 private:
  std::vector<bool> has_;
  std::vector<std::int32_t> tokens_;
};

}  // namespace detail

}  // namespace maestro
