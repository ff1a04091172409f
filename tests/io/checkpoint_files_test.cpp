#include "maestro/io/checkpoint_files.hpp"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/hub/classifier_files.hpp"
#include "maestro/hub/model_files.hpp"

BOOST_AUTO_TEST_SUITE(checkpoint_files)

namespace {

using namespace maestro;
using maestro_test::refusal;
using maestro_test::Scratch;

/// A model so small that cutting its files at every byte is cheap.
ModelWeights<float> tiny_model() {
  ModelConfig config = qwen3_config(5, 4, 1, 1, 1, 2, 3);
  config.head = HeadWeights::separate;
  ModelWeights<float> weights(config);
  weights.initialize(3);
  return weights;
}

std::vector<std::string> shards_in(const std::string& folder) {
  std::vector<std::string> shards;
  for (const std::string& name : detail::names_in(folder)) {
    if (name.ends_with(".safetensors")) shards.push_back(folder + "/" + name);
  }
  return shards;
}

/// Two shards of two tensors each, and their index.
struct Sharded {
  Sharded() {
    write("one.safetensors", {"a", "b"});
    write("two.safetensors", {"c", "d"});
    index({{"a", "one.safetensors"}, {"b", "one.safetensors"}, {"c", "two.safetensors"}, {"d", "two.safetensors"}});
  }
  void write(const std::string& name, const std::vector<std::string>& tensors) const {
    const std::vector<float> values{1.0f, 2.5f};
    SafetensorsWriter writer;
    for (const std::string& tensor : tensors) writer.add<float>(tensor, {2}, values);
    writer.write(scratch.path(name));
  }
  void index(const std::vector<std::pair<std::string, std::string>>& map) const {
    Json json;
    json["metadata"]["total_size"] = 32;
    for (const auto& [tensor, shard] : map) json["weight_map"][tensor] = shard;
    write_file(path(), dump_json(json));
  }
  std::string path() const { return scratch.path("model.safetensors.index.json"); }
  std::string refused() const {
    return refusal<BadFile>([&] { CheckpointFiles files(path()); });
  }

  Scratch scratch;
};

}  // namespace

BOOST_AUTO_TEST_CASE(shards_are_one_set_of_tensors) {
  const Sharded sharded;
  const CheckpointFiles files = CheckpointFiles::of_folder(sharded.scratch.path("."));
  BOOST_TEST(files.files().size() == 2u);
  BOOST_TEST(files.tensors().size() == 4u);
  BOOST_TEST(files.find("e") == nullptr);
  BOOST_TEST(files.at("c").name == "c");
  BOOST_TEST(files.holder("d").path().ends_with("/two.safetensors"));
  std::vector<float> values(2);
  files.read<float>("d", values);
  BOOST_TEST(values[1] == 2.5f);
  std::vector<std::uint16_t> bits(2);
  files.read_bf16("a", bits);
  BOOST_TEST(bits[0] == 0x3f80);
  files.release("a");
  BOOST_TEST(refusal<BadFile>([&] { files.at("e"); }).find("tensor \"e\" is missing") != std::string::npos);

  // One file is preferred to an index, as transformers has it.
  sharded.write("model.safetensors", {"x"});
  BOOST_TEST(CheckpointFiles::of_folder(sharded.scratch.path(".")).tensors().size() == 1u);
}

BOOST_AUTO_TEST_CASE(shards_and_index_must_agree) {
  const Sharded sharded;
  BOOST_TEST(sharded.refused().empty());
  const std::string one = "one.safetensors";
  const std::string two = "two.safetensors";
  const auto says = [&](const std::vector<std::pair<std::string, std::string>>& map, const std::string& reason) {
    sharded.index(map);
    BOOST_TEST(sharded.refused().find(reason) != std::string::npos, reason << " <- " << sharded.refused());
  };
  says({{"a", one}, {"c", two}, {"d", two}}, "one.safetensors: tensor \"b\" is not listed");
  says({{"a", one}, {"b", two}, {"c", two}, {"d", two}}, "one.safetensors: holds tensor \"b\", which ");
  says({{"a", one}, {"b", one}, {"c", two}, {"d", two}, {"e", two}}, "two.safetensors: tensor \"e\" is missing");
  says({{"a", one}, {"b", one}, {"c", two}, {"d", two}, {"e", "three.safetensors"}},
       "the shard \"three.safetensors\" is missing");
  // The same tensor in two shards: the one that the index does not mean is refused.
  sharded.write(two, {"a", "c", "d"});
  says({{"a", one}, {"b", one}, {"c", two}, {"d", two}}, "two.safetensors: holds tensor \"a\", which ");
}

