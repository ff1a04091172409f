#pragma once

/// @file
/// The layout in which a transformer runs a batch: prompt_1 | r_11 | ... | r_1G | prompt_2 | ... It has no padding, and
/// it stores the prompt of a group once.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/data/ragged.hpp"
#include "maestro/data/rollouts.hpp"

namespace maestro {

/// PromptRows says whether the responses of a group share the rows of their prompt, or each has its own copy.
enum class PromptRows : std::uint8_t { shared, separate };
/// LastToken says whether the last token of a response becomes a row. The terminal hidden state needs this row;
/// teacher forcing does not.
enum class LastToken : std::uint8_t { omit, feed };

/// PackOptions says which rows a packed batch has.
struct PackOptions {
  PromptRows prompts = PromptRows::shared;
  LastToken last_token = LastToken::omit;
};

/// Segment is a run of consecutive rows. They attend causally to each other, and to all `prefix_rows` rows from
/// `prefix_begin` on.
struct Segment {
  std::size_t begin = 0;
  std::size_t rows = 0;
  std::size_t prefix_begin = 0;
  std::size_t prefix_rows = 0;
};

/// PackedBatch holds rows of tokens and their positions, says which rows attend to which, and gives for each response
/// token the row that predicts it. Reusing an object reuses its storage.
class PackedBatch {
 public:
  /// Packs groups [first, last). `targets` and `predictors` are in the order of the responses' tokens, starting at the
  /// first response of group `first`. A response without tokens has no targets, and its terminal row is that of the
  /// prompt.
  /// @throws BadArgument naming a prompt without tokens, or for groups out of range.
  void pack(const Ragged<std::int32_t>& prompts, const Ragged<std::int32_t>& responses, const Groups& groups,
            std::size_t first, std::size_t last, const PackOptions& options = {}) {
    if (first > last || last > groups.count() || prompts.rows() < last || responses.rows() < groups.offsets()[last]) {
      throw BadArgument("packed batch: groups " + std::to_string(first) + " .. " + std::to_string(last) +
                        " are not in the batch");
    }
    clear();
    for (std::size_t g = first; g < last; ++g) {
      const std::span<const std::int32_t> prompt = prompts.row(g);
      if (prompt.empty()) {
        throw BadArgument("packed batch: the prompt of group " + std::to_string(g) +
                          " has no tokens; begin it with a begin-of-sequence token");
      }
      if (options.prompts == PromptRows::shared) {
        const std::size_t begin = push_prompt(prompt);
        for (std::size_t i = groups.begin(g); i < groups.end(g); ++i) {
          push_response(begin, prompt.size(), responses.row(i), options.last_token);
        }
        close_group();
      } else {
        for (std::size_t i = groups.begin(g); i < groups.end(g); ++i) {
          push_response(push_prompt(prompt), prompt.size(), responses.row(i), options.last_token);
          close_group();
        }
      }
    }
  }
  /// Packs groups [first, last) of rollouts.
  /// @throws BadArgument as the other overload does, and if the actions of the rollouts are floats.
  void pack(const Rollouts& rollouts, std::size_t first, std::size_t last, const PackOptions& options = {}) {
    require(rollouts.actions.empty(),
            "packed batch: the responses' actions are floats (Rollouts::actions); a transformer reads tokens");
    pack(rollouts.prompt_tokens, rollouts.tokens, rollouts.groups, first, last, options);
  }
  /// Packs prompts only, for the start of decoding. Each prompt is one segment, and its last row is in `terminal_rows`.
  /// There are no targets.
  /// @throws BadArgument naming a prompt without tokens.
  void pack_prompts(const Ragged<std::int32_t>& prompts) {
    clear();
    for (std::size_t i = 0; i < prompts.rows(); ++i) {
      if (prompts.length(i) == 0) {
        throw BadArgument("packed batch: prompt " + std::to_string(i) +
                          " has no tokens; begin it with a begin-of-sequence token");
      }
      push_prompt(prompts.row(i));
      terminal_rows_.push_back(tokens_.size() - 1);
      close_group();
    }
  }
  /// Adds one sequence whose row t predicts token t + 1, as in plain language modeling. `clear` must be called before
  /// the first sequence.
  /// @throws BadArgument if the sequence is empty.
  void push_sequence(std::span<const std::int32_t> sequence) {
    require(!sequence.empty(), "packed batch: a sequence has no tokens");
    const std::size_t begin = push_prompt(sequence);
    for (std::size_t t = 1; t < sequence.size(); ++t) {
      predictors_.push_back(begin + t - 1);
      targets_.push_back(sequence[t]);
    }
    terminal_rows_.push_back(tokens_.size() - 1);
    close_group();
  }
  void clear() {
    tokens_.clear();
    positions_.clear();
    segments_.clear();
    clusters_.assign(1, 0);
    predictors_.clear();
    targets_.clear();
    terminal_rows_.clear();
    prompt_rows_ = 0;
    longest_ = 0;
  }

