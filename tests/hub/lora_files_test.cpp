#include <boost/test/unit_test.hpp>
#include <string>

#include "io/scratch.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/io/file.hpp"
#include "maestro/model/lora.hpp"

using namespace maestro;
using namespace maestro_test;

namespace {

std::string adapter_config(const std::string& more) {
  return R"({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["v_proj", "q_proj"])" + more + "}";
}

bool mentions(const std::exception& error, const std::string& text) {
  return std::string(error.what()).find(text) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lora_files)

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

BOOST_AUTO_TEST_CASE(what_would_change_the_result_is_refused_by_name) {
  for (const std::string field :
       {R"("lora_dropout": 0.05)", R"("use_dora": true)", R"("rank_pattern": {"q_proj": 8})",
        R"("alpha_pattern": {"q_proj": 8})", R"("modules_to_save": ["lm_head"])", R"("layers_to_transform": [1])",
        R"("bias": "all")", R"("fan_in_fan_out": true)", R"("task_type": "SEQ_CLS")", R"("something_new": 3)"}) {
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
  write_file(scratch.path("adapter/adapter_config.json"), adapter_config_text({.rank = 60000}, "base"));
  BOOST_CHECK_THROW(load_adapters<float>(scratch.path("adapter"), config), BadFile);
}

BOOST_AUTO_TEST_SUITE_END()
