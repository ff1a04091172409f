#include "maestro/io/prompts.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "maestro/io/json.hpp"
#include "maestro/io/safetensors.hpp"
#include "scratch.hpp"

BOOST_AUTO_TEST_SUITE(prompts)

namespace {

using namespace maestro;
using maestro_test::refusal;

const std::string turns = R"([{"role": "system", "content": "S"}, {"role": "user", "content": "Q1"},)"
                          R"( {"role": "assistant", "content": "A1", "name": "x"}, {"role": "user", "content": "Q2"}])";

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

BOOST_AUTO_TEST_CASE(other_formats_are_refused_by_name_with_the_way_from_there) {
  const std::vector<std::array<std::string, 3>> files{{"p.jsonl.gz", "\x1f\x8b\x08", "gunzip"},
                                                      {"p.parquet", "PAR1....", "JSONL"},
                                                      {"p.jsonl", std::string("\xff\xfe{\0", 4), "UTF-8"},
                                                      {"p.csv", "prompt,reference\nx,y\n", "JSONL"}};
  for (const auto& [name, text, remedy] : files) {
    const std::string message = refusal<Unsupported>([&] { parse_prompts(text, name); });
    BOOST_TEST(message.starts_with(name + ": "));
    BOOST_TEST(message.find(remedy) != std::string::npos, message);
  }
  BOOST_TEST(parse_prompts(R"(
{"prompt": "x"})",
                           "p.csv")
                 .prompts.size() == 1u);
}

BOOST_AUTO_TEST_CASE(pointers_of_git_lfs_are_told_from_files) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
  const auto says = [&](auto&& read) {
    const std::string message = refusal<BadFile>(read);
    BOOST_TEST(message.starts_with("f"));
    BOOST_TEST(message.find("git lfs pull") != std::string::npos, message);
  };
  says([&] { parse_json(pointer, "f"); });
  says([&] { parse_prompts(pointer, "f"); });
  says([&] { SafetensorsFile(std::as_bytes(std::span(pointer)), "f"); });
}

