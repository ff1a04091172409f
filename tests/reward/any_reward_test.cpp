#include "maestro/reward/any_reward.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "rollouts_fixture.hpp"

BOOST_AUTO_TEST_SUITE(any_reward)

namespace {

using namespace maestro;
using test::make_rollouts;
using test::prompt;

struct Bytes {
  static constexpr std::string_view name = "bytes";
  std::optional<float> operator()(const Completion& c) const {
    if (c.text.empty()) return std::nullopt;
    return static_cast<float>(c.text.size());
  }
};
struct Member {
  std::string name;
  void operator()(const Rollouts& rollouts, std::span<float> scores) const {
    for (std::size_t i = 0; i + 1 < scores.size(); ++i) scores[i] = static_cast<float>(rollouts.completion(i).member);
  }
};
struct Throws {
  static constexpr std::string_view name = "throws";
  float operator()(const Completion& c) const {
    if (c.text == "three") throw std::runtime_error("broken judge");
    return 1.0f;
  }
};
/// Has every hook and some state of each kind that state may be of.
struct Hooked {
  enum class Mood : std::uint8_t { calm, cross };
  static constexpr std::string_view name = "hooked";
  float operator()(const Completion&) const { return static_cast<float>(seen); }
  void attach(const int& policy) { seen = 100 * policy; }
  void before_step(int& policy, std::uint32_t step) {
    seen += policy;
    steps.push_back(step);
    policy = -1;
  }
  void check_prompts(std::span<const Prompt> prompts, const Sampling&) const {
    if (prompts.size() > 1) throw BadArgument("hooked: more than one prompt");
  }
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("seen", seen);
    v("steps", steps);
    v("mood", mood);
    v("bias", bias);
    v("inner", inner);
  }
  struct Inner {
    Matrix<double> weights = Matrix<double>(2, 2, 0.5);
    std::string label = "inner";
    template <class Visitor>
    void visit_state(Visitor& v) {
      v("weights", weights);
      v("label", label);
    }
  };

  std::int32_t seen = 0;
  std::vector<std::uint32_t> steps;
  Mood mood = Mood::cross;
  std::array<float, 2> bias{1.0f, 2.0f};
  Inner inner;
};

static_assert(Stateful<AnyRewardSet<int>> && std::copyable<AnyRewardSet<int>>);

/// What a visitor sees, as text.
struct Seen {
  std::vector<std::string> entries;
  std::string prefix;
  template <class Value>
  void operator()(std::string_view name, Value&& value) {
    const std::string full = prefix + std::string(name);
    using V = std::remove_cvref_t<Value>;
    if constexpr (requires { value.visit_state(*this); }) {
      const std::string outer = std::exchange(prefix, full + ".");
      value.visit_state(*this);
      prefix = outer;
    } else if constexpr (std::is_arithmetic_v<V> || std::is_enum_v<V>) {
      entries.push_back(full + "=" + std::to_string(static_cast<int>(value)));
    } else if constexpr (std::is_same_v<V, std::string>) {
      entries.push_back(full + "=" + value);
    } else if constexpr (requires { value.rows(); }) {
      entries.push_back(full + " " + std::to_string(value.rows()) + "x" + std::to_string(value.cols()));
    } else {
      entries.push_back(full + " " + std::to_string(value.size()));
    }
  }
};
template <class Part>
std::vector<std::string> seen(Part& part) {
  Seen v;
  part.visit_state(v);
  return v.entries;
}

/// Overwrites what it sees, as a loading visitor does.
struct Overwrite {
  template <class Value>
  void operator()(std::string_view, Value&& value) {
    using V = std::remove_cvref_t<Value>;
    if constexpr (requires { value.visit_state(*this); }) {
      value.visit_state(*this);
    } else if constexpr (std::is_integral_v<V>) {
      value = V{};
    } else if constexpr (requires { value.resize(3); }) {
      value.resize(3);
    }
  }
};

