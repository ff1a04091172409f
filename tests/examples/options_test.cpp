// The list of the options of `train`, and what is derived from it.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "maestro/io/json.hpp"
#include "maestro/trainer/fingerprint.hpp"
#include "member_count.hpp"
#include "train/idle_options.hpp"
#include "train/option_names.hpp"
#include "train/options.hpp"
#include "train/presets.hpp"

BOOST_AUTO_TEST_SUITE(options)

namespace {

using maestro::examples::changed_options;
using maestro::examples::option_help;
using maestro::examples::option_name;
using maestro::examples::option_names;
using maestro::examples::TrainOptions;

maestro::Json recorded(const TrainOptions& options) {
  maestro::OrderedJson json;
  maestro::record_options(json, options);
  return maestro::Json::parse(json.dump());
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_member_is_in_the_list) {
  member_count::check_list<TrainOptions>();
  member_count::check_list<maestro::RandomWeightsOptions>();
  member_count::check_list<maestro::Saw>();
  member_count::check_list<maestro::examples::ScalarizerOptions>();
  member_count::check_list<maestro::Exp3Options>();
  member_count::check_list<maestro::PredictabilityOptions>();
  member_count::check_list<maestro::AnchoredOptions>();
  member_count::check_list<maestro::AnchorOptions>();
  member_count::check_list<maestro::examples::AnchorSourceOptions>();
  member_count::check_list<maestro::examples::ModelOptions>();
  member_count::check_list<maestro::LoraOptions>();
  member_count::check_list<maestro::PromptFileOptions>();
  member_count::check_list<maestro::PromptColumns>();
}

BOOST_AUTO_TEST_CASE(options_have_names_of_their_own) {
  const TrainOptions defaults;
  const std::vector<std::string> names = option_names(defaults);
  BOOST_TEST(std::set<std::string>(names.begin(), names.end()).size() == names.size());
}

BOOST_AUTO_TEST_CASE(a_choice_names_its_values) {
  const TrainOptions defaults;
  maestro::visit_values(defaults, [&]<class T>(const maestro::OptionInfo& info, const T&) {
    if (info.help.empty()) return;
    const std::string help = option_help(info);
    BOOST_TEST(!info.group.empty(), option_name(info) << " stands under no heading");
    BOOST_TEST(help.find("{}") == std::string::npos, help);
    for (const std::string_view value : info.values) {
      BOOST_TEST(help.find(value) != std::string::npos, option_name(info) << ": no word of " << value);
    }
    if constexpr (std::is_enum_v<T> && !std::is_same_v<T, maestro::examples::DryRun> &&
                  !std::is_same_v<T, maestro::examples::TensorBoardFiles>) {
      BOOST_TEST(!info.values.empty(), option_name(info) << " has no values");
    }
  });
}

BOOST_AUTO_TEST_CASE(every_preset_can_be_had) {
  using maestro::examples::preset_names;
  const auto knows = [](const auto& names, std::string_view name) {
    return name.empty() || std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const maestro::examples::Preset& preset : maestro::examples::presets) {
    BOOST_TEST_CONTEXT(preset.name) {
      BOOST_TEST(knows(maestro::scalarization_names, preset.scalarization));
      BOOST_TEST(knows(maestro::normalizer_names, preset.normalize));
      BOOST_TEST(knows(maestro::conductor_names, preset.conductor));
      BOOST_TEST(knows(maestro::objective_preset_names, preset.objective));
      BOOST_TEST(!preset.help.empty());
      BOOST_TEST(maestro::examples::describe_presets().find("  " + std::string(preset.name) + " ") !=
                 std::string::npos);
      const std::vector<std::string> alone{std::string(preset.name)};
      TrainOptions o;
      apply_presets(alone, o);
      o.trainer.objective.max_completion_length = 9;
      check(o.trainer.objective);
      if (preset.name != "own_weight") BOOST_TEST(changed_options(o) != "");
    }
  }
  BOOST_TEST(std::set<std::string_view>(preset_names.begin(), preset_names.end()).size() == preset_names.size());
}

BOOST_AUTO_TEST_CASE(presets_apply_in_turn) {
  const auto changed = [](const std::vector<std::string>& names) {
    TrainOptions o;
    apply_presets(names, o);
    return changed_options(o);
  };
  BOOST_TEST(changed({"trl"}) == " --kl-correction ratio --scalarization group --normalize none --conductor unit");
  BOOST_TEST(changed({"trl", "gspo"}) ==
             " --loss-type grpo --importance-sampling-level sequence --epsilon 0.0003 --epsilon-high 0.0004 "
             "--kl-correction ratio --scalarization group --normalize none --conductor unit");
  BOOST_TEST(changed({"gspo", "trl"}) == changed({"trl"}));
  BOOST_TEST(changed({"cispo"}) == " --surrogate cispo --delta 5 --kl-correction ratio");
  BOOST_TEST(changed({"sapo"}) == " --loss-type grpo --surrogate sapo --kl-correction ratio");
  BOOST_TEST(changed({}) == "");
  BOOST_CHECK_EXCEPTION(changed({"gpso"}), maestro::BadArgument, [](const auto& e) {
    return std::string(e.what()).find("did you mean 'gspo'? known are trl, ") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(the_plan_names_what_is_not_the_default) {
  TrainOptions o;
  BOOST_TEST(changed_options(o) == "");
  o.trainer.sampling.top_k = 5;
  o.trainer.objective.ratio_cap = 2.5;
  o.trainer.objective.reduction = maestro::Reduction::grpo;
  o.trainer.micro_batch_tokens = 7;  // no option
  o.reward_model.clear();
  o.weights = {0.5, 2};
  o.dry_run = maestro::examples::DryRun::yes;
  o.model_options.lora.targets = {maestro::LoraTarget::query, maestro::LoraTarget::up};
  BOOST_TEST(changed_options(o) ==
             " --reward-model \"\" --lora-target-modules q_proj,up_proj --top-k 5 --loss-type grpo --delta 2.5 "
             "--weights 0.5,2 --dry-run");
}

BOOST_AUTO_TEST_CASE(tags_that_no_chat_model_is_asked_for_are_said) {
  maestro::examples::TrainOptions o;
  o.rewards = {"chrf", "length"};
  std::vector<maestro::Prompt> prompts(2);
  prompts[1].text = "Say it.";
  const auto said = [&](bool chats) { return maestro::examples::unasked_tags(o, chats, prompts); };
  BOOST_TEST(said(true) == "");  // the length is a limit, and chrF takes a whole response where there are no tags
  o.length_shape = maestro::examples::LengthChoice::reference;
  BOOST_TEST(said(true).find("<answer> tags") != std::string::npos);
  BOOST_TEST(said(true).find("(length)") != std::string::npos);
  o.rewards = {"format", "length", "exact_match"};
  BOOST_TEST(said(true).find("(format, exact_match, length)") != std::string::npos);
  BOOST_TEST(said(false) == "");  // a base model may have learned them
  prompts[1].text = "Put it into <answer> tags.";
  BOOST_TEST(said(true) == "");
  prompts[1].text = "";
  prompts[0].messages = {{"system", "Use <answer> and </answer>."}, {"user", "Say it."}};
  BOOST_TEST(said(true) == "");
  prompts[0].messages.clear();
  o.model_options.system = "Write <answer>...</answer>.";
  BOOST_TEST(said(true) == "");
  o.model_options.system.clear();
  o.answer_format = "none";
  BOOST_TEST(said(true) == "");
}

BOOST_AUTO_TEST_CASE(what_may_be_idle_is_an_option) {
  const TrainOptions defaults;
  const std::vector<std::string> names = option_names(defaults);
  std::size_t asked = 0;
  refuse_idle_options(defaults, [&](const std::string& option) {
    ++asked;
    BOOST_TEST((std::find(names.begin(), names.end(), option) != names.end()), "there is no --" << option);
    return false;
  });
  BOOST_TEST(asked > 40u);
}

BOOST_AUTO_TEST_CASE(the_fingerprint_is_that_of_earlier_checkpoints) {
  const TrainOptions defaults;
  BOOST_TEST(
      recorded(defaults) ==
      maestro::Json::parse(
          R"({"chat":["auto","auto",0],"seed":42,"prompts_per_step":8,"num_generations":8,"max_completion_length":256,"temperature":1.0,"top_k":0,"top_p":1.0,"min_p":0.0,)"
          R"("learning_rate":1e-06,"schedule":"constant","warmup_steps":0,"weight_decay":0.0,)"
          R"("max_grad_norm":1.0,"num_iterations":1,"num_minibatches":1,"loss_type":"dapo","importance_sampling_level":"token",)"
          R"("epsilon":[0.2,0.2],"delta":0.0,"beta":0.0,"kl":["k3","loss","none"],"ref_sync_steps":0,)"
          R"("rewards":["perplexity","format","entropy","length","preference"],"proxy_sync_steps":6,"length_shape":["overlong",128.0],)"
          R"("scalarization":"own_weight","normalize":"z_score","conductor":"linear","conductor_learning_rate":5e-05,"conductor_period":3,)"
          R"("conductor_emphasis":["blended_uniform",0.5],"conductor_estimator":"counterfactual","conductor_baseline":0,)"
          R"("conductor_floor":0,"conductor_hidden_scaling":0,"conductor_entropy_bonus":0.001})"));
}

BOOST_AUTO_TEST_CASE(the_fingerprint_names_what_has_an_effect) {
  TrainOptions o;
  o.model_options.lora_rank = o.model_options.lora.rank = 4;
  o.model_options.lora.targets = {maestro::LoraTarget::query, maestro::LoraTarget::value};
  o.model_options.lora.scaling = maestro::LoraScaling::rank_stabilized;
  o.conductor = "fixed";
  o.weights = {1, 2};
  maestro::Json json = recorded(o);
  BOOST_TEST(json.at("lora") == maestro::Json({4, 32.0, 1}));
  BOOST_TEST(json.at("lora_target_modules") == maestro::Json({"q_proj", "v_proj"}));
  BOOST_TEST(json.at("frozen_dtype") == maestro::Json("auto"));
  BOOST_TEST(json.at("weights") == maestro::Json({1.0, 2.0}));
  BOOST_TEST(!json.contains("weights_end"));
  o.conductor = "scheduled";
  o.weights_end = {2, 1};
  json = recorded(o);
  BOOST_TEST(json.at("weights") == maestro::Json({1.0, 2.0}));
  BOOST_TEST(json.at("weights_end") == maestro::Json({2.0, 1.0}));
  o.conductor = "saw";
  o.presets = {"trl"};
  json = recorded(o);
  BOOST_TEST(json.at("saw_delta") == maestro::Json(1e-8));
  for (const char* idle : {"weights", "weights_column", "exp3_rate", "predictability_rate", "random_kind", "preset"}) {
    BOOST_TEST(!json.contains(idle), idle);
  }
  o.conductor = "random";
  BOOST_TEST(!recorded(o).contains("random_kind"));  // as by default, and as in earlier checkpoints
  o.random.kind = maestro::RandomKind::simplex;
  json = recorded(o);
  BOOST_TEST(json.at("random_kind") == maestro::Json("simplex"));
  BOOST_TEST(!json.contains("anchor_share"));
  BOOST_TEST(!json.contains("anchor_form"));
  o.conductor = "anchored";
  o.anchor.source = maestro::examples::AnchorSource::judge;
  o.anchor.asked.share = 0.25;
  json = recorded(o);
  BOOST_TEST(json.at("anchor") == maestro::Json("judge"));
  BOOST_TEST(json.at("anchor_share") == maestro::Json(0.25));
  BOOST_TEST(json.at("anchor_form") == maestro::Json("joint"));
  o.model = "elsewhere";
  o.output = "elsewhere";
  o.threads = 3;
  BOOST_TEST(recorded(o) == json);
}

BOOST_AUTO_TEST_SUITE_END()
