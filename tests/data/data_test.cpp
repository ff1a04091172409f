#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "maestro/data/rollouts.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(data)

BOOST_AUTO_TEST_CASE(groups_from_sizes_and_ids_agree) {
  const std::vector<std::size_t> sizes{2, 1, 3};
  const std::vector<std::int64_t> ids{7, 7, -1, 4, 4, 4};
  const Groups groups = Groups::from_sizes(sizes);
  BOOST_TEST((groups == Groups::from_ids(ids)));
  BOOST_TEST(groups.count() == 3u);
  BOOST_TEST(groups.rows() == 6u);
  BOOST_TEST(groups.begin(2) == 3u);
  BOOST_TEST(groups.size(1) == 1u);
  const std::size_t expected[] = {0, 0, 1, 2, 2, 2};
  for (std::size_t i = 0; i < 6; ++i) BOOST_TEST(groups.group_of(i) == expected[i]);
  BOOST_TEST((Groups::even(3, 4).offsets()[2] == 8u));
  BOOST_TEST(Groups::from_ids({}).count() == 0u);
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

BOOST_AUTO_TEST_CASE(an_id_that_returns_is_refused) {
  const std::vector<std::int64_t> ids{1, 1, 2, 1};
  BOOST_CHECK_EXCEPTION(Groups::from_ids(ids), BadArgument, [](const BadArgument& e) {
    return std::string(e.what()).find("row 3 returns to group 1") != std::string::npos;
  });
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
  rollouts.groups = Groups::even(2, 2);
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
}

BOOST_AUTO_TEST_SUITE_END()
