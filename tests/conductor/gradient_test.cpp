#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "conductor/support.hpp"
#include "maestro/conductor/learned.hpp"

using namespace maestro;
using namespace conductor_test;

BOOST_AUTO_TEST_SUITE(conductor_gradients)

namespace {

constexpr std::size_t K = 3;
constexpr std::size_t d = 5;

template <class Network>
class Probe {
 public:
  using Conductor = LearnedConductor<Network>;

  explicit Probe(LearnedConductorOptions options)
      : conductor([&] {
          options.hidden_size = d;
          options.period = 1;
          return options;
        }()) {}

  /// Fills the buffer under one head, then moves on to another, so that importance weights differ from 1.
  void fill() {
    randomize(conductor, 0.7, 1);
    Batch batch({4, 1, 2, 4}, d, K);
    batch.rewards(1, 0) = batch.rewards(3, 2) = batch.rewards(6, 1) = missing;
    batch.rewards(5, 0) = batch.rewards(5, 1) = missing;
    for (std::size_t k = 0; k < K; ++k) batch.rewards(2, k) = missing;
    const Decision decision = conductor.decide(batch.view());
    Matrix<float> meta(batch.groups.rows(), K);
    const RandomStream stream({.seed = 3});
    for (std::size_t i = 0; i < meta.flat().size(); ++i) {
      meta.flat()[i] = static_cast<float>(stream.normal(static_cast<std::uint32_t>(i)));
      if (decision.probabilities.flat()[i] == 0.0f) meta.flat()[i] = missing;
    }
    std::vector<float> advantages;
    for (std::size_t i = 0; i < meta.rows(); ++i) {
      advantages.push_back(meta(i, static_cast<std::size_t>(decision.actions[i])));
    }
    conductor.observe({.decision = decision,
                       .hidden = batch.hidden.view(),
                       .groups = batch.groups,
                       .advantages = advantages,
                       .counterfactuals = meta.view()});
    randomize(conductor, 0.7, 2);
  }

  struct Row {
    double p[K];
    double q[K];
  };
  /// p and q of every entry, written out naively and apart from the library's own.
  std::vector<Row> rows() const {
    const auto& buffer = conductor.buffer();
    Matrix<double> logits(buffer.size(), K);
    typename Network::Cache cache;
    conductor.network().forward(buffer.hidden(), logits, cache);
    std::vector<Row> result(buffer.size());
    for (std::size_t i = 0; i < buffer.size(); ++i) {
      double sum = 0.0, total = 0.0;
      for (std::size_t k = 0; k < K; ++k) sum += std::exp(logits(i, k) / conductor.temperature());
      for (std::size_t k = 0; k < K; ++k) {
        const double p = result[i].p[k] = std::exp(logits(i, k) / conductor.temperature()) / sum;
        const double eps = conductor.options().epsilon;
        const bool mix = conductor.options().floor == ProbabilityFloor::mix;
        const bool drawable = buffer.propensities()(i, k) > 0.0f;
        result[i].q[k] = drawable ? (mix ? eps + (1.0 - double{K} * eps) * p : std::max(p, eps)) : 0.0;
        total += result[i].q[k];
      }
      for (std::size_t k = 0; k < K; ++k) result[i].q[k] /= total;
    }
    return result;
  }
  void freeze_importance() {
    const auto now = rows();
    rho.clear();
    for (std::size_t i = 0; i < now.size(); ++i) {
      const auto a = static_cast<std::size_t>(conductor.buffer().actions()[i]);
      rho.push_back(std::min(2.0, now[i].q[a] / double{conductor.buffer().propensities()(i, a)}));
    }
  }
  double loss() const {
    const auto now = rows();
    const auto& o = conductor.options();
    double mean = 0.0;
    if (o.baseline == MetaBaseline::centered) {
      for (std::size_t i = 0; i < now.size(); ++i) mean += double{conductor.buffer().meta()(i, 0)};
      mean /= static_cast<double>(now.size());
    }
    double value = 0.0;
    for (std::size_t i = 0; i < now.size(); ++i) {
      const auto meta = conductor.buffer().meta().row(i);
      const auto a = static_cast<std::size_t>(conductor.buffer().actions()[i]);
      if (o.estimator == Estimator::sampled) value += rho[i] * (double{meta[0]} - mean) * std::log(now[i].q[a]);
      for (std::size_t k = 0; k < K; ++k) {
        if (o.estimator != Estimator::sampled && now[i].q[k] > 0.0) {
          value += double{meta[k]} * now[i].q[k];
        }
        value -= o.entropy_bonus * now[i].p[k] * std::log(now[i].p[k]);
      }
    }
    return -value / static_cast<double>(now.size());
  }

