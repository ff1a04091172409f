#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "model_tools.hpp"

using namespace maestro_test;
using Double = Transformer<double, NativeBackend>;
using Float = Transformer<float, NativeBackend>;

BOOST_AUTO_TEST_SUITE(model_transformer)

namespace {

constexpr Architecture architectures[] = {Architecture::llama, Architecture::qwen2, Architecture::qwen3};

// Odd sizes: three responses with an empty and a one-token one, a group of one, a one-token prompt.
Tokens odd_tokens(std::size_t vocabulary) {
  return random_tokens({5, 3, 1, 2}, {{4, 0, 1}, {3}, {2, 6}, {0}}, vocabulary);
}

double value(const ModelWeights<double>& weights, const PackedBatch& batch, TransformerWorkspace<double>& ws,
             Matrix<double>& d_hidden) {
  direction(batch, weights.config().hidden, d_hidden);
  return objective(Double::forward(weights, batch, ws), d_hidden);
}

ModelWeights<double> gradient(const ModelWeights<double>& weights, const PackedBatch& batch) {
  TransformerWorkspace<double> ws;
  Matrix<double> d_hidden;
  direction(batch, weights.config().hidden, d_hidden);
  Double::forward(weights, batch, ws, Keep::activations);
  ModelWeights<double> gradients(weights.config());
  Double::backward(weights, batch, ws, d_hidden, gradients);
  return gradients;
}

void check_differences(Architecture architecture, PromptRows prompts) {
  const ModelConfig config = small_config(architecture);
  ModelWeights<double> weights = random_weights<double>(config, 3);
  const Tokens tokens = odd_tokens(config.vocabulary);
  PackedBatch batch;
  batch.pack(tokens.prompts, tokens.responses, tokens.groups, 0, 4,
             {.prompts = prompts, .last_token = LastToken::feed});
  ModelWeights<double> gradients = gradient(weights, batch);
  TransformerWorkspace<double> ws;
  Matrix<double> scratch;
  weights.visit(gradients, [&](ParameterView<double> p) {
    // Every seventh value of a tensor, at least the first.
    std::vector<double> analytic, numeric;
    const std::size_t step = p.values.size() > 40 ? 7 : 1;
    for (std::size_t i = 0; i < p.values.size(); i += step) {
      const double kept = p.values[i];
      p.values[i] = kept + 1e-5;
      const double above = value(weights, batch, ws, scratch);
      p.values[i] = kept - 1e-5;
      const double below = value(weights, batch, ws, scratch);
      p.values[i] = kept;
      numeric.push_back((above - below) / 2e-5);
      analytic.push_back(p.gradients[i]);
    }
    // The untied head does not enter hidden states.
    const double gap = relative_gap(analytic, numeric);
    BOOST_TEST(gap < 1e-6, "gradient of " << p.name << " is off by " << gap);
  });
}

}  // namespace

BOOST_AUTO_TEST_CASE(gradients_match_differences) {
  for (const Architecture a : architectures) {
    check_differences(a, PromptRows::shared);
    check_differences(a, PromptRows::separate);
  }
}

