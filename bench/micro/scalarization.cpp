// Advantages from rewards and weights, with and without the advantages of the actions not taken.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/micro/support.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/scalarization/any_scalarization.hpp"

namespace maestro::bench {
namespace {

/// Random rewards (B x K) in groups of 8, and weights that blend uniform with a drawn action.
struct Scene {
  Groups groups;
  Matrix<float> rewards;
  Decision decision;
  std::vector<std::int32_t> lengths;

  Scene(std::size_t rows, std::size_t count)
      : groups(Groups::uniform(rows / 8, 8)), rewards(rows, count), lengths(rows, 100) {
    fill(rewards.flat());
    const float base = 0.5f / static_cast<float>(count);
    decision.base.assign(rows, count, base);
    decision.weights.assign(rows, count, base);
    decision.emphasis = 0.5f;
    decision.actions = random_tokens(rows, count);
    for (std::size_t i = 0; i < rows; ++i) decision.weights(i, static_cast<std::size_t>(decision.actions[i])) += 0.5f;
  }
};

enum class Want { advantages, counterfactuals };

void scalarize(benchmark::State& state, std::string_view name, Want want) {
  const AnyScalarization scalarization(name);
  const std::size_t rows = size_arg(state, 0);
  const std::size_t count = size_arg(state, 1);
  const Scene scene(rows, count);
  std::vector<float> advantages(rows);
  std::vector<float> scalars(rows);
  Matrix<float> counterfactuals(want == Want::counterfactuals ? rows : 0, count);
  SingleProcess comm;
  for (auto _ : state) {
    scalarization(ScalarizationInput{scene.rewards, scene.decision, scene.groups, {}, scene.lengths},
                  ScalarizationOutput{advantages, scalars, counterfactuals.view()}, comm);
    benchmark::ClobberMemory();
  }
  report(state, {.items = static_cast<double>(rows)});
}

const int registered = [] {
  for (const std::string_view name : scalarization_names) {
    for (const auto& [want, suffix] :
         {std::pair{Want::advantages, "/advantages"}, {Want::counterfactuals, "/with_counterfactuals"}}) {
      const auto body = [name, want = want](benchmark::State& s) { scalarize(s, name, want); };
      add(std::string(name) + suffix, body)->ArgNames({"B", "K"})->ArgsProduct({{64, 1024, 100'000}, {2, 5, 16}});
    }
  }
  return 0;
}();

}  // namespace
}  // namespace maestro::bench
