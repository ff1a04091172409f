#pragma once

/// @file
/// A bounded cache of merged words, which the threads of one tokenizer share.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace maestro {

/// WordCache has one slot per hash, so a new word replaces the one in its slot. Several threads may use it at once. A
/// word always has the same tokens, so a result does not depend on which thread stored it.
class WordCache {
 public:
  static constexpr std::size_t longest_word = 64;  ///< bytes; longer words rarely occur again

  explicit WordCache(std::size_t slots = std::size_t{1} << 14) : slots_(slots) {}

  /// Appends the tokens of `word` if they are cached, and tells whether they were.
  bool append(std::string_view word, std::vector<std::int32_t>& tokens) {
    const std::size_t place = place_of(word);
    const std::lock_guard lock(mutexes_[place % mutexes_.size()]);
    const Slot& slot = slots_[place];
    if (slot.word != word) return false;
    tokens.insert(tokens.end(), slot.tokens.begin(), slot.tokens.end());
    return true;
  }

  void store(std::string_view word, std::span<const std::int32_t> tokens) {
    if (word.empty() || word.size() > longest_word) return;
    const std::size_t place = place_of(word);
    const std::lock_guard lock(mutexes_[place % mutexes_.size()]);
    slots_[place].word.assign(word);
    slots_[place].tokens.assign(tokens.begin(), tokens.end());
  }

 private:
  struct Slot {
    std::string word;
    std::vector<std::int32_t> tokens;
  };

  std::size_t place_of(std::string_view word) const { return std::hash<std::string_view>()(word) % slots_.size(); }

  std::vector<Slot> slots_;
  std::array<std::mutex, 64> mutexes_;
};

}  // namespace maestro
