#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "maestro/gemm/native.hpp"
#include "maestro/hub/config_json.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/safetensors.hpp"
#include "maestro/policy/generation.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(decoder_parity)

namespace {

/// Greedy decoding through the cache against what transformers continued (tests/fixtures/model/make_fixtures.py).
void check_greedy(const std::string& name) {
  const std::string folder = std::string(MAESTRO_TEST_FIXTURES) + "/model/" + name;
  const ModelWeights<float> weights =
      load_weights<float>(folder + "/model.safetensors", load_config(folder + "/config.json"));
  const SafetensorsFile expected(folder + "/expected.safetensors");
  const auto rows_of = [&](const char* entry) {
    std::vector<std::int64_t> values(expected.at(entry).count);
    expected.read<std::int64_t>(entry, values);
    std::vector<std::vector<std::int32_t>> rows(expected.at(entry).shape[0]);
    const std::size_t cols = expected.at(entry).shape[1];
    for (std::size_t i = 0; i < values.size(); ++i) rows[i / cols].push_back(static_cast<std::int32_t>(values[i]));
    return rows;
  };
  const auto prompts = rows_of("prompts");
  const auto continuations = rows_of("continuations");
  Rollouts rollouts;
  rollouts.prompts.resize(prompts.size());
  rollouts.groups = Groups::uniform(prompts.size(), 3);
  for (const auto& prompt : prompts) rollouts.prompt_tokens.push_row(prompt);
  Sampling greedy;
  greedy.max_completion_length = continuations[0].size();
  greedy.decoding = Decoding::greedy;
  Generator<float, NativeBackend> generator;
  generator.run(weights, greedy, {}, {}, rollouts);
  for (std::size_t i = 0; i < rollouts.tokens.rows(); ++i) {
    const auto drawn = rollouts.tokens.row(i);
    const auto& wanted = continuations[i / 3];
    BOOST_TEST(std::equal(drawn.begin(), drawn.end(), wanted.begin(), wanted.end()), name << ", response " << i);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(llama) { check_greedy("llama"); }
BOOST_AUTO_TEST_CASE(qwen2) { check_greedy("qwen2"); }
BOOST_AUTO_TEST_CASE(qwen3) { check_greedy("qwen3"); }

BOOST_AUTO_TEST_SUITE_END()
