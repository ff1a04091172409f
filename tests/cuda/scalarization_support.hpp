#pragma once

// Scalarizations on an executor against the library's own loops.

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <concepts>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda/memory.hpp"
#include "cuda/message_of.hpp"
#include "cuda/rewards.hpp"
#include "maestro/cuda/scalarization/scalarizer.hpp"
#include "scalarization/support.hpp"

namespace test {

using namespace maestro;

struct Outputs {
  std::vector<float> advantages;
  std::vector<float> scalars;
  std::vector<float> counterfactuals;
};

template <std::size_t K, class E, class S>
Outputs on(E& executor, const S& scalarization, const Matrix<float>& rewards, const Decision& decision,
           const Partition& partition, const std::vector<float>& penalty, const std::vector<std::int32_t>& lengths) {
  const std::size_t rows = rewards.rows();
  const auto upload = [&](const auto& from) {
    using T = std::remove_cvref_t<decltype(*from.data())>;
    return Memory<E, T>(executor, std::vector<T>(from.begin(), from.end()));
  };
  auto of_rewards = upload(rewards.flat());
  auto of_weights = upload(decision.weights.flat());
  auto of_base = upload(decision.base.flat());
  auto of_actions = upload(decision.actions);
  auto of_penalty = upload(penalty);
  auto of_offsets = upload(partition.offsets);
  auto of_lengths = upload(lengths);
  Memory<E, float> advantages(executor, std::vector<float>(rows, -99.0f));
  Memory<E, float> scalars(executor, std::vector<float>(rows, -99.0f));
  Memory<E, float> counterfactuals(executor, std::vector<float>(rows * K, -99.0f));
  gpu::Scalarizer<E, K> scalarize(executor);
  gpu::FaultRecord record(executor);
  scalarize(scalarization,
            {.rewards = of_rewards.data(),
             .weights = of_weights.data(),
             .groups = partition.on(of_offsets.data()),
             .penalty = penalty.empty() ? nullptr : of_penalty.data(),
             .base = of_base.data(),
             .emphasis = decision.emphasis,
             .actions = decision.actions.empty() ? nullptr : of_actions.data(),
             .lengths = of_lengths.data()},
            {advantages.data(), scalars.data(), counterfactuals.data()}, record.data());
  record.check(executor);
  return {advantages.read(), scalars.read(), counterfactuals.read()};
}

template <std::size_t K, class E, class S>
Outputs on(E& executor, const S& scalarization, const Matrix<float>& rewards, const Decision& decision,
           const Partition& partition, const std::vector<float>& penalty) {
  return on<K>(executor, scalarization, rewards, decision, partition, penalty, lengths_of(rewards));
}

inline void check_close(const float* got, std::span<const float> expected, double tolerance, const std::string& what) {
  double worst = 0.0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) && std::isnan(got[i])) continue;
    double error = std::abs(static_cast<double>(got[i]) - static_cast<double>(expected[i])) /
                   (1.0 + std::abs(static_cast<double>(expected[i])));
    if (std::isnan(error)) error = HUGE_VAL;
    if (error > worst) {
      worst = error;
      at = i;
    }
  }
  BOOST_TEST(worst <= tolerance, what << ": entry " << at << " is " << got[at] << ", expected " << expected[at]);
}

inline void check_equal(const Outputs& got, const test::Result& expected, double tolerance, const std::string& what) {
  check_close(got.advantages.data(), expected.advantages, tolerance, what + ", advantages");
  check_close(got.scalars.data(), expected.scalars, tolerance, what + ", scalar rewards");
  check_close(got.counterfactuals.data(), expected.counterfactuals.flat(), tolerance, what + ", counterfactuals");
}

/// A scalarization with every normalizer.
template <std::size_t K, class E, class Make>
void check_one(E& executor, const Make& make, const Matrix<float>& rewards, const Decision& decision,
               const Partition& partition, const std::vector<float>& penalty, double tolerance,
               const std::string& what) {
  constexpr std::array kinds{NormalizerKind::none, NormalizerKind::z_score, NormalizerKind::rank};
  for (const NormalizerKind kind : kinds) {
    const auto scalarization = make(AdvantagesOptions{.normalizer = {.kind = kind}});
    const auto expected = run(scalarization, rewards, decision, partition.groups, Want::counterfactuals, penalty);
    check_equal(on<K>(executor, scalarization, rewards, decision, partition, penalty), expected, tolerance,
                what + ", normalizer " + std::string(normalizer_names[static_cast<std::size_t>(kind)]));
  }
}

