#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "evaluate/conductor_kl.hpp"
#include "evaluate/measures.hpp"

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

namespace {

maestro::Prompt asking(const std::string& reference, const std::string& check = "") {
  maestro::Prompt prompt;
  prompt.reference = reference;
  if (!check.empty()) prompt.metadata = R"({"check": ")" + check + "\"}";
  return prompt;
}
std::vector<std::string> asked(const std::vector<maestro::Prompt>& prompts) { return measures_asked_for(prompts); }
Measure measured(const std::string& name, const std::vector<std::vector<std::string>>& responses) {
  Measure measure(name);
  for (const auto& each : responses) measure.add(asking("<answer>18</answer>"), each);
  return measure;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(evaluation_measures)

BOOST_AUTO_TEST_CASE(prompts_say_what_they_are_measured_by) {
  using Names = std::vector<std::string>;
  BOOST_TEST((asked({asking("1", "number")}) == Names{"number"}));
  BOOST_TEST(
      (asked({asking("A", "letter"), asking("1", "number"), asking("B", "letter")}) == Names{"letter", "number"}));
  BOOST_TEST((asked({asking("x", "translation")}) == Names{"chrf", "bleu"}));
  BOOST_TEST((asked({asking("x", "story")}) == Names{"chrf"}));
  BOOST_TEST((asked({asking("x")}) == Names{"chrf"}));
  BOOST_CHECK_THROW(Measure("rouge"), maestro::BadArgument);
}

BOOST_AUTO_TEST_CASE(right_and_wrong_are_shares_and_pass_at_k) {
  const Measure measure = measured("number", {{"18", "18.0", "17", "?"}, {"1", "2", "3", "4"}});
  const std::vector<std::size_t> both{0, 1};
  const std::vector<std::size_t> first{0, 0};
  BOOST_TEST(measure.of(both) == 25.0);
  BOOST_TEST(measure.of(first) == 50.0);
  BOOST_TEST(measure.of(both, 4) == 50.0);
  BOOST_TEST(std::abs(measure.of(first, 2) - 100.0 * (1.0 - 1.0 / 6.0)) < 1e-9);
  Measure without = measure;
  without.add(asking("no number"), std::vector<std::string>{"1"});
  BOOST_TEST(without.size() == 2u);
}

BOOST_AUTO_TEST_CASE(figures_have_intervals_and_differences_are_of_the_same_prompts) {
  const std::vector<Measure> base{measured("number", {{"18"}, {"1"}, {"18"}, {"1"}})};
  const std::vector<Measure> better{measured("number", {{"18"}, {"18"}, {"18"}, {"1"}})};
  const std::vector<std::size_t> ks{1, 2};
  const auto figures = figures_of(better, ks, 1, {});
  BOOST_TEST_REQUIRE(figures.size() == 1u);  // pass@2 needs two responses
  BOOST_TEST(figures[0].name == "number");
  BOOST_TEST(figures[0].prompts == 4u);
  BOOST_TEST(figures[0].interval.mean == 75.0);
  BOOST_TEST((figures[0].interval.low < 75.0 && figures[0].interval.high > 75.0));
  const auto same = figures_of(base, ks, 1, {}, base);
  BOOST_TEST((same[0].interval.low == 0.0 && same[0].interval.high == 0.0));
  const auto gain = figures_of(better, ks, 1, {}, base);
  BOOST_TEST(gain[0].interval.mean == 25.0);
  BOOST_TEST(gain[0].interval.low >= 0.0);  // one prompt is better, none is worse
  const std::vector<Measure> none{Measure("number")};
  BOOST_CHECK_THROW(figures_of(none, ks, 1, {}), maestro::BadArgument);
}

BOOST_AUTO_TEST_CASE(bleu_and_chrf_are_those_of_the_corpus) {
  Measure measure("bleu");
  measure.add(asking("The cat sat on the mat."), std::vector<std::string>{"The cat sat on a mat."});
  measure.add(asking("A dog ran home quickly."), std::vector<std::string>{"A dog ran home quickly."});
  maestro::BleuCounts counts = maestro::bleu_counts("The cat sat on a mat.", "The cat sat on the mat.");
  counts += maestro::bleu_counts("A dog ran home quickly.", "A dog ran home quickly.");
  BOOST_TEST(measure.of(std::vector<std::size_t>{0, 1}) == maestro::bleu(counts));
}

BOOST_AUTO_TEST_SUITE_END()
