#pragma once

/// @file
/// A server that draws responses: its calls, its weights, and its counts.

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/remote/paid_calls.hpp"
#include "maestro/remote/transport.hpp"
#include "maestro/rollout/answer.hpp"
#include "maestro/rollout/options.hpp"
#include "maestro/rollout/sglang.hpp"
#include "maestro/rollout/vllm.hpp"

namespace maestro {

/// WeightForm says in which form the server receives weights after each update.
enum class WeightForm : std::uint8_t {
  whole,     ///< a model folder, for SGLang only
  adapters,  ///< a folder of LoRA adapters in PEFT's layout, for a base that the server has
};

/// RolloutServerOptions holds where the server is and how it is called.
struct RolloutServerOptions {
  /// `url` is the server's root, such as http://127.0.0.1:30000. Answers are never stored, and keep_answers is not
  /// used.
  CallOptions calls{.timeout_seconds = 600.0, .max_bytes = std::size_t{1} << 28};
  RolloutDialect dialect = RolloutDialect::sglang;
  WeightForm weights = WeightForm::whole;
  std::string model{};  ///< vLLM's name of the base (--served-model-name); not used for SGLang
};

/// RolloutCounts holds sums since the server was first called. If no call is in progress, requested = received +
/// missing.
struct RolloutCounts {
  std::uint64_t requested = 0;                                    ///< responses
  std::uint64_t received = 0;                                     ///< responses of accepted answers
  std::uint64_t missing = 0;                                      ///< responses of groups that no call gave
  std::uint64_t retries = 0;                                      ///< repeated calls
  std::uint64_t failed_calls = 0;                                 ///< calls without a complete answer of status 200
  std::array<std::uint64_t, answer_fault_names.size()> faults{};  ///< refused answers, by AnswerFault
  std::uint64_t published = 0;                                    ///< times that the server took new weights
};

/// GroupOutcome is the result of a GroupRequest.
struct GroupOutcome {
  std::optional<DrawnGroup> group{};
  std::uint32_t version = 0;  ///< number of the weights that drew the group, in order of publication
  std::string failure{};      ///< why there is no group
};

namespace detail {

/// CallGate lets calls pass while it is open. Closing it waits until no call is inside.
class CallGate {
 public:
  class Pass {
   public:
    explicit Pass(CallGate& gate) : gate_(gate) {
      std::unique_lock lock(gate_.mutex_);
      gate_.changed_.wait(lock, [&] { return !gate_.closed_; });
      ++gate_.inside_;
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    ~Pass() {
      const std::lock_guard lock(gate_.mutex_);
      --gate_.inside_;
      gate_.changed_.notify_all();
    }

   private:
    CallGate& gate_;
  };
  /// Closed keeps the gate closed during its lifetime.
  class Closed {
   public:
    explicit Closed(CallGate& gate) : gate_(gate) {
      std::unique_lock lock(gate_.mutex_);
      gate_.closed_ = true;
      gate_.changed_.wait(lock, [&] { return gate_.inside_ == 0; });
    }
    Closed(const Closed&) = delete;
    Closed& operator=(const Closed&) = delete;
    ~Closed() {
      const std::lock_guard lock(gate_.mutex_);
      gate_.closed_ = false;
      gate_.changed_.notify_all();
    }

   private:
    CallGate& gate_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  std::size_t inside_ = 0;
};

}  // namespace detail

/// RolloutServer draws groups of responses by a server and publishes weights to it. Calls are limited, timed and
/// retried as CallOptions says. A refused answer counts by its fault (AnswerFault) and is requested again. Whole
/// weights change only while no call is in progress, so that no response is drawn by two versions. Several threads may
/// call the members; batches wait for each other.
class RolloutServer {
 public:
  /// Prepares the calls without making any.
  /// @throws BadArgument for options outside their domains, or for a key variable that is not set; Unsupported for
  ///         whole weights with vLLM.
  RolloutServer(HttpTransport transport, const RolloutServerOptions& options)
      : transport_(std::move(transport)),
        options_(checked(options)),
        generate_([this](const HttpRequest& request) { return carry(request); }, calls_to(path_of_generate()),
                  stop_.get_token()) {}
  RolloutServer(const RolloutServer&) = delete;
  RolloutServer& operator=(const RolloutServer&) = delete;

