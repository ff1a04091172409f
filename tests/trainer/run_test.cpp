#include "maestro/trainer/run.hpp"

#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include "trainer/tiny.hpp"

BOOST_AUTO_TEST_SUITE(run)

namespace {

namespace fs = std::filesystem;

/// A folder for one test; removed at the end.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("maestro_run_" + std::to_string(::getpid()));
  ~Folder() { fs::remove_all(path); }
  std::string at(const char* name) const { return (path / name).string(); }
};

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

maestro::RunOptions options(std::uint32_t steps) {
  return {.steps = steps, .timings = maestro::LogTimings::omit, .samples = {.every = 2, .prompts = 1}};
}

/// Leaves its first logits behind.
struct Saved : tiny::Policy {
  Saved() : tiny::Policy({.contexts = 3, .actions = 5, .length = 2}) {}
  void save(const std::string& folder) const {
    fs::create_directories(folder);
    std::ofstream(folder + "/policy.txt") << "saved";
  }
};

struct Counter {
  std::size_t steps = 0;
  void on_step(const maestro::StepReport&, const maestro::StepTrace&) { ++steps; }
};

/// Writes a line per step, and takes back those that a resumed run does again.
struct OwnLog {
  std::string path;
  std::vector<std::uint32_t> begun{};

  void on_begin(std::uint32_t steps_done) {
    maestro::truncate_after(path, steps_done);
    begun.push_back(steps_done);
  }
  void on_step(const maestro::StepReport& report, const maestro::StepTrace&) {
    maestro::JsonlWriter(path).write(maestro::Json{{"step", report.step}, {"reward", report.rewards[0].mean}});
  }
};
struct BeginsWithoutSteps : Counter {
  void on_begin() {}
};
struct BeginsByReport : Counter {
  void on_begin(const maestro::StepReport&) {}
};
static_assert(maestro::Observer<Counter> && maestro::Observer<OwnLog>);
static_assert(!maestro::Observer<BeginsWithoutSteps> && !maestro::Observer<BeginsByReport>);

template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const maestro::Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_stopped_run_ends_in_the_bytes_of_an_undisturbed_one) {
  const Folder folder;
  const auto prompts = tiny::prompts();
  auto whole = tiny::trainer();
  BOOST_TEST((maestro::Run(folder.at("whole"), options(7))(whole, prompts) == maestro::LoopEnd::finished));

  auto stopped = tiny::trainer();
  maestro::RunOptions until_three = options(7);
  until_three.should_stop = [&] { return stopped.steps_done() == 3; };
  BOOST_TEST((maestro::Run(folder.at("parts"), until_three)(stopped, prompts) == maestro::LoopEnd::stopped));
  // What a run logged after its last checkpoint is taken back.
  std::ofstream(folder.at("parts/metrics.jsonl"), std::ios::app) << "{\"step\": 4}\n{\"step\": 5, \"re";
  auto resumed = tiny::trainer();
  std::ostringstream shown;
  maestro::RunOptions rest = options(7);
  rest.progress = &shown;
  Counter counter;
  maestro::Run(folder.at("parts"), rest)(resumed, prompts, counter);
  BOOST_TEST(counter.steps == 4u);
  BOOST_TEST(shown.str().find("resumed after step 3") != std::string::npos, shown.str());
  BOOST_TEST(shown.str().find("7/7") != std::string::npos, shown.str());
  BOOST_TEST((tiny::state_of(resumed) == tiny::state_of(whole)));
  for (const char* file : {"metrics.jsonl", "samples.jsonl", "checkpoints/step-00000007/state.safetensors"}) {
    const std::string expected = content(folder.path / "whole" / file);
    BOOST_TEST(!expected.empty(), file);
    BOOST_TEST((content(folder.path / "parts" / file) == expected), file);
  }
}

BOOST_AUTO_TEST_CASE(an_observer_takes_back_what_a_resumed_run_does_again) {
  const Folder folder;
  const auto prompts = tiny::prompts();
  fs::create_directories(folder.path);
  auto whole = tiny::trainer();
  OwnLog expected{folder.at("whole.jsonl")};
  maestro::Run(folder.at("whole"), options(7))(whole, prompts, expected);
  BOOST_TEST(expected.begun == std::vector<std::uint32_t>{0}, boost::test_tools::per_element());

  struct Killed {
    void on_step(const maestro::StepReport& report, const maestro::StepTrace&) {
      if (report.step == 5) throw maestro::IoError("killed");
    }
  } killed;
  OwnLog own{folder.at("own.jsonl")};
  maestro::RunOptions saving = options(7);
  saving.save_every = 3;
  auto first = tiny::trainer();
  BOOST_CHECK_THROW(maestro::Run(folder.at("parts"), saving)(first, prompts, own, killed), maestro::IoError);
  BOOST_TEST(content(own.path).find("\"step\":5") != std::string::npos);
  for (int start = 0; start < 2; ++start) {  // the second has nothing left to do
    auto resumed = tiny::trainer();
    maestro::Run(folder.at("parts"), saving)(resumed, prompts, own);
  }
  BOOST_TEST(own.begun == (std::vector<std::uint32_t>{0, 3, 7}), boost::test_tools::per_element());
  BOOST_TEST(content(own.path) == content(expected.path));
}

