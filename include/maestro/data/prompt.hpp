#pragma once

/// @file
/// One line of training or evaluation data.

#include <cstdint>
#include <string>
#include <vector>

namespace maestro {

/// Message is one turn of a conversation.
struct Message {
  std::string role;     ///< "system", "user" or "assistant"
  std::string content;  ///< what was said

  friend bool operator==(const Message&, const Message&) = default;
};

/// Prompt holds what the policy reads, and the data that rewards may need about it.
struct Prompt {
  std::string text;               ///< what the policy reads; if there are messages, the content of the last user's
  std::string reference;          ///< the reference answer, empty if there is none
  std::string task;               ///< family name, for reports per task
  std::string metadata;           ///< everything else of the data line, as a JSON object; empty if there is nothing
  std::vector<float> features;    ///< observation for policies that read numbers instead of text
  std::vector<Message> messages;  ///< the conversation so far, the last turn the user's; empty: `text` is the prompt
  std::int64_t row = 0;           ///< place in the data set, from 0 and below 2^32; keys the random streams, so that no
                                  ///< two prompts of a run may have the same
  std::size_t line = 0;           ///< line of its file, from 1, for messages; 0: not from a file
};

}  // namespace maestro
