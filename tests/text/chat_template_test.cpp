#include "maestro/text/chat_template.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"

namespace {

using namespace maestro;

/// Templates of our own that write the known formats; those of the models do not lie here.
const std::string loop =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}";
const std::string generation = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

std::string with_system(const std::string& sentence) {
  return "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\\n" + sentence + "<|im_end|>\\n' }}{% endif %}" +
         loop + generation;
}

std::string name_of_template(const std::string& text) {
  const std::optional<ChatFormat> format = recognize_chat_template(text);
  return format ? std::string(name_of(format->kind)) : "unknown";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  BOOST_REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

BOOST_AUTO_TEST_SUITE(chat_template)

BOOST_AUTO_TEST_CASE(chatml_is_told_by_its_marks_and_its_system_sentence) {
  BOOST_TEST(name_of_template(loop + generation) == "chatml");
  BOOST_TEST(name_of_template(loop + generation + "\n") == "chatml");
  BOOST_TEST(name_of_template(with_system("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")) ==
             "qwen2.5");
  BOOST_TEST(name_of_template(with_system("You are a helpful AI assistant named SmolLM, trained by Hugging Face")) ==
             "smollm2");
  const std::optional<ChatFormat> own = recognize_chat_template(with_system("You are a pirate."));
  BOOST_REQUIRE(own.has_value());
  BOOST_TEST((own->kind == ChatKind::chatml));
  BOOST_TEST(own->default_system.value() == "You are a pirate.");
}

BOOST_AUTO_TEST_CASE(what_might_write_something_else_is_unknown) {
  const std::string plain = loop + generation;
  const std::vector<std::string> unknown{
      "",
      "no template",
      loop,
      replaced(plain, "m.content", "m.content | trim"),
      replaced(plain, "m.content", "m.content.strip()"),
      replaced(plain, "assistant\\n'", "assistant\\n<think>\\n'"),
      replaced(plain, "<|im_end|>\\n", "<|im_end|>"),
      "{{ bos_token }}" + plain,
      "{% set s = 'You are X' %}" + plain,
      with_system("It says \\'x\\'"),
      with_system("{{ today }}"),
      replaced(with_system("S"), "messages[0].role != 'system'", "true"),
      "{{ '<|im_start|>system\\nother<|im_end|>\\n' }}" + with_system("S"),
      "{% for m in messages %}{{ '<|user|>' + m.content }}{% endfor %}{% if add_generation_prompt %}x{% endif %}"};
  for (const std::string& text : unknown) BOOST_TEST(name_of_template(text) == "unknown", text);
}

BOOST_AUTO_TEST_CASE(llama_is_told_by_its_marks) {
  const std::string plain =
      "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message.role + "
      "'<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
      "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";
  BOOST_TEST(name_of_template(plain) == "llama3");
  BOOST_TEST(name_of_template(replaced(plain, " | trim", "")) == "unknown");
  BOOST_TEST(name_of_template(replaced(plain, "{{ bos_token }}", "")) == "unknown");
  BOOST_TEST(name_of_template("{% set date = 1 %}" + plain) == "unknown");
}

// The hashes are those of real templates, which do not lie here: MAESTRO_CHAT_TEMPLATES names a folder of them as
// make_chats.py takes it. Their sizes and hashes are in chats.json, so that what is rendered and what is recognized are
// the same texts.
BOOST_AUTO_TEST_CASE(known_hashes_are_those_of_the_rendered_templates) {
  const std::string path = std::string(MAESTRO_TEST_FIXTURES) + "/text/chats.json";
  const Json json = parse_json(read_file(path, 1 << 20), path);
  std::size_t found = 0;
  for (const Json& used : json["templates"]) {
    const std::string hash = used["fnv1a"].get<std::string>();
    for (const detail::KnownTemplate& known : detail::known_templates) {
      found += known.hash == std::strtoull(hash.c_str(), nullptr, 16) && known.size == used["bytes"].get<std::size_t>();
    }
  }
  BOOST_TEST(found == detail::known_templates.size());

  const char* folder = std::getenv("MAESTRO_CHAT_TEMPLATES");
  if (folder == nullptr) {
    BOOST_TEST_MESSAGE("Skipped: the models' own templates, MAESTRO_CHAT_TEMPLATES names no folder");
    return;
  }
  const std::vector<std::pair<std::string, std::string>> files{
      {"qwen2_5", "qwen2.5"}, {"qwen3", "qwen3"},     {"qwen3_first", "qwen3"}, {"qwen3_instruct_2507", "chatml"},
      {"llama3", "llama3"},   {"smollm2", "smollm2"}, {"llama3_1", "llama3.1"}, {"llama3_2", "llama3.1"}};
  for (const auto& [file, name] : files) {
    std::string text = read_file(std::string(folder) + "/" + file + ".jinja");
    BOOST_TEST(name_of_template(text) == name, file);
    if (file == "qwen3_instruct_2507") continue;  // known by its hash alone
    // A comment changes the hash, so that the marks decide.
    BOOST_TEST(name_of_template("{# x #}" + text) == name, file);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
