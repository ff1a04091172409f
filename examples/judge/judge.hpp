#pragma once

/// @file
/// The held-out judges behind one call.

#include <string_view>

#include "arithmetic.hpp"
#include "emotion.hpp"
#include "story.hpp"

namespace maestro::judge {

/// The verdict of the judge of prompt.task on a response (its text without the stop token).
/// @throws BadArgument for a task without a judge, BadData where the prompt lacks what its judge needs.
inline Verdict judge_response(const Prompt& prompt, std::string_view response) {
  if (prompt.task == "arithmetic") return judge_arithmetic(prompt, response);
  if (prompt.task == "story") return judge_story(prompt, response);
  if (prompt.task == "emotion") return judge_emotion(prompt, response);
  throw BadArgument("judge: no judge for task '" + prompt.task + "' of prompt " + std::to_string(prompt.row) +
                    "; there are arithmetic, story and emotion");
}

}  // namespace maestro::judge
