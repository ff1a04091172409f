#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "scalarization/support.hpp"

// The drivers beside formulas written once more, plainly: groups of every size and mixture, gaps, threads, bad values.

using namespace maestro;

BOOST_AUTO_TEST_SUITE(blocks)

namespace {

constexpr std::size_t count = 5;  // of rewards, unless a test says otherwise
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
  Batch(Groups partition, double gaps, std::size_t num_rewards = count) : groups(std::move(partition)) {
    const RandomStream stream({.seed = 7});
    std::uint32_t position = 0;
    rewards.resize(groups.rows(), num_rewards);
    Matrix<float> base(groups.rows(), num_rewards);
    std::vector<std::size_t> actions;
    for (std::size_t i = 0; i < groups.rows(); ++i) {
      for (std::size_t k = 0; k < num_rewards; ++k) {
        // Every other reward takes few values, so that groups have ties and equal rows.
        const double draw = stream.normal(position++);
        rewards(i, k) = static_cast<float>(k % 2 == 0 ? draw : std::round(draw));
        if (stream.uniform(position++) < gaps) rewards(i, k) = test::missing;
        base(i, k) = static_cast<float>(stream.uniform(position++) - 0.3);
      }
      if (gaps > 0.0 && i % 50 == 20) {
        for (std::size_t k = 0; k < num_rewards; ++k) rewards(i, k) = test::missing;
      }
      actions.push_back(static_cast<std::size_t>(stream.below(num_rewards, position++)));
      penalty.push_back(static_cast<float>(0.1 * stream.uniform(position++)));
      lengths.push_back(test::length_of(rewards, i));  // as test::run has them
    }
    decision = test::acted(actions, std::move(base), 0.7f);
  }

  Groups groups;
  Matrix<float> rewards;
  Decision decision;
  std::vector<float> penalty;
  std::vector<double> lengths;
};

