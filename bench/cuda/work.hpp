#pragma once

/// @file
/// The works of bench_cuda. Each sets up, writes what the peers compare with, and returns what is repeated.

#include <driver_types.h>

#include <functional>

#include "bench/cuda/options.hpp"

namespace maestro::bench::device {

struct Work {
  std::function<void()> call;     ///< launches the work once, and waits for nothing
  std::function<void()> wait;     ///< for all launches so far
  std::function<void()> check;    ///< waits; throws where a kernel found bad data
  cudaStream_t stream = nullptr;  ///< where it launches; not used on the host
};

/// Hidden states and rewards to actions, weights and advantages. Variants: one_hot, blended.
Work chain(const Options& options);
/// Rewards and weights to advantages. Variants: group_relative, gdpo, own_weight, each also with _counterfactual.
Work scalarize(const Options& options);
/// Mean, deviation, least and largest of every reward in every group. Variants: moments; all, with covariance and
/// ranks.
Work statistics(const Options& options);
/// Three steps observed, then gradients, clipping and AdamW.
Work update_float(const Options& options);
Work update_bf16(const Options& options);
/// Forward and backward of the head alone.
Work mlp_float(const Options& options);
Work mlp_bf16(const Options& options);
/// GRPO loss with KL: value and gradient.
Work loss(const Options& options);

}  // namespace maestro::bench::device
