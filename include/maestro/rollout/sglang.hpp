#pragma once

/// @file
/// SGLang's dialect: POST /generate with token ids in, ids and log-probs out.
/// Source: SGLang 0.5, srt/managers/io_struct.py and srt/entrypoints/http_server.py.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/io/json.hpp"
#include "maestro/rollout/answer.hpp"

namespace maestro::sglang {

inline constexpr std::string_view generate_path = "/generate";
inline constexpr std::string_view update_path = "/update_weights_from_disk";
inline constexpr std::string_view load_adapter_path = "/load_lora_adapter";
inline constexpr std::string_view unload_adapter_path = "/unload_lora_adapter";

/// Gives the request for a group. It has no seed, since SGLang would use the same one for all G responses. Top-k, top-p
/// and min-p do not change SGLang's log-probs, as here.
inline std::string generate_body(const GroupRequest& request) {
  const Sampling& s = request.sampling;
  Json sampling{{"max_new_tokens", s.max_completion_length},
                {"temperature", s.decoding == Decoding::greedy ? 0.0 : s.temperature},
                {"top_p", s.top_p},
                {"top_k", s.top_k == 0 ? -1 : static_cast<std::int64_t>(s.top_k)},
                {"min_p", s.min_p},
                {"repetition_penalty", 1.0},
                {"n", s.num_generations},
                {"stop_token_ids", request.stops}};
  Json body{{"input_ids", request.prompt}, {"sampling_params", sampling}, {"return_logprob", true}, {"stream", false}};
  if (!request.adapter.empty()) body["lora_path"] = request.adapter;
  if (request.hidden_size > 0) body["return_hidden_states"] = "last";
  return dump_json(body);
}

namespace detail {

using maestro::detail::log_prob_of;
using maestro::detail::token_of;

/// Gives the last row of numbers of `hidden_states`, which is an array of numbers or nests such arrays.
/// @throws BadFile if that row is not `size` finite numbers.
inline std::vector<float> last_hidden(const JsonFields& meta, std::size_t size) {
  const Json* row = &maestro::detail::array_at(meta, "hidden_states");
  while (row->is_array() && !row->empty() && row->back().is_array()) row = &row->back();
  std::vector<float> hidden;
  if (row->is_array() && row->size() == size) {
    for (const Json& value : *row) {
      if (!value.is_number() || !std::isfinite(value.get<float>())) break;
      hidden.push_back(value.get<float>());
    }
  }
  if (hidden.size() != size) meta.fail("hidden_states", "an array that ends with " + std::to_string(size) + " numbers");
  return hidden;
}

/// Reads one of the G answers.
/// @throws BadAnswer or BadFile as parse_group.
inline DrawnResponse parse_response(const Json& json, const GroupRequest& request, const std::string& place,
                                    std::string& version) {
  const JsonFields answer(json, place);
  const JsonFields meta = answer.object("meta_info");
  const JsonFields finish = meta.object("finish_reason");
  const std::string& type = finish.text("type");
  if (type != "stop" && type != "length") {
    throw BadAnswer(AnswerFault::truncated, place + ": the server broke off a response: " + type + ", " +
                                                maestro::detail::quote_text(finish.text_or("message", "")));
  }
  DrawnResponse response;
  for (const Json& token : maestro::detail::array_at(meta, "output_token_logprobs")) {
    if (!token.is_array() || token.size() < 2) meta.fail("output_token_logprobs", "arrays of log-prob and token");
    response.log_probs.push_back(log_prob_of(token[0], place));
    response.tokens.push_back(token_of(token[1], request.vocabulary, place));
  }
  maestro::detail::finish_response(request, type == "stop", place, response);
  if (request.hidden_size > 0) response.hidden = last_hidden(meta, request.hidden_size);
  version = meta.text_or("weight_version", "");
  return response;
}

}  // namespace detail

/// Reads the answer for a group.
/// @param place  the server, for messages.
/// @throws BadAnswer naming what is wrong; BadFile if it is not JSON or lacks a field.
inline DrawnGroup parse_group(std::string_view body, const GroupRequest& request, const std::string& place) {
  const Json json = parse_json(body, place);
  const std::size_t wanted = request.sampling.num_generations;
  DrawnGroup group;
  const auto add = [&](const Json& answer) {
    std::string version;
    group.responses.push_back(detail::parse_response(answer, request, place, version));
    if (group.responses.size() == 1) group.version = version;
    if (version != group.version) {
      throw BadAnswer(AnswerFault::wrong_version, place + ": the responses to one prompt are of weights " +
                                                      maestro::detail::quote_text(group.version) + " and " +
                                                      maestro::detail::quote_text(version));
    }
  };
  if (!json.is_array()) {
    static_cast<void>(JsonFields(json, place));
    maestro::detail::check_count(1, wanted, place);
    add(json);
    return group;
  }
  maestro::detail::check_count(json.size(), wanted, place);
  for (const Json& answer : json) add(answer);
  return group;
}

/// Gives the request to load whole weights from a folder.
inline std::string update_body(const std::string& folder, const std::string& version) {
  return dump_json(
      Json{{"model_path", folder}, {"weight_version", version}, {"flush_cache", true}, {"abort_all_requests", false}});
}

/// Refuses an answer whose `success` is false.
/// @throws BadAnswer with the server's message; BadFile if it is not JSON or lacks the field.
inline void check_done(std::string_view body, const std::string& place) {
  const Json json = parse_json(body, place);
  const JsonFields fields(json, place);
  if (fields.boolean("success")) return;
  throw BadAnswer(AnswerFault::malformed,
                  place + ": the server refused: " +
                      maestro::detail::quote_text(fields.text_or("message", fields.text_or("error_message", "")), 240));
}

}  // namespace maestro::sglang
