#include <boost/test/unit_test.hpp>
#include <fstream>
#include <sstream>
#include <string>

#include "scalarization/support.hpp"

using namespace maestro;

namespace {

const Matrix<float> rewards = test::matrix({{1, 0.2f}, {0, 0.8f}, {1, 0.5f}, {0, 0.1f}});
const Groups one_group = Groups::uniform(1, 4);

void check_close(const std::vector<float>& got, const std::vector<double>& expected, double tolerance = 2e-6) {
  BOOST_REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) BOOST_TEST(std::abs(double(got[i]) - expected[i]) < tolerance);
}

template <class S>
std::vector<float> advantages(const S& scalarization, const Matrix<float>& r = rewards) {
  return test::run(scalarization, r, test::shared_weights(4, {1, 1}), one_group).advantages;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(golden)

BOOST_AUTO_TEST_CASE(estimators) {
  check_close(advantages(GroupRelative{}), {0.4953519, -0.1651173, 0.9907038, -1.3209384});
  check_close(advantages(GroupRelative({.epsilon = 1e-6})), {0.4954329, -0.1651443, 0.9908658, -1.3211543});
  check_close(advantages(GroupRelative({.epsilon = 1e-9})), {0.4954337, -0.1651446, 0.9908674, -1.3211565});
  check_close(advantages(GroupRelative({.epsilon = 1e-8, .ddof = 0})), {0.5720775, -0.1906925, 1.1441551, -1.5255401});
  check_close(advantages(DrGrpo{}), {0.3, -0.1, 0.6, -0.8});
  check_close(advantages(GroupRelative({.scale = AdvantageScale::none})), {0.3, -0.1, 0.6, -0.8});
  check_close(advantages(Rloo{}), {0.4, -0.1333333, 0.8, -1.0666667});
  check_close(advantages(Gdpo{}), {0.1827439, 0.3118239, 0.9245955, -1.4191633});
  check_close(test::run(GroupRelative{}, rewards, test::shared_weights(4, {1, 1}), one_group).scalars,
              {1.2, 0.8, 1.5, 0.1});
}

BOOST_AUTO_TEST_CASE(own_weight_baseline) {
  const Decision decision = test::acted({0, 1, 0, 1}, Matrix<float>(4, 2, 0.0f), 1.0f);
  const std::vector<double> raw{0.8660254, 1.2649111, 0.8660254, -0.9486833};
  check_close(test::run(OwnWeightBaseline({.epsilon = 0.0, .center = Centering::none}), rewards, decision, one_group)
                  .advantages,
              raw);
  const double mean = (raw[0] + raw[1] + raw[2] + raw[3]) / 4;
  check_close(test::run(OwnWeightBaseline{}, rewards, decision, one_group).advantages,
              {raw[0] - mean, raw[1] - mean, raw[2] - mean, raw[3] - mean});
}

BOOST_AUTO_TEST_CASE(missing_reward) {
  Matrix<float> r = rewards;
  r(0, 1) = test::missing;
  check_close(advantages(GroupRelative{}, r), {0.2584737, -0.0861579, 1.1200527, -1.2923685});
  check_close(advantages(Gdpo{}, r), {0.6497761, 0.0622947, 0.7209831, -1.4330539});
}

BOOST_AUTO_TEST_CASE(penalty_is_subtracted) {
  const std::vector<float> penalty{0.5f, 0, 0, 0.25f};
  for (const auto name : scalarization_names) {
    // A penalty is one more reward of weight -1, except to GDPO, which would standardize that reward.
    if (name == "gdpo") continue;
    const AnyScalarization scalarization(name);
    const auto with =
        test::run(scalarization, rewards, test::shared_weights(4, {1, 1}), one_group, test::Want::advantages, penalty);
    Matrix<float> extended(4, 3);
    for (std::size_t i = 0; i < 4; ++i) {
      extended(i, 0) = rewards(i, 0);
      extended(i, 1) = rewards(i, 1);
      extended(i, 2) = penalty[i];
    }
    const auto as_reward = test::run(scalarization, extended, test::shared_weights(4, {1, 1, -1}), one_group);
    check_close(with.advantages, {as_reward.advantages.begin(), as_reward.advantages.end()}, 1e-6);
    BOOST_TEST(with.scalars[0] == 0.7f);
  }
}

// What GRPOTrainer itself computed; tests/fixtures/scalarization/make_trl_fixture.py made the file.
BOOST_AUTO_TEST_CASE(trl_trainer) {
  std::ifstream file(MAESTRO_TEST_FIXTURES "/scalarization/trl_advantages.txt");
  BOOST_REQUIRE(file.good());
  std::string text, name, aggregation, scale;
  std::size_t group = 0, cases = 0;
  std::vector<float> weights;
  std::vector<double> expected;
  std::vector<std::vector<float>> rows;
  while (std::getline(file, text)) {
    std::istringstream words(text);
    std::string key, word;
    words >> key;
    if (key == "case") words >> name;
    if (key == "aggregation") words >> aggregation;
    if (key == "scale") words >> scale;
    if (key == "group") words >> group;
    if (key == "weights") {
      weights.clear();
      expected.clear();
      rows.clear();
      while (words >> word) weights.push_back(std::stof(word));
    }
    if (key == "row") {
      words >> word;
      expected.push_back(std::stod(word));
      rows.emplace_back();
      while (words >> word) rows.back().push_back(std::stof(word));
    }
    if (key != "end") continue;
    ++cases;
    Matrix<float> r(rows.size(), weights.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t k = 0; k < weights.size(); ++k) r(i, k) = rows[i][k];
    }
    const AnyScalarization scalarization(aggregation == "normalize_then_sum" ? "gdpo" : scale);
    const auto result = test::run(scalarization, r, test::shared_weights(rows.size(), weights),
                                  Groups::uniform(rows.size() / group, group));
    BOOST_TEST_CONTEXT(name) {
      // The trainer works in float: a few ulp of the largest summand, over a deviation of about 1.
      for (std::size_t i = 0; i < rows.size(); ++i) {
        BOOST_TEST(std::abs(double(result.advantages[i]) - expected[i]) < 1e-5 * std::max(1.0, std::abs(expected[i])));
      }
    }
  }
  BOOST_TEST(cases == 8u);
}

BOOST_AUTO_TEST_SUITE_END()
