#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/model/lora.hpp"

using namespace maestro;
using namespace maestro_test;

BOOST_AUTO_TEST_SUITE(lora_files)

namespace {

std::string adapter_config(const std::string& more) {
  return R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["v_proj", "q_proj"])" + more + "}";
}

bool mentions(const std::exception& error, const std::string& text) {
  return std::string(error.what()).find(text) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_CASE(options_are_read) {
  const LoraOptions options = parse_adapter_config(adapter_config(R"(, "use_rslora": true)"), "file");
  BOOST_TEST(options.rank == 4u);
  BOOST_TEST(options.alpha == 8.0);
  BOOST_TEST(options.scale() == 4.0);
  BOOST_TEST((options.targets == std::vector{LoraTarget::query, LoraTarget::value}));
  const std::string all = R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": "all-linear"})";
  BOOST_TEST(parse_adapter_config(all, "file").targets.size() == 7u);
  BOOST_TEST((parse_adapter_config(adapter_config_text(options, "base"), "file") == options));
}

BOOST_AUTO_TEST_CASE(ends_of_a_path_name_the_same_projections_as_names_do) {
  const std::string ends = R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8,
    "target_modules": ["self_attn.v_proj", "self_attn.q_proj", "mlp.down_proj"]})";
  const std::string names = R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8,
    "target_modules": ["v_proj", "q_proj", "down_proj"]})";
  BOOST_TEST((parse_adapter_config(ends, "file") == parse_adapter_config(names, "file")));
  const std::string other = R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["mlp.gate"]})";
  BOOST_CHECK_THROW(parse_adapter_config(other, "file"), Unsupported);
}

BOOST_AUTO_TEST_CASE(what_would_change_the_result_is_refused_by_name) {
  for (const std::string field :
       {R"("use_dora": true)", R"("rank_pattern": {"q_proj": 8})", R"("alpha_pattern": {"q_proj": 8})",
        R"("modules_to_save": ["lm_head"])", R"("layers_to_transform": [1])", R"("bias": "all")",
        R"("lora_bias": true)", R"("task_type": "SEQ_CLS")", R"("trainable_token_indices": [3])",
        R"("alora_invocation_tokens": [1, 2])", R"("use_qalora": true)", R"("exclude_modules": ["q_proj"])",
        R"("init_lora_weights": "something_new")"}) {
    BOOST_CHECK_EXCEPTION(parse_adapter_config(adapter_config(", " + field), "the/file"), Unsupported,
                          [&](const Unsupported& error) {
                            return mentions(error, "the/file") && mentions(error, field.substr(1, field.find(':') - 2));
                          });
  }
  BOOST_CHECK_NO_THROW(parse_adapter_config(
      adapter_config(R"(, "lora_dropout": 0.0, "modules_to_save": null, "rank_pattern": {}, "bias": "none")"), "file"));
  const std::string other = R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["lm_head"]})";
  BOOST_CHECK_EXCEPTION(parse_adapter_config(other, "file"), Unsupported,
                        [](const Unsupported& error) { return mentions(error, "lm_head"); });
  BOOST_CHECK_THROW(parse_adapter_config(R"({"peft_type": "IA3"})", "file"), Unsupported);
  BOOST_CHECK_THROW(parse_adapter_config(R"({"peft_type": "LORA", "r": 0})", "file"), BadFile);
}

BOOST_AUTO_TEST_CASE(initializations_that_change_the_base_are_refused_with_the_remedy) {
  for (const std::string name : {"pissa", "pissa_niter_16", "olora", "OLoRA", "corda", "loftq", "lora_ga"}) {
    BOOST_CHECK_EXCEPTION(parse_adapter_config(adapter_config(R"(, "init_lora_weights": ")" + name + "\""), "file"),
                          Unsupported, [&](const Unsupported& error) {
                            return mentions(error, name) && mentions(error, "path_initial_model_for_weight_conversion");
                          });
  }
  for (const std::string value : {"true", "false", "null", "\"gaussian\"", "\"eva\"", "\"orthogonal\"", "\"mica\""}) {
    BOOST_TEST(parse_adapter_config(adapter_config(R"(, "init_lora_weights": )" + value), "file").rank == 4u);
  }
}

