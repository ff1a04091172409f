#pragma once

/// @file
/// What a loss reports, and the counts that normalise it. Neutral.

#include <cstddef>
#include <span>
#include <vector>

#include "maestro/core/communicator.hpp"

namespace maestro {

/// Sizes of the whole batch, over all ranks: the divisors that make micro-batch losses sum to the batch loss.
struct BatchCounts {
  double tokens = 0.0;
  double responses = 0.0;  ///< empty ones count
};

/// Counts this rank's whole batch and sums over ranks.
/// @param offsets  (B + 1) token offsets of the responses.
template <Communicator Comm>
BatchCounts count_batch(std::span<const std::size_t> offsets, Comm& comm) {
  if (offsets.empty()) return {};
  double counts[2] = {static_cast<double>(offsets.back() - offsets.front()), static_cast<double>(offsets.size() - 1)};
  comm.all_reduce_sum(std::span<double>(counts, 2));
  return {.tokens = counts[0], .responses = counts[1]};
}

/// Loss and metrics of some responses. Sums in double: adding the reports of micro-batches gives the batch's.
struct LossReport {
  double loss = 0.0;         ///< what is minimised, entropy bonus included
  double policy_loss = 0.0;  ///< without the entropy bonus, KL term included (TRL's policy_loss)
  double tokens = 0.0;
  double responses = 0.0;
  double ratios = 0.0;  ///< how many ratios there are: tokens, or responses at sequence level
  double ratio_sum = 0.0;
  double ratio_max = 0.0;     ///< 0 while there is none
  double clipped_low = 0.0;   ///< ratios below 1 - epsilon_low at a negative advantage
  double clipped_high = 0.0;  ///< ratios above 1 + epsilon_high at a positive advantage
  double kl_sum = 0.0;        ///< over tokens, before beta, after kl_correction; 0 without reference
  double kl_tokens = 0.0;     ///< tokens with a reference
  double kl_clamped = 0.0;    ///< tokens whose |log pi_ref - log pi| was above 20
  double entropy_sum = 0.0;
  double entropy_tokens = 0.0;  ///< tokens with an entropy

  double kl() const { return mean(kl_sum, kl_tokens); }
  double entropy() const { return mean(entropy_sum, entropy_tokens); }
  double ratio_mean() const { return mean(ratio_sum, ratios); }
  double clip_low_fraction() const { return mean(clipped_low, ratios); }
  double clip_high_fraction() const { return mean(clipped_high, ratios); }
  double clip_region_fraction() const { return mean(clipped_low + clipped_high, ratios); }

  LossReport& operator+=(const LossReport& other) {
    for (const auto field : sums()) this->*field += other.*field;
    ratio_max = ratio_max > other.ratio_max ? ratio_max : other.ratio_max;
    return *this;
  }

  /// Sums over ranks; ratio_max becomes the maximum.
  template <Communicator Comm>
  void all_reduce(Comm& comm) {
    const std::span<double LossReport::*const> fields = sums();
    std::vector<double> values(fields.size() + comm.size(), 0.0);
    for (std::size_t i = 0; i < fields.size(); ++i) values[i] = this->*fields[i];
    values[fields.size() + comm.rank()] = ratio_max;
    comm.all_reduce_sum(std::span<double>(values));
    for (std::size_t i = 0; i < fields.size(); ++i) this->*fields[i] = values[i];
    for (std::size_t i = fields.size(); i < values.size(); ++i)
      ratio_max = values[i] > ratio_max ? values[i] : ratio_max;
  }

 private:
  static double mean(double sum, double count) { return count > 0.0 ? sum / count : 0.0; }

  /// Every field that adds up.
  static std::span<double LossReport::*const> sums() {
    static constexpr double LossReport::*fields[] = {
        &LossReport::loss,          &LossReport::policy_loss, &LossReport::tokens,      &LossReport::responses,
        &LossReport::ratios,        &LossReport::ratio_sum,   &LossReport::clipped_low, &LossReport::clipped_high,
        &LossReport::kl_sum,        &LossReport::kl_tokens,   &LossReport::kl_clamped,  &LossReport::entropy_sum,
        &LossReport::entropy_tokens};
    return fields;
  }
};

}  // namespace maestro
