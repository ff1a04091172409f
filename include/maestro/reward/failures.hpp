#pragma once

/// @file
/// Failures of rewards. A reward fails if a call gives no score because of an error, not because the reward does not
/// apply. The score of a failed call is missing, never 0.

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/rollouts.hpp"

namespace maestro {

/// OnError says what happens if the reward of a response fails.
enum class OnError : std::uint8_t {
  stop,        ///< the run ends with an error; run_loop saves a checkpoint before
  skip_group,  ///< all rewards of all responses to its prompt are missing, so that the step learns nothing from them
  missing,     ///< this reward is missing for this response, as one that does not apply
};
inline constexpr std::array<std::string_view, 3> on_error_names{"stop", "skip_group", "missing"};

/// RewardFailed reports a failed reward under OnError::stop. The message names reward, data row, prompt and response.
class RewardFailed : public BadData {
 public:
  using BadData::BadData;
};

/// RewardFailures holds the failures of the last batch that a reward scored.
struct RewardFailures {
  std::vector<std::size_t> rows;  ///< ascending: the responses without a score because of a failure
  std::string reason;             ///< of the first of them, its place included; empty if none failed
  std::uint64_t retries = 0;      ///< calls made again after a failure
  OnError treatment = OnError::missing;
};

/// ReportsFailures holds for a reward that reports the failures of its last batch.
template <class R>
concept ReportsFailures = requires(const R& reward) {
  { reward.failures() } -> std::convertible_to<const RewardFailures&>;
};

namespace detail {

/// Marks all rewards of the groups of failed responses as missing (NaN) if the treatment is OnError::skip_group.
inline void skip_failed_groups(const RewardFailures& failures, const Rollouts& rollouts, MatrixView<float> rewards) {
  if (failures.treatment != OnError::skip_group) return;
  for (const std::size_t row : failures.rows) {
    const std::size_t group = rollouts.groups.group_of(row);
    for (std::size_t i = rollouts.groups.begin(group); i < rollouts.groups.end(group); ++i) {
      for (std::size_t k = 0; k < rewards.cols(); ++k) rewards(i, k) = std::numeric_limits<float>::quiet_NaN();
    }
  }
}

}  // namespace detail

}  // namespace maestro
