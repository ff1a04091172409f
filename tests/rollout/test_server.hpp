#pragma once

// A rollout server of the tests: speaks both dialects by a policy of its own, and fails as it is told to.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "maestro/core/hash.hpp"
#include "maestro/gemm/native.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/json.hpp"
#include "maestro/model/lora_model.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/remote/transport.hpp"
#include "maestro/rollout/server.hpp"
#include "maestro/text/byte_tokenizer.hpp"

namespace maestro::test {

template <class Weights>
using BytePolicy = TransformerPolicy<float, NativeBackend, ByteTokenizer, Weights>;
using WholePolicy = BytePolicy<ModelWeights<float>>;
using AdapterPolicy = BytePolicy<LoraModel<float>>;

/// Random weights large enough that tokens differ in probability.
inline ModelWeights<float> served_weights(std::uint64_t seed = 3) {
  ModelConfig config = qwen3_config(259, 16, 1, 2, 1, 8, 16);
  config.max_positions = 64;
  ModelWeights<float> weights(config);
  weights.initialize(seed);
  std::uint32_t tensor = 0;
  weights.visit([&](auto p) {
    const RandomStream stream({.seed = seed, .purpose = Purpose::user, .row = tensor++});
    for (std::size_t i = 0; i < p.values.size(); ++i) {
      p.values[i] += static_cast<float>(0.2 * stream.normal(static_cast<std::uint32_t>(i)));
    }
  });
  return weights;
}
inline ByteTokenizer served_tokenizer() { return ByteTokenizer({.vocabulary = 259}); }
inline WholePolicy whole_policy(std::uint64_t seed = 3) { return {served_weights(seed), served_tokenizer()}; }
inline AdapterPolicy adapter_policy(std::uint64_t seed = 3) {
  auto base = std::make_shared<const FrozenWeights<float>>(served_weights(seed));
  return {LoraModel<float>(base, LoraOptions{.rank = 2}, 5), served_tokenizer()};
}

/// A server without a network: handle() is what stands behind its URL.
template <class Weights>
class RolloutTestServer {
 public:
  using P = BytePolicy<Weights>;
  /// Gives the reply to a call in the place of the right one, or nothing.
  using Fault = std::function<std::optional<HttpReply>(const std::string& path, int call)>;
  /// Changes the right answer.
  using Edit = std::function<void(Json& answer, int call)>;

  RolloutTestServer(P policy, RolloutDialect dialect) : policy_(std::move(policy)), dialect_(dialect) {
    if constexpr (!whole) adapters_.emplace("", policy_.weights().factors());
  }

  Fault fault{};
  Edit edit{};
  bool forgets_weights = false;  ///< says that it takes weights, and does not

  HttpReply handle(const std::string& path, const std::string& body) {
    int call = 0;
    {
      const std::lock_guard lock(mutex_);
      call = ++calls_[path];
    }
    if (fault) {
      if (std::optional<HttpReply> reply = fault(path, call)) return *reply;
    }
    const std::lock_guard lock(mutex_);
    try {
      const Json request = Json::parse(body);
      if (path == "/generate" || path == "/v1/completions") {
        requests_.push_back(request);
        seed_ = fnv1a(body, fnv1a(std::to_string(++asked_[body])));  // whatever the order in which calls come
        last_prompt_ = policy_.tokenizer().decode(
            request.at(dialect_ == RolloutDialect::sglang ? "input_ids" : "prompt").get<std::vector<std::int32_t>>());
        Json answer = dialect_ == RolloutDialect::sglang ? sglang_answer(request) : vllm_answer(request);
        if (edit) edit(answer, call);
        return {.status = 200, .body = answer.dump()};
      }
      return {.status = 200, .body = change(path, request)};
    } catch (const std::exception& error) {
      return {.status = 400, .body = Json{{"error", {{"message", error.what()}}}}.dump()};
    }
  }

  HttpTransport transport() {
    return [this](const HttpRequest& request) { return handle(parse_url(request.url).path, request.body); };
  }
  RolloutServerOptions options(std::uint32_t retries = 0) const {
    RolloutServerOptions o{.dialect = dialect_,
                           .weights = whole ? WeightForm::whole : WeightForm::adapters,
                           .model = dialect_ == RolloutDialect::vllm ? "base" : ""};
    o.calls.url = "http://server:1";
    o.calls.concurrency = 3;
    o.calls.retry = {.retries = retries, .delay_seconds = 0.001};
    return o;
  }

  std::vector<Json> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  /// The prompt that is being answered, for Edit alone.
  const std::string& last_prompt() const { return last_prompt_; }
  int calls(const std::string& path) {
    const std::lock_guard lock(mutex_);
    return calls_[path];
  }
  std::size_t adapters() {
    const std::lock_guard lock(mutex_);
    return adapters_.size() - 1;
  }

 private:
  static constexpr bool whole = std::is_same_v<Weights, ModelWeights<float>>;

