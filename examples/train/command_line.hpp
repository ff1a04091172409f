#pragma once

/// @file
/// From the words of the command line to the options of a run: what each may be, typos, and --config.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cxxopts.hpp>
#include <exception>
#include <iostream>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/option.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "train/option_names.hpp"

namespace maestro::examples {

namespace detail {

/// Whether an option is there or not, without a value.
template <class T>
inline constexpr bool is_flag =
    std::is_same_v<T, bool> || std::is_same_v<T, DryRun> || std::is_same_v<T, TensorBoardFiles>;

/// Whether an option takes one text, and has none unless it is given.
template <class T>
inline constexpr bool is_text_without_default =
    std::is_same_v<T, RepeatedText> || std::is_same_v<T, std::optional<std::string>>;

template <class T>
inline constexpr bool is_list = requires(T& list) {
  list.pop_back();
}
&&!std::is_same_v<T, std::string>;

/// @throws BadArgument naming the option and what it takes.
template <class Number>
Number number(const OptionInfo& info, const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const std::string start = "--" + option_name(info) + " is ";
  if constexpr (std::is_floating_point_v<Number>) {
    if (error != std::errc{} || stop != end || !std::isfinite(value)) {
      throw BadArgument(start + "'" + text + "', not a number");
    }
  } else {
    if (error == std::errc::result_out_of_range) {
      const int bits = std::numeric_limits<Number>::digits;
      throw BadArgument(start + text + ", it must be below 2^" + std::to_string(bits));
    }
    if (error != std::errc{} || stop != end) {
      throw BadArgument(start + "'" + text + "', not a whole number" +
                        (std::is_unsigned_v<Number> ? " of at least 0" : ""));
    }
  }
  return value;
}

/// What was given for an option of type T.
template <class T>
struct Read {
  static T from(const OptionInfo& info, const std::string& text) {
    if constexpr (std::is_enum_v<T>) {
      return static_cast<T>(index_of_name("--" + option_name(info), text, info.values));
    } else if constexpr (std::is_same_v<T, std::string>) {
      return text;
    } else {
      return number<T>(info, text);
    }
  }
};
template <>
struct Read<std::optional<std::string>> {
  static std::optional<std::string> from(const OptionInfo&, const std::string& text) { return text; }
};
/// 0 is none.
template <class T>
struct Read<std::optional<T>> {
  static std::optional<T> from(const OptionInfo& info, const std::string& text) {
    const T value = number<T>(info, text);
    return value == T{} ? std::nullopt : std::optional<T>(value);
  }
};

/// Calls f(info, value) for each setting that is an option, all at their defaults. Those that Options::hidden names, if
/// there is such a list, are none.
template <OptionList Options, class F>
void for_each_option(const F& f) {
  const Options defaults;
  visit_values(defaults, [&](const OptionInfo& info, const auto& value) {
    if (info.help.empty()) return;
    if constexpr (requires { Options::hidden; }) {
      if (std::find(Options::hidden.begin(), Options::hidden.end(), info.name) != Options::hidden.end()) return;
    }
    f(info, value);
  });
}

/// The value of an option in a file, as the command line would have it.
/// @throws BadFile for what is no value of an option.
inline std::string argument_text(const Json& value, const std::string& place) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_object()) return dump_json(value);
  if (!value.is_array()) throw BadFile(place + " must be a text, a number or a list");
  std::string list;
  for (const Json& entry : value) {
    if (!entry.is_string() && !entry.is_number()) throw BadFile(place + " must be a list of texts or numbers");
    list += (list.empty() ? "" : ",") + argument_text(entry, place);
  }
  return list;
}

}  // namespace detail

/// The words of a command line without the program's own.
using Words = std::vector<std::string>;

