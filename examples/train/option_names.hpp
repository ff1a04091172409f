#pragma once

/// @file
/// The command line's words for settings.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/names.hpp"
#include "maestro/core/setting.hpp"

namespace maestro::examples {

/// The option of a setting, without dashes before it: "top-k" of "top_k".
inline std::string option_name(const SettingInfo& info) {
  std::string name(info.name);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

/// What --help says of a setting, its values in place of "{}".
inline std::string option_help(const SettingInfo& info) {
  std::string help(info.help);
  const std::size_t place = help.find("{}");
  if (place != std::string::npos) help.replace(place, 2, join_names(info.values));
  return help;
}

/// The options that the command line has of these settings, in the order of their list.
template <Settings S>
std::vector<std::string> option_names(const S& settings) {
  std::vector<std::string> names;
  visit_values(settings, [&](const SettingInfo& info, const auto&) {
    if (!info.help.empty()) names.push_back(option_name(info));
  });
  return names;
}

}  // namespace maestro::examples
