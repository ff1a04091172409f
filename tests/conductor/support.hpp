#pragma once

// Batches, feedback and an in-memory checkpoint for the tests of the Conductors.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/conductor/conductor.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/random.hpp"
#include "maestro/data/groups.hpp"

namespace conductor_test {

inline constexpr float missing = std::numeric_limits<float>::quiet_NaN();

/// A batch that owns what a StepView looks at: random hidden states and rewards.
struct Batch {
  maestro::Matrix<float> hidden;
  maestro::Matrix<float> rewards;
  maestro::Groups groups;
  std::vector<std::int64_t> rows;
  std::uint64_t seed = 5;
  std::uint32_t step = 0;

  Batch(const std::vector<std::size_t>& sizes, std::size_t d, std::size_t k, std::uint32_t salt = 0) {
    groups = maestro::Groups::from_sizes(sizes);
    hidden.resize(groups.rows(), d);
    rewards.resize(groups.rows(), k);
    for (std::size_t g = 0; g < sizes.size(); ++g) rows.push_back(static_cast<std::int64_t>(10 + 7 * g));
    const maestro::RandomStream stream({.seed = 77, .step = salt});
    std::uint32_t at = 0;
    for (float& value : hidden.flat()) value = static_cast<float>(stream.normal(at++));
    for (float& value : rewards.flat()) value = static_cast<float>(stream.uniform(at++));
  }
  maestro::StepView view() const { return {hidden.view(), rewards.view(), groups, rows, seed, step}; }
};

/// Group-centered r_{i, a_i}: the paper's meta-reward without the scaling; a missing reward counts as 0.
inline std::vector<float> centered_advantages(const Batch& batch, const maestro::Decision& decision) {
  std::vector<float> result(batch.groups.rows());
  const auto value = [&](std::size_t i) {
    double sum = 0.0;
    for (std::size_t k = 0; k < batch.rewards.cols(); ++k) {
      if (!std::isnan(batch.rewards(i, k))) sum += double{decision.weights(i, k)} * double{batch.rewards(i, k)};
    }
    return sum;
  };
  for (std::size_t g = 0; g < batch.groups.count(); ++g) {
    double mean = 0.0;
    for (std::size_t i = batch.groups.begin(g); i < batch.groups.end(g); ++i) mean += value(i);
    mean /= static_cast<double>(batch.groups.size(g));
    for (std::size_t i = batch.groups.begin(g); i < batch.groups.end(g); ++i) {
      result[i] = static_cast<float>(value(i) - mean);
    }
  }
  return result;
}

/// The advantage each response would have had under each action, the others keeping theirs.
inline maestro::Matrix<float> centered_counterfactuals(const Batch& batch, const maestro::Decision& decision) {
  maestro::Matrix<float> result(batch.rewards.rows(), batch.rewards.cols());
  for (std::size_t i = 0; i < result.rows(); ++i) {
    for (std::size_t k = 0; k < result.cols(); ++k) {
      maestro::Decision other = decision;
      for (std::size_t l = 0; l < result.cols(); ++l) other.weights(i, l) = other.base(i, l);
      other.weights(i, k) += other.emphasis;
      result(i, k) = centered_advantages(batch, other)[i];
    }
  }
  return result;
}

/// Shows the conductor what came of a decision, and updates it. The gradients of the rewards stand at right angles.
template <class C>
std::optional<maestro::ConductorReport> teach(C& conductor, const Batch& batch, const maestro::Decision& decision) {
  const auto advantages = centered_advantages(batch, decision);
  const auto counterfactuals = centered_counterfactuals(batch, decision);
  maestro::Matrix<double> products(batch.rewards.cols(), batch.rewards.cols());
  for (std::size_t k = 0; k < products.rows(); ++k) products(k, k) = 1.0;
  const maestro::Feedback feedback{.decision = decision,
                                   .hidden = batch.hidden.view(),
                                   .groups = batch.groups,
                                   .advantages = advantages,
                                   .counterfactuals = counterfactuals.view(),
                                   .step = batch.step,
                                   .rewards = batch.rewards.view(),
                                   .seed = batch.seed,
                                   .reward_gradients = products.view()};
  if constexpr (requires { conductor.observe(feedback); }) conductor.observe(feedback);
  if constexpr (requires { conductor.update(); }) return conductor.update();
  return std::nullopt;
}

/// A checkpoint in memory: the two visitors of core/state.hpp over a map of bytes.
struct Memory {
  std::map<std::string, std::string> entries;
};

template <bool Saving>
class MemoryVisitor {
 public:
  explicit MemoryVisitor(Memory& memory, std::string prefix = "") : memory_(memory), prefix_(std::move(prefix)) {}

  template <class Value>
  void operator()(std::string_view name, Value& value) {
    const std::string full = prefix_ + std::string(name);
    if constexpr (requires { value.visit_state(*this); }) {
      MemoryVisitor inner(memory_, full + ".");
      value.visit_state(inner);
    } else if constexpr (std::is_arithmetic_v<Value> || std::is_enum_v<Value>) {
      bytes(full, &value, 1);
    } else if constexpr (requires { value.rows(); }) {
      std::uint64_t shape[2] = {value.rows(), value.cols()};
      bytes(full + "#shape", shape, 2);
      if constexpr (!Saving) value.resize(shape[0], shape[1]);
      bytes(full, value.data(), value.flat().size());
    } else {
      std::uint64_t size = value.size();
      bytes(full + "#size", &size, 1);
      if constexpr (!Saving && requires { value.resize(size); }) value.resize(size);
      bytes(full, value.data(), value.size());
    }
  }

 private:
  template <class Item>
  void bytes(const std::string& name, Item* items, std::size_t count) {
    if constexpr (Saving) {
      memory_.entries[name] = std::string(reinterpret_cast<const char*>(items), count * sizeof(Item));
    } else {
      const auto found = memory_.entries.find(name);
      if (found == memory_.entries.end() || found->second.size() != count * sizeof(Item)) {
        throw maestro::BadFile("no entry " + name);
      }
      if (count > 0) std::memcpy(items, found->second.data(), count * sizeof(Item));
    }
  }

  Memory& memory_;
  std::string prefix_;
};

template <class Part>
Memory save(Part& part) {
  Memory memory;
  MemoryVisitor<true> visitor(memory);
  part.visit_state(visitor);
  return memory;
}
template <class Part>
void load(Part& part, Memory memory) {
  MemoryVisitor<false> visitor(memory);
  part.visit_state(visitor);
}

/// Sets every parameter of a network or a Conductor to normal draws.
template <class Part>
void randomize(Part& part, double std_dev, std::uint32_t salt = 0) {
  const maestro::RandomStream stream({.seed = 99, .step = salt});
  std::uint32_t at = 0;
  part.visit([&](auto parameter) {
    for (auto& value : parameter.values) {
      value = static_cast<std::remove_reference_t<decltype(value)>>(std_dev * stream.normal(at++));
    }
  });
}

/// All gradients of a part, in visiting order.
template <class Part>
std::vector<double> gradients(Part& part) {
  std::vector<double> result;
  part.visit([&](auto parameter) {
    for (const auto value : parameter.gradients) result.push_back(static_cast<double>(value));
  });
  return result;
}

}  // namespace conductor_test
