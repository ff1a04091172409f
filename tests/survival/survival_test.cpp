// Kills, interrupts and starves the `train` program, and demands the bytes of an undisturbed run.

#include <signal.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>

#include "common/stop_signal.hpp"
#include "maestro/core/random.hpp"
#include "survival/survival_stage.hpp"

BOOST_AUTO_TEST_SUITE(survival)

namespace {

using namespace std::chrono_literals;
using namespace survival_stage;

/// Starts a run and interrupts it once it has done a few steps; tried again when it was too fast to be caught.
/// The steps that were done.
std::size_t interrupt_a_run(const Undisturbed& reference, const std::string& name) {
  const fs::path folder = reference.root / name;
  const fs::path log = reference.root / (name + ".log");
  int code = 0;
  for (int attempt = 0; attempt < 20 && code == 0; ++attempt) {
    fs::remove_all(folder);
    const pid_t child = start(reference.command(name), log);
    for (int waited = 0; waited < 10000 && lines(folder / "metrics.jsonl") < 2; ++waited)
      std::this_thread::sleep_for(1ms);
    ::kill(child, SIGINT);
    code = wait_for(child);
  }
  BOOST_REQUIRE_MESSAGE(code == maestro::examples::exit_stopped, "exit code " << code << ": " << content(log));
  const std::size_t done = lines(folder / "metrics.jsonl");
  BOOST_TEST(done < static_cast<std::size_t>(steps));
  return done;
}

/// Where the checkpoint of a step lies.
fs::path checkpoint_of(std::size_t step) {
  char name[64];
  std::snprintf(name, sizeof name, "checkpoints/step-%08zu/state.safetensors", step);
  return name;
}

}  // namespace

BOOST_AUTO_TEST_CASE(killed_at_any_moment_it_resumes_to_the_same_bytes) {
  Undisturbed& reference = undisturbed();
  const maestro::RandomStream moments({.seed = 2026});
  int killed = 0;
  // A run that ends before its kill does not count; most do not.
  for (std::uint32_t trial = 0; killed < 50; ++trial) {
    BOOST_REQUIRE_MESSAGE(trial < 500, "only " << killed << " of 500 runs were alive when killed");
    const std::string name = "killed-" + std::to_string(trial);
    const pid_t child = start(reference.command(name), reference.root / (name + ".log"));
    std::this_thread::sleep_for(std::chrono::microseconds(
        static_cast<long>(moments.uniform(trial) * 1000.0 * static_cast<double>(reference.duration.count()))));
    ::kill(child, SIGKILL);
    if (wait_for(child) == 128 + SIGKILL) {
      ++killed;
      const int code = wait_for(start(reference.command(name), reference.root / (name + ".log")));
      BOOST_REQUIRE_MESSAGE(code == 0, "resuming failed: " << content(reference.root / (name + ".log")));
      check_same(reference.folder, reference.root / name);
    }
    fs::remove_all(reference.root / name);
  }
}

BOOST_AUTO_TEST_CASE(sigint_saves_and_exits_with_its_code) {
  Undisturbed& reference = undisturbed();
  const fs::path folder = reference.root / "interrupted";
  const std::size_t done = interrupt_a_run(reference, "interrupted");
  BOOST_TEST(fs::exists(folder / checkpoint_of(done)));
  BOOST_TEST(wait_for(start(reference.command("interrupted"), reference.root / "interrupted.log")) == 0);
  check_same(reference.folder, folder);
}

BOOST_AUTO_TEST_CASE(a_full_disk_loses_nothing) {
  Undisturbed& reference = undisturbed();
  const fs::path folder = reference.root / "full";
  const fs::path log = reference.root / "full.log";
  const fs::path newest = folder / checkpoint_of(interrupt_a_run(reference, "full"));
  const std::string saved = content(newest);
  BOOST_REQUIRE(saved.size() > 60000u);
  // The metrics still fit, a checkpoint does not.
  BOOST_TEST(wait_for(start(reference.command("full"), log, 60000)) == 2);
  BOOST_TEST(content(log).find("state.safetensors") != std::string::npos, content(log));
  BOOST_TEST((content(newest) == saved), "the last good checkpoint has changed");
  BOOST_TEST(wait_for(start(reference.command("full"), log)) == 0);
  check_same(reference.folder, folder);
}

BOOST_AUTO_TEST_CASE(a_checkpoint_of_other_settings_is_refused) {
  Undisturbed& reference = undisturbed();
  const fs::path log = reference.root / "refused.log";
  BOOST_TEST(wait_for(start(reference.command("undisturbed", 4), log)) == 2);
  BOOST_TEST(content(log).find("other settings") != std::string::npos, content(log));
}

BOOST_AUTO_TEST_CASE(a_finished_run_runs_no_further) {
  Undisturbed& reference = undisturbed();
  const fs::path log = reference.root / "again.log";
  BOOST_TEST(wait_for(start(reference.command("undisturbed"), log)) == 0);
  BOOST_TEST(lines(reference.folder / "metrics.jsonl") == static_cast<std::size_t>(steps));
}

BOOST_AUTO_TEST_SUITE_END()
