#include "maestro/cuda/objective/loss.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda/loss_support.hpp"
#include "cuda/thread_executor.hpp"
#include "maestro/cuda/core/host_executor.hpp"

using namespace maestro;
using gpu::HostExecutor;
using test::LossCase;
using test::ThreadExecutor;

namespace {

std::string named(const ObjectiveOptions& s, std::size_t which) {
  return std::string(reduction_names[static_cast<std::size_t>(s.reduction)]) + ", " +
         std::string(ratio_level_names[static_cast<std::size_t>(s.ratio_level)]) + ", " +
         std::string(kl_estimator_names[static_cast<std::size_t>(s.kl_estimator)]) + ", placement " +
         std::string(kl_placement_names[static_cast<std::size_t>(s.kl_placement)]) + ", correction " +
         std::string(kl_correction_names[static_cast<std::size_t>(s.kl_correction)]) + ", beta " +
         std::to_string(s.beta) + ", cap " + std::to_string(s.ratio_cap.value_or(0.0)) + ", case " +
         std::to_string(which);
}

/// Calls f(settings, case) for every pair, on-policy and off.
template <class T, class F>
void for_each_pair(std::vector<LossCase<T>> cases, const F& f) {
  const std::size_t off_policy = cases.size();
  for (std::size_t i = 0; i < off_policy; ++i) {
    cases.push_back(cases[i]);
    cases.back().old.clear();
  }
  for (const ObjectiveOptions& options : test::all_options()) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      BOOST_TEST_CONTEXT(named(options, i)) { f(options, cases[i]); }
    }
  }
}

template <class T>
void expect_the_bits_of_the_cpu() {
  HostExecutor executor;
  auto cases = test::small_cases<T>();
  cases.push_back(test::many_rows<T>());
  for_each_pair(cases, [&](const ObjectiveOptions& options, const LossCase<T>& c) {
    const auto expected = test::loss_by_cpu(options, c);
    const auto outcome = test::loss_on(executor, options, c);
    BOOST_TEST(test::same_bits(outcome.d_log_probs, expected.d_log_probs));
    BOOST_TEST(test::same_bits(outcome.d_entropies, expected.d_entropies));
    BOOST_TEST(test::fields(outcome.report) == test::fields(expected.report), boost::test_tools::per_element());
  });
}

/// Sums are made in another order; so are ratios of sequences, and what is made of them.
template <class T>
void expect_what_the_cpu_gets(const ObjectiveOptions& options, const LossCase<T>& c) {
  ThreadExecutor<5> executor;
  const auto expected = test::loss_by_cpu(options, c);
  const auto outcome = test::loss_on(executor, options, c);
  if (options.ratio_level == RatioLevel::token) {
    BOOST_TEST(test::same_bits(outcome.d_log_probs, expected.d_log_probs));
  } else {
    const double tolerance = std::is_same_v<T, float> ? 2.0 * std::numeric_limits<float>::epsilon() : 1e-12;
    BOOST_TEST(test::difference(outcome.d_log_probs, expected.d_log_probs) < tolerance);
  }
  BOOST_TEST(test::same_bits(outcome.d_entropies, expected.d_entropies));
  BOOST_TEST(test::fields(outcome.report) == test::fields(expected.report), boost::test_tools::tolerance(1e-12)
                                                                                << boost::test_tools::per_element());
}

