#include "maestro/objective/objective.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "maestro/core/names.hpp"
#include "maestro/core/random.hpp"
#include "maestro/objective/kl_penalty.hpp"
#include "maestro/objective/loss.hpp"
#include "maestro/objective/presets.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(objective)

namespace {

/// A micro-batch that owns its arrays.
template <class T>
struct MicroBatch {
  std::vector<T> log_probs, old, reference, entropies;
  std::vector<std::size_t> offsets{0};
  std::vector<float> advantages;

  BatchCounts counts() const {
    SingleProcess comm;
    return count_batch(offsets, comm);
  }
  LossInput<T> input() const {
    return {.log_probs = log_probs,
            .old_log_probs = old,
            .reference_log_probs = reference,
            .entropies = entropies,
            .offsets = offsets,
            .advantages = advantages,
            .batch = counts()};
  }
};

template <class T>
struct Outcome {
  LossReport report;
  std::vector<T> d_log_probs, d_entropies;
};

template <class T>
Outcome<T> run(const ObjectiveOptions& options, const LossInput<T>& input) {
  Outcome<T> outcome;
  outcome.d_log_probs.assign(input.log_probs.size(), T(-99));
  outcome.d_entropies.assign(input.log_probs.size(), T(-99));
  outcome.report = Objective(options)(input, LossGradient<T>{outcome.d_log_probs, outcome.d_entropies});
  return outcome;
}

/// Two responses of the golden numbers: log ratios .1 -.3 | .5 0 -.1, advantages 1 and -1.
MicroBatch<double> golden_batch() {
  MicroBatch<double> batch;
  batch.old = {-1, -1, -1, -1, -1};
  batch.log_probs = {-0.9, -1.3, -0.5, -1.0, -1.1};
  batch.offsets = {0, 2, 5};
  batch.advantages = {1, -1};
  return batch;
}

/// Random log-probs with log ratios of sd 0.3, lengths 3, 0, 1 and 5.
MicroBatch<double> random_batch() {
  MicroBatch<double> batch;
  batch.offsets = {0, 3, 3, 4, 9};
  batch.advantages = {1.3f, 0.4f, -0.7f, -1.1f};
  const RandomStream stream({.seed = 4});
  for (std::uint32_t t = 0; t < 9; ++t) {
    batch.log_probs.push_back(-1.0 + 0.2 * stream.normal(4 * t));
    batch.old.push_back(batch.log_probs[t] + 0.3 * stream.normal(4 * t + 1));
    batch.reference.push_back(batch.log_probs[t] + 0.4 * stream.normal(4 * t + 2));
    batch.entropies.push_back(1.0 + stream.uniform(4 * t + 3));
  }
  return batch;
}

std::string bad_data(const ObjectiveOptions& options, const LossInput<double>& input) {
  try {
    run(options, input);
  } catch (const BadData& e) {
    return e.what();
  }
  return "nothing thrown";
}

bool close(double a, double b, double tolerance = 1e-6) { return std::abs(a - b) < tolerance; }

}  // namespace

// TRL 1.16: the mask of a truncated completion is 0, the divisor of dapo still counts its tokens.
BOOST_AUTO_TEST_CASE(masked_responses_are_in_no_loss) {
  const auto batch = golden_batch();
  LossInput<double> input = batch.input();
  const std::vector<unsigned char> masked{0, 1};
  input.masked = masked;
  const double sum = -1.1051709 - 0.7408182;
  BOOST_TEST(close(run({.reduction = Reduction::dapo}, input).report.loss, sum / 5));
  BOOST_TEST(close(run({.reduction = Reduction::bnpo}, input).report.loss, sum / 2));
  BOOST_TEST(close(run({.reduction = Reduction::grpo}, input).report.loss, sum / 4));
  const auto dr = run({.reduction = Reduction::dr_grpo, .max_completion_length = 4}, input);
  BOOST_TEST(close(dr.report.loss, sum / 8));
  for (std::size_t t = 2; t < 5; ++t) BOOST_TEST(dr.d_log_probs[t] == 0.0);
  BOOST_TEST(dr.d_log_probs[0] != 0.0);
  BOOST_TEST(dr.report.responses == 2.0);
  const std::vector<unsigned char> all{1, 1};
  input.masked = all;
  BOOST_TEST(run({.reduction = Reduction::bnpo}, input).report.loss == 0.0);
  const std::vector<unsigned char> wrong{1};
  input.masked = wrong;
  BOOST_CHECK_THROW(run({}, input), BadArgument);
}

