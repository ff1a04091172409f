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

using Options = std::map<std::string, py::object>;

/// Takes the value of an option out of `given`, if it is there, under its name on train's command line.
struct SetOption {
  Options& given;

  template <class T>
  void operator()(const maestro::OptionInfo& info, T& value) const {
    if (info.help.empty()) return;
    const auto found = given.find(std::string(info.name));
    if (found == given.end()) return;
    if constexpr (std::is_enum_v<T>) {
      const auto name = py::cast<std::string>(found->second);
      value = static_cast<T>(maestro::index_of_name(info.name, name, info.values));
    } else if constexpr (std::is_arithmetic_v<T>) {
      value = py::cast<T>(found->second);
    } else {
      return;
    }
    given.erase(found);
  }
};

/// Takes a value that is in no list of options.
template <class T>
void take(Options& given, const char* name, T& value) {
  const auto found = given.find(name);
  if (found == given.end()) return;
  value = py::cast<T>(found->second);
  given.erase(found);
}

inline void refuse_the_rest(const Options& given, const std::string& part) {
  if (given.empty()) return;
  throw maestro::BadArgument(part + " has no option '" + given.begin()->first + "'");
}

/// The options of the Conductor of this name; those of another one are refused.
inline maestro::AnyConductorOptions conductor_options(const std::string& name, Options given) {
  maestro::AnyConductorOptions options;
  const SetOption set{given};
  if (name == "linear" || name == "mlp") maestro::visit_values(options.learned, set);
  if (name == "random") maestro::visit_values(options.random, set);
  if (name == "exp3") maestro::visit_values(options.exp3, set);
  if (name == "predictability") maestro::visit_values(options.predictability, set);
  if (name == "saw") maestro::visit_values(options.saw, set);
  if (name == "hypervolume_guided") maestro::visit_values(options.hypervolume, set);
  if (name == "anchored") maestro::visit_values(options.anchored, set);
  if (name == "fixed" || name == "contrast" || name == "hypervolume_guided" || name == "scheduled") {
    take(given, "weights", options.weights);
  }
  if (name == "scheduled") {
    take(given, "weights_end", options.weights_end);
    take(given, "first_step", options.first_step);
    take(given, "last_step", options.last_step);
  }
  refuse_the_rest(given, "the Conductor '" + name + "'");
  return options;
}

inline maestro::AnyScalarization make_scalarization(const std::string& name, Options given) {
  if (name == "default") {
    refuse_the_rest(given, "the default scalarization");
    return maestro::AnyScalarization();
  }
  maestro::AdvantagesOptions options;
  std::string normalizer = "none";
  std::string scalarizer = "sum";
  take(given, "normalizer", normalizer);
  take(given, "scalarizer", scalarizer);
  options.normalizer.kind = maestro::normalizer_from_name(normalizer);
  options.scalarizer.kind = maestro::scalarizer_from_name(scalarizer);
  refuse_the_rest(given, "the scalarization");
  return maestro::AnyScalarization(name, options);
}

}  // namespace maestro_torch
