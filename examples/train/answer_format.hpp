#pragma once

/// @file
/// How responses give their answer: the form that rewards look for, and the instruction that asks for it.

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/reward/tag_format.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro::examples {

/// What --answer-format says.
struct AnswerFormat {
  AnswerPlace place = AnswerPlace::tags;
  TagNames tags{};
  std::string instruction{};  ///< what asks a model for it; empty: the prompts do, or there is nothing to ask for
};

/// Reads "prompts" (tags that the prompts themselves ask for), "none", "think_answer", "boxed", or tags of one's own:
/// "ANSWER" or "REASONING,ANSWER".
/// @throws BadArgument for tags that are no names.
inline AnswerFormat answer_format(const std::string& text) {
  if (text == "prompts") return {};
  if (text == "none") return {.place = AnswerPlace::whole};
  if (text == "boxed") {
    return {.place = AnswerPlace::boxed,
            .instruction = "Think step by step, and put the final answer alone into \\boxed{}."};
  }
  AnswerFormat format;
  if (text != "think_answer") {
    const std::size_t comma = text.find(',');
    format.tags.reasoning = comma == std::string::npos ? "" : text.substr(0, comma);
    format.tags.answer = comma == std::string::npos ? text : text.substr(comma + 1);
    if (comma == 0 || format.tags.answer.find(',') != std::string::npos) {
      throw BadArgument("--answer-format: '" + text +
                        "' is neither prompts, none, think_answer or boxed, nor a tag or two: ANSWER or "
                        "REASONING,ANSWER");
    }
    try {
      static_cast<void>(TagStructure(format.tags));
    } catch (const BadArgument& error) {
      throw BadArgument("--answer-format " + text + ": " + error.what());
    }
  }
  const auto between = [](const std::string& tag) { return "between <" + tag + "> and </" + tag + ">"; };
  const bool reasons = !format.tags.reasoning.empty();
  format.instruction =
      (reasons ? "First think step by step " + between(format.tags.reasoning) + ", then give" : "Give") +
      std::string(" the answer alone ") + between(format.tags.answer) + ". Write nothing else.";
  return format;
}

/// What is put behind every prompt: what --answer-instruction says, "auto" for the format's own, "none" for nothing.
inline std::string answer_instruction(const AnswerFormat& format, const std::string& given) {
  if (given == "auto") return format.instruction;
  return given == "none" ? "" : given;
}

/// Puts an instruction behind every prompt, after an empty line; of a conversation behind its last message.
inline void add_instruction(std::vector<Prompt>& prompts, const std::string& instruction) {
  if (instruction.empty()) return;
  for (Prompt& prompt : prompts) {
    prompt.text += "\n\n" + instruction;
    if (!prompt.messages.empty()) prompt.messages.back().content = prompt.text;
  }
}

}  // namespace maestro::examples
