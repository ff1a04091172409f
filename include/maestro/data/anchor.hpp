#pragma once

/// @file
/// What a trainer and an anchor exchange. An anchor is an outside signal (a judge's scores or demonstrated rewards)
/// that some groups get.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/rollouts.hpp"

namespace maestro {

/// AnchorView holds what an anchor may read of a step.
struct AnchorView {
  const Rollouts& rollouts;
  MatrixView<const float> rewards;        ///< (B x K), NaN if a reward does not apply
  std::span<const double> uncertainty{};  ///< (N) the Conductor's uncertainty about each group; empty unless asked for
  std::uint64_t seed = 0;                 ///< of the run
  std::uint32_t step = 0;                 ///< trainer step
};

/// AnchorSignal holds an anchor's result for a step.
struct AnchorSignal {
  std::vector<std::size_t> groups{};  ///< ascending: the groups that were judged
  std::vector<float> judged{};        ///< (B) NaN where the judge gave no score; empty if no judge was asked
  Matrix<float> demonstrated{};       ///< (N x K) rewards of a demonstration, NaN without one; may be empty
  double blend = 0.0;       ///< how far the advantages of judged responses move from the mixture's to the judge's
  std::size_t calls = 0;    ///< responses judged in this step
  std::uint64_t total = 0;  ///< responses judged in the run

  bool silent() const { return judged.empty() && demonstrated.empty(); }
};

/// Gives copies of the rollouts of some groups (prompts, tokens, texts and per-token figures), in the order of
/// `groups`.
/// @param groups  indices of groups in `all`.
inline Rollouts select_groups(const Rollouts& all, std::span<const std::size_t> groups) {
  Rollouts part;
  part.temperature = all.temperature;
  std::vector<std::size_t> sizes;
  std::vector<std::size_t> rows;
  for (const std::size_t g : groups) {
    sizes.push_back(all.groups.size(g));
    part.prompts.push_back(all.prompts[g]);
    part.prompt_tokens.push_row(all.prompt_tokens.row(g));
    for (std::size_t i = all.groups.begin(g); i < all.groups.end(g); ++i) rows.push_back(i);
  }
  part.groups = Groups::from_sizes(sizes);
  std::size_t tokens = 0;
  for (const std::size_t i : rows) {
    part.tokens.push_row(all.tokens.row(i));
    part.finish.push_back(all.finish[i]);
    part.texts.push_back(all.texts[i]);
    tokens += all.tokens.length(i);
  }
  const auto copy_rows = [](const Matrix<float>& from, std::size_t first, std::size_t count, Matrix<float>& to,
                            std::size_t at) {
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t j = 0; j < from.cols(); ++j) to(at + i, j) = from(first + i, j);
    }
  };
  part.hidden.resize(all.hidden.empty() ? 0 : rows.size(), all.hidden.cols());
  part.actions.resize(all.actions.empty() ? 0 : tokens, all.actions.cols());
  for (std::size_t r = 0, at = 0; r < rows.size(); ++r) {
    const std::size_t first = all.tokens.offset(rows[r]);
    const std::size_t length = all.tokens.length(rows[r]);
    part.log_probs.insert(part.log_probs.end(), all.log_probs.data() + first, all.log_probs.data() + first + length);
    part.entropies.insert(part.entropies.end(), all.entropies.data() + first, all.entropies.data() + first + length);
    if (!all.hidden.empty()) copy_rows(all.hidden, rows[r], 1, part.hidden, r);
    if (!all.actions.empty()) copy_rows(all.actions, first, length, part.actions, at);
    at += length;
  }
  return part;
}

}  // namespace maestro
