#pragma once

/// @file
/// The K rewards of a run, with K known at compile time.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/core/state.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/reward/excerpt.hpp"
#include "maestro/reward/failures.hpp"
#include "maestro/reward/function.hpp"
#include "maestro/reward/named.hpp"
#include "maestro/reward/requirements.hpp"
#include "maestro/reward/reward.hpp"

namespace maestro {

namespace detail {

/// Gives the place that an error names: "reward 'x', data row 12 ("How many..."), response 3". Responses count from 0.
inline std::string reward_place(std::string_view reward, const Rollouts& rollouts, std::size_t row) {
  const std::size_t group = rollouts.groups.group_of(row);
  const Prompt& prompt = rollouts.prompts[group];
  return "reward '" + std::string(reward) + "', data row " + std::to_string(prompt.row) + " (\"" +
         excerpt(prompt.text) + "\"), response " + std::to_string(row - rollouts.groups.begin(group));
}

/// Gives the value of a per-response reward, NaN if it does not apply.
/// @throws BadData naming the place.
template <CompletionReward R>
float checked_score(const R& reward, const Rollouts& rollouts, std::size_t row) {
  std::optional<float> score;
  try {
    score = reward(rollouts.completion(row));
  } catch (const std::exception& error) {
    std::throw_with_nested(BadData(reward_place(reward.name, rollouts, row) + ": " + error.what()));
  } catch (...) {
    std::throw_with_nested(
        BadData(reward_place(reward.name, rollouts, row) + ": threw something that is no exception"));
  }
  if (!score) return std::numeric_limits<float>::quiet_NaN();
  if (!std::isfinite(*score)) {
    throw BadData(reward_place(reward.name, rollouts, row) + ": the value is " +
                  (std::isnan(*score) ? "NaN; return std::nullopt where the reward does not apply"
                                      : "infinite; a reward must be finite"));
  }
  return *score;
}

/// Scores the batch into `column`; NaN if the reward does not apply.
/// @throws BadData naming reward or place.
template <BatchReward R>
void checked_scores(const R& reward, const Rollouts& rollouts, std::span<float> column) {
  std::fill(column.begin(), column.end(), std::numeric_limits<float>::quiet_NaN());
  try {
    reward(rollouts, column);
  } catch (const RewardFailed&) {  // its text names the place
    throw;
  } catch (const std::exception& error) {
    std::throw_with_nested(BadData("reward '" + std::string(reward.name) + "': " + error.what()));
  } catch (...) {
    std::throw_with_nested(BadData("reward '" + std::string(reward.name) + "': threw something that is no exception"));
  }
  for (std::size_t i = 0; i < column.size(); ++i) {
    if (std::isinf(column[i])) {
      throw BadData(reward_place(reward.name, rollouts, i) + ": the value is infinite; a reward must be finite");
    }
  }
}

/// Calls f(k, name, value) for the figures of one reward.
template <class R, class F>
void visit_figures_of(const R& reward, std::size_t k, F& f) {
  if constexpr (ReportsFailures<R>) {
    f(k, std::string_view("failed"), static_cast<double>(reward.failures().rows.size()));
    f(k, std::string_view("retries"), static_cast<double>(reward.failures().retries));
  }
  const auto own = [&](std::string_view name, double value) { f(k, name, value); };
  if constexpr (requires { reward.visit_figures(own); }) reward.visit_figures(own);
}

/// Refuses names that a set cannot have.
/// @throws BadArgument for an empty name, or one that occurs twice.
inline void check_reward_names(const char* set, std::span<const std::string_view> names) {
  for (std::size_t k = 0; k < names.size(); ++k) {
    if (names[k].empty()) throw BadArgument(std::string(set) + ": reward " + std::to_string(k) + " has an empty name");
    const auto before = names.first(k);
    if (std::find(before.begin(), before.end(), names[k]) != before.end()) {
      throw BadArgument(std::string(set) + ": two rewards are named '" + std::string(names[k]) +
                        "'; give one of them another name: maestro::named<\"another\">(...)");
    }
  }
}

/// Refuses an output of another shape than (B x K).
/// @throws BadArgument
inline void check_reward_shape(const char* set, const Rollouts& rollouts, MatrixView<const float> rewards,
                               std::size_t count) {
  if (rewards.rows() == rollouts.size() && rewards.cols() == count) return;
  throw BadArgument(std::string(set) + ": the rewards must have " + std::to_string(rollouts.size()) + " rows and " +
                    std::to_string(count) + " columns");
}

}  // namespace detail

/// RewardSet holds K rewards by value, in order: `RewardSet rewards{Format{}, Length{{.max_length = 200}},
/// Politeness{}};` Two rewards of one type need different names; see Named. A type with both reward forms is used in
/// its batch form. A type with neither gives one error that names what is missing. A lambda needs a name:
/// reward("short", f).
template <class... Rs>
class RewardSet {
 public:
  /// size is K, the number of rewards.
  static constexpr std::size_t size = sizeof...(Rs);
  static_assert(size > 0, "maestro: a RewardSet needs at least one reward");

  /// Takes over the rewards.
  /// @throws BadArgument for an empty name, or one that occurs twice.
  explicit RewardSet(Rs... rewards) : rewards_(std::move(rewards)...) {
    detail::check_reward_names("RewardSet", names());
  }

