#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "../../examples/judge/judge.hpp"
#include "../../examples/tasks/tasks.hpp"
#include "maestro/io/prompts.hpp"

using namespace maestro;
using maestro::judge::judge_response;
using maestro::judge::Verdict;

BOOST_AUTO_TEST_SUITE(judges)

namespace {

const std::filesystem::path root = std::filesystem::path(MAESTRO_TEST_FIXTURES).parent_path().parent_path();

Prompt prompt_with(const char* task, const char* metadata) {
  Prompt prompt;
  prompt.task = task;
  prompt.metadata = metadata;
  return prompt;
}

bool kept(const Verdict& verdict, std::string_view name) {
  for (const judge::Rule& rule : verdict.rules) {
    if (rule.name == name) return rule.kept;
  }
  BOOST_FAIL("no rule " << name);
  return false;
}

std::vector<Prompt> hand_written() { return load_prompts((root / "examples/data/prompts.jsonl").string()).prompts; }

}  // namespace

BOOST_AUTO_TEST_CASE(reading_tells_good_form_from_bad) {
  using judge::read_response;
  BOOST_TEST(read_response("<think>a</think><answer>b</answer>").well_formed);
  BOOST_TEST(read_response(" <think> a </think>\n<answer>b</answer>\n").well_formed);
  for (const char* bad :
       {"", "b", "<think>a<answer>b</answer>", "a</think><answer>b</answer>", "<think>a</think>b</answer>",
        "<think>a</think><answer>b", "<think></think><answer>b</answer>", "<think>a</think><answer></answer>",
        "<answer>b</answer><think>a</think>", "<think>a<think></think><answer>b</answer>",
        "<think>a</think><answer>b</answer></answer>", "<think>a</think> so <answer>b</answer>",
        "<think>a</think><answer>b</answer> end"}) {
    BOOST_TEST(!read_response(bad).well_formed, bad);
  }
  BOOST_TEST(read_response("<think>a<answer> b</answer>").answer == "b");
  BOOST_TEST(!read_response("<think>a</think><answer>b").has_answer);
}

BOOST_AUTO_TEST_CASE(arithmetic_rules) {
  const Prompt prompt = prompt_with("arithmetic", R"({"answer":50})");
  const auto score = [&](const char* text) { return judge_response(prompt, text).score(); };
  BOOST_TEST(score("<think>17+25=42 42+8=50</think><answer>50</answer>") == 1.0);
  BOOST_TEST(score("<think>17+25=43 43+8=50</think><answer>50</answer>") == 0.8);
  BOOST_TEST(score("<think>17+25=42 42+8=50</think><answer>51</answer>") == 0.4);
  BOOST_TEST(score("<think>17+25=42 42+8=50</think><answer>50 or so</answer>") == 0.4);
  BOOST_TEST(score("<think>17+25=42</think><answer>42</answer>") == 0.2);
  BOOST_TEST(score("<answer>50</answer>") == 0.6);
  BOOST_TEST(score("50") == 0.0);
  Prompt by_reference = prompt_with("arithmetic", "");
  by_reference.reference = "-3";
  BOOST_TEST(judge_response(by_reference, "<think>2-5=-3</think><answer>-3</answer>").score() == 1.0);
  by_reference.reference = "three";
  BOOST_CHECK_THROW(judge_response(by_reference, ""), BadData);
}

BOOST_AUTO_TEST_CASE(story_rules) {
  const Prompt prompt = prompt_with("story", R"({"hero":"fox","object":"lamp","sentences":[2,3]})");
  const auto verdict = [&](const std::string& answer) {
    return judge_response(prompt, "<think>fox</think><answer>" + answer + "</answer>");
  };
  BOOST_TEST(verdict("A fox found a lamp. It was glad.").score() == 1.0);
  BOOST_TEST(!kept(verdict("A cat found a lamp. It was glad."), "hero named"));
  BOOST_TEST(!kept(verdict("A foxy cat found a lamp. It was glad."), "hero named"));
  BOOST_TEST(!kept(verdict("A fox found lampions. It was glad."), "object named"));
  BOOST_TEST(!kept(verdict("A fox found a lamp."), "sentence count"));
  BOOST_TEST(!kept(verdict("A fox had a lamp. It was so. It was it. It was old."), "sentence count"));
  BOOST_TEST(!kept(verdict("A fox had a lamp. It was so. It was SO!"), "no repetition"));
  BOOST_TEST(!kept(verdict("A fox had a lamp. Glad."), "proper sentences"));
  BOOST_TEST(!kept(verdict("A fox had a lamp. it was glad."), "proper sentences"));
  BOOST_TEST(!kept(verdict("A fox had a lamp. It was glad"), "full stop"));
  BOOST_TEST(judge_response(prompt, "A fox found a lamp. It was glad.").score() == 0.0);
  BOOST_CHECK_THROW(judge_response(prompt_with("story", R"({"hero":"fox"})"), ""), BadData);
  BOOST_CHECK_THROW(judge_response(prompt_with("story", R"({"hero":1,"sentences":2})"), ""), BadData);
  BOOST_CHECK_THROW(judge_response(prompt_with("story", "{"), ""), BadData);
}

