#include "maestro/trainer/checkpoints.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>

#include "trainer/tiny.hpp"

BOOST_AUTO_TEST_SUITE(checkpoints)

namespace {

/// A folder for one test; removed at the end.
struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("maestro_checkpoints_" + std::to_string(::getpid()));
  ~Folder() { std::filesystem::remove_all(path); }
  maestro::CheckpointOptions options(std::string fingerprint) const {
    return {.folder = path.string(), .fingerprint = std::move(fingerprint)};
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_saved_run_goes_on_where_it_was) {
  const Folder folder;
  auto saved = tiny::trainer();
  const auto prompts = tiny::prompts(6);
  saved.step(prompts);
  saved.step(prompts);
  maestro::Checkpoints checkpoints(folder.options("a"));
  BOOST_TEST(!checkpoints.newest().has_value());
  checkpoints.save(saved);
  auto resumed = tiny::trainer();
  BOOST_TEST(checkpoints.resume(resumed));
  BOOST_TEST(resumed.steps_done() == 2u);
  saved.step(prompts);
  resumed.step(prompts);
  BOOST_TEST((tiny::state_of(saved) == tiny::state_of(resumed)));
}

namespace {
struct FailingOnce : tiny::Policy {
  FailingOnce() : tiny::Policy({.contexts = 3, .actions = 5, .length = 2}) {}
  void backward(std::span<const float> d_log_probs, std::span<const float> d_entropies) {
    if (++call == 4) throw maestro::BadData("backward failed");
    tiny::Policy::backward(d_log_probs, d_entropies);
  }
  int call = 0;
};
}  // namespace

BOOST_AUTO_TEST_CASE(a_trainer_whose_step_failed_goes_on_from_a_checkpoint) {
  const Folder folder;
  auto options = tiny::options();
  options.num_minibatches = 2;
  maestro::Trainer trainer(FailingOnce{}, tiny::Rewards{tiny::Match{}, tiny::Small{}}, tiny::Conductor(),
                           maestro::GroupRelative{}, options);
  const auto prompts = tiny::prompts(6);
  trainer.step(prompts);
  maestro::Checkpoints checkpoints(folder.options("a"));
  checkpoints.save(trainer);
  BOOST_CHECK_THROW(trainer.step(prompts), maestro::BadData);
  BOOST_CHECK_THROW(trainer.step(prompts), maestro::BadArgument);
  BOOST_TEST(checkpoints.resume(trainer));
  BOOST_TEST(trainer.step(prompts).step == 2u);
  // What a failed step leaves is recognized after saving and loading, too.
  auto failed = tiny::trainer(options);
  maestro::Trainer broken(FailingOnce{}, tiny::Rewards{tiny::Match{}, tiny::Small{}}, tiny::Conductor(),
                          maestro::GroupRelative{}, options);
  broken.step(prompts);
  BOOST_CHECK_THROW(broken.step(prompts), maestro::BadData);
  checkpoints.save(broken);
  BOOST_TEST(checkpoints.resume(failed));
  BOOST_CHECK_THROW(failed.step(prompts), maestro::BadArgument);
}

BOOST_AUTO_TEST_CASE(a_damaged_checkpoint_is_passed_over_and_put_aside) {
  const Folder folder;
  auto trainer = tiny::trainer();
  const auto prompts = tiny::prompts(6);
  maestro::Checkpoints checkpoints(folder.options("a"));
  for (int i = 0; i < 2; ++i) {
    trainer.step(prompts);
    checkpoints.save(trainer);
  }
  const std::string newest = checkpoints.newest().value();
  std::string text = maestro::read_file(newest + "/state.safetensors");
  text.back() = static_cast<char>(text.back() ^ 1);
  maestro::write_file(newest + "/state.safetensors", text);
  auto resumed = tiny::trainer();
  BOOST_TEST(checkpoints.resume(resumed));
  BOOST_TEST(resumed.steps_done() == 1u);
  BOOST_TEST_REQUIRE(checkpoints.passed_over().size() == 1u);
  BOOST_TEST(checkpoints.passed_over()[0].find("is damaged") != std::string::npos, checkpoints.passed_over()[0]);
  BOOST_TEST(std::filesystem::exists(newest + ".damaged"));
  resumed.step(prompts);
  BOOST_TEST((tiny::state_of(resumed) == tiny::state_of(trainer)));
  // Without an older one there is nothing to go on from.
  const std::string last = checkpoints.newest().value();
  maestro::write_file(last + "/state.safetensors", "short");
  BOOST_CHECK_THROW(checkpoints.resume(resumed), maestro::BadFile);
}

BOOST_AUTO_TEST_CASE(looking_for_a_checkpoint_changes_nothing) {
  const Folder folder;
  BOOST_TEST(!maestro::Checkpoints::newest_in(folder.path.string()).has_value());
  BOOST_TEST(!std::filesystem::exists(folder.path));
  auto trainer = tiny::trainer();
  trainer.step(tiny::prompts(6));
  maestro::Checkpoints checkpoints(folder.options("a"));
  checkpoints.save(trainer);
  const auto half_written = folder.path / "step-00000002.tmp-1-0";
  std::filesystem::create_directory(half_written);
  const auto found = maestro::Checkpoints::newest_in(folder.path.string());
  BOOST_TEST_REQUIRE(found.has_value());
  BOOST_TEST(*found == checkpoints.newest().value());
  BOOST_TEST(std::filesystem::exists(half_written));
  BOOST_CHECK_NO_THROW(maestro::Checkpoints::check_fingerprint(*found, "a"));
  BOOST_CHECK_THROW(maestro::Checkpoints::check_fingerprint(*found, "b"), maestro::BadFile);
}

BOOST_AUTO_TEST_CASE(a_refusal_names_what_differs) {
  const Folder folder;
  auto trainer = tiny::trainer();
  maestro::Checkpoints checkpoints(folder.options(R"({"seed": 3, "steps": [1, 2], "old": "x"})"));
  checkpoints.save(trainer);
  const auto refusal = [&](const std::string& fingerprint) {
    try {
      maestro::Checkpoints::check_fingerprint(checkpoints.newest().value(), fingerprint);
    } catch (const maestro::BadFile& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  const std::string message = refusal(R"({"seed": 4, "steps": [1, 2], "new": true})");
  BOOST_TEST(message.find("\n  seed: saved 3, now 4") != std::string::npos, message);
  BOOST_TEST(message.find("\n  old: saved \"x\", now nothing") != std::string::npos, message);
  BOOST_TEST(message.find("\n  new: saved nothing, now true") != std::string::npos, message);
  BOOST_TEST(message.find("steps") == std::string::npos, message);
  BOOST_TEST(refusal("plain").find("now:   plain") != std::string::npos);
  BOOST_TEST(refusal(R"({"old": "x", "seed": 3, "steps": [1, 2]})") == "none", "the order of the members counts");
  BOOST_TEST(refusal(R"({"old": "x", "seed": 3, "steps": [2, 1]})") != "none");
}

BOOST_AUTO_TEST_SUITE_END()
