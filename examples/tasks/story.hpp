#pragma once

/// @file
/// Family `story`: two or three sentences about a hero with an object, a place, or both.

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "draws.hpp"
#include "faults.hpp"
#include "maestro/data/prompt.hpp"

namespace maestro::examples {

/// What a story has to be about, and how long.
struct Story {
  static constexpr std::string_view task = "story";
  static constexpr std::string_view heroes[] = {"fox",  "cat",   "dog",  "bear", "owl",  "duck",  "hen",  "goat",
                                                "frog", "mouse", "girl", "boy",  "king", "queen", "wolf", "sheep",
                                                "bird", "horse", "pig",  "rat",  "cook", "witch", "crab", "ant"};
  static constexpr std::string_view objects[] = {"lamp", "hat",  "key",  "drum", "map",  "bell", "boat",  "kite",
                                                 "book", "coin", "cake", "rope", "ball", "cup",  "rose",  "shoe",
                                                 "ring", "sack", "pie",  "egg",  "pen",  "box",  "stone", "leaf"};
  static constexpr std::string_view places[] = {"barn", "cave",  "wood", "garden", "town",  "castle",
                                                "park", "field", "mill", "tower",  "house", "tent"};

  std::string_view hero;
  std::string_view object;  ///< empty: none
  std::string_view place;   ///< empty: none
  std::size_t fewest = 2;   ///< sentences
  std::size_t most = 2;
  std::size_t wording = 0;

  static Story draw(Draws& draws) {
    Story story;
    story.hero = draws.pick(heroes);
    const double kind = draws.uniform();
    if (kind < 0.75) story.object = draws.pick(objects);
    if (kind > 0.50) story.place = draws.pick(places);
    story.fewest = draws.chance(0.65) ? 2 : 3;
    story.most = draws.chance(0.4) ? 3 : story.fewest;
    story.wording = draws.below(5);
    return story;
  }

  /// The same for every length and wording.
  std::string content() const {
    return std::string(task) + " " + std::string(hero) + " " + std::string(object) + " " + std::string(place);
  }

  std::string count() const {
    return fewest == most ? std::to_string(fewest) : std::to_string(fewest) + " or " + std::to_string(most);
  }

  /// `reference` keys the draws of the reference story.
  Prompt prompt(Draws reference) const {
    static constexpr std::string_view forms[] = {"Write # sentences about @.", "Tell a story of # sentences about @.",
                                                 "Give me # sentences on @.", "A tale of # sentences, please: @.",
                                                 "Make up # sentences with @."};
    std::string topic = with_article(hero);
    nlohmann::json metadata{{"hero", hero}, {"sentences", {fewest, most}}};
    if (!object.empty()) {
      topic += " and " + with_article(object);
      metadata["object"] = object;
    }
    if (!place.empty()) {
      topic += " in a " + std::string(place);
      metadata["place"] = place;
    }
    Prompt prompt;
    prompt.text = with(with(std::string(forms[wording]), "#", count()), "@", topic) + "\n";
    prompt.reference = joined(sentences(fewest, *this, reference));
    prompt.task = std::string(task);
    prompt.metadata = metadata.dump();
    return prompt;
  }

  /// A response with the faults that fall to it.
  std::string respond(const Faults& faults, Flaws& flaws, Draws& draws) const {
    Draft draft{std::string(hero), ""};
    if (!object.empty()) draft.think += ", " + std::string(object);
    if (!place.empty()) draft.think += ", " + std::string(place);
    draft.think += ", " + count() + " sentences";

    Story told = *this;
    if ((flaws.missing_word = draws.chance(faults.missing_word))) told.forget(draws);
    std::size_t length = fewest + draws.below(most - fewest + 1);
    if ((flaws.wrong_count = draws.chance(faults.wrong_count))) length = draws.chance(0.5) ? fewest - 1 : most + 1;
    std::vector<std::string> lines = sentences(length, told, draws);
    flaws.repeated_sentence = lines.size() > 1 && draws.chance(faults.repeated_sentence);
    if (flaws.repeated_sentence) lines.back() = lines[lines.size() - 2];
    draft.answer = joined(lines);
    return finish_response(draft, faults, flaws, draws);
  }

 private:
  /// Leaves the object or the place out, or replaces it by another.
  void forget(Draws& draws) {
    const bool forget_object = !object.empty() && (place.empty() || draws.chance(0.5));
    std::string_view& forgotten = forget_object ? object : place;
    const std::string_view asked = forgotten;
    forgotten = {};
    if (object.empty() && place.empty()) {
      while (forgotten.empty() || forgotten == asked)
        forgotten = forget_object ? draws.pick(objects) : draws.pick(places);
    }
  }

  /// An opening that names all, then others, no two alike.
  static std::vector<std::string> sentences(std::size_t count, const Story& story, Draws& draws) {
    static constexpr std::string_view with_object[] = {"A ! H found O.", "The H had an old O.", "Once O fell on a H.",
                                                       "A ! H made O."};
    static constexpr std::string_view with_place[] = {"A ! H lived in a P.", "The H ran to the P.",
                                                      "Once a H sat in a P.", "A ! H woke in the P."};
    static constexpr std::string_view with_both[] = {"A ! H found O in a P.", "The H took O to the P.",
                                                     "A H lost O in the P.", "The H hid O in a P."};
    static constexpr std::string_view others[] = {
        "The H sang all day.",  "Then the rain came.",  "A friend came to help.",
        "The sun was warm.",    "They ate some bread.", "The H was glad.",
        "Then they went home.", "All slept well.",      "It was a good day."};
    static constexpr std::string_view adjectives[] = {"small", "kind", "brave", "lazy", "wise", "young"};
    std::string opening(story.place.empty()    ? draws.pick(with_object)
                        : story.object.empty() ? draws.pick(with_place)
                                               : draws.pick(with_both));
    opening = with(opening, "!", draws.pick(adjectives));
    std::vector<std::string> lines{story.filled(opening)};
    std::vector<std::string_view> left(std::begin(others), std::end(others));
    while (lines.size() < count) {
      const std::size_t at = draws.below(left.size());
      lines.push_back(story.filled(std::string(left[at])));
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
    }
    return lines;
  }

  /// A template with H, O and P as whole words replaced; O brings its article.
  std::string filled(const std::string& form) const {
    std::string text;
    for (std::size_t i = 0; i < form.size(); ++i) {
      const bool alone = i > 0 && form[i - 1] == ' ' && (form[i + 1] == ' ' || form[i + 1] == '.');
      if (alone && form[i] == 'H') {
        text += hero;
      } else if (alone && form[i] == 'O') {
        text += text.ends_with(" an old ") ? std::string(object) : with_article(object);
      } else if (alone && form[i] == 'P') {
        text += place;
      } else {
        text += form[i];
      }
    }
    const bool vowel = std::string_view("aeiou").find(hero.front()) != std::string_view::npos;
    if (vowel)
      text = with(with(text, "A " + std::string(hero), "An " + std::string(hero)), " a " + std::string(hero),
                  " an " + std::string(hero));
    return text;
  }

  static std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += (text.empty() ? "" : " ") + line;
    return text;
  }
};

}  // namespace maestro::examples