BOOST_AUTO_TEST_CASE(an_entry_without_a_prompt_names_its_keys_and_the_option) {
  const std::string message =
      refusal<BadFile>([&] { parse_prompts(R"({"question": "1 + 1?", "answer": "#### 2"})", "p"); });
  BOOST_TEST(message.find(R"("answer", "question")") != std::string::npos, message);
  BOOST_TEST(message.find("--prompt-column") != std::string::npos, message);
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

BOOST_AUTO_TEST_CASE(columns_may_be_inside_others) {
  const PromptFileOptions options{.columns = {.prompt = "extra.questions.1", .reference = "reward_model.ground_truth"}};
  const std::string line =
      R"({"extra": {"questions": ["A", "B"]}, "reward_model": {"ground_truth": ["7"], "style": 1}})";
  const Prompt prompt = parse_prompts(line, "p", options).prompts.at(0);
  BOOST_TEST(prompt.text == "B");
  BOOST_TEST(prompt.reference == "7");
  BOOST_TEST(prompt.metadata == parse_json(line, "p").dump());
  const Prompt whole = parse_prompts(R"({"prompt": "x", "a.b": "1", "a": {"b": "2"}})", "p",
                                     PromptFileOptions{.columns = {.reference = "a.b"}})
                           .prompts.at(0);
  BOOST_TEST(whole.reference == "1");
}

BOOST_AUTO_TEST_CASE(references_are_what_answers_a_question) {
  const auto reference = [](const std::string& value) {
    return parse_prompts(R"({"prompt": "x", "reference": )" + value + "}", "p").prompts.at(0).reference;
  };
  BOOST_TEST(reference("2") == "2");
  BOOST_TEST(reference("-0.5") == "-0.5");
  BOOST_TEST(reference("72.0") == "72.0");
  BOOST_TEST(reference("true") == "true");
  BOOST_TEST(reference("[3]") == "3");
  BOOST_TEST(reference("null") == "");
}

BOOST_AUTO_TEST_CASE(a_column_that_no_entry_has_is_refused) {
  const auto message = [](const PromptColumns& columns) {
    return refusal<BadArgument>(
        [&] { parse_prompts(R"({"prompt": "x"})", "p", PromptFileOptions{.columns = columns}); });
  };
  BOOST_TEST(message({.reference = "refrence"}).find("no entry has the key 'refrence'") != std::string::npos);
  BOOST_TEST(message({.task = "kind"}).find("--task-column") != std::string::npos);
  BOOST_TEST(message({}).empty());
}

BOOST_AUTO_TEST_CASE(a_prompt_beside_a_conversation_must_say_the_same) {
  const std::string user = R"({"role": "user", "content": "Q"})";
  for (const std::string& prompt : {std::string("\"Q\""), "[" + user + "]"}) {
    const Prompt read =
        parse_prompts(R"({"prompt": )" + prompt + R"(, "messages": [)" + user + "]}", "p").prompts.at(0);
    BOOST_TEST(read.text == "Q");
    BOOST_TEST(read.messages.size() == 1u);
    BOOST_TEST(read.metadata == "");
  }
  const std::string both = R"({"prompt": "x", "messages": [)" + user + "]}";
  BOOST_TEST(parse_prompts(both, "p", PromptFileOptions{.columns = {.messages = ""}}).prompts.at(0).text == "x");
  BOOST_TEST(parse_prompts(both, "p", PromptFileOptions{.columns = {.prompt = ""}}).prompts.at(0).text == "Q");
}

BOOST_AUTO_TEST_CASE(a_system_message_may_stand_beside_a_prompt) {
  const std::vector<Message> expected{{"system", "S"}, {"user", "Q"}};
  const std::string user = R"([{"from": "human", "value": "Q"}])";
  for (const std::string& line :
       {std::string(R"({"system": "S", "prompt": "Q"})"), R"({"system": "S", "conversations": )" + user + "}"}) {
    BOOST_TEST((parse_prompts(line, "p").prompts.at(0).messages == expected));
  }
  const PromptFileOptions without{.columns = {.system = ""}};
  BOOST_TEST(parse_prompts(R"({"system": "S", "prompt": "Q"})", "p", without).prompts.at(0).messages.empty());
}

BOOST_AUTO_TEST_CASE(sharegpt_is_read_in_both_shapes_and_in_both_kinds_of_file) {
  const std::vector<Message> expected{{"system", "S"}, {"user", "Q1"}, {"assistant", "A1"}, {"user", "Q2"}};
  const std::string named = R"({"id": 1, "conversations": [{"from": "system", "value": "S"},
    {"from": "human", "value": "Q1"}, {"from": "gpt", "value": "A1"}, {"from": "human", "value": "Q2"},
    {"from": "gpt", "value": "A2"}]})";
  const std::string roles = R"({"id": 1, "conversations": [{"role": "system", "content": "S"},
    {"role": "user", "content": "Q1"}, {"role": "assistant", "content": "A1"}, {"role": "user", "content": [{"type":
    "text", "text": "Q2"}]}, {"role": "assistant", "content": "A2"}]})";
  const PromptFileOptions take{.last_answer = LastAnswer::reference};
  const PromptFile file = parse_prompts(" [\n" + named + ",\n" + roles + "]\n", "p.json", take);
  BOOST_REQUIRE(file.prompts.size() == 2u);
  for (const Prompt& prompt : file.prompts) {
    BOOST_TEST((prompt.messages == expected));
    BOOST_TEST(prompt.reference == "A2");
    BOOST_TEST(prompt.metadata == R"({"id":1})");
  }
  BOOST_TEST(file.prompts.at(1).line == 2u);
  const std::string message = refusal<BadFile>([&] { parse_prompts("[" + named + "]", "p.json"); });
  BOOST_TEST(message.find("p.json:1: ") == 0u, message);
  BOOST_TEST(message.find("--last-answer reference") != std::string::npos, message);
}

BOOST_AUTO_TEST_CASE(bad_conversations_are_numbered_and_skipped_as_told) {
  const std::string user = R"({"role": "user", "content": "Q"})";
  const std::vector<std::pair<std::string, std::string>> bad{
      {R"({"prompt": "x", "messages": [)" + user + "]}", "'prompt' and 'messages' are both there"},
      {R"({"prompt": "Q", "messages": [)" + user + "," + user + "]}", "--prompt-column ''"},
      {R"({"prompt": "x", "reference": {"a": 1}})", "'reference' must be a text, a number, or a list of one"},
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
      {R"({"conversations": [{"from": "tool", "value": "x"}]})", "conversations[0].from' is \"tool\""},
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
