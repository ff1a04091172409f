#pragma once

/// @file
/// The reward side of MAESTRO on torch's tensors: rewards, hidden states and groups in, advantages and weights out.

#include <torch/extension.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device_side.hpp"
#include "maestro/conductor/any.hpp"
#include "maestro/conductor/probability.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/data/anchor.hpp"
#include "maestro/io/state.hpp"
#include "maestro/scalarization/any_scalarization.hpp"
#include "maestro/scalarization/draw_noise.hpp"
#include "maestro/scalarization/trial.hpp"
#include "maestro/trainer/anchor_step.hpp"
#include "options.hpp"
#include "tensors.hpp"
#include "torch_place.hpp"

namespace maestro_torch {

/// Everything that the reward side keeps between steps. Tensors on the CPU are read where they lie. Tensors on a CUDA
/// device are read there where the device path has the Conductor, and copied to the host otherwise; results lie where
/// the rewards do. The Conductor's state stays where its first step was.
class RewardSide {
 public:
  RewardSide(std::size_t rewards, const std::string& conductor, Options conductor_given,
             const std::string& scalarization, Options scalarization_given, std::uint64_t seed)
      : RewardSide(rewards, conductor, conductor_options(conductor, std::move(conductor_given)),
                   make_scalarization(scalarization, std::move(scalarization_given)), seed) {}

  /// Decides, scalarizes, learns. The order of a Trainer's step.
  py::dict step(const torch::Tensor& hidden, const torch::Tensor& rewards, const std::vector<std::int64_t>& group_sizes,
                std::optional<std::vector<std::int64_t>> prompts, std::optional<std::vector<std::int32_t>> lengths,
                const std::optional<torch::Tensor>& judged, const std::optional<torch::Tensor>& prompt_hidden) {
    check_batch(hidden, rewards);
    const auto responses = static_cast<std::size_t>(rewards.size(0));
    const maestro::Groups groups = groups_of(group_sizes, responses);
    const std::vector<std::int64_t> keys = prompts ? std::move(*prompts) : in_order(groups.count());
    TORCH_CHECK_VALUE(keys.size() == groups.count(), "prompts has ", keys.size(), " values for ", groups.count(),
                      " groups");
    TORCH_CHECK_VALUE(!lengths || lengths->size() == responses, "lengths has ", lengths ? lengths->size() : 0,
                      " values for ", responses, " responses");
    if (prompt_hidden) check_tensor(*prompt_hidden, "prompt_hidden", 2);
    Batch batch{groups, keys, {}, signal_of(judged, groups)};
    if (lengths) batch.lengths = *lengths;
    const bool there = on_device(hidden);
    Outcome outcome = there ? step_on_device(batch, hidden, rewards)
                            : step_on_host(batch, hidden.cpu(), rewards.cpu(), prompt_hidden);
    lives_ = there ? Lives::on_device : Lives::on_host;
    ++step_;

    py::dict result;
    result["advantages"] = outcome.advantages.to(rewards.device());
    result["scalar_rewards"] = outcome.scalar_rewards.to(rewards.device());
    result["weights"] = outcome.weights.to(rewards.device());
    result["metrics"] = metrics(batch, outcome.figures);
    return result;
  }

  /// The deterministic weights of these hidden states.
  torch::Tensor weights(const torch::Tensor& hidden) const {
    check_tensor(hidden, "hidden", 2);
    const auto columns = static_cast<std::int64_t>(rewards_);
    if (on_device(hidden)) {
      torch::Tensor out = torch::empty({hidden.size(0), columns}, hidden.options());
      const CurrentPlace current(hidden);
      device_->weights(current.place(), hidden.const_data_ptr<float>(), static_cast<std::size_t>(hidden.size(0)),
                       static_cast<std::size_t>(hidden.size(1)), out.mutable_data_ptr<float>());
      return out;
    }
    torch::Tensor out = torch::empty({hidden.size(0), columns});
    const torch::Tensor here = hidden.cpu();
    conductor_.weights(rows_of(here), {out.mutable_data_ptr<float>(), static_cast<std::size_t>(out.size(0)), rewards_});
    return out.to(hidden.device());
  }

  void save(const std::string& path) {
    maestro::StateWriter writer;
    writer("step", step_);
    if (lives_ == Lives::on_device) {
      DeviceState state{conductor_.name(), *device_};
      writer("conductor", state);
    } else {
      writer("conductor", conductor_);
    }
    writer.write(path);
  }
  void load(const std::string& path) {
    maestro::StateReader reader(path);
    reader("step", step_);
    reader("conductor", conductor_);
    reader.finish();
    if (device_) {
      maestro::StateReader again(path);
      DeviceState state{conductor_.name(), *device_};
      again("conductor", state);
    }
    lives_ = Lives::undecided;
  }

