#pragma once

/// @file
/// The options of `train` for rewards that live elsewhere: commands, servers, a judge.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/remote/judge.hpp"
#include "maestro/reward/failures.hpp"
#include "train/option_names.hpp"

namespace maestro::examples {

/// What happens to a response whose reward failed, as --on-reward-error says.
enum class ErrorChoice : std::uint8_t {
  automatic,  ///< of a reward from outside it is missing; one of the library's own ends the run
  stop,
  skip_group,
  missing,
};
inline constexpr std::array<std::string_view, 4> error_choice_names{"auto", "stop", "skip_group", "missing"};

/// The treatment that is meant where `usual` is that of "auto".
inline OnError on_error_of(ErrorChoice choice, OnError usual) {
  if (choice == ErrorChoice::automatic) return usual;
  return static_cast<OnError>(static_cast<std::size_t>(choice) - 1);
}
static_assert(error_choice_names[1 + static_cast<std::size_t>(OnError::skip_group)] == "skip_group");

struct OutsideOptions {
  RepeatedText commands{};  ///< NAME=COMMAND
  RepeatedText urls{};      ///< NAME=URL
  ErrorChoice on_error = ErrorChoice::automatic;
  double timeout = 120.0;
  std::uint32_t retries = 4;

  std::string judge_url{};
  std::string judge_name = "judge";
  std::string judge_model{};
  std::string judge_rubric{};  ///< a file
  double judge_worst = 0.0;
  double judge_best = 10.0;
  std::uint32_t judge_max_tokens = 512;
  AnswerSchema judge_schema = AnswerSchema::json_schema;
  std::string judge_key{};    ///< the name of an environment variable
  std::string judge_cache{};  ///< empty: judge.jsonl in --output, of `evaluate` in runs/evaluate
  std::size_t judge_concurrency = 8;
  double judge_requests = 0.0;
  double judge_tokens = 0.0;
  std::uint64_t judge_max_calls = 0;
  double judge_max_cost = 0.0;
  double judge_prompt_price = 0.0;
  double judge_completion_price = 0.0;

  bool any() const { return !commands.empty() || !urls.empty() || !judge_url.empty(); }
};

/// The judge's part of the list below.
template <OptionsOf<OutsideOptions> S, class F>
constexpr void visit_judge_options(S& o, const F& f) {
  constexpr Recorded rare = Recorded::unless_default;
  constexpr Recorded never = Recorded::never;
  f({.name = "judge_url",
     .help = "OpenAI-compatible server that judges responses: http://host:port/v1/chat/completions",
     .recorded = never},
    o.judge_url);
  f({.name = "judge_model", .help = "The judge as its server names it; required with --judge-url", .recorded = rare},
    o.judge_model);
  f({.name = "judge_rubric",
     .help = "Text file that tells the judge what is good, required with --judge-url; may have {prompt}, {completion}, "
             "{reference} in it",
     .recorded = never},
    o.judge_rubric);
  f({.name = "judge_name", .help = "Name of the judge's reward", .recorded = rare}, o.judge_name);
  f({.name = "judge_worst", .help = "The judge's lowest score, a reward of 0", .recorded = rare}, o.judge_worst);
  f({.name = "judge_best", .help = "Its highest score, a reward of 1", .recorded = rare}, o.judge_best);
  f({.name = "judge_max_tokens", .help = "Tokens of one answer of the judge", .recorded = rare}, o.judge_max_tokens);
  f({.name = "judge_response_format",
     .help = "How the server is asked for JSON: {}",
     .values = answer_schema_names,
     .recorded = rare},
    o.judge_schema);
  f({.name = "judge_key_env", .help = "Environment variable with the API key; empty: none is sent", .recorded = never},
    o.judge_key);
  f({.name = "judge_cache",
     .help = "File of all answers, none of which is paid twice; empty: judge.jsonl in --output, of evaluate in "
             "runs/evaluate",
     .recorded = never},
    o.judge_cache);
  f({.name = "judge_concurrency", .help = "Calls in flight", .recorded = never}, o.judge_concurrency);
  f({.name = "judge_requests_per_minute", .help = "0: no limit", .recorded = never}, o.judge_requests);
  f({.name = "judge_tokens_per_minute", .help = "Read and written; 0: no limit", .recorded = never}, o.judge_tokens);
  f({.name = "judge_max_calls", .help = "In all, what is in the cache included; 0: no limit", .recorded = never},
    o.judge_max_calls);
  f({.name = "judge_max_cost", .help = "In all, as above, by the prices below; 0: no limit", .recorded = never},
    o.judge_max_cost);
  f({.name = "judge_prompt_price", .help = "Of a million tokens read", .recorded = never}, o.judge_prompt_price);
  f({.name = "judge_completion_price", .help = "Of a million tokens written", .recorded = never},
    o.judge_completion_price);
}

/// The list of these options: see OptionList.
template <OptionsOf<OutsideOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  constexpr Recorded rare = Recorded::unless_default;
  constexpr Recorded never = Recorded::never;
  f({.name = "reward_command",
     .help = "NAME=COMMAND: a reward by a command that reads and writes JSON lines; may be given several times",
     .recorded = rare},
    o.commands);
  f({.name = "reward_url",
     .help = "NAME=URL: a reward by a server that is sent JSON; may be given several times",
     .recorded = rare},
    o.urls);
  f({.name = "on_reward_error",
     .help = "What a failing reward does: {}; auto: missing for one from outside, stop for the others",
     .values = error_choice_names,
     .recorded = rare},
    o.on_error);
  f({.name = "reward_timeout", .help = "Seconds for one call to the outside", .recorded = never}, o.timeout);
  f({.name = "reward_retries", .help = "Further calls after one failed", .recorded = never}, o.retries);
  visit_judge_options(o, f);
}

/// NAME and what follows it in NAME=VALUE.
/// @throws BadArgument naming the option.
inline std::pair<std::string, std::string> name_and_value(const char* option, const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  if (equals == std::string::npos || name.empty() || name.find_first_not_of(letters) != std::string::npos ||
      equals + 1 == text.size()) {
    throw BadArgument(std::string(option) +
                      " takes NAME=" + (std::string_view(option) == "--reward-url" ? "URL" : "COMMAND") +
                      ", a name of letters, digits, _ and -, found '" + text + "'");
  }
  return {name, text.substr(equals + 1)};
}

/// The names of the rewards from outside, in the order of the run: commands, URLs, the judge.
inline std::vector<std::string> outside_names(const OutsideOptions& o) {
  std::vector<std::string> names;
  for (const std::string& text : o.commands) names.push_back(name_and_value("--reward-command", text).first);
  for (const std::string& text : o.urls) names.push_back(name_and_value("--reward-url", text).first);
  if (!o.judge_url.empty()) names.push_back(o.judge_name);
  return names;
}

}  // namespace maestro::examples
