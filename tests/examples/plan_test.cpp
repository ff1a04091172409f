// train --plan: what it prints for runs whose figures are made up, and what it refuses.

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "maestro/io/json.hpp"
#include "train_program.hpp"

BOOST_AUTO_TEST_SUITE(train_plan)

namespace {

using train_program::check_refused;
using train_program::Result;
using train_program::Stage;

/// A measured run of three steps, of which the first took long, under the options that Stage::train gives, or others.
void write_run(const Stage& stage, const std::string& name, std::size_t ranks, const std::string& seconds,
               const maestro::Json& others = maestro::Json::object()) {
  std::filesystem::create_directories(stage.root / name);
  maestro::Json options{{"prompts-per-step", 4}, {"num-generations", 2}, {"max-completion-length", 24}};
  for (const auto& [option, file] :
       {std::pair{"model", "base"}, {"reward-model", "reward"}, {"prompts", "prompts.jsonl"}}) {
    options[option] = (stage.root / file).string();
  }
  options.update(others);
  std::ofstream(stage.root / name / "run.json") << options << '\n';
  std::ofstream metrics(stage.root / name / "metrics.jsonl");
  const std::string shared = R"("run/threads": 1, "run/ranks": )" + std::to_string(ranks) + "}\n";
  metrics << R"({"step": 1, "num_tokens": 900, "time/rollout": 9, "time/rewards": 9, "time/reference": 0, )"
          << R"("time/training": 9, "time/communication": 9, "time/exchange": 1, "time/step": 90, )" << shared;
  for (const char* step : {R"({"step": 2, "num_tokens": 1000, )", R"({"step": 3, "num_tokens": 1100, )"}) {
    metrics << step << seconds << ", " << shared;
  }
}

const std::string alone =
    R"("time/rollout": 4, "time/rewards": 0.5, "time/reference": 0.5, "time/training": 5, "time/step": 10.5)";
const std::string both =
    R"("time/rollout": 3, "time/rewards": 0.5, "time/reference": 0, "time/training": 3, "time/communication": 1, "time/exchange": 0.25, "time/step": 7)";

Result plan(const Stage& stage, const std::string& arguments) {
  return stage.train("--plan-from '" + (stage.root / "one").string() + "','" + (stage.root / "two").string() + "' " +
                     arguments);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_plan_says_what_it_is_and_what_steps_cost) {
  const Stage stage;
  write_run(stage, "one", 1, alone);
  write_run(stage, "two", 2, both);
  const Result result = plan(stage, "--plan 1x1,64x1 --network 25GbE --shard-optimizer yes");
  BOOST_TEST(result.code == 0, result.output);
  for (const std::string part :
       {"PREDICTION, not a measurement: 25GbE (3.12 GB/s, 20 us a message)", "1.00 s + 90.0 ms a token (threads: 1)",
        "rollout 40 %, rewards 10 %, training 50 %", "every rank for the whole step: 5.0 ms a token",
        "1x1        4    10.50 s    10.50 s", "2x1        4     7.00 s     7.00 s",
        "1x1              4    3.60 s    0.90 s    5.50 s    0.50 s       0 s       0 s   10.50 s         10"
        "      100.0%           0.0%",
        "64x1           256    3.60 s    0.90 s    5.50 s   32.00 s", "--shard-optimizer yes divides their"}) {
    BOOST_TEST(result.output.find(part) != std::string::npos, "no '" << part << "' in: " << result.output);
  }
  BOOST_TEST(!std::filesystem::exists(stage.root / "out"));
}

BOOST_AUTO_TEST_CASE(a_plan_that_cannot_be_made_is_refused) {
  const Stage stage;
  write_run(stage, "one", 1, alone);
  write_run(stage, "two", 2, both);
  check_refused(
      plan(stage, "--plan 8x1 --network 25Gb"),
      {"--network: unknown name '25Gb'; did you mean '25GbE'? known are 1GbE, 10GbE, 25GbE, 100GbE, EDR, HDR"});
  check_refused(plan(stage, "--plan 8 --network HDR"), {"--plan: '8' is not RANKSxTHREADS, such as 64x2"});
  check_refused(plan(stage, "--plan 8x0 --network HDR"), {"'8x0' is not RANKSxTHREADS"});
  check_refused(plan(stage, "--plan 8x4 --network HDR"), {"measure one rank with two of them (--threads)"});
  check_refused(plan(stage, "--plan 8x1"), {"--plan needs --network, and --plan-from"});
  check_refused(plan(stage, ""), {"--plan-from has no effect without --plan"});
  check_refused(stage.train("--network HDR"), {"--network has no effect without --plan"});
  write_run(stage, "two", 2, both, {{"num-generations", 16}});
  check_refused(plan(stage, "--plan 8x1 --network HDR"), {"two differ in --num-generations; a step of other work"});
  write_run(stage, "two", 2, both, {{"preset", "trl"}});
  check_refused(plan(stage, "--plan 8x1 --network HDR"), {"two differ in --preset; a step of other work"});
  write_run(stage, "two", 2, both);
  check_refused(plan(stage, "--plan 8x1 --network HDR --max-completion-length 30"),
                {"the command differ in --max-completion-length; a step of other work"});
  check_refused(plan(stage, "--plan 8x1 --network HDR --dry-run"), {"--dry-run has no effect with --plan"});
  write_run(stage, "two", 2, R"("time/rollout": 3)");
  check_refused(plan(stage, "--plan 8x1 --network HDR"), {"two/metrics.jsonl:2: no 'time/rewards'; measure with"});
  write_run(stage, "two", 2, both);
  write_run(stage, "one", 2, both);
  check_refused(plan(stage, "--plan 8x1 --network HDR"), {"it needs a measured run of one rank"});
}

BOOST_AUTO_TEST_CASE(one_size_of_share_is_said) {
  const Stage stage;
  write_run(stage, "one", 1, alone);
  write_run(stage, "two", 2, both, {{"prompts-per-step", 8}});
  const Result result = stage.train("--plan-from '" + (stage.root / "one").string() + "' --plan 4x1 --network HDR");
  BOOST_TEST(result.output.find("one size of share alone") != std::string::npos, result.output);
}

BOOST_AUTO_TEST_SUITE_END()
