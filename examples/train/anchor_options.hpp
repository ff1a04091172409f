#pragma once

/// @file
/// The options of `train` for an outside signal beside the rewards.

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/option.hpp"
#include "maestro/reward/anchor.hpp"

namespace maestro::examples {

/// Where the outside signal comes from.
enum class AnchorSource : std::uint8_t { none, judge, demonstrations };
inline constexpr std::array<std::string_view, 3> anchor_source_names{"none", "judge", "demonstrations"};

struct AnchorSourceOptions {
  AnchorSource source = AnchorSource::none;
  std::string reward{};              ///< judge: which of the rewards it is
  std::string column = "reference";  ///< demonstrations: key of a prompt's line
  AnchorOptions asked{};

  /// Whether this reward is the judge, and so none of the run's own.
  bool takes(std::string_view name) const { return source == AnchorSource::judge && name == reward; }
};

/// The list of these options: see OptionList.
template <OptionsOf<AnchorSourceOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  f({.name = "anchor",
     .help = "Outside signal, from which --conductor anchored learns: {} (a reward that scores few groups; good "
             "responses in the prompt file)",
     .values = anchor_source_names},
    o.source);
  f({.name = "anchor_reward",
     .help = "The judge: one of --rewards, --reward-command, --reward-url or --judge-url, which then is no reward"},
    o.reward);
  f({.name = "anchor_column", .help = "Key, in a line of --prompts, of the whole response for demonstrations"},
    o.column);
  f({.name = "asked"}, o.asked);
}

/// Leaves the rewards that are the run's own, in their order.
/// @throws BadArgument if the judge is not among them, or if it is all there is.
inline std::vector<std::string> without_judge(const AnchorSourceOptions& o, std::vector<std::string> names) {
  if (o.source != AnchorSource::judge) return names;
  if (o.reward.empty()) throw BadArgument("--anchor judge needs --anchor-reward, one of the rewards");
  index_of_name("--anchor-reward", o.reward, std::vector<std::string_view>(names.begin(), names.end()));
  names.erase(std::find(names.begin(), names.end(), o.reward));
  if (names.empty()) {
    throw BadArgument("--anchor-reward " + o.reward + ": the judge is no reward, and there is no other; add one");
  }
  return names;
}

}  // namespace maestro::examples
