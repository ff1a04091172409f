// Runs the tests where there is a device; elsewhere says why not, with the status that ctest counts as skipped.

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <string>

#include "maestro/cuda/core/check.hpp"

int main(int count, char** arguments) {
  std::string reason;
  if (!maestro::gpu::has_device(&reason)) {
    std::printf("Skipped: no CUDA device here (%s)\n", reason.c_str());
    return 77;
  }
  return boost::unit_test::unit_test_main([] { return true; }, count, arguments);
}
