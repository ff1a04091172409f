#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <list>
#include <string>
#include <utility>
#include <vector>

#include "examples/train_program.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/folder_lock.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/safetensors.hpp"

using train_program::check_refused;
using train_program::Stage;

BOOST_AUTO_TEST_SUITE(train_options)

BOOST_AUTO_TEST_CASE(a_dry_run_refuses_what_a_run_would_refuse) {
  const Stage stage;
  const auto good = stage.train("--dry-run");
  BOOST_TEST(good.code == 0, good.output);
  BOOST_TEST(good.output.find("dry run: ") != std::string::npos, good.output);
  BOOST_TEST(!std::filesystem::exists(stage.root / "out"));

  check_refused(stage.train("--dry-run --max-completion-length 123"),
                {"data row 0", "6 tokens", "123", "128 positions"});
  check_refused(stage.train("--dry-run --conductor-emphasis soft"), {"unknown name 'soft'", "blended_policy"});
  stage.write_prompts("long.jsonl", {"a", std::string(100, 'b')});
  check_refused(stage.train("--dry-run --prompts '" + (stage.root / "long.jsonl").string() + "'"),
                {"data row 1", "reference 100", "128 positions"});
  check_refused(stage.train("--dry-run --save-total-limit 0"), {"--save-total-limit"});
  check_refused(stage.train("--dry-run --output '" + (stage.root / "long.jsonl/out").string() + "'"), {"is a file"});
}

BOOST_AUTO_TEST_CASE(one_response_a_prompt_is_refused_where_it_teaches_nothing) {
  const Stage stage;
  const std::string one = "--dry-run --num-generations 1 ";
  for (const char* how : {"", "--preset trl", "--preset gdpo", "--preset rloo --conductor equal"}) {
    check_refused(stage.train(one + how),
                  {"--num-generations 1", "nothing would be learned", "--preset flash_reinforce"});
  }
  for (const char* how : {"--preset flash_reinforce", "--preset verl"}) {
    const auto run = stage.train(one + how);
    BOOST_TEST(run.code == 0, run.output);
  }
}

