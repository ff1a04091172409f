#pragma once

// Micro-batches for the policy loss, and the loss of one by the CPU and on an executor.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "cuda/memory.hpp"
#include "cuda/same_bits.hpp"
#include "maestro/core/random.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/objective/kl_penalty.hpp"
#include "maestro/cuda/objective/loss.hpp"
#include "maestro/objective/kl_penalty.hpp"
#include "maestro/objective/loss.hpp"

namespace test {

/// A micro-batch that owns its arrays. An empty array stands for one that is not given.
template <class T>
struct LossCase {
  std::vector<T> log_probs, old, reference, entropies;
  std::vector<std::int64_t> offsets;
  std::vector<float> advantages;
  maestro::BatchCounts batch;
  std::size_t first_row = 0;
};

/// Random responses of these lengths: log ratios of sd 0.3, some of the KL beyond the clamp, a row of advantage 0.
/// The batch has `share` times the tokens and responses; the offsets start at `origin`.
template <class T>
LossCase<T> random_case(const std::vector<std::size_t>& lengths, std::int64_t origin = 0, double share = 1.0) {
  LossCase<T> c;
  const maestro::RandomStream stream({.seed = 21});
  c.offsets.push_back(origin);
  std::uint32_t place = 0;
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    for (std::size_t i = 0; i < lengths[row]; ++i, place += 4) {
      const double log_prob = -1.0 + 0.2 * stream.normal(place);
      c.log_probs.push_back(static_cast<T>(log_prob));
      c.old.push_back(static_cast<T>(log_prob - 0.3 * stream.normal(place + 1)));
      c.reference.push_back(static_cast<T>(log_prob + (place % 28 == 8 ? 25.0 : 0.4) * stream.normal(place + 2)));
      c.entropies.push_back(static_cast<T>(1.0 + stream.uniform(place + 3)));
    }
    c.offsets.push_back(origin + static_cast<std::int64_t>(c.log_probs.size()));
    c.advantages.push_back(row % 9 == 4 ? 0.0f : static_cast<float>(1.5 - static_cast<double>((row * 7) % 4)));
  }
  c.batch = maestro::BatchCounts{.tokens = share * static_cast<double>(c.log_probs.size()),
                                 .responses = share * static_cast<double>(lengths.size())};
  return c;
}

template <class T>
struct LossOutcome {
  maestro::LossReport report;
  std::vector<T> d_log_probs, d_entropies;
};

/// A value that no gradient has.
inline constexpr int untouched = -99;

template <class T>
LossOutcome<T> loss_by_cpu(const maestro::ObjectiveOptions& options, const LossCase<T>& c) {
  LossOutcome<T> outcome;
  outcome.d_log_probs.assign(c.log_probs.size(), static_cast<T>(untouched));
  outcome.d_entropies.assign(c.log_probs.size(), static_cast<T>(untouched));
  const std::vector<std::size_t> offsets(c.offsets.begin(), c.offsets.end());
  const maestro::LossInput<T> input{.log_probs = c.log_probs,
                                    .old_log_probs = c.old,
                                    .reference_log_probs = c.reference,
                                    .entropies = c.entropies,
                                    .offsets = offsets,
                                    .advantages = c.advantages,
                                    .batch = c.batch,
                                    .first_row = c.first_row};
  outcome.report = maestro::Objective(options)(input, {outcome.d_log_probs, outcome.d_entropies});
  return outcome;
}

/// Throws what the record holds.
template <class E, class T>
LossOutcome<T> loss_on(E& executor, maestro::gpu::PolicyLoss<E>& loss, maestro::gpu::FaultRecord<E>& faults,
                       const LossCase<T>& c) {
  Memory log_probs(executor, c.log_probs);
  Memory old(executor, c.old);
  Memory reference(executor, c.reference);
  Memory entropies(executor, c.entropies);
  Memory offsets(executor, c.offsets);
  Memory advantages(executor, c.advantages);
  const std::vector<T> nothing(c.log_probs.size(), static_cast<T>(untouched));
  Memory d_log_probs(executor, nothing);
  Memory d_entropies(executor, nothing);
  loss(maestro::gpu::LossBatch<T>{.responses = {.offsets = offsets.data(),
                                                .rows = c.advantages.size(),
                                                .tokens = c.log_probs.size(),
                                                .first_row = c.first_row},
                                  .log_probs = log_probs.data(),
                                  .old_log_probs = old.data(),
                                  .reference_log_probs = reference.data(),
                                  .entropies = entropies.data(),
                                  .advantages = advantages.data(),
                                  .batch = c.batch},
       maestro::gpu::LossGradients<T>{.d_log_probs = d_log_probs.data(), .d_entropies = d_entropies.data()},
       faults.data());
  faults.check(executor);
  return {.report = loss.report(), .d_log_probs = d_log_probs.read(), .d_entropies = d_entropies.read()};
}

