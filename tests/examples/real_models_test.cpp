#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "io/scratch.hpp"
#include "maestro/hub/frozen_files.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/hub/model_files.hpp"

using namespace maestro;
using maestro_test::Scratch;

// `train` and `generate` as a user runs them, on checkpoints in the layout of the Hub.
BOOST_AUTO_TEST_SUITE(real_models)

namespace {

const std::string base = std::string(MAESTRO_TEST_FIXTURES) + "/../../examples/models/base";

/// Its exit code; what it printed is in `output`.
int run(const std::string& command, std::string& output) {
  const Scratch scratch;
  const std::string log = scratch.path("log");
  const int status = std::system((command + " >" + log + " 2>&1").c_str());
  std::ifstream file(log);
  std::stringstream text;
  text << file.rdbuf();
  output = text.str();
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string train(const std::string& folder) {
  return std::string(MAESTRO_TRAIN_PROGRAM) + " --steps 2 --prompts-per-step 2 --num-generations 4" +
         " --max-completion-length 24 --rewards format,length --learning-rate 1e-2 --output " + folder + " --model ";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// The base model as a checkpoint in shards, in bfloat16.
void make_sharded(const std::string& folder) {
  save_model(folder, load_model<float>(base), load_tokenizer(base),
             SaveOptions{.store = StoreAs::bf16, .max_shard_size = 400000});
  BOOST_REQUIRE(!path_exists(folder + "/model.safetensors"));
}

}  // namespace

BOOST_AUTO_TEST_CASE(adapters_of_a_sharded_checkpoint_are_trained_saved_and_gone_on_from) {
  const Scratch scratch;
  const std::string model = scratch.path("sharded");
  make_sharded(model);
  std::string output;
  BOOST_REQUIRE_MESSAGE(run(train(scratch.path("first")) + model + " --lora-rank 3 --beta 0.1", output) == 0, output);
  BOOST_TEST(contains(output, "adapters are in"), output);
  const std::string adapter = scratch.path("first") + "/adapter";
  const auto factors = load_adapters<float>(adapter, load_model_config(model));
  BOOST_TEST(factors.options().rank == 3u);
  BOOST_CHECK_NO_THROW(load_model<float>(scratch.path("first") + "/model"));
  BOOST_TEST(stores_bf16(scratch.path("first") + "/model"));  // as the checkpoint
  BOOST_TEST(run(train(scratch.path("second")) + model + " --merge-adapters no --adapter " + adapter, output) == 0,
             output);
  BOOST_TEST(!path_exists(scratch.path("second") + "/model"));
  BOOST_TEST(path_exists(scratch.path("second") + "/adapter/adapter_model.safetensors"));
}

BOOST_AUTO_TEST_CASE(a_gguf_file_is_trained_as_any_checkpoint) {
  const Scratch scratch;
  const std::string model = std::string(MAESTRO_TEST_FIXTURES) + "/gguf/whole.gguf";
  std::string output;
  BOOST_REQUIRE_MESSAGE(run(train(scratch.path("run")) + model + " --lora-rank 2", output) == 0, output);
  BOOST_CHECK_NO_THROW(load_adapters<float>(scratch.path("run") + "/adapter", load_model_config(model)));
  BOOST_TEST(path_exists(scratch.path("run") + "/model/chat_template.jinja"));
  BOOST_TEST(load_model_config(scratch.path("run") + "/model").end_tokens == std::vector<std::int32_t>{2},
             boost::test_tools::per_element());
  // The frozen weights stay quantized unless told otherwise, which changes no bit.
  const std::string full = train(scratch.path("full")) + model + " --lora-rank 2 --frozen-dtype float32";
  BOOST_REQUIRE_MESSAGE(run(full, output) == 0, output);
  const auto adapter = [&](const char* name) {
    return read_file(scratch.path(name) + "/adapter/adapter_model.safetensors");
  };
  BOOST_TEST((adapter("run") == adapter("full")));
  BOOST_TEST(run(train(scratch.path("y")) + base + " --lora-rank 2 --frozen-dtype quantized", output) == 2);
  BOOST_TEST(contains(output, "only the weights of a GGUF file can stay quantized"), output);
  // Every parameter is trained, and the run goes on from its checkpoint.
  const std::string all = train(scratch.path("all")) + model + " --save-steps 1";
  BOOST_REQUIRE_MESSAGE(run(all, output) == 0, output);
  BOOST_TEST(run(all + " --steps 3", output) == 0, output);
  BOOST_TEST(run(train(scratch.path("x")) + scratch.path("none.gguf"), output) == 2);
  BOOST_TEST(contains(output, "none.gguf: cannot open"), output);
}

BOOST_AUTO_TEST_CASE(recomputed_activations_leave_the_same_model) {
  const Scratch scratch;
  std::string output;
  for (const std::string how : {"keep", "recompute"}) {
    BOOST_REQUIRE_MESSAGE(run(train(scratch.path(how)) + base + " --activations " + how, output) == 0, output);
  }
  const auto weights = [&](const std::string& how) {
    return read_file(scratch.path(how) + "/model/model.safetensors");
  };
  BOOST_TEST((weights("keep") == weights("recompute")));
}

BOOST_AUTO_TEST_CASE(a_run_that_cannot_fit_is_refused_with_its_arithmetic) {
  const Scratch scratch;
  std::string output;
  const std::string huge = " --num-generations 4000000 --prompts-per-step 2000";
  std::string command = train(scratch.path("run")) + base;
  command.replace(command.find(" --prompts-per-step 2 --num-generations 4"), 41, huge);
  BOOST_TEST(run(command, output) == 2);
  for (const char* part : {"may not fit into memory", "available", "keys and values of a rollout", "--lora-rank"}) {
    BOOST_TEST(contains(output, part), part << " is not in " << output);
  }
  BOOST_TEST(!path_exists(scratch.path("run") + "/model"));
}

BOOST_AUTO_TEST_CASE(conversations_are_trained_in_a_chat_format) {
  const Scratch scratch;
  std::ofstream(scratch.path("prompts.jsonl"))
      << R"({"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "1 + 1"}]})" << '\n'
      << "no json\n"
      << R"({"messages": [{"role": "user", "content": "2 + 2 <|im_end|>"}]})" << '\n';
  const std::string prompts = base + " --chat-format chatml --prompts " + scratch.path("prompts.jsonl");
  std::string output;
  BOOST_TEST(run(train(scratch.path("stop")) + prompts, output) == 2);
  BOOST_TEST(contains(output, "prompts.jsonl:2"), output);
  BOOST_TEST(run(train(scratch.path("skip")) + prompts + " --on-bad-line skip", output) == 0, output);
  BOOST_TEST(
      run(train(scratch.path("none")) + base + " --prompts " + scratch.path("prompts.jsonl") + " --on-bad-line skip",
          output) == 2);
  BOOST_TEST(contains(output, "chat format"), output);
}

BOOST_AUTO_TEST_SUITE_END()
