#include "maestro/model/classifier.hpp"
#include "maestro/gemm/native.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "maestro/gemm/gemm.hpp"
#include "maestro/reward/preference.hpp"
#include "maestro/reward/preference_loss.hpp"
#include "maestro/reward/reward_set.hpp"
#include "reward/rollouts_fixture.hpp"

BOOST_AUTO_TEST_SUITE(reward_model)

namespace {

using namespace maestro;
using test::make_rollouts;
using test::prompt;

/// Letters a .. h as tokens 0 .. 7, token 8 ends.
struct Letters {
  std::vector<std::int32_t> encode(std::string_view text) const {
    std::vector<std::int32_t> tokens;
    for (const char c : text) tokens.push_back((c - 'a') % 8);
    return tokens;
  }
  std::string decode(std::span<const std::int32_t> tokens) const { return std::string(tokens.size(), 'a'); }
  std::size_t vocabulary_size() const { return 9; }
  std::int32_t end_token() const { return 8; }
};

template <class T>
using Model = RewardModel<T, NativeBackend, Letters>;

static_assert(PreferenceScorer<Model<float>> && Visitable<Model<float>>);
static_assert(BatchReward<Preference<Model<float>>>);

ModelConfig config() { return qwen3_config(9, 6, 2, 2, 1, 4, 10); }

/// Every parameter random and of a size that matters.
template <class T>
Model<T> random_model(const ModelConfig& c = config()) {
  Model<T> model(c, Letters{});
  std::uint32_t row = 0;
  model.visit([&row](auto parameter) {
    const RandomStream stream({.seed = 5, .row = row++});
    const bool norm = parameter.name.find("norm") != std::string_view::npos;
    for (std::size_t i = 0; i < parameter.values.size(); ++i) {
      const double draw = stream.normal(static_cast<std::uint32_t>(i));
      parameter.values[i] = static_cast<T>(norm ? 1.0 + 0.3 * draw : 0.5 * draw);
    }
  });
  return model;
}

Rollouts batch() {
  return make_rollouts({{prompt("abc", 0), {{"dde"}, {""}, {"h", {}, Finish::length}}},
                        {prompt("f", 1), {{"gabcdeh"}}},
                        {prompt("ga", 2), {{"b"}, {"", {}, Finish::length}}}});
}

template <class M>
std::vector<float> scores_of(const M& model, const Rollouts& rollouts) {
  std::vector<float> out(rollouts.size());
  model.score(rollouts, out);
  return out;
}

BOOST_AUTO_TEST_CASE(a_group_scores_as_its_responses_alone_and_in_any_micro_batch) {
  const Rollouts rollouts = batch();
  const std::vector<float> together = scores_of(random_model<float>(), rollouts);
  Model<float> small(config(), Letters{}, {.micro_batch_tokens = 1});
  Model<float> source = random_model<float>();
  std::vector<std::span<const float>> values;
  source.visit([&](auto p) { values.push_back(p.values); });
  std::size_t at = 0;
  small.visit([&](auto p) { std::copy(values[at].begin(), values[at].end(), p.values.begin()), ++at; });
  BOOST_TEST(scores_of(small, rollouts) == together, boost::test_tools::tolerance(1e-4f)
                                                         << boost::test_tools::per_element());
  for (std::size_t i = 0; i < rollouts.size(); ++i) {
    const Completion c = rollouts.completion(i);
    const Rollouts alone = make_rollouts({{c.prompt, {{std::string(c.text), {}, c.finish}}}});
    BOOST_TEST(std::abs(scores_of(source, alone)[0] - together[i]) < 1e-5);
  }
  const Model<float> copy = source;
  BOOST_TEST(scores_of(copy, rollouts) == scores_of(source, rollouts));
  for (std::size_t i = 1; i < together.size(); ++i) BOOST_TEST(std::abs(together[i] - together[0]) > 1e-3);
}

BOOST_AUTO_TEST_CASE(the_score_reads_the_last_token_of_the_response) {
  Model<double> model = random_model<double>();
  RewardModelBatch input;
  model.push_prompt(input, "abc");
  model.push_response(input, "de");
  std::vector<double> scores(1);
  model.forward(input, scores);
  PackedBatch packed;
  packed.push_sequence(std::vector<std::int32_t>{0, 1, 2, 3, 4, 8});
  ModelWeights<double> weights(model.config());
  std::vector<double> head;
  std::vector<std::span<const double>> values;
  std::as_const(model).visit([&](auto p) { values.push_back(p.values); });
  std::size_t at = 0;
  weights.visit([&](auto p) { std::copy(values[at].begin(), values[at].end(), p.values.begin()), ++at; });
  TransformerWorkspace<double> workspace;
  const auto hidden = Transformer<double, NativeBackend>::forward(weights, packed, workspace);
  double expected = 0.0;
  for (std::size_t c = 0; c < 6; ++c) expected += values.back()[c] * hidden(5, c);
  BOOST_TEST(scores[0] == expected, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(parameters_have_the_names_of_a_sequence_classifier) {
  ModelConfig untied = config();
  untied.head = HeadWeights::separate;
  Model<float> model(untied, Letters{});
  std::vector<std::string> names;
  model.visit([&](auto p) {
    names.emplace_back(p.name);
    BOOST_TEST(p.gradients.empty());
  });
  BOOST_TEST(names.front() == "model.embed_tokens.weight");
  BOOST_TEST(names.back() == "score.weight");
  BOOST_TEST((std::find(names.begin(), names.end(), "lm_head.weight") == names.end()));
  model.zero_gradients();
  model.visit([&](auto p) { BOOST_TEST(p.gradients.size() == p.values.size()); });
}

/// Central differences of `loss(model)` against the gradients in the model, for some values of every parameter.
template <class Loss>
void check_gradients(Model<double>& model, const Loss& loss) {
  model.visit([&](auto p) {
    const std::size_t step = std::max<std::size_t>(1, p.values.size() / 7);
    for (std::size_t i = 0; i < p.values.size(); i += step) {
      const double kept = p.values[i];
      const double h = 1e-5;
      p.values[i] = kept + h;
      const double above = loss();
      p.values[i] = kept - h;
      const double below = loss();
      p.values[i] = kept;
      const double numeric = (above - below) / (2 * h);
      BOOST_TEST_CONTEXT(p.name << "[" << i << "]: " << p.gradients[i] << " against " << numeric) {
        BOOST_TEST(std::abs(p.gradients[i] - numeric) < 1e-7 + 1e-6 * std::abs(numeric));
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(training_gradients_agree_with_differences) {
  Model<double> model = random_model<double>();
  RewardModelBatch input;
  model.push_prompt(input, "abc");
  model.push_response(input, "dde");
  model.push_response(input, "");
  model.push_response(input, "", Finish::length);
  model.push_prompt(input, "h");
  model.push_response(input, "gfa");
  model.push_response(input, "b", Finish::length);
  const std::vector<PreferencePair> pairs{{0, 1}, {2, 0}, {4, 3}};
  const std::vector<double> targets{0.5, -1, 2, 0, 1};
  std::vector<double> scores(5);
  std::vector<double> d_scores(5);

  const auto pairwise = [&] {
    model.forward(input, scores);
    return bradley_terry_loss<double>(scores, pairs, d_scores);
  };
  const auto regression = [&] {
    model.forward(input, scores);
    return squared_error_loss<double>(scores, targets, d_scores);
  };
  BOOST_CHECK_THROW(model.backward(d_scores), BadArgument);
  model.zero_gradients();
  pairwise();
  model.backward(d_scores);
  check_gradients(model, pairwise);
  model.zero_gradients();
  regression();
  model.backward(d_scores);
  check_gradients(model, regression);
}

BOOST_AUTO_TEST_CASE(it_learns_a_preference_and_serves_as_a_reward) {
  Model<float> model(config(), Letters{});
  model.initialize(3);
  RewardModelBatch input;
  std::vector<PreferencePair> pairs;
  for (const char* text : {"abc", "de", "fgh"}) {
    pairs.push_back({input.responses.rows(), input.responses.rows() + 1});
    model.push_prompt(input, text);
    model.push_response(input, "aah");
    model.push_response(input, "ddh");
  }
  std::vector<float> scores(6);
  std::vector<float> d_scores(6);
  double first = 0.0;
  double last = 0.0;
  for (int step = 0; step < 60; ++step) {
    model.zero_gradients();
    model.forward(input, scores);
    last = bradley_terry_loss<float>(scores, pairs, d_scores);
    if (step == 0) first = last;
    model.backward(d_scores);
    model.visit([](auto p) {
      for (std::size_t i = 0; i < p.values.size(); ++i) p.values[i] -= 0.2f * p.gradients[i];
    });
  }
  BOOST_TEST(last < 0.3 * first);
  const RewardSet rewards{Preference{model}};
  Matrix<float> out(2, 1);
  rewards.evaluate(make_rollouts({{prompt("cc", 0), {{"aah"}, {"ddh"}}}}), out);
  BOOST_TEST(out(0, 0) > out(1, 0));
}

BOOST_AUTO_TEST_CASE(what_check_prompts_lets_pass_can_be_scored) {
  ModelConfig short_config = config();
  short_config.max_positions = 12;
  const RewardSet rewards{Preference{random_model<float>(short_config)}};
  const std::vector<Prompt> prompts{prompt("abc", 0), prompt("abcd", 7)};
  // Eight tokens of response: cut, or seven letters and the end.
  const auto longest = [&](std::size_t letters, Finish finish) {
    return make_rollouts({{prompts[1], {{std::string(letters, 'b'), {}, finish}}}});
  };
  Matrix<float> out(1, 1);
  BOOST_CHECK_NO_THROW(rewards.check_prompts(prompts, {.max_completion_length = 8}));
  BOOST_CHECK_NO_THROW(rewards.evaluate(longest(7, Finish::stop), out));
  BOOST_CHECK_NO_THROW(rewards.evaluate(longest(8, Finish::length), out));
  BOOST_CHECK_THROW(rewards.evaluate(longest(8, Finish::stop), out), BadData);
  BOOST_CHECK_EXCEPTION(
      rewards.check_prompts(prompts, {.max_completion_length = 9}), BadArgument,
      [](const BadArgument& e) { return std::string(e.what()).find("data row 7 has 4 tokens") != std::string::npos; });
}

BOOST_AUTO_TEST_CASE(losses_of_extreme_and_wrong_input) {
  std::vector<double> scores{1000, -1000, 0, 0};
  std::vector<double> d(4);
  const std::vector<PreferencePair> sure{{0, 1}};
  const std::vector<PreferencePair> wrong{{1, 0}};
  const std::vector<PreferencePair> even{{2, 3}};
  const std::vector<PreferencePair> outside{{2, 4}};
  BOOST_TEST(bradley_terry_loss<double>(scores, sure, d) == 0.0);
  BOOST_TEST(bradley_terry_loss<double>(scores, wrong, d) == 2000.0);
  BOOST_TEST(d[1] == -1.0);
  BOOST_TEST(bradley_terry_loss<double>(scores, even, d) == std::log(2.0), boost::test_tools::tolerance(1e-12));
  BOOST_TEST(d[2] == -0.5);
  BOOST_TEST(d[0] == 0.0);
  BOOST_CHECK_THROW(bradley_terry_loss<double>(scores, outside, d), BadArgument);
  BOOST_CHECK_THROW(bradley_terry_loss<double>(scores, {}, d), BadArgument);
  ModelConfig tiny = config();
  tiny.vocabulary = 5;
  BOOST_CHECK_THROW((Model<float>(tiny, Letters{})), BadArgument);
  BOOST_CHECK_THROW((Model<float>(config(), Letters{}, {.micro_batch_tokens = 0})), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