  const RolloutServerOptions& options() const { return options_; }
  /// Gives the number of the server's weights. 0 means those with which it was started.
  std::uint32_t version() const {
    const std::lock_guard lock(mutex_);
    return version_;
  }
  RolloutCounts counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

  /// Refuses sampling options for which the server's answers could not be used.
  /// @throws Unsupported naming the option; BadArgument for an option outside its domain.
  void check_sampling(const Sampling& sampling) const {
    check_served(sampling);
    if (options_.dialect == RolloutDialect::vllm) vllm::check_sampling(sampling);
  }

  /// Draws groups, with the weights that the server has when each call is made. It gives one outcome for each request,
  /// in order. A group that no call gave has a failure instead.
  std::vector<GroupOutcome> generate(std::vector<GroupRequest> requests) {
    const std::lock_guard batch(batch_mutex_);
    const std::uint32_t first = begin(requests);
    std::vector<CallRequest> calls;
    for (const GroupRequest& request : requests) calls.push_back({.body = body_of(request)});
    std::vector<GroupOutcome> outcomes(requests.size());
    const std::vector<CallOutcome> made = generate_(calls, [&](std::size_t i, const std::string& body) {
      outcomes[i] = read(requests[i], first, body);
      return TokenUsage{};
    });
    for (std::size_t i = 0; i < made.size(); ++i) {
      if (!made[i].body) outcomes[i] = {.failure = made[i].failure};
    }
    end(requests, outcomes);
    return outcomes;
  }

  /// Makes the server load the weights in a folder, and waits for it.
  /// @param folder   the path on the server.
  /// @param version  a name that no other weights of this server have.
  /// @throws IoError with the server's message if it does not load them.
  void load(const std::string& folder, const std::string& version) {
    if (options_.weights == WeightForm::whole) {
      const detail::CallGate::Closed closed(gate_);
      post(sglang::update_path, sglang::update_body(folder, version), "the weights were not taken");
      adopt(version);
      return;
    }
    const bool sglang = options_.dialect == RolloutDialect::sglang;
    const Json body{{"lora_name", version}, {"lora_path", folder}};
    post(sglang ? sglang::load_adapter_path : vllm::load_adapter_path, dump_json(body), "the adapters were not taken");
    adopt(version);
    for (const std::string& old : unused_adapters()) {
      try {
        post(sglang ? sglang::unload_adapter_path : vllm::unload_adapter_path, dump_json(Json{{"lora_name", old}}),
             "old adapters were not unloaded");
      } catch (const IoError&) {
        // A server that was started again does not have them; the new ones are there.
      }
    }
  }

  /// Cancels the calls in progress and starts no more. Pending batches soon end with failures, and their responses
  /// count as missing. This cannot be undone.
  void stop() { stop_.request_stop(); }

 private:
  static RolloutServerOptions checked(RolloutServerOptions options) {
    while (options.calls.url.ends_with('/')) options.calls.url.pop_back();
    check(options.calls);
    require(parse_url(options.calls.url).path == "/", "rollout server: the URL is the server's root: http://host:port");
    if (options.dialect == RolloutDialect::sglang) return options;
    require(!options.model.empty(), "rollout server: vLLM needs the model's name, as GET /v1/models lists it");
    if (options.weights == WeightForm::whole) {
      throw Unsupported(
          "rollout server: vLLM takes whole weights by NCCL alone, which is not supported; train adapters, or use "
          "SGLang");
    }
    return options;
  }

  std::string_view path_of_generate() const {
    return options_.dialect == RolloutDialect::sglang ? sglang::generate_path : vllm::generate_path;
  }
  CallOptions calls_to(std::string_view path) const {
    CallOptions calls = options_.calls;
    calls.url += path;
    calls.keep_answers = KeepAnswers::no;
    return calls;
  }

  /// Chooses the adapters of a batch, and gives the number of the oldest weights that may draw it.
  std::uint32_t begin(std::vector<GroupRequest>& requests) {
    const std::lock_guard lock(mutex_);
    for (GroupRequest& request : requests) {
      request.model = options_.model;
      request.adapter = options_.weights == WeightForm::adapters ? current_ : std::string();
      counts_.requested += request.sampling.num_generations;
      if (!request.adapter.empty()) ++users_[current_];
    }
    return version_;
  }
  void end(const std::vector<GroupRequest>& requests, const std::vector<GroupOutcome>& outcomes) {
    const std::lock_guard lock(mutex_);
    counts_.retries += generate_.figures().retries;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      (outcomes[i].group ? counts_.received : counts_.missing) += requests[i].sampling.num_generations;
      if (!requests[i].adapter.empty()) --users_[requests[i].adapter];
    }
  }