/// Refuses a word that names no option, and says which may be meant: TRL's names with underscores too.
/// @param others  the program's options besides those of the list
/// @throws BadArgument
template <OptionList Options>
void check_option_names(const Words& words, const Words& others = {"help", "config"}) {
  std::vector<std::string> names = others;
  std::vector<std::string> flags{"help"};
  detail::for_each_option<Options>([&]<class T>(const OptionInfo& info, const T&) {
    names.push_back(option_name(info));
    if (detail::is_flag<T>) flags.push_back(option_name(info));
  });
  const auto is_in = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with("--") || words[i].size() == 2) continue;
    const std::size_t equals = words[i].find('=');
    const std::string name = words[i].substr(2, equals == std::string::npos ? equals : equals - 2);
    if (!is_in(names, name)) {
      const std::vector<std::string_view> known(names.begin(), names.end());
      const std::string_view nearest = nearest_name(name, known);
      throw BadArgument("--" + name + " is no option" +
                        (nearest.empty() ? "; --help lists them" : "; did you mean --" + std::string(nearest) + "?"));
    }
    if (equals == std::string::npos && !is_in(flags, name)) ++i;  // its value, which may begin with dashes
  }
}

/// The options of a file of --config as words, those that `given` says stood on the command line left out.
/// @throws IoError, BadFile naming the key.
template <OptionList Options, class Given>
Words words_of_config(const std::string& path, const Given& given) {
  const Json json = parse_json(read_file(path), path);
  if (!json.is_object()) throw BadFile(path + ": must be an object of options, such as {\"steps\": 200}");
  Words words;
  for (const auto& item : json.items()) {
    const std::string key = item.key();
    const Json& value = item.value();
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', '-');
    const std::string place = path + ": '" + key + "'";
    bool known = false;
    detail::for_each_option<Options>([&]<class T>(const OptionInfo& info, const T&) {
      if (option_name(info) != name) return;
      known = true;
      if (given(name)) return;
      if constexpr (detail::is_flag<T>) {
        if (!value.is_boolean()) throw BadFile(place + " must be true or false");
        if (value.template get<bool>()) words.push_back("--" + name);
      } else if constexpr (std::is_same_v<T, RepeatedText>) {
        if (!value.is_array()) throw BadFile(place + " must be a list of texts");
        for (const Json& entry : value) words.push_back("--" + name + "=" + detail::argument_text(entry, place));
      } else {
        words.push_back("--" + name + "=" + detail::argument_text(value, place));
      }
    });
    if (known) continue;
    try {
      check_option_names<Options>({"--" + name});
    } catch (const BadArgument& error) {
      throw BadFile(path + ": " + error.what());
    }
    throw BadFile(place + " has no place in a file");
  }
  return words;
}

/// One option for each setting that has a help. Those of `names` stand under the heading `first`.
template <OptionList Options>
void add_options(cxxopts::Options& options, std::string_view first = {}, std::span<const std::string_view> names = {}) {
  detail::for_each_option<Options>([&]<class T>(const OptionInfo& info, const T& usual) {
    const std::string name = option_name(info);
    const bool leads = std::find(names.begin(), names.end(), name) != names.end();
    const auto add = [&](const auto& value) {
      options.add_option(std::string(leads ? first : info.group), {name, option_help(info), value});
    };
    if constexpr (detail::is_flag<T>) {
      add(cxxopts::value<bool>());
    } else if constexpr (detail::is_text_without_default<T>) {
      add(cxxopts::value<std::string>());
    } else if constexpr (std::is_same_v<T, std::vector<double>>) {
      add(cxxopts::value<std::vector<std::string>>());
    } else if constexpr (detail::is_list<T>) {
      const auto list = cxxopts::value<std::vector<std::string>>();
      add(usual.empty() ? list : list->default_value(option_text(info, usual)));
    } else {
      add(cxxopts::value<std::string>()->default_value(option_text(info, usual)));
    }
  });
}

/// The options that a program whose runs can be repeated from a file has besides those of its list.
inline void add_config_and_help(cxxopts::Options& options, std::string_view first) {
  options.add_option(std::string(first),
                     {"config", "JSON file of options, such as the run.json of a run's folder; those given here win",
                      cxxopts::value<std::string>()});
  options.add_option(std::string(first), {"help", "This text"});
}