BOOST_AUTO_TEST_CASE(the_toy_reward_model_judges_no_other_kind_of_model) {
  const Stage stage;
  const std::string folder = (stage.root / "merged").string();
  maestro::ModelWeights<float> weights(maestro::qwen3_config(4096, 8, 1, 2, 1, 4, 12));
  weights.initialize(7);
  maestro::save_model(folder, weights, maestro::ByteTokenizer());
  maestro::write_file(folder + "/tokenizer.json", maestro::read_file(MAESTRO_TEST_FIXTURES "/text/qwen2.json"));
  maestro::write_file(folder + "/tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
  check_refused(stage.train("--dry-run --rewards preference --model '" + folder + "'"),
                {"byte-level toy", "leave preference out"});
}

// The second of three labels is the only one of a model without the others.
BOOST_AUTO_TEST_CASE(the_label_that_is_chosen_scores) {
  const Stage stage;
  const std::string weights = (stage.root / "reward/model.safetensors").string();
  const auto preferences = [&](const std::string& arguments) {
    std::filesystem::remove_all(stage.root / "out");
    const auto run = stage.train("--rewards preference,format --steps 1 " + arguments);
    BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
    std::ifstream metrics(stage.root / "out/metrics.jsonl");
    std::string line;
    std::getline(metrics, line);
    return maestro::Json::parse(line).at("rewards/preference/mean").get<double>();
  };
  const double alone = preferences("");
  maestro::SafetensorsWriter writer;
  std::list<std::vector<float>> kept;  // the writer refers to what it is given
  {
    const maestro::SafetensorsFile file(weights);
    for (const maestro::TensorInfo& tensor : file.tensors()) {
      std::vector<float>& values = kept.emplace_back(tensor.count);
      file.read<float>(tensor.name, values);
      std::vector<std::size_t> shape = tensor.shape;
      if (tensor.name == "score.weight") {
        std::vector<float> rows(3 * tensor.count, 0.0f);
        std::copy(values.begin(), values.end(), rows.begin() + static_cast<std::ptrdiff_t>(tensor.count));
        values = rows;
        shape.front() = 3;
      }
      writer.add<float>(tensor.name, shape, values);
    }
  }
  writer.write(weights);
  const std::string config = (stage.root / "reward/config.json").string();
  auto json = maestro::OrderedJson::parse(maestro::read_file(config));
  json["id2label"] = {{"0", "short"}, {"1", "liked"}, {"2", "safe"}};
  json["label2id"] = {{"short", 0}, {"liked", 1}, {"safe", 2}};
  json["num_labels"] = 3;
  maestro::write_file(config, json.dump());
  BOOST_TEST(preferences("--reward-label liked") == alone);
  BOOST_TEST(preferences("--reward-label 1") == alone);
  BOOST_TEST(preferences("--reward-label safe") == 0.0);
  check_refused(stage.train("--rewards preference,format"), {"--reward-label", "no label is chosen", "liked"});
  check_refused(stage.train("--rewards preference,format --reward-label kind"), {"there is no label", "kind"});
}

BOOST_AUTO_TEST_CASE(the_papers_reading_brings_its_own_advantages) {
  const Stage stage;
  const auto plan = [&](const std::string& arguments, const std::string& words) {
    const auto run = stage.train("--dry-run " + arguments);
    BOOST_TEST(run.output.find(words) != std::string::npos, run.output);
  };
  plan("", "normalized z_score, weighted by linear, advantages own_weight");
  plan("--conductor maestro_paper", "normalized none, weighted by maestro_paper, advantages group");
  plan("--conductor maestro_paper --scalarization gdpo", "normalized none, weighted by maestro_paper, advantages gdpo");
  plan("--conductor maestro_paper --normalize rank", "normalized rank, weighted by maestro_paper, advantages group");
}

BOOST_AUTO_TEST_CASE(presets_are_listed_and_what_is_given_wins) {
  const Stage stage;
  const auto help = stage.bare("--help");
  for (const char* words : {"Presets:", "trl ", "gspo ", "--preset", "--conductor"}) {
    BOOST_TEST(help.output.find(words) != std::string::npos, words);
  }
  const auto plan = [&](const std::string& arguments, const std::string& words) {
    const auto run = stage.train("--dry-run " + arguments);
    BOOST_TEST(run.code == 0, run.output);
    BOOST_TEST(run.output.find(words) != std::string::npos, arguments << ": " << run.output);
  };
  plan("--preset trl", "normalized none, weighted by unit, advantages group");
  plan("--preset trl --conductor saw", "normalized none, weighted by saw, advantages group");
  plan("--preset gdpo --normalize rank", "normalized rank, weighted by unit, advantages gdpo");
  plan("--preset trl,gspo --num-iterations 2 --epsilon 0.001", "--epsilon 0.001 --epsilon-high 0.0004");
  plan("--preset maestro_paper", "normalized none, weighted by maestro_paper, advantages group");
  plan("--conductor maestro_paper --preset dr_grpo --reward-model '' --rewards format --conductor maestro_paper",
       "weighted by maestro_paper, advantages dr_grpo");
  check_refused(stage.train("--dry-run --preset openrhlf"), {"unknown name 'openrhlf'"});
  check_refused(stage.train("--dry-run --preset trll"), {"did you mean 'trl'?"});
}

BOOST_AUTO_TEST_CASE(num_prompts_counts_the_chosen_tasks) {
  const Stage stage;
  const auto run = stage.bare("--dry-run --model '" + (stage.root / "base").string() + "' --output '" +
                              (stage.root / "out").string() +
                              "' --rewards format --reward-model '' --max-completion-length 24 "
                              "--tasks arithmetic,story --num-prompts 50");
  BOOST_TEST(run.code == 0, run.output);
  BOOST_TEST(run.output.find("prompts    50 of") != std::string::npos, run.output);
}

BOOST_AUTO_TEST_CASE(cheap_rewards_train_and_the_paid_judge_wants_its_own_families) {
  const Stage stage;
  const auto run = stage.train("--reward-model '' --rewards brevity,confidence,elaboration,liking --conductor equal");
  BOOST_TEST(run.code == 0, run.output);
  check_refused(stage.train("--dry-run --reward-model '' --rewards paid_judge --conductor equal"),
                {"PaidJudge", "unknown name 'echo'", "translation"});
}

BOOST_AUTO_TEST_CASE(a_dry_run_looks_at_the_checkpoint_there_is) {
  const Stage stage;
  const auto run = stage.train("--timings omit");
  BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
  const auto again = stage.train("--dry-run");
  BOOST_TEST(again.code == 0, again.output);
  BOOST_TEST(again.output.find("would continue from") != std::string::npos, again.output);
  check_refused(stage.train("--dry-run --seed 4"), {"other settings"});
  check_refused(stage.train("--dry-run --resume never"), {"--resume auto continues it"});
}

namespace {
/// The logged weights of a reward, step by step.
std::vector<double> logged_weights(const Stage& stage, const std::string& reward) {
  std::vector<double> weights;
  std::ifstream file(stage.root / "out/metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    weights.push_back(maestro::parse_json(line, "metrics").at("conductor/weight/" + reward).get<double>());
  }
  std::filesystem::remove_all(stage.root / "out");
  return weights;
}

void check_weights(const std::vector<double>& found, const std::vector<double>& expected) {
  BOOST_TEST_REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) BOOST_TEST(std::abs(found[i] - expected[i]) < 1e-6);
}
}  // namespace

