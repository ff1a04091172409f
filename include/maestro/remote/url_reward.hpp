#pragma once

/// @file
/// A reward computed by a server.

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/remote/called_reward.hpp"
#include "maestro/remote/exchange.hpp"
#include "maestro/remote/paid_calls.hpp"
#include "maestro/remote/transport.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro {

/// UrlRewardOptions holds the options of a UrlReward.
struct UrlRewardOptions {
  CallOptions calls{};          ///< a server of rewards counts no tokens, so limits on tokens and cost are refused
  std::size_t batch_size = 32;  ///< responses in one request
};

/// UrlReward is a reward that a server computes. Requests and replies are those of exchange.hpp, without `id`, by POST
/// as application/json; a reply has status 200. Up to CallOptions::concurrency batches are sent at the same time. A
/// request that fails is repeated as CallOptions::retry says. After the last retry, its responses have failed. A failed
/// response has no reward, unless a Fallible around this one says otherwise. The reward is deterministic if the server
/// is.
///
///     UrlReward reward("politeness", {.calls = {.url = "http://127.0.0.1:8080/score"}}, HttpClient());
class UrlReward : public detail::CalledReward {
 public:
  std::string name;

  /// Makes the reward without any call.
  /// @throws BadArgument for a batch size of 0, or for limits on tokens or cost; what the constructor of PaidCalls
  ///         throws.
  UrlReward(std::string reward_name, const UrlRewardOptions& options, HttpTransport transport)
      : CalledReward(std::move(transport), options.calls), name(std::move(reward_name)), batch_(options.batch_size) {
    require(batch_ > 0, "UrlReward: batch_size must be at least 1");
    require(options.calls.tokens_per_minute == 0.0 && options.calls.max_cost == 0.0,
            "UrlReward: a server of rewards counts no tokens, so it can have no limits on tokens or cost");
  }

  /// Scores the whole batch by calls to the server.
  /// @throws BadArgument if the responses are float actions.
  void operator()(const Rollouts& rollouts, std::span<float> scores) const {
    require_text(rollouts.actions);
    std::vector<std::size_t> rows(scores.size());
    std::iota(rows.begin(), rows.end(), std::size_t{0});
    const auto batch = [&](std::size_t b) {
      return std::span(rows).subspan(b * batch_, std::min(batch_, rows.size() - b * batch_));
    };
    std::vector<CallRequest> requests((rows.size() + batch_ - 1) / batch_);
    for (std::size_t b = 0; b < requests.size(); ++b) requests[b].body = exchange_request(name, rollouts, batch(b));
    const auto accept = [&](std::size_t b, const std::string& body) {
      parse_scores(body, place(), batch(b).size());
      return TokenUsage{};
    };
    const std::vector<CallOutcome> outcomes = make(requests, accept);
    for (std::size_t b = 0; b < requests.size(); ++b) {
      const std::vector<RemoteScore> replies =
          outcomes[b].body ? parse_scores(*outcomes[b].body, place(), batch(b).size())
                           : std::vector<RemoteScore>(batch(b).size(), RemoteScore{.failure = outcomes[b].failure});
      for (std::size_t i = 0; i < replies.size(); ++i) keep(name, rollouts, batch(b)[i], replies[i], scores);
    }
  }

 private:
  std::size_t batch_;
};

}  // namespace maestro