void for_every_scalarization(const std::function<void(const std::string&, const AnyScalarization&)>& check) {
  for (const auto name : scalarization_names) {
    for (const auto kind : {NormalizerKind::none, NormalizerKind::z_score, NormalizerKind::rank}) {
      const std::string label = std::string(name) + "/" + std::string(normalizer_names[std::size_t(kind)]);
      BOOST_TEST_CONTEXT(label) { check(label, AnyScalarization(name, {.normalizer = {.kind = kind}})); }
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

using Column = std::vector<double>;

/// Reward k of every row, standardized inside its group by deviation + epsilon (a constant one 0), or as it is.
Column column(const Batch& batch, std::size_t k, bool standardized) {
  Column values;
  for (std::size_t i = 0; i < batch.rewards.rows(); ++i) values.push_back(double(batch.rewards(i, k)));
  for (std::size_t g = 0; g < batch.groups.count() && standardized; ++g) {
    const Spread s = spread_of(slice(values, batch.groups, g));
    for (std::size_t i = batch.groups.begin(g); i < batch.groups.end(g); ++i) {
      values[i] = (values[i] - s.mean) / (s.std_dev + 1e-4);
    }
  }
  return values;
}

/// A batch with its rewards, and the weighted sum of any columns.
struct ByHand {
  explicit ByHand(const Batch& of) : batch(of), rows(of.rewards.rows()), k_max(of.rewards.cols()) {
    for (std::size_t k = 0; k < k_max; ++k) {
      raw.push_back(column(batch, k, false));
      z.push_back(column(batch, k, true));
    }
    seen.assign(rows, false);
    for (const Column& values : raw) {
      for (std::size_t i = 0; i < rows; ++i) seen[i] = seen[i] || !std::isnan(values[i]);
    }
    R = weighted(raw);
    all = spread_of(R);
  }
  double weight(std::size_t i, std::size_t k) const { return double(batch.decision.weights(i, k)); }
  /// sum_k factor_k w_k values_k - penalty, NaN for a row without rewards.
  Column weighted(const std::vector<Column>& values, const Column& factor = {}) const {
    Column sums(rows, 0.0);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t k = 0; k < k_max; ++k) {
        if (!std::isnan(values[k][i])) sums[i] += (factor.empty() ? 1.0 : factor[k]) * weight(i, k) * values[k][i];
      }
      sums[i] = seen[i] ? sums[i] - double(batch.penalty[i]) : NAN;
    }
    return sums;
  }
  Column over_the_batch(Column values) const {
    const Spread s = spread_of(values);
    for (double& v : values) v = (v - s.mean) / (s.std_dev + 1e-4);
    return values;
  }
  /// How far a reward varies in a group.
  Spread spread(std::size_t k, std::size_t g) const { return spread_of(slice(raw[k], batch.groups, g)); }

  const Batch& batch;
  std::size_t rows;
  std::size_t k_max;
  std::vector<Column> raw, z;
  std::vector<bool> seen;
  Column R;
  Spread all;
};

/// The divisor of corr_grpo: Pearson correlations, pair by pair.
double correlation_root(const ByHand& h, std::size_t g) {
  const std::size_t begin = h.batch.groups.begin(g), size = h.batch.groups.size(g);
  std::vector<Column> d;
  for (std::size_t k = 0; k < h.k_max; ++k) {
    Column w(size);
    for (std::size_t j = 0; j < size; ++j) w[j] = h.weight(begin + j, k) * h.raw[k][begin + j];
    const double mean = spread_of(w).mean;
    double squares = 0;
    for (double& v : w) v = std::isnan(v) ? 0.0 : v - mean, squares += v * v;
    for (double& v : w) v = squares > 1e-20 ? v / std::sqrt(squares) : 0.0;
    d.push_back(w);
  }
  double sum = 0;
  for (const Column& a : d) {
    for (const Column& b : d) {
      for (std::size_t j = 0; j < size; ++j) sum += a[j] * b[j];
    }
  }
  return std::max(1e-4, std::sqrt(std::max(0.0, sum) + 1e-4));
}

/// Advantages that need one group, of its row i.
double in_group(const std::string& name, const ByHand& h, std::size_t g, std::size_t i) {
  const Column R = slice(h.R, h.batch.groups, g);
  const Spread own = spread_of(R);
  const double centered = h.R[i] - own.mean;
  const std::size_t begin = h.batch.groups.begin(g);
  if (name == "group" || name == "trl" || name == "paper" || name == "ms_swift") return centered / (own.std_dev + 1e-4);
  if (name == "openrlhf") return own.std_dev > 0 ? centered / (own.std_dev + 1e-9) : 0.0;
  if (name == "verl") return own.n == 1 ? h.R[i] : centered / (own.std_dev + 1e-6);
  if (name == "trl_async") return centered / (own.std_dev * std::sqrt((own.n - 1) / own.n) + 1e-8);
  if (name == "batch") return centered / (h.all.std_dev + 1e-4);
  if (name == "none" || name == "dr_grpo") return centered;
  if (name == "rloo") return own.n > 1 ? own.n / (own.n - 1) * centered : 0.0;
  if (name == "batch_centered" || name == "flash_reinforce") return h.R[i] - h.all.mean;
  if (name == "max_rl") {
    return own.mean > 0 && std::none_of(R.begin(), R.end(), [](double r) { return r < 0; }) ? centered / own.mean : 0.0;
  }
  if (name == "corr_grpo") return centered / correlation_root(h, g);
  if (name == "dvao") {
    double spread = 1e-4;
    for (std::size_t k = 0; k < h.k_max; ++k) spread += h.weight(i, k) * h.spread(k, g).std_dev;
    return spread > 0 ? centered / spread : 0.0;
  }
  double tokens = 0, sum = 0;
  Column others, present;
  for (std::size_t j = 0; j < R.size(); ++j) {
    if (std::isnan(R[j])) continue;
    tokens += h.batch.lengths[begin + j], sum += h.batch.lengths[begin + j] * R[j];
    present.push_back(R[j]);
    if (begin + j != i) others.push_back(R[j]);
  }
  if (name == "opo") return h.R[i] - sum / tokens;
  if (name == "leave_one_out" || name == "nemo_rl") {
    const Spread s = spread_of(others);
    return s.n == 0 ? 0.0 : (h.R[i] - s.mean) / (s.std_dev > 1e-9 ? s.std_dev + 1e-6 : 1.0);
  }
  std::sort(present.rbegin(), present.rend());
  if (name == "pass_at_k") return h.R[i] == present[0] && present.size() > 1 ? present[0] - present[1] : 0.0;
  return NAN;
}

/// Advantages made of standardized rewards, one row after the other.
Column of_scores(const std::string& name, const ByHand& h) {
  if (name == "mo_grpo") return h.weighted(h.z);
  if (name == "gdpo" || name == "trl_gdpo") return h.over_the_batch(h.weighted(h.z));
  Column factor;
  double most = 0;
  for (std::size_t k = 0; k < h.k_max; ++k) {
    double varying = 0;
    for (std::size_t g = 0; g < h.batch.groups.count(); ++g) varying += h.spread(k, g).std_dev > 1e-12 ? 1 : 0;
    factor.push_back(varying);
    most = std::max(most, varying);
  }
  for (std::size_t k = 0; k < h.k_max; ++k) {
    const double saturated = spread_of(h.raw[k]).mean;  // bounds 0 and 1
    factor[k] = name == "dara" ? std::min(4.0, factor[k] > 0 ? std::sqrt(most / factor[k]) : 0.0)
                               : std::sqrt(std::clamp(1.0 - saturated, 0.0, 1.0));
  }
  if (name == "dara") return h.weighted(h.z, factor);
  if (name == "sa_mrpo") return h.over_the_batch(h.weighted(h.z, factor));
  // gd2po
  Column sums = h.weighted(h.z);
  for (std::size_t g = 0; g < h.batch.groups.count(); ++g) {
    double n = 0, kept = 0;
    std::vector<bool> dropped(h.rows, false);
    for (std::size_t i = h.batch.groups.begin(g); i < h.batch.groups.end(g); ++i) {
      if (!h.seen[i]) continue;
      double sum = 0, size = 0;
      bool up = false, down = false;
      for (std::size_t k = 0; k < h.k_max; ++k) {
        const double term = std::isnan(h.z[k][i]) ? 0.0 : h.weight(i, k) * h.z[k][i];
        sum += term, size += std::abs(term);
        up = up || term > 1e-12, down = down || term < -1e-12;
      }
      dropped[i] = up && down && std::abs(sum) / (size + 1e-8) < 0.2;
      n += 1, kept += dropped[i] ? 0 : 1;
    }
    for (std::size_t i = h.batch.groups.begin(g); i < h.batch.groups.end(g); ++i) {
      sums[i] = dropped[i] ? 0.0 : sums[i] * kept / n;
    }
  }
  return sums;
}

/// The advantages that the formulas say, one row after the other.
Column by_hand(const std::string& name, const Batch& batch) {
  const ByHand h(batch);
  Column advantages(h.rows, 0.0);
  const bool scores = name == "mo_grpo" || name == "gdpo" || name == "trl_gdpo" || name == "dara" ||
                      name == "sa_mrpo" || name == "gd2po";
  if (scores) advantages = of_scores(name, h);
  for (std::size_t g = 0; g < batch.groups.count() && !scores; ++g) {
    for (std::size_t i = batch.groups.begin(g); i < batch.groups.end(g); ++i) {
      if (h.seen[i]) advantages[i] = in_group(name, h, g, i);
    }
  }
  for (std::size_t i = 0; i < h.rows; ++i) advantages[i] = h.seen[i] ? advantages[i] : 0.0;
  return advantages;
}

/// Own-weight advantages, centered.
std::vector<double> own_weight_by_hand(const Batch& batch) {
  const std::size_t columns = batch.rewards.cols();
  std::vector<double> advantages(batch.rewards.rows(), 0.0);
  for (std::size_t g = 0; g < batch.groups.count(); ++g) {
    const std::size_t begin = batch.groups.begin(g), size = batch.groups.size(g);
    std::vector<bool> there(size, false);
    std::vector<std::vector<double>> d(columns + 1, std::vector<double>(size));
    for (std::size_t j = 0; j < size; ++j) {
      for (std::size_t k = 0; k < columns; ++k) {
        d[k][j] = double(batch.rewards(begin + j, k));
        if (!std::isnan(d[k][j])) there[j] = true;
      }
      d[columns][j] = there[j] ? double(batch.penalty[begin + j]) : NAN;
    }
    double n = 0, sum = 0;
    for (std::size_t j = 0; j < size; ++j) n += there[j] ? 1 : 0;
    for (auto& values : d) {
      const double mean = spread_of(values).mean;
      for (double& v : values) v = std::isnan(v) ? 0.0 : v - mean;
    }
    for (std::size_t j = 0; j < size; ++j) {
      double numerator = 0, variance = 0;
      const auto w = [&](std::size_t k) { return k < columns ? double(batch.decision.weights(begin + j, k)) : -1.0; };
      for (std::size_t k = 0; k <= columns; ++k) {
        numerator += w(k) * d[k][j];
        for (std::size_t l = 0; l <= columns; ++l) {
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

BOOST_AUTO_TEST_CASE(any_mixture_of_group_sizes_gives_the_formulas) {
  // Up to 8 columns have loops of a width that the compiler knows; more have others.
  for (const auto& [gaps, rewards] : {std::pair{0.0, 5}, {0.2, 5}, {0.2, 11}}) {
    const Batch batch(Groups::from_sizes(many_sizes()), gaps, std::size_t(rewards));
    for (const auto name : scalarization_names) {
      if (name == "ms_swift_gdpo" || (name == "ms_swift" && gaps > 0)) continue;  // other epsilons, other rows
      BOOST_TEST_CONTEXT(name << ", missing " << gaps << ", rewards " << rewards) {
        const std::vector<double> expected =
            name == "own_weight" ? own_weight_by_hand(batch) : by_hand(std::string(name), batch);
        const auto result = test::run(AnyScalarization(name), batch.rewards, batch.decision, batch.groups,
                                      test::Want::advantages, batch.penalty);
        std::size_t wrong = 0, first = 0;
        for (std::size_t i = 0; i < expected.size(); ++i) {
          if (!(std::abs(double(result.advantages[i]) - expected[i]) < 2e-6 * (1 + std::abs(expected[i])))) {
            if (wrong++ == 0) first = i;
          }
        }
        BOOST_TEST(wrong == 0u, "row " << first << ": " << result.advantages[first] << ", by hand " << expected[first]);
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
        const float size = std::max(1.0f, std::abs(brute.advantages[i]));
        if (!(std::abs(result.counterfactuals(i, k) - brute.advantages[i]) < 5e-5f * size)) ++wrong;
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
    if (!test::laws_of(name).own_group_only) return;
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
    std::vector<std::int32_t> lengths;
    for (const double length : batch.lengths) lengths.push_back(static_cast<std::int32_t>(length));
    scalarization(ScalarizationInput{rewards, batch.decision, batch.groups, {}, lengths},
                  ScalarizationOutput{advantages, scalars}, comm);
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
      for (std::size_t i = 0; i < 48; ++i) {
        if (rewards == 0 && name == "ms_swift") {
          BOOST_TEST(result.scalars[i] == 0.0f);
        } else if (rewards == 0) {
          BOOST_TEST(std::isnan(result.scalars[i]));
          BOOST_TEST(result.advantages[i] == 0.0f);
        } else {
          BOOST_TEST(double(result.scalars[i]) == expected[i]);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(moments_of_columns_have_the_bits_of_moments) {
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
      const auto side = column_moments_of<true, width>(
          size, width, skip, [&](std::size_t i, std::size_t c) { return values[i * width + c]; });
      for (std::size_t q = 0; q < width; ++q) {
        const auto value = [&](std::size_t j) { return values[j * width + q]; };
        const Moments moments = moments_of(size, value);
        BOOST_TEST(side.count[q] == double(moments.count));
        BOOST_TEST(side.mean[q] == moments.mean);
        BOOST_TEST(side.mean[q] == mean_of(size, value));
        BOOST_TEST(side.std_dev(q, 1) == moments.std_dev(1));
      }
      BOOST_TEST(side.mean[4] == 0.1);
      BOOST_TEST(side.std_dev(4, 1) == 0.0);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
