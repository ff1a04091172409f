#pragma once

/// @file
/// A scalarization chosen by name at run time. Neutral.

#include <array>
#include <string_view>
#include <utility>
#include <variant>

#include "maestro/core/names.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/default.hpp"
#include "maestro/scalarization/own_weight.hpp"
#include "maestro/scalarization/scalarization.hpp"

namespace maestro {

/// The names AnyScalarization knows, for --help: TRL's three scalings, then the other estimators.
inline constexpr std::array<std::string_view, 7> scalarization_names{"group",   "batch", "none",      "gdpo",
                                                                     "dr_grpo", "rloo",  "own_weight"};

/// One of the built-in scalarizations behind one type, DefaultScalarization if none is named; satisfies
/// Scalarization. One switch per batch.
class AnyScalarization {
 public:
  using Variant = std::variant<GroupRelative, Gdpo, DrGrpo, Rloo, OwnWeightBaseline>;

  AnyScalarization() = default;
  AnyScalarization(Variant scalarization) : scalarization_(std::move(scalarization)) {}
  /// The scalarization called `name` with its default options and the given reward normalizer.
  /// @throws BadArgument listing scalarization_names for any other name, or if the normalizer is out of domain.
  explicit AnyScalarization(std::string_view name, const Normalizer& normalizer = {})
      : scalarization_(make(name, normalizer)) {}

  template <class Comm>
  void operator()(const ScalarizationInput& in, const ScalarizationOutput& out, Comm& comm) const {
    std::visit([&](const auto& scalarization) { scalarization(in, out, comm); }, scalarization_);
  }

  const Variant& get() const { return scalarization_; }

 private:
  static Variant make(std::string_view name, const Normalizer& normalizer) {
    switch (index_of_name("scalarization", name, scalarization_names)) {
      case 0:
        return GroupRelative({.scale = AdvantageScale::group, .normalizer = normalizer});
      case 1:
        return GroupRelative({.scale = AdvantageScale::batch, .normalizer = normalizer});
      case 2:
        return GroupRelative({.scale = AdvantageScale::none, .normalizer = normalizer});
      case 3:
        return Gdpo({.normalizer = normalizer});
      case 4:
        return DrGrpo({.normalizer = normalizer});
      case 5:
        return Rloo({.normalizer = normalizer});
      default:
        return OwnWeightBaseline({.normalizer = normalizer});
    }
  }

  Variant scalarization_ = DefaultScalarization();
};

static_assert(Scalarization<GroupRelative> && Scalarization<Gdpo> && Scalarization<DrGrpo> && Scalarization<Rloo> &&
              Scalarization<OwnWeightBaseline> && Scalarization<AnyScalarization>);

}  // namespace maestro
