#pragma once

/// @file
/// Family `emotion`: name what a person feels, and answer kindly.

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "draws.hpp"
#include "faults.hpp"
#include "maestro/data/prompt.hpp"

namespace maestro::examples {

/// A person in a situation.
struct Emotion {
  static constexpr std::string_view task = "emotion";

  /// An emotion with what brings it about and what one kindly says.
  struct Feeling {
    std::string_view name;
    std::string_view cause;
    std::string_view situations[6];  ///< @ stands for his or her
    std::string_view kind[3];
  };
  static constexpr Feeling feelings[] = {
      {"sad",
       "loss",
       {"lost @ dog", "lost @ old cat", "broke @ best cup", "dropped @ cake in the mud", "said goodbye to a friend",
        "tore @ best coat"},
       {"I am sorry", "I am here for you", "I hope it gets better"}},
      {"happy",
       "gift",
       {"got a new bike", "got a puppy", "got a letter from a friend", "ate cake with friends", "found a gold coin",
        "went to the sea"},
       {"How nice", "That is lovely", "Enjoy it"}},
      {"scared",
       "danger",
       {"heard a noise in the dark", "saw a big snake", "got lost in the woods", "met a wild wolf",
        "stood at the edge of a cliff", "saw a house on fire"},
       {"You are safe now", "I am here for you", "It will be all right"}},
      {"angry",
       "unfair",
       {"saw a boy take @ ball", "was blamed for nothing", "was pushed in the line", "had @ bike stolen",
        "was called a bad name", "was cheated in a game"},
       {"I understand", "That was not fair", "Take your time"}},
      {"proud",
       "success",
       {"won the race", "passed the hard test", "built a small boat", "learned to swim", "read @ first book",
        "baked a fine loaf"},
       {"Well done", "Good for you", "You did great"}},
      {"lonely",
       "alone",
       {"has no one to play with", "eats lunch alone", "sits alone at home", "moved to a new town",
        "got no call all week", "was not asked to the party"},
       {"I am here for you", "You are not alone", "Come and join us"}},
  };
  static constexpr std::size_t people = 16;
  static constexpr std::string_view names[people] = {"Tom", "Ann", "Sam", "Mia", "Ben", "Eva", "Leo", "Zoe",
                                                     "Max", "Ida", "Jon", "Amy", "Ned", "Kim", "Roy", "Pia"};

  std::size_t person = 0;
  std::size_t feeling = 0;
  std::size_t situation = 0;
  std::size_t wording = 0;

  static Emotion draw(Draws& draws) {
    Emotion emotion;
    emotion.person = draws.below(people);
    emotion.feeling = draws.below(std::size(feelings));
    emotion.situation = draws.below(6);
    emotion.wording = draws.below(5);
    return emotion;
  }

  std::string_view name() const { return names[person]; }
  const Feeling& felt() const { return feelings[feeling]; }

  /// The same for every wording of the question.
  std::string content() const { return std::string(task) + " " + event(); }

  Prompt prompt() const {
    static constexpr std::string_view forms[] = {
        "What does @ feel? Answer kindly.", "How does @ feel? Be kind.", "Name the feeling and reply kindly.",
        "How is @ feeling? Say it kindly.", "What is this feeling? Be kind to @."};
    Prompt prompt;
    prompt.text = event() + ". " + with(std::string(forms[wording]), "@", name()) + "\n";
    prompt.reference = reply(felt().name, felt().kind[0], 0);
    prompt.task = std::string(task);
    prompt.metadata = nlohmann::json{{"person", name()}, {"emotion", felt().name}}.dump();
    return prompt;
  }

  /// A response with the faults that fall to it.
  std::string respond(const Faults& faults, Flaws& flaws, Draws& draws) const {
    static constexpr std::string_view unkind[] = {"Get over it", "So what", "Stop whining", "Who cares"};
    static constexpr std::string_view neutral[] = {"That is all", "This is a fact", "It happens"};
    Feeling shown = felt();
    if ((flaws.wrong_emotion = draws.chance(faults.wrong_emotion))) shown = other(draws);
    Draft draft{std::string(shown.cause) + " -> " + std::string(shown.name), ""};
    std::string named(shown.name);
    if ((flaws.second_emotion = draws.chance(faults.second_emotion))) {
      std::string_view second = shown.name;
      while (second == shown.name) second = draws.pick(feelings).name;
      named += " and " + std::string(second);
    }
    const std::size_t form = draws.below(2);
    flaws.unkind = draws.chance(faults.unkind);
    flaws.neutral = !flaws.unkind && draws.chance(faults.neutral);
    if (flaws.unkind) {
      draft.answer = reply(named, draws.pick(unkind), form);
    } else if (flaws.neutral) {
      draft.answer = std::string(name()) + " feels " + named + ".";
      if (draws.chance(0.6)) draft.answer += " " + std::string(draws.pick(neutral)) + ".";
    } else {
      draft.answer = reply(named, draws.pick(shown.kind), form);
    }
    return finish_response(draft, faults, flaws, draws);
  }

 private:
  std::string event() const {
    const std::string_view possessive = person % 2 == 0 ? "his" : "her";
    return std::string(name()) + " " + with(std::string(felt().situations[situation]), "@", possessive);
  }
  const Feeling& other(Draws& draws) const {
    const std::size_t skip = 1 + draws.below(std::size(feelings) - 1);
    return feelings[(feeling + skip) % std::size(feelings)];
  }
  std::string reply(std::string_view emotion, std::string_view phrase, std::size_t form) const {
    const std::string who(name());
    if (form == 0) return who + " feels " + std::string(emotion) + ". " + std::string(phrase) + ", " + who + ".";
    return "You feel " + std::string(emotion) + ", " + who + ". " + std::string(phrase) + ".";
  }
};

}  // namespace maestro::examples
