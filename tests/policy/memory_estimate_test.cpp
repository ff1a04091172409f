#include "maestro/policy/memory_estimate.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

#include "maestro/model/block.hpp"
#include "maestro/model/weights.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(memory_estimate)

namespace {

ModelConfig config_of(Architecture architecture) {
  ModelConfig config = qwen3_config(300, 32, 3, 4, 2, 12, 40);
  config.architecture = architecture;
  if (architecture != Architecture::qwen3) config.query_key_norm = QueryKeyNorm::absent;
  if (architecture == Architecture::qwen2) config.qkv_bias = QkvBias::present;
  if (architecture == Architecture::llama) config.head = HeadWeights::separate;
  return config;
}

std::uint64_t part(const MemoryEstimate& estimate, const std::string& name) {
  for (const MemoryPart& p : estimate.parts) {
    if (p.name == name) return p.bytes;
  }
  return 0;
}

const MemoryRequest request{
    .prompts = 2, .generations = 4, .prompt_tokens = 10, .completion_tokens = 20, .micro_batch_tokens = 64};

}  // namespace

BOOST_AUTO_TEST_CASE(parameters_and_activations_are_those_of_the_model) {
  for (const Architecture architecture : {Architecture::llama, Architecture::qwen2, Architecture::qwen3}) {
    const ModelConfig config = config_of(architecture);
    const MemoryEstimate full = estimate_memory(config, request);
    const std::uint64_t parameters = ModelWeights<float>(config).parameters();
    BOOST_TEST(part(full, "weights") == 4 * parameters);
    BOOST_TEST(part(full, "AdamW's moments") == 2 * part(full, "gradients"));
    BOOST_TEST(part(full, "AdamW's moments once more, for a checkpoint") == part(full, "AdamW's moments"));

    LayerActivations<float> activations;
    activations.resize(config, 90);  // one group: 10 + 4 * 20
    std::uint64_t values = 0;
    for (const Matrix<float>* m :
         {&activations.input, &activations.normed, &activations.qkv, &activations.unrotated, &activations.head_inverse,
          &activations.attended, &activations.log_sum_exp, &activations.middle, &activations.normed_middle,
          &activations.gate_up, &activations.activated}) {
      values += m->flat().size();
    }
    values += activations.input_inverse.size() + activations.middle_inverse.size();
    const std::uint64_t held = 4 * values * config.layers;
    BOOST_TEST(part(full, "activations of a training pass") >= held);
    BOOST_TEST(part(full, "activations of a training pass") <= held + held / 10);
  }
}

BOOST_AUTO_TEST_CASE(adapters_halves_and_recomputation_take_less) {
  const ModelConfig config = config_of(Architecture::qwen3);
  const LoraOptions lora{.rank = 4};
  MemoryRequest small = request;
  small.lora = &lora;
  small.frozen = 2 * ModelLayout(config).matrix_parameters();
  small.activations = Activations::recompute;
  const MemoryEstimate estimate = estimate_memory(config, small);
  BOOST_TEST(part(estimate, "adapters") == 4 * LoraFactors<float>(config, lora).parameters());
  BOOST_TEST(part(estimate, "weights packed for rollouts") == 0u);
  const MemoryEstimate full = estimate_memory(config, request);
  BOOST_TEST(part(estimate, "frozen weights") < part(full, "weights") * 6 / 10);
  BOOST_TEST(part(estimate, "activations of a training pass") < part(full, "activations of a training pass") / 2);
  BOOST_TEST(estimate.total() < full.total());
}

BOOST_AUTO_TEST_CASE(a_small_batch_is_counted_as_it_is) {
  const ModelConfig config = config_of(Architecture::llama);
  MemoryRequest large = request;
  large.micro_batch_tokens = 2048;
  MemoryRequest whole = request;
  whole.micro_batch_tokens = 180;  // two groups of 10 + 4 * 20
  BOOST_TEST(estimate_memory(config, large).total() == estimate_memory(config, whole).total());
  BOOST_TEST(estimate_memory(config, request).total() < estimate_memory(config, whole).total());
}

BOOST_AUTO_TEST_CASE(known_prompts_and_references_are_counted_as_they_are) {
  const ModelConfig config = config_of(Architecture::llama);
  MemoryRequest known = request;
  known.micro_batch_tokens = 2048;
  const std::uint64_t most = estimate_memory(config, known).total();
  known.step_prompt_tokens = 15;  // of 10 and 5 tokens
  const MemoryEstimate shorter = estimate_memory(config, known);
  BOOST_TEST(shorter.total() < most);
  known.step_tokens = 40;
  known.responses = ResponseSource::references;
  const MemoryEstimate given = estimate_memory(config, known);
  BOOST_TEST(part(given, "keys and values of a rollout") == 0u);
  BOOST_TEST(part(given, "activations of a training pass") ==
             40 * part(shorter, "activations of a training pass") / (15 + 2 * 4 * 20));
  BOOST_TEST(part(given, "passes that do not train") == 0u);
  known.scores_itself = ScoresItself::yes;
  BOOST_TEST(part(estimate_memory(config, known), "passes that do not train") == scoring_bytes(config, 40));
}

BOOST_AUTO_TEST_CASE(sizes_are_readable) {
  BOOST_TEST(memory_text(512) == "0.5 KiB");
  BOOST_TEST(memory_text(std::uint64_t{3} << 29) == "1.5 GiB");
  BOOST_TEST(memory_text(std::uint64_t{200} << 20) == "200 MiB");
  BOOST_TEST(available_memory().has_value());
}

BOOST_AUTO_TEST_SUITE_END()