/// What the CPU throws, and what the record of each executor throws.
void expect_the_text_of_the_cpu(const ObjectiveOptions& options, const LossCase<double>& c, const char* part) {
  const std::string expected = test::text_of<BadData>([&] { test::loss_by_cpu(options, c); });
  BOOST_TEST(expected.find(part) != std::string::npos, expected);
  HostExecutor serial;
  ThreadExecutor<5> threads;
  BOOST_TEST(test::text_of<BadData>([&] { test::loss_on(serial, options, c); }) == expected);
  BOOST_TEST(test::text_of<BadData>([&] { test::loss_on(threads, options, c); }) == expected);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(policy_loss)

BOOST_AUTO_TEST_CASE(serial_teams_give_the_bits_of_the_cpu) {
  expect_the_bits_of_the_cpu<float>();
  expect_the_bits_of_the_cpu<double>();
}

BOOST_AUTO_TEST_CASE(teams_of_threads_get_what_the_cpu_gets) {
  for_each_pair(test::small_cases<float>(), expect_what_the_cpu_gets<float>);
  for_each_pair(test::small_cases<double>(), expect_what_the_cpu_gets<double>);
  for (const auto level : {RatioLevel::token, RatioLevel::sequence}) {
    const ObjectiveOptions options{.ratio_level = level, .beta = 0.1, .kl_correction = KlCorrection::ratio};
    expect_what_the_cpu_gets(options, test::many_rows<float>());
  }
}

BOOST_AUTO_TEST_CASE(one_long_response) {
  for (const auto level : {RatioLevel::token, RatioLevel::sequence}) {
    const ObjectiveOptions options{.reduction = Reduction::grpo,
                                   .ratio_level = level,
                                   .beta = 0.1,
                                   .kl_correction = KlCorrection::ratio,
                                   .entropy_bonus = 0.01};
    expect_what_the_cpu_gets(options, test::random_case<float>({100000, 1}));
    expect_what_the_cpu_gets(options, test::random_case<double>({100000, 1}));
  }
}

BOOST_AUTO_TEST_CASE(runs_repeat_bit_by_bit) {
  const auto c = test::random_case<float>({40, 0, 3, 71, 1, 22});
  ThreadExecutor<7> executor;
  const ObjectiveOptions options{
      .ratio_level = RatioLevel::sequence, .beta = 0.1, .kl_correction = KlCorrection::ratio, .entropy_bonus = 0.01};
  gpu::PolicyLoss loss(executor, options);
  gpu::FaultRecord faults(executor);
  const auto first = test::loss_on(executor, loss, faults, c);
  for (int repeat = 0; repeat < 20; ++repeat) {
    const auto again = test::loss_on(executor, loss, faults, c);
    BOOST_TEST(test::same_bits(again.d_log_probs, first.d_log_probs));
    BOOST_TEST(test::same_bits(test::fields(again.report), test::fields(first.report)));
  }
}

BOOST_AUTO_TEST_CASE(a_smaller_micro_batch_forgets_the_larger_one) {
  ThreadExecutor<3> executor;
  const ObjectiveOptions options{.beta = 0.1};
  gpu::PolicyLoss loss(executor, options);
  gpu::FaultRecord faults(executor);
  BOOST_TEST(loss.report().responses == 0.0);
  BOOST_TEST(test::loss_on(executor, loss, faults, test::random_case<float>({5, 4, 3, 2})).report.tokens == 14.0);
  const auto small = test::random_case<float>({2, 3});
  BOOST_TEST(test::loss_on(executor, loss, faults, small).report.tokens == 5.0);
  BOOST_TEST(test::loss_on(executor, loss, faults, test::random_case<float>({})).report.responses == 0.0);
}

BOOST_AUTO_TEST_CASE(what_is_not_needed_may_be_null) {
  HostExecutor executor;
  auto c = test::random_case<float>({4, 2}, 3);
  c.reference.clear();
  c.entropies.clear();
  const auto expected = test::loss_by_cpu({}, c);
  std::vector<float> d_log_probs(6);
  LossReport copy;
  gpu::FaultWord record = gpu::no_fault;
  gpu::PolicyLoss loss(executor);
  loss(gpu::LossBatch<float>{.responses = {.offsets = c.offsets.data(), .rows = 2, .tokens = 6},
                             .log_probs = c.log_probs.data(),
                             .old_log_probs = c.old.data(),
                             .advantages = c.advantages.data(),
                             .batch = c.batch},
       gpu::LossGradients<float>{.d_log_probs = d_log_probs.data(), .report = &copy}, &record);
  BOOST_TEST(record == gpu::no_fault);
  BOOST_TEST(test::same_bits(d_log_probs, expected.d_log_probs));
  BOOST_TEST(copy.kl_tokens == 0.0);
  BOOST_TEST(copy.entropy_tokens == 0.0);
  BOOST_TEST(test::same_bits(test::fields(copy), test::fields(expected.report)));
  BOOST_TEST(test::same_bits(test::fields(loss.report()), test::fields(expected.report)));
}

BOOST_AUTO_TEST_CASE(bad_values_are_named_as_by_the_cpu) {
  auto base = test::random_case<double>({3, 0, 1, 9});
  base.first_row = 10;
  for (const auto level : {RatioLevel::token, RatioLevel::sequence}) {
    const ObjectiveOptions options{.ratio_level = level, .beta = 0.1, .kl_correction = KlCorrection::ratio};
    const double inf = std::numeric_limits<double>::infinity();
    for (const double bad : {std::nan(""), inf, -inf}) {
      auto c = base;
      c.log_probs[6] = bad;
      expect_the_text_of_the_cpu(options, c, "row 13, token 2: the log-prob");
      c = base;
      c.old[3] = bad;
      expect_the_text_of_the_cpu(options, c, "row 12, token 0: the old log-prob");
      c = base;
      c.reference[1] = bad;
      expect_the_text_of_the_cpu(options, c, "row 10, token 1: the reference log-prob");
      c = base;
      c.entropies[12] = bad;
      expect_the_text_of_the_cpu(options, c, "row 13, token 8: the entropy");
      c = base;
      c.advantages[1] = static_cast<float>(bad);  // of an empty response
      expect_the_text_of_the_cpu(options, c, "row 11: the advantage");
      // Of several, the first.
      c = base;
      c.log_probs[4] = c.log_probs[2] = c.log_probs[11] = bad;
      expect_the_text_of_the_cpu(options, c, "row 10, token 2: the log-prob");
      // On-policy and without reference the log-probs are still looked at.
      c.old.clear();
      c.reference.clear();
      expect_the_text_of_the_cpu({.ratio_level = level}, c, "row 10, token 2: the log-prob");
      // Nothing is finite.
      c = base;
      for (auto* values : {&c.log_probs, &c.old, &c.reference, &c.entropies}) values->assign(13, bad);
      expect_the_text_of_the_cpu(options, c, "row 10, token 0: the log-prob");
      c.advantages.assign(4, static_cast<float>(bad));
      expect_the_text_of_the_cpu(options, c, "row 10: the advantage");
    }
    auto c = base;
    c.old[5] = -10000;
    expect_the_text_of_the_cpu(options, c,
                               level == RatioLevel::token ? "row 13, token 1: the ratio to the old policy overflows"
                                                          : "row 13, token 0: the ratio to the old policy overflows");
  }
}

BOOST_AUTO_TEST_CASE(a_fault_does_not_outlive_its_check) {
  ThreadExecutor<3> executor;
  gpu::PolicyLoss loss(executor);
  gpu::FaultRecord faults(executor);
  const auto good = test::random_case<double>({3, 4});
  auto bad = good;
  bad.log_probs[1] = std::nan("");
  BOOST_CHECK_THROW(test::loss_on(executor, loss, faults, bad), BadData);
  BOOST_TEST(test::loss_on(executor, loss, faults, good).report.tokens == 7.0);
}

BOOST_AUTO_TEST_CASE(offsets_that_do_not_fit_touch_nothing) {
  const auto base = test::random_case<double>({3, 2, 4}, 5);
  ThreadExecutor<3> executor;
  const auto text = [&](const LossCase<double>& c) {
    return test::text_of<BadArgument>([&] { test::loss_on(executor, ObjectiveOptions{}, c); });
  };
  for (const std::int64_t wrong : {-1000000000, 4, 7, 11, 15, 1000000000}) {
    auto c = base;
    c.first_row = 20;
    c.offsets[1] = wrong;
    // Row 0 ends there, and row 1 starts.
    const char* row = wrong == 7 ? nullptr : (wrong == 11 ? "row 21: " : "row 20: ");
    BOOST_TEST_CONTEXT(wrong) {
      if (row == nullptr) {
        BOOST_TEST(text(c) == "nothing thrown");
      } else {
        BOOST_TEST(text(c).find(std::string(row) + "the token offsets") == 0u, text(c));
      }
    }
  }
  for (const std::int64_t wrong : {13, 15}) {  // fewer tokens than there are, and more
    auto c = base;
    c.offsets[3] = wrong;
    BOOST_TEST(text(c).find("row 2: the token offsets") == 0u, text(c));
  }
}

BOOST_AUTO_TEST_CASE(mistakes_of_the_caller_are_named) {
  HostExecutor executor;
  const auto good = test::random_case<double>({3, 2});
  const auto same_text = [&](const ObjectiveOptions& options, const LossCase<double>& c, const char* part) {
    const std::string expected = test::text_of<BadArgument>([&] { test::loss_by_cpu(options, c); });
    BOOST_TEST(expected.find(part) != std::string::npos, expected);
    BOOST_TEST(test::text_of<BadArgument>([&] { test::loss_on(executor, options, c); }) == expected);
  };
  auto c = good;
  c.reference.clear();
  same_text({.beta = 0.1}, c, "reference_log_probs are needed");
  c = good;
  c.entropies.clear();
  same_text({.entropy_bonus = 0.1}, c, "d_entropies are needed");
  c = good;
  c.batch = {};
  same_text({}, c, "batch counts");
  same_text({.beta = 0.1, .kl_estimator = KlEstimator::k1}, good, "zero expected gradient");
  same_text({.reduction = Reduction::dr_grpo}, good, "max_completion_length");

  gpu::PolicyLoss loss(executor);
  gpu::FaultWord record = gpu::no_fault;
  std::vector<double> gradient(5);
  const gpu::LossBatch<double> batch{.responses = {.offsets = good.offsets.data(), .rows = 2, .tokens = 5},
                                     .log_probs = good.log_probs.data(),
                                     .advantages = good.advantages.data(),
                                     .batch = good.batch};
  const gpu::LossGradients<double> out{.d_log_probs = gradient.data()};
  loss(batch, out, &record);
  const auto text = [&](const gpu::LossBatch<double>& b, const gpu::LossGradients<double>& o, gpu::FaultWord* r) {
    return test::text_of<BadArgument>([&] { loss(b, o, r); });
  };
  BOOST_TEST(text(batch, out, nullptr) == "objective: the fault record is null");
  BOOST_TEST(text(batch, {}, &record) == "objective: d_log_probs is null");
  auto wrong = batch;
  wrong.log_probs = nullptr;
  BOOST_TEST(text(wrong, out, &record) == "objective: log_probs is null");
  wrong = batch;
  wrong.advantages = nullptr;
  BOOST_TEST(text(wrong, out, &record) == "objective: advantages is null");
  wrong = batch;
  wrong.responses.offsets = nullptr;
  BOOST_TEST(text(wrong, out, &record) == "objective: offsets is null");
  wrong = batch;
  wrong.responses.rows = 0;
  BOOST_TEST(text(wrong, out, &record) == "objective: offsets and log_probs do not fit");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(kl_in_the_reward)

namespace {

struct Penalties {
  std::vector<float> values;
  std::size_t clamped = 0;
};

Penalties by_cpu(double beta, KlEstimator estimator, const LossCase<float>& c) {
  Penalties result;
  result.values.assign(c.advantages.size(), test::untouched);
  const std::vector<std::size_t> offsets(c.offsets.begin(), c.offsets.end());
  result.clamped = kl_penalty(beta, estimator, c.log_probs, c.reference, offsets, result.values);
  return result;
}

template <class E>
Penalties on(E& executor, double beta, KlEstimator estimator, const LossCase<float>& c) {
  test::Memory log_probs(executor, c.log_probs);
  test::Memory reference(executor, c.reference);
  test::Memory offsets(executor, c.offsets);
  test::Memory penalty(executor, std::vector<float>(c.advantages.size(), test::untouched));
  gpu::FaultRecord faults(executor);
  gpu::KlPenalty kl(executor, beta, estimator);
  kl({.offsets = offsets.data(), .rows = c.advantages.size(), .tokens = c.log_probs.size()}, log_probs.data(),
     reference.data(), penalty.data(), faults.data());
  faults.check(executor);
  return {.values = penalty.read(), .clamped = kl.clamped()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(penalties_are_those_of_the_cpu) {
  HostExecutor serial;
  ThreadExecutor<5> threads;
  auto cases = test::small_cases<float>();
  cases.push_back(test::many_rows<float>());
  cases.push_back(test::random_case<float>({100000, 3}));
  std::size_t clamped = 0;
  for (const auto estimator : {KlEstimator::k1, KlEstimator::k2, KlEstimator::k3}) {
    for (const auto& c : cases) {
      const Penalties expected = by_cpu(0.4, estimator, c);
      const Penalties alone = on(serial, 0.4, estimator, c);
      const Penalties together = on(threads, 0.4, estimator, c);
      BOOST_TEST(test::same_bits(alone.values, expected.values));
      BOOST_TEST(test::difference(together.values, expected.values) < 1.3e-7);
      BOOST_TEST(alone.clamped == expected.clamped);
      BOOST_TEST(together.clamped == expected.clamped);
      clamped += expected.clamped;
    }
  }
  BOOST_TEST(clamped > 0u);
}

BOOST_AUTO_TEST_CASE(bad_values_are_named) {
  HostExecutor serial;
  ThreadExecutor<5> threads;
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    for (const bool of_reference : {false, true}) {
      auto c = test::random_case<float>({3, 0, 4});
      (of_reference ? c.reference : c.log_probs)[5] = bad;
      const auto text = test::text_of<BadData>([&] { by_cpu(0.1, KlEstimator::k3, c); });
      BOOST_TEST(text == "kl penalty: row 2, token 2: a log-prob is not finite");
      BOOST_TEST(test::text_of<BadData>([&] { on(serial, 0.1, KlEstimator::k3, c); }) == text);
      BOOST_TEST(test::text_of<BadData>([&] { on(threads, 0.1, KlEstimator::k3, c); }) == text);
    }
  }
  auto c = test::random_case<float>({3, 4});
  BOOST_CHECK_THROW(on(serial, -1.0, KlEstimator::k3, c), BadArgument);
  c.offsets[1] = 1000000;
  BOOST_CHECK_THROW(on(threads, 0.1, KlEstimator::k3, c), BadArgument);
  c = test::random_case<float>({3, 4});
  c.reference.clear();
  BOOST_CHECK_THROW(on(serial, 0.1, KlEstimator::k3, c), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
