#pragma once

/// @file
/// The limits of a template's work.

#include <cstddef>
#include <cstdint>
#include <string>

#include "maestro/core/error.hpp"

namespace maestro::jinja {

/// Limits holds the limits of one rendering. A step is one evaluated node, four characters of a text that is made, or
/// one item.
struct Limits {
  std::size_t steps = 20'000'000;     ///< ChatTemplate adds 16 for each byte of the conversation
  std::size_t depth = 500;            ///< nesting of calls and expressions
  std::size_t characters = 1u << 24;  ///< of any one text, the result included
};

/// Budget is the remainder of the limits.
class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits), left_(limits.steps) {}

  /// Uses steps.
  /// @throws BadData if not enough are left.
  void take(std::size_t steps = 1) {
    if (steps > left_) {
      throw BadData("the template takes more than " + std::to_string(limits_.steps) +
                    " steps; it may not end, or the conversation is too long for it");
    }
    left_ -= steps;
  }
  void check_size(std::size_t characters) const {
    if (characters > limits_.characters) {
      throw BadData("a text has more than " + std::to_string(limits_.characters) +
                    " characters; shorten the conversation");
    }
  }
  /// Uses the steps of making a text of this many characters.
  /// @throws BadData if the text is too long or not enough steps are left.
  void take_text(std::size_t characters) {
    check_size(characters);
    take(characters / 4 + 1);
  }
  /// Uses the largest number of steps that a search for `part` characters in `text` characters can take.
  void take_search(std::size_t text, std::size_t part) {
    take(text / 4 + 1);
    if (part > 16) take(text / 64 * part);
  }
  void enter() {
    if (++depth_ > limits_.depth) {
      throw BadData("calls and expressions are nested more than " + std::to_string(limits_.depth) + " levels deep");
    }
  }
  void leave() { --depth_; }

 private:
  Limits limits_;
  std::size_t left_;
  std::size_t depth_ = 0;
};

}  // namespace maestro::jinja