BOOST_AUTO_TEST_CASE(shards_lie_beside_their_index) {
  const auto refused = [](const std::string& shard) {
    Json json;
    json["weight_map"]["a"] = shard;
    return refusal<BadFile>([&] { parse_weight_map(json.dump(), "index"); });
  };
  BOOST_TEST(refused("model-00001-of-00002.safetensors").empty());
  for (const char* name :
       {"../one.safetensors", "/etc/one.safetensors", "a/one.safetensors", "a\\one.safetensors", "..safetensors",
        ".one.safetensors", "one..safetensors", ".safetensors", "", "model.bin", "pytorch_model.bin"}) {
    BOOST_TEST(refused(name).find("puts tensor \"a\" into") != std::string::npos, name);
  }
  BOOST_TEST(!refused(std::string("a\0.safetensors", 14)).empty());

  const auto says = [](const std::string& text, const std::string& reason) {
    const std::string message = refusal<BadFile>([&] { parse_weight_map(text, "index"); });
    BOOST_TEST(message.starts_with("index: "), text);
    BOOST_TEST(message.find(reason) != std::string::npos, text << " -> " << message);
  };
  says("{}", "'weight_map' is missing");
  says(R"({"weight_map": []})", "must be a JSON object");
  says(R"({"weight_map": {}})", "names no tensor");
  says(R"({"weight_map": {"a": 7}})", "into 7");
  says(R"({"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}})", "appears twice");
}

BOOST_AUTO_TEST_CASE(models_round_trip_in_shards) {
  const Scratch scratch;
  const ModelWeights<float> weights = tiny_model();
  for (const std::size_t limit : {std::size_t{0}, std::size_t{100}, std::size_t{250}, std::size_t{1} << 20}) {
    const std::string folder = scratch.path("m" + std::to_string(limit));
    std::filesystem::create_directory(folder);
    write_model_files(folder, weights, {.max_shard_size = limit});
    const std::size_t shards = shards_in(folder).size();
    BOOST_TEST((shards == 1) == (limit == std::size_t{1} << 20));
    if (limit == 0) {
      BOOST_TEST(shards == CheckpointFiles::of_folder(folder).tensors().size());
    }
    for (const std::string& shard : shards_in(folder)) {
      std::size_t bytes = 0;
      const SafetensorsFile file(shard);
      for (const TensorInfo& tensor : file.tensors()) bytes += tensor.bytes.size();
      BOOST_TEST((bytes <= limit || file.tensors().size() == 1));
    }
    const ModelWeights<float> loaded = load_model<float>(folder);
    BOOST_TEST(std::equal(weights.flat().begin(), weights.flat().end(), loaded.flat().begin(), loaded.flat().end()));
  }
  // Shards beside a single file would not be read.
  const std::string single = scratch.path("m" + std::to_string(std::size_t{1} << 20));
  BOOST_CHECK_THROW(write_model_files(single, weights, {.max_shard_size = 100}), BadArgument);
}

BOOST_AUTO_TEST_CASE(classifiers_load_from_shards) {
  const Scratch scratch;
  const std::string folder = scratch.path("m");
  const ByteTokenizer tokenizer;
  ModelWeights<float> weights(qwen3_config(tokenizer.vocabulary_size(), 4, 1, 1, 1, 2, 3));
  weights.initialize(1);
  const std::vector<float> score{1.0f, -2.0f, 3.0f, -4.0f};
  save_classifier<float>(folder, weights, score, tokenizer);
  BOOST_TEST(load_classifier<float>(folder).score[3] == -4.0f);

  // The backbone in shards, the head in one of its own.
  std::filesystem::remove(folder + "/model.safetensors");
  save_shards(folder, weights, {.max_shard_size = 200});
  const std::string index = folder + "/model.safetensors.index.json";
  Json map = parse_json(read_file(index), index);
  SafetensorsWriter writer;
  writer.add<float>("score.weight", {1, 4}, score);
  writer.write(folder + "/head.safetensors");
  map["weight_map"]["score.weight"] = "head.safetensors";
  write_file(index, dump_json(map));
  const ClassifierWeights<float> loaded = load_classifier<float>(folder);
  BOOST_TEST(loaded.score[3] == -4.0f);
  BOOST_TEST(std::equal(weights.flat().begin(), weights.flat().end(), loaded.backbone.flat().begin()));

  SafetensorsWriter two;
  two.add<float>("score.weight", {1, 4}, score);
  two.add<float>("score.bias", {4}, score);
  two.write(folder + "/head.safetensors");
  map["weight_map"]["score.bias"] = "head.safetensors";
  write_file(index, dump_json(map));
  const std::string surplus = refusal<BadFile>([&] { load_classifier<float>(folder); });
  BOOST_TEST(surplus.find("does not have: \"score.bias\"") != std::string::npos, surplus);
}

