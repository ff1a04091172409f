#pragma once

/// @file
/// The policy loss of a micro-batch on an executor: its value, and its gradient with respect to per-token log-probs and
/// entropies. This header compiles without nvcc and without the CUDA toolkit.

#include <cmath>
#include <cstddef>
#include <type_traits>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/team.hpp"
#include "maestro/cuda/objective/responses.hpp"
#include "maestro/objective/objective.hpp"
#include "maestro/objective/report.hpp"
#include "maestro/objective/token_loss.hpp"

namespace maestro::gpu {

/// LossBatch is a micro-batch of b responses with t tokens in all, packed, in the executor's memory.
template <class T>
struct LossBatch {
  Responses responses;
  const T* log_probs = nullptr;            ///< (t) of the policy being trained
  const T* old_log_probs = nullptr;        ///< (t) of the policy that generated; null: on-policy, ratio exactly 1
  const T* reference_log_probs = nullptr;  ///< (t); may be null if beta is 0 or the KL sits in the reward
  const T* entropies = nullptr;            ///< (t) nats; may be null if entropy_bonus is 0
  const float* advantages = nullptr;       ///< (b)
  BatchCounts batch;                       ///< of the whole batch over all ranks, by count_batch
};

/// LossGradients points to the results, in the executor's memory. All are overwritten; none may alias the batch.
template <class T>
struct LossGradients {
  T* d_log_probs = nullptr;      ///< (t) d loss / d log_probs
  T* d_entropies = nullptr;      ///< (t) d loss / d entropies; may be null if entropy_bonus is 0
  LossReport* report = nullptr;  ///< (1) the micro-batch's report in the executor's memory; may be null
};

namespace detail {

/// ResponseLoss computes the report and the gradients of one response. The team's members share its tokens.
template <class T>
struct ResponseLoss {
  static constexpr unsigned threads = 128;

  LossBatch<T> in;
  LossGradients<T> out;
  LossRule rule;
  LossSizes sizes;
  LossReport* reports = nullptr;  ///< (b)
  FaultWord* record = nullptr;

  std::size_t shared_bytes() const { return 0; }

  template <Team Members>
  MAESTRO_HD void operator()(const Members& team, std::size_t row) const {
    const TokenRange tokens = tokens_of(in.responses, row);
    const bool first = team.rank() == 0;
    if (first && !tokens.fits) fault(Fault::offsets_do_not_fit, row, 0);
    if (first) finite(in.advantages[row], Fault::advantage_not_finite, row, 0);
    const bool sequence = rule.ratio_level == RatioLevel::sequence;

    LossReport own;  // the sums of this member
    SurrogateTerm of_response;
    double mean_kl = 0.0;
    if (sequence) {
      if (tokens.length > 0) of_response = sequence_surrogate(team, row, tokens);
      if (first) count_ratio(of_response, own);  // TRL counts an empty response's ratio as 1
      if (rule.kl_by_ratio && in.reference_log_probs != nullptr) mean_kl = mean_of_kl(team, row, tokens);
    }
    const auto length = static_cast<double>(tokens.length);
    const double weight = tokens.length > 0 ? token_weight(rule, sizes, length) : 0.0;
    for_each(team, tokens.length, [&](std::size_t i) {
      SurrogateTerm term = of_response;
      if (!sequence) {
        term = surrogate(log_ratio(row, tokens, i), tokens, row, i);
        count_ratio(term, own);
      }
      add(row, tokens, i, term, mean_kl, weight, own);
    });
    if (tokens.length > 0) own = team.reduce(own, Add{});
    if (!first) return;
    own.responses = 1.0;
    if (tokens.length > 0) finish_response(rule, sizes, length, own);
    reports[row] = own;
  }

 private:
  template <Team Members>
  MAESTRO_HD SurrogateTerm sequence_surrogate(const Members& team, std::size_t row, const TokenRange& tokens) const {
    double sum = 0.0;
    for_each(team, tokens.length, [&](std::size_t i) { sum += log_ratio(row, tokens, i); });
    return surrogate(team.reduce(sum, Add{}) / static_cast<double>(tokens.length), tokens, row, 0);
  }

