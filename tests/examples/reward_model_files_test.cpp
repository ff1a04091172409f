#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "common/reward_model_files.hpp"
#include "tasks/tasks.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(reward_model_files)

BOOST_AUTO_TEST_CASE(a_saved_reward_model_scores_the_same_and_a_surplus_tensor_is_refused) {
  const std::string folder =
      (std::filesystem::temp_directory_path() / ("maestro_reward_files_" + std::to_string(::getpid()))).string();
  const ByteTokenizer tokenizer;
  ModelConfig config = qwen3_config(tokenizer.vocabulary_size(), 16, 1, 2, 1, 8, 24);
  config.end_tokens = {tokenizer.end_token()};
  examples::Preferences model(config, tokenizer);
  model.initialize(3);
  examples::save_reward_model(folder, model);
  examples::Preferences loaded = examples::load_reward_model(folder);
  BOOST_TEST((loaded.config() == model.config()));

  RewardModelBatch batch;
  for (const auto& pair : examples::make_preference_pairs(6, 1)) {
    model.push_prompt(batch, pair.prompt.text);
    model.push_response(batch, pair.chosen);
    model.push_response(batch, pair.rejected);
  }
  std::vector<float> before(12);
  std::vector<float> after(12);
  model.forward(batch, std::span<float>(before));
  loaded.forward(batch, std::span<float>(after));
  BOOST_TEST(before == after, boost::test_tools::per_element());
  BOOST_TEST(before[0] != before[1]);

  SafetensorsWriter writer;
  model.visit([&](const auto& view) {
    const bool vector = view.decay == WeightDecay::skip;
    const std::vector<std::size_t> shape = vector ? std::vector{view.cols} : std::vector{view.rows, view.cols};
    writer.add_as<float>(Dtype::f32, std::string(view.name), shape, view.values);
  });
  writer.add_as<float>(Dtype::f32, "surplus", std::vector<std::size_t>{1}, std::vector<float>{0.0f});
  writer.write(folder + "/model.safetensors");
  BOOST_CHECK_THROW(examples::load_reward_model(folder), BadFile);
  std::filesystem::remove_all(folder);
}

BOOST_AUTO_TEST_SUITE_END()
