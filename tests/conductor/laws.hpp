#pragma once

// What every Conductor must do, whatever it is made of and wherever it runs.

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <utility>

#include "conductor/support.hpp"
#include "maestro/conductor/probability.hpp"

namespace conductor_test {

using namespace maestro;

inline bool same(const Decision& a, const Decision& b) {
  return a.actions == b.actions && a.probabilities == b.probabilities && a.weights == b.weights && a.base == b.base &&
         a.emphasis == b.emphasis;
}

template <class C>
std::size_t actions_of(const C& conductor) {
  if constexpr (requires { conductor.num_actions(); }) {
    return conductor.num_actions();
  } else {
    return C::actions;
  }
}

/// What holds for every Conductor whose weights lie on the simplex.
template <class C>
void check_laws(C conductor, const std::size_t K) {
  for (std::uint32_t step = 0; step < 8; ++step) {
    Batch batch({3, 1, 0, 5}, 6, K, step);
    batch.step = step;
    if (K > 1) batch.rewards(0, 0) = batch.rewards(4, K - 1) = missing;
    for (std::size_t k = 0; k < K; ++k) batch.rewards(5, k) = missing;
    const Decision decision = conductor.decide(batch.view());
    BOOST_TEST(same(decision, conductor.decide(batch.view())));
    BOOST_REQUIRE(decision.rows() == 9u);
    BOOST_REQUIRE(decision.rewards() == K);
    BOOST_REQUIRE(decision.base.rows() == 9u);
    BOOST_TEST(decision.probabilities.empty() == decision.actions.empty());
    for (std::size_t i = 0; i < 9; ++i) {
      double sum = 0.0;
      for (std::size_t k = 0; k < K; ++k) {
        const bool taken = !decision.actions.empty() && decision.actions[i] == static_cast<std::int32_t>(k);
        BOOST_TEST(decision.weights(i, k) >= 0.0f);
        BOOST_TEST(decision.weights(i, k) == decision.base(i, k) + (taken ? decision.emphasis : 0.0f));
        if (taken) BOOST_TEST(decision.probabilities(i, k) > 0.0f);
        sum += double{decision.weights(i, k)};
      }
      BOOST_TEST(std::abs(sum - 1.0) < 1e-6);
    }
    BOOST_TEST(kl_to_uniform(decision, batch.rewards) <= std::log(static_cast<double>(K)) + 1e-6);
    if (const auto report = teach(conductor, batch, decision)) {
      BOOST_TEST(std::isfinite(report->loss));
      BOOST_TEST(std::abs(std::log(report->temperature)) < 1.2);  // eight steps of rate 0.05 from 1 or 0.5
      BOOST_TEST(report->entropy <= std::log(static_cast<double>(K)) + 1e-9);
    }
    Matrix<float> soft(9, K, missing);
    std::as_const(conductor).weights(batch.hidden.view(), soft);
    for (std::size_t i = 0; i < 9; ++i) {
      double sum = 0.0;
      for (const float w : soft.row(i)) sum += double{w};
      BOOST_TEST(std::abs(sum - 1.0) < 1e-6);
    }
  }
  Batch wrong({3}, 6, K + 1);
  BOOST_CHECK_THROW(conductor.decide(wrong.view()), BadArgument);
}
template <class C>
void check_laws(C conductor) {
  const std::size_t K = actions_of(conductor);
  check_laws(std::move(conductor), K);
}

}  // namespace conductor_test
