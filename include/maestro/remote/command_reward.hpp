#pragma once

/// @file
/// A reward computed by a command that stays alive.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/hash.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/remote/child_process.hpp"
#include "maestro/remote/exchange.hpp"
#include "maestro/remote/retries.hpp"
#include "maestro/reward/failures.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro {

namespace detail {

/// Adds a failed response to `failures`. Rows must come in ascending order.
inline void add_failure(RewardFailures& failures, std::string_view reward, const Rollouts& rollouts, std::size_t row,
                        const std::string& reason) {
  if (failures.rows.empty()) failures.reason = reward_place(reward, rollouts, row) + ": " + reason;
  failures.rows.push_back(row);
}

}  // namespace detail

/// CommandRewardOptions holds the options of a CommandReward.
struct CommandRewardOptions {
  std::string command{};           ///< for /bin/sh -c
  std::size_t batch_size = 64;     ///< responses in one line
  double timeout_seconds = 120.0;  ///< for the reply to one line, the start of the command included
  RetryOptions retry{};            ///< each retry restarts the command
};

/// CommandReward is a reward that a command computes. The command is started with the first batch and stays alive. It
/// reads one JSON object per line, writes one per line as described in exchange.hpp, and flushes each. Its standard
/// error is that of the process.
///
///     import json, sys
///     for line in sys.stdin:
///         request = json.loads(line)
///         scores = [float("please" in item["completion"]) for item in request["items"]]
///         print(json.dumps({"id": request["id"], "scores": scores}), flush=True)
///
/// If a command ends, stalls, or answers with an invalid reply, it is killed and restarted after a pause, and gets the
/// same batch again. After the last retry, the responses of the batch have failed (see failures()). A failed response
/// has no reward, unless a Fallible around this one says otherwise. Copies share the command. The reward is
/// deterministic if the command is.
class CommandReward {
 public:
  std::string name;

  /// Makes the reward without starting the command.
  /// @throws BadArgument for an empty command, a batch size of 0, a timeout that is not positive, or pauses that are
  ///         negative.
  CommandReward(std::string reward_name, CommandRewardOptions options)
      : name(std::move(reward_name)), options_(std::move(options)), shared_(std::make_shared<Shared>()) {
    require(!options_.command.empty(), "CommandReward: the command is empty");
    require(options_.batch_size > 0, "CommandReward: batch_size must be at least 1");
    require(options_.timeout_seconds > 0.0, "CommandReward: timeout_seconds must be above 0");
    check(options_.retry);
  }

  /// Scores the whole batch by the command.
  /// @throws BadArgument if the responses are float actions.
  void operator()(const Rollouts& rollouts, std::span<float> scores) const {
    require_text(rollouts.actions);
    Shared& s = *shared_;
    s.failures = RewardFailures{};
    s.calls = 0;
    s.restarts = 0;
    std::vector<std::size_t> rows(scores.size());
    std::iota(rows.begin(), rows.end(), std::size_t{0});
    for (std::size_t at = 0; at < rows.size(); at += options_.batch_size) {
      const auto batch = std::span(rows).subspan(at, std::min(options_.batch_size, rows.size() - at));
      const std::vector<RemoteScore> replies = ask(rollouts, batch);
      for (std::size_t i = 0; i < batch.size(); ++i) {
        scores[batch[i]] = replies[i].value.value_or(std::numeric_limits<float>::quiet_NaN());
        if (replies[i].failure.empty()) continue;
        detail::add_failure(s.failures, name, rollouts, batch[i], replies[i].failure);
      }
    }
  }

  /// Gives the failures of the last batch.
  const RewardFailures& failures() const { return shared_->failures; }
  /// Calls f(name, value) for the figures of the last batch: `calls` and `restarts`.
  template <class F>
  void visit_figures(F&& f) const {
    f("calls", static_cast<double>(shared_->calls));
    f("restarts", static_cast<double>(shared_->restarts));
  }

 private:
  struct Shared {
    std::unique_ptr<ChildProcess> process;
    bool started = false;
    std::uint64_t id = 0;
    RewardFailures failures;
    std::uint64_t calls = 0;
    std::uint64_t restarts = 0;
  };

  /// Gives the scores of some responses, or failures if no try gave scores.
  std::vector<RemoteScore> ask(const Rollouts& rollouts, std::span<const std::size_t> rows) const {
    Shared& s = *shared_;
    const std::uint64_t id = ++s.id;
    const std::string request = exchange_request(name, rollouts, rows, id);
    std::string reason;
    for (std::uint32_t tries = 0; tries <= options_.retry.retries; ++tries) {
      if (tries > 0) {
        ++s.failures.retries;
        std::this_thread::sleep_for(
            std::chrono::duration<double>(retry_delay(options_.retry, tries - 1, fnv1a(options_.command))));
      }
      try {
        return parse_scores(call(request), "the command's reply", rows.size(), id);
      } catch (const IoError& error) {
        reason = error.what();
      } catch (const BadFile& error) {
        reason = error.what();
      }
      if (s.process) s.process->end_now();
      s.process.reset();
    }
    return std::vector<RemoteScore>(rows.size(), RemoteScore{.failure = reason});
  }

  /// Gives the command's reply to a request.
  /// @throws IoError as ChildProcess::exchange.
  std::string call(const std::string& request) const {
    Shared& s = *shared_;
    if (!s.process) {
      if (s.started) ++s.restarts;
      s.process = std::make_unique<ChildProcess>(options_.command);
      s.started = true;
    }
    ++s.calls;
    return s.process->exchange(request, options_.timeout_seconds);
  }

  CommandRewardOptions options_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace maestro
