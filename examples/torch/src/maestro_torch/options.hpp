#pragma once

/// @file
/// What Python says of a Conductor and a scalarization, as the library's options.

#include <torch/extension.h>

#include <cstddef>
#include <map>
#include <string>
#include <type_traits>
#include <utility>

#include "maestro/conductor/any.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/scalarization/any_scalarization.hpp"

namespace maestro_torch {

namespace py = pybind11;

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

inline void refuse_the_rest(const Settings& settings, const std::string& part) {
  if (settings.empty()) return;
  throw maestro::BadArgument(part + " has no option '" + settings.begin()->first + "'");
}

/// The options of the Conductor of this name; those of another one are refused.
inline maestro::AnyConductorOptions conductor_options(const std::string& name, Settings settings) {
  maestro::AnyConductorOptions options;
  const SetOption set{settings};
  if (name == "linear" || name == "mlp") maestro::visit_values(options.learned, set);
  if (name == "random") maestro::visit_values(options.random, set);
  if (name == "exp3") maestro::visit_values(options.exp3, set);
  if (name == "predictability") maestro::visit_values(options.predictability, set);
  if (name == "saw") maestro::visit_values(options.saw, set);
  if (name == "hypervolume_guided") maestro::visit_values(options.hypervolume, set);
  if (name == "anchored") maestro::visit_values(options.anchored, set);
  if (name == "fixed" || name == "contrast" || name == "hypervolume_guided" || name == "scheduled") {
    take(settings, "weights", options.weights);
  }
  if (name == "scheduled") {
    take(settings, "weights_end", options.weights_end);
    take(settings, "first_step", options.first_step);
    take(settings, "last_step", options.last_step);
  }
  refuse_the_rest(settings, "the Conductor '" + name + "'");
  return options;
}

inline maestro::AnyScalarization make_scalarization(const std::string& name, Settings settings) {
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

}  // namespace maestro_torch
