#pragma once

/// @file
/// One response as a reward sees it.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "maestro/core/views.hpp"
#include "maestro/data/prompt.hpp"

namespace maestro {

/// Finish says how a response ended.
enum class Finish : std::uint8_t {
  stop,    ///< a stop token was drawn; it is the response's last token
  length,  ///< cut at the length limit
};

/// no_token stands in `tokens` for a step whose action is a row of floats. It is not an id of any vocabulary, so code
/// that reads tokens refuses it.
inline constexpr std::int32_t no_token = -1;

/// Completion is a view of one response. It is valid as long as the Rollouts it came from. A response of float actions
/// has no text, and no_token for each of its T steps.
struct Completion {
  const Prompt& prompt;
  std::string_view text;                 ///< decoded response without the stop token
  std::span<const std::int32_t> tokens;  ///< (T) with the stop token, if one was drawn
  MatrixView<const float> actions{};     ///< (T x D) what a policy of float actions drew; (0 x 0) from all others
  std::span<const float> log_probs;      ///< (T) of the drawn tokens, after temperature; densities of float actions
  std::span<const float> entropies;  ///< (T) nats, of the distribution each token was drawn from, before top-k / top-p
  Finish finish = Finish::stop;
  std::size_t row = 0;     ///< place in the batch
  std::size_t group = 0;   ///< place of its prompt in the batch
  std::size_t member = 0;  ///< place in its group
};

}  // namespace maestro