BOOST_AUTO_TEST_CASE(golden_clip) {
  const ClipBounds bounds = clip_bounds({});
  const double log_ratios[] = {0.1, -0.3, 0.5, 0.0, -0.1};
  const double expected[] = {-1.1051709, -0.7408182, 1.6487213, 1.0000000, 0.9048374};
  for (int t = 0; t < 5; ++t) {
    BOOST_TEST(close(clipped_surrogate(log_ratios[t], t < 2 ? 1 : -1, bounds).value, expected[t]));
  }
  const auto batch = golden_batch();
  BOOST_TEST(close(run({.reduction = Reduction::grpo}, batch.input()).report.loss, 0.1307625));
  BOOST_TEST(close(run({.reduction = Reduction::dapo}, batch.input()).report.loss, 0.3415139));
  BOOST_TEST(close(run({.reduction = Reduction::bnpo}, batch.input()).report.loss, 0.3415139));
  const auto dr = run({.reduction = Reduction::dr_grpo, .max_completion_length = 4}, batch.input());
  BOOST_TEST(close(dr.report.loss, 0.2134462));
}

BOOST_AUTO_TEST_CASE(golden_sequence_ratio) {
  const auto batch = golden_batch();
  const ObjectiveOptions options{
      .reduction = Reduction::grpo, .ratio_level = RatioLevel::sequence, .epsilon_low = 0.5, .epsilon_high = 0.5};
  const auto outcome = run(options, batch.input());
  BOOST_TEST(close(outcome.report.loss, 0.5 * (-0.9048374 + 1.1426308)));
  BOOST_TEST(close(outcome.report.ratio_max, 1.1426308));
  BOOST_TEST(close(outcome.report.ratio_mean(), 0.5 * (0.9048374 + 1.1426308)));
  // grpo averages over the two responses.
  BOOST_TEST(close(2 * outcome.d_log_probs[0], -0.4524187));
  BOOST_TEST(close(2 * outcome.d_log_probs[4], 0.3808769));
}

BOOST_AUTO_TEST_CASE(golden_sapo_and_cispo) {
  const auto batch = golden_batch();
  const double sapo[] = {-2.1050741, -1.7422594, 2.5295122, 1.9047619, 1.8096784};
  const double sapo_slope[] = {-1.1021205, -0.7285150, 1.4713518, 1.0000000, 0.9025827};
  const double cispo_slope[] = {-1.1051709, -0.7408182, 1.6487213, 1.0000000, 0.9048374};
  const LossRule soft = loss_rule(sapo_objective());
  const LossRule capped = loss_rule(cispo_objective());
  double sapo_loss = 0.0;
  double cispo_loss = 0.0;
  for (std::size_t t = 0; t < 5; ++t) {
    const double advantage = t < 2 ? 1 : -1;
    const double log_ratio = batch.log_probs[t] - batch.old[t];
    const SurrogateTerm gate = surrogate_term(soft, log_ratio, batch.log_probs[t], advantage);
    BOOST_TEST(close(gate.value, sapo[t]));
    BOOST_TEST(close(gate.derivative, sapo_slope[t]));
    const SurrogateTerm weighted = surrogate_term(capped, log_ratio, batch.log_probs[t], advantage);
    BOOST_TEST(close(weighted.derivative, cispo_slope[t]));
    BOOST_TEST(close(weighted.value, cispo_slope[t] * batch.log_probs[t]));
    sapo_loss += sapo[t] / (t < 2 ? 4 : 6);                   // mean over responses of the token mean
    cispo_loss += cispo_slope[t] * batch.log_probs[t] / 5.0;  // mean over tokens
  }
  BOOST_TEST(close(run(sapo_objective(), batch.input()).report.loss, sapo_loss));
  BOOST_TEST(close(run(cispo_objective(), batch.input()).report.loss, cispo_loss));
  // Beyond the cap the weight is the cap, and counted where the advantage is above 0.
  const SurrogateTerm above = surrogate_term(capped, 2.0, -1.5, 2.0);
  BOOST_TEST(above.derivative == -10.0);
  BOOST_TEST(above.value == 15.0);
  BOOST_TEST(above.clipped_high);
  BOOST_TEST(!surrogate_term(capped, 2.0, -1.5, -2.0).clipped_high);
  BOOST_TEST(!surrogate_term(capped, 1.0, -1.5, 2.0).clipped_high);
  // A ratio without bound closes the gate of SAPO.
  BOOST_TEST(surrogate_term(soft, 700.0, -1.0, 1.0).derivative == 0.0);
  BOOST_TEST(surrogate_term(soft, 700.0, -1.0, 1.0).value == -4.0);
}

