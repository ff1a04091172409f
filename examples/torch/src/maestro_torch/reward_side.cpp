/// @file
/// The reward side of MAESTRO for PyTorch: rewards, hidden states and groups in, advantages and weights out. Tensors on
/// the CPU are read where they lie.

#include <torch/extension.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/conductor/any.hpp"
#include "maestro/conductor/probability.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/data/anchor.hpp"
#include "maestro/io/state.hpp"
#include "maestro/scalarization/any_scalarization.hpp"
#include "maestro/scalarization/draw_noise.hpp"
#include "maestro/trainer/anchor_step.hpp"

namespace py = pybind11;

namespace {

using Settings = std::map<std::string, py::object>;

/// Takes the value of an option out of `settings`, if it is there, under its name on train's command line.
struct SetOption {
  Settings& settings;

  template <class T>
  void operator()(const maestro::OptionInfo& info, T& value) const {
    if (info.help.empty()) return;
    const auto found = settings.find(std::string(info.name));
    if (found == settings.end()) return;
    if constexpr (std::is_enum_v<T>) {
      const auto name = py::cast<std::string>(found->second);
      value = static_cast<T>(maestro::index_of_name(info.name, name, info.values));
    } else if constexpr (std::is_arithmetic_v<T>) {
      value = py::cast<T>(found->second);
    } else {
      return;
    }
    settings.erase(found);
  }
};

/// Takes a value that is in no list of options.
template <class T>
void take(Settings& settings, const char* name, T& value) {
  const auto found = settings.find(name);
  if (found == settings.end()) return;
  value = py::cast<T>(found->second);
  settings.erase(found);
}

void refuse_the_rest(const Settings& settings, const std::string& part) {
  if (settings.empty()) return;
  throw maestro::BadArgument(part + " has no option '" + settings.begin()->first + "'");
}

maestro::AnyConductor make_conductor(const std::string& name, std::size_t rewards, Settings settings) {
  maestro::AnyConductorOptions options;
  const SetOption set{settings};
  maestro::visit_values(options.learned, set);
  maestro::visit_values(options.random, set);
  maestro::visit_values(options.exp3, set);
  maestro::visit_values(options.predictability, set);
  maestro::visit_values(options.gradient, set);
  maestro::visit_values(options.hypervolume, set);
  maestro::visit_values(options.anchored, set);
  take(settings, "weights", options.weights);
  take(settings, "weights_end", options.weights_end);
  take(settings, "first_step", options.first_step);
  take(settings, "last_step", options.last_step);
  refuse_the_rest(settings, "the Conductor");
  maestro::AnyConductor made(name, rewards, options);
  if (made.wants_reward_gradients()) {
    throw maestro::BadArgument("conductor '" + name + "' learns from the gradient of each reward, which is not taken " +
                               "here; maestro's own Trainer does");
  }
  return made;
}

maestro::AnyScalarization make_scalarization(const std::string& name, Settings settings) {
  if (name == "default") {
    refuse_the_rest(settings, "the default scalarization");
    return maestro::AnyScalarization();
  }
  maestro::AdvantagesOptions options;
  std::string normalizer = "none";
  std::string scalarizer = "sum";
  take(settings, "normalizer", normalizer);
  take(settings, "scalarizer", scalarizer);
  options.normalizer.kind = maestro::normalizer_from_name(normalizer);
  options.scalarizer.kind = maestro::scalarizer_from_name(scalarizer);
  refuse_the_rest(settings, "the scalarization");
  return maestro::AnyScalarization(name, options);
}

void check_tensor(const torch::Tensor& tensor, const char* name, std::int64_t dimensions) {
  TORCH_CHECK_VALUE(tensor.device().is_cpu(), name, " lies on ", tensor.device(), "; move it to the CPU first");
  TORCH_CHECK_VALUE(tensor.scalar_type() == torch::kFloat32, name, " is ", tensor.scalar_type(), ", expected float32");
  TORCH_CHECK_VALUE(tensor.dim() == dimensions, name, " has ", tensor.dim(), " dimensions, expected ", dimensions);
  TORCH_CHECK_VALUE(tensor.is_contiguous(), name, " is not contiguous");
}

maestro::MatrixView<const float> rows_of(const torch::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), static_cast<std::size_t>(tensor.size(0)),
          static_cast<std::size_t>(tensor.size(1))};
}

