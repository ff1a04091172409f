#pragma once

/// @file
/// A language model as the judge of an evaluation.

#include "maestro/remote/judge.hpp"
#include "maestro/reward/fallible.hpp"
#include "train/options.hpp"
#include "train/outside.hpp"
#include "train/outside_options.hpp"

namespace maestro::examples {

/// A judge that ends the evaluation where it fails: what it has answered is in its cache, so that the same command
/// again asks for the rest alone.
using EvaluationJudge = Fallible<Judge>;

/// @throws BadArgument, IoError
inline EvaluationJudge make_judge(const OutsideOptions& judge) {
  TrainOptions o;
  o.outside = judge;
  if (o.outside.judge_cache.empty()) o.output = "runs/evaluate";
  return EvaluationJudge(Judge(o.outside.judge_name, judge_options(o), http_transport()),
                         {.on_error = OnError::stop, .retries = 0});
}

}  // namespace maestro::examples
