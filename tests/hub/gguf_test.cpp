#include "maestro/hub/gguf.hpp"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/hub/model_files.hpp"

// What the `gguf` package wrote and computed: tests/fixtures/gguf/make_gguf.py.
BOOST_AUTO_TEST_SUITE(gguf)

namespace {

using namespace maestro;
using maestro_test::refusal;

const std::string fixtures = MAESTRO_TEST_FIXTURES;

std::string bytes_of(const std::string& name) { return read_file(fixtures + "/gguf/" + name + ".gguf"); }

GgufFile opened(const std::string& bytes) {
  return GgufFile(std::as_bytes(std::span(bytes.data(), bytes.size())), "g");
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  BOOST_REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_type_has_the_values_of_the_package) {
  const GgufFile file(fixtures + "/gguf/quants.gguf");
  const SafetensorsFile expected(fixtures + "/gguf/quants.safetensors");
  BOOST_TEST(file.tensors().size() == 13u);
  for (const GgufTensor& tensor : file.tensors()) {
    std::vector<float> values(tensor.count);
    std::vector<float> wanted(tensor.count);
    file.read(tensor, values);
    expected.read<float>(tensor.name, wanted);
    BOOST_TEST(std::memcmp(values.data(), wanted.data(), values.size() * sizeof(float)) == 0, tensor.name);
    BOOST_TEST(tensor.shape == expected.at(tensor.name).shape, boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(models_are_those_of_the_checkpoint) {
  for (const char* name : {"smollm2", "qwen2_shards"}) {
    const ModelWeights<float> weights = load_gguf<float>(fixtures + "/gguf/" + name + ".gguf");
    const ModelWeights<float> wanted = load_model<float>(fixtures + "/model/" + name);
    ModelConfig config = weights.config();
    // The file holds it in single precision.
    BOOST_TEST(static_cast<float>(config.norm_eps) == static_cast<float>(wanted.config().norm_eps));
    config.norm_eps = wanted.config().norm_eps;
    BOOST_TEST((config == wanted.config()), name);
    BOOST_TEST(std::equal(weights.flat().begin(), weights.flat().end(), wanted.flat().begin()), name);
  }
}

BOOST_AUTO_TEST_CASE(files_that_are_not_sound_are_refused) {
  BOOST_TEST(refusal<BadFile>([] {
               opened("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
             }).find("git lfs pull") != std::string::npos);
  const std::string good = bytes_of("smollm2");
  static_cast<void>(opened(good));
  // Cut anywhere, it is refused and never read beyond its end.
  for (std::size_t size = 0; size < good.size(); size += size < 3000 ? 7 : 997) {
    BOOST_TEST(!refusal<Error>([&] { load_gguf<float>(opened(good.substr(0, size))); }).empty(), size);
  }
  const auto says = [&](const std::string& from, const std::string& to) {
    return refusal<Error>([&] { load_gguf<float>(opened(replaced(good, from, to))); });
  };
  BOOST_TEST(says("GGUF", "GGUX").find("no GGUF file") != std::string::npos);
  BOOST_TEST(says("architecture" + std::string("\x08\0\0\0\x05\0\0\0\0\0\0\0llama", 17),
                  "architecture" + std::string("\x08\0\0\0\x05\0\0\0\0\0\0\0gemma", 17))
                 .find("\"gemma\", which is not implemented") != std::string::npos);
  BOOST_TEST(says("llama.block_count", "llama.block_coun_").find("llama.block_count") != std::string::npos);
  BOOST_TEST(says("blk.1.ffn_up.weight", "blk.1.ffn_ux.weight").find("\"blk.1.ffn_up.weight\" is missing") !=
             std::string::npos);
  BOOST_TEST(says("blk.0.attn_k.weight", "blk.0.attn_q.weight").find("is there twice") != std::string::npos);
}

// The file does not say which layers have the window.
BOOST_AUTO_TEST_CASE(a_window_below_the_context_is_refused) {
  const auto with_window = [](char size) {
    std::string bytes = bytes_of("smollm2");
    bytes[16] = static_cast<char>(bytes[16] + 2);
    const std::string integer("\x04\0\0\0", 4);
    const std::string window = std::string("\x1e\0\0\0\0\0\0\0llama.attention.sliding_window", 38) + integer + size;
    // Together 64 bytes, so that the tensors stay aligned.
    const std::string filler = std::string("\0\0\0\x02\0\0\0\0\0\0\0ab", 13) + integer + std::string(4, '\0');
    return bytes.insert(24, window + filler);
  };
  BOOST_TEST(load_gguf<float>(opened(with_window('\x80'))).config().windows.empty());
  const std::string message = refusal<Unsupported>([&] { load_gguf<float>(opened(with_window('\x07'))); });
  BOOST_TEST(message.find("\"llama.attention.sliding_window\"") != std::string::npos, message);
}

BOOST_AUTO_TEST_SUITE_END()
