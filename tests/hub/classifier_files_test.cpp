#include "maestro/hub/classifier_files.hpp"
#include "maestro/gemm/native.hpp"

#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "maestro/gemm/gemm.hpp"
#include "maestro/model/classifier.hpp"
#include "reward/rollouts_fixture.hpp"

BOOST_AUTO_TEST_SUITE(classifier_files)

namespace {

using namespace maestro;

/// Letters a .. h as tokens 0 .. 7, token 8 ends: what make_classifier.py used.
struct Letters {
  std::vector<std::int32_t> encode(std::string_view text) const {
    std::vector<std::int32_t> tokens;
    for (const char c : text) tokens.push_back(c - 'a');
    return tokens;
  }
  std::string decode(std::span<const std::int32_t> tokens) const { return std::string(tokens.size(), 'a'); }
  std::size_t vocabulary_size() const { return 9; }
  std::int32_t end_token() const { return 8; }
};

const std::string fixture = std::string(MAESTRO_TEST_FIXTURES) + "/reward/classifier";

struct TemporaryFolder {
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "maestro-reward-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path = pattern;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

template <class E>
std::string refusal(const std::string& folder) {
  try {
    load_classifier<float>(folder);
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

BOOST_AUTO_TEST_CASE(scores_agree_with_transformers) {
  ClassifierWeights<float> loaded = load_classifier<float>(fixture);
  const RewardModel<float, NativeBackend, Letters> model(std::move(loaded.backbone), std::move(loaded.score),
                                                         Letters{});
  const Json expected = parse_json(read_file(fixture + "/scores.json", 1 << 20), "scores.json");
  double largest = 0.0;
  double gap = 0.0;
  for (const Json& row : expected) {
    const Rollouts rollouts = test::make_rollouts(
        {{test::prompt(row["prompt"].get<std::string>(), 0), {{row["response"].get<std::string>()}}}});
    std::vector<float> score(1);
    model.score(rollouts, score);
    const double wanted = row["score"].get<double>();
    largest = std::max(largest, std::abs(wanted));
    gap = std::max(gap, std::abs(static_cast<double>(score[0]) - wanted));
  }
  BOOST_TEST(expected.size() == 4u);
  BOOST_TEST(gap / largest < 1e-4);
}

BOOST_AUTO_TEST_CASE(one_of_several_labels_scores) {
  const std::string folder = fixture + "_labels";
  const Json expected = parse_json(read_file(folder + "/scores.json", 1 << 20), "scores.json");
  const auto gap_of = [&](const std::string& label, std::size_t logit) {
    ClassifierWeights<float> loaded = load_classifier<float>(folder, label);
    const RewardModel<float, NativeBackend, Letters> model(std::move(loaded.backbone), std::move(loaded.score),
                                                           Letters{});
    double gap = 0.0;
    for (const Json& row : expected) {
      const Rollouts rollouts = test::make_rollouts(
          {{test::prompt(row["prompt"].get<std::string>(), 0), {{row["response"].get<std::string>()}}}});
      std::vector<float> score(1);
      model.score(rollouts, score);
      gap = std::max(gap, std::abs(static_cast<double>(score[0]) - row["logits"][logit].get<double>()));
    }
    return gap;
  };
  BOOST_TEST(gap_of("harmless", 1) < 1e-4);
  BOOST_TEST(gap_of("2", 2) < 1e-4);
  BOOST_TEST(gap_of("0", 3) < 1e-4);  // a name goes before a number
  BOOST_TEST(gap_of("0", 0) > 1e-2);
  for (const auto& [label, reason] : std::vector<std::pair<std::string, std::string>>{
           {"", "no label is chosen"}, {"4", "there is no label \"4\""}, {"twice", "several labels are named"}}) {
    try {
      load_classifier<float>(folder, label);
      BOOST_TEST(false, label);
    } catch (const BadArgument& error) {
      const std::string message = error.what();
      BOOST_TEST(message.find(reason) != std::string::npos, message);
      BOOST_TEST(message.find("0 \"twice\", 1 \"harmless\"") != std::string::npos, message);
    }
  }
  BOOST_CHECK_THROW(load_classifier<float>(fixture, "1"), BadArgument);
  BOOST_TEST(classifier_label(fixture, "LABEL_0") == 0u);
}

BOOST_AUTO_TEST_CASE(what_is_written_is_read_again) {
  const ByteTokenizer tokenizer;
  const ModelConfig config = qwen3_config(tokenizer.vocabulary_size(), 6, 1, 2, 1, 4, 10);
  RewardModel<float, NativeBackend, ByteTokenizer> model(config, tokenizer);
  model.initialize(4);
  const TemporaryFolder folder;
  const std::string path = folder.path + "/model";
  save_classifier<float>(path, model.backbone(), model.head(), tokenizer);
  ClassifierWeights<float> loaded = load_classifier<float>(path);
  BOOST_TEST((loaded.backbone.config() == model.config()));
  const RewardModel<float, NativeBackend, ByteTokenizer> again(std::move(loaded.backbone), std::move(loaded.score),
                                                               load_tokenizer(path));
  const Rollouts rollouts = test::make_rollouts({{test::prompt("How?", 0), {{"so"}, {""}}}});
  std::vector<float> first(2);
  std::vector<float> second(2);
  model.score(rollouts, first);
  again.score(rollouts, second);
  BOOST_TEST(first == second, boost::test_tools::per_element());
  BOOST_TEST(first[0] != first[1]);
}

BOOST_AUTO_TEST_CASE(folders_that_are_no_reward_model_are_refused) {
  const TemporaryFolder folder;
  const auto copy = [&] {
    std::filesystem::copy(fixture, folder.path,
                          std::filesystem::copy_options::overwrite_existing | std::filesystem::copy_options::recursive);
  };
  const auto replace = [&](const std::string& from, const std::string& to) {
    copy();
    std::string text = read_file(folder.path + "/config.json", 1 << 20);
    const std::size_t at = text.find(from);
    BOOST_REQUIRE(at != std::string::npos);
    write_file(folder.path + "/config.json", text.replace(at, from.size(), to));
  };
  replace("Qwen3ForSequenceClassification", "Qwen3ForCausalLM");
  BOOST_TEST(refusal<BadFile>(folder.path).find("architectures") != std::string::npos);
  replace("Qwen3ForSequence", "BertForSequence");
  BOOST_TEST(refusal<Unsupported>(folder.path).find("architectures") != std::string::npos);
  replace("\"0\": \"LABEL_0\"", "\"0\": \"a\", \"1\": \"b\"");
  BOOST_TEST(refusal<BadFile>(folder.path).find("id2label") != std::string::npos);
  replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1");
  BOOST_TEST(refusal<Error>(folder.path) != "");

  copy();
  SafetensorsWriter writer;
  ClassifierWeights<float> loaded = load_classifier<float>(fixture);
  for (std::size_t i = 0; i < loaded.backbone.layout().size(); ++i) {
    detail::add_tensor(writer, loaded.backbone, i, Dtype::f32);
  }
  writer.write(folder.path + "/model.safetensors");
  BOOST_TEST(refusal<BadFile>(folder.path).find("score.weight") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
