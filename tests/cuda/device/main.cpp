// Runs the tests where there is a device; elsewhere says why not, with the status that ctest counts as skipped.

#if defined(MAESTRO_TEST_INCLUDED)
#define BOOST_TEST_NO_MAIN
#define BOOST_TEST_ALTERNATIVE_INIT_API
#include <boost/test/included/unit_test.hpp>
#else
#include <boost/test/unit_test.hpp>
#endif
#include <cstdio>
#include <string>
#include <string_view>

#include "maestro/cuda/core/check.hpp"

int main(int count, char** arguments) {
  bool lists = false;  // which cases there are is known without a device
  for (int i = 1; i < count; ++i) lists = lists || std::string_view(arguments[i]).starts_with("--list_content");
  std::string reason;
  if (!lists && !maestro::gpu::has_device(&reason)) {
    std::printf("Skipped: no CUDA device here (%s)\n", reason.c_str());
    return 77;
  }
  return boost::unit_test::unit_test_main([] { return true; }, count, arguments);
}
