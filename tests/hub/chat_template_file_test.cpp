#include "maestro/hub/chat_template_file.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "io/scratch.hpp"

BOOST_AUTO_TEST_SUITE(chat_template_file)

namespace {

using namespace maestro;
using maestro_test::refusal;
using maestro_test::Scratch;

struct Folder {
  Scratch scratch{};
  std::string path() const { return scratch.path("."); }
  void config(const Json& json) const { write_file(scratch.path("tokenizer_config.json"), dump_json(json)); }
  void file(const std::string& name, const std::string& text) const { write_file(scratch.path(name), text); }
  /// What the folder's template writes of one question; "none" if there is no template.
  std::string written(const ChatTemplateSource& source = {}) const {
    const ChatFormat format = detect_chat_format(path(), source);
    if (format.kind == ChatKind::none) return "none";
    const std::vector<Message> question{{"user", "Hi"}};
    return render_chat(format, question, GenerationPrompt::add);
  }
};

BOOST_AUTO_TEST_CASE(the_template_is_found_where_transformers_looks) {
  const Folder folder;
  BOOST_TEST(folder.written() == "none");
  folder.config(Json{{"eos_token", "x"}});
  BOOST_TEST(folder.written() == "none");
  folder.config(Json{{"chat_template", nullptr}});
  BOOST_TEST(folder.written() == "none");
  folder.file("chat_template.json", dump_json(Json{{"chat_template", "processor"}}));
  BOOST_TEST(folder.written() == "processor");
  folder.config(Json{{"chat_template", "field {{ messages[0].content }}"}});
  BOOST_TEST(folder.written() == "field Hi");
  folder.config(Json{
      {"chat_template", {{{"name", "tool_use"}, {"template", "x"}}, {{"name", "default"}, {"template", "default"}}}}});
  BOOST_TEST(folder.written() == "default");
  folder.file("chat_template.jinja", "file\n");
  BOOST_TEST(folder.written() == "file");
  folder.file("other.jinja", "other");
  BOOST_TEST(folder.written({.file = folder.scratch.path("other.jinja")}) == "other");
}

BOOST_AUTO_TEST_CASE(special_tokens_and_given_variables_are_variables) {
  const Folder folder;
  folder.file("chat_template.jinja", "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token is defined }}{{ v }}");
  folder.config(Json{{"bos_token", {{"content", "<s>"}}}, {"eos_token", "</s>"}, {"unk_token", nullptr}});
  folder.file("special_tokens_map.json", R"({"pad_token": {"content": "<pad>"}, "bos_token": "other"})");
  BOOST_TEST(folder.written() == "<s></s><pad>False");
  BOOST_TEST(folder.written({.variables = R"({"v": {"b": [1, 2.5, null, true], "a": "x"}})"}) ==
             "<s></s><pad>False{'b': [1, 2.5, None, True], 'a': 'x'}");
  BOOST_CHECK_THROW(folder.written({.variables = "[1]"}), BadFile);
  BOOST_CHECK_THROW(folder.written({.variables = "{"}), BadFile);
  BOOST_CHECK_THROW(folder.written({.variables = R"({"v": 18446744073709551615})"}), BadFile);
  BOOST_CHECK_THROW(folder.written({.variables = R"({"messages": 1})"}), BadFile);
  const Folder empty;
  BOOST_CHECK_THROW(empty.written({.variables = R"({"v": 1})"}), BadArgument);
  BOOST_CHECK_THROW(empty.written({.file = empty.scratch.path("none.jinja")}), IoError);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_evaluated_or_is_broken_is_refused_by_name) {
  const Folder folder;
  const auto refused = [&] { return refusal<Unsupported>([&] { folder.written(); }); };
  folder.config(Json{{"chat_template", "\n{% include 'x' %}"}});
  BOOST_TEST(refused().find("tokenizer_config.json: chat template, line 2: the tag 'include'") != std::string::npos);
  folder.config(Json{{"chat_template", "{{ raise_exception('never') }}"}});
  BOOST_TEST(refused().find("the template says: never; a question could not be written") != std::string::npos);
  BOOST_TEST(refused().find("none, chatml, qwen2.5") != std::string::npos);
  folder.config(Json{{"chat_template", "{% if tools %}x{% endif %}"}});
  BOOST_TEST(refused().find("writes nothing") != std::string::npos);
  folder.config(Json{{"chat_template", {{{"name", "rag"}, {"template", "x"}}}}});
  BOOST_TEST(refused().find("only \"rag\"") != std::string::npos);
  folder.config(Json{{"chat_template", Json::array()}});
  BOOST_TEST(refused().find("an empty list") != std::string::npos);
  const auto broken = [&] { return refusal<BadFile>([&] { folder.written(); }); };
  folder.config(Json{{"chat_template", 3}});
  BOOST_TEST(broken().find("'chat_template' must be a string") != std::string::npos);
  folder.config(Json{{"chat_template", {"x"}}});
  BOOST_TEST(broken().find("chat_template[0]") != std::string::npos);
  folder.config(Json{{"chat_template", "{{ messages"}});
  BOOST_TEST(broken().find("'}}' is missing") != std::string::npos);
  folder.config(Json{{"chat_template", std::string((1 << 20) + 1, 'x')}});
  BOOST_TEST(broken().find("longer than 1 MiB") != std::string::npos);
  folder.file("tokenizer_config.json", "{");
  BOOST_TEST(!broken().empty());
  folder.config(Json::object());
  folder.file("additional_chat_templates", "");
  BOOST_TEST(refused().find("no default one") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