  std::uint32_t steps_done() const { return step_; }
  bool learns() const { return conductor_.learns(); }

 private:
  enum class Lives { undecided, on_host, on_device };

  struct Batch {
    const maestro::Groups& groups;
    const std::vector<std::int64_t>& keys;
    std::vector<std::int32_t> lengths;
    maestro::AnchorSignal signal;
  };
  struct Outcome {
    torch::Tensor advantages;
    torch::Tensor scalar_rewards;
    torch::Tensor weights;
    StepFigures figures;
  };
  /// The device's Conductor in a file, under the names of AnyConductor.
  struct DeviceState {
    std::string kind;
    DeviceSide& side;
    template <class Visitor>
    void visit_state(Visitor& v) {
      v("kind", kind);
      side.visit(v);
    }
  };

  RewardSide(std::size_t rewards, const std::string& conductor, const maestro::AnyConductorOptions& options,
             maestro::AnyScalarization scalarization, std::uint64_t seed)
      : rewards_(rewards),
        seed_(seed),
        conductor_(conductor, rewards, options),
        scalarization_(std::move(scalarization)),
        device_(make_device_side(rewards, conductor, options.learned, scalarization_)) {
    if (conductor_.wants_reward_gradients()) {
      throw maestro::BadArgument("conductor '" + conductor +
                                 "' learns from the gradient of each reward, which is not " +
                                 "taken here; maestro's own Trainer does");
    }
    if (conductor == "hypervolume_guided" && !maestro::keeps_scale_of_weights(scalarization_, rewards)) {
      throw maestro::BadArgument("conductor 'hypervolume_guided' scales all weights alike, and this scalarization " +
                                 std::string("divides by the size of their sum again; take dr_grpo or rloo"));
    }
  }

  void check_batch(const torch::Tensor& hidden, const torch::Tensor& rewards) const {
    check_tensor(hidden, "hidden", 2);
    check_tensor(rewards, "rewards", 2);
    TORCH_CHECK_VALUE(static_cast<std::size_t>(rewards.size(1)) == rewards_, "rewards has ", rewards.size(1),
                      " columns, expected ", rewards_);
    TORCH_CHECK_VALUE(hidden.size(0) == rewards.size(0), "hidden has ", hidden.size(0), " rows, rewards ",
                      rewards.size(0));
    TORCH_CHECK_VALUE(hidden.device() == rewards.device(), "hidden lies on ", hidden.device(), ", rewards on ",
                      rewards.device());
  }

  /// Whether the device path serves these hidden states.
  bool on_device(const torch::Tensor& hidden) const {
    if (lives_ == Lives::on_device && !hidden.is_cuda()) {
      throw maestro::BadArgument(
          "conductor: its state lies on a CUDA device, but the hidden states on the CPU; save() "
          "it and load() it to go on there");
    }
    return device_ && hidden.is_cuda() && lives_ != Lives::on_host;
  }

  Outcome step_on_host(const Batch& batch, const torch::Tensor& hidden, const torch::Tensor& rewards,
                       const std::optional<torch::Tensor>& prompt_hidden) {
    const torch::Tensor of_prompts = prompt_hidden ? prompt_hidden->cpu() : torch::Tensor();
    const auto states_of_prompts = prompt_hidden ? rows_of(of_prompts) : maestro::MatrixView<const float>();
    Outcome out{torch::empty({rewards.size(0)}), torch::empty({rewards.size(0)}), {}, {}};
    maestro::Decision& decision = out.figures.decision;
    decision = conductor_.decide({.hidden = rows_of(hidden),
                                  .rewards = rows_of(rewards),
                                  .groups = batch.groups,
                                  .rows = batch.keys,
                                  .seed = seed_,
                                  .step = step_,
                                  .prompt_hidden = states_of_prompts});
    maestro::Matrix<float> counterfactuals;
    counterfactuals.assign(conductor_.wants_counterfactuals() ? batch.groups.rows() : 0, rewards_, 0.0f);
    maestro::ScalarizationInput in{rows_of(rewards), decision, batch.groups};
    in.lengths = batch.lengths;
    maestro::SingleProcess alone;
    scalarization_(in, {values_of(out.advantages), values_of(out.scalar_rewards), counterfactuals}, alone);

    conductor_.observe({.decision = decision,
                        .hidden = rows_of(hidden),
                        .groups = batch.groups,
                        .advantages = values_of(out.advantages),
                        .counterfactuals = counterfactuals,
                        .step = step_,
                        .rewards = rows_of(rewards),
                        .seed = seed_,
                        .judged = batch.signal.judged,
                        .prompt_hidden = states_of_prompts});
    out.figures.update = conductor_.update();
    out.weights = tensor_of(decision.weights);
    out.figures.rewards.resize(batch.groups.rows(), rewards_);
    const float* const from = rewards.const_data_ptr<float>();
    std::copy(from, from + rewards.numel(), out.figures.rewards.flat().begin());
    const auto advantages = values_of(out.advantages);
    out.figures.advantages.assign(advantages.begin(), advantages.end());
    return out;
  }