std::span<float> values_of(torch::Tensor& tensor) {
  return {tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

torch::Tensor tensor_of(const maestro::Matrix<float>& matrix) {
  torch::Tensor tensor =
      torch::empty({static_cast<std::int64_t>(matrix.rows()), static_cast<std::int64_t>(matrix.cols())});
  std::copy(matrix.flat().begin(), matrix.flat().end(), tensor.mutable_data_ptr<float>());
  return tensor;
}

maestro::Groups groups_of(const std::vector<std::int64_t>& sizes, std::size_t rows) {
  std::vector<std::size_t> all;
  std::size_t sum = 0;
  for (const std::int64_t size : sizes) {
    TORCH_CHECK_VALUE(size >= 0, "group_sizes holds ", size);
    all.push_back(static_cast<std::size_t>(size));
    sum += all.back();
  }
  TORCH_CHECK_VALUE(sum == rows, "group_sizes add up to ", sum, ", but there are ", rows, " responses");
  return maestro::Groups::from_sizes(all);
}

/// Everything that the reward side keeps between steps.
class RewardSide {
 public:
  RewardSide(std::size_t rewards, const std::string& conductor, Settings conductor_options,
             const std::string& scalarization, Settings scalarization_options, std::uint64_t seed)
      : rewards_(rewards),
        seed_(seed),
        conductor_(make_conductor(conductor, rewards, std::move(conductor_options))),
        scalarization_(make_scalarization(scalarization, std::move(scalarization_options))) {}

  /// Decides, scalarizes, learns. The order of a Trainer's step.
  py::dict step(const torch::Tensor& hidden, const torch::Tensor& rewards, const std::vector<std::int64_t>& group_sizes,
                std::optional<std::vector<std::int64_t>> prompts, std::optional<std::vector<std::int32_t>> lengths,
                const std::optional<torch::Tensor>& judged, const std::optional<torch::Tensor>& prompt_hidden) {
    check_tensor(hidden, "hidden", 2);
    check_tensor(rewards, "rewards", 2);
    const auto responses = static_cast<std::size_t>(rewards.size(0));
    TORCH_CHECK_VALUE(static_cast<std::size_t>(rewards.size(1)) == rewards_, "rewards has ", rewards.size(1),
                      " columns, expected ", rewards_);
    TORCH_CHECK_VALUE(hidden.size(0) == rewards.size(0), "hidden has ", hidden.size(0), " rows, rewards ",
                      rewards.size(0));
    const maestro::Groups groups = groups_of(group_sizes, responses);
    const std::vector<std::int64_t> keys = prompts ? std::move(*prompts) : in_order(groups.count());
    TORCH_CHECK_VALUE(keys.size() == groups.count(), "prompts has ", keys.size(), " values for ", groups.count(),
                      " groups");
    TORCH_CHECK_VALUE(!lengths || lengths->size() == responses, "lengths has ", lengths ? lengths->size() : 0,
                      " values for ", responses, " responses");
    const maestro::AnchorSignal signal = signal_of(judged, groups);
    maestro::MatrixView<const float> states_of_prompts;
    if (prompt_hidden) {
      check_tensor(*prompt_hidden, "prompt_hidden", 2);
      states_of_prompts = rows_of(*prompt_hidden);
    }

    const maestro::Decision decision = conductor_.decide({.hidden = rows_of(hidden),
                                                          .rewards = rows_of(rewards),
                                                          .groups = groups,
                                                          .rows = keys,
                                                          .seed = seed_,
                                                          .step = step_,
                                                          .prompt_hidden = states_of_prompts});
    torch::Tensor advantages = torch::empty({rewards.size(0)});
    torch::Tensor scalar_rewards = torch::empty({rewards.size(0)});
    maestro::Matrix<float> counterfactuals;
    counterfactuals.assign(conductor_.wants_counterfactuals() ? responses : 0, rewards_, 0.0f);
    maestro::ScalarizationInput in{rows_of(rewards), decision, groups};
    if (lengths) in.lengths = *lengths;
    maestro::SingleProcess alone;
    scalarization_(in, {values_of(advantages), values_of(scalar_rewards), counterfactuals}, alone);
    const std::optional<double> noise = draw_noise_.share(scalarization_, in, values_of(advantages), alone);

    conductor_.observe({.decision = decision,
                        .hidden = rows_of(hidden),
                        .groups = groups,
                        .advantages = values_of(advantages),
                        .counterfactuals = counterfactuals,
                        .step = step_,
                        .rewards = rows_of(rewards),
                        .seed = seed_,
                        .judged = signal.judged,
                        .prompt_hidden = states_of_prompts});
    const std::optional<maestro::ConductorReport> report = conductor_.update();
    ++step_;

    py::dict result;
    result["advantages"] = advantages;
    result["scalar_rewards"] = scalar_rewards;
    result["weights"] = tensor_of(decision.weights);
    py::dict figures = metrics(decision, rows_of(rewards), noise, report);
    if (!signal.groups.empty()) {
      const double agreement = maestro::anchor_rank_correlation(signal, groups, values_of(advantages));
      if (std::isfinite(agreement)) figures["anchor_rank_correlation"] = agreement;
    }
    result["metrics"] = figures;
    return result;
  }

  /// The deterministic weights of these hidden states.
  torch::Tensor weights(const torch::Tensor& hidden) const {
    check_tensor(hidden, "hidden", 2);
    torch::Tensor out = torch::empty({hidden.size(0), static_cast<std::int64_t>(rewards_)});
    conductor_.weights(rows_of(hidden),
                       {out.mutable_data_ptr<float>(), static_cast<std::size_t>(out.size(0)), rewards_});
    return out;
  }

  void save(const std::string& path) {
    maestro::StateWriter writer;
    visit_state(writer);
    writer.write(path);
  }
  void load(const std::string& path) {
    maestro::StateReader reader(path);
    visit_state(reader);
    reader.finish();
  }

  std::uint32_t steps_done() const { return step_; }
  bool learns() const { return conductor_.learns(); }

 private:
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
    const float* scores = judged->const_data_ptr<float>();
    signal.judged.assign(scores, scores + groups.rows());
    for (std::size_t g = 0; g < groups.count(); ++g) {
      const auto first = signal.judged.begin() + static_cast<std::ptrdiff_t>(groups.begin(g));
      const auto last = first + static_cast<std::ptrdiff_t>(groups.size(g));
      if (std::any_of(first, last, [](float score) { return !std::isnan(score); })) signal.groups.push_back(g);
    }
    return signal;
  }

  template <class Visitor>
  void visit_state(Visitor& v) {
    v("step", step_);
    v("conductor", conductor_);
  }

  py::dict metrics(const maestro::Decision& decision, maestro::MatrixView<const float> rewards,
                   const std::optional<double>& noise, const std::optional<maestro::ConductorReport>& report) const {
    py::dict m;
    m["kl_to_uniform"] = maestro::kl_to_uniform(decision, rewards);
    if (noise) m["draw_noise_share"] = *noise;
    if (!report) return m;
    m["samples"] = report->samples;
    m["loss"] = report->loss;
    m["surrogate"] = report->surrogate;
    m["entropy"] = report->entropy;
    m["temperature"] = report->temperature;
    m["grad_norm"] = report->gradient_norm;
    return m;
  }

  std::size_t rewards_;
  std::uint64_t seed_;
  std::uint32_t step_ = 0;
  maestro::AnyConductor conductor_;
  maestro::AnyScalarization scalarization_;
  maestro::DrawNoise draw_noise_;
};

/// Advantages of given weights, by any estimator or preset.
torch::Tensor advantages_of(const std::string& name, const torch::Tensor& rewards, const torch::Tensor& weights,
                            const std::vector<std::int64_t>& group_sizes,
                            std::optional<std::vector<std::int32_t>> lengths, Settings options) {
  check_tensor(rewards, "rewards", 2);
  check_tensor(weights, "weights", 2);
  TORCH_CHECK_VALUE(weights.sizes() == rewards.sizes(), "weights has shape ", weights.sizes(), ", rewards ",
                    rewards.sizes());
  maestro::Decision decision;
  decision.weights.resize(static_cast<std::size_t>(rewards.size(0)), static_cast<std::size_t>(rewards.size(1)));
  const std::span<const float> given(weights.const_data_ptr<float>(), static_cast<std::size_t>(weights.numel()));
  std::copy(given.begin(), given.end(), decision.weights.flat().begin());
  decision.base = decision.weights;
  const maestro::Groups groups = groups_of(group_sizes, decision.weights.rows());
  torch::Tensor advantages = torch::empty({rewards.size(0)});
  torch::Tensor scalar_rewards = torch::empty({rewards.size(0)});
  maestro::ScalarizationInput in{rows_of(rewards), decision, groups};
  TORCH_CHECK_VALUE(!lengths || lengths->size() == decision.weights.rows(), "lengths has ",
                    lengths ? lengths->size() : 0, " values for ", decision.weights.rows(), " responses");
  if (lengths) in.lengths = *lengths;
  maestro::SingleProcess alone;
  make_scalarization(name, std::move(options))(in, {values_of(advantages), values_of(scalar_rewards), {}}, alone);
  return advantages;
}

/// Mean and standard deviation (ddof 1) of every group's column, NaN skipped: two tensors (groups x K).
std::pair<torch::Tensor, torch::Tensor> group_statistics(const torch::Tensor& rewards,
                                                         const std::vector<std::int64_t>& group_sizes) {
  check_tensor(rewards, "rewards", 2);
  const auto columns = static_cast<std::size_t>(rewards.size(1));
  const maestro::Groups groups = groups_of(group_sizes, static_cast<std::size_t>(rewards.size(0)));
  torch::Tensor mean = torch::empty({static_cast<std::int64_t>(groups.count()), rewards.size(1)}, torch::kFloat64);
  torch::Tensor deviation = torch::empty_like(mean);
  const maestro::MatrixView<const float> all = rows_of(rewards);
  for (std::size_t g = 0; g < groups.count(); ++g) {
    for (std::size_t k = 0; k < columns; ++k) {
      const maestro::Moments m = maestro::moments_of(
          groups.size(g), [&](std::size_t i) { return static_cast<double>(all(groups.begin(g) + i, k)); });
      mean.mutable_data_ptr<double>()[g * columns + k] = m.mean;
      deviation.mutable_data_ptr<double>()[g * columns + k] = m.std_dev(1);
    }
  }
  return {mean, deviation};
}

template <std::size_t n>
std::vector<std::string> list_of(const std::array<std::string_view, n>& names) {
  return {names.begin(), names.end()};
}

}  // namespace

