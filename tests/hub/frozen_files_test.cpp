#include "maestro/hub/frozen_files.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <string>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/text/byte_tokenizer.hpp"

using namespace maestro;
using maestro_test::refusal;
using maestro_test::Scratch;

BOOST_AUTO_TEST_SUITE(frozen_files)

namespace {

/// 4500 rows of 520 columns: a table of more than one block of rows and of more than one part.
ModelWeights<float> make_weights() {
  ModelConfig config = qwen3_config(4500, 520, 1, 2, 1, 8, 24);
  config.end_tokens = {256};
  ModelWeights<float> weights(config);
  weights.initialize(7);
  return weights;
}

bool same(const ModelWeights<float>& a, const ModelWeights<float>& b) { return std::ranges::equal(a.flat(), b.flat()); }

}  // namespace

BOOST_AUTO_TEST_CASE(a_folder_is_read_into_the_form_of_use) {
  const Scratch scratch;
  const ModelWeights<float> weights = make_weights();
  save_model(scratch.path("f32"), weights, ByteTokenizer());
  BOOST_TEST(!stores_bf16(scratch.path("f32")));
  BOOST_TEST(same(load_frozen<float>(scratch.path("f32"))->unpacked(), weights));

  save_model(scratch.path("bf16"), weights, ByteTokenizer(),
             SaveOptions{.store = StoreAs::bf16, .max_shard_size = 100000});
  BOOST_TEST(stores_bf16(scratch.path("bf16")));
  const ModelWeights<float> rounded = load_model<float>(scratch.path("bf16"));
  BOOST_TEST(same(load_frozen<float>(scratch.path("bf16"))->unpacked(), rounded));
  const auto halves = load_frozen<float>(scratch.path("bf16"), FrozenStore::automatic);
  BOOST_TEST(same(halves->unpacked(), rounded));
  BOOST_CHECK_NO_THROW(load_frozen<double>(scratch.path("bf16"), FrozenStore::automatic));
  BOOST_TEST(refusal<BadArgument>([&] {
               load_frozen<float>(scratch.path("bf16"), FrozenStore::quantized);
             }).find("only the weights of a GGUF file can stay quantized") != std::string::npos);
  BOOST_TEST(halves->bytes() < weights.bytes() * 6 / 10);
}

BOOST_AUTO_TEST_CASE(what_does_not_belong_to_the_model_is_refused_by_name) {
  const Scratch scratch;
  ModelWeights<float> weights = make_weights();
  const std::string folder = scratch.path("model");
  weights.layer(0).down(3, 5) = std::numeric_limits<float>::infinity();
  save_model(folder, weights, ByteTokenizer());
  BOOST_TEST(refusal<BadFile>([&] {
               load_frozen<float>(folder);
             }).find("mlp.down_proj.weight\" holds a value that is") != std::string::npos);

  weights = make_weights();
  save_model(folder, weights, ByteTokenizer());
  SafetensorsWriter writer;
  const std::vector<float> values(8);
  weights.visit([&](const auto& view) {
    if (!view.name.ends_with("o_proj.weight")) {
      writer.add<float>(std::string(view.name),
                        view.rows == 1 ? std::vector{view.cols} : std::vector{view.rows, view.cols}, view.values);
    }
  });
  writer.add<float>("extra", {8}, values);
  writer.write(folder + "/model.safetensors");
  BOOST_TEST(refusal<BadFile>([&] {
               load_frozen<float>(folder);
             }).find("missing tensors: \"model.layers.0.self_attn.o_proj.weight\"") != std::string::npos);
  weights.visit([&](const auto& view) {
    if (!view.name.ends_with("o_proj.weight")) return;
    writer.add<float>(std::string(view.name), {view.rows, view.cols}, view.values);
  });
  writer.write(folder + "/model.safetensors");
  BOOST_TEST(refusal<BadFile>([&] { load_frozen<float>(folder); }).find("does not have: \"extra\"") !=
             std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