  Outcome step_on_device(const Batch& batch, const torch::Tensor& hidden, const torch::Tensor& rewards) {
    const CurrentPlace current(hidden);
    Outcome out{torch::empty({rewards.size(0)}, rewards.options()),
                torch::empty({rewards.size(0)}, rewards.options()),
                torch::empty_like(rewards),
                {}};
    device_->step(current.place(),
                  {.hidden = hidden.const_data_ptr<float>(),
                   .hidden_size = static_cast<std::size_t>(hidden.size(1)),
                   .rewards = rewards.const_data_ptr<float>(),
                   .groups = batch.groups,
                   .prompts = batch.keys,
                   .lengths = batch.lengths,
                   .seed = seed_,
                   .step = step_},
                  {.advantages = out.advantages.mutable_data_ptr<float>(),
                   .scalar_rewards = out.scalar_rewards.mutable_data_ptr<float>(),
                   .weights = out.weights.mutable_data_ptr<float>()},
                  out.figures);
    return out;
  }

  static std::vector<std::int64_t> in_order(std::size_t count) {
    std::vector<std::int64_t> all(count);
    for (std::size_t i = 0; i < count; ++i) all[i] = static_cast<std::int64_t>(i);
    return all;
  }

  /// A judge's scores (B), NaN where it was not asked.
  static maestro::AnchorSignal signal_of(const std::optional<torch::Tensor>& judged, const maestro::Groups& groups) {
    maestro::AnchorSignal signal;
    if (!judged) return signal;
    check_tensor(*judged, "judged", 1);
    TORCH_CHECK_VALUE(static_cast<std::size_t>(judged->numel()) == groups.rows(), "judged has ", judged->numel(),
                      " values for ", groups.rows(), " responses");
    const torch::Tensor here = judged->cpu();
    const float* scores = here.const_data_ptr<float>();
    signal.judged.assign(scores, scores + groups.rows());
    for (std::size_t g = 0; g < groups.count(); ++g) {
      const auto first = signal.judged.begin() + static_cast<std::ptrdiff_t>(groups.begin(g));
      const auto last = first + static_cast<std::ptrdiff_t>(groups.size(g));
      if (std::any_of(first, last, [](float score) { return !std::isnan(score); })) signal.groups.push_back(g);
    }
    return signal;
  }

  py::dict metrics(const Batch& batch, const StepFigures& figures) {
    py::dict m;
    m["kl_to_uniform"] = maestro::kl_to_uniform(figures.decision, figures.rewards);
    maestro::ScalarizationInput in{figures.rewards, figures.decision, batch.groups};
    in.lengths = batch.lengths;
    maestro::SingleProcess alone;
    if (const auto noise = draw_noise_.share(scalarization_, in, figures.advantages, alone)) {
      m["draw_noise_share"] = *noise;
    }
    if (const std::optional<maestro::ConductorReport>& report = figures.update) {
      m["samples"] = report->samples;
      m["loss"] = report->loss;
      m["surrogate"] = report->surrogate;
      m["entropy"] = report->entropy;
      m["temperature"] = report->temperature;
      m["grad_norm"] = report->gradient_norm;
    }
    if (!batch.signal.groups.empty()) {
      const double agreement = maestro::anchor_rank_correlation(batch.signal, batch.groups, figures.advantages);
      if (std::isfinite(agreement)) m["anchor_rank_correlation"] = agreement;
    }
    return m;
  }

  std::size_t rewards_;
  std::uint64_t seed_;
  std::uint32_t step_ = 0;
  maestro::AnyConductor conductor_;
  maestro::AnyScalarization scalarization_;
  maestro::DrawNoise draw_noise_;
  std::unique_ptr<DeviceSide> device_;  // null if there is no device path
  Lives lives_ = Lives::undecided;
};

}  // namespace maestro_torch
