#pragma once

/// @file
/// A reward for the certainty (low entropy) of the policy.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/reward/group_rank.hpp"

namespace maestro {

/// EntropySign says which entropy is rewarded.
enum class EntropySign : unsigned char {
  certain,  ///< low entropy is good (EM-RL)
  varied,   ///< high entropy is good
};

/// RewardScale says whether a reward is the rank in the group or the raw value.
enum class RewardScale : unsigned char { group_rank, raw };

/// EntropyOptions holds the options of the Entropy reward.
struct EntropyOptions {
  EntropySign sign = EntropySign::certain;
  RewardScale scale = RewardScale::group_rank;
};

/// Entropy rewards the mean entropy of the distributions from which a response's tokens were drawn, H = sum_t H_t / T
/// in nats. Ranked, it is (n - rank)/n in (0, 1] inside the group, 1 for the best (rank_in_groups). Raw, it is -H, or H
/// for EntropySign::varied. An empty response has no entropy, and the reward does not apply. For float actions H is the
/// differential entropy.
/// Source: MAESTRO's entropy reward after EM-RL [2505.15134], ranked; the sign is an option of ours.
class Entropy {
 public:
  static constexpr std::string_view name = "entropy";

  explicit Entropy(EntropyOptions options = {}) : options_(options) {}

  void operator()(const Rollouts& rollouts, std::span<float> scores) const {
    std::vector<float> values(rollouts.size(), std::numeric_limits<float>::quiet_NaN());
    const double sign = options_.sign == EntropySign::certain ? -1.0 : 1.0;
    for (std::size_t i = 0; i < rollouts.size(); ++i) {
      const std::span<const float> entropies = rollouts.completion(i).entropies;
      if (entropies.empty()) continue;
      const double sum = ordered_sum(entropies.data(), entropies.size());
      if (!std::isfinite(sum)) {
        throw BadData("the token entropies of response " + std::to_string(i) + " of the batch are not finite");
      }
      values[i] = static_cast<float>(sign * sum / static_cast<double>(entropies.size()));
    }
    if (options_.scale == RewardScale::group_rank) {
      rank_in_groups(rollouts.groups, values, Best::highest, scores);
    } else {
      std::copy(values.begin(), values.end(), scores.begin());
    }
  }

 private:
  EntropyOptions options_;
};

}  // namespace maestro