  std::string change(const std::string& path, const Json& request) {
    if (path == "/update_weights_from_disk") {
      if constexpr (whole) {
        if (!forgets_weights) policy_.weights() = load_model<float>(request.at("model_path"));
      }
      version_ = request.at("weight_version");
    } else if (path.ends_with("/load_lora_adapter") && !path.ends_with("/unload_lora_adapter")) {
      if constexpr (!whole) {
        adapters_.emplace(request.at("lora_name"), load_adapters<float>(request.at("lora_path"), policy_.config()));
      }
    } else if (path.ends_with("/unload_lora_adapter")) {
      if (adapters_.erase(request.at("lora_name")) == 0) throw BadArgument("no such adapter");
    } else {
      throw BadArgument("no such path: " + path);
    }
    return dialect_ == RolloutDialect::sglang ? R"({"success": true, "message": "done"})" : "Success";
  }

  struct Drawn {
    Rollouts rollouts;
    std::vector<std::vector<float>> earlier;  // hidden states before the last token was read
  };

  Drawn draw(const Json& ids, const std::string& adapter, const Sampling& sampling) {
    if constexpr (!whole) {
      if (!forgets_weights) policy_.weights().factors() = adapters_.at(adapter);
    }
    Prompt prompt;
    prompt.text = policy_.tokenizer().decode(ids.get<std::vector<std::int32_t>>());
    Drawn drawn{policy_.generate(std::span(&prompt, 1), sampling, {.seed = seed_}), {}};
    Rollouts cut;
    cut.prompt_tokens = drawn.rollouts.prompt_tokens;
    cut.groups = drawn.rollouts.groups;
    for (std::size_t i = 0; i < drawn.rollouts.size(); ++i) {
      const auto row = drawn.rollouts.tokens.row(i);
      cut.tokens.push_row(row.first(row.size() - 1));
    }
    Matrix<float> hidden;
    hidden.resize(drawn.rollouts.size(), policy_.hidden_size());
    std::vector<float> values(cut.tokens.size());
    policy_.read(cut, {0, 1}, values, values, hidden.view());
    for (std::size_t i = 0; i < hidden.rows(); ++i) {
      drawn.earlier.emplace_back(hidden.row(i).begin(), hidden.row(i).end());
    }
    return drawn;
  }
  static Sampling sampling_of(const Json& fields, const char* limit) {
    Sampling s{.num_generations = fields.at("n"), .max_completion_length = fields.at(limit)};
    if (fields.at("temperature") == 0.0) {
      s.decoding = Decoding::greedy;
    } else {
      s.temperature = fields.at("temperature");
    }
    s.stop_tokens = fields.at("stop_token_ids").get<std::vector<std::int32_t>>();
    return s;
  }

  Json sglang_answer(const Json& request) {
    const Sampling sampling = sampling_of(request.at("sampling_params"), "max_new_tokens");
    const Drawn drawn = draw(request.at("input_ids"), request.value("lora_path", ""), sampling);
    Json answers = Json::array();
    for (std::size_t i = 0; i < drawn.rollouts.size(); ++i) {
      const Completion c = drawn.rollouts.completion(i);
      Json log_probs = Json::array();
      for (std::size_t t = 0; t < c.tokens.size(); ++t) log_probs.push_back({c.log_probs[t], c.tokens[t], nullptr});
      Json meta{{"finish_reason", c.finish == Finish::stop ? Json{{"type", "stop"}, {"matched", c.tokens.back()}}
                                                           : Json{{"type", "length"}, {"length", c.tokens.size()}}},
                {"output_token_logprobs", log_probs},
                {"weight_version", version_}};
      if (request.contains("return_hidden_states")) meta["hidden_states"] = Json::array({drawn.earlier[i]});
      answers.push_back({{"text", "..."}, {"output_ids", c.tokens}, {"meta_info", meta}});
    }
    return answers.size() == 1 ? answers[0] : answers;
  }

  Json vllm_answer(const Json& request) {
    const std::string model = request.at("model");
    const Drawn drawn = draw(request.at("prompt"), model == "base" ? "" : model, sampling_of(request, "max_tokens"));
    Json choices = Json::array();
    for (std::size_t i = 0; i < drawn.rollouts.size(); ++i) {
      const Completion c = drawn.rollouts.completion(i);
      Json names = Json::array();
      for (const std::int32_t token : c.tokens) names.push_back("token_id:" + std::to_string(token));
      choices.push_back({{"index", i},
                         {"text", "..."},
                         {"prompt_token_ids", request.at("prompt")},
                         {"token_ids", c.tokens},
                         {"logprobs", {{"tokens", names}, {"token_logprobs", c.log_probs}}},
                         {"finish_reason", c.finish == Finish::stop ? "stop" : "length"}});
    }
    return {{"object", "text_completion"}, {"model", model}, {"choices", choices}};
  }

  P policy_;
  RolloutDialect dialect_;
  std::mutex mutex_;
  std::string version_ = "default";
  std::map<std::string, LoraFactors<float>> adapters_{};
  std::map<std::string, int> calls_;
  std::vector<Json> requests_;
  std::string last_prompt_;
  std::map<std::string, int> asked_;  // how often each body came
  std::uint64_t seed_ = 0;
};

}  // namespace maestro::test