// Each surrogate's derivative against finite differences of its formula written out here, CISPO's weight held constant.
BOOST_AUTO_TEST_CASE(surrogates_agree_with_finite_differences) {
  const LossRule soft = loss_rule(sapo_objective());
  LossRule capped = loss_rule(cispo_objective());
  capped.bounds.cap = 1.3;
  const LossRule clip = loss_rule({.ratio_cap = 1.5});
  const double h = 1e-6;
  for (const double log_ratio : {-0.9, -0.1, 0.05, 0.3, 0.6}) {
    for (const double advantage : {1.7, -0.6}) {
      const double log_prob = -1.2;
      const auto slope = [&](const auto& formula) { return (formula(h) - formula(-h)) / (2 * h); };
      const double tau = advantage > 0 ? 1.0 : 1.05;
      const double by_sapo = slope([&](double moved) {
        return -4 / tau / (1 + std::exp(-tau * (std::exp(log_ratio + moved) - 1))) * advantage;
      });
      const double weight = std::min(std::exp(log_ratio), 1.3);
      const double by_cispo = slope([&](double moved) { return -weight * advantage * (log_prob + moved); });
      const double by_clip = slope([&](double moved) {
        const double rho = std::exp(log_ratio + moved);
        return -std::min(std::min(rho, 1.5) * advantage, std::clamp(rho, 0.8, 1.2) * advantage);
      });
      BOOST_TEST(close(surrogate_term(soft, log_ratio, log_prob, advantage).derivative, by_sapo, 1e-8));
      BOOST_TEST(close(surrogate_term(capped, log_ratio, log_prob, advantage).derivative, by_cispo, 1e-8));
      BOOST_TEST(close(surrogate_term(clip, log_ratio, log_prob, advantage).derivative, by_clip, 1e-8));
    }
  }
}

// On policy all of them, and GSPO, have the gradient of -A log pi.
BOOST_AUTO_TEST_CASE(on_policy_every_preset_follows_the_advantage) {
  auto batch = random_batch();
  batch.old.clear();
  for (const auto name : objective_preset_names) {
    ObjectiveOptions options = objective_preset(name);
    options.max_completion_length = 6;
    ObjectiveOptions plain{.reduction = options.reduction, .max_completion_length = 6};
    const auto outcome = run(options, batch.input());
    const auto expected = run(plain, batch.input());
    for (std::size_t t = 0; t < batch.log_probs.size(); ++t) {
      BOOST_TEST(close(outcome.d_log_probs[t], expected.d_log_probs[t], 1e-15), name);
    }
  }
}

