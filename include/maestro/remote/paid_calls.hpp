#pragma once

/// @file
/// Calls that cost time and money. Many run at once, within limits; they are retried, and none is paid twice.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/hash.hpp"
#include "maestro/io/json.hpp"
#include "maestro/remote/call_ledger.hpp"
#include "maestro/remote/rate_limit.hpp"
#include "maestro/remote/retries.hpp"
#include "maestro/remote/transport.hpp"

namespace maestro {

/// KeepAnswers says whether an answer also serves later requests that are equal.
enum class KeepAnswers : std::uint8_t {
  yes,
  no,  ///< every request is called, for answers that are drawn anew each time; there is no cache
};

/// CallOptions holds where calls go, their limits of number, rate and cost, and how they are retried.
struct CallOptions {
  std::string url{};
  std::string key_variable{};      ///< environment variable that holds the API key; empty if no key is sent
  std::size_t concurrency = 8;     ///< calls in flight, at most
  double timeout_seconds = 120.0;  ///< for one call
  RetryOptions retry{};
  double max_retry_after = 300.0;    ///< seconds; a longer Retry-After of the server is a failure
  double requests_per_minute = 0.0;  ///< no limit if 0
  double tokens_per_minute = 0.0;    ///< prompt and completion tokens together; no limit if 0
  std::uint64_t max_calls = 0;       ///< in total, retries included; no limit if 0
  double max_cost = 0.0;             ///< in total; no limit if 0
  double prompt_price = 0.0;         ///< per million tokens
  double completion_price = 0.0;     ///< per million tokens
  std::string cache{};               ///< file of a CallLedger; empty to keep answers only in memory
  KeepAnswers keep_answers = KeepAnswers::yes;
  std::size_t max_bytes = std::size_t{1} << 24;  ///< of one answer; a longer one is a failure
};

/// Refuses options outside their domains.
/// @throws BadArgument naming the option.
inline void check(const CallOptions& o) {
  parse_url(o.url);
  check(o.retry);
  require(o.concurrency > 0, "calls: concurrency must be at least 1");
  require(o.timeout_seconds > 0.0, "calls: timeout_seconds must be above 0");
  for (const double value : {o.max_retry_after, o.requests_per_minute, o.tokens_per_minute, o.max_cost, o.prompt_price,
                             o.completion_price}) {
    require(value >= 0.0 && std::isfinite(value), "calls: limits and prices must be finite and at least 0");
  }
  require(o.max_cost == 0.0 || o.prompt_price > 0.0 || o.completion_price > 0.0,
          "calls: max_cost needs prompt_price or completion_price, else every call costs nothing");
  require(o.cache.empty() || o.keep_answers == KeepAnswers::yes,
          "calls: a cache keeps answers; leave it out with KeepAnswers::no");
}

/// CallRequest is one call to make.
struct CallRequest {
  std::string body;
  std::uint64_t max_prompt_tokens = 0;      ///< upper bound for rate limits and the budget; 0 if not counted
  std::uint64_t max_completion_tokens = 0;  ///< likewise
};

/// CallOutcome is the result of a CallRequest.
struct CallOutcome {
  std::optional<std::string> body{};  ///< of an accepted answer
  std::string failure{};              ///< the reason why there is none
};

/// CallFigures holds what the last calls used.
struct CallFigures {
  CallTotals made{};         ///< by these calls
  std::uint64_t cached = 0;  ///< requests answered without a call of their own
  std::uint64_t retries = 0;
};

/// PaidCalls makes calls by a transport, as CallOptions says. Equal requests are called once, and a cached answer is
/// not called again. The budget refuses a call that could exceed it, if every call in flight costs the most that it
/// may; the costs of earlier runs in the same cache file count too. worth_a_retry says which failures are retried, and
/// a server's Retry-After delays all calls. With KeepAnswers::no only the costs are recorded. The API key appears only
/// in the header of the request; it is removed from the server's messages.
class PaidCalls {
 public:
  /// Gives the tokens of an answer. It throws BadFile for a body that is not an answer, and the call has then failed.
  using Accept = std::function<TokenUsage(std::size_t request, const std::string& body)>;

  /// Prepares the calls without making any.
  /// @param stop  cancels calls in progress, pauses, and all later calls, which then fail.
  /// @throws BadArgument for options outside their domains, a key variable that is not set, or a cache in use; what
  ///         CallLedger throws.
  PaidCalls(HttpTransport transport, CallOptions options, std::stop_token stop = {})
      : transport_(std::move(transport)),
        stop_(std::move(stop)),
        options_((check(options), std::move(options))),
        place_("POST " + options_.url.substr(0, options_.url.find('?'))),
        key_(key_of(options_)),
        ledger_(options_.cache),
        requests_(options_.requests_per_minute),
        tokens_(options_.tokens_per_minute) {}
  PaidCalls(const PaidCalls&) = delete;
  PaidCalls& operator=(const PaidCalls&) = delete;