BOOST_AUTO_TEST_CASE(weights_from_the_command_line_reach_their_rewards) {
  const Stage stage;
  // Another order than that of all rewards, and some left out.
  const std::string rewards = "--reward-model '' --rewards length,format,entropy ";
  auto run = stage.train(rewards + "--conductor fixed --weights 0.5,0.3,-0.2");
  BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
  const std::filesystem::path kept = stage.root / "kept.jsonl";
  std::filesystem::copy(stage.root / "out/metrics.jsonl", kept);
  check_weights(logged_weights(stage, "length"), {0.5, 0.5});
  std::ifstream metrics(kept);
  for (std::string line; std::getline(metrics, line);) {
    // What was not chosen does not exist.
    for (const char* left_out : {"perplexity", "preference", "exact_match", "null"}) {
      BOOST_TEST(line.find(left_out) == std::string::npos, left_out << " in " << line);
    }
  }
  for (const auto& [reward, weight] : {std::pair{"format", 0.3}, {"entropy", -0.2}}) {
    std::filesystem::create_directories(stage.root / "out");
    std::filesystem::copy(kept, stage.root / "out/metrics.jsonl");
    check_weights(logged_weights(stage, reward), {weight, weight});
  }
  run = stage.train(rewards + "--conductor scheduled --weights 1,0,0 --weights-end 0,1,0 --steps 5");
  BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
  check_weights(logged_weights(stage, "format"), {0.0, 0.25, 0.5, 0.75, 1.0});
  run = stage.train(rewards + "--conductor scheduled --weights 1,0,0 --weights-end 0,1,0 --steps 5" +
                    " --weights-start-step 2 --weights-end-step 4");
  BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
  check_weights(logged_weights(stage, "length"), {1.0, 1.0, 0.5, 0.0, 0.0});
}

BOOST_AUTO_TEST_CASE(equal_weights_spread_over_the_rewards_of_the_run) {
  const Stage stage;
  for (const char* rewards : {"repetition,format,exact_match,length", "format"}) {
    const auto run = stage.train(std::string("--reward-model '' --conductor equal --rewards ") + rewards);
    BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
    const double share = std::string(rewards) == "format" ? 1.0 : 0.25;
    check_weights(logged_weights(stage, "format"), {share, share});
  }
  const auto refused = [&](const char* rewards, const char* part) {
    check_refused(stage.train(std::string("--dry-run --reward-model '' --rewards ") + rewards), {part});
  };
  refused("format,speed", "'speed'");
  refused("speed", "repetition");
  refused("format,format", "chosen twice");
}

