#pragma once

/// @file
/// Anchors: signals from outside the rewards, which tell how far the rewards can be trusted.

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/state.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/data/anchor.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/reward/failures.hpp"
#include "maestro/reward/reward.hpp"
#include "maestro/reward/reward_set.hpp"

namespace maestro {

/// An Anchor scores the responses of chosen groups, on any scale on which more is better. It is asked about few groups,
/// so it may be expensive: a strong model, a person, a verifier. RewardAnchor makes one of any reward.
///
/// - `score(rollouts, groups, scores)`: overwrites scores (B) in the rows of `groups` (indices in the batch,
///   ascending), with NaN for a response without a score; all other rows hold NaN before the call.
/// - optional hooks as a reward's: attach, before_step, check_prompts, visit_state; `visit_figures(f)` gives figures of
///   the last call to the metrics by f(name, value), `failures()` what failed in it (a pointer, which may be null).
template <class A>
concept Anchor = std::move_constructible<A> &&
    requires(A& anchor, const Rollouts& rollouts, std::span<const std::size_t> groups, std::span<float> scores) {
  anchor.score(rollouts, groups, scores);
};

/// RewardAnchor uses a reward as a judge: it scores only the chosen groups.
/// @tparam R  a Reward, or a set of one (RewardSet, AnyRewardSet)
template <class R>
class RewardAnchor {
  template <class T>
  struct SetOf {
    using type = T;
  };
  template <Reward T>
  struct SetOf<T> {
    using type = RewardSet<T>;
  };
  using Set = typename SetOf<R>::type;

 public:
  /// Takes over the reward.
  /// @throws BadArgument for a set of another number of rewards than one.
  explicit RewardAnchor(R reward) : set_(std::move(reward)) {
    require(set_.names().size() == 1, "RewardAnchor: a judge is one reward; leave the others in the run's own set");
  }

  std::string_view name() const { return set_.names()[0]; }
  /// @throws what the reward throws, naming data row and response.
  void score(const Rollouts& rollouts, std::span<const std::size_t> groups, std::span<float> scores) const {
    const Rollouts chosen = select_groups(rollouts, groups);
    Matrix<float> column(chosen.size(), 1);
    set_.evaluate(chosen, column.view());
    std::size_t at = 0;
    for (const std::size_t g : groups) {
      for (std::size_t i = rollouts.groups.begin(g); i < rollouts.groups.end(g); ++i) scores[i] = column(at++, 0);
    }
  }

  template <class P>
  void attach(const P& policy) {
    if constexpr (requires { set_.attach(policy); }) set_.attach(policy);
  }
  template <class P>
  void before_step(P& policy, std::uint32_t step) {
    if constexpr (requires { set_.before_step(policy, step); }) set_.before_step(policy, step);
  }
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const {
    if constexpr (requires { set_.check_prompts(prompts, sampling); }) set_.check_prompts(prompts, sampling);
  }
  template <class F>
  void visit_figures(F&& f) const {
    if constexpr (requires { set_.visit_figures([](std::size_t, std::string_view, double) {}); }) {
      set_.visit_figures([&](std::size_t, std::string_view figure, double value) { f(figure, value); });
    }
  }
  /// Gives the failures of the last call; null if the reward does not report them.
  const RewardFailures* failures() const {
    if constexpr (requires { set_.failures()[0]; }) return set_.failures()[0];
    return nullptr;
  }
  template <class Visitor>
  void visit_state(Visitor& v) {
    if constexpr (Stateful<Set>) set_.visit_state(v);
  }

 private:
  Set set_;
};

/// AnchorChoice says which groups of a step are judged.
enum class AnchorChoice : std::uint8_t {
  random,     ///< each equally likely
  uncertain,  ///< those of which the Conductor knows least (its `uncertainty`)
  disputed,   ///< those in which uncertainty times the rewards' disagreement is largest
};
inline constexpr std::array<std::string_view, 3> anchor_choice_names{"random", "uncertain", "disputed"};

/// AnchorTraining says which advantages the judged groups train on.
enum class AnchorTraining : std::uint8_t {
  mixture,  ///< those of the weighted rewards, as all groups: the judge only teaches the Conductor
  judge,    ///< those of the judge's scores
  control,  ///< A_mix + (c / share) (A_judge - A_mix): at c = 1 the judge's gradient without bias, at less variance
};
inline constexpr std::array<std::string_view, 3> anchor_training_names{"mixture", "judge", "control"};

/// AnchorOptions holds how often an anchor is asked, about which groups, and what its scores are used for.
struct AnchorOptions {
  double share = 0.1;  ///< of the groups of a step that are judged, in (0, 1]; fractions add up over steps
  AnchorChoice choice = AnchorChoice::random;
  std::uint64_t max_calls = 0;  ///< responses judged in the run at most; 0: no limit
  std::uint32_t spread_steps =
      0;              ///< until this step, max_calls are given out evenly; 0: as fast as they are asked for
  double kept = 1.0;  ///< share of max_calls that is given out so; the rest may be used from the start
  AnchorTraining training = AnchorTraining::mixture;
  double control = 1.0;  ///< c of AnchorTraining::control, in (0, 1]
};

/// Lists these options; see OptionList.
template <OptionsOf<AnchorOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "anchor_share", .help = "Groups of a step that --anchor judge is asked about, in (0, 1]"}, s.share);
  f({.name = "anchor_choice",
     .help = "Which groups: {} (by what the Conductor knows of them, times the rewards' disagreement)",
     .values = anchor_choice_names},
    s.choice);
  f({.name = "anchor_max_calls", .help = "Responses judged in the run at most; 0: no limit"}, s.max_calls);
  f({.name = "spread_steps"}, s.spread_steps);
  f({.name = "anchor_kept",
     .help = "Share of --anchor-max-calls that is spread evenly over the steps; the rest may be used early"},
    s.kept);
  f({.name = "anchor_train",
     .help = "Advantages of the judged groups: {} (the mixture's, moved toward the judge's without bias)",
     .values = anchor_training_names},
    s.training);
  f({.name = "anchor_control", .help = "c of --anchor-train control, in (0, 1]; 1 has no bias"}, s.control);
}