  /// Gives the K names, in order. They are views of the rewards' own names.
  std::array<std::string_view, size> names() const {
    return std::apply([](const auto&... reward) { return std::array{std::string_view(reward.name)...}; }, rewards_);
  }

  /// Scores every response with every reward. Per-response rewards run in parallel over responses. Batch rewards run
  /// one after another outside that loop. The result is deterministic: of several failures, the one of the lowest
  /// response is reported.
  /// @param rewards  (B x K) overwritten; NaN if a reward does not apply.
  /// @throws BadData naming reward, data row, prompt and response, if a value is infinite, if a per-response reward
  ///         gives NaN, or if a reward throws (its exception is nested); BadArgument if the shape is not (B x K).
  void evaluate(const Rollouts& rollouts, MatrixView<float> rewards) const {
    detail::check_reward_shape("RewardSet", rollouts, rewards, size);
    evaluate_completions(rollouts, rewards, std::make_index_sequence<size>{});
    std::vector<float> column;
    for_each_reward(
        [&](std::size_t k, const auto& reward) {
          if constexpr (BatchReward<std::remove_cvref_t<decltype(reward)>>) {
            column.resize(rollouts.size());
            detail::checked_scores(reward, rollouts, column);
            for (std::size_t i = 0; i < column.size(); ++i) rewards(i, k) = column[i];
          }
        },
        *this);
    for (const RewardFailures* failed : failures()) {
      if (failed != nullptr) detail::skip_failed_groups(*failed, rollouts, rewards);
    }
  }

  /// Gives the failures of the last batch, reward by reward; null for a reward that does not report them.
  std::array<const RewardFailures*, size> failures() const {
    std::array<const RewardFailures*, size> result{};
    for_each_reward(
        [&](std::size_t k, const auto& reward) {
          if constexpr (ReportsFailures<std::remove_cvref_t<decltype(reward)>>) result[k] = &reward.failures();
        },
        *this);
    return result;
  }

  /// Calls f(k, name, value) for the figures of the last batch of each reward k: `failed` and `retries` if the reward
  /// reports failures, and the figures of its own hook visit_figures(f), which is called with f(name, value).
  template <class F>
  void visit_figures(F&& f) const {
    for_each_reward([&](std::size_t k, const auto& reward) { detail::visit_figures_of(reward, k, f); }, *this);
  }

  /// Calls attach(policy) of the rewards that have it.
  template <class P>
  void attach(const P& policy) {
    for_each_reward(
        [&](std::size_t, auto& reward) {
          using R = std::remove_cvref_t<decltype(reward)>;
          if constexpr (requires { reward.attach(policy); }) {
            reward.attach(policy);
          } else {
            static_assert(
                !requires { &R::attach; }, "maestro: this reward has an attach that does not take (const Policy&)");
          }
        },
        *this);
  }

  /// Calls before_step(policy, step) of the rewards that have it.
  template <class P>
  void before_step(P& policy, std::uint32_t step) {
    for_each_reward(
        [&](std::size_t, auto& reward) {
          using R = std::remove_cvref_t<decltype(reward)>;
          if constexpr (requires { reward.before_step(policy, step); }) {
            reward.before_step(policy, step);
          } else {
            static_assert(
                !requires { &R::before_step; },
                "maestro: this reward has a before_step that does not take (policy, std::uint32_t step)");
          }
        },
        *this);
  }

  /// Calls check_prompts(prompts, sampling) of the rewards that have it, so that prompts that a step would refuse are
  /// refused before a run.
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const {
    for_each_reward(
        [&](std::size_t, const auto& reward) {
          if constexpr (requires { reward.check_prompts(prompts, sampling); }) reward.check_prompts(prompts, sampling);
        },
        *this);
  }

  /// Visits the state of the rewards that have one, each under its own name.
  template <class Visitor>
  void visit_state(Visitor& v) {
    for_each_reward(
        [&](std::size_t, auto& reward) {
          if constexpr (Stateful<std::remove_cvref_t<decltype(reward)>>) v(std::string_view(reward.name), reward);
        },
        *this);
  }

  /// Gives reward k.
  template <std::size_t k>
  const auto& get() const {
    return std::get<k>(rewards_);
  }

 private:
  template <std::size_t... k>
  void evaluate_completions(const Rollouts& rollouts, MatrixView<float> rewards, std::index_sequence<k...>) const {
    parallel_for(rollouts.size(), [&](std::size_t i) {
      const auto score = [&](std::size_t column, const auto& reward) {
        rewards(i, column) = std::numeric_limits<float>::quiet_NaN();
        if constexpr (!BatchReward<std::remove_cvref_t<decltype(reward)>>) {
          rewards(i, column) = detail::checked_score(reward, rollouts, i);
        }
      };
      (score(k, std::get<k>(rewards_)), ...);
    });
  }

  /// Calls f(k, reward) for every reward of `self`, in order.
  template <class F, class Self>
  static void for_each_reward(F&& f, Self& self) {
    [&]<std::size_t... k>(std::index_sequence<k...>) {  // std::apply would bury a compiler's error
      (f(k, std::get<k>(self.rewards_)), ...);
    }
    (std::make_index_sequence<size>{});
  }

  std::tuple<typename decltype(detail::accept_reward<Rs>())::type...> rewards_;
};

}  // namespace maestro
