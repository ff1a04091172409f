#include "maestro/reward/reward_set.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <concepts>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/reward/function.hpp"
#include "maestro/reward/length.hpp"
#include "maestro/reward/tag_format.hpp"
#include "rollouts_fixture.hpp"

namespace {

using namespace maestro;
using test::make_rollouts;
using test::prompt;

struct Bytes {
  static constexpr std::string_view name = "bytes";
  float operator()(const Completion& c) const { return static_cast<float>(c.text.size()); }
};
struct OnlyShort {
  static constexpr std::string_view name = "only_short";
  std::optional<float> operator()(const Completion& c) const {
    if (c.text.size() > 3) return std::nullopt;
    return 1.0f;
  }
};
struct Member {
  std::string name;
  void operator()(const Rollouts& rollouts, std::span<float> scores) const {
    for (std::size_t i = 0; i + 1 < rollouts.size(); ++i) {
      scores[i] = static_cast<float>(rollouts.completion(i).member);
    }
  }
};
struct Gives {
  std::string name = "gives";
  float value = 0.0f;
  std::string where = "bad";
  float operator()(const Completion& c) const { return c.text == where ? value : 0.0f; }
};
struct GivesBatch {
  static constexpr std::string_view name = "gives_batch";
  float value = 0.0f;
  void operator()(const Rollouts&, std::span<float> scores) const { scores.back() = value; }
};
struct Throws {
  static constexpr std::string_view name = "throws";
  float operator()(const Completion& c) const {
    if (c.text.starts_with("bad")) throw std::runtime_error("broken judge");
    return 1.0f;
  }
};
struct ThrowsBatch {
  static constexpr std::string_view name = "throws_batch";
  void operator()(const Rollouts&, std::span<float>) const { throw std::runtime_error("no model"); }
};
struct Hooked {
  std::string name = "hooked";
  int seen = 0;
  std::uint32_t step = 0;
  float operator()(const Completion&) const { return static_cast<float>(seen); }
  void before_step(const int& policy, std::uint32_t at) {
    seen += policy;
    step = at;
  }
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("seen", seen);
  }
};
struct NoReward {
  static constexpr std::string_view name = "none";
};

static_assert(CompletionReward<Bytes> && CompletionReward<OnlyShort> && !BatchReward<Bytes>);
static_assert(BatchReward<Member> && !CompletionReward<Member> && Reward<Member>);
static_assert(!Reward<NoReward> && !Reward<int>);
static_assert(Reward<Named<"other", Bytes>> && Named<"other", Bytes>::name == "other");
static_assert(RewardSet<Bytes, OnlyShort, Member>::size == 3);
static_assert(Reward<Format> && Reward<Length>);
static_assert(Stateful<RewardSet<Hooked>>);

Rollouts two_groups() {
  return make_rollouts({{prompt("How many?", 41), {{"one"}, {"three"}, {""}}}, {prompt("Why?", 7), {{"because"}}}});
}

/// The message of the BadData that `set` throws on `rollouts`.
template <class Set>
std::string refusal(const Set& set, const Rollouts& rollouts) {
  Matrix<float> out(rollouts.size(), Set::size);
  try {
    set.evaluate(rollouts, out);
  } catch (const BadData& error) {
    return error.what();
  }
  return "nothing was thrown";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Names {
  std::vector<std::string> seen;
  template <class Value>
  void operator()(std::string_view name, Value& value) {
    seen.emplace_back(name);
    if constexpr (Stateful<Value>) value.visit_state(*this);
  }
};

BOOST_AUTO_TEST_SUITE(reward_set)

BOOST_AUTO_TEST_CASE(double_int_and_bool_are_scores) {
  const RewardSet rewards{
      reward("double", [](const Completion& c) { return 0.5 * static_cast<double>(c.text.size()); }),
      reward("int", [](const Completion& c) { return static_cast<int>(c.text.size()); }),
      reward("bool", [](const Completion& c) { return c.text.size() == 2; }),
      reward("optional",
             [](const Completion& c) { return c.text.size() == 2 ? std::optional<double>(0.25) : std::nullopt; })};
  const Rollouts rollouts = make_rollouts({{prompt("p", 0), {{"ab"}, {"abc"}}}});
  Matrix<float> scores(2, 4);
  rewards.evaluate(rollouts, scores.view());
  const float expected[2][3] = {{1.0f, 2.0f, 1.0f}, {1.5f, 3.0f, 0.0f}};
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t k = 0; k < 3; ++k) BOOST_TEST(scores(i, k) == expected[i][k]);
  }
  BOOST_TEST(scores(0, 3) == 0.25f);
  BOOST_TEST(std::isnan(scores(1, 3)));
}

