// Kills, interrupts and starves the `train` program, and demands the bytes of an undisturbed run.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "common/reward_model_files.hpp"
#include "common/stop_signal.hpp"
#include "common/types.hpp"
#include "maestro/core/random.hpp"
#include "maestro/hub/model_files.hpp"

BOOST_AUTO_TEST_SUITE(survival)

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using maestro::examples::Tokenizer;

constexpr int steps = 12;  // check_same names the checkpoint

/// A tiny base and reward model, prompts, and the folders of runs; removed at the end.
struct Stage {
  fs::path root = fs::temp_directory_path() / ("maestro-survival-" + std::to_string(::getpid()));

  Stage() {
    fs::create_directories(root);
    const Tokenizer tokenizer;
    const auto config = maestro::qwen3_config(tokenizer.vocabulary_size(), 16, 1, 2, 1, 8, 32);
    maestro::ModelWeights<float> weights(config);
    weights.initialize(5);
    maestro::save_model((root / "base").string(), weights, tokenizer);
    maestro::examples::Preferences preferences(config, tokenizer);
    preferences.initialize(6);
    maestro::examples::save_reward_model((root / "reward").string(), preferences);
    std::ofstream prompts(root / "prompts.jsonl");
    for (int i = 0; i < 7; ++i) {
      prompts << R"({"prompt": "Say )" << i << R"(\n", "reference": ")" << i << R"(", "task": "echo"})" << '\n';
    }
  }
  ~Stage() { fs::remove_all(root); }

  std::vector<std::string> command(const std::string& output, int seed = 3) const {
    return {MAESTRO_TRAIN_PROGRAM,
            "--model",
            (root / "base").string(),
            "--reward-model",
            (root / "reward").string(),
            "--prompts",
            (root / "prompts.jsonl").string(),
            "--output",
            (root / output).string(),
            "--steps",
            std::to_string(steps),
            "--prompts-per-step",
            "2",
            "--num-generations",
            "4",
            "--max-completion-length",
            "24",
            "--learning-rate",
            "1e-3",
            "--beta",
            "0.01",
            "--ref-sync-steps",
            "5",
            "--proxy-sync-steps",
            "2",
            "--conductor",
            "linear",
            "--conductor-learning-rate",
            "0.01",
            "--num-iterations",
            "2",
            "--save-steps",
            "1",
            "--timings",
            "omit",
            "--threads",
            "1",
            "--seed",
            std::to_string(seed)};
  }
};

/// Starts a program; its output goes to `log`. With `file_limit`, no file of its may grow past that many bytes.
pid_t start(const std::vector<std::string>& command, const fs::path& log, rlim_t file_limit = 0) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const std::string log_name = log.string();
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    const int file = ::open(log_name.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file < 0 || ::dup2(file, STDOUT_FILENO) < 0 || ::dup2(file, STDERR_FILENO) < 0) ::_exit(99);
    if (file_limit > 0) {
      const ::rlimit limit{file_limit, file_limit};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ::execv(arguments[0], arguments.data());
    ::_exit(98);
  }
  return child;
}

/// The exit code, or 128 + the signal that ended it.
int wait_for(pid_t child) {
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t lines(const fs::path& path) {
  const std::string text = content(path);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// Everything the run leaves is the same, byte for byte.
void check_same(const fs::path& expected, const fs::path& found) {
  for (const char* file : {"metrics.jsonl", "samples.jsonl", "model/model.safetensors", "model/config.json",
                           "checkpoints/step-00000012/state.safetensors"}) {
    const std::string wanted = content(expected / file);
    BOOST_TEST(!wanted.empty(), "the undisturbed run has no " << file);
    BOOST_TEST((wanted == content(found / file)), file << " differs from that of the undisturbed run");
  }
  for (const auto& entry : fs::directory_iterator(found / "checkpoints")) {
    BOOST_TEST(entry.path().filename().string().find('.') == std::string::npos, "left behind: " << entry.path());
  }
}

/// The undisturbed run, made once.
struct Undisturbed : Stage {
  fs::path folder = root / "undisturbed";
  std::chrono::milliseconds duration{};

  Undisturbed() {
    const auto begin = std::chrono::steady_clock::now();
    const int code = wait_for(start(command("undisturbed"), root / "undisturbed.log"));
    duration = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    BOOST_REQUIRE_MESSAGE(code == 0, "train failed: " << content(root / "undisturbed.log"));
  }
};

Undisturbed& undisturbed() {
  static Undisturbed run;
  return run;
}

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
