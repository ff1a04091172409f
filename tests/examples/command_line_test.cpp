// What a person types: typos, --config, epochs, evaluations, answer formats, a new learning rate.

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "train/answer_format.hpp"
#include "train_program.hpp"

BOOST_AUTO_TEST_SUITE(command_line)

namespace {

using train_program::check_refused;
using train_program::Stage;

std::vector<maestro::Json> records(const std::filesystem::path& path) {
  std::vector<maestro::Json> found;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) found.push_back(maestro::parse_json(line, path.string()));
  return found;
}

void check_said(const train_program::Result& run, const std::string& words) {
  BOOST_TEST(run.code == 0, run.output);
  BOOST_TEST(run.output.find(words) != std::string::npos, "no '" << words << "' in: " << run.output);
}

const std::string few = "--reward-model '' --rewards length,format --timings omit ";

}  // namespace

BOOST_AUTO_TEST_CASE(a_typo_is_answered_with_what_may_be_meant) {
  const Stage stage;
  check_refused(stage.train("--dry-run --lerning-rate 1e-5"),
                {"--lerning-rate is no option; did you mean --learning-rate?"});
  check_refused(stage.train("--dry-run --learning_rate=1e-5"), {"did you mean --learning-rate?"});
  check_refused(stage.train("--dry-run --quux"), {"--quux is no option; --help lists them"});
  check_refused(stage.train("--dry-run --reward-model '' --rewards fromat"), {"did you mean 'format'?"});
  check_refused(stage.train("--dry-run --loss-type dapoo"), {"did you mean 'dapo'?"});
  check_refused(stage.train("--dry-run more"), {"'more' is no option"});
  // What follows an option is its value, whatever it looks like.
  check_refused(stage.train("--dry-run --system --quux"), {"--system"});
}

