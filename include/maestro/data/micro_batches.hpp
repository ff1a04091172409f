#pragma once

/// @file
/// Micro-batches: the parts of a batch that one pass of a model reads. Each is a range of whole groups up to a number
/// of tokens.

#include <cstddef>
#include <span>

#include "maestro/data/groups.hpp"
#include "maestro/data/ragged.hpp"
#include "maestro/data/rollouts.hpp"

namespace maestro {

/// Gives the number of tokens of group `group`: those of its prompt, counted once, and those of its responses.
template <class Token>
std::size_t group_tokens(const Ragged<Token>& prompts, const Ragged<Token>& responses, const Groups& groups,
                         std::size_t group) {
  return prompts.length(group) + responses.offset(groups.end(group)) - responses.offset(groups.begin(group));
}

/// Calls body(GroupRange) for consecutive parts of `range`, in order. Each part holds at least one group, and
/// otherwise at most `limit` tokens.
template <class Token, class Body>
void for_each_micro_batch(const Ragged<Token>& prompts, const Ragged<Token>& responses, const Groups& groups,
                          GroupRange range, std::size_t limit, Body&& body) {
  const auto size = [&](std::size_t g) { return group_tokens(prompts, responses, groups, g); };
  for (std::size_t first = range.first; first < range.last;) {
    std::size_t last = first + 1;
    std::size_t held = size(first);
    while (last < range.last && held + size(last) <= limit) held += size(last++);
    body(GroupRange{first, last});
    first = last;
  }
}
/// Does the same for the prompts and responses of `rollouts`.
template <class Body>
void for_each_micro_batch(const Rollouts& rollouts, GroupRange range, std::size_t limit, Body&& body) {
  for_each_micro_batch(rollouts.prompt_tokens, rollouts.tokens, rollouts.groups, range, limit, body);
}

/// Gives the part of a per-token array of the batch that belongs to the groups of `range`. It is empty if `values` is.
template <class T>
std::span<T> tokens_of(const Rollouts& rollouts, GroupRange range, std::span<T> values) {
  if (values.empty()) return values;
  const std::size_t begin = rollouts.tokens.offset(rollouts.groups.offsets()[range.first]);
  const std::size_t end = rollouts.tokens.offset(rollouts.groups.offsets()[range.last]);
  return values.subspan(begin, end - begin);
}

}  // namespace maestro
