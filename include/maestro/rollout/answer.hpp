#pragma once

/// @file
/// Requests to a rollout server, its answers, and the checks of the answers.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/completion.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/io/json.hpp"

namespace maestro {

/// GroupRequest asks for the G responses to one prompt.
struct GroupRequest {
  std::vector<std::int32_t> prompt{};  ///< (P) tokens
  Sampling sampling{};
  std::vector<std::int32_t> stops{};  ///< every token that ends a response
  std::size_t vocabulary = 0;         ///< V
  std::size_t hidden_size = 0;        ///< d if the server must give hidden states, else 0
  std::string model{};                ///< the server's name of the model, or of the adapters
  std::string adapter{};              ///< the name under which adapters were loaded; empty for the whole model
  std::uint64_t seed = 0;             ///< of the group's draws, below 2^31, for a server that takes one
};

/// DrawnResponse is one response of a server.
struct DrawnResponse {
  std::vector<std::int32_t> tokens{};  ///< (T) with the stop token, if one was drawn
  std::vector<float> log_probs{};      ///< (T) after temperature
  Finish finish = Finish::length;
  std::vector<float> hidden{};  ///< (d), or empty if none was asked for
};

/// DrawnGroup is the answer to a GroupRequest.
struct DrawnGroup {
  std::vector<DrawnResponse> responses{};  ///< (G)
  std::string version{};                   ///< the server's name of the weights; empty if it gives none
};

/// AnswerFault is the reason for which an answer is refused.
enum class AnswerFault : std::uint8_t {
  malformed,      ///< no JSON, a missing or ill-typed field, or an impossible token or log-prob
  truncated,      ///< a response that ends neither by a stop token nor at the length limit
  wrong_count,    ///< more or fewer responses than requested
  wrong_version,  ///< drawn by other weights
};
inline constexpr std::array<std::string_view, 4> answer_fault_names{"malformed", "truncated", "wrong_count",
                                                                    "wrong_version"};

/// BadAnswer reports an answer that is refused.
class BadAnswer : public BadFile {
 public:
  BadAnswer(AnswerFault fault, const std::string& message) : BadFile(message), fault_(fault) {}
  AnswerFault fault() const { return fault_; }

 private:
  AnswerFault fault_;
};

namespace detail {

/// Gives field `key` as an array.
/// @throws BadFile if it is missing or is not an array.
inline const Json& array_at(const JsonFields& fields, const std::string& key) {
  const Json& value = fields.at(key);
  if (!value.is_array()) fields.fail(key, "an array");
  return value;
}

/// Gives the token in a JSON value.
/// @throws BadAnswer if it is not an integer in [0, V).
inline std::int32_t token_of(const Json& value, std::size_t vocabulary, const std::string& place) {
  const std::size_t token = value.is_number_unsigned() ? value.get<std::size_t>() : vocabulary;
  if (token < vocabulary) return static_cast<std::int32_t>(token);
  throw BadAnswer(AnswerFault::malformed, place + ": a token must be an integer from 0 to " +
                                              std::to_string(vocabulary - 1) + ", found " + shown(value));
}

/// Gives the log-prob in a JSON value, in nats.
/// @throws BadAnswer if it is not a finite number of at most 0, except for rounding.
inline float log_prob_of(const Json& value, const std::string& place) {
  constexpr double rounding = 1e-3;
  constexpr double lowest = -1e4;  // vLLM writes -9999 for minus infinity, which no drawn token has
  const double log_prob = value.is_number() ? value.get<double>() : 1.0;
  if (log_prob <= rounding && log_prob > lowest + 2.0) return static_cast<float>(log_prob);
  throw BadAnswer(AnswerFault::malformed,
                  place + ": a drawn token's log-prob must be a finite number of at most 0, found " + shown(value));
}

/// Refuses another number of responses than requested.
/// @throws BadAnswer naming both numbers.
inline void check_count(std::size_t found, std::size_t wanted, const std::string& place) {
  if (found == wanted) return;
  throw BadAnswer(AnswerFault::wrong_count,
                  place + ": " + std::to_string(found) + " responses, " + std::to_string(wanted) + " were asked for");
}

/// Sets how a response ended, and refuses a response that cannot have ended so.
/// @param stopped  whether the server reports that a stop token ended it.
/// @throws BadAnswer if it is empty or too long, goes on after a stop token, or ends before the limit without one.
inline void finish_response(const GroupRequest& request, bool stopped, const std::string& place,
                            DrawnResponse& response) {
  const auto is_stop = [&](std::int32_t token) {
    return std::find(request.stops.begin(), request.stops.end(), token) != request.stops.end();
  };
  const std::vector<std::int32_t>& tokens = response.tokens;
  const std::size_t limit = request.sampling.max_completion_length;
  if (tokens.empty() || tokens.size() > limit) {
    throw BadAnswer(AnswerFault::malformed, place + ": a response of " + std::to_string(tokens.size()) +
                                                " tokens, from 1 to " + std::to_string(limit) + " were asked for");
  }
  if (std::any_of(tokens.begin(), tokens.end() - 1, is_stop)) {
    throw BadAnswer(AnswerFault::malformed, place + ": a response goes on after a stop token");
  }
  response.finish = is_stop(tokens.back()) ? Finish::stop : Finish::length;
  if (response.finish == Finish::stop || (!stopped && tokens.size() == limit)) return;
  throw BadAnswer(AnswerFault::truncated,
                  place + ": a response ends after " + std::to_string(tokens.size()) + " of " + std::to_string(limit) +
                      " tokens without a stop token; is the server's context shorter than prompt and response, or "
                      "does it stop at tokens that the model does not name?");
}

}  // namespace detail

/// Refuses sampling options for which an answer cannot be checked.
/// @throws Unsupported naming the option; BadArgument for an option outside its domain.
inline void check_served(const Sampling& sampling) {
  check(sampling);
  if (!sampling.stop_texts.empty()) {
    throw Unsupported("rollout server: stop texts are not supported; leave stop_texts empty, or name stop tokens");
  }
  if (sampling.repetition_penalty != 1.0) {
    throw Unsupported(
        "rollout server: the log-probs that servers give are those after a repetition penalty; leave it at 1");
  }
}

}  // namespace maestro
