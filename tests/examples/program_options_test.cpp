// The lists of the options of the programs beside `train` and `sft`, and which options they refuse.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>
#include <string>
#include <vector>

#include "contexts/options.hpp"
#include "evaluate/options.hpp"
#include "generate/options.hpp"
#include "maestro/core/error.hpp"
#include "member_count.hpp"
#include "message_of.hpp"
#include "pretrain/options.hpp"
#include "train/option_names.hpp"

BOOST_AUTO_TEST_SUITE(program_options)

namespace {

using maestro::examples::ContextsOptions;
using maestro::examples::DecodingChoice;
using maestro::examples::EvaluateOptions;
using maestro::examples::GenerateOptions;
using maestro::examples::PretrainedModels;
using maestro::examples::PretrainOptions;
using Names = std::vector<std::string>;

/// Whether an option is one of those that were given.
auto is_one_of(const Names& given) {
  return [given](const std::string& option) { return std::find(given.begin(), given.end(), option) != given.end(); };
}
template <class Options>
std::string refusal(const Options& o, const Names& given) {
  return test::message_of([&] { check(o, is_one_of(given)); });
}
EvaluateOptions of_a_file() {
  EvaluateOptions o;
  o.prompts = "prompts.jsonl";
  return o;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_member_is_in_the_list) {
  member_count::check_list<EvaluateOptions>();
  member_count::check_list<GenerateOptions>();
  member_count::check_list<PretrainOptions>();
  member_count::check_list<ContextsOptions>();
  member_count::check_list<maestro::examples::OutsideOptions>();
}

BOOST_AUTO_TEST_CASE(what_may_be_idle_is_an_option) {
  const auto check_names = [](const auto& options, const auto& refuse) {
    const Names names = maestro::examples::option_names(options);
    BOOST_TEST(std::set<std::string>(names.begin(), names.end()).size() == names.size());
    std::size_t asked = 0;
    refuse([&](const std::string& option) {
      ++asked;
      BOOST_TEST(is_one_of(names)(option), "there is no --" << option);
      return false;
    });
    return asked;
  };
  const EvaluateOptions evaluate;
  BOOST_TEST(check_names(evaluate, [&](const auto& given) { check(evaluate, given); }) > 40u);
  const GenerateOptions generate;
  BOOST_TEST(check_names(generate, [&](const auto& given) { check(generate, given); }) == 6u);
  const PretrainOptions pretrain;
  BOOST_TEST(check_names(pretrain, [&](const auto& given) { check(pretrain, given); }) == 14u);
  const ContextsOptions contexts{.write = "prompts", .output = "prompts.jsonl"};
  BOOST_TEST(check_names(contexts, [&](const auto& given) { check(contexts, given); }) == 13u);
}

BOOST_AUTO_TEST_CASE(an_evaluation_of_a_file_and_one_of_the_families_have_their_own_options) {
  BOOST_TEST(refusal(EvaluateOptions{}, {"base", "run", "split", "num-prompts", "by-hand", "seed", "samples"}) == "");
  BOOST_TEST(refusal(EvaluateOptions{}, {"metrics"}) == "--metrics has no effect without --prompts");
  BOOST_TEST(refusal(EvaluateOptions{}, {"judge-url"}) == "--judge-url has no effect without --prompts");
  BOOST_TEST(refusal(of_a_file(), {"model", "metrics", "num-generations", "temperature", "seed", "limit"}) == "");
  for (const char* option : {"base", "run", "split", "num-prompts", "by-hand"}) {
    BOOST_TEST(refusal(of_a_file(), {option}) == "--" + std::string(option) + " has no effect with --prompts");
  }
}

BOOST_AUTO_TEST_CASE(an_evaluation_refuses_what_has_no_effect) {
  EvaluateOptions o = of_a_file();
  BOOST_TEST(refusal(o, {"judge-model"}) == "--judge-model has no effect without --judge-url");
  BOOST_TEST(refusal(o, {"reward-retries"}) == "--reward-retries has no effect without --judge-url");
  o.judge.judge_url = "http://127.0.0.1:1/v1/chat/completions";
  BOOST_TEST(refusal(o, {"judge-url", "judge-model", "reward-retries"}) == "");

  o = of_a_file();
  o.num_generations = 8;
  BOOST_TEST(refusal(o, {"num-generations"}) == "");
  o.decoding = DecodingChoice::greedy;
  for (const char* option : {"num-generations", "temperature", "seed", "pass-k"}) {
    const std::string start = "--" + std::string(option) + " has no effect with --decoding greedy";
    BOOST_TEST(refusal(o, {option}).starts_with(start), refusal(o, {option}));
  }
  o.num_generations = 1;  // as many as there are
  BOOST_TEST(refusal(o, {"num-generations"}) == "");

  o = of_a_file();
  BOOST_TEST(refusal(o, {"answer-format"}) == "");
  o.answer_instruction = "none";
  BOOST_TEST(refusal(o, {"answer-format"}).starts_with("--answer-format has no effect with an --answer-instruction"));

  o = of_a_file();
  o.pass_k = {1, 4};
  BOOST_TEST(refusal(o, {"pass-k"}) == "");
  o.pass_k = {2, 5};
  BOOST_TEST(refusal(o, {"pass-k"}) == "--pass-k is 5, it must be from 1 to the 4 responses of --num-generations");
  o.pass_k = {0};
  BOOST_TEST(refusal(o, {"pass-k"}).starts_with("--pass-k is 0, "));
}

BOOST_AUTO_TEST_CASE(greedy_responses_are_not_drawn) {
  GenerateOptions o;
  const Names drawing{"temperature", "top-k", "top-p", "min-p", "seed"};
  BOOST_TEST(refusal(o, drawing) == "");
  o.greedy = true;
  for (const std::string& option : drawing) {
    BOOST_TEST(refusal(o, {option}) == "--" + option + " has no effect with --greedy, which draws nothing");
  }
  BOOST_TEST(refusal(o, {"num-generations"}) == "");
  o.num_generations = 2;
  BOOST_TEST(refusal(o, {"num-generations"}).starts_with("--num-generations has no effect with --greedy"));
  o = {};
  o.temperature = 0.0;
  BOOST_TEST(refusal(o, {"temperature"}).find("--greedy") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(each_model_has_options_of_its_own) {
  PretrainOptions o;
  const Names of_the_base{
      "steps", "batch", "learning-rate", "first-share", "first-faults", "evaluation-steps", "evaluation-prompts"};
  const Names of_the_reward{"reward-steps", "reward-batch", "reward-learning-rate"};
  BOOST_TEST(refusal(o, of_the_base) + refusal(o, of_the_reward) == "");
  o.models = PretrainedModels::base;
  BOOST_TEST(refusal(o, of_the_base) == "");
  for (const std::string& option : of_the_reward) {
    BOOST_TEST(refusal(o, {option}) == "--" + option + " has no effect with --models base");
  }
  o.models = PretrainedModels::reward;
  BOOST_TEST(refusal(o, {"reward-steps", "warmup-steps"}) == "");
  for (const std::string& option : of_the_base) {
    BOOST_TEST(refusal(o, {option}) == "--" + option + " has no effect with --models reward");
  }
  BOOST_TEST(refusal(o, {"prompts"}) == "--prompts has no effect with --models reward");
  o.models = PretrainedModels::none;
  BOOST_TEST(refusal(o, {"prompts", "final-prompts"}) == "");
  BOOST_TEST(refusal(o, {"warmup-steps"}) == "--warmup-steps has no effect with --models none");
}

BOOST_AUTO_TEST_CASE(what_is_written_of_contexts_has_options_of_its_own) {
  ContextsOptions o{.write = "prompts", .output = "prompts.jsonl"};
  BOOST_TEST(refusal(o, {"split", "count", "seed", "weights", "threads"}) == "");
  for (const char* option : {"model", "run", "steps", "batch", "learning-rate", "pairs", "num-generations", "hidden"}) {
    BOOST_TEST(refusal(o, {option}) == "--" + std::string(option) + " has no effect with --write prompts");
  }
  o.write = "responses";
  BOOST_TEST(refusal(o, {"num-generations", "hidden"}) == "--model FOLDER is missing");
  o.model = "base";
  BOOST_TEST(refusal(o, {"model", "split", "count", "num-generations", "hidden"}) == "");
  o.write = "supervised";
  BOOST_TEST(refusal(o, {"model", "steps", "batch", "learning-rate", "demonstrations", "seed"}) == "");
  BOOST_TEST(refusal(o, {"split"}) == "--split has no effect with --write supervised");
  o.pairs = "pairs.jsonl";
  BOOST_TEST(refusal(o, {"pairs"}) == "");
  BOOST_TEST(refusal(o, {"demonstrations"}).starts_with("--demonstrations has no effect with --pairs"));
  BOOST_TEST(refusal(ContextsOptions{.write = "table", .output = "samples.md"}, {}).starts_with("--run NAME=FOLDER"));
  BOOST_TEST(refusal(ContextsOptions{.write = "base"}, {}) == "--output FILE or FOLDER is missing");
  BOOST_TEST(refusal(ContextsOptions{}, {}).find("--write") == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