/// Every named scalarization: for_each(f) calls f(name, make) with make(options) a scalarization.
struct EveryScalarization {
  template <class F>
  static void for_each(const F& f) {
    for (const std::string_view name : scalarization_names) {
      f(name, [name](const AdvantagesOptions& o) { return AnyScalarization(name, o); });
    }
  }
};

/// One of each kind: every one takes long to compile for a device.
struct SomeScalarizations {
  template <class F>
  static void for_each(const F& f) {
    one<GroupRelative>(f);
    one<BatchScaled>(f);
    one<Rloo>(f);
    one<Gdpo>(f);
    one<OwnWeightBaseline>(f);
  }

 private:
  template <class A, class F>
  static void one(const F& f) {
    f(A::name, [](const AdvantagesOptions& o) { return Advantages<A>(A{}, o); });
  }
};

/// Every `parts`-th estimator of the library's list, from place `part` on.
template <std::size_t part, std::size_t parts>
struct EstimatorsFrom {
  template <class F>
  static void for_each(const F& f) {
    AdvantageEstimators::apply<Places>::for_each(f);
  }

 private:
  template <class... A>
  struct Places {
    template <class F>
    static void for_each(const F& f) {
      (one<A>(f), ...);
    }
    template <class A0, class F>
    static void one(const F& f) {
      if constexpr (place_of<A0>() % parts == part) {
        f(A0::name, [](const AdvantagesOptions& o) { return Advantages<A0>(A0{}, o); });
      }
    }
    template <class A0>
    static consteval std::size_t place_of() {
      std::size_t place = 0;
      bool found = false;
      ((found = found || std::same_as<A, A0>, place += found ? 0 : 1), ...);
      return place;
    }
  };
};

template <std::size_t K, class Which, class E>
void check_all(E& executor, const Matrix<float>& rewards, const Decision& decision, const Partition& partition,
               const std::vector<float>& penalty, double tolerance, const std::string& what) {
  Which::for_each([&](std::string_view name, const auto& make) {
    check_one<K>(executor, make, rewards, decision, partition, penalty, tolerance, what + ", " + std::string(name));
  });
}

/// Random rewards (some missing), actions and bases over the given groups.
struct RewardedBatch {
  RewardedBatch(const Partition& of, std::size_t count, std::uint64_t seed, double missing_share) : partition(of) {
    const Groups& groups = partition.groups;
    const RandomStream stream({.seed = seed});
    std::uint32_t at = 0;
    rewards.resize(groups.rows(), count);
    Matrix<float> base(groups.rows(), count);
    std::vector<std::size_t> actions;
    for (std::size_t i = 0; i < groups.rows(); ++i) {
      for (std::size_t k = 0; k < count; ++k) {
        rewards(i, k) = static_cast<float>(stream.normal(at++));
        if (stream.uniform(at++) < missing_share) rewards(i, k) = test::missing;
        base(i, k) = static_cast<float>(0.2 * stream.uniform(at++));
      }
      actions.push_back(static_cast<std::size_t>(stream.below(count, at++)));
    }
    decision = test::acted(actions, std::move(base), 0.7f);
  }
  Partition partition;
  Matrix<float> rewards;
  Decision decision;
};

/// Ragged groups with missing rewards, with and without penalties.
template <std::size_t K, class Which, class E>
void check_scene(E& executor) {
  const Scene scene(K);
  Partition partition({5, 1, 0, 7, 2, 8});
  check_all<K, Which>(executor, scene.rewards, scene.decision, partition, scene.penalty, 2e-7,
                      "K " + std::to_string(K));
  check_all<K, Which>(executor, scene.rewards, scene.decision, partition, {}, 2e-7, "without penalty");
}

template <class Which, class E>
void check_even_groups(E& executor) {
  for (const std::size_t size : {1u, 2u, 4u, 8u, 64u, 65u, 300u, 1024u, 1030u}) {
    const std::size_t count = size > 300 ? 2 : 600 / size + 1;
    const RewardedBatch batch(Partition::uniform(count, size), 3, size, 0.1);
    check_all<3, Which>(executor, batch.rewards, batch.decision, batch.partition, {}, 5e-7,
                        "groups of " + std::to_string(size));
  }
}

