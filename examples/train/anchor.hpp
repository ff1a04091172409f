#pragma once

/// @file
/// The outside signal of a run.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "maestro/data/rollouts.hpp"
#include "maestro/io/json.hpp"
#include "maestro/reward/anchor.hpp"
#include "maestro/reward/anchored_rewards.hpp"
#include "maestro/reward/any_reward.hpp"
#include "maestro/reward/demonstration_anchor.hpp"
#include "train/options.hpp"
#include "train/run_rewards.hpp"

namespace maestro::examples {

/// The anchor that --anchor names: one of the two.
template <class P>
struct ChosenAnchor {
  std::optional<RewardAnchor<AnyRewardSet<P>>> judge{};
  std::optional<DemonstrationAnchor> demonstrations{};

  bool judges() const { return judge.has_value(); }
  void score(const Rollouts& rollouts, std::span<const std::size_t> groups, std::span<float> scores) const {
    judge->score(rollouts, groups, scores);
  }
  Rollouts demonstrate(P& policy, const Rollouts& rollouts, std::vector<std::size_t>& groups) const {
    return demonstrations ? demonstrations->demonstrate(policy, rollouts, groups) : Rollouts{};
  }
  void attach(const P& policy) {
    if (judge) judge->attach(policy);
  }
  void before_step(P& policy, std::uint32_t step) {
    if (judge) judge->before_step(policy, step);
  }
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const {
    if (judge) judge->check_prompts(prompts, sampling);
    if (demonstrations) demonstrations->check_prompts(prompts, sampling);
  }
  template <class F>
  void visit_figures(F&& f) const {
    if (judge) judge->visit_figures(f);
  }
  const RewardFailures* failures() const { return judge ? judge->failures() : nullptr; }
  template <class Visitor>
  void visit_state(Visitor& v) {
    if (judge) judge->visit_state(v);
  }
};

/// Demonstrations from a column of the prompt file. Tags are asked for where the responses have them.
inline DemonstrationAnchor demonstration_anchor(const TrainOptions& o) {
  DemonstrationOptions options;
  if (!o.prompts.empty() && !uses(o, "format")) options.form = std::nullopt;
  if (o.anchor.column != "reference") {
    options.of = [column = o.anchor.column](const Prompt& prompt) -> std::string {
      if (prompt.metadata.empty()) return {};
      const Json fields = parse_json(prompt.metadata, "data row " + std::to_string(prompt.row));
      return fields.contains(column) && fields.at(column).is_string() ? fields.at(column).get<std::string>()
                                                                      : std::string();
    };
  }
  return DemonstrationAnchor(std::move(options));
}

/// @throws BadArgument for --anchor demonstrations where no prompt has one.
inline void refuse_no_demonstrations(const TrainOptions& o, std::span<const Prompt> prompts) {
  if (o.anchor.source != AnchorSource::demonstrations || demonstration_anchor(o).any_among(prompts)) return;
  throw BadArgument("--anchor demonstrations: no prompt has a '" + o.anchor.column +
                    "'; give --prompts with whole responses, and --anchor-column their key");
}

/// Takes the judge from among the rewards, and puts the anchor beside the others.
template <class P>
AnchoredRewards<AnyRewardSet<P>, ChosenAnchor<P>> with_anchor(const TrainOptions& o,
                                                              std::vector<AnyReward<P>> rewards) {
  std::optional<ChosenAnchor<P>> anchor;
  if (o.anchor.source == AnchorSource::demonstrations) anchor.emplace().demonstrations = demonstration_anchor(o);
  if (o.anchor.source == AnchorSource::judge) {
    const auto found = std::find_if(rewards.begin(), rewards.end(),
                                    [&](const AnyReward<P>& reward) { return o.anchor.takes(reward.name()); });
    if (found == rewards.end()) throw BadArgument("--anchor-reward " + o.anchor.reward + " is no reward");
    std::vector<AnyReward<P>> judge;
    judge.push_back(std::move(*found));
    rewards.erase(found);
    anchor.emplace().judge.emplace(AnyRewardSet<P>(std::move(judge)));
  }
  return {AnyRewardSet<P>(std::move(rewards)), std::move(anchor), o.anchor.asked};
}

}  // namespace maestro::examples
