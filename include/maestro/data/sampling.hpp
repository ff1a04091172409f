#pragma once

/// @file
/// The options of sampling.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/data/prompt.hpp"

namespace maestro {

/// Decoding says whether each token is drawn, or the most probable one is taken.
enum class Decoding : std::uint8_t { sample, greedy };

/// Sampling holds the options of drawing responses, under TRL's names. The filters apply in the order top-k, top-p,
/// min-p to the distribution after temperature; each keeps at least one token.
struct Sampling {
  std::size_t num_generations = 8;          ///< G, responses per prompt
  std::size_t max_completion_length = 256;  ///< tokens of a response, the stop token included; at least 1
  double temperature = 1.0;                 ///< above 0
  std::size_t top_k = 0;                    ///< keep the k most probable tokens; 0: all
  double top_p = 1.0;                       ///< keep the smallest set whose probability reaches top_p, in (0, 1]
  double min_p = 0.0;                       ///< keep tokens with p >= min_p * max p, in [0, 1)
  Decoding decoding = Decoding::sample;
  std::vector<std::int32_t> stop_tokens{};  ///< besides the tokenizer's own end token
  /// The penalty p is at least 1; 1 turns it off. If a token is in the prompt or the response already, its logit z
  /// becomes z / p if z is above 0, else z p, before temperature and filters. Like the filters it changes what is
  /// drawn, not the log-probs.
  double repetition_penalty = 1.0;
  std::vector<std::string> stop_texts{};  ///< a response also ends with the token that completes one of these
};

/// Lists the sampling options; see OptionList.
template <OptionsOf<Sampling> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "num_generations", .help = "Responses per prompt (G)"}, s.num_generations);
  f({.name = "max_completion_length", .help = "Tokens of a response at most"}, s.max_completion_length);
  f({.name = "temperature", .help = "Sampling temperature, > 0"}, s.temperature);
  f({.name = "top_k", .help = "Keep the k most probable tokens; 0: all"}, s.top_k);
  f({.name = "top_p", .help = "Keep the smallest set of tokens with this probability"}, s.top_p);
  f({.name = "min_p", .help = "Keep tokens at least this probable, relative to the best"}, s.min_p);
  f({.name = "decoding", .recorded = Recorded::unless_default}, s.decoding);
  f({.name = "stop_tokens", .recorded = Recorded::unless_default}, s.stop_tokens);
  f({.name = "repetition_penalty",
     .help = "Divides the logits of tokens that prompt or response have already; 1: none",
     .recorded = Recorded::unless_default},
    s.repetition_penalty);
  f({.name = "stop",
     .help = "Texts that end a response, with commas between them; they stay in it",
     .recorded = Recorded::unless_default},
    s.stop_texts);
}

/// Refuses sampling options outside their documented domain.
/// @throws BadArgument naming the option and the remedy.
inline void check(const Sampling& sampling) {
  const auto shown = [](double value) { return std::to_string(value); };
  if (sampling.num_generations == 0) throw BadArgument("sampling: num_generations must be at least 1");
  if (sampling.num_generations > (std::size_t{1} << 24)) {
    throw BadArgument("sampling: num_generations must be at most 2^24, the random streams' limit");
  }
  if (sampling.max_completion_length == 0) throw BadArgument("sampling: max_completion_length must be at least 1");
  if (sampling.max_completion_length > std::numeric_limits<std::uint32_t>::max()) {
    throw BadArgument("sampling: max_completion_length must be below 2^32");
  }
  if (!(sampling.temperature > 0.0) || !std::isfinite(sampling.temperature)) {
    throw BadArgument("sampling: temperature must be positive and finite, not " + shown(sampling.temperature) +
                      "; for the most probable token set decoding = Decoding::greedy");
  }
  if (!(sampling.top_p > 0.0 && sampling.top_p <= 1.0)) {
    throw BadArgument("sampling: top_p must be in (0, 1], not " + shown(sampling.top_p) + "; 1 keeps all tokens");
  }
  if (!(sampling.min_p >= 0.0 && sampling.min_p < 1.0)) {
    throw BadArgument("sampling: min_p must be in [0, 1), not " + shown(sampling.min_p) + "; 0 keeps all tokens");
  }
  if (!(sampling.repetition_penalty >= 1.0) || !std::isfinite(sampling.repetition_penalty)) {
    throw BadArgument("sampling: repetition_penalty must be at least 1, not " + shown(sampling.repetition_penalty) +
                      "; 1 is none");
  }
  for (const std::string& text : sampling.stop_texts) {
    if (text.empty()) throw BadArgument("sampling: a stop text must not be empty");
  }
}

/// Refuses sampling options that only a policy over text knows.
/// @throws BadArgument naming the policy and the option.
inline void refuse_text_options(const Sampling& sampling, const std::string& policy) {
  if (sampling.repetition_penalty != 1.0) {
    throw BadArgument(policy + ": repetition_penalty is for policies over text; leave it at 1");
  }
  if (!sampling.stop_texts.empty()) throw BadArgument(policy + ": its responses are no texts; leave stop_texts empty");
}

/// DrawKey is the part of the random key that one generation shares; data row, response_number and position complete
/// it.
struct DrawKey {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::span<const Prompt> earlier{};  ///< prompts of the same step that stand before these: see token_stream
};

}  // namespace maestro