template <class E, class T>
LossOutcome<T> loss_on(E& executor, const maestro::ObjectiveOptions& options, const LossCase<T>& c) {
  maestro::gpu::PolicyLoss<E> loss(executor, options);
  maestro::gpu::FaultRecord<E> faults(executor);
  return loss_on(executor, loss, faults, c);
}

/// Every combination of reduction, ratio level, cap and what the KL may be, under the clipped surrogate; the others
/// each with every ratio level that they take.
inline std::vector<maestro::ObjectiveOptions> all_options() {
  using namespace maestro;
  struct Kl {
    double beta;
    KlEstimator estimator;
    KlPlacement placement;
    KlCorrection correction;
  };
  const Kl kls[] = {{0.0, KlEstimator::k3, KlPlacement::loss, KlCorrection::none},
                    {0.3, KlEstimator::k2, KlPlacement::loss, KlCorrection::none},
                    {0.3, KlEstimator::k3, KlPlacement::loss, KlCorrection::none},
                    {0.3, KlEstimator::k1, KlPlacement::loss, KlCorrection::ratio},
                    {0.3, KlEstimator::k2, KlPlacement::loss, KlCorrection::ratio},
                    {0.3, KlEstimator::k3, KlPlacement::loss, KlCorrection::ratio},
                    {0.3, KlEstimator::k1, KlPlacement::reward, KlCorrection::none}};
  std::vector<ObjectiveOptions> all;
  for (const auto reduction : {Reduction::grpo, Reduction::bnpo, Reduction::dapo, Reduction::dr_grpo}) {
    for (const auto level : {RatioLevel::token, RatioLevel::sequence}) {
      for (const Kl& kl : kls) {
        for (const double cap : {0.0, 1.15, 2.0}) {
          ObjectiveOptions options{.reduction = reduction,
                                   .ratio_level = level,
                                   .epsilon_high = 0.28,
                                   .beta = kl.beta,
                                   .kl_estimator = kl.estimator,
                                   .kl_placement = kl.placement,
                                   .kl_correction = kl.correction,
                                   .entropy_bonus = 0.07,
                                   .max_completion_length = 24};
          if (cap > 0.0) options.ratio_cap = cap;
          all.push_back(options);
        }
      }
    }
  }
  for (const double beta : {0.0, 0.3}) {
    all.push_back({.surrogate = Surrogate::cispo, .ratio_cap = 1.15, .beta = beta, .entropy_bonus = 0.07});
    for (const auto level : {RatioLevel::token, RatioLevel::sequence}) {
      all.push_back({.reduction = Reduction::grpo,
                     .surrogate = Surrogate::sapo,
                     .ratio_level = level,
                     .sapo_temperature_neg = 1.5,
                     .beta = beta,
                     .kl_correction = KlCorrection::ratio});
    }
  }
  return all;
}

/// Even, ragged with empty ones, single tokens, nothing at all.
template <class T>
std::vector<LossCase<T>> small_cases() {
  return {random_case<T>({6, 6, 6, 6}), random_case<T>({3, 0, 1, 17, 5, 0}, 7, 2.5), random_case<T>({1, 1, 1}),
          random_case<T>({0, 0}), random_case<T>({})};
}

/// More rows than there are chunks of reports.
template <class T>
LossCase<T> many_rows() {
  std::vector<std::size_t> lengths(150);
  for (std::size_t row = 0; row < lengths.size(); ++row) lengths[row] = (row * 5) % 7;
  return random_case<T>(lengths, 1);
}

inline std::vector<double> fields(const maestro::LossReport& report) {
  std::vector<double> values(sizeof(report) / sizeof(double));
  std::memcpy(values.data(), &report, sizeof(report));
  return values;
}

/// Largest |a - b| relative to b's largest magnitude; infinite where a NaN is among them.
template <class T>
double difference(const std::vector<T>& a, const std::vector<T>& b) {
  double largest = 1e-300;
  double most = a.size() == b.size() ? 0.0 : 1e300;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double distance = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
    most = std::max(most, std::isnan(distance) ? HUGE_VAL : distance);
  }
  return most / largest;
}

template <class Exception, class F>
std::string text_of(const F& f) {
  try {
    f();
  } catch (const Exception& e) {
    return e.what();
  }
  return "nothing thrown";
}

}  // namespace test
