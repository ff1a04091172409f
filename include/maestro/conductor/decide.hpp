#pragma once

/// @file
/// What every Conductor does at the start of a decision: check the shapes, and key the draws.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "maestro/conductor/conductor.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/finite.hpp"
#include "maestro/core/random.hpp"

namespace maestro::detail {

/// @throws BadArgument naming both sizes if the shapes of a StepView do not fit K actions or each other.
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

/// Which hidden states were decided on last, so that what is observed of them need not be checked, scaled or moved a
/// second time. They are known by their place and their step: an owner leaves them as they were until then.
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

/// The stream of one response's draws; seed, step, data row and response_number alone have a say.
inline RandomStream draw_stream(const StepView& view, Purpose purpose, std::size_t group, std::size_t member) {
  return RandomStream({.seed = view.seed,
                       .purpose = purpose,
                       .step = view.step,
                       .row = static_cast<std::uint32_t>(view.rows[group]),
                       .response = static_cast<std::uint32_t>(
                           response_number(view.groups, group, member, [&](std::size_t g) { return view.rows[g]; }))});
}

}  // namespace maestro::detail
