#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "scalarization/support.hpp"

// The scalarizations work on blocks of groups side by side: what a block could get wrong.

using namespace maestro;

namespace {

constexpr std::size_t count = 5;
const float infinite = std::numeric_limits<float>::infinity();

/// Group sizes that fill, cut and mix blocks: none, one, a few, many of one size, one of 1000.
std::vector<std::size_t> many_sizes() {
  std::vector<std::size_t> sizes{0, 1, 1, 3, 0, 2};
  sizes.insert(sizes.end(), 150, 8);
  sizes.insert(sizes.end(), {1000, 1, 7, 0, 300, 0});
  for (std::size_t g = 0; g < 100; ++g) sizes.push_back(g * 7 % 20);
  sizes.insert(sizes.end(), 37, 5);
  sizes.push_back(0);
  return sizes;
}

/// Random rewards, weights of any sign, actions and penalties; `gaps` of the rewards missing.
struct Batch {
  Batch(Groups partition, double gaps) : groups(std::move(partition)) {
    const RandomStream stream({.seed = 7});
    std::uint32_t position = 0;
    rewards.resize(groups.rows(), count);
    Matrix<float> base(groups.rows(), count);
    std::vector<std::size_t> actions;
    for (std::size_t i = 0; i < groups.rows(); ++i) {
      for (std::size_t k = 0; k < count; ++k) {
        // Every other reward takes few values, so that groups have ties and equal rows.
        const double draw = stream.normal(position++);
        rewards(i, k) = static_cast<float>(k % 2 == 0 ? draw : std::round(draw));
        if (stream.uniform(position++) < gaps) rewards(i, k) = test::missing;
        base(i, k) = static_cast<float>(stream.uniform(position++) - 0.3);
      }
      if (gaps > 0.0 && i % 50 == 20) {
        for (std::size_t k = 0; k < count; ++k) rewards(i, k) = test::missing;
      }
      actions.push_back(static_cast<std::size_t>(stream.below(count, position++)));
      penalty.push_back(static_cast<float>(0.1 * stream.uniform(position++)));
    }
    decision = test::acted(actions, std::move(base), 0.7f);
  }

