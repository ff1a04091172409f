#pragma once

/// @file
/// Merges of byte-pair encoding: the table of pairs, and the loop that applies it to one word. Source: Sennrich et al.
/// 2016, "Neural Machine Translation of Rare Words with Subword Units", algorithm 1.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "maestro/core/error.hpp"

namespace maestro {

/// Merge is a pair of neighboring tokens that become one. Its index in the list is its rank, and low ranks are applied
/// first.
struct Merge {
  std::int32_t left = 0;
  std::int32_t right = 0;
  std::int32_t result = 0;

  friend bool operator==(const Merge&, const Merge&) = default;
};

/// MergeTable is a hash table from a pair to its rank and result. The object does not change after its construction, so
/// several threads may use it at once.
class MergeTable {
 public:
  static constexpr std::uint32_t no_rank = std::numeric_limits<std::uint32_t>::max();

  MergeTable() = default;
  /// Makes the table. A pair that is listed twice keeps its last rank, as in the `tokenizers` library.
  /// @throws BadArgument for a negative id or too many merges.
  explicit MergeTable(std::span<const Merge> merges) {
    require(merges.size() < no_rank / 4, "merges: too many");
    slots_.resize(std::bit_ceil(2 * merges.size() + 1));
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
      const Merge& merge = merges[rank];
      require(merge.left >= 0 && merge.right >= 0 && merge.result >= 0, "merges: ids must be 0 or more");
      Slot& slot = slots_[place(key(merge.left, merge.right))];
      slot = {key(merge.left, merge.right), static_cast<std::uint32_t>(rank), merge.result};
    }
  }

  /// Merges, in place, the pair of the lowest rank, the leftmost if there are several, until no pair is left. `symbols`
  /// holds ids of at least 0, fewer than 2^31 of them. It takes O(n log n) for long words.
  void apply(std::vector<std::int32_t>& symbols) const {
    if (symbols.size() < 2 || slots_.empty()) return;
    if (symbols.size() <= short_word) {
      apply_by_scanning(symbols);
    } else {
      apply_by_heap(symbols);
    }
  }

 private:
  static constexpr std::uint64_t empty = ~std::uint64_t{0};
  static constexpr std::size_t short_word = 32;

  struct Slot {
    std::uint64_t key = empty;
    std::uint32_t rank = no_rank;
    std::int32_t result = 0;
  };

  static std::uint64_t key(std::int32_t left, std::int32_t right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) | static_cast<std::uint32_t>(right);
  }
  /// Gives the slot of a key, or the empty slot for it.
  std::size_t place(std::uint64_t wanted) const {
    std::uint64_t hash = wanted * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = static_cast<std::size_t>(hash) & mask;
    while (slots_[slot].key != wanted && slots_[slot].key != empty) slot = (slot + 1) & mask;
    return slot;
  }
  const Slot& find(std::int32_t left, std::int32_t right) const { return slots_[place(key(left, right))]; }
  std::uint32_t rank(std::int32_t left, std::int32_t right) const { return find(left, right).rank; }

  /// Merges by repeated scans. This is quadratic, but faster than a heap for the few symbols of a usual word.
  void apply_by_scanning(std::vector<std::int32_t>& symbols) const {
    std::array<std::uint32_t, short_word> ranks;  // of the pair that starts at each symbol
    std::size_t count = symbols.size();
    for (std::size_t i = 0; i + 1 < count; ++i) ranks[i] = rank(symbols[i], symbols[i + 1]);
    while (count > 1) {
      const auto last = ranks.begin() + static_cast<std::ptrdiff_t>(count - 1);
      const auto lowest = std::min_element(ranks.begin(), last);
      if (*lowest == no_rank) break;
      const auto at = static_cast<std::size_t>(lowest - ranks.begin());
      symbols[at] = find(symbols[at], symbols[at + 1]).result;
      --count;
      for (std::size_t i = at + 1; i < count; ++i) {
        symbols[i] = symbols[i + 1];
        ranks[i - 1] = ranks[i];
      }
      if (at + 1 < count) ranks[at] = rank(symbols[at], symbols[at + 1]);
      if (at > 0) ranks[at - 1] = rank(symbols[at - 1], symbols[at]);
    }
    symbols.resize(count);
  }

  /// Merges with the symbols in a linked list and the pairs in a heap, ordered by rank, then by position. A pair that
  /// changed after it was queued has another rank, since each rank belongs to one pair.
  void apply_by_heap(std::vector<std::int32_t>& symbols) const {
    require(symbols.size() < (std::size_t{1} << 31), "merges: a word of 2^31 bytes or more");
    const auto count = static_cast<std::uint32_t>(symbols.size());
    constexpr std::int32_t gone = -1;
    std::vector<std::uint32_t> next(count);
    std::vector<std::uint32_t> previous(count);  // count: none, for both
    std::vector<std::uint64_t> heap;
    const auto queue = [&](std::uint32_t at) {
      const std::uint32_t r = rank(symbols[at], symbols[next[at]]);
      if (r != no_rank) heap.push_back((std::uint64_t{r} << 32) | at);
      return r != no_rank;
    };
    for (std::uint32_t i = 0; i < count; ++i) {
      next[i] = i + 1;
      previous[i] = i == 0 ? count : i - 1;
    }
    for (std::uint32_t i = 0; i + 1 < count; ++i) queue(i);
    std::make_heap(heap.begin(), heap.end(), std::greater<>());
    while (!heap.empty()) {
      const auto queued = static_cast<std::uint32_t>(heap.front() >> 32);
      const auto at = static_cast<std::uint32_t>(heap.front());
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      heap.pop_back();
      if (symbols[at] == gone || next[at] == count) continue;
      const std::uint32_t right = next[at];
      const Slot& merge = find(symbols[at], symbols[right]);
      if (merge.rank != queued) continue;
      symbols[at] = merge.result;
      symbols[right] = gone;
      next[at] = next[right];
      if (next[at] < count) previous[next[at]] = at;
      if (previous[at] < count && queue(previous[at])) std::push_heap(heap.begin(), heap.end(), std::greater<>());
      if (next[at] < count && queue(at)) std::push_heap(heap.begin(), heap.end(), std::greater<>());
    }
    std::erase(symbols, gone);
  }

  std::vector<Slot> slots_;
};

}  // namespace maestro
