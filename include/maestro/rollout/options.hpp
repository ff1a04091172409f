#pragma once

/// @file
/// The choices that a policy with a rollout server has. Light, for command lines.

#include <array>
#include <cstdint>
#include <string_view>

namespace maestro {

/// RolloutDialect says which kind of server draws the responses.
enum class RolloutDialect : std::uint8_t { sglang, vllm };
inline constexpr std::array<std::string_view, 2> rollout_dialect_names{"sglang", "vllm"};

/// ServedHidden says where the terminal hidden states come from.
enum class ServedHidden : std::uint8_t {
  local,   ///< the local policy's own forward pass
  server,  ///< the server (SGLang); its state is one token earlier, for it has not read the last token
};
inline constexpr std::array<std::string_view, 2> served_hidden_names{"local", "server"};

/// MissingGroup says what happens if no call gave the responses to a prompt.
enum class MissingGroup : std::uint8_t {
  stop,   ///< the step ends with an error, before anything is learned
  leave,  ///< the step goes on without the prompt, and says so in its figures; without any prompt it stops
};
inline constexpr std::array<std::string_view, 2> missing_group_names{"stop", "leave"};

}  // namespace maestro
