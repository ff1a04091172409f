#include <boost/test/unit_test.hpp>

#include "cuda/scalarization_support.hpp"
#include "maestro/cuda/core/stream_executor.cuh"

using namespace maestro;
using namespace test;

BOOST_AUTO_TEST_SUITE(device_scalarization)

BOOST_AUTO_TEST_CASE(as_on_the_host) {
  gpu::OwnStreamExecutor executor;
  check_scene<3, SomeScalarizations>(executor);
  check_even_groups<SomeScalarizations>(executor);
  check_equal_rewards_give_zero<SomeScalarizations>(executor);
  check_bad_data(executor);
}
BOOST_AUTO_TEST_CASE(large_groups) {
  gpu::OwnStreamExecutor executor;
  check_empty_and_large_groups<SomeScalarizations>(executor);
  check_a_hundred_thousand<SomeScalarizations>(executor);
}
BOOST_AUTO_TEST_CASE(the_same_bits_on_every_run) {
  gpu::OwnStreamExecutor executor;
  check_same_bits(executor);
}

BOOST_AUTO_TEST_SUITE_END()
