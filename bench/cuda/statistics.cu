// Statistics of every reward in every group.
#include <memory>
#include <type_traits>
#include <vector>

#include "bench/cuda/inputs.hpp"
#include "bench/cuda/place.hpp"
#include "bench/cuda/work.hpp"
#include "maestro/cuda/statistics/group_statistics.hpp"

namespace maestro::bench::device {

namespace {

template <class E, std::size_t K>
struct Statistics {
  explicit Statistics(const Options& o) : groups(gpu::GroupLayout::uniform(o.rows / o.group, o.group)) {
    const bool all = o.variant == "all";
    const std::vector<float> from = uniform_values(Purpose::rewards, o.rows * K);
    for (std::size_t c = 0; c < o.copies; ++c) rewards.push_back(place.upload(from));
    const std::size_t cells = groups.groups * K;
    for (auto* buffer : {&mean, &std_dev, &least, &largest}) *buffer = place.template room<float>(cells);
    out.mean = mean.data();
    out.std_dev = std_dev.data();
    out.least = least.data();
    out.largest = largest.data();
    if (all) {
      covariance = place.template room<float>(cells * K);
      ranks = place.template room<double>(o.rows * K);
      out.covariance = covariance.data();
      out.ranks = ranks.data();
    }
    run();
    place.dump(o.dump, "mean", mean.data(), cells);
    place.dump(o.dump, "deviation", std_dev.data(), cells);
    place.dump(o.dump, "least", least.data(), cells);
    place.dump(o.dump, "largest", largest.data(), cells);
    if (!all) return;
    place.dump(o.dump, "covariance", covariance.data(), cells * K);
    place.dump(o.dump, "ranks", ranks.data(), o.rows * K);
  }

  void run() {
    turn = (turn + 1) % rewards.size();
    gpu::group_statistics<K>(place.executor, rewards[turn].data(), groups, 1, out, place.faults.data());
  }

  using Floats = typename E::template Buffer<float>;

  Place<E> place{};
  gpu::GroupLayout groups;
  std::size_t turn = 0;
  std::vector<Floats> rewards{};
  Floats mean{};
  Floats std_dev{};
  Floats least{};
  Floats largest{};
  Floats covariance{};
  typename E::template Buffer<double> ranks{};
  gpu::GroupStatistics out{};
};

}  // namespace

Work statistics(const Options& o) {
  require(o.variant == "moments" || o.variant == "all", "statistics: --variant is moments or all");
  return on_executor(o, [&](auto* executor) -> Work {
    using E = std::remove_pointer_t<decltype(executor)>;
    if (o.rewards == 5) return work_of(std::make_shared<Statistics<E, 5>>(o));
    if (o.rewards == 16) return work_of(std::make_shared<Statistics<E, 16>>(o));
    throw BadArgument("statistics: --rewards is 5 or 16");
  });
}

}  // namespace maestro::bench::device
