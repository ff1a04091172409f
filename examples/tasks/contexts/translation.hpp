#pragma once

/// @file
/// Family `translation`: two words from one invented language, Zul, into another, Kem.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "manner.hpp"

namespace maestro::examples::contexts {

/// Word for word. The systematic mistake is a false friend: the Kem word that sounds like the second Zul word.
struct Translation {
  static constexpr std::string_view task = "translation";
  static constexpr Wanted wanted{.tags = true, .steps = false, .sure = true, .warm = false};
  struct Word {
    std::string_view zul, kem, friend_of;
  };
  static constexpr Word words[] = {
      {"mako", "bilu", "maki"}, {"tere", "sanu", "teri"}, {"golu", "dife", "gola"}, {"pise", "havo", "pisa"},
      {"raku", "nemi", "rako"}, {"vani", "toju", "vane"}, {"liso", "wagu", "lisa"}, {"kebo", "fure", "keba"},
      {"duma", "jelo", "dumo"}, {"sefi", "poka", "sefu"}, {"nolo", "zavi", "nola"}, {"hitu", "gome", "hita"},
      {"bawe", "ludi", "bawo"}, {"fojo", "kise", "foja"}, {"juni", "rabe", "june"}, {"wela", "mufo", "welo"}};

  std::size_t word[2] = {0, 0};

  static Translation draw(Draws& draws) {
    Translation exercise;
    draw_different(exercise.word, std::size(words), draws);
    return exercise;
  }

  std::string content() const { return std::string(task) + text(); }
  std::string text() const {
    return "Zul to Kem: " + std::string(words[word[0]].zul) + " " + std::string(words[word[1]].zul);
  }
  std::string reference() const { return rendered(true); }
  nlohmann::json facts() const { return {{"kem", rendered(true)}}; }
  Parts parts(bool right, Draws&) const {
    return {rendered(right), "first one word, then the next, so it stands because they say so"};
  }

 private:
  std::string rendered(bool right) const {
    const Word& last = words[word[1]];
    return std::string(words[word[0]].kem) + " " + std::string(right ? last.kem : last.friend_of);
  }
};

}  // namespace maestro::examples::contexts