BOOST_AUTO_TEST_CASE(every_weight_rule_trains_and_goes_on) {
  const Stage stage;
  const std::string rewards = "--reward-model '' --rewards length,format,entropy --timings omit ";
  for (const char* rule : {"saw --saw-delta 0.1", "contrast --weights 2,1,1", "exp3 --exp3-share 0.3",
                           "gradient_guided --gradient-rate 0.2", "predictability --predictability-rate 0.25",
                           "random --random-kind simplex", "unit"}) {
    const auto run = stage.train(rewards + "--conductor " + rule);
    BOOST_REQUIRE_MESSAGE(run.code == 0, rule << ": " << run.output);
    const auto on = stage.train(rewards + "--steps 3 --conductor " + rule);
    BOOST_REQUIRE_MESSAGE(on.code == 0, rule << ": " << on.output);
    std::vector<double> sums(3);
    const std::filesystem::path kept = stage.root / "kept.jsonl";
    std::filesystem::copy(stage.root / "out/metrics.jsonl", kept, std::filesystem::copy_options::overwrite_existing);
    for (const char* reward : {"length", "format", "entropy"}) {
      std::filesystem::create_directories(stage.root / "out");
      std::filesystem::copy(kept, stage.root / "out/metrics.jsonl", std::filesystem::copy_options::overwrite_existing);
      const std::vector<double> found = logged_weights(stage, reward);
      BOOST_REQUIRE(found.size() == 3u);
      for (std::size_t step = 0; step < 3; ++step) sums[step] += found[step];
    }
    for (const double sum : sums) BOOST_TEST(std::abs(sum - (rule == std::string("unit") ? 3.0 : 1.0)) < 1e-5, rule);
  }
}

BOOST_AUTO_TEST_CASE(a_judge_is_no_reward_and_an_anchored_run_goes_on) {
  const Stage stage;
  const std::string anchored =
      "--reward-model '' --rewards length,format,entropy --timings omit --conductor anchored --anchor-context task "
      "--anchor judge --anchor-reward length --anchor-share 1 --anchor-train judge ";
  const auto run = stage.train(anchored);
  BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
  BOOST_TEST(run.output.find("anchor     length, asked about 100.0 % of the groups") != std::string::npos, run.output);
  const auto on = stage.train(anchored + "--steps 3");
  BOOST_REQUIRE_MESSAGE(on.code == 0, on.output);
  std::ifstream file(stage.root / "out/metrics.jsonl");
  std::size_t step = 0;
  for (std::string line; std::getline(file, line);) {
    const auto record = maestro::parse_json(line, "metrics.jsonl");
    BOOST_TEST(record.at("judge/calls_total").get<double>() == 4.0 * static_cast<double>(++step));
    BOOST_TEST(record.contains("conductor/anchor_rank_correlation"));
    BOOST_TEST(record.contains("rewards/format/mean"));
    BOOST_TEST(!record.contains("rewards/length/mean"));
  }
  BOOST_TEST(step == 3u);
  check_refused(stage.train(anchored + "--steps 4 --anchor-form marginal"), {"anchor_form"});
}

BOOST_AUTO_TEST_CASE(demonstrations_come_from_a_column_of_the_prompts) {
  const Stage stage;
  std::ofstream(stage.root / "shown.jsonl")
      << R"({"prompt": "a", "reference": "b", "whole": "<think>a</think><answer>b</answer>"})" << '\n'
      << R"({"prompt": "b", "reference": "c"})" << '\n';
  const std::string shown =
      "--reward-model '' --rewards format,entropy --conductor anchored --anchor demonstrations "
      "--prompts '" +
      (stage.root / "shown.jsonl").string() + "' ";
  check_refused(stage.train(shown + "--dry-run"), {"data row 0", "form of a response"});  // bare answers
  check_refused(stage.train(shown + "--dry-run --anchor-column chess"), {"no prompt has a 'chess'", "--anchor-column"});
  const auto run = stage.train(shown + "--max-completion-length 40 --anchor-column whole");
  BOOST_TEST(run.code == 0, run.output);
}