BOOST_AUTO_TEST_CASE(a_batch_reward_may_count_its_calls) {
  struct Counts {
    std::string name = "counts";
    mutable int calls = 0;
    void operator()(const Rollouts&, std::span<float> scores) const {
      std::fill(scores.begin(), scores.end(), static_cast<float>(++calls));
    }
  };
  const RewardSet rewards{Counts{}};
  const Rollouts rollouts = make_rollouts({{prompt("p", 0), {{"ab"}, {"abc"}}}});
  Matrix<float> scores(2, 1);
  for (int call = 1; call < 3; ++call) {
    rewards.evaluate(rollouts, scores.view());
    BOOST_TEST(scores(1, 0) == static_cast<float>(call));
  }
}

BOOST_AUTO_TEST_CASE(scores_every_response_with_every_reward_and_marks_what_does_not_apply) {
  RewardSet rewards{Bytes{}, Member{"member"}, OnlyShort{}};
  static_assert(std::is_same_v<decltype(rewards), RewardSet<Bytes, Member, OnlyShort>>);
  BOOST_TEST(rewards.names()[1] == "member");
  const Rollouts rollouts = two_groups();
  Matrix<float> out(4, 3, -7.0f);
  rewards.evaluate(rollouts, out);
  const std::vector<float> bytes{3, 5, 0, 7};
  for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(out(i, 0) == bytes[i]);
  BOOST_TEST(out(0, 1) == 0.0f);
  BOOST_TEST(out(2, 1) == 2.0f);
  BOOST_TEST(std::isnan(out(3, 1)));  // the batch reward left it out
  BOOST_TEST(out(0, 2) == 1.0f);
  BOOST_TEST(std::isnan(out(1, 2)));
  BOOST_TEST(out(2, 2) == 1.0f);
  BOOST_TEST(std::isnan(out(3, 2)));
}

BOOST_AUTO_TEST_CASE(writes_into_a_view_with_a_stride_and_refuses_another_shape) {
  const RewardSet rewards{Bytes{}};
  const Rollouts rollouts = two_groups();
  Matrix<float> wide(4, 3, -1.0f);
  rewards.evaluate(rollouts, wide.view().middle_cols(1, 1));
  BOOST_TEST(wide(3, 0) == -1.0f);
  BOOST_TEST(wide(3, 1) == 7.0f);
  BOOST_TEST(wide(3, 2) == -1.0f);
  BOOST_CHECK_THROW(rewards.evaluate(rollouts, wide), BadArgument);
  Matrix<float> shorter(3, 1);
  BOOST_CHECK_THROW(rewards.evaluate(rollouts, shorter), BadArgument);
  Matrix<float> none(0, 1);
  rewards.evaluate(Rollouts{}, none);
}

BOOST_AUTO_TEST_CASE(a_bad_value_names_reward_data_row_prompt_and_response) {
  const Rollouts rollouts =
      make_rollouts({{prompt("Say\x1b[2Jit\n", 41), {{"fine"}, {"bad"}, {"bad"}}}, {prompt("Why?", 7), {{"ok"}}}});
  const float infinity = std::numeric_limits<float>::infinity();
  const std::string place = "reward 'gives', data row 41 (\"Say[2Jit\"), response 1: the value is ";
  BOOST_TEST(contains(refusal(RewardSet{Gives{.value = infinity}}, rollouts), place + "infinite"));
  BOOST_TEST(contains(refusal(RewardSet{Gives{.value = -infinity}}, rollouts), place + "infinite"));
  BOOST_TEST(contains(refusal(RewardSet{Gives{.value = std::nanf("")}}, rollouts), place + "NaN"));
  BOOST_TEST(contains(refusal(RewardSet{Bytes{}, GivesBatch{.value = infinity}}, rollouts),
                      "reward 'gives_batch', data row 7 (\"Why?\"), response 0: the value is infinite"));
  BOOST_TEST(refusal(RewardSet{GivesBatch{.value = std::nanf("")}}, rollouts) == "nothing was thrown");
}

BOOST_AUTO_TEST_CASE(an_exception_leaves_the_parallel_loop_with_its_place_and_its_cause) {
  std::vector<test::Response> responses(50, {"fine"});
  responses[33].text = responses[49].text = "bad one";
  const Rollouts rollouts = make_rollouts({{prompt("Go", 3), responses}});
  const std::string expected = "reward 'throws', data row 3 (\"Go\"), response 33: broken judge";
  for (int repeat = 0; repeat < 10; ++repeat) BOOST_TEST(refusal(RewardSet{Bytes{}, Throws{}}, rollouts) == expected);
  BOOST_TEST(refusal(RewardSet{ThrowsBatch{}}, rollouts) == "reward 'throws_batch': no model");
  Matrix<float> out(50, 1);
  try {
    RewardSet{Throws{}}.evaluate(rollouts, out);
    BOOST_ERROR("nothing was thrown");
  } catch (const BadData& error) {
    try {
      std::rethrow_if_nested(error);
      BOOST_ERROR("the cause is lost");
    } catch (const std::runtime_error& cause) {
      BOOST_TEST(std::string(cause.what()) == "broken judge");
    }
  }
}

