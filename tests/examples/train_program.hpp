#pragma once

// Runs the program `train` with a small model and prompts of the test's own.

#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/reward_model_files.hpp"
#include "common/types.hpp"
#include "maestro/hub/model_files.hpp"

namespace train_program {

namespace fs = std::filesystem;

struct Result {
  int code = 0;
  std::string output;  ///< both streams
};

/// A folder with a base and a reward model of 128 and 160 positions and four prompts of 6 bytes; removed at the end.
struct Stage {
  fs::path root = fs::temp_directory_path() / ("maestro_train_" + std::to_string(::getpid()));

  Stage() {
    fs::create_directories(root);
    write_models(5);
    write_prompts("prompts.jsonl", {"zero", "one", "two", "three"});
  }
  ~Stage() { fs::remove_all(root); }

  /// Both models, with weights drawn from `seed`.
  void write_models(std::uint64_t seed) const {
    const maestro::examples::Tokenizer tokenizer;
    auto config = maestro::qwen3_config(tokenizer.vocabulary_size(), 16, 1, 2, 1, 8, 32);
    config.max_positions = 128;
    maestro::ModelWeights<float> weights(config);
    weights.initialize(seed);
    maestro::save_model((root / "base").string(), weights, tokenizer);
    config.max_positions = 160;
    maestro::examples::Preferences preferences(config, tokenizer);
    preferences.initialize(seed + 1);
    maestro::examples::save_reward_model((root / "reward").string(), preferences);
  }
  /// A prompt file of one line for each reference.
  void write_prompts(const std::string& name, const std::vector<std::string>& references) const {
    std::ofstream file(root / name);
    for (std::size_t i = 0; i < references.size(); ++i) {
      file << R"({"prompt": "Say )" << i << R"(\n", "reference": ")" << references[i] << R"(", "task": "echo"})"
           << '\n';
    }
  }

  /// Runs `train` on the stage's files; `arguments` come last, split at spaces. Two prompts a step, two responses each.
  Result train(const std::string& arguments) const {
    const auto quoted = [&](const char* file) { return " '" + (root / file).string() + "'"; };
    const std::string command = std::string("'") + MAESTRO_TRAIN_PROGRAM + "' --model" + quoted("base") +
                                " --reward-model" + quoted("reward") + " --prompts" + quoted("prompts.jsonl") +
                                " --output" + quoted("out") +
                                " --prompts-per-step 2 --num-generations 2 --max-completion-length 24 --threads 1 "
                                "--steps 2 " +
                                arguments;
    return run(command);
  }
  /// As train, without options but the given ones.
  Result bare(const std::string& arguments) const {
    return run(std::string("'") + MAESTRO_TRAIN_PROGRAM + "' " + arguments);
  }

 private:
  static Result run(const std::string& command) {
    Result result;
    std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    BOOST_REQUIRE(pipe != nullptr);
    char buffer[4096];
    while (const std::size_t read = std::fread(buffer, 1, sizeof buffer, pipe)) result.output.append(buffer, read);
    const int status = ::pclose(pipe);
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
  }
};

/// The run ends with exit code 2 and a message that holds every part.
inline void check_refused(const Result& result, const std::vector<std::string>& parts) {
  BOOST_TEST(result.code == 2, result.output);
  for (const std::string& part : parts) {
    BOOST_TEST(result.output.find(part) != std::string::npos, "no '" << part << "' in: " << result.output);
  }
}

}  // namespace train_program
