// Supervised fine-tuning: the program `sft`.

#include <sys/wait.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "io/scratch.hpp"
#include "maestro/hub/load_policy.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"

using namespace maestro;
using maestro_test::Scratch;

BOOST_AUTO_TEST_SUITE(sft_program)

namespace {

const std::string base = std::string(MAESTRO_TEST_FIXTURES) + "/../../examples/models/base";

int sft(const std::string& arguments, std::string& output) {
  const Scratch scratch;
  const std::string log = scratch.path("log");
  const int status =
      std::system((std::string(MAESTRO_SFT_PROGRAM) + " --threads 2 " + arguments + " >" + log + " 2>&1").c_str());
  std::ifstream file(log);
  std::stringstream text;
  text << file.rdbuf();
  output = text.str();
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void write_prompts(const std::string& path) {
  std::ofstream file(path);
  for (const char* word : {"amber", "birch", "cedar", "delta"}) {
    file << R"({"prompt": "Say )" << word << R"(.\n", "reference": "It is )" << word << R"(!"})" << '\n';
  }
  file << R"({"prompt": "nothing to learn"})" << '\n';
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// What the model says to a prompt, greedily.
template <class P>
std::string said(P policy, const std::string& text) {
  std::vector<Prompt> prompts(1);
  prompts[0].text = text;
  return policy.generate(prompts, {.num_generations = 1, .max_completion_length = 32, .decoding = Decoding::greedy}, {})
      .texts[0];
}

}  // namespace

BOOST_AUTO_TEST_CASE(references_are_learned_and_responses_end) {
  const Scratch scratch;
  write_prompts(scratch.path("prompts.jsonl"));
  const std::string data =
      " --prompts " + scratch.path("prompts.jsonl") + " --eval-prompts " + scratch.path("prompts.jsonl");
  std::string output;
  BOOST_REQUIRE_MESSAGE(sft("--model " + base + data + " --output " + scratch.path("full") +
                                " --steps 30 --batch-size 4 --learning-rate 2e-3",
                            output) == 0,
                        output);
  BOOST_TEST(contains(output, "left out 1 prompts"), output);
  BOOST_TEST(contains(output, "before: loss "), output);
  BOOST_TEST(said(load_policy(scratch.path("full/model")), "Say cedar.\n") == "It is cedar!");

  BOOST_REQUIRE_MESSAGE(sft("--model " + base + data + " --output " + scratch.path("lora") +
                                " --lora-rank 8 --steps 40 --batch-size 4 --learning-rate 1e-2",
                            output) == 0,
                        output);
  BOOST_TEST(said(load_policy(scratch.path("lora/model")), "Say birch.\n") == "It is birch!");
  BOOST_TEST(said(load_policy(base, {.adapter = scratch.path("lora/adapter")}), "Say birch.\n") == "It is birch!");
}

BOOST_AUTO_TEST_CASE(a_run_goes_on_where_it_stopped) {
  const Scratch scratch;
  write_prompts(scratch.path("prompts.jsonl"));
  std::string output;
  const auto run = [&](const std::string& folder, const std::string& arguments) {
    return sft("--model " + base + " --prompts " + scratch.path("prompts.jsonl") + " --output " + scratch.path(folder) +
                   " --batch-size 3 --learning-rate 1e-3 --lr-scheduler-type constant --lora-rank 4 " + arguments,
               output);
  };
  const auto content = [&](const std::string& file) { return read_file(scratch.path(file), std::size_t{1} << 26); };
  BOOST_REQUIRE_MESSAGE(run("whole", "--steps 6") == 0, output);
  BOOST_REQUIRE_MESSAGE(run("parts", "--steps 4 --save-steps 1") == 0, output);
  // What was logged after the newest whole checkpoint is taken back.
  std::ofstream(scratch.path("parts/checkpoints/step-00000004/state.safetensors")) << "torn";
  BOOST_REQUIRE_MESSAGE(run("parts", "--steps 6") == 0, output);
  BOOST_TEST(contains(output, "passed over a damaged checkpoint"), output);
  BOOST_TEST(contains(output, "resumed after step 3"), output);
  for (const char* file : {"/metrics.jsonl", "/adapter/adapter_model.safetensors", "/model/model.safetensors"}) {
    BOOST_TEST((content("whole" + std::string(file)) == content("parts" + std::string(file))), file);
  }

  BOOST_TEST(run("parts", "--steps 8 --seed 7") == 2);
  BOOST_TEST(contains(output, "saved 42, now 7"), output);
  BOOST_TEST(run("parts", "--steps 8 --resume never --dry-run") == 2);
  BOOST_TEST(contains(output, "--resume auto continues it"), output);
}

BOOST_AUTO_TEST_CASE(a_signal_stops_a_run_that_can_go_on) {
  const Scratch scratch;
  write_prompts(scratch.path("prompts.jsonl"));
  const std::string folder = scratch.path("out");
  // The first signal is sent once a step is logged, long before the last.
  const std::string program = std::string(MAESTRO_SFT_PROGRAM) + " --threads 1 --model " + base + " --prompts " +
                              scratch.path("prompts.jsonl") + " --output " + folder + " --steps 100000 >" +
                              scratch.path("log") + " & p=$!; while [ ! -s " + folder +
                              "/metrics.jsonl ]; do sleep 0.05; done; kill -INT $p; wait $p";
  const int status = std::system(("sh -c '" + program + "'").c_str());
  BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 130));
  BOOST_TEST(contains(read_file(scratch.path("log"), 1 << 16), "the same command continues from there"));
  BOOST_TEST(path_exists(folder + "/checkpoints"));
  BOOST_TEST(!path_exists(folder + "/model"));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const Scratch scratch;
  write_prompts(scratch.path("prompts.jsonl"));
  const std::string data =
      "--prompts " + scratch.path("prompts.jsonl") + " --output " + scratch.path("out") + " --model " + base + " ";
  std::string output;
  const auto refused = [&](const std::string& arguments, const std::string& part) {
    BOOST_TEST(sft(arguments, output) == 2, output);
    BOOST_TEST(contains(output, part), output);
  };
  refused("--model " + base, "--prompts is required");
  refused(data + "--merge-adapters no", "without --lora-rank");
  refused(data + "--steps 3 --num-epochs 2", "--num-epochs has no effect with --steps");
  refused(data + "--learnin-rate 1", "did you mean --learning-rate?");
  refused(data + "--reward-chat-format none", "is no option");
  BOOST_TEST(sft(data + "--dry-run --num-epochs 3 --batch-size 2", output) == 0, output);
  BOOST_TEST(contains(output, "6 steps of 2 prompts"), output);
  BOOST_TEST(!path_exists(scratch.path("out")));
}

BOOST_AUTO_TEST_SUITE_END()
