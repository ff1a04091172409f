#pragma once

// Runs of the program `train` that are disturbed, and the undisturbed one whose bytes they must reach.

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

namespace survival_stage {

namespace fs = std::filesystem;
using maestro::examples::Tokenizer;

inline constexpr int steps = 12;  // check_same names the checkpoint

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
inline pid_t start(const std::vector<std::string>& command, const fs::path& log, rlim_t file_limit = 0) {
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
inline int wait_for(pid_t child) {
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

inline std::string content(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::size_t lines(const fs::path& path) {
  const std::string text = content(path);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// Everything the run leaves is the same, byte for byte.
inline void check_same(const fs::path& expected, const fs::path& found) {
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

inline Undisturbed& undisturbed() {
  static Undisturbed run;
  return run;
}

}  // namespace survival_stage