BOOST_AUTO_TEST_CASE(weights_of_a_prompt_come_from_its_line) {
  const Stage stage;
  {
    std::ofstream file(stage.root / "weighted.jsonl");
    file
        << R"({"prompt": "a", "reference": "b", "weights": {"format": 0.5, "length": 2}, "w": [3, 4], "u": [0.5, -1]})"
        << "\n\n"
        << R"({"prompt": "c", "reference": "d", "weights": {"format": 0.5, "length": 2}, "w": [3, 0, 1], "u": [0.5, -1]})"
        << '\n';
  }
  const std::string some = "--reward-model '' --rewards length,format --prompts '" +
                           (stage.root / "weighted.jsonl").string() + "' --conductor ";
  const auto run = stage.train(some + "prompt");
  BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
  check_weights(logged_weights(stage, "length"), {2.0, 2.0});
  // The run's rewards are in another order than --rewards, which an array follows.
  const auto listed = stage.train(some + "prompt --weights-column u");
  BOOST_REQUIRE_MESSAGE(listed.code == 0, listed.output);
  check_weights(logged_weights(stage, "length"), {0.5, 0.5});
  check_refused(stage.train(some + "prompt --weights-column w"),
                {"weighted.jsonl:3: field 'w' must be the weights of length, format", "found [3,0,1]"});
  check_refused(stage.train(some + "prompt --weights-column v"), {"weighted.jsonl:1: field 'v' is missing"});
  check_refused(stage.train(some + "equal --weights-column w"), {"--weights-column has no effect"});
  check_refused(stage.bare("--dry-run --conductor prompt --rewards format --reward-model '' --model '" +
                           (stage.root / "base").string() + "'"),
                {"--conductor prompt needs --prompts"});
}

BOOST_AUTO_TEST_CASE(two_runs_cannot_write_one_output_folder) {
  const Stage stage;
  std::filesystem::create_directories(stage.root / "out");
  const maestro::FolderLock held((stage.root / "out").string());
  check_refused(stage.train(""), {"another run (process ", "is writing this folder"});
}

BOOST_AUTO_TEST_CASE(weights_that_do_not_fit_are_refused) {
  const Stage stage;
  const std::string dry = "--dry-run --reward-model '' --rewards length,format --conductor ";
  check_refused(stage.train(dry + "fixed"), {"--conductor fixed needs --weights"});
  check_refused(stage.train(dry + "fixed --weights 0.5,0.3,0.2"),
                {"--weights has 3 weights for 2 rewards", "length,format, in this order"});
  check_refused(stage.train(dry + "fixed --weights 0,0"), {"all weights are 0"});
  check_refused(stage.train(dry + "fixed --weights 1e50,1"), {"the weight of length is not finite"});
  check_refused(stage.train(dry + "scheduled --weights 1,2"), {"--conductor scheduled needs --weights-end"});
  check_refused(stage.train(dry + "scheduled --weights 1,2 --weights-end 1"), {"--weights-end has 1 weights"});
  check_refused(stage.train(dry + "scheduled --weights 1,2 --weights-end 2,1 --weights-start-step 2"),
                {"end at step 2", "start, step 2"});
}

