#include "maestro/io/prompts.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <utility>
#include <vector>

#include "scratch.hpp"

namespace {

using namespace maestro;
using maestro_test::refusal;

const std::string turns = R"([{"role": "system", "content": "S"}, {"role": "user", "content": "Q1"},)"
                          R"( {"role": "assistant", "content": "A1", "name": "x"}, {"role": "user", "content": "Q2"}])";

BOOST_AUTO_TEST_SUITE(prompts)

BOOST_AUTO_TEST_CASE(conversations_are_read_under_either_key) {
  for (const char* key : {"messages", "prompt"}) {
    const PromptFile file = parse_prompts(
        std::string("{\"") + key + "\": " + turns + R"(, "reference": "A2", "task": "t", "level": 1})", "p.jsonl");
    const Prompt& prompt = file.prompts.at(0);
    const std::vector<Message> expected{{"system", "S"}, {"user", "Q1"}, {"assistant", "A1"}, {"user", "Q2"}};
    BOOST_TEST((prompt.messages == expected));
    BOOST_TEST(prompt.text == "Q2");
    BOOST_TEST(prompt.reference == "A2");
    BOOST_TEST(prompt.task == "t");
    BOOST_TEST(prompt.metadata == R"({"level":1})");
  }
  BOOST_TEST(parse_prompts(R"({"prompt": "x"})", "p").prompts.at(0).messages.empty());
}

BOOST_AUTO_TEST_CASE(an_answer_at_the_end_is_the_reference_only_when_told) {
  const std::string line = R"({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]})";
  const PromptFileOptions take{.last_answer = LastAnswer::reference};
  BOOST_TEST(refusal<BadFile>([&] { parse_prompts(line, "p"); }).find("LastAnswer::reference") != std::string::npos);
  const Prompt prompt = parse_prompts(line, "p", take).prompts.at(0);
  BOOST_TEST(prompt.reference == "A");
  BOOST_TEST(prompt.text == "Q");
  BOOST_TEST(prompt.messages.size() == 1u);
  const std::string both = line.substr(0, line.size() - 1) + R"(, "reference": "B"})";
  BOOST_TEST(refusal<BadFile>([&] { parse_prompts(both, "p", take); }).find("keep one of them") != std::string::npos);
  const std::string alone = R"({"messages": [{"role": "assistant", "content": "A"}]})";
  BOOST_TEST(refusal<BadFile>([&] { parse_prompts(alone, "p", take); }).find("must end with") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(columns_may_have_other_names) {
  const PromptFileOptions options{.columns = {.prompt = "question", .reference = "solution", .task = "kind"}};
  const PromptFile file =
      parse_prompts(R"({"question": "Q", "solution": "4", "kind": "sum", "prompt": 3, "task": [1]})", "p", options);
  BOOST_TEST(file.prompts.at(0).text == "Q");
  BOOST_TEST(file.prompts.at(0).reference == "4");
  BOOST_TEST(file.prompts.at(0).task == "sum");
  BOOST_TEST(file.prompts.at(0).metadata == R"({"prompt":3,"task":[1]})");
  BOOST_TEST(refusal<BadFile>([&] { parse_prompts("{}", "p", options); }).find("'question' is missing") !=
             std::string::npos);
  BOOST_CHECK_THROW(parse_prompts("{}", "p", {.columns = {.prompt = "messages"}}), BadArgument);
  BOOST_CHECK_THROW(parse_prompts("{}", "p", {.columns = {.task = ""}}), BadArgument);
}

BOOST_AUTO_TEST_CASE(bad_conversations_are_numbered_and_skipped_as_told) {
  const std::string user = R"({"role": "user", "content": "Q"})";
  const std::vector<std::pair<std::string, std::string>> bad{
      {R"({"prompt": "x", "messages": [)" + user + "]}", "'prompt' and 'messages' are both there"},
      {R"({"messages": []})", "a list of messages that is not empty"},
      {R"({"messages": "x"})", "a list of messages"},
      {R"({"prompt": {"role": "user"}})", "a string or a list of messages"},
      {R"({"messages": ["x"]})", "messages[0]"},
      {R"({"messages": [{"content": "x"}]})", "messages[0].role' is missing"},
      {R"({"messages": [{"role": "user"}]})", "messages[0].content' is missing"},
      {R"({"messages": [{"role": "user", "content": 1}]})", "must be a string"},
      {R"({"messages": [{"role": "user", "content": ""}]})", "the last message is empty"},
      {R"({"messages": [)" + user + R"(, {"role": "system", "content": "x"}]})",
       "must end with a message of the user"}};
  const std::vector<std::pair<std::string, std::string>> unsupported{
      {R"({"messages": [{"role": "tool", "content": "x"}]})", "messages[0].role' is \"tool\""},
      {R"({"messages": [{"role": "developer", "content": "x"}]})", "developer"},
      {R"({"messages": [{"role": "user", "content": [{"type": "image"}]}]})", "a list of parts"},
      {R"({"messages": [)" + user + R"(, {"role": "assistant", "content": "x", "tool_calls": [{}]},)" + user + "]}",
       "tool_calls"},
      {R"({"messages": [)" + user + R"(], "tools": [{}]})", "tools"}};
  const auto check = [](const std::string& line, const std::string& reason, const std::string& message) {
    BOOST_TEST(message.starts_with("p.jsonl:2: "), message);
    BOOST_TEST(message.find(reason) != std::string::npos, message);
    const std::string lines = "{\"prompt\": \"a\"}\n" + line + "\n{\"prompt\": \"b\"}\n";
    const PromptFile rest = parse_prompts(lines, "p.jsonl", OnBadLine::skip);
    BOOST_TEST(rest.skipped == 1u);
    BOOST_TEST(rest.first_skipped == message);
    BOOST_TEST(rest.prompts.at(1).row == 1);
  };
  for (const auto& entry : bad) {
    check(entry.first, entry.second, refusal<BadFile>([&] { parse_prompts("\n" + entry.first, "p.jsonl"); }));
  }
  for (const auto& entry : unsupported) {
    check(entry.first, entry.second, refusal<Unsupported>([&] { parse_prompts("\n" + entry.first, "p.jsonl"); }));
  }
  // What says nothing is not refused.
  const std::string quiet = R"({"messages": [{"role": "user", "content": "Q", "tool_calls": []}], "tools": null})";
  BOOST_TEST(parse_prompts(quiet, "p").prompts.size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
