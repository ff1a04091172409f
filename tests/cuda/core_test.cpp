#include <boost/mp11/list.hpp>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "cuda/core_checks.hpp"
#include "cuda/thread_executor.hpp"
#include "maestro/cuda/core/host_executor.hpp"

using namespace maestro;
using namespace maestro::gpu;

BOOST_AUTO_TEST_SUITE(cuda_core)

namespace {

template <class E, std::size_t Members>
struct Case {
  E executor;
  static constexpr std::size_t members = Members;
};
using Cases =
    boost::mp11::mp_list<Case<HostExecutor, 1>, Case<test::ThreadExecutor<2>, 2>, Case<test::ThreadExecutor<5>, 5>>;

std::string text_of(Fault kind, std::size_t row, std::size_t column) {
  try {
    throw_fault(fault_word(kind, row, column));
  } catch (const BadArgument& e) {
    return std::string("argument: ") + e.what();
  } catch (const BadData& e) {
    return std::string("data: ") + e.what();
  }
  return "nothing";
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(every_member_gets_the_reduction, C, Cases) {
  C c;
  test::check_reductions(c.executor, c.members);
}
BOOST_AUTO_TEST_CASE_TEMPLATE(sums_of_many_values, C, Cases) {
  C c;
  test::check_sums(c.executor, c.members);
}
BOOST_AUTO_TEST_CASE_TEMPLATE(scratch_is_shared_by_the_team, C, Cases) {
  C c;
  test::check_scratch(c.executor, c.members);
}
BOOST_AUTO_TEST_CASE_TEMPLATE(moments_by_a_team_are_those_of_a_loop, C, Cases) {
  C c;
  test::check_moments(c.executor, c.members);
}
BOOST_AUTO_TEST_CASE_TEMPLATE(layouts_find_the_groups, C, Cases) {
  C c;
  test::check_group_layouts(c.executor);
}
BOOST_AUTO_TEST_CASE_TEMPLATE(a_record_throws_the_first_row_and_forgets, C, Cases) {
  C c;
  test::check_fault_record(c.executor);
}
BOOST_AUTO_TEST_CASE_TEMPLATE(replays_repeat, C, Cases) {
  C c;
  test::check_replays(c.executor);
}
BOOST_AUTO_TEST_CASE_TEMPLATE(nothing_to_do, C, Cases) {
  C c;
  test::check_nothing(c.executor);
}

BOOST_AUTO_TEST_CASE(equal_values_have_no_spread_at_all) {
  const std::vector<double> values(1001, 0.1);
  const Moments moments = team_moments(SerialTeam(nullptr), values.size(), [&](std::size_t i) { return values[i]; });
  BOOST_TEST(moments.squares == 0.0);
  BOOST_TEST(moments.mean == 0.1);
  const Moments loop = moments_of(values.data(), values.size());
  BOOST_TEST(loop.squares == 0.0);
}

BOOST_AUTO_TEST_CASE(a_layout_is_a_view_of_groups) {
  const std::vector<std::int64_t> offsets{0, 0, 2, 2, 5};
  const GroupLayout layout = GroupLayout::ragged(offsets.data(), 4, 5, 1000);
  BOOST_TEST(layout.largest == 5u);  // no group has more rows than there are
  BOOST_TEST(layout.begin(1) == 0u);
  BOOST_TEST(layout.end(1) == 2u);
  BOOST_TEST(layout.size(0) == 0u);
  BOOST_TEST(layout.size(3) == 3u);
  const GroupLayout even = GroupLayout::uniform(3, 4);
  BOOST_TEST(even.rows == 12u);
  BOOST_TEST(even.largest == 4u);
  BOOST_TEST(even.begin(2) == 8u);
  BOOST_TEST(even.size(2) == 4u);
  BOOST_TEST(even.group_of(11) == 2u);
}

BOOST_AUTO_TEST_CASE(the_kind_comes_before_the_row_and_the_row_before_the_column) {
  BOOST_TEST(fault_word(Fault::weight_not_finite, 900, 900) < fault_word(Fault::reward_infinite, 0, 0));
  BOOST_TEST(fault_word(Fault::reward_infinite, 3, 900) < fault_word(Fault::reward_infinite, 4, 0));
  BOOST_TEST(fault_word(Fault::reward_infinite, 3, 1) < fault_word(Fault::reward_infinite, 3, 2));
  BOOST_TEST(fault_word(Fault::ratio_overflow, ~std::size_t{0}, ~std::size_t{0}) < no_fault);
  // Beyond the limits the place is the limit, and no other field changes.
  BOOST_TEST(fault_word(Fault::reward_infinite, 1, std::size_t{1} << 24) ==
             fault_word(Fault::reward_infinite, 1, (std::size_t{1} << 24) - 1));
  BOOST_TEST(fault_word(Fault::reward_infinite, std::size_t{1} << 40, 0) ==
             fault_word(Fault::reward_infinite, (std::size_t{1} << 32) - 1, 0));
}

BOOST_AUTO_TEST_CASE(reports_keep_the_least_in_any_order) {
  const std::vector<FaultWord> words{fault_word(Fault::reward_infinite, 4, 1), fault_word(Fault::ratio_overflow, 0, 0),
                                     fault_word(Fault::reward_infinite, 3, 7),
                                     fault_word(Fault::meta_not_finite, 1, 0)};
  for (std::size_t first = 0; first < words.size(); ++first) {
    FaultWord record = no_fault;
    for (std::size_t i = 0; i < words.size(); ++i) {
      const FaultWord word = words[(first + i) % words.size()];
      report_fault(&record, static_cast<Fault>(word >> 56), (word >> 24) & 0xFFFFFFFFu, word & 0xFFFFFFu);
    }
    BOOST_TEST(record == words[2]);
  }
}

BOOST_AUTO_TEST_CASE(reports_keep_the_least_from_any_thread) {
  FaultWord record = no_fault;
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < 4; ++r) {
    threads.emplace_back([&record, r] {
      for (std::size_t i = 0; i < 2000; ++i) report_fault(&record, Fault::hidden_not_finite, 5000 - 2 * i - r % 2);
    });
  }
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(record == fault_word(Fault::hidden_not_finite, 1001, 0));
}

BOOST_AUTO_TEST_CASE(texts_name_the_place_and_the_remedy) {
  BOOST_CHECK_NO_THROW(throw_fault(no_fault));
  BOOST_TEST(
      text_of(Fault::reward_infinite, 12, 3) ==
      "data: scalarization: row 12, reward 3 is infinite; return nullopt (NaN) for a reward that does not apply");
  BOOST_TEST(text_of(Fault::weight_not_finite, 4294967294u, 16777214u) ==
             "data: scalarization: row 4294967294, the weight of reward 16777214 is not finite; check the Conductor");
  BOOST_TEST(text_of(Fault::group_too_large, 2, 0) ==
             "argument: group 2 has more rows than the layout's largest; give the true bound");
  BOOST_TEST(text_of(Fault::action_impossible, 6, 0) ==
             "argument: conductor: row 6 took an action that could not be drawn");
  // Every kind has a text of its own, and bad data is told from the caller's own mistakes.
  std::vector<std::string> texts;
  for (int kind = 0; kind <= static_cast<int>(Fault::ratio_overflow); ++kind) {
    const std::string text = text_of(static_cast<Fault>(kind), 41, 7);
    BOOST_TEST(text.find("41") != std::string::npos, text);
    for (const std::string& other : texts) BOOST_TEST(text != other);
    texts.push_back(text);
  }
  const auto unknown = static_cast<FaultWord>(Fault::ratio_overflow) + 1;
  BOOST_CHECK_THROW(throw_fault(unknown << 56), Error);
}

BOOST_AUTO_TEST_CASE(keys_are_equal_where_all_values_are) {
  const float values[2] = {};
  const auto key = [&](std::size_t rows, float rate, Fault kind) { return GraphKey(values + 0, rows, rate, kind); };
  const GraphKey base = key(3, 0.5f, Fault::ratio_overflow);
  BOOST_CHECK(base == key(3, 0.5f, Fault::ratio_overflow));
  BOOST_CHECK(!(base == key(4, 0.5f, Fault::ratio_overflow)));
  BOOST_CHECK(!(base == key(3, 0.25f, Fault::ratio_overflow)));
  BOOST_CHECK(!(base == key(3, 0.5f, Fault::reward_infinite)));
  BOOST_CHECK(!(base == GraphKey(values + 1, std::size_t{3}, 0.5f, Fault::ratio_overflow)));
  BOOST_CHECK(!(GraphKey(1, 2) == GraphKey(2, 1)));
  BOOST_CHECK(!(GraphKey(1) == GraphKey(1, 0)));
  BOOST_CHECK(!(GraphKey(0) == GraphKey()));
  const float* null = nullptr;
  BOOST_CHECK(!(GraphKey(null) == GraphKey(values + 0)));
  const GraphKey copy = base;
  BOOST_CHECK(copy == base);
}

BOOST_AUTO_TEST_CASE(host_buffers_only_grow) {
  HostExecutor::Buffer<float> buffer;
  BOOST_TEST(buffer.capacity() == 0u);
  BOOST_TEST(!buffer.reserve(0));
  BOOST_TEST(buffer.reserve(10));
  const float* at = buffer.data();
  BOOST_TEST(reinterpret_cast<std::uintptr_t>(at) % 64 == 0u);
  buffer.data()[9] = 4.0f;
  BOOST_TEST(!buffer.reserve(10));
  BOOST_TEST(!buffer.reserve(3));
  BOOST_TEST(buffer.data() == at);
  BOOST_TEST(buffer.data()[9] == 4.0f);
  BOOST_TEST(buffer.capacity() == 10u);
  BOOST_TEST(buffer.reserve(11));
  BOOST_TEST(buffer.capacity() == 11u);
}

BOOST_AUTO_TEST_CASE(the_host_leaves_products_to_the_caller) {
  HostExecutor executor;
  BOOST_TEST(!executor.multiply(LayerProduct<float>{.rows = 64, .inputs = 64, .outputs = 64}));
}

BOOST_AUTO_TEST_SUITE_END()
