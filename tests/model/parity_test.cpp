#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "maestro/core/gemm_native.hpp"
#include "maestro/io/config_json.hpp"
#include "maestro/io/model_files.hpp"
#include "maestro/io/safetensors.hpp"
#include "model_tools.hpp"

using namespace maestro_test;
using Model = Transformer<float, NativeBackend>;

// What transformers computed for small models with every parameter random: tests/fixtures/model/make_fixtures.py.
namespace {

struct Fixture {
  explicit Fixture(const std::string& name)
      : folder(std::string(MAESTRO_TEST_FIXTURES) + "/model/" + name),
        weights(load_weights<float>(folder + "/model.safetensors", load_config(folder + "/config.json"))),
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

void check_model(const std::string& name) {
  const Fixture fixture(name);
  const std::size_t vocabulary = fixture.weights.config().vocabulary;
  PackedBatch batch;
  for (const auto& row : fixture.rows("ids")) batch.push_sequence(row);
  TransformerWorkspace<float> ws;
  const MatrixView<const float> hidden = Model::forward(fixture.weights, batch, ws, Keep::activations);
  const Matrix<float> logits = logits_of(fixture.weights, hidden);
  const double logit_gap = relative_gap(logits.flat(), fixture.read<float>("logits"));
  BOOST_TEST(logit_gap < 1e-4, name << ": logits off by " << logit_gap);

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
  BOOST_TEST(log_prob_gap < 1e-4, name << ": log-probs off by " << log_prob_gap);

  ModelWeights<float> weights = fixture.weights;
  ModelWeights<float> gradients(weights.config());
  Matrix<float> d_hidden(batch.rows(), weights.config().hidden);
  ColumnSums<float> sums;
  linear_backward_input<NativeBackend, float>(d_logits, weights.head(), d_hidden);
  linear_backward_weight<NativeBackend, float>(hidden, d_logits, gradients.head(), {}, sums);
  Model::backward(weights, batch, ws, d_hidden, gradients);
  std::size_t compared = 0;
  weights.visit(gradients, [&](ParameterView<float> p) {
    const double gap = relative_gap(p.gradients, fixture.read<float>("grad." + std::string(p.name)));
    BOOST_TEST(gap < 1e-3, name << ": gradient of " << p.name << " off by " << gap);
    ++compared;
  });
  std::size_t stored = 0;
  for (const TensorInfo& tensor : fixture.expected.tensors()) stored += tensor.name.starts_with("grad.") ? 1u : 0u;
  BOOST_TEST(compared == stored);
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

}  // namespace

BOOST_AUTO_TEST_SUITE(model_parity)

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

BOOST_AUTO_TEST_SUITE_END()
