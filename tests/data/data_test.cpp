#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "maestro/data/rollouts.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(data)

BOOST_AUTO_TEST_CASE(groups_from_sizes) {
  const std::vector<std::size_t> sizes{2, 1, 3};
  const Groups groups = Groups::from_sizes(sizes);
  BOOST_TEST(groups.count() == 3u);
  BOOST_TEST(groups.rows() == 6u);
  BOOST_TEST(groups.begin(2) == 3u);
  BOOST_TEST(groups.size(1) == 1u);
  const std::size_t expected[] = {0, 0, 1, 2, 2, 2};
  for (std::size_t i = 0; i < 6; ++i) BOOST_TEST(groups.group_of(i) == expected[i]);
  BOOST_TEST((Groups::uniform(3, 4).offsets()[2] == 8u));
  BOOST_TEST(Groups().count() == 0u);
  BOOST_TEST(Groups().rows() == 0u);
}

BOOST_AUTO_TEST_CASE(empty_groups_hold_no_row) {
  const std::vector<std::size_t> sizes{0, 2, 0, 0, 1, 0};
  const Groups groups = Groups::from_sizes(sizes);
  BOOST_TEST(groups.count() == 6u);
  BOOST_TEST(groups.group_of(0) == 1u);
  BOOST_TEST(groups.group_of(1) == 1u);
  BOOST_TEST(groups.group_of(2) == 4u);
}

BOOST_AUTO_TEST_CASE(a_data_row_that_comes_again_goes_on_counting_its_responses) {
  const std::vector<std::size_t> sizes{3, 2, 4, 1, 2};
  const std::vector<std::int64_t> rows{7, 5, 7, 5, 7};
  const Groups groups = Groups::from_sizes(sizes);
  const auto number = [&](std::size_t group, std::size_t member) {
    return response_number(groups, group, member, [&](std::size_t g) { return rows[g]; });
  };
  BOOST_TEST(number(0, 2) == 2u);
  BOOST_TEST(number(1, 0) == 0u);
  BOOST_TEST(number(2, 0) == 3u);
  BOOST_TEST(number(3, 0) == 2u);
  BOOST_TEST(number(4, 1) == 8u);
  BOOST_CHECK_NO_THROW(number(0, (std::size_t{1} << 24) - 1));
  BOOST_CHECK_THROW(number(2, (std::size_t{1} << 24) - 3), BadArgument);
}

BOOST_AUTO_TEST_CASE(ragged_rows) {
  Ragged<int> ragged;
  const std::vector<int> first{1, 2}, none, last{3};
  ragged.push_row(first);
  ragged.push_row(none);
  ragged.push_row(last);
  BOOST_TEST(ragged.rows() == 3u);
  BOOST_TEST(ragged.length(1) == 0u);
  BOOST_TEST(ragged.row(2)[0] == 3);
  BOOST_TEST(ragged.size() == 3u);
  ragged.clear();
  BOOST_TEST(ragged.rows() == 0u);
}

BOOST_AUTO_TEST_CASE(completions_view_their_row) {
  Rollouts rollouts;
  rollouts.prompts.resize(2);
  rollouts.prompts[1].text = "second";
  rollouts.groups = Groups::uniform(2, 2);
  for (int i = 0; i < 4; ++i) {
    const std::vector<std::int32_t> tokens(static_cast<std::size_t>(i), i);
    rollouts.tokens.push_row(tokens);
    rollouts.texts.push_back(std::to_string(i));
  }
  for (int t = 0; t < 6; ++t) {
    rollouts.log_probs.push_back(-static_cast<float>(t));
    rollouts.entropies.push_back(static_cast<float>(t));
  }
  rollouts.finish.assign(4, Finish::length);
  const Completion completion = rollouts.completion(3);
  BOOST_TEST(completion.prompt.text == "second");
  BOOST_TEST(completion.text == "3");
  BOOST_TEST(completion.member == 1u);
  BOOST_TEST(completion.log_probs.size() == 3u);
  BOOST_TEST(completion.log_probs[0] == -3.0f);
  BOOST_TEST(rollouts.completion(0).tokens.empty());
  BOOST_TEST(completion.actions.empty());
  BOOST_TEST(completion.actions.rows() == 0u);
  rollouts.actions.resize(6, 2);
  for (std::size_t t = 0; t < 6; ++t) rollouts.actions(t, 1) = static_cast<float>(t);
  const MatrixView<const float> actions = rollouts.completion(2).actions;
  BOOST_TEST(actions.rows() == 2u);
  BOOST_TEST(actions.cols() == 2u);
  BOOST_TEST(actions(1, 1) == 2.0f);
  BOOST_TEST(rollouts.completion(0).actions.rows() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
