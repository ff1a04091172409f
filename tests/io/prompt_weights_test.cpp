#include "maestro/io/prompt_weights.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/io/prompts.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(prompt_weight_columns)

namespace {

constexpr std::array<std::string_view, 2> rewards{"length", "format"};

Matrix<float> read(const std::string& field, const std::string& column = "weights") {
  // A blank line, so that lines and rows differ.
  const std::string lines = R"({"prompt": "a", "weights": [1, -0.5]})"
                            "\n\n"
                            R"({"prompt": "b")" +
                            field + "}\n";
  return prompt_weights(parse_prompts(lines, "p.jsonl").prompts, column, rewards, "p.jsonl");
}

std::string refusal(const std::string& field) {
  try {
    read(field);
  } catch (const BadFile& error) {
    return error.what();
  }
  return "nothing thrown";
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_array_or_an_object_by_name) {
  for (const char* field : {R"(, "weights": [0, 3])", R"(, "weights": {"format": 3, "length": 0})"}) {
    const Matrix<float> weights = read(field);
    BOOST_TEST(weights.rows() == 2u);
    BOOST_TEST(weights(0, 0) == 1.0f);
    BOOST_TEST(weights(0, 1) == -0.5f);
    BOOST_TEST(weights(1, 0) == 0.0f);
    BOOST_TEST(weights(1, 1) == 3.0f);
  }
  const auto prompts = parse_prompts(R"({"prompt": "a", "w": [2, 1], "weights": 0})", "p").prompts;
  BOOST_TEST(prompt_weights(prompts, "w", rewards, "p")(0, 0) == 2.0f);
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused_with_its_line) {
  const std::vector<std::pair<std::string, std::string>> bad{
      {"", "'weights' is missing"},
      {R"(, "weights": null)", "'weights' is missing"},
      {R"(, "weights": 1)", "found 1"},
      {R"(, "weights": [1])", "of length, format"},
      {R"(, "weights": [1, 2, 3])", "found [1,2,3]"},
      {R"(, "weights": [1, "2"])", "an array of that many numbers"},
      {R"(, "weights": [1, null])", "an array of that many numbers"},
      {R"(, "weights": [1, 1e300])", "finite numbers"},
      {R"(, "weights": [0, 0])", "one at least is not 0"},
      {R"(, "weights": {"length": 1})", "an object of a number for each"},
      {R"(, "weights": {"length": 1, "speed": 2})", "an object of a number for each"}};
  for (const auto& [field, words] : bad) {
    const std::string what = refusal(field);
    BOOST_TEST(what.starts_with("p.jsonl:3: "), field << ": " << what);
    BOOST_TEST(what.find(words) != std::string::npos, field << ": " << what);
  }
}

BOOST_AUTO_TEST_SUITE_END()
