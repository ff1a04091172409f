#pragma once

/// @file
/// Functions for the `decide` of your own Conductor: checks of shapes, keyed draws, the same weights for all responses.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "maestro/conductor/conductor.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/finite.hpp"
#include "maestro/core/random.hpp"

namespace maestro {

/// Refuses a StepView whose shapes do not fit K actions or each other.
/// @throws BadArgument naming both sizes.
inline void check_step_view(const StepView& view, std::size_t actions) {
  const auto differ = [](const std::string& what, std::size_t got, std::size_t expected) {
    throw BadArgument("conductor: " + what + " " + std::to_string(got) + ", expected " + std::to_string(expected));
  };
  const std::size_t rows = view.groups.rows();
  if (view.rewards.cols() != actions) differ("the number of rewards is", view.rewards.cols(), actions);
  if (view.rewards.rows() != rows) differ("the number of reward rows is", view.rewards.rows(), rows);
  if (view.rows.size() != view.groups.count())
    differ("the number of data rows is", view.rows.size(), view.groups.count());
  for (const std::int64_t row : view.rows) {
    if (row < 0 || row > std::int64_t{std::numeric_limits<std::uint32_t>::max()}) {
      throw BadArgument("conductor: data row " + std::to_string(row) + " is outside [0, 2^32)");
    }
  }
}

/// Gives the random stream of response `member` of a group. It depends only on seed, step, data row and
/// response_number. stream.uniform(0), stream.uniform(1), ... are its numbers. Your own Conductor passes Purpose::user.
inline RandomStream draw_stream(const StepView& view, Purpose purpose, std::size_t group, std::size_t member) {
  return RandomStream({.seed = view.seed,
                       .purpose = purpose,
                       .step = view.step,
                       .row = static_cast<std::uint32_t>(view.rows[group]),
                       .response = static_cast<std::uint32_t>(
                           response_number(view.groups, group, member, [&](std::size_t g) { return view.rows[g]; }))});
}

/// Overwrites every row of `out` (B x K) with the weights (K).
/// @throws BadArgument naming both numbers of rewards.
inline void fill_rows(std::span<const float> weights, MatrixView<float> out) {
  if (out.cols() != weights.size() && out.rows() > 0) {
    throw BadArgument("conductor: weights for " + std::to_string(out.cols()) + " rewards, expected " +
                      std::to_string(weights.size()));
  }
  for (std::size_t i = 0; i < out.rows(); ++i) std::copy(weights.begin(), weights.end(), out.row(i).begin());
}

/// Gives the decision in which every response has the same weights (K) and no action is drawn.
/// @throws BadArgument naming sizes of the view that do not fit.
inline Decision same_for_all(const StepView& view, std::span<const float> weights) {
  check_step_view(view, weights.size());
  Decision decision;
  decision.weights.resize(view.groups.rows(), weights.size());
  fill_rows(weights, decision.weights.view());
  decision.base = decision.weights;
  return decision;
}

namespace detail {

/// @throws BadArgument naming the place of a weight that is not finite.
inline void check_weights(std::span<const float> weights, const std::string& name) {
  for (std::size_t k = 0; k < weights.size(); ++k) {
    if (std::isfinite(weights[k])) continue;
    throw BadArgument(name + ": weight " + std::to_string(k) + " is not finite");
  }
}

/// @throws BadArgument naming both sizes; BadData naming the row of a value that is not finite.
inline void check_hidden(MatrixView<const float> hidden, std::size_t rows, std::size_t size) {
  if (hidden.rows() != rows) {
    throw BadArgument("conductor: " + std::to_string(hidden.rows()) + " hidden states for " + std::to_string(rows) +
                      " responses");
  }
  if (rows > 0 && hidden.cols() != size) {
    throw BadArgument("conductor: hidden states of size " + std::to_string(hidden.cols()) + ", expected " +
                      std::to_string(size) + "; one Conductor reads one policy's hidden states");
  }
  for (std::size_t i = 0; i < rows; ++i) {
    if (all_finite(hidden.row(i).data(), size)) continue;
    throw BadData("conductor: the hidden state of row " + std::to_string(i) + " is not finite");
  }
}

/// DecidedHidden remembers the hidden states of the last decision, so that the observation need not check, scale or
/// copy them again. It recognizes them by address and step; the caller must not change them in between.
class DecidedHidden {
 public:
  void set(MatrixView<const float> hidden, std::uint32_t step) {
    hidden_ = hidden;
    step_ = step;
  }
  void forget() { hidden_ = {}; }
  bool is(MatrixView<const float> hidden, std::uint32_t step) const {
    return !hidden.empty() && hidden.data() == hidden_.data() && hidden.rows() == hidden_.rows() &&
           hidden.cols() == hidden_.cols() && hidden.stride() == hidden_.stride() && step == step_;
  }

 private:
  MatrixView<const float> hidden_;  // never read through
  std::uint32_t step_ = 0;
};

/// Adapts weights (K), whose absolute values sum to 1, to a response with missing rewards, and overwrites `out` with
/// the result. A missing reward gets 0; its weight goes to the others in proportion to theirs, or equally if they have
/// none. If all rewards are missing, the weights stay as they are.
inline void leave_out_missing(std::span<const double> w, std::span<const float> rewards, std::span<float> out) {
  double present = 0.0;
  std::size_t count = 0;
  for (std::size_t k = 0; k < w.size(); ++k) {
    if (std::isnan(rewards[k])) continue;
    present += std::abs(w[k]);
    ++count;
  }
  for (std::size_t k = 0; k < w.size(); ++k) {
    double weight = w[k];
    if (count > 0 && count < w.size()) {
      const double shared = present > 0.0 ? weight / present : 1.0 / static_cast<double>(count);
      weight = std::isnan(rewards[k]) ? 0.0 : shared;
    }
    out[k] = static_cast<float>(weight);
  }
}

}  // namespace detail

}  // namespace maestro
