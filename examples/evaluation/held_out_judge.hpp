#pragma once

/// @file
/// The held-out judges as programs see them: a score, and words for samples to read. Only held_out_judge.cpp includes
/// the judges themselves, so that no reward can be built from their parts.

#include <string>
#include <string_view>

#include "maestro/data/completion.hpp"
#include "maestro/data/prompt.hpp"

namespace maestro::examples {

/// The judge's score of a response in [0, 1]; fits maestro::evaluate.
/// @throws BadArgument for a task without a judge, BadData where the prompt lacks what its judge needs.
double held_out_score(const Completion& completion);

/// The score of a response with the outcome of each rule: "well formed: yes, exact answer: no".
struct Remark {
  double score = 0.0;
  std::string rules;
};
Remark held_out_remark(const Prompt& prompt, std::string_view response);

}  // namespace maestro::examples
