#pragma once

/// @file
/// The report of a loss, and the counts that normalize it. Neutral.

#include <cstddef>
#include <span>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/core/platform.hpp"

namespace maestro {

/// BatchCounts holds the sizes of the whole batch over all ranks. With these divisors the micro-batch losses sum to the
/// batch loss.
struct BatchCounts {
  double tokens = 0.0;
  double responses = 0.0;  ///< empty ones count
};

/// Counts the tokens and responses of this rank's whole batch and sums them over the ranks.
/// @param offsets  (B + 1) token offsets of the responses.
template <Communicator Comm>
BatchCounts count_batch(std::span<const std::size_t> offsets, Comm& comm) {
  if (offsets.empty()) return {};
  double counts[2] = {static_cast<double>(offsets.back() - offsets.front()), static_cast<double>(offsets.size() - 1)};
  comm.all_reduce_sum(std::span<double>(counts, 2));
  return {.tokens = counts[0], .responses = counts[1]};
}

/// LossReport holds the loss and the metrics of some responses as sums in double. Adding the reports of the
/// micro-batches gives the batch's.
struct LossReport {
  double loss = 0.0;         ///< what is minimized, entropy bonus included
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

  MAESTRO_HD LossReport& operator+=(const LossReport& other);
  MAESTRO_HD friend LossReport operator+(LossReport a, const LossReport& b) {
    a += b;
    return a;
  }

  /// Sums the report over the ranks; ratio_max becomes the maximum.
  template <Communicator Comm>
  void all_reduce(Comm& comm);

 private:
  static double mean(double sum, double count) { return count > 0.0 ? sum / count : 0.0; }
};

namespace detail {

/// FieldList names fields that are treated alike. It is a list of types, since device code has no arrays that outlive a
/// call.
template <auto... fields>
struct FieldList {
  static constexpr std::size_t size = sizeof...(fields);
  template <class R>
  MAESTRO_HD static void add(R& to, const R& from) {
    ((to.*fields += from.*fields), ...);
  }
  template <class R>
  static void read(const R& from, double* values) {
    ((*values++ = from.*fields), ...);
  }
  template <class R>
  static void write(R& to, const double* values) {
    ((to.*fields = *values++), ...);
  }
};

/// LossSums lists every field of a report that is a sum.
using LossSums = FieldList<&LossReport::loss, &LossReport::policy_loss, &LossReport::tokens, &LossReport::responses,
                           &LossReport::ratios, &LossReport::ratio_sum, &LossReport::clipped_low,
                           &LossReport::clipped_high, &LossReport::kl_sum, &LossReport::kl_tokens,
                           &LossReport::kl_clamped, &LossReport::entropy_sum, &LossReport::entropy_tokens>;

}  // namespace detail

MAESTRO_HD inline LossReport& LossReport::operator+=(const LossReport& other) {
  detail::LossSums::add(*this, other);
  ratio_max = ratio_max > other.ratio_max ? ratio_max : other.ratio_max;
  return *this;
}

template <Communicator Comm>
void LossReport::all_reduce(Comm& comm) {
  constexpr std::size_t sums = detail::LossSums::size;
  std::vector<double> values(sums + comm.size(), 0.0);
  detail::LossSums::read(*this, values.data());
  values[sums + comm.rank()] = ratio_max;
  comm.all_reduce_sum(std::span<double>(values));
  detail::LossSums::write(*this, values.data());
  for (std::size_t i = sums; i < values.size(); ++i) ratio_max = values[i] > ratio_max ? values[i] : ratio_max;
}

/// report_chunks is the number of chunks of rows whose reports are summed before the chunks are. Every backend uses it,
/// so the order of the sums, and with it their bits, does not depend on threads or blocks.
inline constexpr std::size_t report_chunks = 64;

/// Gives the first row of a chunk; for chunk report_chunks that is `rows`.
MAESTRO_HD constexpr std::size_t chunk_begin(std::size_t rows, std::size_t chunk) {
  return rows * chunk / report_chunks;
}

}  // namespace maestro
