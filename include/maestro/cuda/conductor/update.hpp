#pragma once

/// @file
/// Kernel bodies, and elements for launch_elements(), of a Conductor's update: entries -> gradients of the logits ->
/// global norm -> AdamW. This header compiles without nvcc and without the CUDA toolkit.

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "maestro/conductor/estimators.hpp"
#include "maestro/cuda/conductor/decide.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/team.hpp"
#include "maestro/optimizer/element_steps.hpp"

namespace maestro::gpu {

/// UpdateFigures holds the statistics of an update, in the executor's memory.
struct UpdateFigures {
  double surrogate = 0.0;      ///< mean of the estimator's surrogate
  double entropy = 0.0;        ///< mean entropy of the action distribution, nats
  double baseline = 0.0;       ///< subtracted from sampled meta-rewards; 0 without MetaBaseline::centered
  double gradient_norm = 0.0;  ///< before clipping; if it is not finite, the parameters did not change
};

/// DifferentiateEntry is an epilogue of a head (see DenseForward): from the logits of an entry of the buffer it
/// computes its row of d loss / d logits (n x K) and its terms (n) of the report.
template <std::size_t K>
struct DifferentiateEntry {
  EntryRule rule;
  const float* log_tau = nullptr;
  const std::int32_t* actions = nullptr;  ///< (n)
  const float* propensities = nullptr;    ///< (n x K)
  const float* meta = nullptr;            ///< (n x meta_columns)
  std::size_t meta_columns = 1;
  double scale = 1.0;
  const UpdateFigures* figures = nullptr;  ///< holds the baseline
  float* by_logits = nullptr;
  EntryTerms* terms = nullptr;

  MAESTRO_HD void operator()(std::size_t row, std::size_t, std::size_t, const float* logits) const {
    float* const to = by_logits + row * K;
    for (std::size_t k = 0; k < K; ++k) to[k] = logits[k];
    const RememberedAction entry{static_cast<std::size_t>(actions[row]), propensities + row * K,
                                 meta + row * meta_columns};
    terms[row] =
        differentiate_entry<K>(rule, std::exp(static_cast<double>(*log_tau)), entry, figures->baseline, scale, to);
  }
};

/// StartUpdate sets all statistics to 0, and the baseline to the mean of the meta-rewards (n) if `centered` is set. It
/// is a body for one team.
struct StartUpdate {
  static constexpr unsigned threads = 256;
  const float* meta = nullptr;
  std::size_t count = 0;
  bool centered = false;
  UpdateFigures* figures = nullptr;

  std::size_t shared_bytes() const { return 0; }
  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t) const {
    double sum = 0.0;
    if (centered) {
      for (std::size_t i = team.rank(); i < count; i += team.size()) sum += static_cast<double>(meta[i]);
    }
    sum = team.reduce(sum, Add{});
    if (team.rank() != 0) return;
    *figures = UpdateFigures{};
    if (centered) figures->baseline = sum / static_cast<double>(count);
  }
};

/// SumTerms adds the entries' terms up. It is a body for one team.
struct SumTerms {
  static constexpr unsigned threads = 256;
  const EntryTerms* terms = nullptr;
  std::size_t count = 0;
  UpdateFigures* figures = nullptr;
  float* log_tau_gradient = nullptr;  ///< null if the temperature is fixed

  std::size_t shared_bytes() const { return 0; }
  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t) const {
    EntryTerms own;
    for (std::size_t i = team.rank(); i < count; i += team.size()) own = sum(own, terms[i]);
    const EntryTerms all = team.reduce(own, [](const EntryTerms& a, const EntryTerms& b) { return sum(a, b); });
    if (team.rank() != 0) return;
    figures->surrogate = all.surrogate;
    figures->entropy = all.entropy;
    if (log_tau_gradient != nullptr) *log_tau_gradient = static_cast<float>(all.by_log_tau);
  }

 private:
  MAESTRO_HD static EntryTerms sum(const EntryTerms& a, const EntryTerms& b) {
    return {a.surrogate + b.surrogate, a.entropy + b.entropy, a.by_log_tau + b.by_log_tau};
  }
};

/// ParameterSegments describes the parameters of a head in one array: weight and bias of each layer, then log tau.
struct ParameterSegments {
  static constexpr std::size_t most = 17;
  std::size_t end[most] = {};  ///< one past the last element
  std::size_t count = 0;

  /// Tells whether weight decay applies to a segment: to weights, but not to biases and log tau.
  MAESTRO_HD bool decays(std::size_t segment) const { return segment % 2 == 0 && segment + 1 < count; }
  /// Gives the segment of an element of the array.
  MAESTRO_HD std::size_t of(std::size_t element) const {
    std::size_t segment = 0;
    while (segment + 1 < count && element >= end[segment]) ++segment;
    return segment;
  }
};

