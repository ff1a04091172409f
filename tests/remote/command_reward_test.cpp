#include "maestro/remote/command_reward.hpp"

#include <signal.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/reward/fallible.hpp"
#include "maestro/reward/reward_set.hpp"
#include "reward/rollouts_fixture.hpp"

BOOST_AUTO_TEST_SUITE(command_reward)

namespace {

using namespace maestro;
using test::make_rollouts;
using test::prompt;

/// A shell script that answers each line with what `reply` prints; $id is the request's, $n counts the lines.
std::string script(const std::string& reply) {
  return "n=0; while read -r line; do n=$((n+1)); id=$(printf '%s' \"$line\" | sed "
         "'s/^{\"id\":\\([0-9]*\\).*/\\1/'); " +
         reply + "; done";
}
const std::string two_scores = R"(echo "{\"id\":$id,\"scores\":[0.5,null]}")";

Rollouts two() { return make_rollouts({{prompt("say \"please\"", 7, "thanks"), {{"please\nnow"}, {"no"}}}}); }

CommandReward reward_of(const std::string& command, std::uint32_t retries = 0, double timeout = 10.0) {
  return CommandReward(
      "shell", {.command = command, .timeout_seconds = timeout, .retry = {.retries = retries, .delay_seconds = 0.001}});
}

std::vector<float> scored(const CommandReward& reward, const Rollouts& rollouts) {
  std::vector<float> scores(rollouts.size(), -1.0f);
  reward(rollouts, scores);
  return scores;
}

std::map<std::string, double> figures(const CommandReward& reward) {
  std::map<std::string, double> result;
  reward.visit_figures([&](std::string_view name, double value) { result[std::string(name)] = value; });
  return result;
}

/// The reason for which both responses failed.
std::string failure_of(const CommandReward& reward) {
  const std::vector<float> scores = scored(reward, two());
  BOOST_TEST((std::isnan(scores[0]) && std::isnan(scores[1])));
  BOOST_TEST(reward.failures().rows.size() == 2u);
  return reward.failures().reason;
}

void contains(const std::string& text, std::string_view part) {
  BOOST_TEST(text.find(part) != std::string::npos, "'" << text << "' lacks '" << part << "'");
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_is_started_once_and_asked_in_batches) {
  const maestro_test::Scratch folder;
  const std::string log = folder.path("requests");
  CommandReward reward("shell", {.command = script("printf '%s\\n' \"$line\" >> " + log + "; " +
                                                   R"(echo "{\"id\":$id,\"scores\":[$n]}")"),
                                 .batch_size = 1});
  const Rollouts rollouts = two();
  BOOST_TEST((scored(reward, rollouts) == std::vector<float>{1.0f, 2.0f}));
  BOOST_TEST((scored(reward, rollouts) == std::vector<float>{3.0f, 4.0f}));
  BOOST_TEST(reward.failures().rows.empty());
  BOOST_TEST((figures(reward) == std::map<std::string, double>{{"calls", 2.0}, {"restarts", 0.0}}));
  std::ifstream file(log);
  std::string first;
  std::getline(file, first);
  BOOST_TEST(first == R"({"id":1,"reward":"shell","items":[{"prompt":"say \"please\"","completion":"please\nnow",)"
                      R"("reference":"thanks","row":7,"finish":"stop"}]})");
}

BOOST_AUTO_TEST_CASE(null_is_missing_and_an_error_is_a_failure) {
  const CommandReward reward = reward_of(script(R"(echo "{\"id\":$id,\"scores\":[null,{\"error\":\"no tool\"}]}")"));
  const std::vector<float> scores = scored(reward, two());
  BOOST_TEST((std::isnan(scores[0]) && std::isnan(scores[1])));
  BOOST_TEST(reward.failures().rows == std::vector<std::size_t>{1}, boost::test_tools::per_element());
  contains(reward.failures().reason, "reward 'shell', data row 7");
  contains(reward.failures().reason, "no tool");
}

BOOST_AUTO_TEST_CASE(one_that_crashes_is_started_again_and_asked_the_same) {
  const maestro_test::Scratch folder;
  const std::string mark = folder.path("mark");
  const std::string crash_once = "if [ ! -e " + mark + " ]; then touch " + mark + "; exit 3; fi; " + two_scores;
  const CommandReward reward = reward_of(script(crash_once), 2);
  BOOST_TEST(scored(reward, two())[0] == 0.5f);
  BOOST_TEST(reward.failures().rows.empty());
  BOOST_TEST(reward.failures().retries == 1u);
  BOOST_TEST(figures(reward).at("restarts") == 1.0);
  BOOST_TEST(figures(reward).at("calls") == 2.0);
}

BOOST_AUTO_TEST_CASE(what_is_no_reply_is_a_failure_with_its_reason) {
  contains(failure_of(reward_of("exit 3")), "ended with exit status 3");
  contains(failure_of(reward_of("kill -9 $$")), "ended by signal 9");
  contains(failure_of(reward_of("exec >&-; sleep 5")), "closed its output");
  contains(failure_of(reward_of("no_such_command_here 2>/dev/null")), "exit status 127");
  contains(failure_of(reward_of(script("echo hello"))), "not valid JSON");
  contains(failure_of(reward_of(script("echo '{}'"))), "'id'");
  contains(failure_of(reward_of(script(R"(echo "{\"id\":99,\"scores\":[1,2]}")"))), "'id' must be 1");
  contains(failure_of(reward_of(script(R"(echo "{\"id\":$id,\"scores\":[1]}")"))), "array of 2");
  contains(failure_of(reward_of(script(R"(echo "{\"id\":$id,\"scores\":[1,\"2\"]}")"))), "finite number");
  contains(failure_of(reward_of(script(R"(echo "{\"id\":$id,\"scores\":[1,1e39]}")"))), "finite number");
  contains(failure_of(reward_of(script(R"(printf '{"id":%s,"scores":[1,2]}\nmore\n' $id)"))), "more than one line");
  contains(failure_of(reward_of("head -c 100 /dev/zero; sleep 1; exit 0")), "exit status 0");
}

BOOST_AUTO_TEST_CASE(one_that_stalls_is_ended_with_all_that_it_started) {
  const maestro_test::Scratch folder;
  const std::string file = folder.path("pid");
  const auto start = std::chrono::steady_clock::now();
  contains(failure_of(reward_of("sleep 60 & echo $! > " + file + "; wait", 0, 0.4)), "gave no answer in 0.4 seconds");
  BOOST_TEST(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < 5.0);
  ::pid_t sleeper = 0;
  std::ifstream(file) >> sleeper;
  BOOST_TEST_REQUIRE(sleeper > 0);
  bool gone = false;
  for (int waited = 0; waited < 200 && !gone; ++waited) {
    std::ifstream status("/proc/" + std::to_string(sleeper) + "/stat");
    std::string id, called, state;
    gone = !(status >> id >> called >> state) || state == "Z";
    if (!gone) ::usleep(10000);
  }
  BOOST_TEST(gone);
}

BOOST_AUTO_TEST_CASE(more_than_a_pipe_holds_goes_both_ways) {
  const std::string big(300000, 'x');
  const Rollouts rollouts = make_rollouts({{prompt("p", 1), {{big}, {"small"}}}});
  // Writes more than a pipe holds before it reads.
  const CommandReward reward =
      reward_of("head -c 200000 /dev/zero | tr '\\0' ' '; read -r line; id=1; " + two_scores + "; cat > /dev/null");
  BOOST_TEST(scored(reward, rollouts)[0] == 0.5f);
  BOOST_TEST(reward.failures().rows.empty());
}

BOOST_AUTO_TEST_CASE(in_a_set_its_failures_follow_the_policy) {
  RewardSet set{Fallible(reward_of("exit 1"), {.on_error = OnError::stop})};
  Matrix<float> scores(2, 1);
  BOOST_CHECK_THROW(set.evaluate(two(), scores.view()), RewardFailed);
  BOOST_CHECK_THROW(CommandReward("x", {}), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
