#pragma once

/// @file
/// An anchor without a judge: demonstrations, which the Conductor learns to tell from the policy's own responses.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/anchor.hpp"
#include "maestro/data/micro_batches.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/reward/excerpt.hpp"
#include "maestro/reward/tag_format.hpp"

namespace maestro {

/// DemonstrationOptions says where the demonstrations come from, and what form they must have.
struct DemonstrationOptions {
  /// Gives the whole demonstration for a prompt, as the policy would write it; empty if there is none. If the function
  /// is not set, the prompt's reference is taken.
  std::function<std::string(const Prompt&)> of{};
  /// The tags that responses have; nullopt if the policy's responses have none. A bare answer beside tagged responses
  /// differs by its form alone, and leads to weights that make a run collapse.
  std::optional<TagNames> form = TagNames{};
  std::size_t micro_batch_tokens = 2048;  ///< tokens of one pass of the policy over the outside responses, at least 1
};

/// DemonstrationAnchor adds a demonstration to every group whose prompt has one. The run's own rewards score it, and
/// the AnchoredConductor learns the weights that separate it from the group. So the Conductor also learns about
/// qualities that no response of the group has. The cost is one forward pass of the policy over the demonstrations,
/// which gives the entropies that rewards may read, and no call. Rewards that rank the responses of a group score it
/// alone, so their ranks tell nothing about it. This is a research option: no gain over supervised training on the same
/// data has been shown. The policy must have a tokenizer.
class DemonstrationAnchor {
 public:
  /// @throws BadArgument if micro_batch_tokens is 0.
  explicit DemonstrationAnchor(DemonstrationOptions options = {}) : options_(std::move(options)) {
    require(options_.micro_batch_tokens > 0, "demonstrations: micro_batch_tokens must be at least 1");
    if (options_.form) structure_.emplace(*options_.form);
  }

  /// Refuses demonstrations of another form.
  /// @throws BadArgument naming the first prompt whose demonstration lacks the form.
  void check_prompts(std::span<const Prompt> prompts, const Sampling&) const {
    for (const Prompt& prompt : prompts) static_cast<void>(checked(prompt));
  }
  /// Tells whether any of the prompts has a demonstration; without one there is nothing to learn from.
  /// @throws BadArgument as check_prompts.
  bool any_among(std::span<const Prompt> prompts) const {
    return std::any_of(prompts.begin(), prompts.end(), [this](const Prompt& p) { return !checked(p).empty(); });
  }

  /// Gives the demonstrations as rollouts with one response for each group of `groups`, which it sets to the indices of
  /// the groups that have a demonstration. Log-probs and entropies are the policy's; there are no hidden states.
  template <class P>
  Rollouts demonstrate(P& policy, const Rollouts& rollouts, std::vector<std::size_t>& groups) const {
    Rollouts result;
    result.temperature = rollouts.temperature;
    for (std::size_t g = 0; g < rollouts.groups.count(); ++g) {
      const std::string text = checked(rollouts.prompts[g]);
      if (text.empty()) continue;
      groups.push_back(g);
      std::vector<std::int32_t> tokens = policy.tokenizer().encode(text);
      tokens.push_back(static_cast<std::int32_t>(policy.tokenizer().end_token()));
      result.prompts.push_back(rollouts.prompts[g]);
      result.prompt_tokens.push_row(rollouts.prompt_tokens.row(g));
      result.tokens.push_row(tokens);
      result.finish.push_back(Finish::stop);
      result.texts.push_back(text);
    }
    result.groups = Groups::uniform(groups.size(), 1);
    result.log_probs.resize(result.tokens.size());
    result.entropies.resize(result.tokens.size());
    for_each_micro_batch(result, {0, groups.size()}, options_.micro_batch_tokens, [&](GroupRange range) {
      policy.forward(result, range, tokens_of(result, range, std::span<float>(result.log_probs)),
                     tokens_of(result, range, std::span<float>(result.entropies)));
    });
    return result;
  }

 private:
  std::string checked(const Prompt& prompt) const {
    std::string text = options_.of ? options_.of(prompt) : prompt.reference;
    if (text.empty() || !structure_ || structure_->parse(text).valid) return text;
    throw BadArgument("demonstrations: the outside response of data row " + std::to_string(prompt.row) + " (\"" +
                      excerpt(text) +
                      "\") has not the form of a response, its tags in their order and nothing beside " +
                      "them; give whole responses, not bare answers");
  }

  DemonstrationOptions options_;
  std::optional<TagStructure> structure_;
};

}  // namespace maestro