  Groups groups;
  Matrix<float> rewards;
  Decision decision;
  std::vector<float> penalty;
};

void for_every_scalarization(const std::function<void(const std::string&, const AnyScalarization&)>& check) {
  for (const auto name : scalarization_names) {
    for (const auto kind : {NormalizerKind::none, NormalizerKind::z_score, NormalizerKind::rank}) {
      const std::string label = std::string(name) + "/" + std::string(normalizer_names[std::size_t(kind)]);
      BOOST_TEST_CONTEXT(label) { check(label, AnyScalarization(name, {.kind = kind})); }
    }
  }
}

struct Spread {
  double n = 0, mean = 0, std_dev = 0;
};

Spread spread_of(const std::vector<double>& values) {
  Spread s;
  for (const double v : values) {
    if (!std::isnan(v)) s.mean += v, ++s.n;
  }
  if (s.n > 0) s.mean /= s.n;
  for (const double v : values) {
    if (!std::isnan(v)) s.std_dev += (v - s.mean) * (v - s.mean);
  }
  s.std_dev = s.n > 1 ? std::sqrt(s.std_dev / (s.n - 1)) : 0.0;
  return s;
}

std::vector<double> slice(const std::vector<double>& values, const Groups& groups, std::size_t g) {
  return {values.begin() + std::ptrdiff_t(groups.begin(g)), values.begin() + std::ptrdiff_t(groups.end(g))};
}

/// Rewards k of every row, z-scored inside its group, or as it is.
std::vector<double> column(const Batch& batch, std::size_t k, bool z_scored) {
  std::vector<double> values;
  for (std::size_t i = 0; i < batch.rewards.rows(); ++i) values.push_back(double(batch.rewards(i, k)));
  for (std::size_t g = 0; g < batch.groups.count() && z_scored; ++g) {
    const Spread s = spread_of(slice(values, batch.groups, g));
    for (std::size_t i = batch.groups.begin(g); i < batch.groups.end(g); ++i) {
      values[i] = (values[i] - s.mean) / (s.std_dev + 1e-4);
    }
  }
  return values;
}

/// The advantages that the formulas say, one row after the other.
std::vector<double> by_hand(const std::string& name, const Batch& batch) {
  const std::size_t rows = batch.rewards.rows();
  std::vector<double> scalars(rows, 0.0), advantages(rows, 0.0), seen(rows, 0.0);
  for (std::size_t k = 0; k < count; ++k) {
    const std::vector<double> values = column(batch, k, name == "gdpo");
    for (std::size_t i = 0; i < rows; ++i) {
      if (std::isnan(values[i])) continue;
      scalars[i] += double(batch.decision.weights(i, k)) * values[i];
      seen[i] = 1;
    }
  }
  for (std::size_t i = 0; i < rows; ++i) scalars[i] = seen[i] > 0 ? scalars[i] - double(batch.penalty[i]) : NAN;
  const Spread all = spread_of(scalars);
  for (std::size_t g = 0; g < batch.groups.count(); ++g) {
    const Spread own = spread_of(slice(scalars, batch.groups, g));
    for (std::size_t i = batch.groups.begin(g); i < batch.groups.end(g); ++i) {
      if (std::isnan(scalars[i])) continue;
      const double centered = scalars[i] - own.mean;
      if (name == "group") advantages[i] = centered / (own.std_dev + 1e-4);
      if (name == "batch") advantages[i] = centered / (all.std_dev + 1e-4);
      if (name == "none" || name == "dr_grpo") advantages[i] = centered;
      if (name == "rloo") advantages[i] = own.n > 1 ? own.n / (own.n - 1) * centered : 0.0;
      if (name == "gdpo") advantages[i] = (scalars[i] - all.mean) / (all.std_dev + 1e-4);
    }
  }
  return advantages;
}

/// Own-weight advantages, centered.
std::vector<double> own_weight_by_hand(const Batch& batch) {
  std::vector<double> advantages(batch.rewards.rows(), 0.0);
  for (std::size_t g = 0; g < batch.groups.count(); ++g) {
    const std::size_t begin = batch.groups.begin(g), size = batch.groups.size(g);
    std::vector<bool> there(size, false);
    std::vector<std::vector<double>> d(count + 1, std::vector<double>(size));
    for (std::size_t j = 0; j < size; ++j) {
      for (std::size_t k = 0; k < count; ++k) {
        d[k][j] = double(batch.rewards(begin + j, k));
        if (!std::isnan(d[k][j])) there[j] = true;
      }
      d[count][j] = there[j] ? double(batch.penalty[begin + j]) : NAN;
    }
    double n = 0, sum = 0;
    for (std::size_t j = 0; j < size; ++j) n += there[j] ? 1 : 0;
    for (auto& values : d) {
      const double mean = spread_of(values).mean;
      for (double& v : values) v = std::isnan(v) ? 0.0 : v - mean;
    }
    for (std::size_t j = 0; j < size; ++j) {
      double numerator = 0, variance = 0;
      const auto w = [&](std::size_t k) { return k < count ? double(batch.decision.weights(begin + j, k)) : -1.0; };
      for (std::size_t k = 0; k <= count; ++k) {
        numerator += w(k) * d[k][j];
        for (std::size_t l = 0; l <= count; ++l) {
          double covariance = 0;
          for (std::size_t i = 0; i < size && n > 1; ++i) covariance += d[k][i] * d[l][i] / (n - 1);
          variance += w(k) * covariance * w(l);
        }
      }
      if (there[j] && variance > 0) advantages[begin + j] = numerator / std::sqrt(variance + 1e-8);
      sum += advantages[begin + j];
    }
    for (std::size_t j = 0; j < size; ++j) advantages[begin + j] = there[j] ? advantages[begin + j] - sum / n : 0.0;
  }
  return advantages;
}

template <class F>
std::string bad_data(F&& f) {
  try {
    f();
  } catch (const BadData& e) {
    return e.what();
  }
  return "nothing thrown";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

bool same_bits(const std::vector<float>& a, const std::vector<float>& b, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) {
    if (!(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))) return false;
  }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(blocks)

BOOST_AUTO_TEST_CASE(any_mixture_of_group_sizes_gives_the_formulas) {
  for (const double gaps : {0.0, 0.2}) {
    const Batch batch(Groups::from_sizes(many_sizes()), gaps);
    for (const auto name : scalarization_names) {
      BOOST_TEST_CONTEXT(name << ", missing " << gaps) {
        const std::vector<double> expected =
            name == "own_weight" ? own_weight_by_hand(batch) : by_hand(std::string(name), batch);
        const auto result = test::run(AnyScalarization(name), batch.rewards, batch.decision, batch.groups,
                                      test::Want::advantages, batch.penalty);
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < expected.size(); ++i) {
          if (!(std::abs(double(result.advantages[i]) - expected[i]) < 2e-6 * (1 + std::abs(expected[i])))) ++wrong;
        }
        BOOST_TEST(wrong == 0u);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(counterfactuals_in_blocks_equal_recomputation) {
  const std::vector<std::size_t> sizes{8, 8, 8, 0, 8, 1, 3, 8, 17, 2, 8, 8, 8, 8};
  const Batch batch(Groups::from_sizes(sizes), 0.1);
  for_every_scalarization([&](const std::string&, const AnyScalarization& scalarization) {
    const auto result = test::run(scalarization, batch.rewards, batch.decision, batch.groups,
                                  test::Want::counterfactuals, batch.penalty);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < batch.rewards.rows(); i += 3) {
      for (std::size_t k = 0; k < count; ++k) {
        Decision other = batch.decision;
        test::take(other, i, k);
        const auto brute =
            test::run(scalarization, batch.rewards, other, batch.groups, test::Want::advantages, batch.penalty);
        if (!(std::abs(result.counterfactuals(i, k) - brute.advantages[i]) < 5e-5f)) ++wrong;
        if (std::size_t(batch.decision.actions[i]) == k && result.counterfactuals(i, k) != result.advantages[i])
          ++wrong;
      }
    }
    BOOST_TEST(wrong == 0u);
  });
}

BOOST_AUTO_TEST_CASE(a_group_does_not_notice_its_neighbors) {
  // Not a bit changes for a missing reward, or another size of group, beside it.
  const Batch full(Groups::uniform(64, 8), 0.0);
  Batch with_gap = full;
  for (std::size_t k = 0; k < count; ++k) with_gap.rewards(3, k) = test::missing;
  with_gap.rewards(100, 2) = test::missing;
  std::vector<std::size_t> sizes(63, 8);
  sizes.insert(sizes.begin() + 20, {3, 5});
  Batch uneven = full;
  uneven.groups = Groups::from_sizes(sizes);
  for_every_scalarization([&](const std::string& name, const AnyScalarization& scalarization) {
    if (name.rfind("batch", 0) == 0 || name.rfind("gdpo", 0) == 0) return;
    const auto run = [&](const Batch& batch) {
      return test::run(scalarization, batch.rewards, batch.decision, batch.groups, test::Want::counterfactuals,
                       batch.penalty);
    };
    const auto plain = run(full), gap = run(with_gap), mixed = run(uneven);
    const auto equal = [&](const test::Result& other, std::size_t begin, std::size_t end) {
      std::vector<float> a(plain.counterfactuals.flat().begin(), plain.counterfactuals.flat().end());
      std::vector<float> b(other.counterfactuals.flat().begin(), other.counterfactuals.flat().end());
      return same_bits(plain.advantages, other.advantages, begin, end) &&
             same_bits(plain.scalars, other.scalars, begin, end) && same_bits(a, b, begin * count, end * count);
    };
    BOOST_TEST(equal(gap, 8, 96));
    BOOST_TEST(equal(gap, 104, 512));
    BOOST_TEST(equal(mixed, 0, 160));
    BOOST_TEST(equal(mixed, 168, 512));
  });
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_the_bits_of_a_large_batch) {
  for (const double gaps : {0.0, 0.01}) {
    std::vector<std::size_t> sizes = many_sizes();
    sizes.insert(sizes.begin(), 500, 8);
    const Batch batch(Groups::from_sizes(sizes), gaps);
    for_every_scalarization([&](const std::string&, const AnyScalarization& scalarization) {
      const auto run = [&](int threads) {
        set_threads(threads);
        return test::run(scalarization, batch.rewards, batch.decision, batch.groups, test::Want::counterfactuals,
                         batch.penalty);
      };
      const auto one = run(1);
      for (const int threads : {2, 3}) {
        const auto more = run(threads);
        BOOST_TEST(same_bits(one.advantages, more.advantages, 0, one.advantages.size()));
        BOOST_TEST(same_bits(one.scalars, more.scalars, 0, one.scalars.size()));
        BOOST_TEST((one.counterfactuals == more.counterfactuals));
      }
    });
  }
  set_threads(2);
}

BOOST_AUTO_TEST_CASE(the_first_bad_value_is_named_wherever_it_is) {
  for (const double gaps : {0.0, 0.01}) {
    const Batch batch(Groups::from_sizes(many_sizes()), gaps);
    const std::size_t rows = batch.rewards.rows();
    for (const int threads : {1, 2, 3}) {
      set_threads(threads);
      for (const auto name : scalarization_names) {
        const AnyScalarization scalarization(name);
        const auto message = [&](const std::function<void(Batch&)>& spoil, test::Want want = test::Want::advantages) {
          Batch bad = batch;
          spoil(bad);
          return bad_data([&] { test::run(scalarization, bad.rewards, bad.decision, bad.groups, want, bad.penalty); });
        };
        BOOST_TEST_CONTEXT(name << ", missing " << gaps << ", threads " << threads) {
          for (const std::size_t row : {std::size_t{0}, std::size_t{1300}, rows - 1}) {
            const std::string place = "row " + std::to_string(row) + ", ";
            const auto reward = message([&](Batch& b) { b.rewards(row, 3) = -infinite; });
            BOOST_TEST(contains(reward, place + "reward 3"), reward);
            const auto weight = message([&](Batch& b) { b.decision.weights(row, 4) = infinite; });
            BOOST_TEST(contains(weight, place + "the weight of reward 4"), weight);
            const auto penalty = message([&](Batch& b) { b.penalty[row] = test::missing; });
            BOOST_TEST(contains(penalty, place + "the penalty"), penalty);
          }
          const auto first = message([&](Batch& b) {
            b.rewards(rows - 1, 0) = b.rewards(700, 1) = b.rewards(2400, 2) = infinite;
            b.decision.weights(700, 1) = 0;
          });
          BOOST_TEST(contains(first, "row 700, reward 1"), first);
          const auto beside_a_gap = message([&](Batch& b) {
            b.rewards(900, 1) = test::missing;
            b.rewards(900, 2) = infinite;
          });
          BOOST_TEST(contains(beside_a_gap, "row 900, reward 2"), beside_a_gap);
          const auto hidden_by_a_gap = message([&](Batch& b) {
            b.rewards(1200, 1) = test::missing;
            b.decision.weights(1200, 1) = infinite;
          });
          BOOST_TEST(contains(hidden_by_a_gap, "row 1200, the weight of reward 1"), hidden_by_a_gap);
          const auto weights_before_rewards = message([&](Batch& b) {
            b.rewards(5, 0) = infinite;
            b.decision.weights(2000, 1) = test::missing;
          });
          BOOST_TEST(contains(weights_before_rewards, "row 2000, the weight of reward 1"), weights_before_rewards);
          const auto emphasis = message([&](Batch& b) { b.decision.emphasis = test::missing; });
          BOOST_TEST(contains(emphasis, "emphasis"), emphasis);
          // The base is read for the counterfactuals alone.
          const auto spoil_base = [&](Batch& b) { b.decision.base(1200, 2) = test::missing; };
          BOOST_TEST(message(spoil_base) == "nothing thrown");
          const auto base = message(spoil_base, test::Want::counterfactuals);
          BOOST_TEST(contains(base, "row 1200, the weight of reward 2"), base);
        }
      }
    }
  }
  set_threads(2);
}

BOOST_AUTO_TEST_CASE(rewards_may_be_part_of_a_wider_matrix) {
  const Batch batch(Groups::from_sizes(many_sizes()), 0.05);
  Matrix<float> wide(batch.rewards.rows(), count + 3, infinite);
  for (std::size_t i = 0; i < wide.rows(); ++i) {
    for (std::size_t k = 0; k < count; ++k) wide(i, k + 1) = batch.rewards(i, k);
  }
  for_every_scalarization([&](const std::string&, const AnyScalarization& scalarization) {
    const auto plain = test::run(scalarization, batch.rewards, batch.decision, batch.groups);
    std::vector<float> advantages(wide.rows()), scalars(wide.rows());
    SingleProcess comm;
    const MatrixView<const float> rewards = wide.view().middle_cols(1, count);
    scalarization(ScalarizationInput{rewards, batch.decision, batch.groups}, ScalarizationOutput{advantages, scalars},
                  comm);
    BOOST_TEST(same_bits(plain.advantages, advantages, 0, advantages.size()));
    BOOST_TEST(same_bits(plain.scalars, scalars, 0, scalars.size()));
  });
}

BOOST_AUTO_TEST_CASE(any_number_of_rewards) {
  // Small numbers of rewards have loops of their own.
  for (const std::size_t rewards : {0u, 1u, 2u, 3u, 4u, 6u, 7u, 8u, 9u, 20u}) {
    Matrix<float> r(48, rewards);
    Decision decision = test::shared_weights(48, std::vector<float>(rewards, 0.5f));
    std::vector<double> expected(48, 0.0);
    for (std::size_t i = 0; i < 48; ++i) {
      for (std::size_t k = 0; k < rewards; ++k) {
        r(i, k) = static_cast<float>((i * 31 + k * 17) % 13);
        decision.weights(i, k) = static_cast<float>((i + 3 * k) % 5) - 2.0f;
        expected[i] += double(r(i, k)) * double(decision.weights(i, k));
      }
    }
    for (const auto name : scalarization_names) {
      const auto result = test::run(AnyScalarization(name), r, decision, Groups::uniform(6, 8));
      for (std::size_t i = 0; i < 48 && name != "gdpo"; ++i) {
        if (rewards == 0) {
          BOOST_TEST(std::isnan(result.scalars[i]));
          BOOST_TEST(result.advantages[i] == 0.0f);
        } else {
          BOOST_TEST(double(result.scalars[i]) == expected[i]);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(moments_in_lanes_have_the_bits_of_moments) {
  const RandomStream stream({.seed = 3});
  constexpr std::size_t size = 11, width = 21;
  for (const double gaps : {0.0, 0.3}) {
    std::vector<double> values(size * width);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = stream.normal(std::uint32_t(i));
      if (stream.uniform(std::uint32_t(1000 + i)) < gaps) values[i] = NAN;
      if (i % width == 4) values[i] = 0.1;
      if (i % width == 5 && gaps > 0) values[i] = NAN;
    }
    for (const bool skip : {gaps > 0, true}) {
      detail::LaneMoments side;
      side.resize(width);
      const auto value = [&](std::size_t j) { return values.data() + j * width; };
      side.find_means(size, skip, value);
      side.find_std_devs(1, size, skip, value);
      for (std::size_t q = 0; q < width; ++q) {
        const Moments moments = moments_of(size, [&](std::size_t j) { return values[j * width + q]; });
        BOOST_TEST(side.counts()[q] == double(moments.count));
        BOOST_TEST(side.means()[q] == moments.mean);
        BOOST_TEST(side.std_devs()[q] == moments.std_dev(1));
      }
      BOOST_TEST(side.means()[4] == 0.1);
      BOOST_TEST(side.std_devs()[4] == 0.0);
    }
  }
}

BOOST_AUTO_TEST_CASE(batch_moments_skip_gaps_in_any_block) {
  // Values of many sizes, so that another order of summation would show.
  const RandomStream stream({.seed = 5});
  std::vector<double> values(50007);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double size = std::pow(10.0, static_cast<double>(i % 9));
    values[i] = i < 5000 || i % 7 == 0 ? NAN : size * (3.0 + stream.normal(std::uint32_t(i)));
  }
  const Spread expected = spread_of(values);
  Moments first;
  for (const int threads : {1, 2, 3}) {
    set_threads(threads);
    SingleProcess comm;
    const Moments moments = batch_moments(
        values.size(), [&](std::size_t i) { return values[i]; }, comm);
    if (threads == 1) first = moments;
    BOOST_TEST(double(moments.count) == expected.n);
    BOOST_TEST(std::abs(moments.mean / expected.mean - 1) < 1e-13);
    BOOST_TEST(std::abs(moments.std_dev(1) / expected.std_dev - 1) < 1e-13);
    BOOST_TEST(moments.mean == first.mean);
    BOOST_TEST(moments.squares == first.squares);
  }
  set_threads(2);
}

BOOST_AUTO_TEST_SUITE_END()