BOOST_AUTO_TEST_CASE(presets_are_what_their_names_say) {
  for (const auto name : objective_preset_names) {
    BOOST_TEST((objective_preset(name).kl_correction == KlCorrection::ratio), name);
    BOOST_TEST(objective_preset(name).beta == 0.0, name);
  }
  const ObjectiveOptions gspo = objective_preset("gspo");
  BOOST_TEST((gspo.ratio_level == RatioLevel::sequence));
  BOOST_TEST((gspo.reduction == Reduction::grpo));
  BOOST_TEST(gspo.epsilon_low == 3e-4);
  BOOST_TEST(gspo.epsilon_high == 4e-4);
  BOOST_TEST((objective_preset("trl").reduction == Reduction::dapo));
  BOOST_TEST((objective_preset("dr_grpo").reduction == Reduction::dr_grpo));
  BOOST_TEST((objective_preset("cispo").reduction == Reduction::dapo));
  BOOST_TEST(objective_preset("cispo").ratio_cap.value() == 5.0);
  BOOST_TEST((objective_preset("sapo").reduction == Reduction::grpo));
  BOOST_CHECK_THROW(objective_preset("ppo"), BadArgument);
}

BOOST_AUTO_TEST_CASE(golden_kl) {
  const double d[] = {-0.2, 0.5, 0.0, 0.2, -1.0};
  const double k1[] = {0.2, -0.5, 0.0, -0.2, 1.0};
  const double k2[] = {0.02, 0.125, 0.0, 0.02, 0.5};
  const double k3[] = {0.0187308, 0.1487213, 0.0, 0.0214028, 0.3678794};
  const double k3_slope[] = {0.1812692, -0.6487213, 0.0, -0.2214028, 0.6321206};
  for (int i = 0; i < 5; ++i) {
    BOOST_TEST(close(kl_term(KlEstimator::k1, 0, d[i]).value, k1[i]));
    BOOST_TEST(close(kl_term(KlEstimator::k2, 0, d[i]).value, k2[i]));
    BOOST_TEST(close(kl_term(KlEstimator::k3, 0, d[i]).value, k3[i]));
    BOOST_TEST(close(kl_term(KlEstimator::k3, 0, d[i]).derivative, k3_slope[i]));
  }
  // exp(d) - 1 - d would give 0 or 1e-16 here.
  BOOST_TEST(close(kl_term(KlEstimator::k3, 0, 1e-9).value / 5e-19, 1.0, 0.2));
}

BOOST_AUTO_TEST_CASE(kl_is_clamped_and_counted) {
  for (const auto estimator : {KlEstimator::k1, KlEstimator::k2, KlEstimator::k3}) {
    for (const double d : {-30.0, 30.0}) {
      const KlTerm beyond = kl_term(estimator, 0, d);
      BOOST_TEST(beyond.clamped);
      BOOST_TEST(beyond.value == kl_term(estimator, 0, d > 0 ? 20 : -20).value);
      BOOST_TEST(beyond.derivative == 0.0);
    }
    BOOST_TEST(!kl_term(estimator, 0, 20).clamped);
  }
  auto batch = golden_batch();
  batch.reference = {-1, -22, -1, -1, -1};
  BOOST_TEST(run({.beta = 0.1}, batch.input()).report.kl_clamped == 1.0);
}

BOOST_AUTO_TEST_CASE(gradients_agree_with_finite_differences) {
  const auto base = random_batch();
  int settings_tried = 0;
  for (const auto reduction : {Reduction::grpo, Reduction::bnpo, Reduction::dapo, Reduction::dr_grpo}) {
    for (const auto level : {RatioLevel::token, RatioLevel::sequence}) {
      for (const auto estimator : {KlEstimator::k1, KlEstimator::k2, KlEstimator::k3}) {
        for (const double cap : {0.0, 1.15, 1.5, -1.0}) {
          ++settings_tried;
          ObjectiveOptions options{.reduction = reduction,
                                   .ratio_level = level,
                                   .beta = 0.3,
                                   .kl_estimator = estimator,
                                   .entropy_bonus = 0.07,
                                   .max_completion_length = 6};
          if (cap > 0) options.ratio_cap = cap;
          if (cap < 0 || estimator == KlEstimator::k1) options.kl_correction = KlCorrection::ratio;
          auto batch = base;
          const auto outcome = run(options, batch.input());
          const double h = 1e-6;
          for (std::size_t t = 0; t < batch.log_probs.size(); ++t) {
            const auto slope = [&](double& value) {
              const double kept = value;
              value = kept + h;
              const double up = run(options, batch.input()).report.loss;
              value = kept - h;
              const double down = run(options, batch.input()).report.loss;
              value = kept;
              return (up - down) / (2 * h);
            };
            BOOST_TEST(close(outcome.d_log_probs[t], slope(batch.log_probs[t]), 1e-8));
            BOOST_TEST(close(outcome.d_entropies[t], slope(batch.entropies[t]), 1e-8));
          }
        }
      }
    }
  }
  BOOST_TEST(settings_tried == 96);
}

