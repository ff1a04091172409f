#pragma once

/// @file
/// What a policy generated for a batch of prompts.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/data/completion.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/data/ragged.hpp"

namespace maestro {

/// Rollouts holds N prompts and their B responses, packed. Row i of `tokens`, `hidden`, `finish` and `texts` belongs to
/// response i; the per-token arrays follow the offsets of `tokens`.
///
/// A policy whose actions are floats puts one row of D floats per step into `actions`, puts no_token for the step into
/// `tokens`, and leaves the texts empty. All counts of tokens (lengths, limits, micro-batches, metrics) are then counts
/// of steps. The log_probs are then logarithms of densities and the entropies are differential entropies; both may have
/// either sign.
struct Rollouts {
  std::vector<Prompt> prompts;            ///< (N)
  Groups groups;                          ///< B rows in N groups
  Ragged<std::int32_t> prompt_tokens;     ///< (N) rows
  Ragged<std::int32_t> tokens;            ///< (B) rows
  Matrix<float> actions;                  ///< (tokens x D) finite; empty if the actions are tokens
  std::vector<float> log_probs;           ///< per token, after temperature, before top-k / top-p
  std::vector<float> entropies;           ///< per token, nats
  Matrix<float> hidden;                   ///< (B x d) terminal hidden states, after the final norm
  Matrix<float> prompt_hidden;            ///< (N x d) hidden states of the prompts' last tokens, or empty
  std::vector<Finish> finish;             ///< (B)
  std::vector<std::string> texts;         ///< (B)
  std::vector<std::uint32_t> versions{};  ///< (B) of the weights that drew, by a server's count; empty: the policy's
  double temperature = 1.0;               ///< of the distribution that log_probs and entropies refer to

  std::size_t size() const { return tokens.rows(); }

  /// Gives the view of response i that rewards get. O(log N).
  Completion completion(std::size_t i) const {
    const std::size_t group = groups.group_of(i);
    const std::size_t offset = tokens.offset(i);
    const std::size_t length = tokens.length(i);
    return {.prompt = prompts[group],
            .text = texts[i],
            .tokens = tokens.row(i),
            .actions = actions.empty() ? MatrixView<const float>() : actions.view().middle_rows(offset, length),
            .log_probs = {log_probs.data() + offset, length},
            .entropies = {entropies.data() + offset, length},
            .finish = finish[i],
            .row = i,
            .group = group,
            .member = i - groups.begin(group)};
  }
};

}  // namespace maestro
