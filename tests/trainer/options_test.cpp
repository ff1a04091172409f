// The lists of the options structs, and the fingerprint that is derived from them.

#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/conductor/learned_options.hpp"
#include "maestro/trainer/fingerprint.hpp"
#include "maestro/trainer/options.hpp"
#include "member_count.hpp"

BOOST_AUTO_TEST_SUITE(options)

namespace {

using maestro::OrderedJson;
using maestro::TrainerOptions;

std::string fingerprint(const TrainerOptions& options) {
  OrderedJson json;
  add_options(json, options);
  return json.dump();
}

/// A struct whose list forgets a member.
struct Forgetful {
  int listed = 0;
  int forgotten = 0;
};
template <maestro::OptionsOf<Forgetful> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "listed"}, s.listed);
}

std::size_t visits_of_forgetful() {
  std::size_t visits = 0;
  Forgetful options;
  visit_options(options, [&](const maestro::OptionInfo&, const int&) { ++visits; });
  return visits;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_member_is_in_the_list) {
  member_count::check_list<maestro::Sampling>();
  member_count::check_list<maestro::AdamWOptions>();
  member_count::check_list<maestro::SgdOptions>();
  member_count::check_list<maestro::OptimizerOptions>();
  member_count::check_list<maestro::ScheduleOptions>();
  member_count::check_list<maestro::ObjectiveOptions>();
  member_count::check_list<TrainerOptions>();
  member_count::check_list<maestro::NetworkInit>();
  member_count::check_list<maestro::LearnedConductorOptions>();
}

BOOST_AUTO_TEST_CASE(a_forgotten_member_shows) {
  BOOST_TEST(member_count::members<Forgetful>() == 2u);
  BOOST_TEST(visits_of_forgetful() == 1u);
}

BOOST_AUTO_TEST_CASE(features_are_content_of_the_prompts) {
  std::vector<maestro::Prompt> prompts(2);
  const std::string texts = maestro::prompts_content(prompts);
  prompts[0].features = {1.0f, 2.0f};
  const std::string numbers = maestro::prompts_content(prompts);
  BOOST_TEST(numbers != texts);
  std::swap(prompts[0].features[0], prompts[0].features[1]);
  BOOST_TEST(maestro::prompts_content(prompts) != numbers);
}

BOOST_AUTO_TEST_CASE(the_fingerprint_is_that_of_earlier_checkpoints) {
  BOOST_TEST(
      fingerprint({}) ==
      R"({"seed":42,"prompts_per_step":8,"num_generations":8,"max_completion_length":256,"temperature":1.0,"top_k":0,"top_p":1.0,"min_p":0.0,)"
      R"("learning_rate":1e-06,"schedule":"constant","warmup_steps":0,)"
      R"("weight_decay":0.0,"max_grad_norm":1.0,"num_iterations":1,"num_minibatches":1,"loss_type":"dapo","importance_sampling_level":"token",)"
      R"("epsilon":[0.2,0.2],"delta":0.0,"beta":0.0,"kl":["k3","loss","none"],"ref_sync_steps":0})");
}

BOOST_AUTO_TEST_CASE(settings_that_few_runs_touch_are_named_where_they_are_not_the_default) {
  TrainerOptions t;
  t.sampling.decoding = maestro::Decoding::greedy;
  t.sampling.stop_tokens = {3, 4};
  t.optimizer.adamw.beta2 = 0.95;
  t.objective.entropy_bonus = 0.25;
  t.micro_batch_tokens = 7;
  const OrderedJson json = OrderedJson::parse(fingerprint(t));
  BOOST_TEST(json.at("decoding") == OrderedJson(1));
  BOOST_TEST(json.at("stop_tokens") == OrderedJson({3, 4}));
  BOOST_TEST(json.at("adamw") == OrderedJson({0.9, 0.95, 1e-8}));
  BOOST_TEST(json.at("entropy_bonus") == OrderedJson(0.25));
  BOOST_TEST(json.at("micro_batch_tokens") == OrderedJson(7));
  BOOST_TEST(!json.contains("sgd"));
}

BOOST_AUTO_TEST_CASE(what_has_an_effect_is_named) {
  TrainerOptions t;
  t.optimizer.kind = maestro::OptimizerKind::sgd;
  t.schedule = {.kind = maestro::ScheduleKind::cosine, .warmup_steps = 2, .total_steps = 9};
  t.objective.reduction = maestro::Reduction::dr_grpo;
  t.objective.max_completion_length = 12;
  t.objective.ratio_cap = 3.0;
  const OrderedJson json = OrderedJson::parse(fingerprint(t));
  BOOST_TEST(json.at("sgd") == OrderedJson({0.0, 0.0}));
  BOOST_TEST(json.at("schedule") == OrderedJson("cosine"));
  BOOST_TEST(json.at("steps") == OrderedJson(9));
  BOOST_TEST(json.at("loss_type") == OrderedJson("dr_grpo"));
  BOOST_TEST(json.at("dr_grpo_length") == OrderedJson(12));
  BOOST_TEST(json.at("delta") == OrderedJson(3.0));
  t.sampling.max_completion_length = 12;
  BOOST_TEST(!OrderedJson::parse(fingerprint(t)).contains("dr_grpo_length"));
}

BOOST_AUTO_TEST_CASE(every_trainer_setting_changes_the_fingerprint) {
  // Of options under which each has an effect.
  TrainerOptions base;
  base.optimizer.kind = maestro::OptimizerKind::sgd;
  base.schedule.kind = maestro::ScheduleKind::cosine;
  base.objective.reduction = maestro::Reduction::dr_grpo;
  std::size_t values = 0;
  visit_values(base, [&](const maestro::OptionInfo&, const auto&) { ++values; });
  for (std::size_t changed = 0; changed < values; ++changed) {
    TrainerOptions t = base;
    std::size_t place = 0;
    std::string name;
    visit_values(t, [&]<class T>(const maestro::OptionInfo& info, T& value) {
      if (place++ != changed) return;
      name = info.name;
      if constexpr (std::is_enum_v<T>) {
        value = static_cast<T>(value == T{} ? 1 : 0);
      } else if constexpr (std::is_same_v<T, std::vector<std::int32_t>>) {
        value = {1};
      } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
        value = {"stop"};
      } else if constexpr (std::is_same_v<T, std::optional<double>>) {
        value = 3.0;
      } else {
        value += 1;
      }
    });
    // Where the optimizer's state lies changes no bit of the results.
    const bool decides = name != "shard_optimizer";
    BOOST_TEST((fingerprint(t) != fingerprint(base)) == decides,
               name << (decides ? " changes nothing" : " is recorded"));
  }
}

BOOST_AUTO_TEST_SUITE_END()
