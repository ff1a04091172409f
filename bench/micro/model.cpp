// The language-model head in chunks, and decoding steps.

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "bench/common/backend.hpp"
#include "bench/micro/models.hpp"
#include "bench/micro/support.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/data/ragged.hpp"
#include "maestro/model/decoder.hpp"
#include "maestro/model/lm_head.hpp"
#include "maestro/model/weights.hpp"

namespace maestro::bench {
namespace {

enum class Pass { forward, backward };

void lm_head(benchmark::State& state, Pass pass) {
  const std::size_t tokens = size_arg(state, 0);
  const std::size_t d = size_arg(state, 1);
  const std::size_t vocabulary = size_arg(state, 2);
  Matrix<float> hidden(tokens, d);
  Matrix<float> weight(vocabulary, d);
  fill(hidden.flat());
  fill(weight.flat(), 0.02, 2);
  const std::vector<std::int32_t> targets = random_tokens(tokens, vocabulary);
  std::vector<std::size_t> predictors(tokens);
  std::iota(predictors.begin(), predictors.end(), std::size_t{0});
  const HeadBatch<float> batch{.hidden = hidden, .weight = weight, .predictors = predictors, .targets = targets};
  std::vector<float> log_probs(tokens);
  const std::vector<float> d_log_probs(tokens, 1.0f);
  Matrix<float> d_hidden(tokens, d, 0.0f);
  Matrix<float> d_weight(pass == Pass::backward ? vocabulary : 0, d, 0.0f);
  LmHead<float, Backend> head;
  head.forward(batch, std::span<float>(log_probs), {});
  for (auto _ : state) {
    if (pass == Pass::forward) {
      head.forward(batch, std::span<float>(log_probs), {});
    } else {
      head.backward(batch, std::span<const float>(d_log_probs), {}, d_hidden.view(), d_weight.view());
    }
    benchmark::ClobberMemory();
  }
  // backward: the logits again, d hidden and d weight
  const double products = pass == Pass::forward ? 1.0 : 3.0;
  report(state, {.items = static_cast<double>(tokens),
                 .flops = products * 2.0 * static_cast<double>(tokens) * static_cast<double>(d * vocabulary)});
}

/// A response's cache of random tokens that decoding steps extend; all prompts have 64 tokens, groups up to 8 members.
struct DecodeScene {
  static constexpr std::size_t prompt = 64;

  ModelConfig config;
  ModelWeights<float> weights;
  std::vector<std::size_t> groups;
  std::vector<std::size_t> responses;
  std::vector<std::int32_t> tokens;
  PreparedWeights<float, Backend> prepared;
  PromptRunner<float, Backend> runner;
  Decoder<float, Backend> decoder;

  DecodeScene(const ModelConfig& c, std::size_t rows)
      : config(c), weights(c), groups(rows), responses(rows), tokens(random_tokens(rows, c.vocabulary)) {
    fill(weights.flat(), 0.02);
    Ragged<std::int32_t> prompts;
    for (std::size_t r = 0; r < rows; ++r) groups[r] = r / 8;
    for (std::size_t g = 0; g <= groups.back(); ++g) prompts.push_row(random_tokens(prompt, c.vocabulary));
    std::iota(responses.begin(), responses.end(), std::size_t{0});
    runner.run(weights, prompts);
    prepared.assign(weights);
  }
  /// Responses of `length` tokens each.
  void restart(std::size_t length) {
    decoder.begin(config, runner.cache(), groups);
    for (std::size_t t = 0; t < length; ++t) step();
  }
  void step() { decoder.step(prepared, responses, tokens); }
};

/// One token for each of `rows` responses that have `tail` tokens, and up to 64 more.
void decode(benchmark::State& state, const ModelConfig& config) {
  const std::size_t rows = size_arg(state, 0);
  const std::size_t tail = size_arg(state, 1);
  constexpr std::size_t steps = 64;
  DecodeScene scene(config, rows);
  std::size_t done = steps;
  for (auto _ : state) {
    if (done == steps) {
      state.PauseTiming();
      scene.restart(tail);
      done = 0;
      state.ResumeTiming();
    }
    scene.step();
    ++done;
    benchmark::ClobberMemory();
  }
  const std::size_t layer =
      config.hidden * (config.qkv_size() + config.query_size()) + 3 * config.hidden * config.intermediate;
  const auto read = static_cast<double>(config.layers * layer);
  const double pairs =
      static_cast<double>(rows * config.layers) * (static_cast<double>(DecodeScene::prompt + tail) + steps / 2.0);
  report(state,
         {.items = static_cast<double>(rows),
          .flops = 2.0 * read * static_cast<double>(rows) + 4.0 * pairs * static_cast<double>(config.query_size()),
          .bytes = read * sizeof(float)});
}

const int registered = [] {
  for (const auto& [pass, suffix] : {std::pair{Pass::forward, "/forward"}, {Pass::backward, "/backward"}}) {
    add(std::string("lm_head") + suffix, [pass = pass](benchmark::State& s) { lm_head(s, pass); })
        ->ArgNames({"tokens", "d", "V"})
        ->Args({1024, 128, 272})
        ->Args({256, 576, 49152})
        ->Args({128, 896, 151936});
  }
  const auto steps = [](const std::string& name, const ModelConfig& config, const std::vector<std::int64_t>& tails) {
    add("decode_step/" + name, [config](benchmark::State& s) { decode(s, config); })
        ->ArgNames({"rows", "tail"})
        ->ArgsProduct({{1, 4, 8, 16}, tails});
  };
  steps("shipped", shipped_config(), {32, 512});
  steps("135m_8_layers", wide_config(), {32});
  return 0;
}();

}  // namespace
}  // namespace maestro::bench
