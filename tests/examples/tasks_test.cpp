#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "../../examples/tasks/tasks.hpp"

using namespace maestro;
using namespace maestro::examples;

BOOST_AUTO_TEST_SUITE(tasks)

namespace {

/// The prompt text with digits sorted out: numbers of an arithmetic prompt, in ascending order.
std::vector<int> numbers_in(const std::string& text) {
  std::vector<int> numbers;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] < '0' || text[i] > '9') continue;
    std::size_t used = 0;
    numbers.push_back(std::stoi(text.substr(i), &used));
    i += used;
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace

BOOST_AUTO_TEST_CASE(prompts_are_complete_and_the_same_every_time) {
  const std::vector<Prompt> prompts = make_prompts(Split::train, 90, 7);
  const std::vector<Prompt> again = make_prompts(Split::train, 90, 7);
  const std::vector<Prompt> other = make_prompts(Split::train, 90, 8);
  std::size_t same = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    BOOST_TEST(prompts[i].text.back() == '\n');
    BOOST_TEST(prompts[i].text.size() <= 80u);
    BOOST_TEST(!prompts[i].reference.empty());
    BOOST_TEST(prompts[i].task == family_names[i % families]);
    BOOST_TEST(prompts[i].metadata.front() == '{');
    BOOST_TEST(prompts[i].row == static_cast<std::int64_t>(i));
    BOOST_TEST(prompts[i].text == again[i].text);
    BOOST_TEST(prompts[i].reference == again[i].reference);
    same += prompts[i].text == other[i].text ? 1u : 0u;
  }
  BOOST_TEST(same < 5u);
}

BOOST_AUTO_TEST_CASE(chosen_families_fill_the_count) {
  const std::vector<Prompt> all = make_prompts(Split::train, 60, 7);
  const std::vector<std::string> two{"emotion", "arithmetic"};
  const std::vector<Prompt> prompts = make_prompts(Split::train, 30, 7, two);
  BOOST_TEST_REQUIRE(prompts.size() == 30u);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    BOOST_TEST(prompts[i].task == (i % 2 == 0 ? "arithmetic" : "emotion"));
    BOOST_TEST(prompts[i].row == static_cast<std::int64_t>(i));
    BOOST_TEST(prompts[i].text == all[i / 2 * 3 + (i % 2) * 2].text);
  }
  BOOST_CHECK_THROW(make_prompts(Split::train, 3, 7, std::vector<std::string>{"chess"}), BadArgument);
  BOOST_CHECK_THROW(make_prompts(Split::train, 3, 7, std::vector<std::string>{}), BadArgument);
  BOOST_CHECK_THROW(make_prompts(Split::train, std::size_t{1} << 32, 7), BadArgument);
}

BOOST_AUTO_TEST_CASE(splits_share_no_content) {
  std::map<std::string, Split> owner;
  std::map<std::string, Split> by_text;
  std::map<std::vector<int>, Split> sums;
  for (const Split split : {Split::train, Split::dev, Split::held_out}) {
    for (const Prompt& prompt : make_prompts(split, 1500, 3)) {
      const auto [text, fresh] = by_text.emplace(prompt.text, split);
      BOOST_TEST((fresh || text->second == split), prompt.text);
      if (prompt.task != "arithmetic") continue;
      std::vector<int> key = numbers_in(prompt.text);
      key.push_back(std::stoi(prompt.reference));
      const auto [sum, is_new] = sums.emplace(key, split);
      BOOST_TEST((is_new || sum->second == split), prompt.text);
    }
    for (std::uint32_t row = 0; row < 1500; ++row) {
      const std::string content = content_of(draw_exercise(split, 11, 0, row));
      const auto [entry, fresh] = owner.emplace(content, split);
      BOOST_TEST((fresh || entry->second == split), content);
    }
  }
  for (const Demonstration& demonstration : make_demonstrations(1500, 5)) {
    const auto entry = by_text.find(demonstration.prompt.text);
    BOOST_TEST((entry == by_text.end() || entry->second == Split::train), demonstration.prompt.text);
  }
  for (const PreferencePair& pair : make_preference_pairs(1500, 5)) {
    const auto entry = by_text.find(pair.prompt.text);
    BOOST_TEST((entry == by_text.end() || entry->second == Split::train), pair.prompt.text);
  }
}

