// Rewards from outside on the command line of `train`.

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <string>
#include <vector>

#include "maestro/io/json.hpp"
#include "train_program.hpp"

BOOST_AUTO_TEST_SUITE(outside)

namespace {

using train_program::check_refused;
using train_program::Stage;

/// A script that scores each response by its length, and fails or ends as `extra` says.
std::string length_script(const Stage& stage, const std::string& extra = "") {
  const std::string path = (stage.root / "reward.sh").string();
  std::ofstream(path) << "while read -r line; do\n"
                      << extra << R"(
id=$(printf '%s' "$line" | sed 's/^{"id":\([0-9]*\).*/\1/')
count=$(printf '%s' "$line" | grep -o '"completion":' | wc -l)
scores=$(for i in $(seq "$count"); do printf '%s.5,' "$i"; done)
printf '{"id":%s,"scores":[%s]}\n' "$id" "${scores%,}"
done
)";
  return path;
}

std::vector<maestro::Json> metrics(const Stage& stage) {
  std::vector<maestro::Json> records;
  std::ifstream file(stage.root / "out/metrics.jsonl");
  for (std::string line; std::getline(file, line);) records.push_back(maestro::parse_json(line, "metrics"));
  return records;
}

const std::string few = "--reward-model '' --rewards length ";

}  // namespace

BOOST_AUTO_TEST_CASE(a_command_rewards_a_run) {
  const Stage stage;
  const auto run = stage.train(few + "--conductor fixed --weights 0.25,0.75 --reward-command 'count=sh " +
                               length_script(stage) + " a,b'");
  BOOST_TEST(run.code == 0, run.output);
  BOOST_TEST(run.output.find("length count") != std::string::npos, run.output);
  const auto records = metrics(stage);
  BOOST_TEST_REQUIRE(records.size() == 2u);
  for (const auto& record : records) {
    BOOST_TEST(record.at("rewards/count/mean").get<double>() == 3.0);  // 1.5 to 4.5
    BOOST_TEST(record.at("rewards/count/failed").get<double>() == 0.0);
    BOOST_TEST(record.at("rewards/count/calls").get<double>() == 1.0);
    BOOST_TEST(record.at("conductor/weight/count").get<double>() == 0.75);
  }
}

BOOST_AUTO_TEST_CASE(one_that_fails_is_missing_or_stops_the_run_as_asked) {
  const Stage stage;
  const std::string failing = "--reward-retries 0 --reward-command 'count=sh " + length_script(stage, "exit 7") + "' ";
  auto run = stage.train(few + failing);
  BOOST_TEST(run.code == 0, run.output);
  BOOST_TEST(run.output.find("count for 4 of 4") != std::string::npos, run.output);
  BOOST_TEST(run.output.find("ended with exit status 7") != std::string::npos, run.output);
  for (const auto& record : metrics(stage)) {
    BOOST_TEST(record.at("rewards/count/mean").is_null());
    BOOST_TEST(record.at("rewards/count/failed").get<double>() == 4.0);
    BOOST_TEST(!record.at("rewards/length/mean").is_null());
  }

  // It works for two steps, and the third one stops the run, which has saved and goes on from there.
  std::filesystem::remove_all(stage.root / "out");
  const std::string mark = (stage.root / "mended").string();
  const std::string twice = "n=$((n+1)); [ $n -gt 2 ] && [ ! -e " + mark + " ] && exit 1";
  const std::string stopping =
      "--rewards none --reward-model '' --on-reward-error stop --reward-retries 0 --steps 4 "
      "--reward-command 'count=sh " +
      length_script(stage, twice) + "' ";
  check_refused(stage.train(stopping), {"reward 'count'", "exit status 1"});
  std::ofstream(mark) << "";
  run = stage.train(stopping);
  BOOST_TEST(run.code == 0, run.output);
  BOOST_TEST(run.output.find("resumed after step 2") != std::string::npos, run.output);
  BOOST_TEST(metrics(stage).size() == 4u);
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const Stage stage;
  const std::string dry = "--dry-run " + few;
  check_refused(stage.train(dry + "--reward-command nothing"), {"--reward-command takes NAME=COMMAND"});
  check_refused(stage.train(dry + "--reward-command 'a b=true'"), {"a name of letters"});
  check_refused(stage.train(dry + "--reward-command length=true"), {"two rewards are named 'length'"});
  check_refused(stage.train(dry + "--reward-url x=ftp://a"), {"http"});
  check_refused(stage.train(dry + "--reward-retries 3"), {"--reward-retries has no effect"});
  check_refused(stage.train(dry + "--judge-model m"), {"--judge-model has no effect", "without --judge-url"});
  check_refused(stage.train(dry + "--judge-url http://a/b"), {"--judge-model"});
  check_refused(stage.train(dry + "--judge-url http://a/b --judge-model m"), {"--judge-rubric"});
  check_refused(stage.train(dry + "--conductor fixed --weights 1 --reward-command x=true"),
                {"1 weights for 2 rewards", "length,x"});
  check_refused(stage.train("--dry-run --reward-model '' --rewards none"), {"none"});
}

BOOST_AUTO_TEST_CASE(a_server_for_responses_is_refused_where_it_cannot_work) {
  const Stage stage;
  const std::string dry = "--dry-run " + few;
  const std::string served = dry + "--rollout-url http://127.0.0.1:1 ";
  check_refused(stage.train(dry + "--rollout-ahead 1"), {"--rollout-ahead has no effect without --rollout-url"});
  check_refused(stage.train(dry + "--importance-correction token_mask"), {"no effect without --rollout-url"});
  check_refused(stage.train(served + "--rollout-dialect vllm"), {"adapters alone", "--lora-rank"});
  check_refused(stage.train(served + "--rollout-dialect vllm --lora-rank 2"), {"--rollout-model"});
  check_refused(stage.train(served + "--rollout-model m"), {"--rollout-model has no effect"});
  check_refused(stage.train(served + "--rollout-ahead 1"), {"--importance-correction"});
  check_refused(stage.train(served + "--importance-cap 2"), {"--importance-cap has no effect"});
  check_refused(stage.train(served + "--importance-correction token_truncate --importance-floor 0.5"),
                {"--importance-floor has no effect"});
  const auto planned = stage.train(served + "--rollout-ahead 2 --importance-correction sequence_mask");
  if (planned.output.find("was built without") != std::string::npos) return;  // no HTTP here
  BOOST_TEST(planned.code == 0, planned.output);
  check_refused(stage.train(served + "--stop x"), {"stop texts are not supported"});
  check_refused(stage.train(dry + "--rollout-url http://127.0.0.1:1/generate"), {"the server's root"});
  BOOST_TEST(planned.output.find("responses  from http://127.0.0.1:1 (sglang)") != std::string::npos, planned.output);
  // Nobody is there: the run ends before it learns, and says why.
  check_refused(stage.train(few + "--rollout-url http://127.0.0.1:1 --rollout-retries 0"),
                {"the weights were not taken", "Connection"});
}

BOOST_AUTO_TEST_SUITE_END()