  /// Makes the calls, and gives one outcome for each, in order. A failed call does not throw.
  std::vector<CallOutcome> operator()(std::span<const CallRequest> requests, const Accept& accept) {
    const CallTotals before = ledger_.totals();
    figures_ = CallFigures{};
    std::vector<std::string> keys(requests.size());
    std::unordered_map<std::string_view, std::size_t> first;
    std::vector<std::size_t> to_make;
    std::vector<CallOutcome> outcomes(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      keys[i] = request_key(options_.url, requests[i].body);
      if (options_.keep_answers == KeepAnswers::no) {
        to_make.push_back(i);
      } else if (const std::string* answer = ledger_.find(keys[i]);
                 answer != nullptr && acceptable(i, *answer, accept)) {
        outcomes[i].body = *answer;
        ++figures_.cached;
      } else if (first.emplace(keys[i], i).second) {
        to_make.push_back(i);
      }
    }
    make(requests, keys, to_make, accept, outcomes);
    for (std::size_t i = 0; i < requests.size(); ++i) {
      if (outcomes[i].body || !outcomes[i].failure.empty()) continue;
      outcomes[i] = outcomes[first.at(keys[i])];
      if (outcomes[i].body) ++figures_.cached;
    }
    const CallTotals& after = ledger_.totals();
    figures_.made = {after.calls - before.calls,
                     {after.usage.prompt_tokens - before.usage.prompt_tokens,
                      after.usage.completion_tokens - before.usage.completion_tokens},
                     after.cost - before.cost};
    return outcomes;
  }

  /// Gives the figures of the last calls.
  const CallFigures& figures() const { return figures_; }
  /// Gives the sums since the beginning, which is that of the cache file if there is one.
  const CallTotals& totals() const { return ledger_.totals(); }
  /// Gives the address without its query, which may be secret, for messages.
  const std::string& place() const { return place_; }

  /// Visits the sums that count against the budget; see core/state.hpp. Loading never lowers those of the cache.
  template <class Visitor>
  void visit_state(Visitor& v) {
    const std::lock_guard lock(mutex_);
    CallTotals totals = ledger_.totals();
    v("calls", totals.calls);
    v("prompt_tokens", totals.usage.prompt_tokens);
    v("completion_tokens", totals.usage.completion_tokens);
    v("cost", totals.cost);
    ledger_.raise(totals);
  }

 private:
  using Clock = std::chrono::steady_clock;

  static std::string key_of(const CallOptions& options) {
    if (options.key_variable.empty()) return {};
    const char* key = std::getenv(options.key_variable.c_str());
    if (key == nullptr || *key == '\0') {
      throw BadArgument("the environment variable " + options.key_variable +
                        ", which should hold the API key, is not set");
    }
    if (std::string_view(key).find_first_of("\r\n") != std::string_view::npos) {
      throw BadArgument("the API key in " + options.key_variable + " has a line break in it");
    }
    return key;
  }

  static bool acceptable(std::size_t request, const std::string& body, const Accept& accept) {
    try {
      accept(request, body);
      return true;
    } catch (const BadFile&) {
      return false;
    }
  }

  double now() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  double cost_of(const TokenUsage& usage) const {
    return (static_cast<double>(usage.prompt_tokens) * options_.prompt_price +
            static_cast<double>(usage.completion_tokens) * options_.completion_price) *
           1e-6;
  }
  static TokenUsage max_usage(const CallRequest& request) {
    return {request.max_prompt_tokens, request.max_completion_tokens};
  }

