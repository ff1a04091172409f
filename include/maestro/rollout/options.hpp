#pragma once

/// @file
/// The options of a policy with a rollout server. The header is light, for use in command lines.

#include <array>
#include <cstdint>
#include <string_view>

namespace maestro {

/// RolloutDialect says which kind of server draws the responses.
enum class RolloutDialect : std::uint8_t { sglang, vllm };
inline constexpr std::array<std::string_view, 2> rollout_dialect_names{"sglang", "vllm"};

/// ServedHidden says where the terminal hidden states come from.
enum class ServedHidden : std::uint8_t {
  local,   ///< from a forward pass of the local policy
  server,  ///< from the server (SGLang); they lack the last token, which it has not read
};
inline constexpr std::array<std::string_view, 2> served_hidden_names{"local", "server"};

/// MissingGroup says what happens if no call gave the responses to a prompt.
enum class MissingGroup : std::uint8_t {
  stop,   ///< the step ends with an error before anything is learned
  leave,  ///< the step continues without the prompt and counts it; without any prompt it stops
};
inline constexpr std::array<std::string_view, 2> missing_group_names{"stop", "leave"};

}  // namespace maestro
