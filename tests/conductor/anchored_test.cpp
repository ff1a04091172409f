// The Conductor that learns from an outside signal: golden numbers from a dense solve in numpy, recovery, and state.

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conductor/laws.hpp"
#include "conductor/support.hpp"
#include "maestro/conductor/anchored.hpp"
#include "maestro/core/parallel.hpp"

using namespace maestro;
using namespace conductor_test;

BOOST_AUTO_TEST_SUITE(anchored_conductor)

namespace {

static_assert(Conductor<AnchoredConductor>);

/// Three groups of the formulas that the reference uses, with a missing reward and responses that were not judged.
struct Golden : Batch {
  std::vector<float> judged;
  Matrix<float> demonstrated{3, 3};

  Golden() : Batch({3, 2, 4}, 4, 3) {
    for (std::size_t i = 0; i < 9; ++i) {
      const auto at = static_cast<double>(i);
      for (std::size_t j = 0; j < 4; ++j) {
        hidden(i, j) = static_cast<float>(std::sin(1.0 + 4.0 * at + static_cast<double>(j)));
      }
      for (std::size_t k = 0; k < 3; ++k) {
        rewards(i, k) = static_cast<float>(std::cos(2.0 + 3.0 * at + static_cast<double>(k)));
      }
      const bool asked = i != 3 && i != 4 && i != 6;
      judged.push_back(asked ? static_cast<float>(std::sin(1.7 * at)) : missing);
    }
    rewards(1, 2) = missing;
    for (std::size_t g = 0; g < 3; ++g) {
      for (std::size_t k = 0; k < 3; ++k) {
        demonstrated(g, k) = static_cast<float>(std::cos(0.3 * static_cast<double>(g) + static_cast<double>(k)));
      }
    }
  }
};

/// The mean hidden state of each group's responses (N x d), as that of its prompt.
Matrix<float> prompt_states(const Batch& batch) {
  Matrix<float> means(batch.groups.count(), batch.hidden.cols());
  for (std::size_t g = 0; g < means.rows(); ++g) {
    for (std::size_t i = batch.groups.begin(g); i < batch.groups.end(g); ++i) {
      for (std::size_t j = 0; j < means.cols(); ++j) means(g, j) += batch.hidden(i, j);
    }
  }
  return means;
}

/// Shows the Conductor what an anchor said of a batch that it has decided on.
void show(AnchoredConductor& conductor, const Batch& batch, std::span<const float> judged,
          MatrixView<const float> demonstrated = {}, std::span<const std::string_view> tasks = {}) {
  StepView view = batch.view();
  view.tasks = tasks;
  const Matrix<float> prompts = prompt_states(batch);
  view.prompt_hidden = prompts;
  const Decision decision = conductor.decide(view);
  const std::vector<float> advantages(batch.groups.rows(), 0.0f);
  conductor.observe({.decision = decision,
                     .hidden = batch.hidden.view(),
                     .groups = batch.groups,
                     .advantages = advantages,
                     .counterfactuals = {},
                     .step = batch.step,
                     .rewards = batch.rewards.view(),
                     .tasks = tasks,
                     .judged = judged,
                     .demonstrated = demonstrated,
                     .prompt_hidden = prompts});
}

void check_weights(AnchoredConductor& conductor, const Batch& batch,
                   const std::array<std::array<double, 3>, 3>& expected) {
  const Decision decision = conductor.decide(batch.view());
  for (std::size_t g = 0; g < 3; ++g) {
    const std::size_t whole = batch.groups.end(g) - 1;  // a response that has every reward
    for (std::size_t k = 0; k < 3; ++k) {
      BOOST_TEST(double{decision.weights(whole, k)} == expected[g][k], boost::test_tools::tolerance(2e-6));
    }
  }
}

/// Scores of a judge whose taste is a known mixture of the rewards, which depends on the sign of the first feature.
std::vector<float> taste(const Batch& batch, const std::array<double, 3>& left, const std::array<double, 3>& right) {
  std::vector<float> scores;
  for (std::size_t g = 0; g < batch.groups.count(); ++g) {
    const auto& w = batch.hidden(batch.groups.begin(g), 0) < 0.0f ? left : right;
    std::vector<double> sums(batch.groups.size(g));
    for (std::size_t k = 0; k < 3; ++k) {
      z_scores(
          sums.size(), [&](std::size_t i) { return batch.rewards(batch.groups.begin(g) + i, k); },
          [&](std::size_t i, double z) { sums[i] += w[k] * z; });
    }
    for (const double s : sums) scores.push_back(static_cast<float>(s));
  }
  return scores;
}

/// Groups whose hidden states are all +1 or all -1 in the first feature, and noise in the others.
Batch two_kinds(std::size_t groups, std::size_t d, std::uint32_t salt) {
  Batch batch(std::vector<std::size_t>(groups, 6), d, 3, salt);
  for (std::size_t i = 0; i < batch.groups.rows(); ++i) batch.hidden(i, 0) = i / 6 % 2 == 0 ? -2.0f : 2.0f;
  return batch;
}

}  // namespace