BOOST_AUTO_TEST_CASE(help_begins_with_what_people_need_first) {
  const Stage stage;
  const auto help = stage.bare("--help");
  BOOST_TEST(help.code == 0);
  const std::size_t start = help.output.find(" Start here options:");
  BOOST_TEST_REQUIRE(start != std::string::npos);
  BOOST_TEST(help.output.find("Examples") < start);
  for (const char* option : {"--model ", "--prompts ", "--rewards ", "--learning-rate ", "--config ", "--dry-run"}) {
    BOOST_TEST(help.output.find(option, start) < help.output.find("options:", start + 20), option);
  }
  BOOST_TEST(help.output.find("required with --judge-url") != std::string::npos);
  BOOST_TEST(help.output.find("soft,") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_run_can_be_repeated_from_its_folder) {
  const Stage stage;
  auto run = stage.train(few + "--conductor fixed --weights 0.5,1 --top-k 7 --learning-rate 1e-3");
  BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
  const maestro::Json config =
      maestro::parse_json(maestro::read_file((stage.root / "out/run.json").string()), "run.json");
  BOOST_TEST(config.at("top-k") == maestro::Json(7));
  BOOST_TEST(config.at("rewards") == maestro::Json({"length", "format"}));
  BOOST_TEST(config.at("weights") == maestro::Json({"0.5", "1"}));
  BOOST_TEST(!config.contains("beta"));

  const std::string again = (stage.root / "again").string();
  run = stage.bare("--config '" + (stage.root / "out/run.json").string() + "' --output '" + again + "'");
  BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
  BOOST_TEST(maestro::read_file(again + "/metrics.jsonl") ==
             maestro::read_file((stage.root / "out/metrics.jsonl").string()));
  // What is given beside the file wins, lists included.
  run =
      stage.bare("--dry-run --config '" + again + "/run.json' --output '" + again + "2' --rewards format --weights 2");
  check_said(run, "rewards    format, normalized");
}

BOOST_AUTO_TEST_CASE(a_file_of_options_is_checked) {
  const Stage stage;
  const auto with = [&](const std::string& json) {
    std::ofstream(stage.root / "config.json") << json;
    return stage.train("--dry-run --config '" + (stage.root / "config.json").string() + "'");
  };
  check_said(with(R"({"rewards": "format,preference", "beta": 0.1, "reward-command": ["x=true"]})"),
             "rewards    format preference x,");
  check_said(with(R"({"dry-run": false, "tensorboard": true})"), "--tensorboard");
  check_refused(with(R"({"betta": 0.1})"), {"config.json", "--betta is no option; did you mean --beta?"});
  check_refused(with(R"({"beta": true})"), {"config.json: 'beta' must be a text, a number or a list"});
  check_refused(with(R"({"beta": [[1]]})"), {"a list of texts or numbers"});
  check_refused(with(R"({"tensorboard": 1})"), {"true or false"});
  check_refused(with(R"({"reward-command": "x=true"})"), {"a list of texts"});
  check_refused(with(R"({"config": "x"})"), {"'config' has no place in a file"});
  check_refused(with("[]"), {"must be an object of options"});
}

BOOST_AUTO_TEST_CASE(epochs_are_steps) {
  const Stage stage;  // four prompts, two a step
  std::ofstream(stage.root / "config.json") << R"({"reward-model": "", "rewards": ["format"], "timings": "omit"})";
  const std::string bare = "--dry-run --config '" + (stage.root / "config.json").string() + "' --model '" +
                           (stage.root / "base").string() + "' --prompts '" + (stage.root / "prompts.jsonl").string() +
                           "' --output '" + (stage.root / "out").string() + "' --max-completion-length 24 ";
  check_said(stage.bare(bare + "--prompts-per-step 2 --num-epochs 1.5"), "run        3 steps");
  check_said(stage.bare(bare + "--prompts-per-step 3 --num-epochs 1"), "run        2 steps");
  check_refused(stage.bare(bare + "--num-epochs 1 --steps 5"), {"--steps has no effect with --num-epochs"});
  check_refused(stage.bare(bare + "--num-epochs -1"), {"--num-epochs must be above 0"});
}

BOOST_AUTO_TEST_CASE(a_run_is_evaluated_on_prompts_of_its_own) {
  const Stage stage;
  stage.write_prompts("held_out.jsonl", {"nine", "eight", "seven"});
  const std::string arguments =
      few + "--steps 3 --eval-steps 2 --eval-prompts '" + (stage.root / "held_out.jsonl").string() + "' ";
  auto run = stage.train(arguments);
  BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
  const auto found = records(stage.root / "out/eval.jsonl");
  BOOST_TEST_REQUIRE(found.size() == 3u);
  const std::vector<int> steps{0, 2, 3};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    BOOST_TEST(found[i].at("step") == maestro::Json(steps[i]));
    BOOST_TEST(found[i].at("eval_rewards/length/mean").is_number());
    BOOST_TEST(found[i].at("eval_completions/mean_length").get<double>() > 0.0);
  }
  // The run itself is that without evaluations.
  const std::string metrics = maestro::read_file((stage.root / "out/metrics.jsonl").string());
  const std::string evaluations = maestro::read_file((stage.root / "out/eval.jsonl").string());
  std::filesystem::remove_all(stage.root / "out");
  run = stage.train(few + "--steps 3");
  BOOST_TEST(maestro::read_file((stage.root / "out/metrics.jsonl").string()) == metrics);
  check_refused(stage.train("--dry-run --eval-steps 2"), {"--eval-steps has no effect without --eval-prompts"});
  // One that is stopped and goes on has the same records.
  std::filesystem::remove_all(stage.root / "out");
  run = stage.train(arguments + "--steps 2");
  run = stage.train(arguments);
  BOOST_TEST(maestro::read_file((stage.root / "out/eval.jsonl").string()) == evaluations);
}