BOOST_AUTO_TEST_CASE(what_changes_nothing_is_read_and_said) {
  const auto remarks = [](const std::string& more) {
    const std::string text = adapter_config(more);
    parse_adapter_config(text, "file");
    return adapter_remarks(text, "file");
  };
  BOOST_TEST(remarks(R"(, "lora_dropout": 0.0, "qalora_group_size": 16, "fan_in_fan_out": true, "megatron_core": "m",
                        "loftq_config": {"loftq_bits": 4}, "layers_pattern": "layers")")
                 .empty());
  const std::vector<std::string> said = remarks(R"(, "lora_dropout": 0.05, "something_new": 3, "other": null)");
  BOOST_REQUIRE(said.size() == 2u);
  BOOST_TEST(said[0].find("lora_dropout 0.05") != std::string::npos, said[0]);
  BOOST_TEST(said[1].find("\"something_new\" is ignored") != std::string::npos, said[1]);
}

BOOST_AUTO_TEST_CASE(a_pattern_is_what_its_tensors_are) {
  const Scratch scratch;
  const ModelConfig config = qwen3_config(19, 10, 2, 4, 2, 6, 14);
  LoraFactors<float> factors(config, {.rank = 3, .alpha = 5.0, .targets = {LoraTarget::key, LoraTarget::up}});
  factors.initialize(7);
  const std::string folder = scratch.path("adapter");
  save_adapters(folder, factors, "base");
  std::string text = read_file(folder + "/adapter_config.json");
  Json json = Json::parse(text);
  json["target_modules"] = R"(.*\.(k_proj|up_proj))";
  write_file(folder + "/adapter_config.json", json.dump());
  BOOST_TEST((load_adapter_config(folder) == factors.options()));
  BOOST_TEST((load_adapters<float>(folder, config).options() == factors.options()));
}

BOOST_AUTO_TEST_CASE(files_of_the_users_are_not_removed) {
  const Scratch scratch;
  LoraFactors<float> factors(qwen3_config(19, 10, 2, 4, 2, 6, 14), {.rank = 3});
  const std::string folder = scratch.path("adapter");
  save_adapters(folder, factors, "base");
  save_adapters(folder, factors, "base");
  write_file(folder + "/notes.txt", "precious");
  BOOST_CHECK_EXCEPTION(save_adapters(folder, factors, "base"), BadArgument,
                        [](const BadArgument& error) { return mentions(error, "notes.txt"); });
  BOOST_TEST(read_file(folder + "/notes.txt") == "precious");
}

