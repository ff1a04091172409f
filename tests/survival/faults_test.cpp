// Runs of `train` whose calls on files go wrong (preload/io_faults.cpp): nothing that was saved is lost, and the same
// command then reaches the bytes of an undisturbed run. MAESTRO_FAULT_TRIALS asks for more trials than the few that run
// with every test, MAESTRO_FAULT_SEED for others: tests/faults.sh.

#include <signal.h>

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <string_view>

#include "common/stop_signal.hpp"
#include "maestro/core/random.hpp"
#include "survival/survival_stage.hpp"

BOOST_AUTO_TEST_SUITE(faults)

namespace {

using namespace survival_stage;

constexpr std::array<std::string_view, 8> kinds{"eio", "enospc", "short", "slow", "before", "after", "torn", "power"};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Runs `train` into a folder with one kind of fault; the exit code.
int run_with_fault(const Undisturbed& reference, const std::string& name, std::string_view kind, std::uint64_t at,
                   const std::string& count = "") {
  std::vector<std::string> command{"/usr/bin/env",
                                   "LD_PRELOAD=" MAESTRO_IO_FAULTS,
                                   "IO_FAULT_UNDER=" + (reference.root / name).string(),
                                   "IO_FAULT_KIND=" + std::string(kind),
                                   "IO_FAULT_AT=" + std::to_string(at),
                                   "IO_FAULT_COUNT=" + count};
  for (std::string& word : reference.command(name)) command.push_back(std::move(word));
  return wait_for(start(command, reference.root / (name + ".log")));
}

/// The step of the newest checkpoint; 0 without any.
std::size_t newest_step(const fs::path& folder) {
  std::size_t newest = 0;
  if (!fs::exists(folder / "checkpoints")) return newest;
  for (const auto& entry : fs::directory_iterator(folder / "checkpoints")) {
    const std::string name = entry.path().filename().string();
    if (name.size() == 13 && name.starts_with("step-"))
      newest = std::max<std::size_t>(newest, std::stoul(name.substr(5)));
  }
  return newest;
}

/// Names of temporary files and folders below a folder.
std::string leftovers(const fs::path& folder) {
  std::string names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.find(".tmp-") != std::string::npos || name.find(".old-") != std::string::npos) names += name + " ";
  }
  return names;
}

/// Calls of an undisturbed run that can go wrong.
std::uint64_t calls_of_a_run(const Undisturbed& reference) {
  const fs::path count = reference.root / "count";
  BOOST_REQUIRE(run_with_fault(reference, "counted", "count", 0, count.string()) == 0);
  check_same(reference.folder, reference.root / "counted");
  return std::strtoull(content(count).c_str(), nullptr, 10);
}

bool as_expected(std::string_view kind, int code) {
  if (kind == "short" || kind == "slow") return code == 0;
  if (kind == "eio" || kind == "enospc") return code == 0 || code == 2;
  return code == 0 || code == 128 + SIGKILL;  // 0: the run ended before the call
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_run_whose_files_fail_loses_nothing) {
  const Undisturbed& reference = undisturbed();
  const std::uint64_t trials = number_from("MAESTRO_FAULT_TRIALS", 24);
  const std::uint64_t calls = calls_of_a_run(reference);
  BOOST_TEST(calls > 100u);
  const maestro::RandomStream draws({.seed = number_from("MAESTRO_FAULT_SEED", 16)});
  std::map<std::string, std::size_t> met;
  std::uint32_t drawn = 0;
  std::size_t damaged = 0;
  for (std::uint64_t trial = 0; trial < trials; ++trial) {
    const std::string name = "fault-" + std::to_string(trial);
    const fs::path folder = reference.root / name;
    std::string story;
    // Runs that go on may be disturbed too.
    std::size_t saved = 0;
    for (int disturbed = 0; disturbed == 0 || (disturbed < 4 && draws.uniform(drawn++) < 0.4); ++disturbed) {
      const std::string_view kind =
          disturbed == 0 ? kinds[trial % kinds.size()] : kinds[static_cast<std::size_t>(draws.uniform(drawn++) * 8.0)];
      const auto at = 1 + static_cast<std::uint64_t>(draws.uniform(drawn++) * static_cast<double>(calls));
      const int code = run_with_fault(reference, name, kind, at);
      const std::string log = content(reference.root / (name + ".log"));
      story += std::string(kind) + " at " + std::to_string(at) + ", exit code " + std::to_string(code) + "; ";
      ++met[std::string(kind) + (code == 0 ? " (went on)" : code == 2 ? " (refused)" : " (killed)")];
      BOOST_REQUIRE_MESSAGE(as_expected(kind, code), story << log);
      BOOST_TEST((code != 2 || log.find("train: ") != std::string::npos), story << "no message in " << log);
      BOOST_TEST(newest_step(folder) >= saved, story << "checkpoint " << saved << " is lost");
      saved = newest_step(folder);
    }
    const int code = wait_for(start(reference.command(name), reference.root / (name + ".log")));
    const std::string log = content(reference.root / (name + ".log"));
    BOOST_REQUIRE_MESSAGE(code == 0, story << "then resuming failed: " << log);
    if (log.find("damaged") != std::string::npos) ++damaged;
    BOOST_TEST_INFO_SCOPE(story);
    check_same(reference.folder, folder);
    BOOST_TEST(leftovers(folder).empty(), "left behind: " << leftovers(folder));
    fs::remove_all(folder);
  }
  std::cout << trials << " runs, faults at " << calls << " places:";
  for (const auto& [what, times] : met) std::cout << ' ' << what << ' ' << times << ',';
  std::cout << " checkpoints found damaged " << damaged << std::endl;
}

BOOST_AUTO_TEST_SUITE_END()
