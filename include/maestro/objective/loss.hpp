#pragma once

/// @file
/// The policy loss of a micro-batch: value, and gradient with respect to per-token log-probs and entropies. Neutral.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/objective/objective.hpp"
#include "maestro/objective/report.hpp"
#include "maestro/objective/surrogates.hpp"
#include "maestro/objective/token_loss.hpp"

namespace maestro {

/// LossInput is a micro-batch of b responses with t tokens in all, packed.
template <class T>
struct LossInput {
  std::span<const T> log_probs;              ///< (t) of the policy being trained
  std::span<const T> old_log_probs{};        ///< (t) of the policy that generated; empty: on-policy, ratio exactly 1
  std::span<const T> reference_log_probs{};  ///< (t); may be empty if beta is 0 or the KL sits in the reward
  std::span<const T> entropies{};            ///< (t) nats; may be empty if entropy_bonus is 0
  std::span<const std::size_t> offsets;      ///< (b + 1) token offsets; may start anywhere (a slice of the batch's)
  std::span<const float> advantages;         ///< (b)
  BatchCounts batch;                         ///< of the whole batch over all ranks, by count_batch
  std::span<const float> weights{};          ///< (t) factors of the surrogate: see importance_weights; empty: 1
  std::span<const unsigned char> masked{};   ///< (b) not 0: no gradient from the response; may be empty
  std::size_t first_row = 0;                 ///< place of the first response in the batch, for messages
};

/// LossGradient holds the arrays that the gradient is written to. They are overwritten.
template <class T>
struct LossGradient {
  std::span<T> d_log_probs;    ///< (t) d loss / d log_probs
  std::span<T> d_entropies{};  ///< (t) d loss / d entropies; may be empty if entropy_bonus is 0
};

/// Objective computes the policy-gradient loss with KL term and entropy bonus that ObjectiveOptions describes:
///
///     loss = sum over responses i, tokens t of c_i (s(rho, A_i) + beta k(d_it)) - entropy_bonus * mean entropy
///
/// with s the surrogate and c_i the reduction's weight; k is multiplied by rho under KlCorrection::ratio. With
/// LossInput::weights each token's s is multiplied by its weight, which is held constant; k is not multiplied. The
/// divisors are those of the whole batch, so the losses and gradients of micro-batches and ranks sum to the batch's.
/// With equal micro-batches the sum is TRL's loss over an accumulation window. bnpo takes the token mean of each
/// micro-batch, so it depends on the split, as in TRL. The entropy bonus is a mean over the batch's tokens under every
/// reduction. Empty and masked responses add nothing, but they count among the responses that grpo and dr_grpo divide
/// by. The tokens of masked responses count among those that dapo divides by, but not among those of bnpo, as in TRL.
/// Deterministic for any number of threads: sums run over fixed chunks of rows, in order. O(t); no allocation.
/// Source: TRL 1.16 GRPOTrainer._compute_loss; DAPO (arXiv 2503.14476), Dr.GRPO (2503.20783), GSPO (2507.18071), CISPO
/// (2506.13585), SAPO (2511.20347).
class Objective {
 public:
  /// @throws BadArgument naming the option outside its domain.
  explicit Objective(const ObjectiveOptions& options = {}) : options_(options), rule_(loss_rule(options)) {
    check(options);
  }

  /// Computes the loss of a micro-batch and its gradient.
  /// @throws BadArgument if sizes do not fit or a needed array is empty; BadData naming row and token for a log-prob or
  ///         entropy that is not finite or a ratio that overflows, and naming the row of an advantage that is not
  ///         finite.
  template <class T>
  LossReport operator()(const LossInput<T>& in, const LossGradient<T>& out) const {
    const std::size_t rows = in.advantages.size();
    check_sizes(in, out);
    std::size_t tokens = in.log_probs.size();
    for (std::size_t row = 0; row < in.masked.size(); ++row) {
      if (in.masked[row] != 0) tokens -= in.offsets[row + 1] - in.offsets[row];
    }
    const LossSizes sizes{
        .responses = static_cast<double>(rows), .tokens = static_cast<double>(tokens), .batch = in.batch};
    check_needs(rule_, sizes, !in.reference_log_probs.empty(), !in.entropies.empty() && !out.d_entropies.empty());
    std::array<LossReport, report_chunks> partial{};
    parallel_for(report_chunks, 32 * in.log_probs.size() / report_chunks, [&](std::size_t chunk) {
      for (std::size_t row = chunk_begin(rows, chunk); row < chunk_begin(rows, chunk + 1); ++row) {
        partial[chunk] += row_loss(in, out, row, sizes);
      }
    });
    LossReport report;
    for (const LossReport& p : partial) report += p;
    return report;
  }

  const ObjectiveOptions& options() const { return options_; }

 private:
  template <class T>
  void check_sizes(const LossInput<T>& in, const LossGradient<T>& out) const {
    const std::size_t tokens = in.log_probs.size();
    const auto fits = [tokens](std::size_t size) { return size == 0 || size == tokens; };
    require(in.offsets.size() == in.advantages.size() + 1, "objective: offsets must be one longer than advantages");
    require(in.offsets.back() - in.offsets.front() == tokens, "objective: offsets and log_probs do not fit");
    require(in.masked.empty() || in.masked.size() == in.advantages.size(),
            "objective: masked must be empty or as long as advantages");
    require(fits(in.old_log_probs.size()), "objective: old_log_probs must be empty or as long as log_probs");
    require(fits(in.reference_log_probs.size()),
            "objective: reference_log_probs must be empty or as long as log_probs");
    require(fits(in.weights.size()), "objective: weights must be empty or as long as log_probs");
    require(fits(in.entropies.size()), "objective: entropies must be empty or as long as log_probs");
    require(out.d_log_probs.size() == tokens, "objective: d_log_probs must be as long as log_probs");
    require(fits(out.d_entropies.size()), "objective: d_entropies must be empty or as long as log_probs");
  }

