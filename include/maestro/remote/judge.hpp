#pragma once

/// @file
/// A reward that a language model gives by a rubric, through an OpenAI-compatible server.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/io/json.hpp"
#include "maestro/remote/called_reward.hpp"
#include "maestro/remote/chat.hpp"
#include "maestro/remote/paid_calls.hpp"
#include "maestro/remote/transport.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro {

/// AnswerSchema says whether the request contains a JSON schema for the answer, which not every server supports.
enum class AnswerSchema : std::uint8_t { json_schema, none };
inline constexpr std::array<std::string_view, 2> answer_schema_names{"json_schema", "none"};

/// JudgeOptions holds the options of a Judge.
struct JudgeOptions {
  CallOptions calls{};             ///< url is the whole address, such as https://host/v1/chat/completions
  std::string model{};             ///< the server's name of the model
  std::string rubric{};            ///< instructions for the judge; see Judge
  double worst = 0.0;              ///< the lowest score, which is a reward of 0
  double best = 10.0;              ///< the highest score, which is a reward of 1
  std::uint32_t max_tokens = 512;  ///< tokens of one answer, at most
  AnswerSchema schema = AnswerSchema::json_schema;
};

/// Judge is the score of a language model for each response, as (score - worst) / (best - worst) in [0, 1].
///
/// If the rubric contains "{completion}", it is the whole message to the judge, and "{prompt}", "{completion}" and
/// "{reference}" are replaced by their texts. Otherwise the rubric is the system message, and the user message holds
/// prompt, reference (if there is one) and response under headings. The form of the answer is described after the
/// rubric. The temperature is 0.
///
/// read_score defines what counts as a score. An answer without a score, or one cut at max_tokens, is a failure. It is
/// not requested again, since the same request has the same answer. Every answer is cached as it came. The reward is
/// deterministic if the server is.
class Judge : public detail::CalledReward {
 public:
  std::string name;

  /// Makes the reward without any call.
  /// @throws BadArgument for no model, no rubric, a max_tokens of 0, or an invalid range; what the constructor of
  ///         PaidCalls throws.
  Judge(std::string reward_name, JudgeOptions options, HttpTransport transport)
      : CalledReward(std::move(transport), options.calls), name(std::move(reward_name)), options_(std::move(options)) {
    require(!options_.model.empty(), "Judge: the model's name is empty");
    require(!options_.rubric.empty(), "Judge: the rubric is empty");
    require(std::isfinite(options_.worst) && std::isfinite(options_.best) && options_.worst < options_.best,
            "Judge: worst and best must be finite, and worst the lower one");
    require(options_.max_tokens > 0, "Judge: max_tokens must be at least 1");
  }

  /// Scores the whole batch by calls to the server.
  /// @throws BadArgument if the responses are float actions.
  void operator()(const Rollouts& rollouts, std::span<float> scores) const {
    require_text(rollouts.actions);
    std::vector<CallRequest> requests(scores.size());
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i] = request(rollouts.completion(i));
    const auto accept = [&](std::size_t, const std::string& body) { return parse_chat_answer(body, place()).usage; };
    const std::vector<CallOutcome> outcomes = make(requests, accept);
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      keep(name, rollouts, i, outcomes[i].body ? read(*outcomes[i].body) : RemoteScore{.failure = outcomes[i].failure},
           scores);
    }
  }

 private:
  static std::string printed(double value) {
    std::array<char, 32> text;
    std::snprintf(text.data(), text.size(), "%g", value);
    return text.data();
  }

  /// Gives `text` with prompt, completion and reference in the place of their names in braces. Inserted texts are not
  /// searched.
  static std::string filled(std::string_view text, const Completion& completion) {
    const std::array<std::pair<std::string_view, std::string_view>, 3> places{
        {{"{prompt}", completion.prompt.text},
         {"{completion}", completion.text},
         {"{reference}", completion.prompt.reference}}};
    std::string result;
    while (!text.empty()) {
      const std::size_t brace = std::min(text.find('{'), text.size());
      result += text.substr(0, brace);
      text.remove_prefix(brace);
      const auto place =
          std::find_if(places.begin(), places.end(), [&](const auto& p) { return text.starts_with(p.first); });
      if (place != places.end()) {
        result += place->second;
        text.remove_prefix(place->first.size());
      } else if (!text.empty()) {
        result += '{';
        text.remove_prefix(1);
      }
    }
    return result;
  }

  std::string form() const {
    return "\n\nAnswer with one JSON object and nothing else: {\"reason\": \"a short sentence\", \"score\": a number "
           "from " +
           printed(options_.worst) + " (worst) to " + printed(options_.best) + " (best)}";
  }

  OrderedJson messages(const Completion& completion) const {
    OrderedJson list = OrderedJson::array();
    const auto add = [&](const char* role, std::string content) {
      list.push_back({{"role", role}, {"content", std::move(content)}});
    };
    if (options_.rubric.find("{completion}") != std::string::npos) {
      add("user", filled(options_.rubric, completion) + form());
      return list;
    }
    std::string text = "# Prompt\n" + completion.prompt.text;
    if (!completion.prompt.reference.empty()) text += "\n\n# Reference answer\n" + completion.prompt.reference;
    text += "\n\n# Response to judge\n" + std::string(completion.text);
    add("system", options_.rubric + form());
    add("user", std::move(text));
    return list;
  }

  CallRequest request(const Completion& completion) const {
    OrderedJson json;
    json["model"] = options_.model;
    json["messages"] = messages(completion);
    json["temperature"] = 0;
    json["max_tokens"] = options_.max_tokens;
    if (options_.schema == AnswerSchema::json_schema) {
      const OrderedJson members{{"reason", {{"type", "string"}}}, {"score", {{"type", "number"}}}};
      const OrderedJson schema{{"type", "object"},
                               {"properties", members},
                               {"required", OrderedJson::array({"reason", "score"})},
                               {"additionalProperties", false}};
      json["response_format"] = {{"type", "json_schema"},
                                 {"json_schema", {{"name", "score"}, {"strict", true}, {"schema", schema}}}};
    }
    std::string body = dump_json(json);
    // A token is a byte at least, but for the few that a template adds.
    const std::uint64_t most = body.size() + 64;
    return {.body = std::move(body), .max_prompt_tokens = most, .max_completion_tokens = options_.max_tokens};
  }

  /// Gives the reward of an answer that parse_chat_answer has accepted before.
  RemoteScore read(const std::string& body) const {
    const ChatAnswer answer = parse_chat_answer(body, place());
    if (answer.cut) {
      return {.failure =
                  place() + ": the judge's answer was cut at " + std::to_string(options_.max_tokens) + " tokens"};
    }
    const ScoreReading reading = read_score(answer.content, options_.worst, options_.best);
    if (!reading.score) return {.failure = place() + ": " + reading.why};
    return {.value = static_cast<float>((*reading.score - options_.worst) / (options_.best - options_.worst))};
  }

  JudgeOptions options_;
};

}  // namespace maestro
