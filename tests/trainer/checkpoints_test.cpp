#include "maestro/trainer/checkpoints.hpp"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>

#include "trainer/tiny.hpp"

namespace {

/// A folder for one test; removed at the end.
struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("maestro_checkpoints_" + std::to_string(::getpid()));
  ~Folder() { std::filesystem::remove_all(path); }
  maestro::CheckpointSettings settings(std::string fingerprint) const {
    return {.folder = path.string(), .fingerprint = std::move(fingerprint)};
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(checkpoints)

BOOST_AUTO_TEST_CASE(a_saved_run_goes_on_where_it_was) {
  const Folder folder;
  auto saved = tiny::trainer();
  const auto prompts = tiny::prompts(6);
  saved.step(prompts);
  saved.step(prompts);
  maestro::Checkpoints checkpoints(folder.settings("a"));
  BOOST_TEST(!checkpoints.newest().has_value());
  checkpoints.save(saved);
  auto resumed = tiny::trainer();
  BOOST_TEST(checkpoints.resume(resumed));
  BOOST_TEST(resumed.steps_done() == 2u);
  saved.step(prompts);
  resumed.step(prompts);
  BOOST_TEST((tiny::state_of(saved) == tiny::state_of(resumed)));
}

BOOST_AUTO_TEST_CASE(looking_for_a_checkpoint_changes_nothing) {
  const Folder folder;
  BOOST_TEST(!maestro::Checkpoints::newest_in(folder.path.string()).has_value());
  BOOST_TEST(!std::filesystem::exists(folder.path));
  auto trainer = tiny::trainer();
  trainer.step(tiny::prompts(6));
  maestro::Checkpoints checkpoints(folder.settings("a"));
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

BOOST_AUTO_TEST_SUITE_END()
