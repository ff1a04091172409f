// Trains a language model by GRPO on several rewards whose weights a Conductor learns.
#include <unistd.h>

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
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

#include "common/stop_signal.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/option.hpp"
#include "train/idle_options.hpp"
#include "train/option_names.hpp"
#include "train/options.hpp"
#include "train/presets.hpp"
#include "train/train.hpp"

namespace {

using maestro::OptionInfo;
using maestro::visit_values;
using maestro::examples::DryRun;
using maestro::examples::option_help;
using maestro::examples::option_name;
using maestro::examples::option_text;
using maestro::examples::RepeatedText;
using maestro::examples::TrainOptions;

/// One option for each setting that has a help.
void add_options(cxxopts::Options& options) {
  const TrainOptions defaults;
  visit_values(defaults, [&]<class T>(const OptionInfo& info, const T& usual) {
    if (info.help.empty()) return;
    const auto add = [&](const auto& value) {
      options.add_option(std::string(info.group), {option_name(info), option_help(info), value});
    };
    if constexpr (std::is_same_v<T, DryRun>) {
      add(cxxopts::value<bool>());
    } else if constexpr (std::is_same_v<T, RepeatedText>) {
      add(cxxopts::value<std::string>());
    } else if constexpr (std::is_same_v<T, std::vector<double>>) {
      add(cxxopts::value<std::vector<std::string>>());
    } else if constexpr (requires { typename T::allocator_type; } && !std::is_same_v<T, std::string>) {
      const auto list = cxxopts::value<std::vector<std::string>>();
      add(usual.empty() ? list : list->default_value(option_text(info, usual)));
    } else {
      add(cxxopts::value<std::string>()->default_value(option_text(info, usual)));
    }
  });
  options.add_option("Run", {"help", "This text"});
}

/// @throws BadArgument naming the option and what it takes.
template <class Number>
Number number(const OptionInfo& info, const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const std::string start = "--" + option_name(info) + " is ";
  if constexpr (std::is_floating_point_v<Number>) {
    if (error != std::errc{} || stop != end || !std::isfinite(value)) {
      throw maestro::BadArgument(start + "'" + text + "', not a number");
    }
  } else {
    if (error == std::errc::result_out_of_range) {
      const int bits = std::numeric_limits<Number>::digits;
      throw maestro::BadArgument(start + text + ", it must be below 2^" + std::to_string(bits));
    }
    if (error != std::errc{} || stop != end) {
      throw maestro::BadArgument(start + "'" + text + "', not a whole number" +
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
      return static_cast<T>(maestro::index_of_name("--" + option_name(info), text, info.values));
    } else if constexpr (std::is_same_v<T, std::string>) {
      return text;
    } else {
      return number<T>(info, text);
    }
  }
};
/// 0 is none.
template <class T>
struct Read<std::optional<T>> {
  static std::optional<T> from(const OptionInfo& info, const std::string& text) {
    const T value = number<T>(info, text);
    return value == T{} ? std::nullopt : std::optional<T>(value);
  }
};

/// The options of the presets that are given, and of the one that a Conductor brings.
void read_presets(const cxxopts::ParseResult& given, TrainOptions& o) {
  std::vector<std::string> names;
  const bool paper = given.count("conductor") > 0 && given["conductor"].as<std::string>() == "maestro_paper";
  if (paper) names.emplace_back("maestro_paper");  // its reading is raw rewards and TRL's group advantage
  if (given.count("preset") > 0) {
    for (const std::string& name : given["preset"].as<std::vector<std::string>>()) names.push_back(name);
  }
  maestro::examples::apply_presets(names, o);
}

/// The options as given, each by itself.
TrainOptions read_options(const cxxopts::ParseResult& given) {
  TrainOptions o;
  read_presets(given, o);
  visit_values(o, [&]<class T>(const OptionInfo& info, T& setting) {
    const std::string name = option_name(info);
    if (info.help.empty() || given.count(name) == 0) return;
    const auto& value = given[name];
    if constexpr (std::is_same_v<T, DryRun>) {
      setting = DryRun::yes;
    } else if constexpr (std::is_same_v<T, RepeatedText>) {
      for (const auto& argument : given.arguments()) {
        if (argument.key() == name) setting.push_back(argument.value());
      }
    } else if constexpr (requires { setting.pop_back(); } && !std::is_same_v<T, std::string>) {
      setting.clear();
      for (const std::string& text : value.template as<std::vector<std::string>>()) {
        setting.push_back(Read<typename T::value_type>::from(info, text));
      }
    } else {
      setting = Read<T>::from(info, value.template as<std::string>());
    }
  });
  return o;
}

/// What one option says of another setting.
void settle(TrainOptions& o) {
  maestro::LoraOptions& lora = o.model_options.lora;
  if (o.model_options.lora_rank > 0) lora.rank = o.model_options.lora_rank;
  auto& targets = lora.targets;
  for (auto target = targets.begin(); target != targets.end();) {
    target = std::find(targets.begin(), target, *target) == target ? target + 1 : targets.erase(target);
  }
  maestro::TrainerOptions& t = o.trainer;
  t.schedule.total_steps = o.steps;
  t.objective.max_completion_length = t.sampling.max_completion_length;
  if (o.anchor.asked.max_calls > 0) o.anchor.asked.spread_steps = o.steps;
  const bool clips = t.objective.surrogate == maestro::Surrogate::clip;
  if (clips && t.objective.ratio_cap && !(*t.objective.ratio_cap > 1.0 + t.objective.epsilon_high)) {
    throw maestro::BadArgument("--delta must be above 1 + --epsilon-high, or 0 for no cap");
  }
  maestro::require(o.threads >= 0, "--threads must be at least 0; 0 takes as many as the machine has");
}

}  // namespace

int main(int argc, char** argv) {
  cxxopts::Options options("train",
                           "Trains a language model by GRPO on several rewards whose weights are learned. An option "
                           "that the others\nleave without effect is refused.\n");
  options.set_width(110);
  try {
    add_options(options);
    const auto given = options.parse(argc, argv);
    if (given.count("help") > 0) {
      std::cout << options.help() << maestro::examples::describe_presets() << '\n';
      return 0;
    }
    if (!given.unmatched().empty()) {
      throw maestro::BadArgument("'" + given.unmatched().front() + "' is no option; see --help");
    }
    maestro::examples::catch_stop_signals();
    TrainOptions read = read_options(given);
    settle(read);
    maestro::examples::refuse_idle_options(read, [&](const std::string& name) { return given.count(name) > 0; });
    return maestro::examples::train(
        read, isatty(STDOUT_FILENO) != 0 ? maestro::examples::Output::terminal : maestro::examples::Output::file);
  } catch (const std::bad_alloc&) {
    std::cerr
        << "train: the system grants no more memory (ulimit -v, or all of it is in use); less is taken with "
           "--lora-rank, --frozen-dtype bfloat16, --activations recompute, --beta 0, fewer or shorter responses\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "train: " << error.what() << '\n';
    return 2;
  }
}
