#pragma once

/// @file
/// A wrapper for a reward whose failures need not end a run.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/state.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/reward/failures.hpp"
#include "maestro/reward/requirements.hpp"
#include "maestro/reward/reward.hpp"
#include "maestro/reward/reward_set.hpp"

namespace maestro {

/// FallibleOptions says how often a failing reward is called again, and what happens if all calls fail.
struct FallibleOptions {
  OnError on_error = OnError::missing;
  std::uint32_t retries = 2;        ///< further calls after the first one failed
  double delay_seconds = 0.5;       ///< before the first retry; doubled before each further one
  double max_delay_seconds = 30.0;  ///< the longest such pause
};

/// Fallible is the reward R with failures that are counted and treated as `on_error` says:
///
///     RewardSet rewards{Format{}, Fallible{MyJudge{}, {.on_error = OnError::skip_group}}};
///
/// A failure is an exception, and a value that is infinite or, from the form for one response, NaN. After `retries`
/// further calls the response has no score: it is missing, never 0. BadArgument is a mistake of the caller and passes
/// through. A reward in the batch form fails for all responses at once, unless it says by a hook `failures()` which
/// responses failed (see RewardFailures); those it has tried again itself. Hooks and state are those of R.
/// It may not score two batches at a time.
template <Reward R>
class Fallible {
  using Accepted = typename decltype(detail::accept_reward<R>())::type;  // names an optional member in another form

 public:
  std::string name;

  /// @throws BadArgument for pauses that are negative or not finite.
  explicit Fallible(R reward, const FallibleOptions& options = {})
      : name(std::string_view(reward.name)), reward_(std::move(reward)), options_(options) {
    require(options.delay_seconds >= 0.0 && std::isfinite(options.delay_seconds) && options.max_delay_seconds >= 0.0 &&
                std::isfinite(options.max_delay_seconds),
            "Fallible: the pauses before retries must be finite and at least 0");
    failures_.treatment = options.on_error;
  }

  /// @throws RewardFailed if a response failed and OnError::stop holds; BadArgument of the reward itself.
  void operator()(const Rollouts& rollouts, std::span<float> scores) const {
    failures_.rows.clear();
    failures_.reason.clear();
    failures_.retries = 0;
    if constexpr (BatchReward<R>) {
      score_batch(rollouts, scores);
    } else {
      score_responses(rollouts, scores);
    }
    if (!failures_.rows.empty() && options_.on_error == OnError::stop) throw RewardFailed(failures_.reason);
  }

  /// Gives the failures of the last batch.
  const RewardFailures& failures() const { return failures_; }
  /// Gives the wrapped reward.
  const R& reward() const { return reward_; }

  template <class P>
  void attach(const P& policy) requires requires(R& reward) {
    reward.attach(policy);
  }
  { reward_.attach(policy); }
  template <class P>
  void before_step(P& policy, std::uint32_t step) requires requires(R& reward) {
    reward.before_step(policy, step);
  }
  { reward_.before_step(policy, step); }
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const requires
      requires(const R& reward) {
    reward.check_prompts(prompts, sampling);
  }
  { reward_.check_prompts(prompts, sampling); }
  template <class F>
  void visit_figures(F&& f) const requires requires(const R& reward) {
    reward.visit_figures(f);
  }
  { reward_.visit_figures(f); }
  template <class Visitor>
  void visit_state(Visitor& v) requires Stateful<R> {
    reward_.visit_state(v);
  }

 private:
  /// Calls `action` until it does not throw, at most 1 + retries times. Returns the text of the last failure, empty if
  /// a call succeeded.
  template <class Action>
  std::string attempt(std::uint64_t& retries, Action&& action) const {
    double delay = options_.delay_seconds;
    for (std::uint32_t tries = 0;; ++tries) {
      std::string reason;
      try {
        action();
        return {};
      } catch (const BadData& error) {
        if (is_argument_error(error)) throw;
        reason = error.what();
      }
      if (tries == options_.retries) return reason;
      ++retries;
      std::this_thread::sleep_for(std::chrono::duration<double>(std::min(delay, options_.max_delay_seconds)));
      delay *= 2.0;
    }
  }

  /// Tells whether the exception nested in `error` is a BadArgument.
  static bool is_argument_error(const BadData& error) {
    try {
      std::rethrow_if_nested(error);
    } catch (const BadArgument&) {
      return true;
    } catch (...) {
      return false;
    }
    return false;
  }

  void score_responses(const Rollouts& rollouts, std::span<float> scores) const {
    struct Outcome {
      std::string reason;
      std::uint64_t retries = 0;
    };
    std::vector<Outcome> outcomes(scores.size());
    parallel_for(scores.size(), [&](std::size_t i) {
      scores[i] = std::numeric_limits<float>::quiet_NaN();
      outcomes[i].reason =
          attempt(outcomes[i].retries, [&] { scores[i] = detail::checked_score(reward_, rollouts, i); });
    });
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      failures_.retries += outcomes[i].retries;
      if (outcomes[i].reason.empty()) continue;
      if (failures_.rows.empty()) failures_.reason = outcomes[i].reason;
      failures_.rows.push_back(i);
    }
  }

  void score_batch(const Rollouts& rollouts, std::span<float> scores) const {
    failures_.reason = attempt(failures_.retries, [&] { detail::checked_scores(reward_, rollouts, scores); });
    if (!failures_.reason.empty()) {
      std::fill(scores.begin(), scores.end(), std::numeric_limits<float>::quiet_NaN());
      for (std::size_t i = 0; i < scores.size(); ++i) failures_.rows.push_back(i);
    } else if constexpr (ReportsFailures<R>) {
      const RewardFailures& own = reward_.failures();
      failures_.rows = own.rows;
      failures_.reason = own.reason;
      failures_.retries += own.retries;
    }
  }

  R reward_;
  FallibleOptions options_;
  mutable RewardFailures failures_;
};

}  // namespace maestro