// SAPO has no part that is held constant: the loss itself, at both levels, with the KL that the ratio multiplies.
BOOST_AUTO_TEST_CASE(the_gradient_of_sapo_agrees_with_finite_differences) {
  for (const auto level : {RatioLevel::token, RatioLevel::sequence}) {
    for (const double beta : {0.0, 0.3}) {
      ObjectiveOptions options = sapo_objective();
      options.ratio_level = level;
      options.beta = beta;
      auto batch = random_batch();
      const auto outcome = run(options, batch.input());
      for (std::size_t t = 0; t < batch.log_probs.size(); ++t) {
        const double kept = batch.log_probs[t];
        const double h = 1e-6;
        batch.log_probs[t] = kept + h;
        const double up = run(options, batch.input()).report.loss;
        batch.log_probs[t] = kept - h;
        const double down = run(options, batch.input()).report.loss;
        batch.log_probs[t] = kept;
        BOOST_TEST(close(outcome.d_log_probs[t], (up - down) / (2 * h), 1e-8));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(on_policy_the_ratio_is_exactly_one) {
  auto batch = random_batch();
  batch.old.clear();
  const auto outcome = run({}, batch.input());
  BOOST_TEST(outcome.report.ratio_max == 1.0);
  BOOST_TEST(outcome.report.ratio_mean() == 1.0);
  BOOST_TEST(outcome.report.clip_region_fraction() == 0.0);
  batch.old = batch.log_probs;
  BOOST_TEST(run({}, batch.input()).d_log_probs == outcome.d_log_probs, boost::test_tools::per_element());
  BOOST_TEST(outcome.d_log_probs[0] == -double(1.3f) / 9);
}

BOOST_AUTO_TEST_CASE(micro_batches_add_up) {
  const auto batch = random_batch();
  for (const auto reduction : {Reduction::grpo, Reduction::dapo, Reduction::dr_grpo}) {
    const ObjectiveOptions options{
        .reduction = reduction, .beta = 0.2, .entropy_bonus = 0.1, .max_completion_length = 5};
    const auto whole = run(options, batch.input());
    LossReport sum;
    std::vector<double> gradient;
    for (const auto& [first, last] : {std::pair<std::size_t, std::size_t>{0, 3}, {3, 4}}) {
      LossInput<double> part = batch.input();
      const std::size_t begin = batch.offsets[first];
      const std::size_t count = batch.offsets[last] - begin;
      part.log_probs = part.log_probs.subspan(begin, count);
      part.old_log_probs = part.old_log_probs.subspan(begin, count);
      part.reference_log_probs = part.reference_log_probs.subspan(begin, count);
      part.entropies = part.entropies.subspan(begin, count);
      part.offsets = part.offsets.subspan(first, last - first + 1);
      part.advantages = part.advantages.subspan(first, last - first);
      const auto outcome = run(options, part);
      sum += outcome.report;
      gradient.insert(gradient.end(), outcome.d_log_probs.begin(), outcome.d_log_probs.end());
    }
    BOOST_TEST(close(sum.loss, whole.report.loss, 1e-14));
    BOOST_TEST(close(sum.kl(), whole.report.kl(), 1e-14));
    BOOST_TEST(close(sum.entropy(), whole.report.entropy(), 1e-14));
    BOOST_TEST(sum.ratio_max == whole.report.ratio_max);
    BOOST_TEST(sum.responses == 4.0);
    BOOST_TEST(gradient == whole.d_log_probs, boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(empty_responses_count_as_responses_only) {
  auto batch = golden_batch();
  batch.offsets = {0, 2, 2, 5};
  batch.advantages = {1, 3, -1};
  const auto grpo = run({.reduction = Reduction::grpo}, batch.input());
  BOOST_TEST(close(grpo.report.loss, 0.1307625 * 2 / 3));
  BOOST_TEST(close(run({.reduction = Reduction::dapo}, batch.input()).report.loss, 0.3415139));
  MicroBatch<double> nothing;
  nothing.offsets = {0, 0, 0};
  nothing.advantages = {1, -1};
  for (const auto reduction : {Reduction::grpo, Reduction::bnpo, Reduction::dapo, Reduction::dr_grpo}) {
    const auto outcome = run({.reduction = reduction, .max_completion_length = 4}, nothing.input());
    BOOST_TEST(outcome.report.loss == 0.0);
    BOOST_TEST(outcome.report.responses == 2.0);
  }
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_the_bits) {
  MicroBatch<float> batch;
  const RandomStream stream({.seed = 8});
  for (std::uint32_t row = 0; row < 101; ++row) {
    for (std::uint64_t t = 0; t < stream.below(9, row); ++t) {
      const auto position = static_cast<std::uint32_t>(1000 + 3 * batch.log_probs.size());
      batch.log_probs.push_back(static_cast<float>(-1 + 0.2 * stream.normal(position)));
      batch.old.push_back(static_cast<float>(-1 + 0.2 * stream.normal(position + 1)));
    }
    batch.offsets.push_back(batch.log_probs.size());
    batch.advantages.push_back(static_cast<float>(stream.normal(500 + row)));
  }
  set_threads(1);
  const auto one = run({.reduction = Reduction::grpo}, batch.input());
  set_threads(3);
  const auto three = run({.reduction = Reduction::grpo}, batch.input());
  set_threads(2);
  BOOST_TEST(one.report.loss == three.report.loss);
  BOOST_TEST(one.report.ratio_sum == three.report.ratio_sum);
  BOOST_TEST(one.d_log_probs == three.d_log_probs, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(bad_values_name_row_and_token) {
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    auto batch = random_batch();
    batch.log_probs[6] = bad;
    auto input = batch.input();
    input.first_row = 10;
    BOOST_TEST(contains(bad_data({}, input), "row 13, token 2: the log-prob"), bad_data({}, input));
    batch = random_batch();
    batch.old[3] = bad;
    BOOST_TEST(contains(bad_data({}, batch.input()), "row 2, token 0: the old log-prob"));
    batch = random_batch();
    batch.reference[1] = bad;
    BOOST_TEST(contains(bad_data({.beta = 0.1}, batch.input()), "row 0, token 1: the reference log-prob"));
    batch = random_batch();
    batch.entropies[0] = bad;
    BOOST_TEST(contains(bad_data({}, batch.input()), "row 0, token 0: the entropy"));
    batch = random_batch();
    batch.advantages[3] = static_cast<float>(bad);
    BOOST_TEST(contains(bad_data({}, batch.input()), "row 3: the advantage"));
  }
  auto batch = random_batch();
  batch.old[4] = -1000;
  BOOST_TEST(contains(bad_data({}, batch.input()), "row 3, token 0: the ratio"));
}

BOOST_AUTO_TEST_CASE(settings_out_of_domain_are_refused) {
  BOOST_CHECK_THROW(Objective({.epsilon_low = -0.1}), BadArgument);
  BOOST_CHECK_THROW(Objective({.epsilon_low = 1.5}), BadArgument);
  BOOST_CHECK_THROW(Objective({.epsilon_high = std::nan("")}), BadArgument);
  BOOST_CHECK_THROW(Objective({.ratio_cap = 0.0}), BadArgument);
  BOOST_CHECK_THROW(Objective({.beta = -1.0}), BadArgument);
  BOOST_CHECK_THROW(Objective({.surrogate = Surrogate::cispo}), BadArgument);
  BOOST_CHECK_THROW(Objective({.surrogate = Surrogate::cispo, .ratio_level = RatioLevel::sequence, .ratio_cap = 5.0}),
                    BadArgument);
  BOOST_CHECK_THROW(Objective({.surrogate = Surrogate::sapo, .ratio_cap = 5.0}), BadArgument);
  BOOST_CHECK_THROW(Objective({.sapo_temperature_pos = 0.0}), BadArgument);
  BOOST_CHECK_THROW(Objective({.sapo_temperature_neg = INFINITY}), BadArgument);
  BOOST_CHECK_THROW(Objective({.entropy_bonus = -1.0}), BadArgument);
  BOOST_CHECK_THROW(Objective({.reduction = Reduction::dr_grpo}), BadArgument);
  BOOST_CHECK_EXCEPTION(Objective({.beta = 0.1, .kl_estimator = KlEstimator::k1}), BadArgument, [](const auto& e) {
    return std::string(e.what()).find("zero expected gradient") != std::string::npos;
  });
  Objective({.beta = 0.1, .kl_estimator = KlEstimator::k1, .kl_placement = KlPlacement::reward});
  auto batch = random_batch();
  batch.reference.clear();
  BOOST_CHECK_THROW(run({.beta = 0.1}, batch.input()), BadArgument);
  run({.beta = 0.1, .kl_placement = KlPlacement::reward}, batch.input());
  batch.entropies.clear();
  BOOST_CHECK_THROW(run({.entropy_bonus = 0.1}, batch.input()), BadArgument);
  batch.advantages.pop_back();
  BOOST_CHECK_THROW(run({}, batch.input()), BadArgument);
  auto uncounted = random_batch();
  auto input = uncounted.input();
  input.batch = {};
  BOOST_CHECK_THROW(run({}, input), BadArgument);
}

BOOST_AUTO_TEST_CASE(kl_in_the_reward) {
  const std::vector<float> log_probs{-1, -2, -3, -4}, reference{-1.5f, -2, -2, -40};
  const std::vector<std::size_t> offsets{7, 9, 9, 11};
  std::vector<float> penalty(3, -9.0f);
  BOOST_TEST(kl_penalty(0.5, KlEstimator::k1, log_probs, reference, offsets, penalty) == 1u);
  BOOST_TEST(penalty[0] == 0.25f);
  BOOST_TEST(penalty[1] == 0.0f);
  BOOST_TEST(penalty[2] == 0.5f * (-1.0f + 20.0f));
  kl_penalty(0.5, KlEstimator::k3, log_probs, reference, offsets, penalty);
  BOOST_TEST(close(double(penalty[0]), 0.5 * (std::exp(-0.5) - 1 + 0.5)));
  const std::vector<float> bad{-1, -2, -3, std::nanf("")};
  BOOST_CHECK_THROW(kl_penalty(0.5, KlEstimator::k1, bad, reference, offsets, penalty), BadData);
  BOOST_CHECK_THROW(kl_penalty(-1, KlEstimator::k1, log_probs, reference, offsets, penalty), BadArgument);
}

BOOST_AUTO_TEST_CASE(reports_are_summed_over_ranks) {
  struct Twins {  // two ranks that hold the same values
    std::size_t rank() const { return 1; }
    std::size_t size() const { return 2; }
    void all_reduce_sum(std::span<double> values) const {
      for (double& v : values) v *= 2;
    }
    void all_reduce_sum(std::span<float>) const {}
    maestro::RankBytes all_gather(std::span<const std::byte> own) const {
      return maestro::RankBytes(2, std::vector<std::byte>(own.begin(), own.end()));
    }
    void barrier() const {}
  } twins;
  LossReport report = run({}, random_batch().input()).report;
  const double loss = report.loss;
  report.all_reduce(twins);
  BOOST_TEST(report.loss == 2 * loss);
  BOOST_TEST(report.tokens == 18.0);
  const std::vector<std::size_t> offsets{3, 5, 9};
  BOOST_TEST(count_batch(offsets, twins).tokens == 12.0);
  BOOST_TEST(count_batch(offsets, twins).responses == 4.0);
}

// What GRPOTrainer itself computed; tests/fixtures/scalarization/make_trl_fixture.py made the file.
BOOST_AUTO_TEST_CASE(trl_trainer) {
  struct Expected {
    double loss = 0;
    std::vector<double> metrics;
    std::vector<double> gradient;
  };
  std::ifstream file(MAESTRO_TEST_FIXTURES "/objective/trl_losses.txt");
  BOOST_REQUIRE(file.good());
  std::map<std::string, std::vector<double>> header;
  std::string text, name, loss_type, level;
  std::vector<MicroBatch<float>> batches;
  std::vector<Expected> expected;
  int cases = 0;
  while (std::getline(file, text)) {
    std::istringstream words(text);
    std::string key, word;
    words >> key;
    if (key == "loss") {
      batches.emplace_back();
      expected.emplace_back();
    }
    if (key == "case") {
      words >> name;
      batches.clear();
      expected.clear();
    } else if (key == "loss_type") {
      words >> loss_type;
    } else if (key == "level") {
      words >> level;
    } else if (key[0] != '#') {
      std::vector<double> numbers;
      while (words >> word) numbers.push_back(std::stod(word));
      const auto append = [&](auto& target) {
        for (const double n : numbers) target.push_back(static_cast<std::decay_t<decltype(target[0])>>(n));
      };
      if (batches.empty()) {
        header[key] = numbers;
      } else if (key == "loss") {
        expected.back().loss = numbers[0];
      } else if (key == "metrics") {
        expected.back().metrics = numbers;
      } else if (key == "row") {
        batches.back().advantages.push_back(static_cast<float>(numbers[0]));
      } else if (key == "log_probs") {
        append(batches.back().log_probs);
        batches.back().offsets.push_back(batches.back().log_probs.size());
      } else if (key == "old") {
        append(batches.back().old);
      } else if (key == "ref") {
        append(batches.back().reference);
      } else if (key == "entropies") {
        append(batches.back().entropies);
      } else if (key == "gradient") {
        append(expected.back().gradient);
      }
    }
    if (key != "end") continue;
    ++cases;
    ObjectiveOptions options{.reduction = static_cast<Reduction>(index_of_name("loss", loss_type, reduction_names)),
                             .ratio_level = static_cast<RatioLevel>(index_of_name("level", level, ratio_level_names)),
                             .epsilon_low = header.at("clip")[0],
                             .epsilon_high = header.at("clip")[1],
                             .beta = header.at("beta")[0],
                             .entropy_bonus = header.at("entropy_coef")[0],
                             .max_completion_length = std::size_t(header.at("max_completion_length")[0])};
    if (header.at("kl_correction")[0] > 0) options.kl_correction = KlCorrection::ratio;
    if (!std::isnan(header.at("delta")[0])) options.ratio_cap = header.at("delta")[0];
    BatchCounts counts;
    for (const auto& batch : batches) {
      counts.tokens += batch.counts().tokens;
      counts.responses += batch.counts().responses;
    }
    for (std::size_t b = 0; b < batches.size(); ++b) {
      BOOST_TEST_CONTEXT(name << ", micro-batch " << b) {
        auto input = batches[b].input();
        input.batch = counts;
        const auto outcome = run(options, input);
        const auto& metrics = expected[b].metrics;
        // The trainer works in float.
        BOOST_TEST(close(outcome.report.loss, expected[b].loss, 2e-6));
        if (options.beta > 0) BOOST_TEST(close(outcome.report.kl(), metrics[0], 2e-6));
        BOOST_TEST(close(outcome.report.entropy(), metrics[1], 2e-6));
        BOOST_TEST(close(outcome.report.clip_low_fraction(), metrics[2]));
        BOOST_TEST(close(outcome.report.clip_high_fraction(), metrics[3]));
        BOOST_TEST(close(outcome.report.clip_region_fraction(), metrics[4]));
        BOOST_REQUIRE(expected[b].gradient.size() == outcome.d_log_probs.size());
        for (std::size_t t = 0; t < outcome.d_log_probs.size(); ++t) {
          BOOST_TEST(close(double(outcome.d_log_probs[t]), expected[b].gradient[t], 1e-6));
        }
      }
    }
  }
  BOOST_TEST(cases == 18);
}

BOOST_AUTO_TEST_SUITE_END()