BOOST_AUTO_TEST_CASE(the_report_of_a_complete_run_has_its_rewards_and_no_values) {
  const Folder folder;
  const auto prompts = tiny::prompts();  // 12, six a step
  auto first = tiny::trainer();
  maestro::Run(folder.at("run"), options(3))(first, prompts);
  BOOST_TEST(first.report().epoch == 1.5);
  BOOST_TEST(content(folder.at("run/metrics.jsonl")).find("\"step\":3,\"epoch\":1.5") != std::string::npos);

  auto again = tiny::trainer();
  maestro::Run(folder.at("run"), options(3))(again, prompts);
  BOOST_TEST(again.steps_done() == 3u);
  const maestro::StepReport& report = again.report();
  BOOST_TEST(report.step == 0u);
  BOOST_TEST_REQUIRE(report.rewards.size() == 2u);
  BOOST_TEST(report.rewards[0].name == "match");
  BOOST_TEST(report.rewards[1].name == "small");
  for (const maestro::RewardFigures& reward : report.rewards) {
    BOOST_TEST(std::isnan(reward.mean));
    BOOST_TEST(std::isnan(reward.advantage_correlation));
    BOOST_TEST(reward.count == 0u);
  }
  BOOST_TEST_REQUIRE(report.rewards[0].correlations.size() == 1u);
  BOOST_TEST(std::isnan(report.rewards[0].correlations[0]));
}

BOOST_AUTO_TEST_CASE(two_runs_cannot_write_one_folder) {
  const Folder folder;
  const std::string path = folder.at("deep/one");
  {
    const maestro::Run first(path);
    BOOST_TEST(fs::is_directory(path));
    const std::string message = refusal([&] { maestro::Run second(path); });
    BOOST_TEST(message.find(path + ": another run") != std::string::npos, message);
    BOOST_CHECK_NO_THROW(maestro::Run other(folder.at("two")));
  }
  BOOST_CHECK_NO_THROW(maestro::Run again(path));
  std::ofstream(folder.at("file")) << "x";
  BOOST_CHECK_THROW(maestro::Run run(folder.at("file/inside")), maestro::IoError);
  BOOST_CHECK_THROW(maestro::Run run(path, {.keep = 0}), maestro::BadArgument);
}

BOOST_AUTO_TEST_CASE(other_settings_and_other_prompts_are_refused_by_name) {
  const Folder folder;
  auto first = tiny::trainer();
  maestro::Run(folder.at("run"), options(2))(first, tiny::prompts());
  const auto refused = [&](const maestro::TrainerOptions& changed, const std::vector<maestro::Prompt>& prompts) {
    auto trainer = tiny::trainer(changed);
    return refusal([&] { maestro::Run(folder.at("run"), options(3))(trainer, prompts); });
  };
  auto changed = tiny::options();
  changed.learning_rate = 0.25;
  changed.objective.entropy_bonus = 0.5;
  const std::string message = refused(changed, tiny::prompts());
  BOOST_TEST(message.find("learning_rate: saved 0.05, now 0.25") != std::string::npos, message);
  BOOST_TEST(message.find("entropy_bonus: saved nothing, now 0.5") != std::string::npos, message);
  auto prompts = tiny::prompts();
  prompts[3].text = "another";
  BOOST_TEST(refused(tiny::options(), prompts).find("content of the prompts") != std::string::npos);
  BOOST_TEST(refused(tiny::options(), tiny::prompts()) == "nothing was thrown");
  auto trainer = tiny::trainer();
  maestro::RunOptions afresh = options(4);
  afresh.resume = maestro::Resume::never;
  const std::string never = refusal([&] { maestro::Run(folder.at("run"), afresh)(trainer, tiny::prompts()); });
  BOOST_TEST(never.find("Resume::automatic continues it") != std::string::npos, never);
  BOOST_TEST(trainer.steps_done() == 0u);
}

BOOST_AUTO_TEST_CASE(a_policy_that_can_be_saved_is_saved_at_the_end_only) {
  const Folder folder;
  maestro::Trainer trainer{Saved{}, tiny::Rewards{tiny::Match{}, tiny::Small{}}, tiny::Conductor(), tiny::options()};
  maestro::RunOptions until_one = options(2);
  until_one.should_stop = [&] { return trainer.steps_done() == 1; };
  maestro::Run(folder.at("run"), until_one)(trainer, tiny::prompts());
  BOOST_TEST(!fs::exists(folder.path / "run/model"));
  maestro::PromptFile file;
  file.prompts = tiny::prompts();
  maestro::Run(folder.at("run"), options(2))(trainer, file);
  BOOST_TEST(content(folder.path / "run/model/policy.txt") == "saved");
}

BOOST_AUTO_TEST_SUITE_END()
