// Samples responses of a model to one prompt.
#include <cxxopts.hpp>
#include <exception>
#include <iostream>
#include <iterator>
#include <new>
#include <string>

#include "common/text_model.hpp"
#include "maestro/tokenizers.hpp"

namespace {

/// Text of a model is not to be trusted on a terminal: control bytes but newline and tab are left out.
std::string printable(const std::string& text) {
  std::string clean;
  for (const char c : maestro::replace_invalid_utf8(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte >= 0x20 && byte != 0x7F) || c == '\n' || c == '\t') clean += c;
  }
  return clean;
}

int run(const cxxopts::ParseResult& given) {
  const auto model = given["model"].as<std::string>();
  maestro::examples::say_ignored_fields("generate", model);
  const maestro::ChatFormat chat = maestro::examples::chat_format_of(
      model, {.format = given["chat-format"].as<std::string>(),
              .source = {.file = given["chat-template"].as<std::string>(),
                         .variables = given["template-variables"].as<std::string>()},
              .thinking = given.count("no-thinking") > 0 ? maestro::Thinking::off : maestro::Thinking::by_template,
              .date = given["date"].as<std::string>()});
  const bool chats = chat.kind != maestro::ChatKind::none;
  auto policy = maestro::load_policy(model, {.adapter = given["adapter"].as<std::string>(), .policy = {.chat = chat}});
  maestro::Prompt prompt;
  if (given.count("prompt") > 0) {
    prompt.text = given["prompt"].as<std::string>();
    if (!chats) prompt.text.push_back('\n');
  } else {
    prompt.text.assign(std::istreambuf_iterator<char>(std::cin), {});
  }
  if (given.count("system") > 0) {
    maestro::require(chats, "--system needs a model with a chat format");
    prompt.messages = {{"system", given["system"].as<std::string>()}, {"user", prompt.text}};
  }
  maestro::require(given["temperature"].as<double>() > 0.0,
                   "--temperature must be above 0; for the most probable token take --greedy");
  const maestro::Sampling sampling{
      .num_generations = given["num-generations"].as<std::size_t>(),
      .max_completion_length = given["max-completion-length"].as<std::size_t>(),
      .temperature = given["temperature"].as<double>(),
      .top_k = given["top-k"].as<std::size_t>(),
      .top_p = given["top-p"].as<double>(),
      .min_p = given["min-p"].as<double>(),
      .decoding = given.count("greedy") > 0 ? maestro::Decoding::greedy : maestro::Decoding::sample};
  const maestro::Rollouts rollouts = policy.generate(std::span<const maestro::Prompt>(&prompt, 1), sampling,
                                                     {.seed = given["seed"].as<std::size_t>()});
  for (std::size_t i = 0; i < rollouts.size(); ++i) {
    std::cout << printable(rollouts.texts[i])
              << (rollouts.finish[i] == maestro::Finish::length ? " [cut at the length limit]" : "") << '\n';
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  cxxopts::Options options("generate", "Samples responses of a model to one prompt.\n");
  options.set_width(110);
  auto add = options.add_options();
  add("model", "Folder of the model, or a GGUF file",
      cxxopts::value<std::string>()->default_value("examples/models/base"));
  add("adapter", "Folder of LoRA adapters for it, in PEFT's layout", cxxopts::value<std::string>()->default_value(""));
  add("chat-format", "How the prompt is written: auto (the model's own template), " + maestro::chat_format_names(),
      cxxopts::value<std::string>()->default_value("auto"));
  add("prompt",
      "The prompt; without a chat format a newline is added. Without this option it is read from standard input as it "
      "is",
      cxxopts::value<std::string>());
  add("system", "A system message before it", cxxopts::value<std::string>());
  add("chat-template", "File of a chat template (Jinja) in place of the model's own",
      cxxopts::value<std::string>()->default_value(""));
  add("template-variables", "Variables of the chat template, as a JSON object",
      cxxopts::value<std::string>()->default_value(""));
  add("no-thinking", "The chat template's enable_thinking is false: an empty thought before the answer");
  add("date", "The day that chat templates write as today",
      cxxopts::value<std::string>()->default_value(maestro::ChatFormat{}.date));
  add("num-generations", "Responses", cxxopts::value<std::size_t>()->default_value("1"));
  add("max-completion-length", "Tokens of a response at most", cxxopts::value<std::size_t>()->default_value("192"));
  add("temperature", "Sampling temperature, > 0", cxxopts::value<double>()->default_value("1"));
  add("top-k", "Keep the k most probable tokens; 0: all", cxxopts::value<std::size_t>()->default_value("0"));
  add("top-p", "Keep the smallest set of tokens with this probability", cxxopts::value<double>()->default_value("1"));
  add("min-p", "Keep tokens at least this probable, relative to the best",
      cxxopts::value<double>()->default_value("0"));
  add("greedy", "Take the most probable token at each place");
  add("seed", "Seed of the sampling", cxxopts::value<std::size_t>()->default_value("0"));
  add("help", "This text");
  try {
    const auto given = options.parse(argc, argv);
    if (given.count("help") > 0) {
      std::cout << options.help() << '\n';
      return 0;
    }
    if (!given.unmatched().empty()) {
      throw maestro::BadArgument("'" + given.unmatched().front() + "' is no option; see --help");
    }
    return run(given);
  } catch (const std::bad_alloc&) {
    std::cerr << "generate: the system grants no more memory (ulimit -v, or all of it is in use)\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "generate: " << error.what() << '\n';
    return 2;
  }
}