PYBIND11_MODULE(_reward_side, m) {
  m.doc() = "The reward side of MAESTRO on PyTorch's tensors.";
  m.attr("conductors") = list_of(maestro::conductor_names);
  m.attr("scalarizations") = list_of(maestro::scalarization_names);
  py::class_<RewardSide>(m, "RewardSide",
                         "A Conductor and a scalarization: what turns K rewards of a batch into advantages.")
      .def(py::init<std::size_t, const std::string&, Settings, const std::string&, Settings, std::uint64_t>(),
           py::arg("rewards"), py::arg("conductor") = "linear", py::arg("conductor_options") = Settings{},
           py::arg("scalarization") = "default", py::arg("scalarization_options") = Settings{}, py::arg("seed") = 0,
           "Options have the names of the program train: conductor_learning_rate, conductor_period, ...")
      .def(
          "step", &RewardSide::step, py::arg("hidden"), py::arg("rewards"), py::arg("group_sizes"),
          py::arg("prompts") = py::none(), py::arg("lengths") = py::none(), py::arg("judged") = py::none(),
          py::arg("prompt_hidden") = py::none(),
          "One step on hidden (B x d) and rewards (B x K, NaN where one does not apply), float32 on the CPU; "
          "group_sizes"
          " add up to B. prompts, a number per group, keys the draws. Gives advantages (B), scalar_rewards (B), weights"
          " (B x K) and metrics. judged (B), NaN where a judge was not asked, is what the Conductor 'anchored' learns "
          "from,"
          " and by option anchor_context 'prompt' it reads prompt_hidden (groups x d). The Conductor has learned from "
          "the step when it returns.")
      .def("weights", &RewardSide::weights, py::arg("hidden"), "The weights (B x K) of hidden states, without a draw.")
      .def("save", &RewardSide::save, py::arg("path"), "Writes the state as safetensors.")
      .def("load", &RewardSide::load, py::arg("path"), "Loads what save() wrote; options must be the same.")
      .def_property_readonly("steps_done", &RewardSide::steps_done)
      .def_property_readonly("learns", &RewardSide::learns, "Whether this Conductor learns.");
  m.def("advantages", &advantages_of, py::arg("scalarization"), py::arg("rewards"), py::arg("weights"),
        py::arg("group_sizes"), py::arg("lengths") = py::none(), py::arg("options") = Settings{},
        "Advantages (B) of rewards (B x K) under weights (B x K), by any estimator or preset in `scalarizations`.");
  m.def("group_statistics", &group_statistics, py::arg("rewards"), py::arg("group_sizes"),
        "Mean and standard deviation (ddof 1) of each reward in each group, without NaN; (groups x K) in float64.");
}
