#pragma once

/// @file
/// The options of `train` for rollouts from a server.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "maestro/core/option.hpp"
#include "maestro/rollout/gap.hpp"
#include "maestro/rollout/options.hpp"

namespace maestro::examples {

struct RolloutOptions {
  std::string url{};  ///< empty: the program draws by itself
  RolloutDialect dialect = RolloutDialect::sglang;
  std::string model{};
  std::string key{};            ///< the name of an environment variable
  std::string folder{};         ///< empty: rollout_weights in --output
  std::string server_folder{};  ///< empty: the same
  ServedHidden hidden = ServedHidden::local;
  MissingGroup missing = MissingGroup::stop;
  std::size_t ahead = 0;
  double max_gap = GapBounds{}.mean;
  double max_token_gap = GapBounds{}.max;
  std::size_t concurrency = 16;
  double timeout = 600.0;
  std::uint32_t retries = 4;
};

/// The list of these options: see OptionList.
template <OptionsOf<RolloutOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  constexpr Recorded rare = Recorded::unless_default;
  constexpr Recorded never = Recorded::never;
  f({.name = "rollout_url",
     .help = "Server that draws the responses, http://host:port; empty: the program does",
     .recorded = never},
    o.url);
  f({.name = "rollout_dialect",
     .help = "What the server is: {} (adapters alone)",
     .values = rollout_dialect_names,
     .recorded = rare},
    o.dialect);
  f({.name = "rollout_model", .help = "The base as vLLM names it; required there", .recorded = never}, o.model);
  f({.name = "rollout_folder",
     .help = "Folder that the server reads new weights from; empty: rollout_weights in --output",
     .recorded = never},
    o.folder);
  f({.name = "rollout_server_folder",
     .help = "The same folder by the name that it has where the server runs; empty: the same",
     .recorded = never},
    o.server_folder);
  f({.name = "rollout_hidden",
     .help = "Whose hidden states the Conductor sees: {} (SGLang; one token earlier)",
     .values = served_hidden_names,
     .recorded = rare},
    o.hidden);
  f({.name = "rollout_ahead",
     .help = "Batches drawn while the program trains, by weights up to as many updates old; needs "
             "--importance-correction",
     .recorded = rare},
    o.ahead);
  f({.name = "rollout_max_gap",
     .help = "Mean difference of log-probs between server and policy, nats, above which the run stops; 0: none",
     .recorded = never},
    o.max_gap);
  f({.name = "rollout_max_token_gap",
     .help = "Largest difference of one token at which the run stops; 0: none",
     .recorded = never},
    o.max_token_gap);
  f({.name = "on_missing_group",
     .help = "What the run does where the server never answers for a prompt: {} it out of the step",
     .values = missing_group_names,
     .recorded = rare},
    o.missing);
  f({.name = "rollout_key_env", .help = "Environment variable with the server's key; empty: none", .recorded = never},
    o.key);
  f({.name = "rollout_concurrency", .help = "Prompts in flight", .recorded = never}, o.concurrency);
  f({.name = "rollout_timeout", .help = "Seconds for one call to the server", .recorded = never}, o.timeout);
  f({.name = "rollout_retries", .help = "Further calls after one failed", .recorded = never}, o.retries);
}

}  // namespace maestro::examples
