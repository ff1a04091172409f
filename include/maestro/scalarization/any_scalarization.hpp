#pragma once

/// @file
/// A scalarization chosen by name at run time, and the presets named after other frameworks. Neutral.

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "maestro/core/names.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/default.hpp"
#include "maestro/scalarization/estimators.hpp"
#include "maestro/scalarization/scalarization.hpp"

namespace maestro {

namespace detail {

template <class... E>
struct ScalarizationsOf {
  using Variant = std::variant<Advantages<E>...>;
  /// Gives the scalarization by the estimator at place `index` of the list, with its default options.
  static Variant make(std::size_t index, const AdvantagesOptions& options) {
    using Make = Variant (*)(const AdvantagesOptions&);
    static constexpr std::array<Make, sizeof...(E)> all{
        [](const AdvantagesOptions& o) -> Variant { return Advantages<E>(E{}, o); }...};
    return all[index](options);
  }
};

}  // namespace detail

/// ScalarizationPreset describes what another framework computes with its default options.
struct ScalarizationPreset {
  std::string_view name;
  std::string_view what;
};

/// The presets, for --help.
inline constexpr std::array<ScalarizationPreset, 11> scalarization_presets{{
    {"trl", "TRL 1.16: group, deviation with ddof 1, epsilon 1e-4"},
    {"trl_gdpo", "TRL's normalize_then_sum: gdpo"},
    {"trl_async", "TRL's asynchronous trainer: ddof 0, epsilon 1e-8"},
    {"none", "TRL's scale none: dr_grpo"},
    {"verl", "verl: epsilon 1e-6, a lone response keeps its reward"},
    {"nemo_rl", "NeMo-RL: leave_one_out, epsilon 1e-6"},
    {"openrlhf", "OpenRLHF's group_norm: epsilon 1e-9"},
    {"flash_reinforce", "OpenRLHF's REINFORCE without a group baseline: batch_centered"},
    {"ms_swift", "ms-swift: epsilon 1e-4, a response without rewards counts as 0"},
    {"ms_swift_gdpo", "ms-swift's gdpo: epsilons 1e-8"},
    {"paper", "MAESTRO as published: group, on rewards as they are"},
}};

namespace detail {

constexpr auto all_scalarization_names() {
  std::array<std::string_view, advantage_estimator_names.size() + scalarization_presets.size()> names{};
  std::size_t i = 0;
  for (const std::string_view name : advantage_estimator_names) names[i++] = name;
  for (const ScalarizationPreset& preset : scalarization_presets) names[i++] = preset.name;
  return names;
}

}  // namespace detail

/// The names that AnyScalarization knows: those of the estimators, then those of the presets.
inline constexpr auto scalarization_names = detail::all_scalarization_names();

/// AnyScalarization holds one of the built-in scalarizations, DefaultScalarization if none is named. It satisfies
/// Scalarization and costs one switch per batch.
class AnyScalarization {
 public:
  using Variant = AdvantageEstimators::apply<detail::ScalarizationsOf>::Variant;

  AnyScalarization() : scalarization_(static_cast<const Advantages<OwnWeightBaseline>&>(DefaultScalarization())) {}
  template <AdvantageEstimator E>
  AnyScalarization(Advantages<E> scalarization) : scalarization_(std::move(scalarization)) {}
  /// Makes the scalarization called `name`: an estimator with its default options, or a preset.
  /// @param options what happens to the rewards before the estimator.
  /// @throws BadArgument listing scalarization_names for any other name, or if an option is out of domain.
  explicit AnyScalarization(std::string_view name, const AdvantagesOptions& options = {})
      : scalarization_(make(name, options)) {}

  template <class Comm>
  void operator()(const ScalarizationInput& in, const ScalarizationOutput& out, Comm& comm) const {
    std::visit([&](const auto& scalarization) { scalarization(in, out, comm); }, scalarization_);
  }

  const Variant& get() const { return scalarization_; }

 private:
  static Variant make(std::string_view name, AdvantagesOptions options) {
    const std::size_t index = index_of_name("scalarization", name, scalarization_names);
    if (index < advantage_estimator_names.size())
      return AdvantageEstimators::apply<detail::ScalarizationsOf>::make(index, options);
    if (name == "trl_async") return Advantages(GroupRelative{.ddof = 0, .epsilon = 1e-8}, options);
    if (name == "none") return Advantages(DrGrpo{}, options);
    if (name == "verl") return Advantages(GroupRelative{.epsilon = 1e-6, .lone = LoneRow::keep}, options);
    if (name == "nemo_rl") return Advantages(LeaveOneOut{.epsilon = 1e-6}, options);
    if (name == "openrlhf") return Advantages(GroupRelative{.epsilon = 1e-9}, options);
    if (name == "flash_reinforce") return Advantages(BatchCentered{}, options);
    if (name == "trl_gdpo") return Advantages(Gdpo{}, options);
    if (name == "ms_swift_gdpo") return Advantages(Gdpo{{.inner = {.epsilon = 1e-8}, .epsilon = 1e-8}}, options);
    if (name == "ms_swift") options.missing_rows = MissingRows::zero;
    return Advantages(GroupRelative{}, options);  // trl, ms_swift, paper
  }

  Variant scalarization_;
};

static_assert(Scalarization<AnyScalarization>);

}  // namespace maestro