BOOST_AUTO_TEST_CASE(options_without_effect_are_refused) {
  const Stage stage;
  const auto refused = [&](const std::string& arguments, const std::string& option, const std::string& why) {
    check_refused(stage.train("--dry-run " + arguments), {"--" + option + " has no effect", why});
  };
  const auto accepted = [&](const std::string& arguments) {
    const auto run = stage.train("--dry-run " + arguments);
    BOOST_TEST(run.code == 0, arguments << ": " << run.output);
  };
  refused("--tasks story", "tasks", "with --prompts");
  refused("--num-prompts 5", "num-prompts", "with --prompts");
  for (const char* option : {"epsilon", "epsilon-high", "delta"}) {
    refused(std::string("--") + option + " 1.3", option, "every ratio is 1");
    accepted(std::string("--num-minibatches 2 --") + option + (option == std::string("epsilon") ? " 0.3" : " 1.3"));
  }
  refused("--importance-sampling-level sequence", "importance-sampling-level", "every ratio is 1");
  accepted("--importance-sampling-level sequence --num-iterations 2");
  refused("--kl-estimator k2", "kl-estimator", "--beta is 0");
  refused("--kl-correction ratio", "kl-correction", "--beta is 0");
  refused("--kl-correction ratio --beta 0.1 --kl-placement reward", "kl-correction", "without --kl-placement loss");
  accepted("--kl-correction ratio --beta 0.1");
  accepted("--kl-correction ratio --beta 0.1 --importance-sampling-level sequence");
  refused("--ref-sync-steps 3", "ref-sync-steps", "--beta is 0");
  accepted("--ref-sync-steps 0");
  accepted("--ref-sync-steps 3 --kl-estimator k2 --beta 0.1");
  refused("--rewards format", "reward-model", "unless --rewards has preference");
  accepted("--rewards format --reward-model ''");
  refused("--rewards preference --proxy-sync-steps 3", "proxy-sync-steps", "unless --rewards has perplexity");
  refused("--rewards preference --length-shape target", "length-shape", "unless --rewards has length");
  refused("--length-target 9", "length-target", "without --length-shape target");
  accepted("--length-shape target --length-target 9");
  accepted("--save-total-limit 1");  // a run that goes on leaves a second checkpoint at its end
  refused("--conductor maestro_paper --conductor-floor mix", "conductor-floor", "take linear");
  accepted("--conductor maestro_paper");
  for (const char* conductor : {"equal", "random"}) {
    refused(std::string("--conductor-period 4 --conductor ") + conductor, "conductor-period", "does not learn");
  }
  refused("--conductor-strength 0.4 --conductor-emphasis one_hot", "conductor-strength", "blended");
  accepted("--conductor-strength 0.4");
  accepted("--conductor-strength 0.4 --conductor-emphasis blended_policy --conductor mlp");
  refused("--weights 1,1,1,1,1", "weights", "without --conductor fixed");
  refused("--saw-delta 0.1", "saw-delta", "without --conductor saw");
  refused("--conductor saw --exp3-rate 0.1", "exp3-rate", "without --conductor exp3");
  refused("--conductor saw --gradient-rate 0.1", "gradient-rate", "without --conductor gradient_guided");
  refused("--conductor saw --hypervolume-draws 9", "hypervolume-draws", "without --conductor hypervolume_guided");
  accepted("--conductor hypervolume_guided --weights 1,2,1,1,1 --scalarization dr_grpo");
  check_refused(stage.train("--dry-run --conductor hypervolume_guided"),
                {"--scalarization own_weight divides", "no effect", "dr_grpo"});
  refused("--conductor saw --predictability-floor 0.1", "predictability-floor", "without --conductor predictability");
  refused("--random-kind one_hot", "random-kind", "without --conductor random");
  refused("--conductor random --random-kind one_hot --random-strength 0.1", "random-strength", "blended_uniform");
  refused("--conductor saw --anchor-lambda 3", "anchor-lambda", "without --conductor anchored");
  refused("--anchor-share 0.5", "anchor-share", "without --anchor judge");
  refused("--anchor judge --anchor-reward length --anchor-kept 0.5", "anchor-kept", "without --anchor-max-calls");
  refused("--anchor judge --anchor-reward length --anchor-control 0.5", "anchor-control", "--anchor-train control");
  refused("--anchor demonstrations", "anchor", "without --conductor anchored");
  accepted("--anchor judge --anchor-reward length");  // watched from beside the linear Conductor
  accepted("--conductor anchored --anchor judge --anchor-reward length --anchor-choice disputed --anchor-max-calls 9");
  check_refused(stage.train("--dry-run --conductor anchored"), {"--anchor judge", "--anchor-reward"});
  check_refused(stage.train("--dry-run --anchor judge"), {"needs --anchor-reward"});
  check_refused(stage.train("--dry-run --anchor judge --anchor-reward chess"), {"--anchor-reward", "chess", "length"});
  check_refused(stage.train("--dry-run --anchor judge --anchor-reward length --anchor-choice uncertain"), {"random"});
  check_refused(stage.train("--dry-run --rewards length --reward-model '' --anchor judge --anchor-reward length"),
                {"there is no other"});
  refused("--surrogate sapo", "surrogate", "every ratio is 1");
  accepted("--preset sapo");
  accepted("--surrogate sapo --num-minibatches 2 --sapo-temperature-neg 1.2");
  refused("--sapo-temperature-neg 1.2 --num-minibatches 2", "sapo-temperature-neg", "without --surrogate sapo");
  refused("--surrogate cispo --delta 5 --epsilon 0.1 --num-minibatches 2", "epsilon", "without --surrogate clip");
  accepted("--surrogate cispo --delta 1.1 --num-minibatches 2");
  check_refused(stage.train("--dry-run --surrogate cispo --num-minibatches 2"), {"ratio_cap"});
  refused("--conductor fixed --weights 1,1,1,1,1 --weights-end-step 2", "weights-end-step", "scheduled");
  check_refused(stage.train("--dry-run --conductor chess --conductor-period 4"), {"unknown name 'chess'"});
}

