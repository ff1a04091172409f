#pragma once

/// @file
/// Names of Jinja that are not implemented.

#include <algorithm>
#include <array>
#include <string_view>

namespace maestro::jinja {

/// The filters of Jinja that are refused when a template is loaded.
inline constexpr std::array<std::string_view, 15> missing_filters{
    "attr",      "e",        "escape",    "filesizeformat", "forceescape", "groupby",  "pprint", "random",
    "striptags", "truncate", "urlencode", "urlize",         "wordcount",   "wordwrap", "xmlattr"};
/// The tests of Jinja that are refused when a template is loaded.
inline constexpr std::array<std::string_view, 5> missing_tests{"escaped", "filter", "lower", "test", "upper"};
/// The tags of Jinja and its extensions that are refused when a template is loaded.
inline constexpr std::array<std::string_view, 10> missing_tags{
    "autoescape", "block", "debug", "do", "extends", "from", "import", "include", "pluralize", "trans"};
/// The global functions of Jinja that are refused when they are used.
inline constexpr std::array<std::string_view, 2> missing_globals{"cycler", "lipsum"};

template <class Names>
constexpr bool has_name(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace maestro::jinja