  /// Gives the number of rows of the forward pass.
  std::size_t rows() const { return tokens_.size(); }
  /// Gives the number of rows that hold prompt tokens. It is smaller if prompts are shared.
  std::size_t prompt_rows() const { return prompt_rows_; }
  std::span<const std::int32_t> tokens() const { return tokens_; }        ///< (rows)
  std::span<const std::int32_t> positions() const { return positions_; }  ///< (rows) from 0 in each sequence
  std::span<const Segment> segments() const { return segments_; }         ///< a prefix comes before those that use it
  /// Gives offsets into segments. The segments of one cluster use only rows of that cluster.
  std::span<const std::size_t> clusters() const { return clusters_; }
  std::size_t cluster_count() const { return clusters_.size() - 1; }
  /// Gives the largest number of keys that one row attends to.
  std::size_t longest() const { return longest_; }
  std::span<const std::size_t> predictors() const { return predictors_; }        ///< (targets) row that predicts it
  std::span<const std::int32_t> targets() const { return targets_; }             ///< tokens to be predicted
  std::span<const std::size_t> terminal_rows() const { return terminal_rows_; }  ///< (responses) last row of each

 private:
  std::size_t push_prompt(std::span<const std::int32_t> prompt) {
    const std::size_t begin = tokens_.size();
    push_rows(prompt, 0);
    prompt_rows_ += prompt.size();
    segments_.push_back({begin, prompt.size(), begin, 0});
    longest_ = longest_ > prompt.size() ? longest_ : prompt.size();
    return begin;
  }
  void push_response(std::size_t prompt_begin, std::size_t prompt_size, std::span<const std::int32_t> response,
                     LastToken last) {
    const std::size_t begin = tokens_.size();
    const std::size_t prompt_end = prompt_begin + prompt_size - 1;
    for (std::size_t t = 0; t < response.size(); ++t) {
      predictors_.push_back(t == 0 ? prompt_end : begin + t - 1);
      targets_.push_back(response[t]);
    }
    const std::size_t fed = response.empty() || last == LastToken::feed ? response.size() : response.size() - 1;
    push_rows(response.first(fed), prompt_size);
    if (fed > 0) segments_.push_back({begin, fed, prompt_begin, prompt_size});
    longest_ = longest_ > prompt_size + fed ? longest_ : prompt_size + fed;
    terminal_rows_.push_back(fed == 0 ? prompt_end : begin + fed - 1);
  }
  void push_rows(std::span<const std::int32_t> tokens, std::size_t position) {
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      tokens_.push_back(tokens[t]);
      positions_.push_back(static_cast<std::int32_t>(position + t));
    }
  }
  void close_group() { clusters_.push_back(segments_.size()); }

  std::vector<std::int32_t> tokens_;
  std::vector<std::int32_t> positions_;
  std::vector<Segment> segments_;
  std::vector<std::size_t> clusters_{0};
  std::vector<std::size_t> predictors_;
  std::vector<std::int32_t> targets_;
  std::vector<std::size_t> terminal_rows_;
  std::size_t prompt_rows_ = 0;
  std::size_t longest_ = 0;
};

}  // namespace maestro