BOOST_AUTO_TEST_CASE(weights_are_those_of_a_dense_solve) {
  const Golden batch;
  AnchoredConductor joint({.lambda = 2.0});
  show(joint, batch, batch.judged);
  check_weights(joint, batch,
                {{{0.644334862, 0.059871267, 0.295793871},
                  {-0.647668042, -0.060780914, -0.291551044},
                  {0.644359743, 0.059878057, 0.295762201}}});
  BOOST_TEST(joint.ridge().theta()(0, 3) == -0.251987761, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(joint.rows_learned() == 6u);

  AnchoredConductor demonstrated({.lambda = 2.0});
  show(demonstrated, batch, {}, batch.demonstrated.view());
  check_weights(demonstrated, batch,
                {{{0.551214747, -0.104124774, 0.344660479},
                  {0.462782394, 0.279028746, -0.25818886},
                  {0.548743629, -0.105424652, 0.345831719}}});

  AnchoredConductor marginal({.form = AnchoredForm::marginal, .lambda = 0.5});
  show(marginal, batch, batch.judged);
  check_weights(marginal, batch,
                {{{0.69731941, 0.301723034, 0.000957556},
                  {0.00982739, 0.00982739, 0.980345219},
                  {0.697488018, 0.301554157, 0.000957824}}});
  AnchoredConductor marginal_demonstrated({.form = AnchoredForm::marginal, .lambda = 0.5});
  show(marginal_demonstrated, batch, {}, batch.demonstrated.view());
  check_weights(marginal_demonstrated, batch,
                {{{0.657376121, 0.158874169, 0.18374971},
                  {0.861351351, 0.137619989, 0.00102866},
                  {0.655983979, 0.158726297, 0.185289724}}});
}

BOOST_AUTO_TEST_CASE(a_missing_reward_gets_no_weight_and_the_others_share_it) {
  const Golden batch;
  AnchoredConductor conductor({.lambda = 2.0});
  show(conductor, batch, batch.judged);
  const Decision decision = conductor.decide(batch.view());
  BOOST_TEST(decision.weights(1, 2) == 0.0f);
  const double kept = 0.644334862 + 0.059871267;
  BOOST_TEST(double{decision.weights(1, 0)} == 0.644334862 / kept, boost::test_tools::tolerance(2e-6));
  BOOST_TEST(double{decision.weights(1, 1)} == 0.059871267 / kept, boost::test_tools::tolerance(2e-6));
}

BOOST_AUTO_TEST_CASE(signed_tastes_are_recovered_per_context_and_not_without_one) {
  const std::array<double, 3> left{0.6, -0.3, 0.1};
  const std::array<double, 3> right{-0.2, 0.3, 0.5};
  AnchoredConductor by_hidden({.lambda = 0.01});
  AnchoredConductor global({.context = GroupContextKind::global});
  for (std::uint32_t step = 0; step < 30; ++step) {
    const Batch batch = two_kinds(4, 3, step);
    const std::vector<float> scores = taste(batch, left, right);
    show(by_hidden, batch, scores);
    show(global, batch, scores);
  }
  const Batch unseen = two_kinds(2, 3, 99);
  const Decision decision = by_hidden.decide(unseen.view());
  const Decision same = global.decide(unseen.view());
  for (std::size_t k = 0; k < 3; ++k) {
    BOOST_TEST(std::abs(double{decision.weights(0, k)} - left[k]) < 0.08);
    BOOST_TEST(std::abs(double{decision.weights(6, k)} - right[k]) < 0.08);
    BOOST_TEST(same.weights(0, k) == same.weights(6, k));
  }
}

BOOST_AUTO_TEST_CASE(tasks_are_a_context_of_their_own) {
  const std::array<double, 3> left{0.6, -0.3, 0.1};
  const std::array<double, 3> right{-0.2, 0.3, 0.5};
  const std::vector<std::string_view> tasks{"story", "sum", "story", "sum"};
  AnchoredConductor conductor({.context = GroupContextKind::task, .lambda = 0.01});
  for (std::uint32_t step = 0; step < 10; ++step) {
    const Batch batch = two_kinds(4, 3, step);
    show(conductor, batch, taste(batch, left, right), {}, tasks);
  }
  const Batch unseen = two_kinds(4, 3, 99);
  StepView view = unseen.view();
  view.tasks = tasks;
  const Decision decision = conductor.decide(view);
  for (std::size_t k = 0; k < 3; ++k) {
    BOOST_TEST(std::abs(double{decision.weights(0, k)} - left[k]) < 0.08);
    BOOST_TEST(std::abs(double{decision.weights(6, k)} - right[k]) < 0.08);
  }
  BOOST_CHECK_THROW(conductor.decide(unseen.view()), BadArgument);  // no tasks

  AnchoredConductor narrow({.context = GroupContextKind::task, .max_tasks = 1});
  BOOST_CHECK_THROW(narrow.decide(view), BadData);
}

BOOST_AUTO_TEST_CASE(the_state_of_the_prompt_is_read_as_that_of_the_responses) {
  AnchoredConductor by_hidden;
  AnchoredConductor by_prompt({.context = GroupContextKind::prompt});
  for (std::uint32_t step = 0; step < 3; ++step) {
    const Batch batch = two_kinds(4, 3, step);
    const std::vector<float> scores = taste(batch, {0.6, -0.3, 0.1}, {-0.2, 0.3, 0.5});
    show(by_hidden, batch, scores);
    show(by_prompt, batch, scores);
  }
  const Batch unseen = two_kinds(2, 3, 99);
  const Matrix<float> prompts = prompt_states(unseen);
  StepView view = unseen.view();
  BOOST_CHECK_THROW(by_prompt.decide(view), BadArgument);  // the policy gives none
  view.prompt_hidden = prompts;
  const Decision expected = by_hidden.decide(view);
  const Decision decision = by_prompt.decide(view);
  for (std::size_t i = 0; i < decision.weights.rows(); ++i) {
    for (std::size_t k = 0; k < 3; ++k) BOOST_TEST(std::abs(decision.weights(i, k) - expected.weights(i, k)) < 1e-6f);
  }
  BOOST_TEST(decision.weights(0, 0) > decision.weights(6, 0));
}

BOOST_AUTO_TEST_CASE(what_says_nothing_teaches_nothing) {
  Batch batch({4, 1}, 3, 2);
  for (float& r : batch.rewards.flat()) r = 0.5f;
  AnchoredConductor constant;
  show(constant, batch, std::vector<float>{1.0f, 2.0f, 3.0f, 4.0f, 5.0f});
  const Decision equal = constant.decide(batch.view());
  for (const float w : equal.weights.flat()) BOOST_TEST(w == 0.5f);

  AnchoredConductor lonely;  // one response has no group to be compared with
  Batch single({1}, 3, 2);
  show(lonely, single, std::vector<float>{1.0f});
  BOOST_TEST(lonely.rows_learned() == 0u);
  BOOST_TEST(!lonely.update().has_value());

  AnchoredConductor silent;
  show(silent, batch, std::vector<float>(5, missing), Matrix<float>(2, 2, missing));
  BOOST_TEST(silent.rows_learned() == 0u);

  // One reward: its sign alone is learned.
  AnchoredConductor one;
  const Batch ones({5}, 3, 1);
  std::vector<float> against;
  for (std::size_t i = 0; i < 5; ++i) against.push_back(-ones.rewards(i, 0));
  show(one, ones, against);
  BOOST_TEST(one.decide(ones.view()).weights(0, 0) == -1.0f);
}

BOOST_AUTO_TEST_CASE(uncertainty_is_the_prior_first_and_shrinks_where_judged) {
  AnchoredConductor conductor({.lambda = 4.0});
  const Batch batch = two_kinds(2, 3, 1);
  static_cast<void>(conductor.decide(batch.view()));
  std::array<double, 2> before{};
  conductor.uncertainty(batch.view(), before);
  for (const double u : before)
    BOOST_TEST(u == 3.0 * 4.0 / 4.0, boost::test_tools::tolerance(1e-9));  // K |x|^2 / lambda
  std::vector<float> scores(12, missing);
  for (std::size_t i = 0; i < 6; ++i) scores[i] = batch.rewards(i, 0);
  show(conductor, batch, scores);
  std::array<double, 2> after{};
  conductor.uncertainty(batch.view(), after);
  BOOST_TEST(after[0] < 0.8 * before[0]);
  BOOST_TEST(after[0] < after[1]);
}

// What lies where the decision's hidden states lay is known; what lies elsewhere, or of other groups, is read anew.
BOOST_AUTO_TEST_CASE(hidden_states_are_remembered_wherever_they_lie) {
  for (const auto context : {GroupContextKind::hidden, GroupContextKind::prompt}) {
    Batch batch = two_kinds(3, 5, 1);
    Matrix<float> prompts = prompt_states(batch);
    const std::vector<float> scores = taste(batch, {0.6, -0.3, 0.1}, {-0.2, 0.3, 0.5});
    const auto view = [&](const Batch& of, std::uint32_t step) {
      StepView result = of.view();
      result.prompt_hidden = prompts;
      result.step = step;
      return result;
    };
    const auto observe = [&](AnchoredConductor& conductor, const StepView& of) {
      conductor.observe({.decision = Decision(),
                         .hidden = of.hidden,
                         .groups = of.groups,
                         .advantages = {},
                         .counterfactuals = {},
                         .step = of.step,
                         .rewards = of.rewards,
                         .judged = scores,
                         .prompt_hidden = of.prompt_hidden});
    };
    AnchoredConductor same({.context = context}), elsewhere(same.options());
    const Batch copy = batch;
    const Matrix<float> prompt_copy = prompts;
    StepView moved = view(copy, 0);
    moved.prompt_hidden = prompt_copy;
    std::array<double, 3> known{}, anew{};
    static_cast<void>(same.decide(view(batch, 0)));
    static_cast<void>(elsewhere.decide(view(batch, 0)));
    same.uncertainty(view(batch, 0), known);
    elsewhere.uncertainty(moved, anew);
    BOOST_TEST(known == anew, boost::test_tools::per_element());
    observe(same, view(batch, 0));
    observe(elsewhere, moved);
    BOOST_TEST((save(same).entries == save(elsewhere).entries));

    Batch regrouped = batch;
    regrouped.groups = Groups::uniform(2, 9);
    regrouped.rows.resize(2);
    Matrix<float> fewer = prompt_states(regrouped);
    StepView two = view(batch, 1);
    two.prompt_hidden = fewer;
    const StepView others{two.hidden, two.rewards, regrouped.groups, regrouped.rows, two.seed, 1, {}, fewer};
    static_cast<void>(same.decide(view(batch, 1)));
    static_cast<void>(elsewhere.decide(view(batch, 1)));
    observe(same, others);  // the same states, of other groups
    regrouped.hidden = copy.hidden;
    const Matrix<float> fewer_copy = fewer;
    observe(elsewhere, {regrouped.hidden, two.rewards, regrouped.groups, regrouped.rows, two.seed, 1, {}, fewer_copy});
    BOOST_TEST((save(same).entries == save(elsewhere).entries));

    static_cast<void>(same.decide(view(batch, 2)));
    batch.hidden(2, 1) = prompts(1, 1) = missing;
    BOOST_CHECK_NO_THROW(same.uncertainty(view(batch, 2), known));        // not read again
    BOOST_CHECK_THROW(same.uncertainty(view(batch, 3), known), BadData);  // another step's values at the same place
    BOOST_CHECK_NO_THROW(observe(same, view(batch, 2)));                  // not read again
    BOOST_CHECK_THROW(same.uncertainty(view(batch, 2), known), BadData);  // they may have changed since
  }
}

BOOST_AUTO_TEST_CASE(large_hidden_states_are_projected) {
  const std::array<double, 3> left{0.6, -0.3, 0.1};
  const std::array<double, 3> right{-0.2, 0.3, 0.5};
  AnchoredConductor conductor({.lambda = 1.0, .max_features = 120, .projection = 8});
  for (std::uint32_t step = 0; step < 40; ++step) {
    Batch batch = two_kinds(4, 60, step);
    for (std::size_t i = 0; i < batch.groups.rows(); ++i) batch.hidden(i, 0) *= 10.0f;
    show(conductor, batch, taste(batch, left, right));
  }
  BOOST_TEST(conductor.ridge().features() == 27u);
  Batch unseen = two_kinds(2, 60, 99);
  for (std::size_t i = 0; i < 12; ++i) unseen.hidden(i, 0) *= 10.0f;
  const Decision decision = conductor.decide(unseen.view());
  for (std::size_t k = 0; k < 3; ++k) {
    BOOST_TEST(std::abs(double{decision.weights(0, k)} - left[k]) < 0.15);
    BOOST_TEST(std::abs(double{decision.weights(6, k)} - right[k]) < 0.15);
  }
}

BOOST_AUTO_TEST_CASE(forgetting_follows_a_taste_that_turns_and_its_trace_is_capped) {
  const std::array<double, 3> before{0.6, -0.3, 0.1};
  const std::array<double, 3> after{-0.6, 0.3, 0.1};
  AnchoredConductor keeps({.context = GroupContextKind::global});
  AnchoredConductor forgets({.context = GroupContextKind::global, .forgetting = 0.7});
  for (std::uint32_t step = 0; step < 40; ++step) {
    const Batch batch = two_kinds(2, 3, step);
    const auto& w = step < 30 ? before : after;
    const std::vector<float> scores = taste(batch, w, w);
    show(keeps, batch, scores);
    show(forgets, batch, scores);
  }
  const Batch batch = two_kinds(2, 3, 99);
  BOOST_TEST(keeps.decide(batch.view()).weights(0, 0) > 0.2f);
  BOOST_TEST(forgets.decide(batch.view()).weights(0, 0) < -0.4f);

  Batch constant = two_kinds(2, 3, 99);
  for (float& r : constant.rewards.flat()) r = 1.0f;  // rows that visit no direction
  for (int step = 0; step < 200; ++step) show(forgets, constant, std::vector<float>(12, 1.0f));
  double trace = 0.0;
  for (std::size_t i = 0; i < 3; ++i) trace += forgets.ridge().inverse()(i, i);
  BOOST_TEST(trace <= 3.0 / 8.0 * (1.0 + 1e-9));
}

BOOST_AUTO_TEST_CASE(rank_one_updates_stay_symmetric_and_equal_on_any_number_of_threads) {
  const int before = max_threads();
  std::vector<Memory> states;
  for (const int threads : {1, 2, 3}) {
    set_threads(threads);
    AnchoredConductor conductor;
    for (std::uint32_t step = 0; step < 3; ++step) {
      const Batch batch = two_kinds(3, 100, step);
      show(conductor, batch, taste(batch, {0.6, -0.3, 0.1}, {0.1, 0.2, 0.7}));
    }
    const auto inverse = conductor.ridge().inverse();
    bool symmetric = true;
    for (std::size_t i = 0; i < inverse.rows(); ++i) {
      for (std::size_t j = 0; j < i; ++j) symmetric = symmetric && inverse(i, j) == inverse(j, i);
    }
    BOOST_TEST(symmetric);
    states.push_back(save(conductor));
  }
  set_threads(before);
  BOOST_TEST((states[0].entries == states[1].entries));
  BOOST_TEST((states[0].entries == states[2].entries));
}

BOOST_AUTO_TEST_CASE(a_loaded_state_goes_on_to_the_same_bits_and_a_foreign_one_is_refused) {
  for (const auto context :
       {GroupContextKind::hidden, GroupContextKind::global, GroupContextKind::task, GroupContextKind::prompt}) {
    const std::vector<std::string_view> tasks{"a", "b", "a"};
    AnchoredConductor first({.context = context, .forgetting = 0.9, .max_features = 20, .projection = 5});
    AnchoredConductor second(first.options());
    for (std::uint32_t step = 0; step < 4; ++step) {
      const Batch batch = two_kinds(3, 12, step);
      const auto scores = taste(batch, {0.6, -0.3, 0.1}, {0.1, 0.2, 0.7});
      if (step == 2) load(second, save(first));
      show(first, batch, scores, {}, tasks);
      if (step >= 2) show(second, batch, scores, {}, tasks);
    }
    BOOST_TEST((save(first).entries == save(second).entries));
    AnchoredConductor other({.form = AnchoredForm::marginal, .context = context});
    BOOST_CHECK_THROW(load(other, save(first)), BadFile);
  }
}

BOOST_AUTO_TEST_CASE(options_and_shapes_that_do_not_fit_are_refused) {
  BOOST_CHECK_THROW(AnchoredConductor({.lambda = -1.0}), BadArgument);
  BOOST_CHECK_THROW(AnchoredConductor({.forgetting = 0.0}), BadArgument);
  BOOST_CHECK_THROW(AnchoredConductor({.max_features = 0}), BadArgument);
  BOOST_CHECK_THROW(AnchoredConductor({.projection = 0}), BadArgument);
  AnchoredConductor conductor;
  const Batch batch({3}, 4, 3);
  BOOST_CHECK_THROW(show(conductor, batch, std::vector<float>(2, 1.0f)), BadArgument);
  BOOST_CHECK_THROW(show(conductor, batch, {}, Matrix<float>(2, 3, 1.0f)), BadArgument);
  const Batch wide({3}, 5, 3);
  BOOST_CHECK_THROW(conductor.decide(wide.view()), BadArgument);
  Batch bad({3}, 4, 3);
  bad.hidden(1, 1) = missing;
  BOOST_CHECK_THROW(conductor.decide(bad.view()), BadData);
}

BOOST_AUTO_TEST_SUITE_END()