float length_of(const Completion& c) { return static_cast<float>(c.text.size()); }

BOOST_AUTO_TEST_CASE(a_callable_and_a_name_make_a_reward) {
  const std::string at_run_time = "row";
  RewardSet rewards{Bytes{}, reward("function", length_of),
                    reward("short",
                           [most = std::size_t{3}](const Completion& c) -> std::optional<float> {
                             if (c.text.empty()) return std::nullopt;
                             return c.text.size() <= most ? 1.0f : 0.0f;
                           }),
                    reward(at_run_time, [](const Rollouts& rollouts, std::span<float> scores) {
                      for (std::size_t i = 1; i < rollouts.size(); ++i) scores[i] = static_cast<float>(i);
                    })};
  static_assert(CompletionReward<FunctionReward<float (*)(const Completion&)>>);
  BOOST_TEST(rewards.names()[2] == "short");
  RewardSet moved = std::move(rewards);
  BOOST_TEST(moved.names()[3] == "row");
  Matrix<float> out(4, 4);
  moved.evaluate(two_groups(), out);
  BOOST_TEST(out(1, 1) == 5.0f);
  BOOST_TEST(out(0, 2) == 1.0f);
  BOOST_TEST(out(1, 2) == 0.0f);
  BOOST_TEST(std::isnan(out(2, 2)));
  BOOST_TEST(std::isnan(out(0, 3)));
  BOOST_TEST(out(3, 3) == 3.0f);
  BOOST_TEST(
      contains(refusal(RewardSet{reward("fails", [](const Completion&) { return std::nanf(""); })}, two_groups()),
               "reward 'fails', data row 41"));
  BOOST_CHECK_THROW((RewardSet{reward("length", length_of), reward("length", length_of)}), BadArgument);
}

BOOST_AUTO_TEST_CASE(names_must_be_there_and_differ) {
  BOOST_CHECK_THROW((RewardSet{Member{"a"}, Member{"a"}}), BadArgument);
  BOOST_CHECK_THROW((RewardSet{Bytes{}, Bytes{}}), BadArgument);
  BOOST_CHECK_THROW((RewardSet{Member{""}}), BadArgument);
  const RewardSet rewards{Length{{.max_length = 4, .cache = 0}},
                          named<"strict">(Length{{.max_length = 2, .cache = 0}})};
  BOOST_TEST(rewards.names()[0] == "length");
  BOOST_TEST(rewards.names()[1] == "strict");
  Matrix<float> out(4, 2);
  rewards.evaluate(two_groups(), out);
  BOOST_TEST(out(0, 0) == 0.0f);
  BOOST_TEST(out(0, 1) == -1.0f);
}

BOOST_AUTO_TEST_CASE(hooks_reach_the_rewards_that_have_them) {
  RewardSet rewards{Bytes{}, Hooked{}, Named<"second", Hooked>{{.seen = 5}}};
  int policy = 2;
  rewards.before_step(policy, 9u);
  BOOST_TEST(rewards.get<1>().seen == 2);
  BOOST_TEST(rewards.get<2>().seen == 7);
  BOOST_TEST(rewards.get<2>().step == 9u);
  Names names;
  rewards.visit_state(names);
  BOOST_TEST(names.seen == (std::vector<std::string>{"hooked", "seen", "second", "seen"}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(reward_excerpt)

BOOST_AUTO_TEST_CASE(untrusted_text_becomes_one_clean_line) {
  BOOST_TEST(excerpt("plain") == "plain");
  BOOST_TEST(excerpt("a\tb\r\n\x7f\x1b]0;x\x07z") == "ab]0;xz");
  BOOST_TEST(excerpt("c1 \xC2\x9B[2J end") == "c1 [2J end");
  BOOST_TEST(excerpt("raw \x9B end") == "raw \xEF\xBF\xBD end");
  BOOST_TEST(excerpt("\xC0\x80\xED\xA0\x80").find('\xC0') == std::string::npos);
  BOOST_TEST(excerpt("h\xC3\xA9llo", 2) == "h\xC3\xA9...");
  BOOST_TEST(excerpt(std::string(60, 'x')) == std::string(60, 'x'));
  BOOST_TEST(excerpt(std::string(61, 'x')) == std::string(60, 'x') + "...");
  BOOST_TEST(excerpt("\xE2\x82") == "\xEF\xBF\xBD");
  BOOST_TEST(excerpt("") == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
