#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "cuda/loss_support.hpp"
#include "maestro/cuda/core/stream_executor.cuh"

using namespace maestro;
using namespace test;

BOOST_AUTO_TEST_SUITE(device_loss)

BOOST_AUTO_TEST_CASE(every_setting_as_on_the_host) {
  gpu::OwnStreamExecutor executor;
  for (const ObjectiveOptions& options : all_options()) {
    for (const LossCase<float>& c : small_cases<float>()) {
      const LossOutcome<float> want = loss_by_cpu(options, c);
      const LossOutcome<float> got = loss_on(executor, options, c);
      float largest = 0.0f;
      for (const float value : want.d_log_probs) largest = std::max(largest, std::abs(value));
      for (std::size_t t = 0; t < want.d_log_probs.size(); ++t) {
        BOOST_TEST(std::abs(got.d_log_probs[t] - want.d_log_probs[t]) <= 1e-6f * largest);
      }
      const auto of_host = fields(want.report);
      const auto of_device = fields(got.report);
      for (std::size_t f = 0; f < of_host.size(); ++f) {
        BOOST_TEST(std::abs(of_device[f] - of_host[f]) <= 1e-10 * (1.0 + std::abs(of_host[f])));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_same_bits_on_every_run) {
  gpu::OwnStreamExecutor executor;
  const auto c = random_case<float>({500, 0, 3, 100000, 77});
  const LossOutcome<float> first = loss_on(executor, {}, c);
  const LossOutcome<float> again = loss_on(executor, {}, c);
  BOOST_TEST(again.d_log_probs == first.d_log_probs, boost::test_tools::per_element());
  BOOST_TEST(fields(again.report) == fields(first.report), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
