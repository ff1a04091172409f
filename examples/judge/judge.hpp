#pragma once

/// @file
/// The held-out judges behind one call.

#include <string_view>

#include "arithmetic.hpp"
#include "contexts.hpp"
#include "emotion.hpp"
#include "story.hpp"

namespace maestro::judge {

/// The verdict of the judge of prompt.task on a response (its text without the stop token).
/// @throws BadArgument for a task without a judge, BadData where the prompt lacks what its judge needs.
inline Verdict judge_response(const Prompt& prompt, std::string_view response) {
  if (prompt.task == "arithmetic") return judge_arithmetic(prompt, response);
  if (prompt.task == "story") return judge_story(prompt, response);
  if (prompt.task == "emotion") return judge_emotion(prompt, response);
  if (prompt.task == "reasoning") return judge_reasoning(prompt, response);
  if (prompt.task == "social") return judge_social(prompt, response);
  if (prompt.task == "web") return judge_web(prompt, response);
  if (prompt.task == "mind") return judge_mind(prompt, response);
  if (prompt.task == "thoughts") return judge_thoughts(prompt, response);
  if (prompt.task == "translation") return judge_translation(prompt, response);
  if (prompt.task == "feeling") return judge_feeling(prompt, response);
  throw BadArgument("judge: no judge for task '" + prompt.task + "' of prompt " + std::to_string(prompt.row) +
                    "; there are arithmetic, story, emotion, reasoning, social, web, mind, thoughts, translation and "
                    "feeling");
}

}  // namespace maestro::judge
