#pragma once

/// @file
/// A Conductor chosen by name at run time, for command lines.

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/conductor/anchored.hpp"
#include "maestro/conductor/bandit.hpp"
#include "maestro/conductor/conductor.hpp"
#include "maestro/conductor/fixed.hpp"
#include "maestro/conductor/guided.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/conductor/predictability.hpp"
#include "maestro/conductor/rule.hpp"
#include "maestro/conductor/rules.hpp"
#include "maestro/core/any_state_visitor.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/state.hpp"

namespace maestro {

/// The names that AnyConductor knows. `equal` gives 1/K, `unit` gives 1 to each reward as TRL does. `maestro_paper` is
/// `linear` with the options of paper_preset(); it ignores the other learned options.
inline constexpr std::array<std::string_view, 17> conductor_names{
    "equal",          "unit",          "fixed",           "scheduled",
    "random",         "saw",           "contrast",        "exp3",
    "predictability", "prompt",        "linear",          "mlp",
    "anchored",       "maestro_paper", "gradient_guided", "hypervolume_guided",
    "consensus"};

/// AnyConductorOptions holds the options of all Conductors; each reads its own. Weights are K values, or none for 1/K
/// each.
struct AnyConductorOptions {
  LearnedConductorOptions learned{};       ///< linear, mlp
  std::vector<float> weights{};            ///< fixed, scheduled up to first_step, and the base of contrast and
                                           ///< hypervolume_guided
  std::vector<float> weights_end{};        ///< scheduled from last_step on
  std::uint32_t first_step = 0;            ///< scheduled
  std::uint32_t last_step = 100;           ///< scheduled; above first_step
  RandomWeightsOptions random{};           ///< random
  Saw saw{};                               ///< saw
  Exp3Options exp3{};                      ///< exp3
  PredictabilityOptions predictability{};  ///< predictability
  GradientGuidedOptions gradient{};        ///< gradient_guided
  HypervolumeGuidedOptions hypervolume{};  ///< hypervolume_guided
  AnchoredOptions anchored{};              ///< anchored
  Matrix<float> prompt_weights{};          ///< prompt: (prompts x K), see PromptWeights
};

/// AnyConductor is a Conductor chosen from conductor_names, with K known at run time. The MLP has one hidden layer of
/// 64. A copy of it has its own Conductor.
class AnyConductor {
 public:
  /// The largest K that is compiled.
  static constexpr std::size_t max_actions = 8;

  /// @throws BadArgument for a name that is not in the list, K outside [1, max_actions], another number of weights than
  /// K, or options that the chosen Conductor refuses. The constructor is a template, so that the Conductors of every K
  /// are compiled only if one is made.
  template <std::size_t most = max_actions>
  AnyConductor(std::string_view name, std::size_t actions, const AnyConductorOptions& options = {})
      : name_(name), actions_(actions), conductor_(make<most>(name, actions, options)) {}
  AnyConductor(const AnyConductor& other)
      : name_(other.name_), actions_(other.actions_), conductor_(other.conductor_->clone()) {}
  AnyConductor& operator=(const AnyConductor& other) { return *this = AnyConductor(other); }
  AnyConductor(AnyConductor&&) noexcept = default;
  AnyConductor& operator=(AnyConductor&&) noexcept = default;
  ~AnyConductor() = default;

  const std::string& name() const { return name_; }
  /// Gives K, the number of rewards.
  std::size_t num_actions() const { return actions_; }
  /// Tells whether the Conductor learns. Reports say "not learned" only of one that does.
  bool learns() const { return conductor_->learns(); }
  Decision decide(const StepView& view) { return conductor_->decide(view); }
  void observe(const Feedback& feedback) { conductor_->observe(feedback); }
  std::optional<ConductorReport> update() { return conductor_->update(); }
  void weights(MatrixView<const float> hidden, MatrixView<float> out) const { conductor_->weights(hidden, out); }
  bool wants_counterfactuals() const { return conductor_->wants_counterfactuals(); }
  bool wants_reward_gradients() const { return conductor_->wants_reward_gradients(); }
  /// Overwrites out (N) with the Conductor's uncertainty about each group.
  /// @throws Unsupported for every Conductor except `anchored`.
  void uncertainty(const StepView& view, std::span<double> out) const {
    if (!conductor_->uncertainty(view, out)) {
      throw Unsupported("conductor: '" + name_ + "' gives no uncertainty; let the groups be chosen at random");
    }
  }
  /// Visits the name and the Conductor's state. Loading refuses the state of another kind of Conductor.
  template <class Visitor>
  void visit_state(Visitor& v) {
    std::string stored = name_;
    v("kind", stored);
    if (stored != name_) {
      throw BadFile("conductor: the state stored is that of '" + stored + "', not of '" + name_ + "'");
    }
    AnyStateVisitor any(v);
    conductor_->visit_state(any);
  }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual std::unique_ptr<Interface> clone() const = 0;
    virtual bool learns() const = 0;
    virtual Decision decide(const StepView& view) = 0;
    virtual void observe(const Feedback& feedback) = 0;
    virtual std::optional<ConductorReport> update() = 0;
    virtual void weights(MatrixView<const float> hidden, MatrixView<float> out) const = 0;
    virtual bool wants_counterfactuals() const = 0;
    virtual bool wants_reward_gradients() const = 0;
    virtual bool uncertainty(const StepView& view, std::span<double> out) const = 0;
    virtual void visit_state(AnyStateVisitor& v) = 0;
  };
  template <class C>
  struct Model final : Interface {
    explicit Model(C made, bool does_learn) : conductor(std::move(made)), learned(does_learn) {}
    std::unique_ptr<Interface> clone() const override { return std::make_unique<Model>(*this); }
    bool learns() const override { return learned; }
    Decision decide(const StepView& view) override { return conductor.decide(view); }
    void observe(const Feedback& feedback) override {
      if constexpr (detail::Observes<C>) conductor.observe(feedback);
    }
    std::optional<ConductorReport> update() override {
      if constexpr (detail::Updates<C>) return conductor.update();
      return std::nullopt;
    }
    void weights(MatrixView<const float> hidden, MatrixView<float> out) const override {
      conductor.weights(hidden, out);
    }
    bool wants_counterfactuals() const override { return maestro::wants_counterfactuals(conductor); }
    bool wants_reward_gradients() const override { return maestro::wants_reward_gradients(conductor); }
    bool uncertainty(const StepView& view, std::span<double> out) const override {
      if constexpr (detail::GivesUncertainty<C>) conductor.uncertainty(view, out);
      return detail::GivesUncertainty<C>;
    }
    void visit_state(AnyStateVisitor& v) override {
      if constexpr (Stateful<C>) v("conductor", conductor);
    }

