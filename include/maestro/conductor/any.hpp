#pragma once

/// @file
/// A Conductor chosen by name at run time, for command lines.

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "maestro/conductor/conductor.hpp"
#include "maestro/conductor/fixed.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"

namespace maestro {

/// The names that AnyConductor knows. `maestro_paper` is `linear` under paper_preset(), whatever the learned options.
inline constexpr std::array<std::string_view, 7> conductor_names{"equal",  "fixed", "scheduled",    "random",
                                                                 "linear", "mlp",   "maestro_paper"};

template <std::size_t K>
struct AnyConductorOptions {
  LearnedConductorOptions learned{};                                               ///< linear, mlp
  std::array<float, K> weights = detail::filled<K>(1.0f / static_cast<float>(K));  ///< fixed
  ScheduledWeightsOptions<K> schedule{};                                           ///< scheduled
  RandomWeightsOptions random{};                                                   ///< random
};

/// One of conductor_names behind the Conductor concept. The MLP has one hidden layer of 64.
template <std::size_t K>
class AnyConductor {
 public:
  static constexpr std::size_t actions = K;

  /// @throws BadArgument for a name that is not in the list, or for what the chosen Conductor refuses.
  explicit AnyConductor(std::string_view name, const AnyConductorOptions<K>& options = {})
      : name_(name), conductor_(make(name, options)) {}

  const std::string& name() const { return name_; }
  /// Whether there is anything to learn, so that reports know whether "not learned" is a finding.
  bool learns() const {
    return std::holds_alternative<LinearConductor<K>>(conductor_) ||
           std::holds_alternative<MlpConductor<K, 64>>(conductor_);
  }
  Decision decide(const StepView& view) {
    return std::visit([&](auto& conductor) { return conductor.decide(view); }, conductor_);
  }
  void observe(const Feedback& feedback) {
    std::visit([&](auto& conductor) { conductor.observe(feedback); }, conductor_);
  }
  std::optional<ConductorReport> update() {
    return std::visit([](auto& conductor) { return conductor.update(); }, conductor_);
  }
  void weights(MatrixView<const float> hidden, MatrixView<float> out) const {
    std::visit([&](const auto& conductor) { conductor.weights(hidden, out); }, conductor_);
  }
  bool wants_counterfactuals() const {
    return std::visit([](const auto& conductor) { return maestro::wants_counterfactuals(conductor); }, conductor_);
  }
  bool wants_weight_gradients() const {
    return std::visit([](const auto& conductor) { return maestro::wants_weight_gradients(conductor); }, conductor_);
  }
  /// Holds the name too: the state of another kind of Conductor is refused.
  template <class Visitor>
  void visit_state(Visitor& v) {
    std::string stored = name_;
    v("kind", stored);
    if (stored != name_) {
      throw BadFile("conductor: the state stored is that of '" + stored + "', not of '" + name_ + "'");
    }
    std::visit(
        [&](auto& conductor) {
          if constexpr (requires { conductor.visit_state(v); }) v("conductor", conductor);
        },
        conductor_);
  }

 private:
  using Variant =
      std::variant<FixedWeights<K>, ScheduledWeights<K>, RandomWeights<K>, LinearConductor<K>, MlpConductor<K, 64>>;

  static Variant make(std::string_view name, const AnyConductorOptions<K>& options) {
    index_of_name("conductor", name, conductor_names);
    if (name == "equal") return FixedWeights<K>(EqualWeights<K>());
    if (name == "fixed") return FixedWeights<K>(options.weights);
    if (name == "scheduled") return ScheduledWeights<K>(options.schedule);
    if (name == "random") return RandomWeights<K>(options.random);
    if (name == "linear") return LinearConductor<K>(options.learned);
    if (name == "mlp") return MlpConductor<K, 64>(options.learned);
    return LinearConductor<K>(paper_preset());
  }

  std::string name_;
  Variant conductor_;
};

}  // namespace maestro
