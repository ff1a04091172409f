#pragma once

/// @file
/// The common part of rewards over HTTP: their calls, failures, figures and state.

#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/data/rollouts.hpp"
#include "maestro/remote/command_reward.hpp"
#include "maestro/remote/exchange.hpp"
#include "maestro/remote/paid_calls.hpp"
#include "maestro/reward/failures.hpp"

namespace maestro::detail {

/// CalledReward is the base of a reward that makes calls. Copies share the calls.
class CalledReward {
 public:
  /// Gives the failures of the last batch.
  const RewardFailures& failures() const { return shared_->failures; }

  /// Calls f(name, value) for the metrics: calls of the last batch, responses answered without a call, tokens and their
  /// cost; and all calls and costs since the beginning.
  template <class F>
  void visit_figures(F&& f) const {
    const CallFigures& figures = shared_->calls.figures();
    const CallTotals& totals = shared_->calls.totals();
    f("calls", static_cast<double>(figures.made.calls));
    f("cached", static_cast<double>(figures.cached));
    f("prompt_tokens", static_cast<double>(figures.made.usage.prompt_tokens));
    f("completion_tokens", static_cast<double>(figures.made.usage.completion_tokens));
    f("cost", figures.made.cost);
    f("calls_total", static_cast<double>(totals.calls));
    f("cost_total", totals.cost);
  }

  /// Visits the sums that count against the budget, for checkpoints.
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("calls", shared_->calls);
  }

 protected:
  CalledReward(HttpTransport transport, const CallOptions& options)
      : shared_(std::make_shared<Shared>(std::move(transport), options)) {}

  const std::string& place() const { return shared_->calls.place(); }

  /// Makes the calls of a batch.
  std::vector<CallOutcome> make(std::span<const CallRequest> requests, const PaidCalls::Accept& accept) const {
    std::vector<CallOutcome> outcomes = shared_->calls(requests, accept);
    shared_->failures = RewardFailures{};
    shared_->failures.retries = shared_->calls.figures().retries;
    return outcomes;
  }

  /// Writes the score of one response, and its failure. Rows must come in ascending order.
  void keep(std::string_view reward, const Rollouts& rollouts, std::size_t row, const RemoteScore& score,
            std::span<float> scores) const {
    scores[row] = score.value.value_or(std::numeric_limits<float>::quiet_NaN());
    if (!score.failure.empty()) add_failure(shared_->failures, reward, rollouts, row, score.failure);
  }

 private:
  struct Shared {
    Shared(HttpTransport transport, const CallOptions& options) : calls(std::move(transport), options) {}
    PaidCalls calls;
    RewardFailures failures;
  };

  std::shared_ptr<Shared> shared_;
};

}  // namespace maestro::detail