  /// Makes the calls that are neither cached nor repeated, by as many threads as may be in flight.
  void make(std::span<const CallRequest> requests, const std::vector<std::string>& keys,
            const std::vector<std::size_t>& to_make, const Accept& accept, std::vector<CallOutcome>& outcomes) {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t at = next++; at < to_make.size(); at = next++) {
        const std::size_t i = to_make[at];
        try {
          outcomes[i] = call(requests[i], keys[i], [&](const std::string& body) { return accept(i, body); });
        } catch (const std::exception& error) {
          outcomes[i] = {.failure = error.what()};
        }
      }
    };
    std::vector<std::thread> threads;
    for (std::size_t t = 1; t < std::min(options_.concurrency, to_make.size()); ++t) threads.emplace_back(work);
    work();
    for (std::thread& thread : threads) thread.join();
  }

  /// Makes one call until it is answered or may not be retried.
  template <class AcceptBody>
  CallOutcome call(const CallRequest& request, const std::string& key, const AcceptBody& accept) {
    const HttpRequest post = http_request(request, key);
    const std::uint64_t jitter = fnv1a(key);
    for (std::uint32_t tries = 0;; ++tries) {
      if (stop_.stop_requested()) return {.failure = place_ + ": not called, the run ends"};
      if (std::string refusal = admit(request, key); !refusal.empty()) return {.failure = refusal};
      const HttpReply reply = carried(post);
      std::string failure = settle(request, key, reply, accept);
      if (failure.empty()) return {.body = reply.body};
      const bool again = (reply.status == 200 || worth_a_retry(reply.status)) && tries < options_.retry.retries;
      if (!again) return {.failure = std::move(failure)};
      double pause = retry_delay(options_.retry, tries, jitter);
      const auto asked = retry_after_seconds(reply.retry_after, static_cast<std::int64_t>(std::time(nullptr)));
      if (asked && *asked > options_.max_retry_after) {
        return {.failure = failure + "; it asks to wait longer than the " +
                           std::to_string(static_cast<long long>(options_.max_retry_after)) + " s allowed"};
      }
      if (asked) {
        pause = std::max(pause, *asked);
        const std::lock_guard lock(mutex_);
        quiet_until_ = std::max(quiet_until_, now() + *asked);
      }
      {
        const std::lock_guard lock(mutex_);
        ++figures_.retries;
      }
      sleep(pause);
    }
  }

  void sleep(double seconds) const {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any never;
    never.wait_for(lock, stop_, std::chrono::duration<double>(seconds), [] { return false; });
  }

  HttpRequest http_request(const CallRequest& request, const std::string& key) const {
    HttpRequest post{.url = options_.url,
                     .body = request.body,
                     .timeout_seconds = options_.timeout_seconds,
                     .max_bytes = options_.max_bytes,
                     .stop = stop_};
    // A server that knows this header charges a repeated request once.
    if (options_.keep_answers == KeepAnswers::yes) post.headers.emplace_back("Idempotency-Key", key);
    if (!key_.empty()) post.headers.emplace_back("Authorization", "Bearer " + key_);
    return post;
  }

  HttpReply carried(const HttpRequest& post) const {
    try {
      return transport_(post);
    } catch (const std::exception& error) {
      return {.error = error.what()};
    }
  }

  /// Waits until the limits allow the call, and records it. It gives the reason if the budget refuses the call.
  std::string admit(const CallRequest& request, const std::string& key) {
    const TokenUsage most = max_usage(request);
    const auto tokens = static_cast<double>(most.prompt_tokens + most.completion_tokens);
    while (true) {
      double wait = 0.0;
      {
        const std::lock_guard lock(mutex_);
        const double time = now();
        if (std::string refusal = over_budget(most); !refusal.empty()) return refusal;
        wait = std::max({quiet_until_ - time, requests_.wait(time, 1.0), tokens_.wait(time, tokens)});
        if (wait <= 0.0) {
          ledger_.add_call(key);
          requests_.use(time, 1.0);
          tokens_.use(time, tokens);
          reserved_ += cost_of(most);
          return {};
        }
      }
      if (stop_.stop_requested()) return place_ + ": not called, the run ends";
      sleep(std::min(wait, 1.0));
    }
  }

  std::string over_budget(const TokenUsage& most) const {
    const CallTotals& t = ledger_.totals();
    if (options_.max_calls > 0 && t.calls >= options_.max_calls) {
      return place_ + ": not called, the budget of " + std::to_string(options_.max_calls) + " calls is used up";
    }
    if (options_.max_cost > 0.0 && t.cost + reserved_ + cost_of(most) > options_.max_cost) {
      return place_ + ": not called, the budget of cost " + std::to_string(options_.max_cost) + " could be exceeded";
    }
    return {};
  }

  /// Records the cost of a reply. It gives the reason if the reply is not an answer.
  template <class AcceptBody>
  std::string settle(const CallRequest& request, const std::string& key, const HttpReply& reply,
                     const AcceptBody& accept) {
    std::optional<TokenUsage> usage;
    std::string failure;
    if (reply.status == 0) {
      failure = place_ + ": " + without_key(reply.error);
    } else if (reply.status != 200) {
      failure =
          place_ + ": status " + std::to_string(reply.status) + ": " + detail::quote_text(without_key(reply.body), 160);
    } else {
      try {
        usage = accept(reply.body);
      } catch (const BadFile& error) {
        failure = without_key(error.what());
      }
    }
    const std::lock_guard lock(mutex_);
    reserved_ -= cost_of(max_usage(request));
    if (usage && options_.keep_answers == KeepAnswers::yes) {
      ledger_.add_answer(key, reply.body, *usage, cost_of(*usage));
    } else if (usage) {
      ledger_.add_usage(*usage, cost_of(*usage));
    }
    return failure;
  }

  std::string without_key(std::string text) const {
    if (key_.empty()) return text;
    for (std::size_t at = text.find(key_); at != std::string::npos; at = text.find(key_, at)) {
      text.replace(at, key_.size(), "(the key)");
    }
    return text;
  }

  HttpTransport transport_;
  std::stop_token stop_;
  CallOptions options_;
  std::string place_;
  std::string key_;
  const Clock::time_point start_ = Clock::now();
  std::mutex mutex_;  // guards what follows while calls are made
  CallLedger ledger_;
  RateLimit requests_;
  RateLimit tokens_;
  double reserved_ = 0.0;     // the most that the calls in flight may cost
  double quiet_until_ = 0.0;  // no call before that time
  CallFigures figures_;
};

}  // namespace maestro
