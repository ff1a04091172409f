#pragma once

/// @file
/// A language model as the judge of an evaluation.

#include <array>
#include <string>
#include <string_view>

#include "maestro/core/option.hpp"
#include "maestro/remote/judge.hpp"
#include "maestro/reward/fallible.hpp"
#include "train/outside.hpp"
#include "train/outside_options.hpp"

namespace maestro::examples {

/// The judge as the command line names it, with the options that `train` has for it.
struct JudgeChoice {
  /// What belongs to other rewards from outside.
  static constexpr std::array<std::string_view, 3> hidden{"reward_command", "reward_url", "on_reward_error"};

  OutsideOptions outside{};

  bool given() const { return !outside.judge_url.empty(); }
};

/// Lists the options of the judge; see OptionList.
template <OptionsOf<JudgeChoice> S, class F>
constexpr void visit_options(S& o, const F& f) {
  f({.name = "judge", .group = "A language model as judge"}, o.outside);
}

/// A judge that ends the evaluation where it fails: what it has answered is in its cache, so that the same command
/// again asks for the rest alone.
using EvaluationJudge = Fallible<Judge>;

/// @throws BadArgument, IoError
inline EvaluationJudge make_judge(const JudgeChoice& choice) {
  TrainOptions o;
  o.outside = choice.outside;
  if (o.outside.judge_cache.empty()) o.output = "runs/evaluate";
  return EvaluationJudge(Judge(o.outside.judge_name, judge_options(o), http_transport()),
                         {.on_error = OnError::stop, .retries = 0});
}

}  // namespace maestro::examples