    C conductor;
    bool learned;
  };
  using Made = std::unique_ptr<Interface>;

  template <class C>
  static Made made(C conductor, bool learns = false) {
    return std::make_unique<Model<C>>(std::move(conductor), learns);
  }

  template <std::size_t most>
  static Made make(std::string_view name, std::size_t actions, const AnyConductorOptions& options) {
    index_of_name("conductor", name, conductor_names);
    Made result = actions > 0 && actions <= most ? make_rule(name, actions, options) : nullptr;
    if (result) return result;
    [&]<std::size_t... k>(std::index_sequence<k...>) {
      ((actions == k + 1 ? void(result = make_for<k + 1>(name, options)) : void()), ...);
    }
    (std::make_index_sequence<most>{});
    if (!result) {
      throw BadArgument("conductor: chosen by name there are Conductors for 1 to " + std::to_string(most) +
                        " rewards, not for " + std::to_string(actions) +
                        "; give the Trainer a Conductor of its own type, such as LinearConductor<" +
                        std::to_string(actions) + ">");
    }
    return result;
  }

  /// Makes the Conductors whose type does not depend on K; null for the other names.
  static Made make_rule(std::string_view name, std::size_t actions, const AnyConductorOptions& o) {
    if (name == "scheduled" || name == "contrast" || name == "hypervolume_guided") {
      check_count(o.weights.size(), actions);
    }
    if (name == "scheduled") {
      check_count(o.weights_end.size(), actions);
      return made(RuleConductor(
          Schedule{.from = o.weights, .to = o.weights_end, .first_step = o.first_step, .last_step = o.last_step}));
    }
    if (name == "saw") return made(RuleConductor(o.saw));
    if (name == "contrast") return made(RuleConductor(Contrast{.base = o.weights}));
    if (name == "consensus") return made(RuleConductor(Consensus{}));
    if (name == "gradient_guided") return made(RuleConductor(GradientGuided(o.gradient)), true);
    if (name == "hypervolume_guided") {
      HypervolumeGuidedOptions guided = o.hypervolume;
      if (!o.weights.empty()) guided.base = o.weights;
      return made(RuleConductor(HypervolumeGuided(guided)), true);
    }
    if (name == "exp3") return made(RuleConductor(Exp3(o.exp3)), true);
    if (name == "predictability") return made(RuleConductor(Predictability(o.predictability)), true);
    if (name == "anchored") return made(AnchoredConductor(o.anchored), true);
    if (name != "prompt") return nullptr;
    check_count(o.prompt_weights.cols(), actions);
    return made(RuleConductor(PromptWeights{.table = o.prompt_weights}));
  }

  template <std::size_t K>
  static Made make_for(std::string_view name, const AnyConductorOptions& options) {
    if (name == "equal") return made(FixedWeights<K>(EqualWeights<K>()));
    if (name == "unit") return made(FixedWeights<K>(detail::filled<K>(1.0f)));
    if (name == "fixed") return made(FixedWeights<K>(weights_of<K>(options.weights)));
    if (name == "random") return made(RandomWeights<K>(options.random));
    if (name == "linear") return made(LinearConductor<K>(options.learned), true);
    if (name == "mlp") return made(MlpConductor<K, 64>(options.learned), true);
    return made(LinearConductor<K>(paper_preset()), true);
  }

  static void check_count(std::size_t given, std::size_t actions) {
    if (given == 0 || given == actions) return;
    throw BadArgument("conductor: " + std::to_string(given) + " weights for " + std::to_string(actions) + " rewards");
  }
  template <std::size_t K>
  static std::array<float, K> weights_of(const std::vector<float>& given) {
    std::array<float, K> weights = detail::filled<K>(1.0f / static_cast<float>(K));
    check_count(given.size(), K);
    std::copy(given.begin(), given.end(), weights.begin());
    return weights;
  }

  std::string name_;
  std::size_t actions_;
  Made conductor_;
};

}  // namespace maestro
