#pragma once

/// @file
/// The KL penalty in the reward, computed on an executor. This header compiles without nvcc and without the CUDA
/// toolkit.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/team.hpp"
#include "maestro/cuda/objective/responses.hpp"
#include "maestro/objective/objective.hpp"
#include "maestro/objective/surrogates.hpp"

namespace maestro::gpu {

namespace detail {

/// ResponseKlPenalty computes the penalty of one response, and the number of its tokens whose KL was clamped.
template <class T>
struct ResponseKlPenalty {
  static constexpr unsigned threads = 128;

  Responses responses;
  const T* log_probs = nullptr;
  const T* reference_log_probs = nullptr;
  double beta = 0.0;
  KlEstimator estimator = KlEstimator::k3;
  float* penalty = nullptr;
  std::uint64_t* clamped = nullptr;  ///< (b)
  FaultWord* record = nullptr;

  std::size_t shared_bytes() const { return 0; }

  template <Team Members>
  MAESTRO_HD void operator()(const Members& team, std::size_t row) const {
    const TokenRange tokens = tokens_of(responses, row);
    if (!tokens.fits && team.rank() == 0) {
      report_fault(record, Fault::offsets_do_not_fit, responses.first_row + row);
    }
    double sum = 0.0;
    std::uint64_t count = 0;
    for_each(team, tokens.length, [&](std::size_t i) {
      const auto log_prob = static_cast<double>(log_probs[tokens.begin + i]);
      const auto log_reference = static_cast<double>(reference_log_probs[tokens.begin + i]);
      if (!std::isfinite(log_prob) || !std::isfinite(log_reference)) {
        report_fault(record, Fault::kl_log_prob_not_finite, responses.first_row + row, i);
      }
      const KlTerm term = kl_term(estimator, log_prob, log_reference);
      sum += term.value;
      if (term.clamped) ++count;
    });
    sum = team.reduce(sum, Add{});
    count = team.reduce(count, Add{});
    if (team.rank() != 0) return;
    penalty[row] = static_cast<float>(beta * sum);
    clamped[row] = count;
  }
};

/// SumOfCounts computes the sum of the rows' counts. It is a body for one team.
struct SumOfCounts {
  static constexpr unsigned threads = 128;

  const std::uint64_t* counts = nullptr;
  std::size_t rows = 0;
  std::uint64_t* total = nullptr;

  std::size_t shared_bytes() const { return 0; }

  template <Team Members>
  MAESTRO_HD void operator()(const Members& team, std::size_t) const {
    std::uint64_t sum = 0;
    for_each(team, rows, [&](std::size_t row) { sum += counts[row]; });
    sum = team.reduce(sum, Add{});
    if (team.rank() == 0) *total = sum;
  }
};

}  // namespace detail

/// KlPenalty is maestro::kl_penalty on an executor: penalty_i = beta sum_t k(d_t), in nats times beta. One team works
/// on each response. Sums are in double, in an order that depends on the team's size alone, so that results are
/// identical from run to run. On HostExecutor the order is that of maestro::kl_penalty. O(t).
template <Executor E>
class KlPenalty {
 public:
  /// Makes a penalty.
  /// @param executor  must outlive this object.
  /// @throws BadArgument if beta is negative or not finite.
  explicit KlPenalty(E& executor, double beta, KlEstimator estimator = KlEstimator::k3)
      : executor_(&executor), beta_(beta), estimator_(estimator) {
    require(std::isfinite(beta) && beta >= 0.0, "kl penalty: beta must be finite and at least 0");
    total_.reserve(1);
    executor_->clear(total_.data(), 1);
  }

  /// Makes room for `rows` responses; calls with no more responses then allocate nothing.
  void reserve(std::size_t rows) { counts_.reserve(rows); }

  /// Launches the penalties of b responses. All arrays lie in the executor's memory; T is float or double.
  /// @param log_probs            (t) of the policy that generated, packed.
  /// @param reference_log_probs  (t) of the reference, packed.
  /// @param penalty              (b) overwritten; 0 for an empty response.
  /// @param record               as FaultRecord::data(). It gets row and token of a log-prob that is not finite, or the
  ///   row whose offsets do not fit. If it holds a fault, the penalties are undefined.
  /// @throws BadArgument if a pointer that is needed is null.
  template <class T>
  void operator()(const Responses& responses, const T* log_probs, const T* reference_log_probs, float* penalty,
                  FaultWord* record) {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "maestro: log-probs are float or double");
    require(record != nullptr, "kl penalty: the fault record is null");
    require((responses.rows > 0 || responses.tokens == 0) &&
                (responses.tokens == 0 || (log_probs != nullptr && reference_log_probs != nullptr)),
            "kl penalty: offsets, log_probs and reference_log_probs do not fit");
    require(responses.rows == 0 || (responses.offsets != nullptr && penalty != nullptr),
            "kl penalty: offsets or penalty is null");
    reserve(responses.rows);
    executor_->launch(responses.rows, detail::ResponseKlPenalty<T>{.responses = responses,
                                                                   .log_probs = log_probs,
                                                                   .reference_log_probs = reference_log_probs,
                                                                   .beta = beta_,
                                                                   .estimator = estimator_,
                                                                   .penalty = penalty,
                                                                   .clamped = counts_.data(),
                                                                   .record = record});
    executor_->launch(1, detail::SumOfCounts{.counts = counts_.data(), .rows = responses.rows, .total = total_.data()});
  }

  /// Gives the number of tokens of the last call whose |d_t| was above 20 nats and was clamped. It waits for the
  /// launches so far.
  std::size_t clamped() const {
    std::uint64_t count = 0;
    executor_->download(total_.data(), &count, 1);
    executor_->wait();
    return static_cast<std::size_t>(count);
  }

 private:
  E* executor_;
  double beta_;
  KlEstimator estimator_;
  typename E::template Buffer<std::uint64_t> counts_;  // of the rows
  typename E::template Buffer<std::uint64_t> total_;
};

}  // namespace maestro::gpu