/// The options that the words give, with those of --config before them.
/// @param others  as in check_option_names
/// @throws BadArgument, BadFile, IoError
template <OptionList Options>
cxxopts::ParseResult parse(cxxopts::Options& options, const Words& words, const Words& others = {"help", "config"}) {
  const auto parsed = [&](const Words& all) {
    std::vector<const char*> arguments{"program"};
    for (const std::string& word : all) arguments.push_back(word.c_str());
    return options.parse(static_cast<int>(arguments.size()), arguments.data());
  };
  check_option_names<Options>(words, others);
  cxxopts::ParseResult given = parsed(words);
  if (given.count("config") > 0) {
    Words all = words_of_config<Options>(given["config"].as<std::string>(),
                                         [&](const std::string& name) { return given.count(name) > 0; });
    all.insert(all.end(), words.begin(), words.end());
    given = parsed(all);
  }
  if (!given.unmatched().empty()) {
    throw BadArgument("'" + given.unmatched().front() + "' is no option; see --help");
  }
  return given;
}

/// --help, the options under the first heading first.
inline std::string help_text(const cxxopts::Options& options, std::string_view first) {
  std::vector<std::string> groups{std::string(first)};
  for (const std::string& group : options.groups()) {
    if (group != first) groups.push_back(group);
  }
  return options.help(groups);
}

/// Sets every option that was given, each by itself.
/// @throws BadArgument
template <OptionList Options>
void read_options(const cxxopts::ParseResult& given, Options& o) {
  visit_values(o, [&]<class T>(const OptionInfo& info, T& setting) {
    const std::string name = option_name(info);
    if (info.help.empty() || given.count(name) == 0) return;
    const auto& value = given[name];
    if constexpr (detail::is_flag<T>) {
      setting = static_cast<T>(1);
    } else if constexpr (std::is_same_v<T, RepeatedText>) {
      for (const auto& argument : given.arguments()) {
        if (argument.key() == name) setting.push_back(argument.value());
      }
    } else if constexpr (detail::is_list<T>) {
      setting.clear();
      for (const std::string& text : value.template as<std::vector<std::string>>()) {
        setting.push_back(detail::Read<typename T::value_type>::from(info, text));
      }
    } else {
      setting = detail::Read<T>::from(info, value.template as<std::string>());
    }
  });
}

/// All options that were given, by --config too, as a file for --config: the same command again.
template <OptionList Options>
OrderedJson config_of(const cxxopts::ParseResult& given) {
  OrderedJson json = OrderedJson::object();
  detail::for_each_option<Options>([&]<class T>(const OptionInfo& info, const T&) {
    const std::string name = option_name(info);
    if (given.count(name) == 0 || std::is_same_v<T, DryRun>) return;
    if constexpr (detail::is_flag<T>) {
      json[name] = true;
    } else if constexpr (std::is_same_v<T, RepeatedText>) {
      for (const auto& argument : given.arguments()) {
        if (argument.key() == name) json[name].push_back(argument.value());
      }
    } else if constexpr (detail::is_list<T>) {
      json[name] = given[name].template as<std::vector<std::string>>();
    } else if constexpr (std::is_arithmetic_v<T>) {
      const auto text = given[name].template as<std::string>();
      json[name] = Json::accept(text) ? parse_ordered_json(text, "--" + name) : OrderedJson(text);
    } else {
      json[name] = given[name].template as<std::string>();
    }
  });
  return json;
}

/// What the small programs do: reads the command line into Options, checks them, and calls run(options). Prints the
/// help if it is asked for. Errors go to the error stream under the program's name. Gives the exit status.
template <OptionList Options, class Run>
int run_program(const std::string& name, const std::string& description, int argc, char** argv, const Run& run) {
  try {
    cxxopts::Options line(name, description);
    line.set_width(110);
    add_options<Options>(line);
    line.add_options()("help", "This text");
    const auto given = parse<Options>(line, {argv + 1, argv + argc}, {"help"});
    if (given.count("help") > 0) {
      std::cout << line.help() << '\n';
      return 0;
    }
    Options options;
    read_options(given, options);
    check(options, [&](const std::string& option) { return given.count(option) > 0; });
    return run(options);
  } catch (const std::bad_alloc&) {
    std::cerr << name << ": the system grants no more memory (ulimit -v, or all of it is in use)\n";
  } catch (const std::exception& error) {
    std::cerr << name << ": " << error.what() << '\n';
  }
  return 2;
}

}  // namespace maestro::examples