  void check(const std::string& what) {
    fill();
    freeze_importance();
    const ConductorReport report = conductor.differentiate();
    BOOST_TEST(std::abs(report.loss - loss()) < 1e-12, what << ": loss " << report.loss << " " << loss());
    const std::vector<double> analytic = gradients(conductor);
    std::size_t at = 0;
    double largest = 0.0;
    double norm = 0.0;
    const double h = 1e-6;
    conductor.visit([&](auto parameter) {
      for (double& value : parameter.values) {
        const double kept = value;
        value = kept + h;
        const double up = loss();
        value = kept - h;
        const double down = loss();
        value = kept;
        largest = std::max(largest, std::abs((up - down) / (2 * h) - analytic[at]));
        norm = std::max(norm, std::abs(analytic[at]));
        ++at;
      }
    });
    BOOST_TEST(at == analytic.size());
    BOOST_TEST(norm > 1e-4, what << ": the gradient vanishes");
    BOOST_TEST(largest < 1e-8, what << ": off by " << largest);
    BOOST_TEST(std::abs(analytic.back()) > 1e-6, what << ": log tau has no gradient");
  }

  Conductor conductor;
  std::vector<double> rho;
};

template <class Network>
void check_all(const std::string& network) {
  for (const auto floor : {ProbabilityFloor::mix, ProbabilityFloor::clamp_renormalize}) {
    const std::string name = network + (floor == ProbabilityFloor::mix ? " mix" : " clamp");
    const LearnedConductorOptions base{.strength = 0.3,
                                       .floor = floor,
                                       .epsilon = 0.1,
                                       .estimator = Estimator::sampled,
                                       .entropy_bonus = 0.05,
                                       .temperature = 1.2};
    auto o = base;
    Probe<Network>(o).check(name + " sampled");
    o.baseline = MetaBaseline::centered;
    o.hidden_scaling = HiddenScaling::unit_rms;
    Probe<Network>(o).check(name + " sampled, centered");
    o = base;
    o.estimator = Estimator::counterfactual;
    Probe<Network>(o).check(name + " counterfactual");
    o.emphasis = Emphasis::blended_policy;
    Probe<Network>(o).check(name + " counterfactual, blended with pi");
  }
}

/// One group of three at fixed actions: the loss gradients of one estimator.
template <class Network>
std::vector<double> group_gradient(LearnedConductor<Network>& conductor, const Batch& batch,
                                   const std::vector<std::int32_t>& actions) {
  Decision decision = conductor.decide(batch.view());
  decision.actions = actions;
  apply_emphasis(conductor.options().emphasis, conductor.options().strength, decision);
  const auto advantages = centered_advantages(batch, decision);
  const auto counterfactuals = centered_counterfactuals(batch, decision);
  Memory fresh = save(conductor);
  conductor.observe({.decision = decision,
                     .hidden = batch.hidden.view(),
                     .groups = batch.groups,
                     .advantages = advantages,
                     .counterfactuals = counterfactuals.view()});
  conductor.differentiate();
  auto result = gradients(conductor);
  load(conductor, fresh);
  return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(finite_differences_linear) { check_all<BasicLinearNetwork<double, K>>("linear"); }
BOOST_AUTO_TEST_CASE(finite_differences_mlp) {
  check_all<BasicMlpNetwork<double, K, 7>>("mlp 7");
  check_all<BasicMlpNetwork<double, K, 4, 6>>("mlp 4 6");
}

// Every joint action of a group of three, weighted by its probability.
BOOST_AUTO_TEST_CASE(sampled_averages_to_counterfactual) {
  for (const auto emphasis : {Emphasis::one_hot, Emphasis::blended_uniform, Emphasis::blended_policy}) {
    using Network = BasicLinearNetwork<double, K>;
    LearnedConductorOptions options{.emphasis = emphasis,
                                    .epsilon = 0.05,
                                    .estimator = Estimator::sampled,
                                    .entropy_bonus = 0.0,
                                    .temperature = 0.8,
                                    .hidden_size = d};
    LearnedConductor<Network> sampled(options);
    options.estimator = Estimator::counterfactual;
    LearnedConductor<Network> exact(options);
    randomize(sampled, 0.5);
    randomize(exact, 0.5);
    Batch batch({3}, d, K);
    batch.rewards(1, 2) = missing;
    const Decision decision = sampled.decide(batch.view());
    std::vector<double> mean_sampled, mean_exact;
    double mass = 0.0;
    double difference = 0.0;
    for (std::int32_t joint = 0; joint < 27; ++joint) {
      const std::vector<std::int32_t> actions{joint % 3, joint / 3 % 3, joint / 9};
      double probability = 1.0;
      for (std::size_t i = 0; i < 3; ++i) {
        probability *= double{decision.probabilities(i, static_cast<std::size_t>(actions[i]))};
      }
      if (probability == 0.0) continue;
      mass += probability;
      const auto a = group_gradient(sampled, batch, actions);
      const auto b = group_gradient(exact, batch, actions);
      mean_sampled.resize(a.size());
      mean_exact.resize(a.size());
      for (std::size_t j = 0; j < a.size(); ++j) {
        mean_sampled[j] += probability * a[j];
        mean_exact[j] += probability * b[j];
        difference = std::max(difference, std::abs(a[j] - b[j]));
      }
    }
    BOOST_TEST(std::abs(mass - 1.0) < 1e-6);
    BOOST_TEST(difference > 1e-2);
    double largest = 0.0;
    for (std::size_t j = 0; j < mean_exact.size(); ++j) {
      BOOST_TEST(std::abs(mean_sampled[j] - mean_exact[j]) < 1e-7);
      largest = std::max(largest, std::abs(mean_exact[j]));
    }
    BOOST_TEST(largest > 1e-3);
  }
}

// The paper's reason for own actions: with one action for a whole group of one context the centered signal cancels.
BOOST_AUTO_TEST_CASE(one_action_per_group_has_no_signal) {
  for (const auto sharing : {ActionSharing::per_group, ActionSharing::per_response}) {
    LearnedConductor<BasicLinearNetwork<double, K>> conductor({.emphasis = Emphasis::one_hot,
                                                               .estimator = Estimator::sampled,
                                                               .entropy_bonus = 0.0,
                                                               .sharing = sharing,
                                                               .hidden_size = d});
    randomize(conductor, 0.3);
    Batch batch({8, 8}, d, K);
    for (std::size_t i = 0; i < 16; ++i) {
      for (std::size_t j = 0; j < d; ++j) batch.hidden(i, j) = batch.hidden(i / 8 * 8, j);
      for (std::size_t k = 0; k < K; ++k) batch.rewards(i, k) = static_cast<float>((i * 5 + k * 7) % 8) / 8.0f;
    }
    const Decision decision = conductor.decide(batch.view());
    const auto advantages = centered_advantages(batch, decision);
    conductor.observe({.decision = decision,
                       .hidden = batch.hidden.view(),
                       .groups = batch.groups,
                       .advantages = advantages,
                       .counterfactuals = {}});
    const double norm = conductor.differentiate().gradient_norm;
    if (sharing == ActionSharing::per_group) {
      for (std::size_t i = 0; i < 16; ++i) BOOST_TEST(decision.actions[i] == decision.actions[i / 8 * 8]);
      BOOST_TEST(norm < 1e-12);
    } else {
      BOOST_TEST(norm > 1e-2);
    }
  }
}

BOOST_AUTO_TEST_CASE(lane_dot_adds_every_term) {
  for (const std::size_t n : {0u, 1u, 15u, 16u, 17u, 40u}) {
    std::vector<float> x(n);
    std::vector<double> w(n);
    double expected = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      x[i] = static_cast<float>(i + 1);
      w[i] = static_cast<double>(2 * i + 1);
      expected += static_cast<double>(x[i]) * w[i];
    }
    BOOST_TEST(detail::lane_dot(x.data(), w.data(), n) == expected);
  }
}

BOOST_AUTO_TEST_SUITE_END()