template <class Which, class E>
void check_empty_and_large_groups(E& executor) {
  const RewardedBatch batch(Partition({0, 3, 0, 0, 1100, 1, 0, 7, 0}), 3, 9, 0.3);
  check_all<3, Which>(executor, batch.rewards, batch.decision, batch.partition, {}, 5e-7, "empty and large");
  // Several runs of groups for one team.
  std::vector<std::size_t> sizes;
  for (std::size_t g = 0; g < 60; ++g) sizes.push_back(g % 6 == 5 ? 280 : 3);
  const RewardedBatch mixed(Partition(sizes), 3, 10, 0.2);
  check_all<3, Which>(executor, mixed.rewards, mixed.decision, mixed.partition, {}, 5e-7, "several runs");
  const RewardedBatch none(Partition({0, 0}), 3, 9, 0.3);
  on<3>(executor, Advantages{GroupRelative{}}, none.rewards, none.decision, none.partition, {});
  on<3>(executor, Advantages{Gdpo{}}, none.rewards, none.decision, none.partition, {});
}

template <class Which, class E>
void check_a_hundred_thousand(E& executor) {
  const RewardedBatch batch(Partition::uniform(1, 100000), 3, 4, 0.05);
  Which::for_each([&](std::string_view name, const auto& make) {
    if (name != "group" && name != "gdpo" && name != "own_weight") return;  // others take O(n^2) for counterfactuals
    const auto scalarization = make(AdvantagesOptions{.normalizer = {.kind = NormalizerKind::z_score}});
    const Result expected = run(scalarization, batch.rewards, batch.decision, batch.partition.groups);
    const Outputs got = on<3>(executor, scalarization, batch.rewards, batch.decision, batch.partition, {});
    check_close(got.advantages.data(), expected.advantages, 1e-6, std::string(name));
  });
}

template <class Which, class E>
void check_equal_rewards_give_zero(E& executor) {
  for (const std::size_t size : {4u, 100u, 2000u}) {
    RewardedBatch batch(Partition::uniform(3, size), 3, 1, 0.0);
    for (float& reward : batch.rewards.flat()) reward = 0.1f;
    batch.decision = shared_weights(batch.rewards.rows(), {0.3f, 0.3f, 0.4f});
    Which::for_each([&](std::string_view, const auto& make) {
      const Outputs got =
          on<3>(executor, make(AdvantagesOptions{}), batch.rewards, batch.decision, batch.partition, {});
      for (const float advantage : got.advantages) BOOST_REQUIRE_EQUAL(advantage, 0.0f);
    });
  }
}

template <class E>
void check_same_bits(E& executor) {
  const RewardedBatch batch(Partition::uniform(5, 700), 3, 2, 0.1);
  const Outputs first = on<3>(executor, Advantages{Gdpo{}}, batch.rewards, batch.decision, batch.partition, {});
  for (int run = 0; run < 3; ++run) {
    const Outputs again = on<3>(executor, Advantages{Gdpo{}}, batch.rewards, batch.decision, batch.partition, {});
    BOOST_TEST((same_bits(again.advantages, first.advantages) && same_bits(again.scalars, first.scalars) &&
                same_bits(again.counterfactuals, first.counterfactuals)));
  }
}

template <class E>
void check_bad_data(E& executor) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto check = [&](auto&& spoil) {
    RewardedBatch batch(Partition::uniform(4, 8), 3, 5, 0.1);
    std::vector<float> penalty(32, 0.1f);
    spoil(batch, penalty);
    const std::string expected = message_of([&] {
      run(Advantages{Gdpo{}}, batch.rewards, batch.decision, batch.partition.groups, Want::counterfactuals, penalty);
    });
    BOOST_TEST(expected.find("scalarization: ") == 0u);
    BOOST_TEST(message_of([&] {
                 on<3>(executor, Advantages{Gdpo{}}, batch.rewards, batch.decision, batch.partition, penalty);
               }) == expected);
    BOOST_TEST(message_of([&] {
                 on<3>(executor, Advantages{OwnWeightBaseline{}}, batch.rewards, batch.decision, batch.partition,
                       penalty);
               }) == expected);
  };
  check([&](RewardedBatch& b, auto&) { b.rewards(17, 1) = infinity; });
  check([&](RewardedBatch& b, auto&) { b.rewards(30, 2) = -infinity, b.rewards(29, 0) = infinity; });
  check([&](RewardedBatch& b, auto&) { b.decision.weights(9, 2) = missing; });
  check([&](RewardedBatch& b, auto&) { b.decision.base(3, 0) = infinity; });
  check([&](RewardedBatch&, auto& penalty) { penalty[21] = missing; });
  check([&](RewardedBatch& b, auto& penalty) { penalty[2] = infinity, b.rewards(0, 0) = infinity; });
  check([&](RewardedBatch& b, auto&) { b.decision.emphasis = infinity; });
}

}  // namespace test
