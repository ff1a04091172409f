// A quarter of the advantage estimators on a device. Minutes of nvcc for each architecture, so that only builds for a
// device that is there have it (MAESTRO_DEVICE_ONLY; tests/device.sh); everywhere the host runs the same bodies.

#include <boost/test/unit_test.hpp>

#include "cuda/scalarization_support.hpp"
#include "maestro/cuda/core/stream_executor.cuh"

BOOST_AUTO_TEST_SUITE(device_estimators)

BOOST_AUTO_TEST_CASE(as_on_the_host_0) {
  using Quarter = test::EstimatorsFrom<0, 4>;
  maestro::gpu::OwnStreamExecutor executor;
  test::check_scene<3, Quarter>(executor);
  test::check_even_groups<Quarter>(executor);
  test::check_equal_rewards_give_zero<Quarter>(executor);
}

BOOST_AUTO_TEST_SUITE_END()