  std::string body_of(const GroupRequest& request) const {
    return options_.dialect == RolloutDialect::sglang ? sglang::generate_body(request) : vllm::generate_body(request);
  }

  /// Reads an answer. If it is refused, its fault is counted.
  GroupOutcome read(const GroupRequest& request, std::uint32_t first, const std::string& body) {
    const auto count = [this](AnswerFault fault) {
      const std::lock_guard lock(mutex_);
      ++counts_.faults[static_cast<std::size_t>(fault)];
    };
    try {
      const std::string& place = generate_.place();
      GroupOutcome outcome;
      outcome.group = options_.dialect == RolloutDialect::sglang ? sglang::parse_group(body, request, place)
                                                                 : vllm::parse_group(body, request, place);
      outcome.version = version_of(request, *outcome.group, first);
      return outcome;
    } catch (const BadAnswer& error) {
      count(error.fault());
      throw;
    } catch (const BadFile&) {
      count(AnswerFault::malformed);
      throw;
    }
  }

  /// Gives the number of the weights that drew a group.
  /// @throws BadAnswer if the server cannot have had these weights since the batch began.
  std::uint32_t version_of(const GroupRequest& request, const DrawnGroup& group, std::uint32_t first) const {
    const std::lock_guard lock(mutex_);
    // SGLang repeats the version of whole weights, not the name of adapters; an adapter that it lacks is an error.
    const bool repeats = options_.weights == WeightForm::whole || options_.dialect == RolloutDialect::vllm;
    const std::string& name = repeats ? group.version : request.adapter;
    const auto known = numbers_.find(name);
    const bool fits = options_.weights == WeightForm::whole || name == request.adapter;
    if (version_ == 0 || (fits && known != numbers_.end() && known->second >= first)) {
      return version_ == 0 ? 0 : known->second;
    }
    throw BadAnswer(AnswerFault::wrong_version, generate_.place() + ": drawn by weights " + detail::quote_text(name) +
                                                    ", but the server was given " + detail::quote_text(current_));
  }

  void adopt(const std::string& version) {
    const std::lock_guard lock(mutex_);
    current_ = version;
    numbers_[version] = ++version_;
    ++counts_.published;
  }
  /// Removes the adapters that are no longer used from the list, and gives their names.
  std::vector<std::string> unused_adapters() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (auto at = numbers_.begin(); at != numbers_.end();) {
      const bool used = at->first == current_ || users_[at->first] > 0;
      if (!used) {
        names.push_back(at->first);
        users_.erase(at->first);
      }
      at = used ? std::next(at) : numbers_.erase(at);
    }
    return names;
  }

  /// Makes a call that changes the server.
  /// @throws IoError with the server's message.
  void post(std::string_view path, const std::string& body, const char* failed) {
    PaidCalls calls(transport_, calls_to(path), stop_.get_token());
    const CallRequest request{.body = body};
    const auto accept = [&](std::size_t, const std::string& answer) {
      if (options_.dialect == RolloutDialect::sglang) sglang::check_done(answer, calls.place());
      return TokenUsage{};
    };
    const CallOutcome outcome = calls(std::span(&request, 1), accept).front();
    if (!outcome.body) throw IoError(std::string("rollout server: ") + failed + ": " + outcome.failure);
  }

  /// Makes a call to generate.
  HttpReply carry(const HttpRequest& request) {
    const detail::CallGate::Pass pass(gate_);
    HttpReply reply = transport_(request);
    if (reply.status == 200) return reply;
    const std::lock_guard lock(mutex_);
    ++counts_.failed_calls;
    return reply;
  }

  HttpTransport transport_;
  RolloutServerOptions options_;
  std::stop_source stop_;
  PaidCalls generate_;
  detail::CallGate gate_;
  std::mutex batch_mutex_;    // held while a batch is drawn
  mutable std::mutex mutex_;  // guards what follows
  std::uint32_t version_ = 0;
  std::string current_;                           // the name of version_
  std::map<std::string, std::uint32_t> numbers_;  // of the names
  std::map<std::string, std::size_t> users_;      // requests under way, by adapters
  RolloutCounts counts_;
};

}  // namespace maestro