BOOST_AUTO_TEST_CASE(llama_cpp_gets_its_own_names_order_and_scale) {
  const Scratch scratch;
  const std::string folder = scratch.path("adapter");
  for (const Architecture architecture : {Architecture::llama, Architecture::mistral, Architecture::qwen3}) {
    ModelConfig config = qwen3_config(19, 10, 2, 4, 2, 6, 14);
    config.architecture = architecture;
    LoraFactors<float> factors(config, {.rank = 4,
                                        .alpha = 5.0,
                                        .scaling = LoraScaling::rank_stabilized,
                                        .targets = {LoraTarget::key, LoraTarget::down}});
    float next = 1.0f;
    factors.visit([&](auto view) { std::generate(view.values.begin(), view.values.end(), [&] { return next++; }); });
    save_adapters(folder, factors, "base", AdapterFiles::peft_and_gguf);
    const GgufFile file(folder + "/adapter.gguf");
    const bool qwen3 = architecture == Architecture::qwen3;
    BOOST_TEST(*file.find_value<std::string>("general.architecture") == (qwen3 ? "qwen3" : "llama"));
    BOOST_TEST(*file.find_value<std::string>("general.type") == "adapter");
    BOOST_TEST(*file.find_value<std::string>("adapter.type") == "lora");
    // llama.cpp divides it by the rank, and these count alpha / sqrt(rank).
    BOOST_TEST(*file.find_value<double>("adapter.lora.alpha") == 10.0);
    BOOST_TEST(file.tensors().size() == 8u);
    const auto values = [&](const std::string& name, std::vector<std::size_t> shape) {
      const GgufTensor* tensor = file.find(name);
      BOOST_REQUIRE_MESSAGE(tensor != nullptr, name);
      BOOST_TEST(tensor->shape == shape, boost::test_tools::per_element());
      std::vector<float> read(tensor->count);
      file.read(*tensor, read);
      return read;
    };
    const Adapter<const float> key = factors.adapter(1, LoraTarget::key);
    const std::vector<float> a = values("blk.1.attn_k.weight.lora_a", {4, 10});
    BOOST_TEST(std::equal(a.begin(), a.end(), key.a.data()));
    const std::vector<float> b = values("blk.1.attn_k.weight.lora_b", {12, 4});
    for (std::size_t head = 0; head < 2; ++head) {
      for (std::size_t half = 0; half < 2; ++half) {
        for (std::size_t i = 0; i < 3; ++i) {
          // Of llama the two halves of a head become pairs, as in reshape(2, 2, 3, ...).swapaxes(1, 2).
          const std::size_t row = 6 * head + 3 * half + i;
          const std::size_t to = qwen3 ? row : 6 * head + 2 * i + half;
          for (std::size_t col = 0; col < 4; ++col) BOOST_TEST(b[4 * to + col] == key.b(row, col));
        }
      }
    }
    const std::vector<float> down = values("blk.0.ffn_down.weight.lora_b", {10, 4});
    BOOST_TEST(std::equal(down.begin(), down.end(), factors.adapter(0, LoraTarget::down).b.data()));
    BOOST_TEST((load_adapters<float>(folder, config).options() == factors.options()));
    save_adapters(folder, factors, "base");
    BOOST_TEST(!path_exists(folder + "/adapter.gguf"));  // never beside adapters that it does not belong to
  }
}

BOOST_AUTO_TEST_CASE(adapters_come_back) {
  const Scratch scratch;
  const ModelConfig config = qwen3_config(19, 10, 2, 4, 2, 6, 14);
  LoraFactors<float> factors(config, {.rank = 3, .alpha = 5.0, .targets = {LoraTarget::key, LoraTarget::up}});
  factors.initialize(7);
  save_adapters(scratch.path("adapter"), factors, "base");
  const LoraFactors<float> loaded = load_adapters<float>(scratch.path("adapter"), config);
  BOOST_TEST((loaded.options() == factors.options()));
  std::vector<float> before, after;
  factors.visit([&](const auto& p) { before.insert(before.end(), p.values.begin(), p.values.end()); });
  loaded.visit([&](const auto& p) { after.insert(after.end(), p.values.begin(), p.values.end()); });
  BOOST_TEST(before == after, boost::test_tools::per_element());

  ModelConfig deeper = config;
  deeper.layers = 3;
  BOOST_CHECK_EXCEPTION(load_adapters<float>(scratch.path("adapter"), deeper), BadFile,
                        [](const BadFile& error) { return mentions(error, "layers.2.self_attn.k_proj.lora_A"); });
  ModelConfig flatter = config;
  flatter.layers = 1;
  BOOST_CHECK_EXCEPTION(load_adapters<float>(scratch.path("adapter"), flatter), BadFile,
                        [](const BadFile& error) { return mentions(error, "layers.1.self_attn.k_proj.lora_A"); });
  ModelConfig wider = config;
  wider.hidden = 12;
  BOOST_CHECK_THROW(load_adapters<float>(scratch.path("adapter"), wider), BadFile);
  // A small file makes no large allocation.
  ModelConfig large = qwen3_config(19, 8192, 80, 64, 8, 128, 28672);
  BOOST_CHECK_EXCEPTION(load_adapters<float>(scratch.path("adapter"), large), BadFile,
                        [](const BadFile& error) { return mentions(error, "values, and adapter_config.json wants"); });
  write_file(scratch.path("adapter/adapter_config.json"), adapter_config_text({.rank = 60000}, "base"));
  BOOST_CHECK_THROW(load_adapters<float>(scratch.path("adapter"), config), BadFile);
}

BOOST_AUTO_TEST_SUITE_END()
