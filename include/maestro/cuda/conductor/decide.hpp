#pragma once

/// @file
/// Kernel bodies, and elements for launch_elements(), of a decision: logits -> probabilities -> action -> weights.
/// This header compiles without nvcc and without the CUDA toolkit.

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "maestro/conductor/learned_options.hpp"
#include "maestro/conductor/probability.hpp"
#include "maestro/core/random.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/cuda/core/team.hpp"

namespace maestro::gpu {

/// DecisionView points to the actions of B rows and to the weights that follow from them. The arrays are row-major, in
/// the executor's memory.
struct DecisionView {
  std::int32_t* actions = nullptr;  ///< (B) drawn actions, in [0, K)
  float* probabilities = nullptr;   ///< (B x K) propensities: the probabilities that the actions were drawn with
  float* weights = nullptr;         ///< (B x K) weights of the actions drawn
  float* base = nullptr;  ///< (B x K) w_i(a) = base_i + emphasis e_a, the weights of response i under action a
  float emphasis = 0.0f;  ///< what the action adds to the weight of its reward
};

/// StepScalars holds the scalars that change from one step to the next. They lie in the executor's memory, so that a
/// recorded sequence stays valid.
struct StepScalars {
  std::uint64_t seed = 0;    ///< of the run
  std::uint32_t step = 0;    ///< of the trainer
  AdamWStep<float> adamw{};  ///< of the next update
};

/// SetScalars sets *scalars = value, in the order of the launches.
struct SetScalars {
  static constexpr unsigned threads = 32;
  StepScalars* scalars = nullptr;
  StepScalars value{};

  std::size_t shared_bytes() const { return 0; }
  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t) const {
    if (team.rank() == 0) *scalars = value;
  }
};

/// CountResponses computes numbers (N): for each group, how many responses to its data row are in earlier groups of the
/// batch. It costs O(N) for each group; all groups are counted at once.
struct CountResponses {
  const std::int64_t* data_rows = nullptr;  ///< (N)
  GroupLayout groups;
  std::uint32_t* numbers = nullptr;
  FaultWord* record = nullptr;

  MAESTRO_HD void operator()(std::size_t g) const {
    const std::int64_t row = data_rows[g];
    if (row < 0 || row > std::int64_t{0xFFFFFFFF}) report_fault(record, Fault::data_row_out_of_range, g);
    std::size_t number = 0;
    for (std::size_t other = 0; other < g; ++other) {
      if (data_rows[other] == row) number += groups.size(other);
    }
    if (number + groups.size(g) > (std::size_t{1} << 24)) {
      report_fault(record, Fault::too_many_responses, static_cast<std::size_t>(row));
    }
    numbers[g] = static_cast<std::uint32_t>(number);
  }
};

/// DrawAction is an epilogue of a head (see DenseForward): it draws the row's action and writes the row of the
/// decision, as conductor/learned.hpp does.
template <std::size_t K>
struct DrawAction {
  const float* rewards = nullptr;  ///< (B x K) NaN masks an action
  GroupLayout groups;
  const std::int64_t* data_rows = nullptr;  ///< (N)
  const std::uint32_t* numbers = nullptr;   ///< (N), by CountResponses
  const StepScalars* scalars = nullptr;
  const float* log_tau = nullptr;
  ProbabilityFloor floor = ProbabilityFloor::mix;
  double epsilon = 0.0;
  float policy_share = 0.0f;  ///< base_ik = uniform + policy_share q_ik
  float uniform = 0.0f;       ///< the part of every weight that is the same for all rewards
  DecisionView out;
  FaultWord* record = nullptr;

  MAESTRO_HD void operator()(std::size_t row, std::size_t, std::size_t, const float* logits) const {
    draw(row, row, logits);
  }
  /// Makes the decision of `row` from the draw of row `source`, which has these logits.
  MAESTRO_HD void draw(std::size_t row, std::size_t source, const float* logits) const {
    bool finite = true;
    bool applicable[K];
    for (std::size_t k = 0; k < K; ++k) {
      finite = finite && logits[k] - logits[k] == 0.0f;
      applicable[k] = rewards[source * K + k] == rewards[source * K + k];
    }
    if (!finite) report_fault(record, Fault::hidden_not_finite, source);
    const auto distribution =
        action_distribution<K>(logits, std::exp(static_cast<double>(*log_tau)), floor, epsilon, applicable);
    float* const q = out.probabilities + row * K;
    for (std::size_t k = 0; k < K; ++k) q[k] = static_cast<float>(distribution.q[k]);
    const std::size_t g = groups.group_of(source);
    const RandomStream stream({.seed = scalars->seed,
                               .purpose = Purpose::conductor_action,
                               .step = scalars->step,
                               .row = static_cast<std::uint32_t>(data_rows[g]),
                               .response = numbers[g] + static_cast<std::uint32_t>(source - groups.begin(g))});
    const std::size_t action = sample_index(q, K, stream.uniform(0));
    out.actions[row] = static_cast<std::int32_t>(action);
    for (std::size_t k = 0; k < K; ++k) {
      const float base = uniform + policy_share * q[k];
      out.base[row * K + k] = base;
      out.weights[row * K + k] = k == action ? base + out.emphasis : base;
    }
  }
};

/// DrawPerGroup draws from stored logits (B x K) one action for all rows of a group: that of its first row.
template <std::size_t K>
struct DrawPerGroup {
  DrawAction<K> draw;
  const float* logits = nullptr;

  MAESTRO_HD void operator()(std::size_t row) const {
    const std::size_t first = draw.groups.begin(draw.groups.group_of(row));
    draw.draw(row, first, logits + first * K);
  }
};

/// SoftWeights is an epilogue of a head: it computes weights (rows x K) = softmax(logits / tau), without floor or draw.
template <std::size_t K>
struct SoftWeights {
  const float* log_tau = nullptr;
  float* weights = nullptr;
  FaultWord* record = nullptr;

  MAESTRO_HD void operator()(std::size_t row, std::size_t, std::size_t, const float* logits) const {
    const auto distribution =
        action_distribution<K>(logits, std::exp(static_cast<double>(*log_tau)), ProbabilityFloor::mix, 0.0);
    for (std::size_t k = 0; k < K; ++k) {
      if (!(logits[k] - logits[k] == 0.0f)) report_fault(record, Fault::hidden_not_finite, row);
      weights[row * K + k] = static_cast<float>(distribution.p[k]);
    }
  }
};

}  // namespace maestro::gpu
