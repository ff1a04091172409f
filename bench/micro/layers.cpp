// The layers of the transformer beside its matrix products: norm, activation, attention.

#include <cstddef>
#include <string>
#include <vector>

#include "bench/micro/models.hpp"
#include "bench/micro/support.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/data/ragged.hpp"
#include "maestro/model/layers/attention.hpp"
#include "maestro/model/layers/column_sums.hpp"
#include "maestro/model/layers/rms_norm.hpp"
#include "maestro/model/layers/swiglu.hpp"
#include "maestro/model/packed_batch.hpp"

namespace maestro::bench {
namespace {

enum class Pass { forward, backward };

void norm(benchmark::State& state, Pass pass) {
  const std::size_t rows = size_arg(state, 0);
  const std::size_t d = size_arg(state, 1);
  Matrix<float> x(rows, d);
  Matrix<float> y(rows, d);
  Matrix<float> d_x(rows, d, 0.0f);
  fill(x.flat());
  const AlignedVector<float> weight(d, 1.0f);
  AlignedVector<float> d_weight(d, 0.0f);
  AlignedVector<float> inverse(rows);
  ColumnSums<float> sums;
  rms_norm<float>(x, weight, 1e-6, y, inverse);
  for (auto _ : state) {
    if (pass == Pass::forward) {
      rms_norm<float>(x, weight, 1e-6, y, inverse);
    } else {
      rms_norm_backward<float>(x, weight, inverse, y, d_x, d_weight, sums);
    }
    benchmark::ClobberMemory();
  }
  const auto values = static_cast<double>(rows * d);
  report(state, {.items = values, .bytes = values * sizeof(float) * (pass == Pass::forward ? 2 : 4)});
}

void activation(benchmark::State& state, Pass pass) {
  const std::size_t rows = size_arg(state, 0);
  const std::size_t width = size_arg(state, 1);
  Matrix<float> gate_up(rows, 2 * width);
  Matrix<float> d_gate_up(rows, 2 * width);
  Matrix<float> y(rows, width, 1.0f);
  fill(gate_up.flat());
  for (auto _ : state) {
    if (pass == Pass::forward) {
      swiglu<float>(gate_up, y);
    } else {
      swiglu_backward<float>(gate_up, y, d_gate_up);
    }
    benchmark::ClobberMemory();
  }
  const auto values = static_cast<double>(rows * width);
  report(state, {.items = values, .bytes = values * sizeof(float) * (pass == Pass::forward ? 3 : 5)});
}

/// One layer's attention over `groups` groups of G responses of R tokens that share a prompt of P tokens.
struct AttentionScene {
  ModelConfig config;
  PackedBatch batch;
  Attention<float> attention;
  Matrix<float> qkv;
  Matrix<float> attended;
  Matrix<float> log_sum_exp;
  Matrix<float> d_attended;
  Matrix<float> d_qkv;

  AttentionScene(const ModelConfig& c, std::size_t groups, std::size_t prompt, std::size_t group, std::size_t response)
      : config(c) {
    Ragged<std::int32_t> prompts;
    Ragged<std::int32_t> responses;
    for (std::size_t n = 0; n < groups; ++n) {
      prompts.push_row(random_tokens(prompt, c.vocabulary));
      for (std::size_t i = 0; i < group; ++i) responses.push_row(random_tokens(response, c.vocabulary));
    }
    batch.pack(prompts, responses, Groups::uniform(groups, group), 0, groups);
    qkv.resize(batch.rows(), c.qkv_size());
    attended.resize(batch.rows(), c.query_size());
    log_sum_exp.resize(batch.rows(), c.heads);
    d_attended.resize(batch.rows(), c.query_size());
    d_qkv.resize(batch.rows(), c.qkv_size());
    fill(qkv.flat(), 0.3);
    fill(d_attended.flat(), 1.0, 2);
  }
  /// Pairs of a query and a key that it sees.
  double pairs() const {
    double sum = 0.0;
    for (const Segment& s : batch.segments()) {
      sum += static_cast<double>(s.rows * s.prefix_rows) + static_cast<double>(s.rows * (s.rows + 1)) / 2.0;
    }
    return sum;
  }
};

void attend(benchmark::State& state, const ModelConfig& config, Pass pass) {
  AttentionScene s(config, size_arg(state, 0), size_arg(state, 1), size_arg(state, 2), size_arg(state, 3));
  s.attention.forward(config, s.batch, s.qkv, s.attended, s.log_sum_exp);
  for (auto _ : state) {
    if (pass == Pass::forward) {
      s.attention.forward(config, s.batch, s.qkv, s.attended, s.log_sum_exp);
    } else {
      s.attention.backward(config, s.batch, s.qkv, s.attended, s.log_sum_exp, s.d_attended, s.d_qkv);
    }
    benchmark::ClobberMemory();
  }
  // forward: scores and weighted values; backward: scores again, d probabilities, d queries, d keys, d values
  const double products = pass == Pass::forward ? 2.0 : 5.0;
  report(state, {.items = static_cast<double>(s.batch.rows()),
                 .flops = products * 2.0 * s.pairs() * static_cast<double>(config.query_size())});
}

const int registered = [] {
  for (const auto& [pass, suffix] : {std::pair{Pass::forward, "/forward"}, {Pass::backward, "/backward"}}) {
    const std::string name(suffix);
    add("rms_norm" + name, [pass = pass](benchmark::State& s) { norm(s, pass); })
        ->ArgNames({"rows", "d"})
        ->Args({8, 128})
        ->Args({1024, 128})
        ->Args({1024, 576})
        ->Args({1024, 4096});
    add("swiglu" + name, [pass = pass](benchmark::State& s) { activation(s, pass); })
        ->ArgNames({"rows", "width"})
        ->Args({8, 384})
        ->Args({1024, 384})
        ->Args({1024, 1536});
    const std::vector<std::string> shape{"N", "P", "G", "R"};
    add("attention/shipped" + name, [pass = pass](benchmark::State& s) { attend(s, shipped_config(), pass); })
        ->ArgNames(shape)
        ->Args({1, 64, 8, 80})
        ->Args({12, 64, 8, 80})
        ->Args({1, 512, 8, 256});
    add("attention/135m" + name, [pass = pass](benchmark::State& s) { attend(s, wide_config(), pass); })
        ->ArgNames(shape)
        ->Args({1, 64, 8, 80})
        ->Args({1, 512, 8, 256});
  }
  return 0;
}();

}  // namespace
}  // namespace maestro::bench