BOOST_AUTO_TEST_CASE(evaluation_prompts_do_not_repeat) {
  std::set<std::string> texts;
  for (const Prompt& prompt : make_prompts(Split::held_out, 300, 1)) texts.insert(prompt.text);
  BOOST_TEST(texts.size() == 300u);
}

BOOST_AUTO_TEST_CASE(a_longer_list_of_demonstrations_starts_with_the_shorter_one) {
  const std::vector<Demonstration> all = make_demonstrations(20, 2);
  const std::vector<Demonstration> rest = make_demonstrations(8, 2, {}, 12);
  for (std::size_t i = 0; i < rest.size(); ++i) {
    BOOST_TEST(rest[i].response == all[12 + i].response);
    BOOST_TEST(rest[i].prompt.text == all[12 + i].prompt.text);
  }
}

BOOST_AUTO_TEST_CASE(fault_rates_are_those_asked_for) {
  const Faults faults;
  const std::vector<Demonstration> demonstrations = make_demonstrations(6000, 4, faults);
  const auto rate = [&](bool Flaws::*flaw, std::string_view task) {
    double hits = 0.0;
    double all = 0.0;
    for (const Demonstration& d : demonstrations) {
      if (!task.empty() && d.prompt.task != task) continue;
      all += 1.0;
      hits += d.flaws.*flaw ? 1.0 : 0.0;
    }
    return hits / all;
  };
  const auto near = [](double a, double b) { return std::abs(a - b) < 0.04; };
  BOOST_TEST(near(rate(&Flaws::tags, ""), faults.tags));
  BOOST_TEST(near(rate(&Flaws::no_reasoning, ""), faults.no_reasoning));
  BOOST_TEST(near(rate(&Flaws::rambling, ""), faults.rambling));
  BOOST_TEST(near(rate(&Flaws::wrong_step, "arithmetic"), faults.wrong_step));
  BOOST_TEST(near(rate(&Flaws::wrong_answer, "arithmetic"), faults.wrong_answer));
  BOOST_TEST(near(rate(&Flaws::wrong_count, "story"), faults.wrong_count));
  BOOST_TEST(near(rate(&Flaws::missing_word, "story"), faults.missing_word));
  BOOST_TEST(near(rate(&Flaws::wrong_emotion, "emotion"), faults.wrong_emotion));
  BOOST_TEST(near(rate(&Flaws::unkind, "emotion"), faults.unkind));
  for (const Demonstration& d : make_demonstrations(300, 4, Faults::none())) {
    BOOST_TEST((d.flaws == Flaws{}));
    BOOST_TEST(d.response.size() <= 180u);
    BOOST_TEST(d.response.starts_with("<think>"));
    BOOST_TEST(d.response.ends_with("</answer>"));
  }
}

BOOST_AUTO_TEST_CASE(preferred_responses_are_mostly_better_but_not_always) {
  const std::vector<PreferencePair> pairs = make_preference_pairs(3000, 6);
  std::array<int, 2> unkind{};
  for (const PreferencePair& pair : pairs) {
    for (const char* phrase : {"Get over it", "So what", "Stop whining", "Who cares"}) {
      unkind[0] += pair.chosen.find(phrase) != std::string::npos ? 1 : 0;
      unkind[1] += pair.rejected.find(phrase) != std::string::npos ? 1 : 0;
    }
    BOOST_TEST(pair.prompt.text.back() == '\n');
  }
  BOOST_TEST(unkind[0] > 0);
  BOOST_TEST(unkind[1] > 3 * unkind[0]);
}

BOOST_AUTO_TEST_SUITE_END()
