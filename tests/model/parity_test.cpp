#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "maestro/gemm/native.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/safetensors.hpp"
#include "model_tools.hpp"

using namespace maestro_test;
using Model = Transformer<float, NativeBackend>;

// What transformers computed for small models with every parameter random: tests/fixtures/model/make_fixtures.py.
BOOST_AUTO_TEST_SUITE(model_parity)

namespace {

constexpr double tolerance = 1e-4;

struct Fixture {
  explicit Fixture(const std::string& name)
      : folder(std::string(MAESTRO_TEST_FIXTURES) + "/model/" + name),
        weights(load_model<float>(folder)),
        expected(folder + "/expected.safetensors") {}

  template <class T>
  std::vector<T> read(const std::string& name) const {
    std::vector<T> values(expected.at(name).count);
    expected.read<T>(name, values);
    return values;
  }
  /// The rows of an integer matrix as tokens.
  std::vector<std::vector<std::int32_t>> rows(const std::string& name) const {
    const std::vector<std::int64_t> values = read<std::int64_t>(name);
    const std::size_t cols = expected.at(name).shape[1];
    std::vector<std::vector<std::int32_t>> out(values.size() / cols);
    for (std::size_t i = 0; i < values.size(); ++i) out[i / cols].push_back(static_cast<std::int32_t>(values[i]));
    return out;
  }

  std::string folder;
  ModelWeights<float> weights;
  SafetensorsFile expected;
};

Matrix<float> logits_of(const ModelWeights<float>& weights, MatrixView<const float> hidden) {
  Matrix<float> logits(hidden.rows(), weights.config().vocabulary);
  linear<NativeBackend, float>(hidden, weights.head(), {}, logits);
  return logits;
}

double log_sum_exp(std::span<const float> row) {
  double most = row[0];
  for (const float v : row) most = std::max(most, static_cast<double>(v));
  double sum = 0.0;
  for (const float v : row) sum += std::exp(static_cast<double>(v) - most);
  return most + std::log(sum);
}

/// max |ours - theirs| / max |theirs| of the logits, computed under `weights`.
double logit_gap(const Fixture& fixture, const ModelWeights<float>& weights) {
  PackedBatch batch;
  for (const auto& row : fixture.rows("ids")) batch.push_sequence(row);
  TransformerWorkspace<float> ws;
  return relative_gap(logits_of(weights, Model::forward(weights, batch, ws)).flat(), fixture.read<float>("logits"));
}

void check_model(const std::string& name) {
  const Fixture fixture(name);
  const std::size_t vocabulary = fixture.weights.config().vocabulary;
  PackedBatch batch;
  for (const auto& row : fixture.rows("ids")) batch.push_sequence(row);
  TransformerWorkspace<float> ws;
  const MatrixView<const float> hidden = Model::forward(fixture.weights, batch, ws, Keep::activations);
  const Matrix<float> logits = logits_of(fixture.weights, hidden);
  const double gap = relative_gap(logits.flat(), fixture.read<float>("logits"));
  BOOST_TEST(gap < tolerance, name << ": logits off by " << gap);

  // The gradient of sum(loss_weights * log_probs) with respect to the logits is weight (one-hot - softmax).
  const std::vector<float> loss_weights = fixture.read<float>("loss_weights");
  std::vector<double> log_probs;
  Matrix<float> d_logits(batch.rows(), vocabulary, 0.0f);
  for (std::size_t t = 0; t < batch.targets().size(); ++t) {
    const std::size_t row = batch.predictors()[t];
    const auto target = static_cast<std::size_t>(batch.targets()[t]);
    const double total = log_sum_exp(logits.row(row));
    log_probs.push_back(static_cast<double>(logits(row, target)) - total);
    for (std::size_t v = 0; v < vocabulary; ++v) {
      const double p = std::exp(static_cast<double>(logits(row, v)) - total);
      d_logits(row, v) = static_cast<float>(static_cast<double>(loss_weights[t]) * ((v == target ? 1.0 : 0.0) - p));
    }
  }
  const double log_prob_gap = relative_gap(log_probs, fixture.read<float>("log_probs"));
  BOOST_TEST(log_prob_gap < tolerance, name << ": log-probs off by " << log_prob_gap);

  ModelWeights<float> weights = fixture.weights;
  ModelWeights<float> gradients(weights.config());
  Matrix<float> d_hidden(batch.rows(), weights.config().hidden);
  ColumnSums<float> sums;
  linear_backward_input<NativeBackend, float>(d_logits, weights.head(), d_hidden);
  linear_backward_weight<NativeBackend, float>(hidden, d_logits, gradients.head(), {}, sums);
  Model::backward(weights, batch, ws, d_hidden, gradients);
  std::size_t compared = 0;
  weights.visit(gradients, [&](ParameterView<float> p) {
    const std::string entry = "grad." + std::string(p.name);
    if (fixture.expected.find(entry) == nullptr) return;
    const double off = relative_gap(p.gradients, fixture.read<float>(entry));
    BOOST_TEST(off < 1e-3, name << ": gradient of " << p.name << " off by " << off);
    ++compared;
  });
  std::size_t stored = 0;
  for (const TensorInfo& tensor : fixture.expected.tensors()) stored += tensor.name.starts_with("grad.") ? 1u : 0u;
  BOOST_TEST(compared == stored);
  BOOST_TEST(stored >= 8u);
}

void check_greedy(const std::string& name) {
  const Fixture fixture(name);
  const auto prompts = fixture.rows("prompts");
  const auto continuations = fixture.rows("continuations");
  TransformerWorkspace<float> ws;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    std::vector<std::int32_t> path = prompts[i];
    for (std::size_t t = 0; t < continuations[i].size(); ++t) {
      PackedBatch batch;
      batch.push_sequence(path);
      const Matrix<float> logits = logits_of(fixture.weights, Model::forward(fixture.weights, batch, ws));
      const std::span<const float> last = logits.row(batch.terminal_rows()[0]);
      path.push_back(static_cast<std::int32_t>(std::max_element(last.begin(), last.end()) - last.begin()));
    }
    path.erase(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(prompts[i].size()));
    BOOST_TEST(path == continuations[i], boost::test_tools::per_element());
  }
}

