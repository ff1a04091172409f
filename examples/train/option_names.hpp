#pragma once

/// @file
/// The command line's words for settings, and the types of those that only a command line has.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/option.hpp"

namespace maestro::examples {

/// Options that are there or not, without a value.
enum class DryRun : std::uint8_t { no, yes };
enum class TensorBoardFiles : std::uint8_t { no, yes };

/// The texts of an option that may be given several times; a comma in one is its own.
struct RepeatedText : std::vector<std::string> {};

/// The option of a setting, without dashes before it: "top-k" of "top_k".
inline std::string option_name(const OptionInfo& info) {
  std::string name(info.name);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

/// What --help says of a setting, its values in place of "{}".
inline std::string option_help(const OptionInfo& info) {
  std::string help(info.help);
  const std::size_t place = help.find("{}");
  if (place != std::string::npos) help.replace(place, 2, join_names(info.values));
  return help;
}

/// A value as the command line takes it; numbers to six digits.
inline std::string option_text(const OptionInfo&, const std::string& value) { return value; }
inline std::string option_text(const OptionInfo&, double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}
inline std::string option_text(const OptionInfo& info, const std::optional<double>& value) {
  return option_text(info, value.value_or(0.0));
}
inline std::string option_text(const OptionInfo&, std::integral auto value) { return std::to_string(value); }
template <class Enum>
requires std::is_enum_v<Enum> std::string option_text(const OptionInfo& info, Enum value) {
  const auto place = static_cast<std::size_t>(value);
  return info.values.empty() ? std::to_string(place) : std::string(info.values[place]);
}
template <class T>
std::string option_text(const OptionInfo& info, const std::vector<T>& values) {
  std::string list;
  for (const T& value : values) list += (list.empty() ? "" : ",") + option_text(info, value);
  return list;
}

/// The options whose values are not the default, as the command line takes them: " --top-k 5 --beta 0.1".
template <OptionList S>
std::string changed_options(const S& options) {
  const S defaults;
  std::vector<std::string> usual;
  visit_values(defaults, [&](const OptionInfo& info, const auto& value) {
    if (!info.help.empty()) usual.push_back(option_text(info, value));
  });
  std::string changed;
  std::size_t option = 0;
  visit_values(options, [&]<class T>(const OptionInfo& info, const T& value) {
    if (info.help.empty()) return;
    const std::string text = option_text(info, value);
    if (text == usual[option++]) return;
    changed += " --" + option_name(info);
    const bool flag = std::is_same_v<T, bool> || (std::is_enum_v<T> && info.values.empty());
    if (!flag) changed += ' ' + (text.empty() ? "\"\"" : text);
  });
  return changed;
}

/// What refuses options without effect: refuse(idle, options, why) throws where one of them was given although the
/// others leave it without effect.
/// @param given  given(name): whether the option stood on the command line
template <class Given>
auto idle_refusal(const Given& given) {
  return [&given](bool idle, const std::vector<std::string>& options, const std::string& why) {
    for (const std::string& option : options) {
      if (given(option) && idle) throw BadArgument("--" + option + " has no effect " + why);
    }
  };
}

/// The options that the command line has of these settings, in the order of their list.
template <OptionList S>
std::vector<std::string> option_names(const S& options) {
  std::vector<std::string> names;
  visit_values(options, [&](const OptionInfo& info, const auto&) {
    if (!info.help.empty()) names.push_back(option_name(info));
  });
  return names;
}

}  // namespace maestro::examples