/// Refuses options outside their domains.
/// @throws BadArgument naming an option outside its domain, or two that contradict each other.
inline void check(const AnchorOptions& o) {
  require(o.share > 0.0 && o.share <= 1.0, "anchor: share must lie in (0, 1]");
  require(o.kept >= 0.0 && o.kept <= 1.0, "anchor: kept must lie in [0, 1]");
  require(o.control > 0.0 && o.control <= 1.0, "anchor: control must lie in (0, 1]");
  require(o.training != AnchorTraining::control || (o.choice == AnchorChoice::random && o.max_calls == 0),
          "anchor: training on the control variate needs groups chosen at random and no limit of calls, since it "
          "divides by the probability of being chosen");
}

namespace detail {

/// Gives the disagreement of a group's rewards: the mean over its responses of the variance of the z-scores of the
/// rewards that vary. It is in [0, 1], and 0 if all z-scores agree or fewer than two rewards vary.
inline double disagreement(MatrixView<const float> rewards) {
  std::vector<double> sums(rewards.rows());
  std::vector<double> squares(rewards.rows());
  double varying = 0.0;
  for (std::size_t k = 0; k < rewards.cols(); ++k) {
    const Moments moments = moments_of(rewards.rows(), [&](std::size_t i) { return rewards(i, k); });
    const double deviation = moments.std_dev(0);
    if (!(deviation > 0.0)) continue;
    varying += 1.0;
    for (std::size_t i = 0; i < rewards.rows(); ++i) {
      const double z = (static_cast<double>(rewards(i, k)) - moments.mean) / deviation;
      if (std::isnan(z)) continue;
      sums[i] += z;
      squares[i] += z * z;
    }
  }
  if (varying < 2.0) return 0.0;
  double total = 0.0;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    total += squares[i] / varying - (sums[i] / varying) * (sums[i] / varying);
  }
  return total / static_cast<double>(sums.size());
}

/// Gives the number of groups to be judged in this step: floor(share N (step + 1)) - floor(share N step), for N groups.
inline std::size_t anchor_quota(const AnchorOptions& o, std::size_t groups, std::uint32_t step) {
  const auto until = [&](double steps) { return std::floor(o.share * static_cast<double>(groups) * steps + 1e-9); };
  const auto now = static_cast<double>(step);
  return static_cast<std::size_t>(until(now + 1.0) - until(now));
}

/// Gives the largest number of responses that may have been judged by the end of this step.
inline std::uint64_t anchor_allowance(const AnchorOptions& o, std::uint32_t step) {
  if (o.max_calls == 0) return std::numeric_limits<std::uint64_t>::max();
  if (o.spread_steps == 0) return o.max_calls;
  const double gone = std::min(1.0, (static_cast<double>(step) + 1.0) / static_cast<double>(o.spread_steps));
  return static_cast<std::uint64_t>(static_cast<double>(o.max_calls) * (1.0 - o.kept * (1.0 - gone)) + 1e-9);
}

}  // namespace detail

/// Chooses the groups of a step that are judged, ascending. Groups of fewer than two responses are left out, since
/// nothing could be compared. Random draws are keyed by seed, step and data row.
/// @param spent  responses judged before this step.
/// @throws BadArgument if the choice needs the Conductor's uncertainty and there is none.
inline std::vector<std::size_t> choose_groups(const AnchorOptions& options, const AnchorView& view,
                                              std::uint64_t spent) {
  const Groups& groups = view.rollouts.groups;
  require(options.choice == AnchorChoice::random || view.uncertainty.size() == groups.count(),
          "anchor: groups are to be chosen by the Conductor's uncertainty, and it gives none; take the "
          "AnchoredConductor, or AnchorChoice::random");
  std::vector<double> order(groups.count());
  std::vector<std::size_t> chosen;
  for (std::size_t g = 0; g < groups.count(); ++g) {
    if (groups.size(g) < 2) continue;
    chosen.push_back(g);
    if (options.choice == AnchorChoice::random) {
      const std::size_t number =
          response_number(groups, g, 0, [&](std::size_t other) { return view.rollouts.prompts[other].row; });
      order[g] = RandomStream({.seed = view.seed,
                               .purpose = Purpose::anchor,
                               .step = view.step,
                               .row = static_cast<std::uint32_t>(view.rollouts.prompts[g].row),
                               .response = static_cast<std::uint32_t>(number)})
                     .uniform(0);
      continue;
    }
    order[g] = -view.uncertainty[g];
    if (options.choice == AnchorChoice::disputed) {
      order[g] *= detail::disagreement(view.rewards.middle_rows(groups.begin(g), groups.size(g)));
    }
  }
  std::stable_sort(chosen.begin(), chosen.end(), [&](std::size_t a, std::size_t b) { return order[a] < order[b]; });
  const std::size_t quota = detail::anchor_quota(options, groups.count(), view.step);
  const std::uint64_t allowed = detail::anchor_allowance(options, view.step);
  std::size_t taken = 0;
  for (; taken < std::min(quota, chosen.size()); ++taken) {
    const std::uint64_t more = groups.size(chosen[taken]);
    if (spent > allowed || more > allowed - spent) break;
    spent += more;
  }
  chosen.resize(taken);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace maestro
