#include "maestro/hub/chat_template_file.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

#include "io/scratch.hpp"

namespace {

using namespace maestro;
using maestro_test::refusal;
using maestro_test::Scratch;

const std::string chatml =
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
const std::string llama =
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + "
    "message.content | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";

struct Folder {
  Scratch scratch{};
  std::string path() const { return scratch.path("."); }
  void config(const Json& json) const { write_file(scratch.path("tokenizer_config.json"), dump_json(json)); }
  void jinja(const std::string& text) const { write_file(scratch.path("chat_template.jinja"), text); }
  ChatKind kind() const { return detect_chat_format(path()).kind; }
};

BOOST_AUTO_TEST_SUITE(chat_template_file)

BOOST_AUTO_TEST_CASE(the_template_is_found_where_transformers_looks) {
  const Folder folder;
  BOOST_TEST((folder.kind() == ChatKind::none));
  folder.config(Json{{"eos_token", "x"}});
  BOOST_TEST((folder.kind() == ChatKind::none));
  folder.config(Json{{"chat_template", nullptr}});
  BOOST_TEST((folder.kind() == ChatKind::none));
  folder.config(Json{{"chat_template", chatml}});
  BOOST_TEST((folder.kind() == ChatKind::chatml));
  folder.config(Json{
      {"chat_template", {{{"name", "tool_use"}, {"template", "x"}}, {{"name", "default"}, {"template", chatml}}}}});
  BOOST_TEST((folder.kind() == ChatKind::chatml));
  // The file of its own comes before the field.
  folder.config(Json{{"chat_template", chatml}, {"bos_token", {{"content", "<|begin_of_text|>"}}}});
  folder.jinja(llama);
  BOOST_TEST((folder.kind() == ChatKind::llama3));
  folder.config(Json{{"bos_token", "<|begin_of_text|>"}});
  BOOST_TEST((folder.kind() == ChatKind::llama3));
}

BOOST_AUTO_TEST_CASE(what_is_unknown_or_broken_is_refused_by_name) {
  const Folder folder;
  const auto refused = [&] { return refusal<Unsupported>([&] { folder.kind(); }); };
  folder.config(Json{{"chat_template", "{{ messages }}"}});
  BOOST_TEST(refused().find("tokenizer_config.json") != std::string::npos);
  BOOST_TEST(refused().find("none, chatml, qwen2.5") != std::string::npos);
  folder.config(Json{{"chat_template", {{{"name", "rag"}, {"template", chatml}}}}});
  BOOST_TEST(refused().find("only \"rag\"") != std::string::npos);
  folder.config(Json{{"chat_template", Json::array()}});
  BOOST_TEST(refused().find("an empty list") != std::string::npos);
  folder.config(Json{{"chat_template", llama}, {"bos_token", "<s>"}});
  BOOST_TEST(refused().find("'bos_token', which is \"<s>\"") != std::string::npos);
  folder.config(Json{{"chat_template", llama}});
  BOOST_TEST(refused().find("missing") != std::string::npos);
  const auto broken = [&] { return refusal<BadFile>([&] { folder.kind(); }); };
  folder.config(Json{{"chat_template", 3}});
  BOOST_TEST(broken().find("'chat_template' must be a string") != std::string::npos);
  folder.config(Json{{"chat_template", {"x"}}});
  BOOST_TEST(broken().find("chat_template[0]") != std::string::npos);
  folder.config(Json{{"chat_template", std::string((1 << 20) + 1, 'x')}});
  BOOST_TEST(broken().find("longer than 1 MiB") != std::string::npos);
  write_file(folder.scratch.path("tokenizer_config.json"), "{");
  BOOST_TEST(!broken().empty());
  folder.jinja("{{ x }}");
  folder.config(Json::object());
  BOOST_TEST(refused().find("chat_template.jinja") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
