#pragma once

/// @file
/// The messages between a run and a reward in another process: responses out, scores back, as JSON.
///
///     {"id": 7, "reward": "politeness", "items": [
///       {"prompt": "...", "completion": "...", "reference": "...", "task": "...", "metadata": {...},
///        "messages": [...], "row": 12, "finish": "stop"}, ...]}
///
///     {"id": 7, "scores": [0.5, null, {"error": "no such tool"}, ...]}
///
/// The reply has one score for each item, in order: a finite number; null if the reward does not apply; or an object
/// with `error` if it failed. `reference`, `task`, `metadata` and `messages` are omitted if they are empty. `finish` is
/// "stop" or "length". Only requests to commands have an `id`, which the reply must repeat.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/io/json.hpp"

namespace maestro {

/// RemoteScore is the result for one response.
struct RemoteScore {
  std::optional<float> value{};  ///< finite; absent if the reward does not apply or failed
  std::string failure{};         ///< why there is no score; empty if nothing failed
};

namespace detail {

/// Gives one response as JSON.
/// @throws BadFile if the prompt's metadata is not JSON.
inline OrderedJson exchange_item(const Completion& completion) {
  const Prompt& prompt = completion.prompt;
  OrderedJson item;
  item["prompt"] = prompt.text;
  item["completion"] = std::string(completion.text);
  if (!prompt.reference.empty()) item["reference"] = prompt.reference;
  if (!prompt.task.empty()) item["task"] = prompt.task;
  if (!prompt.metadata.empty()) {
    item["metadata"] = parse_ordered_json(prompt.metadata, "the prompt's metadata");
  }
  for (const Message& message : prompt.messages) {
    item["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  item["row"] = prompt.row;
  item["finish"] = completion.finish == Finish::stop ? "stop" : "length";
  return item;
}

/// Gives the first bytes of a foreign text, as one line.
inline std::string seen(std::string_view text) { return quote_text(text, 160); }

}  // namespace detail

/// Gives the request for some responses of a batch, as one line without its end.
/// @param rows  indices of the responses in `rollouts`.
/// @param id    a number that the reply must repeat; absent if it need not.
inline std::string exchange_request(std::string_view reward, const Rollouts& rollouts,
                                    std::span<const std::size_t> rows, std::optional<std::uint64_t> id = {}) {
  OrderedJson request;
  if (id) request["id"] = *id;
  request["reward"] = std::string(reward);
  request["items"] = OrderedJson::array();
  for (const std::size_t row : rows) request["items"].push_back(detail::exchange_item(rollouts.completion(row)));
  return dump_json(request);
}

/// Reads the scores of a reply.
/// @param place  the sender of the reply, for messages.
/// @param count  the number of items that were sent.
/// @throws BadFile if the text is not the reply described above: incomplete, with another id or number of scores, or
///         with a value that is not a finite float.
inline std::vector<RemoteScore> parse_scores(std::string_view text, const std::string& place, std::size_t count,
                                             std::optional<std::uint64_t> id = {}) {
  const Json reply = parse_json(text, place);
  const JsonFields fields(reply, place);
  if (id && (!fields.has("id") || fields.count("id") != *id)) {
    throw BadFile(place + ": field 'id' must be " + std::to_string(*id) + ", that of the request");
  }
  const Json& scores = fields.at("scores");
  if (!scores.is_array() || scores.size() != count) {
    throw BadFile(place + ": field 'scores' must be an array of " + std::to_string(count) +
                  ", one for each item, found " + detail::shown(scores));
  }
  std::vector<RemoteScore> result(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Json& score = scores[i];
    const std::string which = "scores[" + std::to_string(i) + "]";
    if (score.is_null()) continue;
    if (score.is_object()) {
      result[i].failure = place + ": " + detail::seen(JsonFields(score, place, which + ".").text("error"));
      continue;
    }
    const double value = score.is_number() ? score.get<double>() : std::numeric_limits<double>::infinity();
    if (!(std::abs(value) <= static_cast<double>(std::numeric_limits<float>::max()))) {
      throw BadFile(place + ": field '" + which + "' must be a finite number, null or an object with 'error', found " +
                    detail::shown(score));
    }
    result[i].value = static_cast<float>(value);
  }
  return result;
}

}  // namespace maestro
