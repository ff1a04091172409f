#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "evaluate/conductor_kl.hpp"

using namespace maestro::examples;

namespace {

/// The cell for a run of `steps` steps whose KL climbs linearly to `kl`, and whose propensities are `probability`.
std::string cell_of(int steps, double kl, double probability) {
  const auto path = std::filesystem::temp_directory_path() / ("maestro_metrics_" + std::to_string(::getpid()));
  {
    std::ofstream file(path);
    for (int step = 1; step <= steps; ++step) {
      file << R"({"step":)" << step << R"(,"conductor/probability/format":)" << probability
           << R"(,"conductor/kl_to_uniform":)" << kl * step / steps << "}\n";
    }
  }
  const std::string cell = conductor_kl_cell(conductor_kl(path.string()));
  std::filesystem::remove(path);
  return cell;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(evaluation_table)

BOOST_AUTO_TEST_CASE(a_conductor_that_prefers_nothing_is_labeled) {
  BOOST_TEST(cell_of(9, 0.0, 0.25) == "0.000 (not learned)");
  BOOST_TEST(cell_of(9, 0.04, 0.25) == "0.040 (not learned)");
  BOOST_TEST(cell_of(9, 0.06, 0.25) == "0.060");
  BOOST_TEST(cell_of(20, 0.08, 0.25) == "0.078");  // of steps 19 and 20
  BOOST_TEST(cell_of(9, 0.0, 0.0) == "0.000");     // equal weights have nothing to learn
  BOOST_TEST(cell_of(0, 0.0, 0.0) == "-");
  BOOST_TEST(conductor_kl_cell(conductor_kl("")) == "-");
}

BOOST_AUTO_TEST_SUITE_END()
