#pragma once

/// @file
/// The tokens of prompts that were encoded before.

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "maestro/data/prompt.hpp"

namespace maestro {

/// PromptTokens remembers the tokens of prompts, so that the checks before a run, the estimate of its memory, the steps
/// and the copies of a policy encode each prompt once. It serves one tokenizer with one set of options. A prompt is
/// known by its data row, and its text and messages are compared, so another prompt of the same row is encoded anew.
/// Use from several threads is safe.
class PromptTokens {
 public:
  /// Bytes of texts and tokens that are remembered; what exceeds them is encoded each time.
  static constexpr std::size_t max_bytes = std::size_t{1} << 25;

  /// Gives the tokens of `prompt`: those remembered, or else encode(prompt), which are then remembered. What `encode`
  /// throws is passed on.
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
