#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <string>
#include <vector>

#include "scalarization/support.hpp"

// One set of laws, run over every scalarization and normalizer.

using namespace maestro;

BOOST_AUTO_TEST_SUITE(laws)

namespace {

void for_every_scalarization(const std::function<void(const std::string&, const AnyScalarization&)>& law) {
  for (const auto name : scalarization_names) {
    for (const auto kind : {NormalizerKind::none, NormalizerKind::z_score, NormalizerKind::rank}) {
      const std::string label = std::string(name) + "/" + std::string(normalizer_names[std::size_t(kind)]);
      BOOST_TEST_CONTEXT(label) { law(label, AnyScalarization(name, {.normalizer = {.kind = kind}})); }
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(counterfactuals_equal_recomputation) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{3}}) {
    const test::Scene scene(count);
    for_every_scalarization([&](const std::string&, const AnyScalarization& scalarization) {
      const auto result = test::run(scalarization, scene.rewards, scene.decision, scene.groups,
                                    test::Want::counterfactuals, scene.penalty);
      for (std::size_t i = 0; i < scene.rewards.rows(); ++i) {
        for (std::size_t k = 0; k < count; ++k) {
          Decision other = scene.decision;
          test::take(other, i, k);
          const auto brute =
              test::run(scalarization, scene.rewards, other, scene.groups, test::Want::advantages, scene.penalty);
          // dvao and corr_grpo make advantages of any size.
          BOOST_TEST(std::abs(result.counterfactuals(i, k) - brute.advantages[i]) <
                     3e-5f * std::max(1.0f, std::abs(brute.advantages[i])));
          if (std::size_t(scene.decision.actions[i]) == k) {
            BOOST_TEST(result.counterfactuals(i, k) == result.advantages[i]);
          }
        }
      }
    });
  }
}

BOOST_AUTO_TEST_CASE(counterfactuals_do_not_change_the_advantages) {
  const test::Scene scene(3);
  for_every_scalarization([&](const std::string&, const AnyScalarization& scalarization) {
    const auto with =
        test::run(scalarization, scene.rewards, scene.decision, scene.groups, test::Want::counterfactuals);
    const auto without = test::run(scalarization, scene.rewards, scene.decision, scene.groups);
    BOOST_TEST(with.advantages == without.advantages, boost::test_tools::per_element());
  });
}

BOOST_AUTO_TEST_CASE(equal_rewards_give_exactly_zero) {
  // 0.1 + 0.7 and thirds do not add up without rounding.
  const Matrix<float> rewards(7, 3, 0.1f);
  const Decision decision = test::shared_weights(7, {1.0f / 3, 0.7f, -0.13f});
  for_every_scalarization([&](const std::string&, const AnyScalarization& scalarization) {
    const auto result = test::run(scalarization, rewards, decision, Groups::uniform(1, 7), test::Want::counterfactuals);
    for (std::size_t i = 0; i < 7; ++i) {
      BOOST_TEST(result.advantages[i] == 0.0f);
      for (std::size_t k = 0; k < 3; ++k) BOOST_TEST(result.counterfactuals(i, k) == 0.0f);
    }
  });
}

BOOST_AUTO_TEST_CASE(own_weight_gives_zero_for_equal_rewards_under_any_weights) {
  const test::Scene scene(3);
  const auto result = test::run(Advantages{OwnWeightBaseline{}}, scene.rewards, scene.decision, scene.groups,
                                test::Want::counterfactuals);
  for (std::size_t i = scene.groups.begin(5); i < scene.groups.end(5); ++i) {
    BOOST_TEST(result.advantages[i] == 0.0f);
    for (std::size_t k = 0; k < 3; ++k) BOOST_TEST(result.counterfactuals(i, k) == 0.0f);
  }
}

BOOST_AUTO_TEST_CASE(lone_and_missing_rows_get_zero) {
  const test::Scene scene(3);
  for_every_scalarization([&](const std::string& name, const AnyScalarization& scalarization) {
    const auto result =
        test::run(scalarization, scene.rewards, scene.decision, scene.groups, test::Want::counterfactuals);
    if (!test::laws_of(name).leaves_out) return;
    BOOST_TEST(result.advantages[9] == 0.0f);
    BOOST_TEST(std::isnan(result.scalars[9]));
    for (std::size_t k = 0; k < 3; ++k) BOOST_TEST(result.counterfactuals(9, k) == 0.0f);
    for (const float advantage : result.advantages) BOOST_TEST(std::isfinite(advantage));
    // Row 5 is a group of one.
    if (test::laws_of(name).lone_is_zero) BOOST_TEST(result.advantages[5] == 0.0f);
  });
}

BOOST_AUTO_TEST_CASE(a_missing_row_is_as_if_it_were_not_there) {
  const test::Scene scene(3);
  std::vector<std::size_t> sizes{5, 1, 0, 6, 2, 8};
  Matrix<float> rewards(scene.rewards.rows() - 1, 3);
  std::vector<std::size_t> actions;
  Matrix<float> base(rewards.rows(), 3);
  for (std::size_t i = 0, j = 0; i < scene.rewards.rows(); ++i) {
    if (i == 9) continue;
    actions.push_back(std::size_t(scene.decision.actions[i]));
    for (std::size_t k = 0; k < 3; ++k) {
      rewards(j, k) = scene.rewards(i, k);
      base(j, k) = scene.decision.base(i, k);
    }
    ++j;
  }
  const Decision decision = test::acted(actions, base, scene.decision.emphasis);
  for_every_scalarization([&](const std::string& name, const AnyScalarization& scalarization) {
    if (!test::laws_of(name).leaves_out) return;
    const auto full = test::run(scalarization, scene.rewards, scene.decision, scene.groups);
    const auto left = test::run(scalarization, rewards, decision, Groups::from_sizes(sizes));
    for (std::size_t j = 0; j < left.advantages.size(); ++j) {
      BOOST_TEST(std::abs(left.advantages[j] - full.advantages[j < 9 ? j : j + 1]) < 1e-6f);
    }
  });
}

BOOST_AUTO_TEST_CASE(rows_of_a_group_may_be_permuted) {
  const test::Scene scene(3);
  std::vector<std::size_t> order(scene.rewards.rows());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::reverse(order.begin(), order.begin() + 5);
  std::rotate(order.begin() + 6, order.begin() + 9, order.begin() + 13);
  Matrix<float> rewards(order.size(), 3);
  Decision decision = scene.decision;
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t k = 0; k < 3; ++k) {
      rewards(i, k) = scene.rewards(order[i], k);
      decision.base(i, k) = scene.decision.base(order[i], k);
    }
    test::take(decision, i, std::size_t(scene.decision.actions[order[i]]));
  }
  for_every_scalarization([&](const std::string&, const AnyScalarization& scalarization) {
    const auto before =
        test::run(scalarization, scene.rewards, scene.decision, scene.groups, test::Want::counterfactuals);
    const auto after = test::run(scalarization, rewards, decision, scene.groups, test::Want::counterfactuals);
    for (std::size_t i = 0; i < order.size(); ++i) {
      BOOST_TEST(std::abs(after.advantages[i] - before.advantages[order[i]]) < 1e-5f);
      for (std::size_t k = 0; k < 3; ++k) {
        BOOST_TEST(std::abs(after.counterfactuals(i, k) - before.counterfactuals(order[i], k)) < 3e-5f);
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(a_constant_added_to_a_reward_changes_nothing) {
  // With weights that differ between the responses this holds for the own-weight baseline alone; with shared ones for
  // all. No reward is missing: a missing one stands for 0, which a constant moves.
  test::Scene scene(3);
  for (std::size_t i = 0; i < scene.rewards.rows(); ++i) {
    for (std::size_t k = 0; k < 3; ++k) {
      if (std::isnan(scene.rewards(i, k))) scene.rewards(i, k) = 0.25f;
    }
  }
  Matrix<float> moved = scene.rewards;
  for (std::size_t i = 0; i < moved.rows(); ++i) moved(i, 1) += 2.0f;
  const Decision shared = test::shared_weights(moved.rows(), {0.5f, 0.25f, 0.25f});
  for_every_scalarization([&](const std::string& name, const AnyScalarization& scalarization) {
    if (!test::laws_of(name).shift) return;
    const Decision& decision = name.starts_with("own_weight") ? scene.decision : shared;
    const auto lengths = test::lengths_of(scene.rewards);
    const auto before = test::run(scalarization, scene.rewards, decision, scene.groups, lengths);
    const auto after = test::run(scalarization, moved, decision, scene.groups, lengths);
    for (std::size_t i = 0; i < moved.rows(); ++i) {
      BOOST_TEST(std::abs(after.advantages[i] - before.advantages[i]) < 1e-5f);
    }
  });
}

BOOST_AUTO_TEST_CASE(advantages_of_a_group_add_up_to_zero) {
  const test::Scene scene(3);
  for_every_scalarization([&](const std::string& name, const AnyScalarization& scalarization) {
    if (!test::laws_of(name).sum_is_zero) return;
    const auto result = test::run(scalarization, scene.rewards, scene.decision, scene.groups);
    for (std::size_t g = 0; g < scene.groups.count(); ++g) {
      double sum = 0;
      for (std::size_t i = scene.groups.begin(g); i < scene.groups.end(g); ++i) sum += double(result.advantages[i]);
      BOOST_TEST(std::abs(sum) < 1e-5);
    }
  });
}

BOOST_AUTO_TEST_CASE(a_larger_reward_never_lowers_the_advantage) {
  test::Scene scene(3);
  for (std::size_t i = 0; i < scene.rewards.rows(); ++i) {
    for (std::size_t k = 0; k < 3; ++k) {
      scene.rewards(i, k) = std::isnan(scene.rewards(i, k)) ? 0.5f : std::abs(scene.rewards(i, k));
    }
  }
  const Decision shared = test::shared_weights(scene.rewards.rows(), {0.5f, 0.25f, 0.25f});
  for (const auto name : scalarization_names) {
    if (!test::laws_of(name).monotone) continue;
    const AnyScalarization scalarization(name);
    const auto lengths = test::lengths_of(scene.rewards);
    const auto before = test::run(scalarization, scene.rewards, shared, scene.groups, lengths);
    for (std::size_t i = 0; i < scene.rewards.rows(); ++i) {
      Matrix<float> raised = scene.rewards;
      raised(i, i % 3) += 0.75f;
      const auto after = test::run(scalarization, raised, shared, scene.groups, lengths);
      BOOST_TEST_CONTEXT(name << ", row " << i) { BOOST_TEST(after.advantages[i] >= before.advantages[i] - 1e-5f); }
    }
  }
}

BOOST_AUTO_TEST_CASE(rewards_times_a_constant) {
  // Nothing changes, or the advantages grow with it; epsilons play no part in rewards of this size.
  test::Scene scene(3);
  for (float& reward : scene.rewards.flat()) reward = 1e6f * (std::isnan(reward) ? 0.5f : std::abs(reward));
  for (std::size_t k = 0; k < 3; ++k) scene.rewards(22, k) = 1e5f;  // no group is constant
  Matrix<float> scaled = scene.rewards;
  for (float& reward : scaled.flat()) reward *= 4.0f;
  const Decision shared = test::shared_weights(scaled.rows(), {0.5f, 0.25f, 0.25f});
  for (const auto name : scalarization_names) {
    // Declared bounds; a lone response that keeps its reward; what is not divided in groups of 2.
    if (name == "sa_mrpo" || name == "verl" || name == "leave_one_out" || name == "nemo_rl") continue;
    const AnyScalarization scalarization(name);
    const auto lengths = test::lengths_of(scene.rewards);
    const auto before = test::run(scalarization, scene.rewards, shared, scene.groups, lengths);
    const auto after = test::run(scalarization, scaled, shared, scene.groups, lengths);
    const float factor = test::laws_of(name).scale_is_nothing ? 1.0f : 4.0f;
    BOOST_TEST_CONTEXT(name) {
      for (std::size_t i = 0; i < scaled.rows(); ++i) {
        const float expected = factor * before.advantages[i];
        BOOST_TEST(std::abs(after.advantages[i] - expected) < 1e-4f * (1.0f + std::abs(expected)));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_the_bits) {
  const test::Scene scene(3);
  for_every_scalarization([&](const std::string&, const AnyScalarization& scalarization) {
    set_threads(1);
    const auto one = test::run(scalarization, scene.rewards, scene.decision, scene.groups, test::Want::counterfactuals);
    set_threads(3);
    const auto three =
        test::run(scalarization, scene.rewards, scene.decision, scene.groups, test::Want::counterfactuals);
    BOOST_TEST(one.advantages == three.advantages, boost::test_tools::per_element());
    BOOST_TEST((one.counterfactuals == three.counterfactuals));
  });
  set_threads(2);
}

BOOST_AUTO_TEST_CASE(an_empty_batch_is_no_work) {
  for_every_scalarization([&](const std::string&, const AnyScalarization& scalarization) {
    const auto result = test::run(scalarization, Matrix<float>(0, 3), test::shared_weights(0, {1, 1, 1}),
                                  Groups::uniform(0, 4), test::Want::counterfactuals);
    BOOST_TEST(result.advantages.empty());
  });
}

BOOST_AUTO_TEST_SUITE_END()
