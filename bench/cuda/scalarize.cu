// Rewards and weights of many responses to advantages.
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "bench/cuda/inputs.hpp"
#include "bench/cuda/place.hpp"
#include "bench/cuda/work.hpp"
#include "maestro/cuda/scalarization/scalarizer.hpp"

namespace maestro::bench::device {

namespace {

constexpr std::size_t num_rewards = 5;
constexpr float emphasis = 0.5f;

template <class E, class A>
struct Scalarize {
  Scalarize(const Options& o, bool counterfactual)
      : groups(gpu::GroupLayout::uniform(o.rows / o.group, o.group)), scalarizer(place.executor) {
    const std::size_t cells = o.rows * num_rewards;
    const std::vector<std::int32_t> drawn = fixed_actions(o.rows, num_rewards);
    const std::vector<float> from = uniform_values(Purpose::rewards, cells);
    const std::vector<float> even =
        filled<float>(cells, [](std::size_t i) { return 0.2f * uniform(Purpose::base, i); });
    std::vector<float> blended = even;
    for (std::size_t i = 0; i < o.rows; ++i) blended[i * num_rewards + static_cast<std::size_t>(drawn[i])] += emphasis;
    for (std::size_t c = 0; c < o.copies; ++c) {
      rewards.push_back(place.upload(from));
      weights.push_back(place.upload(blended));
      base.push_back(place.upload(even));
      actions.push_back(place.upload(drawn));
    }
    advantages = place.template room<float>(o.rows);
    if (counterfactual) counterfactuals = place.template room<float>(cells);
    out.advantages = advantages.data();
    if (counterfactual) out.counterfactuals = counterfactuals.data();
    run();
    place.dump(o.dump, "advantages", advantages.data(), o.rows);
    if (counterfactual) place.dump(o.dump, "counterfactuals", counterfactuals.data(), cells);
  }

  void run() {
    turn = (turn + 1) % rewards.size();
    scalarizer(scalarization,
               {.rewards = rewards[turn].data(),
                .weights = weights[turn].data(),
                .groups = groups,
                .base = base[turn].data(),
                .emphasis = emphasis,
                .actions = actions[turn].data()},
               out, place.faults.data());
  }

  using Floats = typename E::template Buffer<float>;

  Place<E> place{};
  gpu::GroupLayout groups;
  Advantages<A> scalarization{};
  gpu::Scalarizer<E, num_rewards> scalarizer;
  std::size_t turn = 0;
  std::vector<Floats> rewards{};
  std::vector<Floats> weights{};
  std::vector<Floats> base{};
  std::vector<typename E::template Buffer<std::int32_t>> actions{};
  Floats advantages{};
  Floats counterfactuals{};
  gpu::AdvantageBatch out{};
};

template <class A>
Work work_by(const Options& o, bool counterfactual) {
  return on_executor(o, [&](auto* executor) {
    using State = Scalarize<std::remove_pointer_t<decltype(executor)>, A>;
    return work_of(std::make_shared<State>(o, counterfactual));
  });
}

}  // namespace

Work scalarize(const Options& o) {
  require(o.rewards == num_rewards, "scalarize: --rewards is 5");
  const std::string suffix = "_counterfactual";
  const bool counterfactual = o.variant.ends_with(suffix);
  const std::string name = o.variant.substr(0, o.variant.size() - (counterfactual ? suffix.size() : 0));
  if (name == "group_relative") return work_by<GroupRelative>(o, counterfactual);
  if (name == "gdpo") return work_by<Gdpo>(o, counterfactual);
  if (name == "own_weight") return work_by<OwnWeightBaseline>(o, counterfactual);
  throw BadArgument("scalarize: --variant is group_relative, gdpo or own_weight, or one of them with _counterfactual");
}

}  // namespace maestro::bench::device
