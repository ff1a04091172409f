#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <vector>

#include "maestro/model/lora_model.hpp"
#include "model_tools.hpp"

using namespace maestro_test;

BOOST_AUTO_TEST_SUITE(lora)

namespace {

constexpr Architecture architectures[] = {Architecture::llama, Architecture::qwen2, Architecture::qwen3};

/// Both factors random.
template <class T>
LoraModel<T> random_adapters(const ModelWeights<T>& weights, const LoraOptions& options,
                             FrozenStore store = FrozenStore::full) {
  LoraModel<T> model(std::make_shared<const FrozenWeights<T>>(weights, store), options, 3);
  std::uint32_t which = 100;
  model.visit([&](ParameterView<T> p) {
    const RandomStream stream({.seed = 9, .row = which++});
    for (std::size_t i = 0; i < p.values.size(); ++i) {
      p.values[i] = static_cast<T>(0.3 * stream.normal(static_cast<std::uint32_t>(i)));
    }
  });
  return model;
}

}  // namespace

BOOST_AUTO_TEST_CASE(gradients_agree_with_finite_differences) {
  for (const Architecture architecture : architectures) {
    const ModelConfig config = small_config(architecture);
    auto model = random_adapters<double>(random_weights<double>(config, 3), {.rank = 3, .alpha = 5.0});
    const PackedBatch batch = odd_batch(config);
    auto gradients = gradients_of<double>(model, batch, Keep::activations);
    Matrix<double> way;
    direction(batch, config.hidden, way);
    model.visit(gradients, [&](ParameterView<double> p) {
      std::vector<double> analytic, numeric;
      for (std::size_t i = 0; i < p.values.size(); i += 5) {
        const double kept = p.values[i];
        p.values[i] = kept + 1e-5;
        const double above = objective<double>(hidden_of<double>(model, batch).view(), way);
        p.values[i] = kept - 1e-5;
        const double below = objective<double>(hidden_of<double>(model, batch).view(), way);
        p.values[i] = kept;
        numeric.push_back((above - below) / 2e-5);
        analytic.push_back(p.gradients[i]);
      }
      const double gap = relative_gap(analytic, numeric);
      BOOST_TEST(gap < 1e-6, p.name << " off by " << gap);
    });
  }
}

BOOST_AUTO_TEST_CASE(the_base_computes_the_same_bits_packed_once) {
  for (const Architecture architecture : architectures) {
    const ModelConfig config = small_config(architecture);
    const ModelWeights<float> weights = random_weights<float>(config, 4);
    const PackedBatch batch = odd_batch(config);
    const FrozenWeights<float> packed(weights);
    BOOST_TEST(same_bits(hidden_of<float>(packed, batch), hidden_of<float>(weights, batch)));
    const ModelWeights<float> again = packed.unpacked();
    BOOST_TEST(std::ranges::equal(again.flat(), weights.flat()));
  }
}

BOOST_AUTO_TEST_CASE(bfloat16_is_a_way_to_store_not_to_compute) {
  for (const Architecture architecture : architectures) {
    const ModelConfig config = small_config(architecture);
    const ModelWeights<float> weights = random_weights<float>(config, 4);
    ModelWeights<float> rounded = weights;
    rounded.visit([](ParameterView<float> p) {
      if (p.decay == WeightDecay::skip) return;  // norms and biases stay float
      for (float& value : p.values) value = from_bf16(to_bf16(value));
    });
    const PackedBatch batch = odd_batch(config);
    const FrozenWeights<float> stored(weights, FrozenStore::bfloat16);
    BOOST_TEST(same_bits(hidden_of<float>(stored, batch), hidden_of<float>(rounded, batch)));
    BOOST_TEST(!same_bits(hidden_of<float>(stored, batch), hidden_of<float>(weights, batch)));
    // Gradients of adapters pass through the stored matrices backwards.
    const LoraOptions options{.rank = 2, .alpha = 3.0};
    const auto in_halves = random_adapters(weights, options, FrozenStore::bfloat16);
    const auto in_floats = random_adapters(rounded, options);
    BOOST_TEST(flat_gradients(in_halves, gradients_of<float>(in_halves, batch, Keep::activations)) ==
                   flat_gradients(in_floats, gradients_of<float>(in_floats, batch, Keep::activations)),
               boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(fresh_adapters_and_those_switched_off_change_nothing) {
  const ModelConfig config = small_config(Architecture::qwen3);
  const ModelWeights<float> weights = random_weights<float>(config, 4);
  const PackedBatch batch = odd_batch(config);
  const Matrix<float> base = hidden_of<float>(weights, batch);
  const LoraModel<float> fresh(std::make_shared<const FrozenWeights<float>>(weights), LoraOptions{.rank = 4}, 1);
  BOOST_TEST(same_bits(hidden_of<float>(fresh, batch), base));
  const auto trained = random_adapters(weights, {.rank = 4});
  BOOST_TEST(!same_bits(hidden_of<float>(trained, batch), base));
  BOOST_TEST(same_bits(hidden_of<float>(trained.without_adapters(), batch), base));
}

BOOST_AUTO_TEST_CASE(only_the_chosen_projections_have_adapters) {
  const ModelConfig config = small_config(Architecture::llama);
  const auto model = random_adapters<double>(random_weights<double>(config, 3),
                                             {.rank = 2, .targets = {LoraTarget::value, LoraTarget::down}});
  std::vector<std::string> names;
  model.factors().visit([&](const auto& p) { names.emplace_back(p.name); });
  BOOST_REQUIRE(names.size() == 4 * config.layers);
  BOOST_TEST(names[0] == "base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight");
  BOOST_TEST(names[7] == "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight");
}

BOOST_AUTO_TEST_CASE(merging_gives_the_same_function) {
  for (const Architecture architecture : architectures) {
    const ModelConfig config = small_config(architecture);
    const auto model = random_adapters<double>(random_weights<double>(config, 3),
                                               {.rank = 3, .alpha = 2.0, .scaling = LoraScaling::rank_stabilized});
    const PackedBatch batch = odd_batch(config);
    const Matrix<double> apart = hidden_of<double>(model, batch);
    const double gap = relative_gap(hidden_of<double>(model.merged(), batch).flat(), apart.flat());
    BOOST_TEST(gap < 1e-12, "off by " << gap);
  }
}

BOOST_AUTO_TEST_CASE(recomputed_activations_give_the_same_gradients) {
  for (const Architecture architecture : architectures) {
    const ModelConfig config = small_config(architecture);
    const ModelWeights<float> weights = random_weights<float>(config, 4);
    const PackedBatch batch = odd_batch(config);
    BOOST_TEST(flat_gradients(weights, gradients_of<float>(weights, batch, Keep::inputs)) ==
                   flat_gradients(weights, gradients_of<float>(weights, batch, Keep::activations)),
               boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(impossible_options_are_refused) {
  const ModelConfig config = small_config(Architecture::llama);
  BOOST_CHECK_THROW(LoraFactors<float>(config, {.rank = 0}), BadArgument);
  BOOST_CHECK_THROW(LoraFactors<float>(config, {.alpha = 0.0}), BadArgument);
  BOOST_CHECK_THROW(LoraFactors<float>(config, {.targets = {}}), BadArgument);
  const auto base = std::make_shared<const FrozenWeights<float>>(random_weights<float>(config, 1));
  BOOST_CHECK_THROW(LoraModel<float>(base, LoraFactors<float>(small_config(Architecture::qwen3), {})), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
