// What a step refuses of a Conductor's and a scalarization's results, and how the errors name the part.

#include <boost/test/unit_test.hpp>
#include <limits>
#include <string>
#include <vector>

#include "maestro/conductor/fixed.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/estimators/group_relative.hpp"
#include "maestro/trainer/trainer.hpp"
#include "trainer/tiny.hpp"

BOOST_AUTO_TEST_SUITE(refusals)

namespace {

using namespace maestro;

constexpr float missing = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

/// Gives every response 1/2 and 1/2, and lets `spoil` have its way with the decision.
struct Spoiled {
  static constexpr bool stateless = true;
  void (*spoil)(Decision&);
  bool counterfactual = false;

  Decision decide(const StepView& view) {
    Decision decision;
    decision.weights.assign(view.rewards.rows(), view.rewards.cols(), 0.5f);
    decision.base = decision.weights;
    spoil(decision);
    return decision;
  }
  bool wants_counterfactuals() const { return counterfactual; }
};

void leave(Decision&) {}

template <class C, class S = GroupRelative>
std::string refusal(C conductor, S scalarization = S{}) {
  Trainer trainer{tiny::Policy({.contexts = 3, .actions = 5}), tiny::Rewards{tiny::Match{}, tiny::Small{}},
                  std::move(conductor), std::move(scalarization), tiny::options()};
  try {
    trainer.step(tiny::prompts(6));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool says(const std::string& message, const std::string& part) {
  BOOST_TEST_MESSAGE(message);
  return message.find(part) != std::string::npos;
}

/// GroupRelative, which then forgets an output.
template <int forgotten>
struct Forgetful {
  template <class Comm>
  void operator()(const ScalarizationInput& in, const ScalarizationOutput& out, Comm& comm) const {
    if (forgotten == 0) return;
    std::vector<float> advantages(out.advantages.size());
    std::vector<float> scalar_rewards(out.scalar_rewards.size());
    Matrix<float> counterfactuals(out.counterfactuals.rows(), out.counterfactuals.cols());
    Advantages{GroupRelative{}}(in,
                                {forgotten == 1 ? std::span<float>(advantages) : out.advantages,
                                 forgotten == 2 ? std::span<float>(scalar_rewards) : out.scalar_rewards,
                                 forgotten == 3 ? counterfactuals.view() : out.counterfactuals},
                                comm);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_decision_that_fits_is_taken) {
  BOOST_TEST(refusal(Spoiled{leave}) == "");
  BOOST_TEST(refusal(Spoiled{leave, true}) == "");
  BOOST_TEST(refusal(Spoiled{[](Decision& d) { d.weights(7, 0) = -1.0f; }}) == "");
  BOOST_TEST(refusal(Spoiled{[](Decision& d) { d.base.resize(0, 0); }}) == "");
}

BOOST_AUTO_TEST_CASE(a_decision_of_another_shape_is_refused) {
  const std::string columns = refusal(Spoiled{[](Decision& d) { d.weights.assign(48, 3, 0.5f); }});
  BOOST_TEST(says(columns, "Spoiled decided weights of shape 48 x 3, expected 48 x 2"));
  BOOST_TEST(says(refusal(Spoiled{[](Decision& d) { d.weights.assign(6, 2, 0.5f); }}), "weights of shape 6 x 2"));
  BOOST_TEST(says(refusal(Spoiled{[](Decision& d) { d.weights.resize(0, 0); }}), "weights of shape 0 x 0"));
  BOOST_TEST(says(refusal(Spoiled{[](Decision& d) { d.base.assign(48, 1, 0.5f); }}), "base of shape 48 x 1"));
  BOOST_TEST(says(refusal(Spoiled{[](Decision& d) { d.probabilities.assign(2, 48, 0.5f); }}),
                  "probabilities of shape 2 x 48"));
  BOOST_TEST(says(refusal(Spoiled{[](Decision& d) { d.actions.assign(48, 0); }}), "probabilities of shape 0 x 0"));
  const auto with_actions = [](Decision& d) {
    d.probabilities.assign(48, 2, 0.5f);
    d.actions.assign(47, 0);
  };
  BOOST_TEST(says(refusal(Spoiled{with_actions}), "47 actions for 48 responses"));
  const auto outside = [](Decision& d) {
    d.probabilities.assign(48, 2, 0.5f);
    d.actions.assign(48, 1);
    d.actions[5] = 2;
  };
  BOOST_TEST(says(refusal(Spoiled{outside}), "action 2 for response 5, expected below 2"));
}

BOOST_AUTO_TEST_CASE(weights_that_judge_nothing_are_refused) {
  BOOST_TEST(says(refusal(Spoiled{[](Decision& d) { d.weights.assign(48, 2, 0.0f); }}),
                  "Spoiled gave response 0 of the batch weight 0 for every reward"));
  BOOST_TEST(says(refusal(Spoiled{[](Decision& d) { d.weights(9, 0) = d.weights(9, 1) = 0.0f; }}), "response 9"));
  BOOST_TEST(says(refusal(Spoiled{[](Decision& d) { d.weights(7, 1) = missing; }}), "response 7 of the batch weight"));
  BOOST_TEST(says(refusal(Spoiled{[](Decision& d) { d.weights(7, 1) = infinity; }}), "for reward 1; weights must be"));
  BOOST_TEST(says(refusal(FixedWeights<2>({0.0f, 0.0f})), "FixedWeights<2>"));
}

BOOST_AUTO_TEST_CASE(a_scalarization_that_leaves_something_is_refused) {
  BOOST_TEST(refusal(Spoiled{leave, true}, Forgetful<4>{}) == "");
  BOOST_TEST(says(refusal(Spoiled{leave}, Forgetful<0>{}), "Forgetful<0> left the advantage of response 0"));
  BOOST_TEST(says(refusal(Spoiled{leave}, Forgetful<1>{}), "Forgetful<1> left the advantage of response 0"));
  BOOST_TEST(says(refusal(Spoiled{leave}, Forgetful<2>{}), "Forgetful<2> left the scalar reward of response 0"));
  BOOST_TEST(refusal(Spoiled{leave}, Forgetful<3>{}) == "");
  BOOST_TEST(says(refusal(Spoiled{leave, true}, Forgetful<3>{}), "left the counterfactual advantages of response 0"));
}

BOOST_AUTO_TEST_CASE(a_response_that_no_reward_judges_is_no_mistake) {
  struct Silent {
    std::string name;
    std::optional<float> operator()(const Completion& c) const {
      return c.member == 0 ? std::nullopt : std::optional(static_cast<float>(c.tokens[0]));
    }
  };
  Trainer trainer{tiny::Policy({.contexts = 3, .actions = 5}), RewardSet{Silent{"a"}, Silent{"b"}},
                  LinearConductor<2>({.estimator = Estimator::counterfactual, .period = 1}), GroupRelative{},
                  tiny::options()};
  BOOST_CHECK_NO_THROW(trainer.step(tiny::prompts(6)));
  BOOST_TEST(trainer.report().rewards[0].count == 42u);
}

BOOST_AUTO_TEST_SUITE_END()
