// Samples responses of a model to one prompt.
#include <iostream>
#include <iterator>
#include <string>

#include "common/text_model.hpp"
#include "generate/options.hpp"
#include "maestro/tokenizers.hpp"
#include "train/command_line.hpp"

namespace {

using maestro::examples::GenerateOptions;

/// Text of a model is not to be trusted on a terminal: control bytes but newline and tab are left out.
std::string printable(const std::string& text) {
  std::string clean;
  for (const char c : maestro::replace_invalid_utf8(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte != 0x7F) || c == '\n' || c == '\t') clean += c;
  }
  return clean;
}

int run(const GenerateOptions& o) {
  maestro::examples::say_ignored_fields("generate", o.model);
  const maestro::ChatFormat chat = maestro::examples::chat_format_of(
      o.model, {.format = o.chat_format,
                .source = {.file = o.chat_template, .variables = o.template_variables},
                .thinking = o.no_thinking ? maestro::Thinking::off : maestro::Thinking::by_template,
                .thinking_option = "--no-thinking",
                .date = o.date});
  const bool chats = chat.kind != maestro::ChatKind::none;
  maestro::require(chats || !o.system, "--system needs a model with a chat format");
  auto policy = maestro::load_policy(o.model, {.adapter = o.adapter, .policy = {.chat = chat}});
  maestro::Prompt prompt;
  if (o.prompt) {
    prompt.text = *o.prompt;
    if (!chats) prompt.text.push_back('\n');
  } else {
    prompt.text.assign(std::istreambuf_iterator<char>(std::cin), {});
  }
  if (o.system) prompt.messages = {{"system", *o.system}, {"user", prompt.text}};
  const maestro::Rollouts rollouts =
      policy.generate(std::span<const maestro::Prompt>(&prompt, 1), sampling_of(o), {.seed = o.seed});
  for (std::size_t i = 0; i < rollouts.size(); ++i) {
    std::cout << printable(rollouts.texts[i])
              << (rollouts.finish[i] == maestro::Finish::length ? " [cut at the length limit]" : "") << '\n';
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return maestro::examples::run_program<GenerateOptions>("generate", "Samples responses of a model to one prompt.\n",
                                                         argc, argv, run);
}
