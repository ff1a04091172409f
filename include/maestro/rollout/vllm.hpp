#pragma once

/// @file
/// vLLM's dialect: POST /v1/completions with token ids in, ids and log-probs out. The server must run with
/// `--logprobs-mode processed_logprobs`, so that log-probs are those after temperature.
/// Source: vLLM 0.33, entrypoints/openai.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/io/json.hpp"
#include "maestro/rollout/answer.hpp"

namespace maestro::vllm {

inline constexpr std::string_view generate_path = "/v1/completions";
inline constexpr std::string_view load_adapter_path = "/v1/load_lora_adapter";
inline constexpr std::string_view unload_adapter_path = "/v1/unload_lora_adapter";

/// Refuses the filters of sampling, since vLLM's processed log-probs are those after the filters.
/// @throws Unsupported naming the remedy.
inline void check_sampling(const Sampling& s) {
  if (s.top_k == 0 && s.top_p == 1.0 && s.min_p == 0.0) return;
  throw Unsupported(
      "rollout server: vLLM's log-probs are those after top-k, top-p and min-p, which no other policy has; leave them "
      "off, or use SGLang");
}

/// Gives the request for a group. Response g draws from seed + g.
inline std::string generate_body(const GroupRequest& request) {
  const Sampling& s = request.sampling;
  return dump_json(Json{{"model", request.adapter.empty() ? request.model : request.adapter},
                        {"prompt", request.prompt},
                        {"n", s.num_generations},
                        {"max_tokens", s.max_completion_length},
                        {"temperature", s.decoding == Decoding::greedy ? 0.0 : s.temperature},
                        {"top_p", s.top_p},
                        {"top_k", -1},  // unnamed, these come from the model's generation_config.json
                        {"min_p", 0.0},
                        {"repetition_penalty", 1.0},
                        {"presence_penalty", 0.0},
                        {"frequency_penalty", 0.0},
                        {"seed", request.seed},
                        {"stop_token_ids", request.stops},
                        {"logprobs", 0},
                        {"return_token_ids", true},
                        {"return_tokens_as_token_ids", true},
                        {"stream", false}});
}

namespace detail {

/// Reads one choice.
/// @throws BadAnswer or BadFile as parse_group.
inline DrawnResponse parse_choice(const JsonFields& choice, const GroupRequest& request, const std::string& place) {
  const std::string& reason = choice.text("finish_reason");
  if (reason != "stop" && reason != "length") {
    throw BadAnswer(AnswerFault::truncated, place + ": the server broke off a response: " + reason);
  }
  DrawnResponse response;
  for (const Json& token : maestro::detail::array_at(choice, "token_ids")) {
    response.tokens.push_back(maestro::detail::token_of(token, request.vocabulary, place));
  }
  const JsonFields log_probs = choice.object("logprobs");
  for (const Json& value : maestro::detail::array_at(log_probs, "token_logprobs")) {
    response.log_probs.push_back(maestro::detail::log_prob_of(value, place));
  }
  if (response.log_probs.size() != response.tokens.size()) {
    throw BadAnswer(AnswerFault::malformed, place + ": " + std::to_string(response.log_probs.size()) +
                                                " log-probs of " + std::to_string(response.tokens.size()) + " tokens");
  }
  const Json& prompt = maestro::detail::array_at(choice, "prompt_token_ids");
  if (prompt != Json(request.prompt)) choice.fail("prompt_token_ids", "the prompt that was sent");
  maestro::detail::finish_response(request, reason == "stop", place, response);
  return response;
}

}  // namespace detail

/// Reads the answer for a group. The version of adapters is their name, which the answer repeats. Whole weights have no
/// version in the answer.
/// @param place  the server, for messages.
/// @throws BadAnswer naming what is wrong; BadFile if it is not JSON or lacks a field.
inline DrawnGroup parse_group(std::string_view body, const GroupRequest& request, const std::string& place) {
  const Json json = parse_json(body, place);
  const JsonFields answer(json, place);
  const Json& choices = maestro::detail::array_at(answer, "choices");
  const std::size_t wanted = request.sampling.num_generations;
  maestro::detail::check_count(choices.size(), wanted, place);
  std::vector<std::optional<DrawnResponse>> found(wanted);
  for (std::size_t c = 0; c < wanted; ++c) {
    const JsonFields choice(choices[c], place, "choices[" + std::to_string(c) + "].");
    const std::size_t index = choice.count("index", wanted - 1);
    if (found[index]) choice.fail("index", "each number once");
    found[index] = detail::parse_choice(choice, request, place);
  }
  DrawnGroup group;
  if (!request.adapter.empty()) group.version = answer.text("model");
  for (std::optional<DrawnResponse>& response : found) group.responses.push_back(std::move(*response));
  return group;
}

}  // namespace maestro::vllm
