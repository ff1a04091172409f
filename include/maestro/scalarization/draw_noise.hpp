#pragma once

/// @file
/// The share of a batch's advantages that comes from the draw of the weights rather than from the rewards. Neutral.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/scalarization/scalarization.hpp"

namespace maestro {

/// Fills `expected` with the decision that has the mean weights of `drawn` and draws nothing: E w_i = base_i + emphasis
/// q_i (B x K), or Decision::mean_weights if the Conductor gives them. Returns false and leaves `expected` unchanged if
/// `drawn` describes no draw of its weights.
inline bool expect_weights(const Decision& drawn, Decision& expected) {
  const std::size_t rows = drawn.rows();
  const std::size_t count = drawn.rewards();
  const auto fits = [&](const Matrix<float>& m) { return m.rows() == rows && m.cols() == count; };
  const bool by_action =
      drawn.actions.size() == rows && drawn.emphasis != 0.0f && fits(drawn.probabilities) && fits(drawn.base);
  if (rows == 0 || !(by_action || fits(drawn.mean_weights))) return false;
  if (fits(drawn.mean_weights)) {
    expected.weights = drawn.mean_weights;
  } else {
    expected.weights.resize(rows, count);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t k = 0; k < count; ++k) {
        expected.weights(i, k) = drawn.base(i, k) + drawn.emphasis * drawn.probabilities(i, k);
      }
    }
  }
  expected.base = expected.weights;
  return true;
}

/// Gives 1 - (sum A E)^2 / (sum A^2 sum E^2), in [0, 1]: the share of the advantages A (B) that no multiple of E (B)
/// explains. It is 1 if every E is 0 and some A is not, and 0 if every A is 0. Sums are in double, in index order.
inline double unexplained_share(std::span<const float> a, std::span<const float> e) {
  double aa = 0.0;
  double ae = 0.0;
  double ee = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto of_a = static_cast<double>(a[i]);
    const auto of_e = static_cast<double>(e[i]);
    aa += of_a * of_a;
    ae += of_a * of_e;
    ee += of_e * of_e;
  }
  if (!(aa > 0.0)) return 0.0;
  if (!(ee > 0.0)) return 1.0;
  return std::clamp(1.0 - (ae * ae) / (aa * ee), 0.0, 1.0);  // exact for a multiple of small integers
}

/// Estimates sum_i Var(A_i) / sum_i E[A_i^2], variance and mean over the draw of the weights, rewards held fixed (the
/// law of total variance: what is left is the variance of the advantages' means, which the rewards make).
///
/// E[A_i] is taken to be proportional to the advantage E_i at the expected weights (see expect_weights). The factor is
/// fitted over the batch, since a draw also increases the standard deviation that A is divided by. The share is
/// therefore unexplained_share(A, E). The draws of all members of a group count: a response's own, and those of the
/// others, which change its baseline. (Counterfactual advantages of single responses leave the latter out: they show
/// 7/8 if all is noise in groups of 8.) Differences between the members' expected weights do not count, since they are
/// not drawn.
///
/// Constant rewards: 1 for scalarizations that compare sums of differently weighted rewards (GroupRelative), if the
/// members' propensities agree; 0 for DefaultScalarization. An estimate of one step scatters by about 0.04 at 256
/// responses, 0.2 at 8. It costs one more scalarization without counterfactuals. Keeps its memory between calls.
class DrawNoise {
 public:
  /// @param in          what the advantages were computed from
  /// @param advantages  (B) of the weights drawn
  /// @returns nothing if no weights were drawn
  template <Scalarization S, class Comm>
  std::optional<double> share(const S& scalarization, const ScalarizationInput& in, std::span<const float> advantages,
                              Comm& comm) {
    if (!expect_weights(in.decision, expected_)) return std::nullopt;
    expected_advantages_.resize(advantages.size());
    expected_scalars_.resize(advantages.size());
    scalarization(ScalarizationInput{in.rewards, expected_, in.groups, in.penalty, in.lengths},
                  ScalarizationOutput{expected_advantages_, expected_scalars_, {}}, comm);
    return unexplained_share(advantages, expected_advantages_);
  }

 private:
  Decision expected_;
  std::vector<float> expected_advantages_;
  std::vector<float> expected_scalars_;
};

}  // namespace maestro
