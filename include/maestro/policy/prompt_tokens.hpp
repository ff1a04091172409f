#pragma once

/// @file
/// A cache of the tokens of prompts.

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "maestro/data/prompt.hpp"

namespace maestro {

/// PromptTokens caches the tokens of prompts, so that each prompt is encoded once for the checks before a run, the
/// memory estimate, the steps and the copies of a policy. It serves one tokenizer with one set of options. Entries are
/// found by data row, and text and messages are compared, so a different prompt of the same row is encoded again.
/// Several threads may use it at once.
class PromptTokens {
 public:
  /// The largest size of all cached texts and tokens in bytes. Prompts beyond it are encoded each time.
  static constexpr std::size_t max_bytes = std::size_t{1} << 25;

  /// Gives the tokens of `prompt` from the cache. If they are not there, it calls encode(prompt) and caches the result.
  /// @throws what `encode` throws.
  template <class Encode>
  std::vector<std::int32_t> get(const Prompt& prompt, const Encode& encode) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = entries_.find(prompt.row);
      if (found != entries_.end() && found->second.is_of(prompt)) return found->second.tokens;
    }
    Entry entry{prompt.text, prompt.messages, encode(prompt)};
    std::vector<std::int32_t> tokens = entry.tokens;
    keep(prompt.row, std::move(entry));
    return tokens;
  }

 private:
  struct Entry {
    std::string text;
    std::vector<Message> messages;
    std::vector<std::int32_t> tokens;

    bool is_of(const Prompt& prompt) const { return text == prompt.text && messages == prompt.messages; }
    std::size_t bytes() const {
      std::size_t sum = sizeof(Entry) + text.size() + tokens.size() * sizeof(std::int32_t);
      for (const Message& message : messages) sum += sizeof(Message) + message.role.size() + message.content.size();
      return sum;
    }
  };

  void keep(std::int64_t row, Entry entry) {
    const std::lock_guard lock(mutex_);
    const auto old = entries_.find(row);
    const std::size_t rest = bytes_ - (old == entries_.end() ? 0 : old->second.bytes());
    const std::size_t added = entry.bytes();
    if (rest + added > max_bytes) return;
    bytes_ = rest + added;
    entries_[row] = std::move(entry);
  }

  std::mutex mutex_;
  std::unordered_map<std::int64_t, Entry> entries_;
  std::size_t bytes_ = 0;
};

}  // namespace maestro