BOOST_AUTO_TEST_CASE(the_kl_correction_reaches_the_objective) {
  const Stage stage;
  // k1 in the loss has no expected gradient unless the ratio multiplies it, which the objective knows.
  check_refused(stage.train("--dry-run --beta 0.1 --kl-estimator k1"), {"kl_correction ratio"});
  const auto run = stage.train("--beta 0.1 --kl-estimator k1 --kl-correction ratio");
  BOOST_TEST(run.code == 0, run.output);
  check_refused(stage.train("--dry-run --beta 0.1 --kl-estimator k3 --kl-correction none"),
                {"kl: saved [\"k1\",\"loss\",\"ratio\"], now [\"k3\",\"loss\",\"none\"]"});
  check_refused(stage.train("--dry-run --beta 0.1 --kl-correction half"), {"unknown name 'half'", "none, ratio"});
}

BOOST_AUTO_TEST_CASE(values_that_cannot_be_meant_are_refused) {
  const Stage stage;
  for (const char* option : {"steps", "save-steps", "proxy-sync-steps", "conductor-period"}) {
    check_refused(stage.train(std::string("--dry-run --") + option + " 4294967298"),
                  {std::string("--") + option + " is 4294967298", "below 2^32"});
  }
  check_refused(stage.bare("--dry-run --num-prompts 4294967298"), {"--num-prompts is 4294967298"});
  check_refused(stage.bare("--dry-run --num-prompts 0"), {"--num-prompts must be at least 1"});
  check_refused(stage.train("--dry-run --threads -2"), {"--threads"});
  check_refused(stage.train("--dry-run --num-iterations 2 --delta 1.1"), {"--delta must be above"});
  stage.write_prompts("plain.jsonl", {"", ""});
  const std::string plain = "--dry-run --reward-model '' --prompts '" + (stage.root / "plain.jsonl").string() + "' ";
  check_refused(stage.train(plain + "--rewards perplexity,format"), {"no prompt has one", "--rewards"});
  check_refused(stage.train(plain + "--rewards length --length-shape reference"), {"no prompt has one", "overlong"});
  BOOST_TEST(stage.train(plain + "--rewards length,format").code == 0);
}

BOOST_AUTO_TEST_CASE(a_resumed_run_notices_changed_files_and_accepts_moved_ones) {
  namespace fs = std::filesystem;
  const Stage stage;
  const auto run = stage.train("");
  BOOST_REQUIRE_MESSAGE(run.code == 0, run.output);
  const auto with = [&](const char* option, const char* file) {
    return stage.train("--dry-run " + std::string(option) + " '" + (stage.root / file).string() + "'");
  };
  const auto goes_on = [](const train_program::Result& result) {
    BOOST_TEST(result.code == 0, result.output);
    BOOST_TEST(result.output.find("would continue") != std::string::npos, result.output);
  };
  fs::rename(stage.root / "prompts.jsonl", stage.root / "moved.jsonl");
  fs::rename(stage.root / "reward", stage.root / "moved_reward");
  fs::copy(stage.root / "moved.jsonl", stage.root / "prompts.jsonl");
  fs::copy(stage.root / "moved_reward", stage.root / "reward");
  goes_on(stage.train("--dry-run"));
  goes_on(with("--prompts", "moved.jsonl"));
  goes_on(with("--reward-model", "moved_reward"));

  stage.write_prompts("prompts.jsonl", {"zero", "one", "two", "four"});
  check_refused(stage.train("--dry-run"), {"content of the prompts: saved \"fnv1a ", "other settings"});
  stage.write_models(7);
  check_refused(with("--prompts", "moved.jsonl"), {"content of --model: saved", "content of --reward-model: saved"});
}

BOOST_AUTO_TEST_SUITE_END()