void check_rope(const std::string& name) {
  const Fixture fixture(name);
  const std::vector<float> wanted = fixture.read<float>("inv_freq");
  const RopeOptions rope = fixture.weights.config().rope();
  BOOST_TEST(2 * wanted.size() == rope.head_dim);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    BOOST_TEST(std::abs(rope_frequency(rope, i) / static_cast<double>(wanted[i]) - 1.0) < 1e-6, name << ", pair " << i);
  }
}

/// The gap of the logits after `change` of one value of the parameter whose name ends in `name`.
template <class Change>
double gap_after(const Fixture& fixture, std::string_view name, Change&& change) {
  ModelWeights<float> weights = fixture.weights;
  std::size_t changed = 0;
  weights.visit([&](ParameterView<float> p) {
    if (!p.name.ends_with(name)) return;
    change(p.values[3]);
    ++changed;
  });
  BOOST_TEST(changed == 1u, name);
  return logit_gap(fixture, weights);
}

/// The gap of the logits under another configuration and the same weights.
template <class Change>
double gap_under(const Fixture& fixture, Change&& change) {
  ModelConfig config = fixture.weights.config();
  change(config);
  ModelWeights<float> weights(config);
  std::copy(fixture.weights.flat().begin(), fixture.weights.flat().end(), weights.flat().begin());
  return logit_gap(fixture, weights);
}

}  // namespace

BOOST_AUTO_TEST_CASE(llama) {
  check_model("llama");
  check_greedy("llama");
}
BOOST_AUTO_TEST_CASE(qwen2) {
  check_model("qwen2");
  check_greedy("qwen2");
}
BOOST_AUTO_TEST_CASE(qwen3) {
  check_model("qwen3");
  check_greedy("qwen3");
}
BOOST_AUTO_TEST_CASE(llama3) {
  check_model("llama3");
  check_greedy("llama3");
  check_rope("llama3");
  const Fixture fixture("llama3");
  // Each of the three bands of the scaling is met: unchanged, between, divided by the factor.
  const RopeOptions rope = fixture.weights.config().rope();
  RopeOptions unscaled = rope;
  unscaled.scaling = {};
  std::size_t same = 0;
  std::size_t divided = 0;
  for (std::size_t i = 0; i < rope.head_dim / 2; ++i) {
    const double ratio = rope_frequency(unscaled, i) / rope_frequency(rope, i);
    same += ratio == 1.0 ? 1u : 0u;
    divided += std::abs(ratio - rope.scaling.factor) < 1e-12 ? 1u : 0u;
  }
  BOOST_TEST(same > 0u);
  BOOST_TEST(divided > 0u);
  BOOST_TEST(same + divided < rope.head_dim / 2);
}
BOOST_AUTO_TEST_CASE(smollm2_in_bfloat16) {
  check_model("smollm2");
  check_greedy("smollm2");
  check_rope("smollm2");
  const CheckpointFiles files = CheckpointFiles::of_folder(Fixture("smollm2").folder);
  for (const TensorInfo* tensor : files.tensors()) BOOST_TEST((tensor->dtype == Dtype::bf16), tensor->name);
}
BOOST_AUTO_TEST_CASE(qwen2_in_shards) {
  check_model("qwen2_shards");
  check_greedy("qwen2_shards");
  check_rope("qwen2_shards");
  BOOST_TEST(CheckpointFiles::of_folder(Fixture("qwen2_shards").folder).files().size() > 1u);
}