BOOST_AUTO_TEST_CASE(an_older_folder_of_shards_is_replaced) {
  const Scratch scratch;
  const std::string folder = scratch.path("model");
  const ByteTokenizer tokenizer;
  ModelWeights<float> weights(qwen3_config(tokenizer.vocabulary_size(), 4, 1, 1, 1, 2, 3));
  weights.initialize(1);
  save_model(folder, weights, tokenizer, {.store = StoreAs::bf16, .max_shard_size = 100});
  BOOST_TEST(shards_in(folder).size() > 2u);
  BOOST_TEST(load_model<float>(folder).parameters() == weights.parameters());
  save_model(folder, weights, tokenizer);
  BOOST_TEST(shards_in(folder).size() == 1u);
}

BOOST_AUTO_TEST_CASE(wrong_tensors_of_a_shard_are_named_with_their_file) {
  const Scratch scratch;
  const ModelWeights<float> weights = tiny_model();
  const std::string folder = scratch.path("m");
  std::filesystem::create_directory(folder);
  write_model_files(folder, weights, {.max_shard_size = 0});
  ModelConfig larger = weights.config();
  larger.intermediate = 4;
  const std::string shape = refusal<BadFile>([&] { load_weights<float>(CheckpointFiles::of_folder(folder), larger); });
  BOOST_TEST(shape.find("-of-") != std::string::npos, shape);
  BOOST_TEST(shape.find("mlp.gate_proj.weight\" has shape [3, 4], config.json wants [4, 4]") != std::string::npos,
             shape);
  ModelConfig tied = weights.config();
  tied.head = HeadWeights::tied;
  const std::string head = refusal<BadFile>([&] { load_weights<float>(CheckpointFiles::of_folder(folder), tied); });
  BOOST_TEST(head.find("\"lm_head.weight\" differs") != std::string::npos, head);
  ModelConfig bare = weights.config();
  bare.query_key_norm = QueryKeyNorm::absent;
  const std::string surplus = refusal<BadFile>([&] { load_weights<float>(CheckpointFiles::of_folder(folder), bare); });
  BOOST_TEST(surplus.find("index.json: tensors that the model of config.json does not have: "
                          "\"model.layers.0.self_attn.q_norm.weight\", \"model.layers.0.self_attn.k_norm.weight\"") !=
                 std::string::npos,
             surplus);
}

// A file that lost its end, whatever the length, is an error and nothing else.
BOOST_AUTO_TEST_CASE(weights_cut_at_every_byte_are_refused) {
  const Scratch scratch;
  const ModelWeights<float> weights = tiny_model();
  for (const std::size_t limit : {std::size_t{200}, std::size_t{1} << 20}) {
    const std::string folder = scratch.path("m" + std::to_string(limit));
    std::filesystem::create_directory(folder);
    write_model_files(folder, weights, {.max_shard_size = limit});
    for (const std::string& path : shards_in(folder)) {
      const std::string whole = read_file(path);
      for (std::size_t size = whole.size(); size-- > 0;) {
        std::filesystem::resize_file(path, size);
        const std::string message = refusal<BadFile>([&] { load_model<float>(folder); });
        BOOST_TEST(message.starts_with(path), path << " cut to " << size << " bytes: " << message);
      }
      write_file(path, whole);
    }
    BOOST_CHECK_NO_THROW(load_model<float>(folder));
  }
}

BOOST_AUTO_TEST_CASE(json_cut_at_every_byte_is_refused) {
  const Scratch scratch;
  const std::string folder = scratch.path("m");
  std::filesystem::create_directory(folder);
  write_model_files(folder, tiny_model(), {.max_shard_size = 200});
  for (const char* name : {"config.json", "generation_config.json", "model.safetensors.index.json"}) {
    const std::string path = folder + "/" + name;
    const std::string whole = read_file(path);
    const std::size_t last = whole.find_last_of('}');  // what follows is white space
    for (std::size_t size = last + 1; size-- > 0;) {
      std::filesystem::resize_file(path, size);
      const std::string message = refusal<BadFile>([&] { load_model<float>(folder); });
      BOOST_TEST(message.starts_with(path), path << " cut to " << size << " bytes: " << message);
    }
    write_file(path, whole);
  }
  BOOST_CHECK_NO_THROW(load_model<float>(folder));
}

BOOST_AUTO_TEST_SUITE_END()