  template <Team Members>
  MAESTRO_HD double mean_of_kl(const Members& team, std::size_t row, const TokenRange& tokens) const {
    double mean = 0.0;
    const auto length = static_cast<double>(tokens.length);
    for_each(team, tokens.length, [&](std::size_t i) { mean += kl(row, tokens, i).value / length; });
    return team.reduce(mean, Add{});
  }

  /// Adds what the i-th token contributes beyond its ratio, and its gradients.
  MAESTRO_HD void add(std::size_t row, const TokenRange& tokens, std::size_t i, const SurrogateTerm& term,
                      double mean_kl, double weight, LossReport& report) const {
    const std::size_t t = tokens.begin + i;
    TokenLoss loss{.value = term.value, .derivative = term.derivative};
    if (in.reference_log_probs != nullptr) add_kl(rule, kl(row, tokens, i), term.ratio, mean_kl, loss, report);
    out.d_log_probs[t] = static_cast<T>(add_token(weight, loss, report));
    if (out.d_entropies != nullptr) out.d_entropies[t] = static_cast<T>(entropy_slope(rule, sizes));
    if (in.entropies != nullptr) count_entropy(finite(in.entropies[t], Fault::entropy_not_finite, row, i), report);
  }

  MAESTRO_HD double log_ratio(std::size_t row, const TokenRange& tokens, std::size_t i) const {
    const std::size_t t = tokens.begin + i;
    const double log_prob = finite(in.log_probs[t], Fault::log_prob_not_finite, row, i);
    if (in.old_log_probs == nullptr) return 0.0;
    return log_prob - finite(in.old_log_probs[t], Fault::old_log_prob_not_finite, row, i);
  }

  MAESTRO_HD KlTerm kl(std::size_t row, const TokenRange& tokens, std::size_t i) const {
    const std::size_t t = tokens.begin + i;
    const double log_prob = finite(in.log_probs[t], Fault::log_prob_not_finite, row, i);
    return kl_term(rule.kl_estimator, log_prob,
                   finite(in.reference_log_probs[t], Fault::reference_log_prob_not_finite, row, i));
  }

  MAESTRO_HD SurrogateTerm surrogate(double log_ratio, const TokenRange& tokens, std::size_t row,
                                     std::size_t token) const {
    const SurrogateTerm term = surrogate_term(rule, log_ratio, static_cast<double>(in.log_probs[tokens.begin + token]),
                                              static_cast<double>(in.advantages[row]));
    finite(term.ratio, Fault::ratio_overflow, row, token);
    return term;
  }

  /// Gives the value, and reports it if it is not finite. The member continues, since all must reach the barriers.
  template <class V>
  MAESTRO_HD double finite(V value, Fault kind, std::size_t row, std::size_t token) const {
    if (!std::isfinite(value)) fault(kind, row, token);
    return static_cast<double>(value);
  }

  MAESTRO_HD void fault(Fault kind, std::size_t row, std::size_t token) const {
    report_fault(record, kind, in.responses.first_row + row, token);
  }
};

/// SumOfReports computes the sum of the rows' reports, in the order of the loop on the host.
struct SumOfReports {
  static constexpr unsigned threads = report_chunks;

  const LossReport* reports = nullptr;  ///< (b)
  std::size_t rows = 0;
  LossReport* report = nullptr;  ///< (1)
  LossReport* copy = nullptr;    ///< (1) or null

  std::size_t shared_bytes() const { return report_chunks * sizeof(LossReport); }

