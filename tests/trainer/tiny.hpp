#pragma once

// A small trainer whose every part has state: the tests' common ground.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/conductor/learned.hpp"
#include "maestro/policy/tabular.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/estimators/group_relative.hpp"
#include "maestro/trainer/trainer.hpp"

namespace tiny {

/// 1 when the drawn action is the context's own, 0.5 when it is next to it.
struct Match {
  static constexpr std::string_view name = "match";
  float operator()(const maestro::Completion& c) const {
    const auto context = static_cast<std::int32_t>(c.prompt.row % 3);
    const auto distance = c.tokens[0] > context ? c.tokens[0] - context : context - c.tokens[0];
    return distance == 0 ? 1.0f : distance == 1 ? 0.5f : 0.0f;
  }
};

/// Prefers small actions; pulls against Match.
struct Small {
  static constexpr std::string_view name = "small";
  float operator()(const maestro::Completion& c) const { return -static_cast<float>(c.tokens[0]); }
};

using Policy = maestro::TabularPolicy<float>;
using Rewards = maestro::RewardSet<Match, Small>;
using Conductor = maestro::LinearConductor<2>;

inline std::vector<maestro::Prompt> prompts(std::size_t count = 12) {
  std::vector<maestro::Prompt> result(count);
  for (std::size_t i = 0; i < count; ++i) result[i].row = static_cast<std::int64_t>(i);
  return result;
}

inline maestro::TrainerOptions options() {
  maestro::TrainerOptions s;
  s.seed = 11;
  s.prompts_per_step = 6;
  s.sampling.num_generations = 8;
  s.learning_rate = 0.05;
  s.optimizer.adamw.weight_decay = 0.0;
  return s;
}

template <class Scalarization = maestro::GroupRelative>
auto trainer(const maestro::TrainerOptions& s = options(), maestro::LearnedConductorOptions conductor = {},
             Scalarization scalarization = Scalarization{}) {
  conductor.learning_rate = 0.05;
  return maestro::Trainer(Policy({.contexts = 3, .actions = 5, .length = 2}), Rewards{Match{}, Small{}},
                          Conductor(conductor), scalarization, s);
}

/// A visitor that keeps every state entry as bytes, by name.
class Bytes {
 public:
  template <class Value>
  void operator()(std::string_view name, Value&& value) {
    const std::string path = prefix_.empty() ? std::string(name) : prefix_ + "." + std::string(name);
    using V = std::remove_cvref_t<Value>;
    if constexpr (requires { value.visit_state(*this); }) {
      const std::string outer = std::exchange(prefix_, path);
      value.visit_state(*this);
      prefix_ = outer;
    } else if constexpr (std::is_arithmetic_v<V> || std::is_enum_v<V>) {
      entries.emplace_back(path, std::string(reinterpret_cast<const char*>(&value), sizeof value));
    } else if constexpr (requires { value.flat(); }) {
      keep(path, value.flat());
    } else if constexpr (requires { value[0].size(); }) {
      for (std::size_t i = 0; i < value.size(); ++i) (*this)(std::string(name) + "." + std::to_string(i), value[i]);
    } else {
      keep(path, std::span(value.data(), value.size()));
    }
  }

  std::vector<std::pair<std::string, std::string>> entries;

 private:
  template <class Span>
  void keep(const std::string& path, Span values) {
    entries.emplace_back(path, std::string(reinterpret_cast<const char*>(values.data()), values.size_bytes()));
  }
  std::string prefix_;
};

template <class T>
auto state_of(T& part) {
  Bytes bytes;
  part.visit_state(bytes);
  return bytes.entries;
}

}  // namespace tiny