  template <class T>
  LossReport row_loss(const LossInput<T>& in, const LossGradient<T>& out, std::size_t row,
                      const LossSizes& sizes) const {
    const std::size_t begin = in.offsets[row] - in.offsets[0];
    const std::size_t end = in.offsets[row + 1] - in.offsets[0];
    const bool sequence = rule_.ratio_level == RatioLevel::sequence;
    const bool has_reference = !in.reference_log_probs.empty();
    LossReport report;
    report.responses = 1.0;
    check_advantage(in, row);
    if (!in.masked.empty() && in.masked[row] != 0) {
      std::fill(out.d_log_probs.begin() + static_cast<std::ptrdiff_t>(begin),
                out.d_log_probs.begin() + static_cast<std::ptrdiff_t>(end), T(0));
      if (!out.d_entropies.empty()) {
        std::fill(out.d_entropies.begin() + static_cast<std::ptrdiff_t>(begin),
                  out.d_entropies.begin() + static_cast<std::ptrdiff_t>(end), T(0));
      }
      return report;
    }
    if (begin == end) {
      // TRL counts an empty response's sequence ratio as 1.
      if (sequence) count_ratio(SurrogateTerm{}, report);
      return report;
    }
    const auto length = static_cast<double>(end - begin);
    const double weight = token_weight(rule_, sizes, length);
    const auto advantage = static_cast<double>(in.advantages[row]);

    SurrogateTerm term;
    double mean_kl = 0.0;  // over the response, if the one ratio multiplies all of its tokens' KL
    if (sequence) {
      double sum_of_log_ratios = 0.0;
      for (std::size_t t = begin; t < end; ++t) sum_of_log_ratios += log_ratio(in, row, t);
      term = surrogate(in, row, begin, sum_of_log_ratios / length, advantage);
      count_ratio(term, report);
      if (rule_.kl_by_ratio && has_reference) {
        for (std::size_t t = begin; t < end; ++t) mean_kl += kl(in, row, t).value / length;
      }
    }
    for (std::size_t t = begin; t < end; ++t) {
      if (!sequence) {
        term = surrogate(in, row, t, log_ratio(in, row, t), advantage);
        count_ratio(term, report);
      }
      const double factor = in.weights.empty() ? 1.0 : static_cast<double>(in.weights[t]);
      TokenLoss loss{.value = factor * term.value, .derivative = factor * term.derivative};
      if (has_reference) add_kl(rule_, kl(in, row, t), term.ratio, mean_kl, loss, report);
      out.d_log_probs[t] = static_cast<T>(add_token(weight, loss, report));
      if (!out.d_entropies.empty()) out.d_entropies[t] = static_cast<T>(entropy_slope(rule_, sizes));
      if (!in.entropies.empty()) count_entropy(finite(in, in.entropies[t], row, t, "entropy"), report);
    }
    finish_response(rule_, sizes, length, report);
    return report;
  }

  template <class T>
  KlTerm kl(const LossInput<T>& in, std::size_t row, std::size_t t) const {
    const double log_prob = finite(in, in.log_probs[t], row, t, "log-prob");
    return kl_term(rule_.kl_estimator, log_prob, finite(in, in.reference_log_probs[t], row, t, "reference log-prob"));
  }

  template <class T>
  double log_ratio(const LossInput<T>& in, std::size_t row, std::size_t t) const {
    const double log_prob = finite(in, in.log_probs[t], row, t, "log-prob");
    return in.old_log_probs.empty() ? 0.0 : log_prob - finite(in, in.old_log_probs[t], row, t, "old log-prob");
  }

  template <class T>
  SurrogateTerm surrogate(const LossInput<T>& in, std::size_t row, std::size_t t, double log_ratio,
                          double advantage) const {
    const SurrogateTerm term = surrogate_term(rule_, log_ratio, static_cast<double>(in.log_probs[t]), advantage);
    if (std::isfinite(term.ratio)) return term;
    throw BadData("objective: row " + std::to_string(in.first_row + row) + ", token " +
                  std::to_string(t - (in.offsets[row] - in.offsets[0])) +
                  ": the ratio to the old policy overflows; old_log_probs are not those of these tokens");
  }

  template <class T>
  static double finite(const LossInput<T>& in, T value, std::size_t row, std::size_t t, const char* what) {
    if (std::isfinite(value)) return static_cast<double>(value);
    throw BadData("objective: row " + std::to_string(in.first_row + row) + ", token " +
                  std::to_string(t - (in.offsets[row] - in.offsets[0])) + ": the " + what +
                  " is not finite; check the learning rate, and that the token can be drawn at all");
  }

  template <class T>
  static void check_advantage(const LossInput<T>& in, std::size_t row) {
    if (std::isfinite(in.advantages[row])) return;
    throw BadData("objective: row " + std::to_string(in.first_row + row) + ": the advantage is not finite");
  }

  ObjectiveOptions options_;
  LossRule rule_;
};

}  // namespace maestro