BOOST_AUTO_TEST_CASE(shared_prefix_equals_separate_sequences) {
  for (const Architecture a : architectures) {
    for (const LastToken last : {LastToken::omit, LastToken::feed}) {
      const ModelConfig config = small_config(a);
      const ModelWeights<double> weights = random_weights<double>(config, 3);
      const Tokens tokens = odd_tokens(config.vocabulary);
      PackedBatch shared, separate;
      shared.pack(tokens.prompts, tokens.responses, tokens.groups, 0, 4, {.last_token = last});
      separate.pack(tokens.prompts, tokens.responses, tokens.groups, 0, 4,
                    {.prompts = PromptRows::separate, .last_token = last});
      BOOST_TEST(shared.prompt_rows() == 5u + 3u + 1u + 2u);
      BOOST_TEST(separate.prompt_rows() == 3u * 5u + 3u + 2u * 1u + 2u);
      BOOST_TEST_REQUIRE(shared.predictors().size() == tokens.responses.size());
      BOOST_TEST_REQUIRE(separate.predictors().size() == tokens.responses.size());
      BOOST_TEST_REQUIRE(shared.terminal_rows().size() == tokens.responses.rows());
      TransformerWorkspace<double> ws_shared, ws_separate;
      const MatrixView<const double> x = Double::forward(weights, shared, ws_shared);
      const MatrixView<const double> y = Double::forward(weights, separate, ws_separate);
      double gap = 0.0;
      const auto compare = [&](std::size_t i, std::size_t j) {
        for (std::size_t k = 0; k < config.hidden; ++k) gap = std::max(gap, std::abs(x(i, k) - y(j, k)));
      };
      for (std::size_t t = 0; t < tokens.responses.size(); ++t) {
        compare(shared.predictors()[t], separate.predictors()[t]);
        BOOST_TEST(shared.targets()[t] == tokens.responses.flat()[t]);
      }
      for (std::size_t i = 0; i < tokens.responses.rows(); ++i) {
        compare(shared.terminal_rows()[i], separate.terminal_rows()[i]);
      }
      BOOST_TEST(gap < 1e-12);
      const ModelWeights<double> g = gradient(weights, shared);
      const ModelWeights<double> h = gradient(weights, separate);
      BOOST_TEST(relative_gap(g.flat(), h.flat()) < 1e-12);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_range_of_groups_is_packed_alone) {
  const ModelConfig config = small_config(Architecture::qwen3);
  const ModelWeights<float> weights = random_weights<float>(config, 3);
  const Tokens tokens = odd_tokens(config.vocabulary);
  PackedBatch all, part;
  all.pack(tokens.prompts, tokens.responses, tokens.groups, 0, 4);
  part.pack(tokens.prompts, tokens.responses, tokens.groups, 2, 3);
  BOOST_TEST(part.targets().size() == 8u);
  BOOST_TEST(part.prompt_rows() == 1u);
  TransformerWorkspace<float> ws_all, ws_part;
  const MatrixView<const float> x = Float::forward(weights, all, ws_all);
  const MatrixView<const float> y = Float::forward(weights, part, ws_part);
  // Group 2's targets follow those of groups 0 (5) and 1 (3).
  for (std::size_t t = 0; t < 8; ++t) {
    BOOST_TEST(relative_gap(x.row(all.predictors()[8 + t]), y.row(part.predictors()[t])) < 1e-5);
  }
}

BOOST_AUTO_TEST_CASE(plain_sequences_predict_their_next_token) {
  PackedBatch batch;
  batch.clear();
  batch.push_sequence(std::vector<std::int32_t>{3, 1, 4});
  batch.push_sequence(std::vector<std::int32_t>{7});
  batch.push_sequence(std::vector<std::int32_t>{5, 9});
  BOOST_TEST(batch.rows() == 6u);
  BOOST_TEST(
      std::vector<std::int32_t>(batch.targets().begin(), batch.targets().end()) == (std::vector<std::int32_t>{1, 4, 9}),
      boost::test_tools::per_element());
  BOOST_TEST(std::vector<std::size_t>(batch.predictors().begin(), batch.predictors().end()) ==
                 (std::vector<std::size_t>{0, 1, 4}),
             boost::test_tools::per_element());
  BOOST_TEST(batch.positions()[4] == 0);
}

BOOST_AUTO_TEST_CASE(the_same_bits_again) {
  const ModelConfig config = small_config(Architecture::qwen3);
  const ModelWeights<float> weights = random_weights<float>(config, 3);
  const Tokens tokens = random_tokens({40, 7, 9}, {{30, 21, 4}, {50, 33}, {1}}, config.vocabulary);
  PackedBatch batch;
  batch.pack(tokens.prompts, tokens.responses, tokens.groups, 0, 3);
  Matrix<float> d_hidden;
  direction(batch, config.hidden, d_hidden);
  const auto run = [&](TransformerWorkspace<float>& ws) {
    Float::forward(weights, batch, ws, Keep::activations);
    ModelWeights<float> gradients(config);
    Float::backward(weights, batch, ws, d_hidden, gradients);
    return gradients;
  };
  TransformerWorkspace<float> ws, other;
  const ModelWeights<float> first = run(ws);
  const ModelWeights<float> again = run(ws);
  const ModelWeights<float> fresh = run(other);
  BOOST_TEST(std::ranges::equal(first.flat(), again.flat()));
  BOOST_TEST(std::ranges::equal(first.flat(), fresh.flat()));
  BOOST_TEST((ws.hidden == other.hidden));
}

BOOST_AUTO_TEST_CASE(keeping_nothing_gives_the_same_states) {
  const ModelConfig config = small_config(Architecture::qwen2);
  const ModelWeights<float> weights = random_weights<float>(config, 3);
  const Tokens tokens = odd_tokens(config.vocabulary);
  PackedBatch batch;
  batch.pack(tokens.prompts, tokens.responses, tokens.groups, 0, 4);
  TransformerWorkspace<float> ws, other;
  Float::forward(weights, batch, ws, Keep::nothing);
  Float::forward(weights, batch, other, Keep::activations);
  BOOST_TEST((ws.hidden == other.hidden));
  BOOST_TEST(ws.layers.size() == 1u);
  ModelWeights<float> gradients(config);
  BOOST_CHECK_THROW(Float::backward(weights, batch, ws, ws.hidden, gradients), BadArgument);
}

BOOST_AUTO_TEST_CASE(weights_have_hugging_face_names_and_start_as_documented) {
  ModelWeights<float> weights(small_config(Architecture::qwen2));
  weights.initialize(11);
  ModelWeights<float> same(weights.config()), other(weights.config()), gradients(weights.config());
  same.initialize(11);
  other.initialize(12);
  BOOST_TEST(std::ranges::equal(weights.flat(), same.flat()));
  BOOST_TEST(!std::ranges::equal(weights.flat(), other.flat()));
  std::vector<std::string> names;
  std::size_t count = 0;
  weights.visit(gradients, [&](ParameterView<float> p) {
    names.emplace_back(p.name);
    count += p.values.size();
    BOOST_TEST(p.values.size() == p.rows * p.cols);
    BOOST_TEST(p.gradients.size() == p.values.size());
    const bool norm = p.name.ends_with("norm.weight");
    const bool bias = p.name.ends_with(".bias");
    BOOST_TEST((p.decay == WeightDecay::skip) == (norm || bias));
    if (norm) BOOST_TEST(std::ranges::all_of(p.values, [](float v) { return v == 1.0f; }));
    if (bias) BOOST_TEST(std::ranges::all_of(p.values, [](float v) { return v == 0.0f; }));
  });
  BOOST_TEST(count == weights.parameters());
  BOOST_TEST(names.front() == "model.embed_tokens.weight");
  BOOST_TEST(names.back() == "model.norm.weight");
  for (const char* name :
       {"model.layers.1.self_attn.k_proj.bias", "model.layers.0.mlp.up_proj.weight",
        "model.layers.1.post_attention_layernorm.weight", "model.layers.0.self_attn.o_proj.weight"}) {
    BOOST_TEST(std::ranges::count(names, name) == 1);
  }
  // Copies own their values.
  ModelWeights<float> copy = weights;
  copy.layer(0).qkv(0, 0) += 1.0f;
  BOOST_TEST(copy.layer(0).qkv(0, 0) != weights.layer(0).qkv(0, 0));
  BOOST_TEST(weights.head().data() == weights.embedding().data());
}

BOOST_AUTO_TEST_CASE(wrong_input_is_refused) {
  ModelConfig config = small_config(Architecture::qwen3);
  const auto refused = [&](auto change) {
    ModelConfig broken = config;
    change(broken);
    BOOST_CHECK_THROW(check(broken), BadArgument);
  };
  BOOST_CHECK_NO_THROW(check(config));
  refused([](ModelConfig& c) { c.kv_heads = 3; });
  refused([](ModelConfig& c) { c.head_dim = 5; });
  refused([](ModelConfig& c) { c.layers = 0; });
  refused([](ModelConfig& c) { c.vocabulary = std::size_t{1} << 40; });
  refused([](ModelConfig& c) { c.rope_theta = 0.0; });
  refused([](ModelConfig& c) { c.norm_eps = -1.0; });
  refused([](ModelConfig& c) { c.end_tokens = {19}; });

  config.max_positions = 6;
  const ModelWeights<float> weights = random_weights<float>(config, 3);
  TransformerWorkspace<float> ws;
  PackedBatch batch;
  Tokens tokens = random_tokens({3}, {{5}}, config.vocabulary);
  batch.pack(tokens.prompts, tokens.responses, tokens.groups, 0, 1, {.last_token = LastToken::feed});
  BOOST_CHECK_THROW(Float::forward(weights, batch, ws), BadArgument);  // 8 positions, 6 allowed
  batch.clear();
  batch.push_sequence(std::vector<std::int32_t>{1, 19});
  BOOST_CHECK_THROW(Float::forward(weights, batch, ws), BadArgument);  // token 19 of 0 .. 18
  tokens = random_tokens({3, 0}, {{5}, {1}}, config.vocabulary);
  BOOST_CHECK_THROW(batch.pack(tokens.prompts, tokens.responses, tokens.groups, 0, 2), BadArgument);
  BOOST_CHECK_THROW(batch.pack(tokens.prompts, tokens.responses, tokens.groups, 0, 3), BadArgument);
}

BOOST_AUTO_TEST_CASE(responses_of_float_actions_are_refused) {
  Rollouts rollouts;
  rollouts.prompts.resize(1);
  rollouts.groups = Groups::uniform(1, 1);
  const std::int32_t token = 1;
  rollouts.prompt_tokens.push_row({&token, 1});
  rollouts.tokens.push_row({&no_token, 1});
  rollouts.actions.assign(1, 2, 0.5f);
  PackedBatch batch;
  BOOST_CHECK_EXCEPTION(batch.pack(rollouts, 0, 1), BadArgument, [](const BadArgument& e) {
    return std::string(e.what()).find("Rollouts::actions") != std::string::npos;
  });
}

BOOST_AUTO_TEST_SUITE_END()