AnyRewardSet<int> three() {
  std::vector<AnyReward<int>> rewards;
  rewards.emplace_back(Bytes{});
  rewards.emplace_back(Member{"member"});
  rewards.emplace_back(Hooked{});
  return AnyRewardSet<int>(std::move(rewards));
}

Rollouts two_groups() {
  return make_rollouts({{prompt("How many?", 41), {{"one"}, {"three"}, {""}}}, {prompt("Why?", 7), {{"because"}}}});
}

template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

BOOST_AUTO_TEST_CASE(a_set_made_at_run_time_is_the_set_of_the_same_types) {
  RewardSet typed{Bytes{}, Member{"member"}, Hooked{}};
  AnyRewardSet<int> any = three();
  BOOST_TEST(any.size() == 3u);
  for (std::size_t k = 0; k < 3; ++k) BOOST_TEST(any.names()[k] == typed.names()[k]);
  const Rollouts rollouts = two_groups();
  int policies[2] = {3, 3};
  typed.attach(policies[0]);
  any.attach(policies[1]);
  typed.before_step(policies[0], 9u);
  any.before_step(policies[1], 9u);
  BOOST_TEST(policies[1] == -1);
  Matrix<float> expected(4, 3, -7.0f);
  Matrix<float> found(4, 3, -7.0f);
  typed.evaluate(rollouts, expected);
  any.evaluate(rollouts, found);
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t k = 0; k < 3; ++k) {
      BOOST_TEST((std::isnan(expected(i, k)) ? std::isnan(found(i, k)) : expected(i, k) == found(i, k)));
    }
  }
  BOOST_TEST(found(0, 2) == 303.0f);
  const std::vector<Prompt> prompts{prompt("a", 0), prompt("b", 1)};
  BOOST_TEST(refusal([&] { any.check_prompts(prompts, {}); }) == "hooked: more than one prompt");
}

BOOST_AUTO_TEST_CASE(state_has_the_names_and_the_kinds_of_the_reward_itself) {
  RewardSet typed{Bytes{}, Member{"member"}, Hooked{}};
  AnyRewardSet<int> any = three();
  int policy = 2;
  typed.before_step(policy, 1u);
  policy = 2;
  any.before_step(policy, 1u);
  BOOST_TEST(seen(any) == seen(typed), boost::test_tools::per_element());
  const std::vector<std::string> expected{"hooked.seen=2", "hooked.steps 1",           "hooked.mood=1",
                                          "hooked.bias 2", "hooked.inner.weights 2x2", "hooked.inner.label=inner"};
  BOOST_TEST(seen(any) == expected, boost::test_tools::per_element());
  // Loading reaches the reward, and a copy has a reward of its own.
  AnyRewardSet<int> copy = any;
  Overwrite overwrite;
  any.visit_state(overwrite);
  BOOST_TEST(seen(any)[0] == "hooked.seen=0");
  BOOST_TEST(seen(any)[1] == "hooked.steps 3");
  BOOST_TEST(seen(any)[2] == "hooked.mood=0");
  BOOST_TEST(seen(copy) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused_with_its_place) {
  using Any = std::vector<AnyReward<int>>;
  BOOST_TEST(refusal([] { AnyRewardSet<int>(Any{}); }).find("no reward") != std::string::npos);
  BOOST_TEST(refusal([] { AnyRewardSet<int>(Any{Bytes{}, Bytes{}}); }).find("'bytes'") != std::string::npos);
  BOOST_TEST(refusal([] { AnyReward<int>(Member{""}); }).find("empty name") != std::string::npos);
  const Rollouts rollouts = two_groups();
  Matrix<float> out(4, 2);
  BOOST_TEST(refusal([&] { three().evaluate(rollouts, out); }).find("4 rows and 3 columns") != std::string::npos);
  const AnyRewardSet<int> failing(Any{Bytes{}, Throws{}});
  BOOST_TEST(refusal([&] { failing.evaluate(rollouts, out); }) ==
             "reward 'throws', data row 41 (\"How many?\"), response 1: broken judge");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