BOOST_AUTO_TEST_CASE(emotion_rules) {
  const Prompt prompt = prompt_with("emotion", R"({"person":"Tom","emotion":"sad"})");
  const auto verdict = [&](const std::string& answer) {
    return judge_response(prompt, "<think>loss -> sad</think><answer>" + answer + "</answer>");
  };
  BOOST_TEST(verdict("Tom feels sad. I am sorry, Tom.").score() == 1.0);
  BOOST_TEST(verdict("You feel sad, Tom. I am here for you.").score() == 1.0);
  BOOST_TEST(!kept(verdict("Tom feels proud. I am sorry, Tom."), "right emotion"));
  BOOST_TEST(!kept(verdict("Tom feels sad and proud. I am sorry, Tom."), "no second emotion"));
  BOOST_TEST(!kept(verdict("Tom feels something. I am sorry, Tom."), "no second emotion"));
  BOOST_TEST(!kept(verdict("Tom is not sad. I am sorry, Tom."), "right emotion"));
  BOOST_TEST(!kept(verdict("Tom feels sad. So what, Tom."), "kind"));
  BOOST_TEST(!kept(verdict("Tom feels sad. I am sorry, but get over it, Tom."), "kind"));
  BOOST_TEST(!kept(verdict("Tom feels sad. I am sorry."), "speaks to the person"));
  BOOST_TEST(judge_response(prompt, "").score() == 0.0);
  BOOST_CHECK_THROW(judge_response(prompt_with("emotion", R"({"emotion":"peckish"})"), ""), BadData);
  BOOST_CHECK_THROW(judge_response(prompt_with("chess", "{}"), ""), BadArgument);
}

BOOST_AUTO_TEST_CASE(faultless_demonstrations_score_one_and_faulty_ones_leave_room) {
  for (const auto& d : examples::make_demonstrations(600, 1, examples::Faults::none())) {
    const Verdict verdict = judge_response(d.prompt, d.response);
    BOOST_TEST(verdict.score() == 1.0, d.prompt.text << d.response << " " << verdict.breakdown());
  }
  double score[examples::families] = {};
  for (std::size_t i = 0; i < 3000; i += 1) {
    const auto d = examples::make_demonstrations(1, 1, {}, i).front();
    score[i % examples::families] += judge_response(d.prompt, d.response).score() / 1000.0;
    if (d.flaws.tags) BOOST_TEST(!kept(judge_response(d.prompt, d.response), "well formed"), d.response);
  }
  for (const double mean : score) {
    BOOST_TEST(mean > 0.4);
    BOOST_TEST(mean < 0.7);
  }
}

BOOST_AUTO_TEST_CASE(hand_written_prompts_can_be_judged_and_were_not_trained_on) {
  const std::vector<Prompt> prompts = hand_written();
  BOOST_TEST_REQUIRE(prompts.size() == 100u);
  std::set<std::string> trained;
  for (const auto& d : examples::make_demonstrations(20000, 1)) trained.insert(d.prompt.text);
  std::map<std::string, int> families;
  std::set<std::string> texts;
  for (const Prompt& prompt : prompts) {
    ++families[prompt.task];
    BOOST_TEST(texts.insert(prompt.text).second, prompt.text);
    BOOST_TEST(trained.count(prompt.text) == 0u, prompt.text);
    BOOST_TEST(prompt.text.back() == '\n');
    const std::string think = prompt.task == "arithmetic" ? prompt.reference + "=" + prompt.reference : "so";
    const Verdict verdict =
        judge_response(prompt, "<think>" + think + "</think><answer>" + prompt.reference + "</answer>");
    BOOST_TEST(verdict.score() == 1.0, prompt.text << verdict.breakdown());
  }
  BOOST_TEST(families.size() == 3u);
  for (const auto& [family, count] : families) BOOST_TEST(count >= 33, family);
}

// The judges measure what training cannot see: nothing but the evaluation may include them, and they include nothing
// of the rewards.
BOOST_AUTO_TEST_CASE(no_training_code_includes_a_judge) {
  std::size_t sources = 0;
  for (const char* folder : {"include", "examples", "bench"}) {
    if (!std::filesystem::exists(root / folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      const std::string ending = entry.path().extension().string();
      if (ending != ".hpp" && ending != ".cpp" && ending != ".cuh" && ending != ".cu") continue;
      ++sources;
      std::ifstream file(entry.path());
      const std::string parent = entry.path().parent_path().filename().string();
      for (std::string line; std::getline(file, line);) {
        if (line.find("#include") == std::string::npos) continue;
        if (parent == "judge") {
          BOOST_TEST(line.find("maestro/reward") == std::string::npos, entry.path() << ": " << line);
          BOOST_TEST(line.find("tasks/") == std::string::npos, entry.path() << ": " << line);
        } else if (parent != "evaluation") {
          BOOST_TEST(line.find("judge/") == std::string::npos, entry.path() << ": " << line);
        }
      }
    }
  }
  BOOST_TEST(sources > 20u);
}

BOOST_AUTO_TEST_SUITE_END()
