/// @file
/// The Python module over reward_side.hpp.

#include "reward_side.hpp"

#include <torch/extension.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device_side.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/statistics.hpp"
#include "options.hpp"
#include "tensors.hpp"
#include "torch_place.hpp"

namespace {

using namespace maestro_torch;

/// Advantages of given weights, by any estimator or preset.
torch::Tensor advantages_of(const std::string& name, const torch::Tensor& rewards, const torch::Tensor& weights,
                            const std::vector<std::int64_t>& group_sizes,
                            std::optional<std::vector<std::int32_t>> lengths, Options options) {
  check_tensor(rewards, "rewards", 2);
  check_tensor(weights, "weights", 2);
  TORCH_CHECK_VALUE(weights.sizes() == rewards.sizes(), "weights has shape ", weights.sizes(), ", rewards ",
                    rewards.sizes());
  TORCH_CHECK_VALUE(weights.device() == rewards.device(), "weights lies on ", weights.device(), ", rewards on ",
                    rewards.device());
  const auto rows = static_cast<std::size_t>(rewards.size(0));
  const auto columns = static_cast<std::size_t>(rewards.size(1));
  const maestro::Groups groups = groups_of(group_sizes, rows);
  TORCH_CHECK_VALUE(!lengths || lengths->size() == rows, "lengths has ", lengths ? lengths->size() : 0, " values for ",
                    rows, " responses");
  const maestro::AnyScalarization scalarize = make_scalarization(name, std::move(options));
  if (rewards.is_cuda()) {
    torch::Tensor there = torch::empty({rewards.size(0)}, rewards.options());
    const CurrentPlace current(rewards);
    if (device_advantages(current.place(), columns, scalarize, rewards.const_data_ptr<float>(),
                          weights.const_data_ptr<float>(), groups, there.mutable_data_ptr<float>())) {
      return there;
    }
  }
  const torch::Tensor values = rewards.cpu();
  const torch::Tensor given = weights.cpu();
  maestro::Decision decision;
  decision.weights.resize(rows, columns);
  std::copy_n(given.const_data_ptr<float>(), given.numel(), decision.weights.flat().begin());
  decision.base = decision.weights;
  torch::Tensor advantages = torch::empty({rewards.size(0)});
  torch::Tensor scalar_rewards = torch::empty({rewards.size(0)});
  maestro::ScalarizationInput in{rows_of(values), decision, groups};
  if (lengths) in.lengths = *lengths;
  maestro::SingleProcess alone;
  scalarize(in, {values_of(advantages), values_of(scalar_rewards), {}}, alone);
  return advantages.to(rewards.device());
}

/// Mean and standard deviation (ddof 1) of every group's column, NaN skipped: two tensors (groups x K).
std::pair<torch::Tensor, torch::Tensor> group_statistics(const torch::Tensor& rewards,
                                                         const std::vector<std::int64_t>& group_sizes) {
  check_tensor(rewards, "rewards", 2);
  const auto columns = static_cast<std::size_t>(rewards.size(1));
  const maestro::Groups groups = groups_of(group_sizes, static_cast<std::size_t>(rewards.size(0)));
  const std::vector<std::int64_t> shape{static_cast<std::int64_t>(groups.count()), rewards.size(1)};
  if (rewards.is_cuda()) {
    torch::Tensor mean = torch::empty(shape, rewards.options());
    torch::Tensor deviation = torch::empty_like(mean);
    const CurrentPlace current(rewards);
    if (device_statistics(current.place(), columns, rewards.const_data_ptr<float>(), groups,
                          mean.mutable_data_ptr<float>(), deviation.mutable_data_ptr<float>())) {
      return {mean.to(torch::kFloat64), deviation.to(torch::kFloat64)};
    }
  }
  const torch::Tensor here = rewards.cpu();
  torch::Tensor mean = torch::empty(shape, torch::kFloat64);
  torch::Tensor deviation = torch::empty_like(mean);
  const maestro::MatrixView<const float> all = rows_of(here);
  for (std::size_t g = 0; g < groups.count(); ++g) {
    for (std::size_t k = 0; k < columns; ++k) {
      const maestro::Moments m = maestro::moments_of(
          groups.size(g), [&](std::size_t i) { return static_cast<double>(all(groups.begin(g) + i, k)); });
      mean.mutable_data_ptr<double>()[g * columns + k] = m.count == 0 ? NAN : m.mean;
      deviation.mutable_data_ptr<double>()[g * columns + k] = m.std_dev(1);
    }
  }
  return {mean.to(rewards.device()), deviation.to(rewards.device())};
}

template <std::size_t n>
std::vector<std::string> list_of(const std::array<std::string_view, n>& names) {
  return {names.begin(), names.end()};
}

}  // namespace

PYBIND11_MODULE(_reward_side, m) {
  m.doc() = "The reward side of MAESTRO on PyTorch's tensors.";
  m.attr("conductors") = list_of(maestro::conductor_names);
  m.attr("built_for_cuda") = built_for_cuda;
  m.attr("scalarizations") = list_of(maestro::scalarization_names);
  py::class_<RewardSide>(m, "RewardSide",
                         "A Conductor and a scalarization: what turns K rewards of a batch into advantages.")
      .def(py::init<std::size_t, const std::string&, Options, const std::string&, Options, std::uint64_t>(),
           py::arg("rewards"), py::arg("conductor") = "linear", py::arg("conductor_options") = Options{},
           py::arg("scalarization") = "default", py::arg("scalarization_options") = Options{}, py::arg("seed") = 0,
           "Options have the names of the program train: conductor_learning_rate, conductor_period, ...")
      .def(
          "step", &RewardSide::step, py::arg("hidden"), py::arg("rewards"), py::arg("group_sizes"),
          py::arg("prompts") = py::none(), py::arg("lengths") = py::none(), py::arg("judged") = py::none(),
          py::arg("prompt_hidden") = py::none(),
          "One step on hidden (B x d) and rewards (B x K, NaN where one does not apply), float32; group_sizes"
          " add up to B. prompts, a number per group, keys the draws. Gives advantages (B), scalar_rewards (B), weights"
          " (B x K) and metrics. judged (B), NaN where a judge was not asked, is what the Conductor 'anchored' learns "
          "from,"
          " and by option anchor_context 'prompt' it reads prompt_hidden (groups x d). The Conductor has learned from "
          "the step when it returns. What it gives lies where the rewards do.")
      .def("weights", &RewardSide::weights, py::arg("hidden"), "The weights (B x K) of hidden states, without a draw.")
      .def("save", &RewardSide::save, py::arg("path"), "Writes the state as safetensors.")
      .def("load", &RewardSide::load, py::arg("path"), "Loads what save() wrote; options must be the same.")
      .def_property_readonly("steps_done", &RewardSide::steps_done)
      .def_property_readonly("learns", &RewardSide::learns, "Whether this Conductor learns.");
  m.def("advantages", &advantages_of, py::arg("scalarization"), py::arg("rewards"), py::arg("weights"),
        py::arg("group_sizes"), py::arg("lengths") = py::none(), py::arg("options") = Options{},
        "Advantages (B) of rewards (B x K) under weights (B x K), by any estimator or preset in `scalarizations`.");
  m.def("group_statistics", &group_statistics, py::arg("rewards"), py::arg("group_sizes"),
        "Mean and standard deviation (ddof 1) of each reward in each group, without NaN; (groups x K) in float64, NaN "
        "where all "
        "are missing. On a CUDA device they are computed in double and rounded to float32.");
}
