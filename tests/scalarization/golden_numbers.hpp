#pragma once

// Advantages that are known from elsewhere, for the host's drivers and the device's bodies alike.

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "scalarization/support.hpp"

namespace test {

/// A scalarization and the advantages of one group of 4: rewards (1, 0.2), (0, 0.8), (1, 0.5), (0, 0.1), weights 1 and
/// 1, lengths 10, 20, 30, 40. Computed in double from the formulas.
struct GoldenNumbers {
  maestro::AnyScalarization scalarization;
  std::vector<double> advantages;
};

inline maestro::Matrix<float> golden_rewards() { return matrix({{1, 0.2f}, {0, 0.8f}, {1, 0.5f}, {0, 0.1f}}); }
inline std::vector<std::int32_t> golden_lengths() { return {10, 20, 30, 40}; }

inline std::vector<GoldenNumbers> golden_numbers() {
  using namespace maestro;
  const std::vector<double> trl{0.4953519, -0.1651173, 0.9907038, -1.3209384};
  const std::vector<double> verl{0.4954329, -0.1651443, 0.9908658, -1.3211543};
  const std::vector<double> openrlhf{0.4954337, -0.1651446, 0.9908674, -1.3211565};
  const std::vector<double> async{0.5720775, -0.1906925, 1.1441551, -1.5255401};
  const std::vector<double> leave_one_out{0.5714278, -0.1808860, 1.4368398, -3.0372969};
  const std::vector<double> centered{0.3, -0.1, 0.6, -0.8};
  const std::vector<double> gdpo{0.1827439, 0.3118239, 0.9245955, -1.4191633};
  const auto by_name = [](std::string_view name) { return AnyScalarization(name); };
  return {{Advantages{GroupRelative{}}, trl},
          {by_name("trl"), trl},
          {by_name("paper"), trl},
          {by_name("ms_swift"), trl},
          {by_name("batch"), trl},
          {Advantages{GroupRelative{.epsilon = 1e-6}}, verl},
          {by_name("verl"), verl},
          {Advantages{GroupRelative{.epsilon = 1e-9}}, openrlhf},
          {by_name("openrlhf"), openrlhf},
          {Advantages{GroupRelative{.ddof = 0, .epsilon = 1e-8}}, async},
          {by_name("trl_async"), async},
          {Advantages{LeaveOneOut{}}, leave_one_out},
          {by_name("nemo_rl"), leave_one_out},
          {Advantages{DrGrpo{}}, centered},
          {by_name("none"), centered},
          {by_name("flash_reinforce"), centered},
          {Advantages{BatchCentered{}}, centered},
          {Advantages{Rloo{}}, {0.4, -0.1333333, 0.8, -1.0666667}},
          {Advantages{Opo{}}, {0.43, 0.03, 0.73, -0.67}},
          {Advantages{PassAtK{}}, {0, 0, 0.3, 0}},
          {Advantages{MaxRl{}}, {0.3333333, -0.1111111, 0.6666667, -0.8888889}},
          {Advantages{Gdpo{}}, gdpo},
          {by_name("trl_gdpo"), gdpo},
          {by_name("ms_swift_gdpo"), {0.1826744, 0.3119674, 0.9246371, -1.4192789}},
          {Advantages{MoGrpo{.epsilon = 0.0}}, {0.2335699, 0.3988857, 1.1822532, -1.8147087}},
          {Advantages{Dvao{.epsilon = 0.0}}, {0.3357289, -0.1119096, 0.6714579, -0.8952772}},
          {Advantages{CorrGrpo{.epsilon = 0.0}}, {0.2346292, -0.0782097, 0.4692584, -0.6256779}},
          {Advantages{SaMrpo{}}, {0.1291699, 0.3871406, 0.9036357, -1.4199462}}};
}

/// What GRPOTrainer itself computed for one batch; tests/fixtures/scalarization/make_trl_fixture.py made the file.
struct TrlCase {
  std::string name, aggregation, scale;
  std::size_t group = 0;
  std::vector<float> weights;
  std::vector<std::vector<float>> rows;
  std::vector<double> expected;

  maestro::Matrix<float> rewards() const {
    maestro::Matrix<float> r(rows.size(), weights.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t k = 0; k < weights.size(); ++k) r(i, k) = rows[i][k];
    }
    return r;
  }
  maestro::AnyScalarization scalarization() const {
    return maestro::AnyScalarization(aggregation == "normalize_then_sum" ? "gdpo" : scale);
  }
  /// The trainer works in float: a few ulp of the largest summand, over a deviation of about 1.
  void check(const std::vector<float>& advantages) const {
    BOOST_TEST_CONTEXT(name) {
      for (std::size_t i = 0; i < rows.size(); ++i) {
        BOOST_TEST(std::abs(double(advantages[i]) - expected[i]) < 1e-5 * std::max(1.0, std::abs(expected[i])));
      }
    }
  }
};

inline std::vector<TrlCase> trl_cases() {
  std::ifstream file(MAESTRO_TEST_FIXTURES "/scalarization/trl_advantages.txt");
  BOOST_REQUIRE(file.good());
  std::vector<TrlCase> cases;
  TrlCase now;
  for (std::string text; std::getline(file, text);) {
    std::istringstream words(text);
    std::string key, word;
    words >> key;
    if (key == "case") words >> now.name;
    if (key == "aggregation") words >> now.aggregation;
    if (key == "scale") words >> now.scale;
    if (key == "group") words >> now.group;
    if (key == "weights") {
      now.weights.clear();
      now.expected.clear();
      now.rows.clear();
      while (words >> word) now.weights.push_back(std::stof(word));
    }
    if (key == "row") {
      words >> word;
      now.expected.push_back(std::stod(word));
      now.rows.emplace_back();
      while (words >> word) now.rows.back().push_back(std::stof(word));
    }
    if (key == "end") cases.push_back(now);
  }
  BOOST_TEST(cases.size() == 8u);
  return cases;
}

}  // namespace test