BOOST_AUTO_TEST_CASE(llama_with_biases_and_yarn) {
  check_model("yarn_biases");
  check_greedy("yarn_biases");
  check_rope("yarn_biases");
  const Fixture fixture("yarn_biases");
  BOOST_TEST(gap_under(fixture, [](ModelConfig& c) { c.rope_scaling.attention_factor = 1.0; }) > tolerance);
  BOOST_TEST(gap_under(fixture, [](ModelConfig& c) { c.rope_scaling.beta_fast = 1.5; }) > tolerance);
  BOOST_TEST(gap_under(fixture, [](ModelConfig& c) { c.rope_scaling.whole_pairs = false; }) > tolerance);
  for (const char* name : {"self_attn.o_proj.bias", "mlp.gate_proj.bias", "mlp.up_proj.bias", "mlp.down_proj.bias"}) {
    const auto more = [](float& value) { value += 0.1f; };
    BOOST_TEST(gap_after(fixture, std::string("layers.1.") + name, more) > tolerance, name);
  }
}
BOOST_AUTO_TEST_CASE(mistral_with_linear_rope) {
  check_model("mistral");
  check_greedy("mistral");
  check_rope("mistral");
}

BOOST_AUTO_TEST_CASE(windows_of_all_layers_and_of_some) {
  for (const char* name : {"mistral_window", "qwen2_window"}) {
    check_model(name);
    check_greedy(name);
  }
  const Fixture all("mistral_window");
  BOOST_TEST(gap_under(all, [](ModelConfig& c) { c.windows = {7, 6}; }) > tolerance);
  const Fixture some("qwen2_window");
  BOOST_TEST((some.weights.config().windows == std::vector<std::size_t>{0, 5}));
  BOOST_TEST(gap_under(some, [](ModelConfig& c) { c.windows = {5, 5}; }) > tolerance);
}

// One wrong value is enough to fail the comparisons above.
BOOST_AUTO_TEST_CASE(the_comparison_notices_one_wrong_value) {
  const Fixture two("qwen2");
  const Fixture three("qwen3");
  const Fixture scaled("llama3");
  const auto more = [](float& value) { value += 0.1f; };
  BOOST_TEST(gap_after(two, "layers.1.input_layernorm.weight", more) > tolerance);
  BOOST_TEST(gap_after(two, "layers.0.post_attention_layernorm.weight", more) > tolerance);
  BOOST_TEST(gap_after(two, "model.norm.weight", more) > tolerance);
  BOOST_TEST(gap_after(two, "layers.0.self_attn.q_proj.bias", more) > tolerance);
  BOOST_TEST(gap_after(two, "layers.0.self_attn.k_proj.bias", more) > tolerance);
  BOOST_TEST(gap_after(two, "layers.1.self_attn.v_proj.bias", more) > tolerance);
  BOOST_TEST(gap_after(three, "layers.0.self_attn.q_norm.weight", more) > tolerance);
  BOOST_TEST(gap_after(three, "layers.1.self_attn.k_norm.weight", more) > tolerance);
  BOOST_TEST(gap_under(three, [](ModelConfig& c) { c.rope_theta *= 1.02; }) > tolerance);
  BOOST_TEST(gap_under(three, [](ModelConfig& c) { c.norm_eps *= 1.02; }) > tolerance);
  BOOST_TEST(gap_under(scaled, [](ModelConfig&) {}) < tolerance);
  BOOST_TEST(gap_under(scaled, [](ModelConfig& c) { c.rope_scaling.factor = 7.5; }) > tolerance);
  BOOST_TEST(gap_under(scaled, [](ModelConfig& c) { c.rope_scaling.low_freq_factor = 1.1; }) > tolerance);
  BOOST_TEST(gap_under(scaled, [](ModelConfig& c) { c.rope_scaling.high_freq_factor = 4.1; }) > tolerance);
  BOOST_TEST(gap_under(scaled, [](ModelConfig& c) { c.rope_scaling.original_max_positions = 63; }) > tolerance);
  BOOST_TEST(gap_under(scaled, [](ModelConfig& c) { c.rope_scaling = {}; }) > 100 * tolerance);
}

BOOST_AUTO_TEST_SUITE_END()
