// Ranks that are threads: sums, gathering, phases that fail together.

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "maestro/distributed/any.hpp"
#include "maestro/distributed/thread.hpp"
#include "message_of.hpp"

namespace {

using maestro::BadArgument;
using maestro::BadData;
using maestro::RankFailed;
using maestro::run_on_threads;
using maestro::ThreadCommunicator;
using test::message_of;

static_assert(maestro::Communicator<ThreadCommunicator>);

/// Has what the concept asks for and no more.
struct Plain {
  ThreadCommunicator comm;
  std::size_t rank() const { return comm.rank(); }
  std::size_t size() const { return comm.size(); }
  void all_reduce_sum(std::span<double> values) { comm.all_reduce_sum(values); }
  void all_reduce_sum(std::span<float> values) { comm.all_reduce_sum(values); }
  maestro::RankBytes all_gather(std::span<const std::byte> own) { return comm.all_gather(own); }
  void barrier() { comm.barrier(); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(sums_are_made_in_the_order_of_the_ranks) {
  for (const std::size_t ranks : {1u, 2u, 3u, 7u}) {
    for (const std::size_t count : {0u, 1u, 2u, 100u}) {
      std::vector<std::vector<float>> results(ranks);
      run_on_threads(ranks, [&](ThreadCommunicator& comm) {
        std::vector<float> values(count);
        for (std::size_t i = 0; i < count; ++i) values[i] = 1.0f / static_cast<float>(1 + i + 10 * comm.rank());
        comm.all_reduce_sum(std::span<float>(values));
        results[comm.rank()] = values;
      });
      for (std::size_t i = 0; i < count; ++i) {
        float expected = 0.0f;
        for (std::size_t r = 0; r < ranks; ++r) expected += 1.0f / static_cast<float>(1 + i + 10 * r);
        for (std::size_t r = 0; r < ranks; ++r) BOOST_TEST(results[r][i] == expected);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(ranks_may_gather_different_numbers_of_values) {
  run_on_threads(4, [&](ThreadCommunicator& comm) {
    std::vector<std::int32_t> own(comm.rank() * 2);
    std::iota(own.begin(), own.end(), static_cast<std::int32_t>(10 * comm.rank()));
    for (int again = 0; again < 50; ++again) {
      const std::vector<std::int32_t> all = maestro::gather_values(std::span<const std::int32_t>(own), comm);
      if (all != std::vector<std::int32_t>{10, 11, 20, 21, 22, 23, 30, 31, 32, 33, 34, 35}) {
        throw std::logic_error("gathered something else");
      }
    }
    if (maestro::any_rank(false, comm) || !maestro::any_rank(comm.rank() == 3, comm)) throw std::logic_error("any");
  });
}

BOOST_AUTO_TEST_CASE(shares_of_sums_have_the_bits_of_whole_sums) {
  run_on_threads(3, [&](ThreadCommunicator& comm) {
    const auto check = [&](auto& ranks) {
      std::vector<float> whole(12);
      for (std::size_t i = 0; i < 12; ++i) whole[i] = 1.0f / static_cast<float>(1 + i + 10 * ranks.rank());
      std::vector<float> shared = whole;
      ranks.all_reduce_sum(std::span<float>(whole));
      maestro::reduce_scatter_sum(std::span<float>(shared), ranks);
      for (std::size_t i = 4 * ranks.rank(); i < 4 * ranks.rank() + 4; ++i) {
        maestro::require(shared[i] == whole[i], "another sum");
      }
      maestro::all_gather_shares(std::span<float>(shared), ranks);
      maestro::require(shared == whole, "not all sums");
      maestro::require(maestro::text_of_first(std::string("from ") + std::to_string(ranks.rank()), ranks) == "from 0",
                       "another text");
    };
    check(comm);
    maestro::AnyCommunicator any(comm);
    check(any);
    Plain plain{comm};
    check(plain);
  });
  const std::string message = message_of([&] {
    run_on_threads(2, [&](ThreadCommunicator& comm) {
      std::vector<double> values(3);
      maestro::reduce_scatter_sum(std::span<double>(values), comm);
    });
  });
  BOOST_TEST(message.find("cannot be shared evenly") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_phase_fails_on_all_ranks_if_it_fails_on_one) {
  std::atomic<int> told = 0;
  const auto work = [&] {
    run_on_threads(3, [&](ThreadCommunicator& comm) {
      try {
        maestro::in_step(comm, [&] {
          if (comm.rank() == 1) throw BadData("reward 'x' is infinite");
        });
      } catch (const RankFailed& error) {
        if (std::string(error.what()) == "rank 1 of 3 failed: reward 'x' is infinite") ++told;
        throw;
      }
    });
  };
  BOOST_CHECK_EXCEPTION(work(), BadData,
                        [](const BadData& e) { return std::string(e.what()) == "reward 'x' is infinite"; });
  BOOST_TEST(told == 2);
}

BOOST_AUTO_TEST_CASE(a_rank_that_fails_between_two_collectives_lets_the_others_go) {
  const auto work = [&] {
    run_on_threads(4, [&](ThreadCommunicator& comm) {
      if (comm.rank() == 2) throw BadData("gone");
      comm.barrier();
    });
  };
  BOOST_CHECK_EXCEPTION(work(), BadData, [](const BadData& e) { return std::string(e.what()) == "gone"; });
}

BOOST_AUTO_TEST_CASE(calls_that_do_not_match_are_refused_and_hang_nobody) {
  const auto one_returns = [&] {
    run_on_threads(2, [&](ThreadCommunicator& comm) {
      if (comm.rank() == 1) comm.barrier();
    });
  };
  BOOST_CHECK_THROW(one_returns(), BadArgument);
  const auto sizes_differ = [&] {
    run_on_threads(2, [&](ThreadCommunicator& comm) {
      std::vector<double> values(3 + comm.rank());
      comm.all_reduce_sum(std::span<double>(values));
    });
  };
  BOOST_TEST(message_of(sizes_differ).find("different numbers of values") != std::string::npos);
  BOOST_CHECK_THROW(run_on_threads(0, [](ThreadCommunicator&) {}), BadArgument);
}
