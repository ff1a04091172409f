// BLEU and chrF against sacrebleu's values, and the answers that are read from responses.

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "maestro/io/json.hpp"
#include "maestro/text/answers.hpp"
#include "maestro/text/bleu.hpp"
#include "maestro/text/chrf.hpp"

BOOST_AUTO_TEST_SUITE(text_metrics)

namespace {

using namespace maestro;

Json fixture() {
  std::ifstream file(MAESTRO_TEST_FIXTURES "/text/text_metrics.json");
  BOOST_REQUIRE(file);
  return Json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
}
/// Sums in another order differ in the last digits.
void same(double ours, const Json& theirs, const std::string& what) {
  BOOST_TEST(std::abs(ours - theirs.get<double>()) <= 1e-10, what << ": " << ours << ", not " << theirs);
}

}  // namespace

BOOST_AUTO_TEST_CASE(segments_have_sacrebleus_scores) {
  const Json all = fixture();
  BOOST_TEST(all["segments"].size() > 70u);
  for (const Json& row : all["segments"]) {
    const std::string response = row["response"];
    const std::string reference = row["reference"];
    const std::string what = row.dump();
    same(sentence_bleu(response, reference), row["bleu"], what);
    same(sentence_chrf(response, reference), row["chrf"], what);
    same(sentence_chrf(response, reference, ChrfKind::chrf_plus_plus), row["chrf++"], what);
  }
}

BOOST_AUTO_TEST_CASE(tokens_are_those_of_13a) {
  const Json all = fixture();
  BOOST_TEST(all["segments"].size() > 70u);
  for (const Json& row : all["segments"]) {
    std::string text = row["response"];
    const std::string_view inner = without_white_space(text);
    text.resize(inner.empty() ? 0 : static_cast<std::size_t>(inner.data() - text.data()) + inner.size());
    BOOST_TEST(tokenize_13a(text) == row["tokens"].get<std::string>());
  }
}

BOOST_AUTO_TEST_CASE(corpora_have_sacrebleus_scores) {
  const Json all = fixture();
  for (const Json& corpus : all["corpora"]) {
    BleuCounts words;
    ChrfCounts characters;
    for (std::size_t i = corpus["start"]; i < corpus["end"].get<std::size_t>(); ++i) {
      const std::string response = all["segments"][i]["response"];
      const std::string reference = all["segments"][i]["reference"];
      words += bleu_counts(response, reference);
      characters += chrf_counts(response, reference);
    }
    const std::string what = corpus.dump();
    same(bleu(words), corpus["bleu"], what);
    same(chrf(characters), corpus["chrf"], what);
    same(chrf(characters, ChrfKind::chrf_plus_plus), corpus["chrf++"], what);
  }
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_text_are_scored_too) {
  const std::string broken = "a\xff b\xc3 \xe2\x82";
  BOOST_TEST(std::abs(sentence_bleu(broken, broken) - 100.0) < 1e-9);
  BOOST_TEST(std::abs(sentence_chrf(broken, broken) - 100.0) < 1e-9);
}

BOOST_AUTO_TEST_CASE(the_part_that_is_the_answer) {
  BOOST_TEST(answer_part("<think>x</think> <answer> 7 </answer> done") == "7");
  BOOST_TEST(answer_part("<answer>1</answer><answer>2</answer>") == "2");
  BOOST_TEST(answer_part("so \\boxed{\\frac{1}{2}} it is") == "\\frac{1}{2}");
  BOOST_TEST(answer_part("<think>7</think>\n 8 ") == "8");
  BOOST_TEST(answer_part("<answer>never closed") == "<answer>never closed");
  BOOST_TEST(answer_part(" just text\n") == "just text");
  BOOST_TEST(answer_part("") == "");
}

BOOST_AUTO_TEST_CASE(numbers) {
  const auto gives = [](const char* text, std::optional<double> number) {
    BOOST_TEST((number_answer(text) == number), "'" << text << "'");
  };
  gives("18", 18.0);
  gives("<think>2 + 2</think><answer>18.0</answer>", 18.0);
  gives("She has 5 ducks.\n#### 1,234", 1234.0);
  gives("first 3, then 4.", 4.0);
  gives("$1,000,000.50!", 1000000.5);
  gives("1,23", 23.0);
  gives("1,2345", 2345.0);
  gives("-7", -7.0);
  gives("it is -.5", -0.5);
  gives("3-4", 4.0);
  gives("x-5", 5.0);
  gives("5 - -6", -6.0);
  gives("50%", 50.0);
  gives("3.4.5", 0.5);
  gives("no number", std::nullopt);
  gives("", std::nullopt);
  gives("<answer>none</answer> 7", std::nullopt);
  gives((std::string(400, '9')).c_str(), std::nullopt);
}

BOOST_AUTO_TEST_CASE(letters) {
  const auto gives = [](const char* text, std::optional<char> letter) {
    BOOST_TEST((letter_answer(text) == letter), "'" << text << "'");
  };
  gives("C", 'C');
  gives("<answer>C</answer>", 'C');
  gives("(b)", 'B');
  gives("**D**", 'D');
  gives("B. Respect his privacy", 'B');
  gives("A) first", 'A');
  gives("\\boxed{E}", 'E');
  gives("The answer is (B).", 'B');
  gives("I think the answer is B because A is wrong.", 'B');
  gives("Answer: c", 'C');
  gives("The answer is A. No: the answer is D.", 'D');
  gives("A man walks", std::nullopt);
  gives("I would say so", std::nullopt);
  gives("I'm sure", std::nullopt);
  gives("the answer is a good one", std::nullopt);
  gives("Because", std::nullopt);
  gives("7", std::nullopt);
  gives("", std::nullopt);
}

BOOST_AUTO_TEST_SUITE_END()