  template <Team Members>
  MAESTRO_HD void operator()(const Members& team, std::size_t) const {
    auto* partial = reinterpret_cast<LossReport*>(team.shared());
    for_each(team, report_chunks, [&](std::size_t chunk) {
      LossReport sum;
      for (std::size_t row = chunk_begin(rows, chunk); row < chunk_begin(rows, chunk + 1); ++row) sum += reports[row];
      partial[chunk] = sum;
    });
    team.sync();
    if (team.rank() != 0) return;
    LossReport total;
    for (std::size_t chunk = 0; chunk < report_chunks; ++chunk) total += partial[chunk];
    *report = total;
    if (copy != nullptr) *copy = total;
  }
};

}  // namespace detail

/// PolicyLoss is maestro::Objective on an executor: it computes the same loss, gradients and report, but has no factors
/// of the surrogate (LossInput::weights) and no masked responses (LossInput::masked). One team works on each response,
/// then one team adds up the reports. Sums are in double, in an order that depends on the team's size
/// alone, so that results are identical from run to run. On HostExecutor the order is that of maestro::Objective. O(t).
///
///     FaultRecord faults(executor);
///     PolicyLoss loss(executor, options);
///     loss(batch, gradients, faults.data());  // only launches
///     faults.check(executor);                 // throws for bad data
///     LossReport report = loss.report();
///
/// Source: as Objective.
template <Executor E>
class PolicyLoss {
 public:
  /// Makes a loss.
  /// @param executor  must outlive the loss.
  /// @throws BadArgument naming an option outside its domain.
  explicit PolicyLoss(E& executor, const ObjectiveOptions& options = {})
      : executor_(&executor), options_(options), rule_(loss_rule(options)) {
    check(options);
    report_.reserve(1);
    executor_->clear(report_.data(), 1);
  }

  /// Makes room for micro-batches of `rows` responses; calls with no more responses then allocate nothing.
  void reserve(std::size_t rows) { reports_.reserve(rows); }

  /// Launches the loss of a micro-batch. T is float or double.
  /// @param record  in the executor's memory, as FaultRecord::data(). It gets row and token of a log-prob, entropy or
  ///   advantage that is not finite or of a ratio that overflows, or the row whose offsets do not fit. If it holds a
  ///   fault, gradients and report are undefined.
  /// @throws BadArgument if sizes do not fit each other, or a pointer that is needed is null.
  template <class T>
  void operator()(const LossBatch<T>& in, const LossGradients<T>& out, FaultWord* record) {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "maestro: log-probs are float or double");
    const std::size_t rows = in.responses.rows;
    const LossSizes sizes{
        .responses = static_cast<double>(rows), .tokens = static_cast<double>(in.responses.tokens), .batch = in.batch};
    check_pointers(in, out, record);
    check_needs(rule_, sizes, in.reference_log_probs != nullptr, in.entropies != nullptr && out.d_entropies != nullptr);
    reserve(rows);
    executor_->launch(
        rows, detail::ResponseLoss<T>{
                  .in = in, .out = out, .rule = rule_, .sizes = sizes, .reports = reports_.data(), .record = record});
    executor_->launch(1, detail::SumOfReports{
                             .reports = reports_.data(), .rows = rows, .report = report_.data(), .copy = out.report});
  }

  /// Gives the report of the last micro-batch, all zeros before the first. It waits for the launches so far.
  LossReport report() const {
    LossReport report;
    executor_->download(report_.data(), &report, 1);
    executor_->wait();
    return report;
  }

  const ObjectiveOptions& options() const { return options_; }

 private:
  template <class T>
  static void check_pointers(const LossBatch<T>& in, const LossGradients<T>& out, const FaultWord* record) {
    const Responses& responses = in.responses;
    require(record != nullptr, "objective: the fault record is null");
    require(responses.rows > 0 || responses.tokens == 0, "objective: offsets and log_probs do not fit");
    require(responses.rows == 0 || responses.offsets != nullptr, "objective: offsets is null");
    require(responses.rows == 0 || in.advantages != nullptr, "objective: advantages is null");
    require(responses.tokens == 0 || in.log_probs != nullptr, "objective: log_probs is null");
    require(responses.tokens == 0 || out.d_log_probs != nullptr, "objective: d_log_probs is null");
  }

  E* executor_;
  ObjectiveOptions options_;
  LossRule rule_;
  typename E::template Buffer<LossReport> reports_;  // of the rows
  typename E::template Buffer<LossReport> report_;   // of the micro-batch
};

}  // namespace maestro::gpu