BOOST_AUTO_TEST_CASE(a_new_learning_rate_is_taken_when_it_is_wished) {
  const Stage stage;
  auto run = stage.train(few + "--learning-rate 1e-3");
  BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
  const std::string other = few + "--steps 3 --learning-rate 1e-4 ";
  check_refused(stage.train(other), {"learning_rate: saved 0.001, now 0.0001"});
  check_refused(stage.train(other + "--resume new_learning_rate --seed 3"), {"seed: saved 42, now 3"});
  run = stage.train(other + "--resume new_learning_rate");
  check_said(run, "resumed after step 2");
  BOOST_TEST(records(stage.root / "out/metrics.jsonl").at(2).at("learning_rate").get<double>() == 1e-4);
  run = stage.train(few + "--steps 4 --learning-rate 1e-4");  // the newest checkpoint has it
  check_said(run, "resumed after step 3");
}

BOOST_AUTO_TEST_CASE(answers_have_the_form_that_is_asked_for) {
  using maestro::AnswerPlace;
  using maestro::examples::answer_format;
  BOOST_TEST(answer_format("prompts").instruction.empty());
  BOOST_TEST((answer_format("none").place == AnswerPlace::whole));
  BOOST_TEST(answer_format("boxed").instruction.find("\\boxed{}") != std::string::npos);
  BOOST_TEST(answer_format("think_answer").instruction ==
             "First think step by step between <think> and </think>, then give the answer alone between <answer> and "
             "</answer>. Write nothing else.");
  BOOST_TEST(answer_format("plan,solution").tags.reasoning == "plan");
  BOOST_TEST(answer_format("solution").instruction ==
             "Give the answer alone between <solution> and </solution>. Write nothing else.");
  for (const char* bad : {"", "a,b,c", ",b", "<b>", "a b", "a,a"}) {
    BOOST_CHECK_THROW(answer_format(bad), maestro::BadArgument);
  }

  const Stage stage;
  const std::string all = "--reward-model '' --rewards perplexity,exact_match,length --length-shape reference ";
  for (const char* format : {"none", "think_answer", "plan,solution"}) {
    std::filesystem::remove_all(stage.root / "out");
    const auto run = stage.train(all + "--answer-instruction none --answer-format " + format);
    BOOST_TEST(run.code == 0, run.output);
    // Of responses without tags there is nothing to ask, unless the whole is the answer.
    const auto last = records(stage.root / "out/metrics.jsonl").back();
    BOOST_TEST((last.at("rewards/perplexity/mean").get<double>() > 0.0) == (std::string(format) == "none"), format);
  }
  check_refused(stage.train(few + "--dry-run --answer-format none"), {"leave format out of --rewards"});
  check_refused(stage.train("--dry-run --reward-model '' --rewards number --answer-format plan,solution"),
                {"<answer>"});
  // The instruction is part of the prompts: 118 tokens of it leave no room here.
  check_refused(stage.train(few + "--dry-run --answer-format think_answer"), {"128 positions"});
}

BOOST_AUTO_TEST_CASE(on_reward_error_holds_for_every_reward) {
  const Stage stage;
  const auto run = stage.train(few + "--on-reward-error missing");
  BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
  const auto last = records(stage.root / "out/metrics.jsonl").back();
  BOOST_TEST(last.at("rewards/format/failed").get<double>() == 0.0);
  BOOST_TEST(last.at("rewards/length/failed").get<double>() == 0.0);
}

BOOST_AUTO_TEST_CASE(tensorboard_and_the_report_are_written_beside_the_metrics) {
  const Stage stage;
  const auto run = stage.train(few + "--tensorboard");
  check_said(run, "the report is ");
  BOOST_TEST(maestro::read_file((stage.root / "out/report.html").string()).find("conductor/") == std::string::npos);
  std::size_t events = 0;
  for (const auto& entry : std::filesystem::directory_iterator(stage.root / "out")) {
    events += entry.path().filename().string().find("tfevents") != std::string::npos ? 1u : 0u;
  }
  BOOST_TEST(events == 1u);
  std::filesystem::remove_all(stage.root / "out");
  const auto without = stage.train(few + "--report no");
  BOOST_TEST(without.code == 0, without.output);
  BOOST_TEST(!std::filesystem::exists(stage.root / "out/report.html"));
}

BOOST_AUTO_TEST_SUITE_END()