/// SquareSums computes partial (teams): sums of the squares of 4096 gradients each.
struct SquareSums {
  static constexpr unsigned threads = 256;
  static constexpr std::size_t share = 4096;
  const float* gradients = nullptr;
  std::size_t count = 0;
  double* partial = nullptr;

  MAESTRO_HD static std::size_t teams(std::size_t count) { return (count + share - 1) / share; }
  std::size_t shared_bytes() const { return 0; }
  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t index) const {
    double own = 0.0;
    for (std::size_t e = team.rank(); e < share && index * share + e < count; e += team.size()) {
      const auto value = static_cast<double>(gradients[index * share + e]);
      own += value * value;
    }
    own = team.reduce(own, Add{});
    if (team.rank() == 0) partial[index] = own;
  }
};

/// FinishNorm computes the global norm. If a gradient is not finite, its segment is reported. It is a body for one
/// team.
struct FinishNorm {
  static constexpr unsigned threads = 256;
  const double* partial = nullptr;
  const float* gradients = nullptr;
  std::size_t count = 0;
  ParameterSegments segments;
  UpdateFigures* figures = nullptr;
  FaultWord* record = nullptr;

  std::size_t shared_bytes() const { return 0; }
  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t) const {
    double own = 0.0;
    for (std::size_t t = team.rank(); t < SquareSums::teams(count); t += team.size()) own += partial[t];
    const double squares = team.reduce(own, Add{});
    if (team.rank() != 0) return;
    figures->gradient_norm = std::sqrt(squares);
    if (squares - squares == 0.0) return;
    for (std::size_t e = 0; e < count; ++e) {
      if (gradients[e] - gradients[e] == 0.0f) continue;
      return report_fault(record, Fault::gradient_not_finite, segments.of(e));
    }
  }
};

/// StepParameters takes one AdamW step on every parameter, with gradients clipped by the global norm
/// (optimizer/clip.hpp). If the norm is not finite, no parameter changes. If S is not float, `rounded` is kept equal to
/// the rounded values.
template <class S>
struct StepParameters {
  float* values = nullptr;
  const float* gradients = nullptr;
  float* first = nullptr;
  float* second = nullptr;
  S* rounded = nullptr;  ///< null if S is float
  ParameterSegments segments;
  double max_norm = 1.0;
  const UpdateFigures* figures = nullptr;
  const StepScalars* scalars = nullptr;

  MAESTRO_HD void operator()(std::size_t at) const {
    const double norm = figures->gradient_norm;
    if (!(norm - norm == 0.0)) return;
    AdamWStep<float> step = scalars->adamw;
    if (!segments.decays(segments.of(at))) step.keep = 1.0f;
    const double clip = max_norm / (norm + 1e-6);
    float gradient = gradients[at];
    if (clip < 1.0) gradient *= static_cast<float>(clip);
    adamw_element(values[at], gradient, first[at], second[at], step);
    if (rounded != nullptr) rounded[at] = S(values[at]);
  }
};

/// RoundValues computes rounded (count) = the values rounded to S.
template <class S>
struct RoundValues {
  const float* values = nullptr;
  S* rounded = nullptr;

  MAESTRO_HD void operator()(std::size_t at) const { rounded[at] = S(values[at]); }
};

/// KeepEntries copies the entries of a step into the buffer. It reports rows that cannot be learned from: an action
/// outside [0, K) or of propensity 0 (kept as action 0), or a meta-reward of a possible action that is not finite.
template <std::size_t K>
struct KeepEntries {
  const std::int32_t* actions = nullptr;  ///< (rows)
  const float* propensities = nullptr;    ///< (rows x K)
  const float* meta = nullptr;            ///< (rows x meta_columns)
  std::size_t meta_columns = 1;           ///< 1 for the sampled estimator, K for the counterfactual one
  std::int32_t* kept_actions = nullptr;
  float* kept_propensities = nullptr;
  float* kept_meta = nullptr;
  FaultWord* record = nullptr;

  MAESTRO_HD void operator()(std::size_t row) const {
    const std::int32_t action = actions[row];
    const bool possible = action >= 0 && static_cast<std::size_t>(action) < K &&
                          propensities[row * K + static_cast<std::size_t>(action)] > 0.0f;
    if (!possible) report_fault(record, Fault::action_impossible, row);
    kept_actions[row] = possible ? action : 0;
    for (std::size_t k = 0; k < K; ++k) kept_propensities[row * K + k] = propensities[row * K + k];
    for (std::size_t k = 0; k < meta_columns; ++k) {
      const bool masked = meta_columns == K && propensities[row * K + k] == 0.0f;
      const float value = meta[row * meta_columns + k];
      if (!masked && !(value - value == 0.0f)) report_fault(record, Fault::meta_not_finite, row);
      kept_meta[row * meta_columns + k] = value;
    }
  }
};

}  // namespace maestro::gpu
