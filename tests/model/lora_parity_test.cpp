#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <vector>

#include "maestro/hub/lora_files.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/safetensors.hpp"
#include "maestro/model/lm_head.hpp"
#include "maestro/model/lora_model.hpp"
#include "model_tools.hpp"

using namespace maestro_test;
using Model = Transformer<float, NativeBackend>;

// What PEFT computed: tests/fixtures/model/make_lora.py.
BOOST_AUTO_TEST_SUITE(lora_parity)

namespace {

template <class T>
std::vector<T> read(const SafetensorsFile& file, const std::string& name) {
  std::vector<T> values(file.at(name).count);
  file.read<T>(name, values);
  return values;
}

template <class Weights>
Matrix<float> logits_of(const Weights& weights, MatrixView<const float> hidden) {
  Matrix<float> logits(hidden.rows(), weights.config().vocabulary);
  linear<NativeBackend, float, typename Weights::MatrixType>(hidden, std::as_const(weights).head(), {}, logits);
  return logits;
}

void check_adapter(const std::string& base, const std::string& name) {
  const std::string models = std::string(MAESTRO_TEST_FIXTURES) + "/model/";
  const ModelWeights<float> weights = load_model<float>(models + base);
  LoraModel<float> model(std::make_shared<const FrozenWeights<float>>(weights),
                         load_adapters<float>(models + name, weights.config()));
  const SafetensorsFile expected(models + name + "/lora.safetensors");
  const std::vector<std::int64_t> ids = read<std::int64_t>(expected, "ids");
  const std::size_t length = expected.at("ids").shape[1];
  PackedBatch batch;
  for (std::size_t first = 0; first < ids.size(); first += length) {
    batch.push_sequence(std::vector<std::int32_t>(ids.begin() + static_cast<std::ptrdiff_t>(first),
                                                  ids.begin() + static_cast<std::ptrdiff_t>(first + length)));
  }
  TransformerWorkspace<float> ws;
  const MatrixView<const float> hidden = Model::forward(model, batch, ws, Keep::activations);
  const double gap = relative_gap(logits_of(model, hidden).flat(), read<float>(expected, "logits"));
  BOOST_TEST(gap < 1e-4, name << ": logits off by " << gap);

  LmHead<float, NativeBackend> head;
  const HeadBatch<float, FrozenMatrix<float>> head_batch{
      .hidden = hidden, .weight = model.head(), .predictors = batch.predictors(), .targets = batch.targets()};
  std::vector<float> log_probs(batch.targets().size());
  head.forward(head_batch, std::span(log_probs), {});
  const std::vector<float> d_log_probs = read<float>(expected, "loss_weights");
  Matrix<float> d_hidden(batch.rows(), model.config().hidden, 0.0f);
  auto gradients = model.make_gradients();
  head.backward(head_batch, std::span(d_log_probs), {}, d_hidden.view(), gradients.head());
  Model::backward(model, batch, ws, d_hidden, gradients);
  std::size_t compared = 0;
  model.visit(gradients, [&](ParameterView<float> p) {
    const double off = relative_gap(p.gradients, read<float>(expected, "grad." + std::string(p.name)));
    BOOST_TEST(off < 1e-3, name << ": gradient of " << p.name << " off by " << off);
    ++compared;
  });
  std::size_t stored = 0;
  for (const TensorInfo& tensor : expected.tensors()) stored += tensor.name.starts_with("grad.") ? 1u : 0u;
  BOOST_TEST(compared == stored);

  const ModelWeights<float> merged = model.merged();
  const Matrix<float> logits = logits_of(merged, Model::forward(merged, batch, ws));
  const double merged_gap = relative_gap(logits.flat(), read<float>(expected, "merged"));
  BOOST_TEST(merged_gap < 1e-4, name << ": merged logits off by " << merged_gap);
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_projection) { check_adapter("llama", "llama_all"); }
BOOST_AUTO_TEST_CASE(attention_with_biases) { check_adapter("qwen2", "qwen2_attention"); }
BOOST_AUTO_TEST_CASE(rank_stabilized) { check_adapter("qwen3", "qwen3_rslora"); }

BOOST_AUTO_TEST_SUITE_END()
