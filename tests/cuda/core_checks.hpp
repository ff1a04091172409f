#pragma once

// What holds on every executor: core_test.cpp checks it on the host's, device/core_test.cu on a device's.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "cuda/memory.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/cuda/core/team.hpp"
#include "maestro/data/groups.hpp"

namespace test {

inline constexpr unsigned team_threads = 96;  // whole warps, and no power of two

/// Any number, the same on host and device.
MAESTRO_HD inline std::uint64_t number_of(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = (a + 1) * 0x9E3779B97F4A7C15u + b * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 31)) * 0x94D049BB133111EBu;
  return x ^ (x >> 29);
}
/// In [-1, 1).
MAESTRO_HD inline double real_of(std::uint64_t a, std::uint64_t b) {
  return static_cast<double>(number_of(a, b) >> 11) / 4503599627370496.0 - 1.0;
}

struct NoScratch {
  static constexpr unsigned threads = team_threads;
  std::size_t shared_bytes() const { return 0; }
};

struct Reduced {
  std::uint64_t members;
  std::uint64_t sum;
  double largest;
  double smallest;
  std::uint64_t first;
  friend bool operator==(const Reduced&, const Reduced&) = default;
};

/// Every member's view of five reductions in a row, in results[t * threads + rank].
struct ReduceBody : NoScratch {
  Reduced* results;

  template <maestro::gpu::Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t t) const {
    Reduced result{};
    result.members = team.reduce(std::uint64_t{1}, maestro::gpu::Add{});
    result.sum = team.reduce(number_of(t, team.rank()) >> 8, maestro::gpu::Add{});
    result.largest = team.reduce(real_of(t, team.rank()), maestro::gpu::Larger{});
    result.smallest = team.reduce(real_of(t, team.rank()), maestro::gpu::Smaller{});
    result.first = team.reduce(number_of(t, team.rank()), maestro::gpu::Smaller{});
    results[t * threads + team.rank()] = result;
  }
};

/// Launches `Body{results}` with a result for every member of every team, and checks that all members of a team got the
/// same: what its first member got.
template <class Result, class Body, class Executor>
std::vector<Result> result_of_teams(Executor& executor, std::size_t teams, Body body, std::size_t members) {
  Memory<Executor, Result> results(executor, std::vector<Result>(teams * team_threads));
  body.results = results.data();
  executor.launch(teams, body);
  const std::vector<Result> all = results.read();
  std::vector<Result> first;
  for (std::size_t t = 0; t < teams; ++t) {
    first.push_back(all[t * team_threads]);
    std::size_t different = 0;
    for (std::size_t r = 1; r < members; ++r) different += all[t * team_threads + r] == first.back() ? 0u : 1u;
    BOOST_TEST(different == 0u, different << " members of team " << t << " got another result");
  }
  return first;
}

template <class Executor>
void check_reductions(Executor& executor, std::size_t members) {
  const std::vector<Reduced> results = result_of_teams<Reduced>(executor, 7, ReduceBody{}, members);
  for (std::size_t t = 0; t < results.size(); ++t) {
    Reduced expected{members, 0, -2.0, 2.0, ~std::uint64_t{0}};
    for (std::size_t r = 0; r < members; ++r) {
      expected.sum += number_of(t, r) >> 8;
      expected.largest = std::max(expected.largest, real_of(t, r));
      expected.smallest = std::min(expected.smallest, real_of(t, r));
      expected.first = std::min(expected.first, number_of(t, r));
    }
    BOOST_TEST(results[t].members == expected.members);
    BOOST_TEST(results[t].sum == expected.sum);
    BOOST_TEST(results[t].largest == expected.largest);
    BOOST_TEST(results[t].smallest == expected.smallest);
    BOOST_TEST(results[t].first == expected.first);
  }
}

/// Two sums in a row: of `count` values of each member, then of one.
struct SumEachBody {
  static constexpr unsigned threads = team_threads;
  static constexpr std::size_t most = 8;
  std::size_t count;
  float* sums;  // (teams x (most + 1))

  std::size_t shared_bytes() const { return (most + 1) * sizeof(float); }
  template <maestro::gpu::Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t t) const {
    auto* shared = reinterpret_cast<float*>(team.shared());
    float own[most] = {};
    for (std::size_t v = 0; v < count; ++v) own[v] = static_cast<float>((team.rank() + t) * (v + 1));
    team.template sum_each<most>(own, count, shared);
    team.template sum_each<1>(own, 1, shared + most);
    maestro::gpu::for_each(team, count, [&](std::size_t v) { sums[t * (most + 1) + v] = shared[v]; });
    if (team.rank() == 0) sums[t * (most + 1) + most] = shared[most];
  }
};

template <class Executor>
void check_sums(Executor& executor, std::size_t members) {
  constexpr std::size_t teams = 5;
  constexpr std::size_t row = SumEachBody::most + 1;
  for (std::size_t count = 1; count <= SumEachBody::most; ++count) {
    Memory<Executor, float> sums(executor, std::vector<float>(teams * row, -1.0f));
    executor.launch(teams, SumEachBody{count, sums.data()});
    const std::vector<float> found = sums.read();
    for (std::size_t t = 0; t < teams; ++t) {
      const std::size_t ranks = members * (members - 1) / 2 + members * t;
      for (std::size_t v = 0; v < SumEachBody::most; ++v) {
        BOOST_TEST(found[t * row + v] == (v < count ? static_cast<float>(ranks * (v + 1)) : -1.0f));
      }
      BOOST_TEST(found[t * row + SumEachBody::most] == static_cast<float>(ranks));
    }
  }
}

/// Fills `bytes` of scratch, then reads them as another member.
struct ScratchBody {
  static constexpr unsigned threads = team_threads;
  std::size_t bytes;
  std::uint64_t* wrong;  // (teams x threads) bytes that were not as written

  std::size_t shared_bytes() const { return bytes; }
  template <maestro::gpu::Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t t) const {
    unsigned char* shared = team.shared();
    maestro::gpu::for_each(team, bytes, [&](std::size_t i) { shared[i] = static_cast<unsigned char>(i * 31 + t); });
    team.sync();
    std::uint64_t own = bytes > 0 && reinterpret_cast<std::uintptr_t>(shared) % 16 != 0 ? 1 : 0;
    maestro::gpu::for_each(team, bytes, [&](std::size_t i) {
      const std::size_t mirrored = bytes - 1 - i;
      own += shared[mirrored] == static_cast<unsigned char>(mirrored * 31 + t) ? 0u : 1u;
    });
    wrong[t * threads + team.rank()] = own;
  }
};

template <class Executor>
void check_scratch(Executor& executor, std::size_t members) {
  constexpr std::size_t kib = 1024;
  for (const std::size_t bytes : {std::size_t{0}, kib, 40 * kib, 40 * kib + 16, 48 * kib, executor.shared_limit()}) {
    Memory<Executor, std::uint64_t> wrong(executor, std::vector<std::uint64_t>(4 * team_threads, 99));
    executor.launch(4, ScratchBody{bytes, wrong.data()});
    const std::vector<std::uint64_t> found = wrong.read();
    for (std::size_t i = 0; i < found.size(); ++i) {
      const bool member = i % team_threads < members;
      BOOST_TEST(found[i] == (member ? 0u : 99u), bytes << " bytes: " << found[i] << " wrong");
    }
  }
}

struct SameMoments : maestro::Moments {
  friend bool operator==(const SameMoments& a, const SameMoments& b) {
    return a.count == b.count && a.mean == b.mean && a.squares == b.squares;
  }
};

struct MomentsBody : NoScratch {
  const double* values;
  maestro::gpu::GroupLayout layout;
  SameMoments* results;

  template <maestro::gpu::Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t t) const {
    const double* own = values + layout.begin(t);
    results[t * threads + team.rank()] = {
        maestro::gpu::team_moments(team, layout.size(t), [own](std::size_t i) { return own[i]; })};
  }
};

/// Rows for moments: any, NaN-laden, empty, all NaN, equal, far from 0, NaN first.
inline std::vector<std::vector<double>> moments_rows() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<std::vector<double>> rows;
  for (const std::size_t count : {1u, 2u, 31u, 32u, 95u, 96u, 97u, 1000u}) {
    for (const double missing : {-1.0, 0.3, 0.95}) {  // the shares that are missing: none, two thirds, nearly all
      std::vector<double> row(count);
      for (std::size_t i = 0; i < count; ++i) {
        row[i] = missing > -1.0 && real_of(count, i + 5000) < missing ? nan : 3.0 * real_of(count, i);
      }
      rows.push_back(row);
    }
    rows.emplace_back(count, 0.1);
    rows.emplace_back(count, nan);
    std::vector<double> far(count, 1e9);
    for (std::size_t i = 0; i < count; ++i) far[i] += real_of(i, count);
    rows.push_back(far);
    std::vector<double> late(count, nan);
    late.back() = -0.7;
    rows.push_back(late);
    rows.emplace_back();
  }
  return rows;
}

template <class Executor>
void check_moments(Executor& executor, std::size_t members) {
  const std::vector<std::vector<double>> rows = moments_rows();
  std::vector<double> values;
  std::vector<std::int64_t> offsets{0};
  for (const auto& row : rows) {
    values.insert(values.end(), row.begin(), row.end());
    offsets.push_back(static_cast<std::int64_t>(values.size()));
  }
  Memory<Executor, double> on_values(executor, values);
  Memory<Executor, std::int64_t> on_offsets(executor, offsets);
  MomentsBody body{};
  body.values = on_values.data();
  body.layout = maestro::gpu::GroupLayout::ragged(on_offsets.data(), rows.size(), values.size(), 1000);
  const std::vector<SameMoments> found = result_of_teams<SameMoments>(executor, rows.size(), body, members);
  for (std::size_t t = 0; t < rows.size(); ++t) {
    const maestro::Moments expected = maestro::moments_of(rows[t].data(), rows[t].size());
    BOOST_TEST_CONTEXT("row " << t << " of " << rows[t].size() << " values") {
      BOOST_TEST(found[t].count == expected.count);
      BOOST_TEST(std::abs(found[t].mean - expected.mean) <= 1e-14 * (1.0 + std::abs(expected.mean)));
      BOOST_TEST(std::abs(found[t].squares - expected.squares) <= 1e-9 * expected.squares);
    }
  }
}

struct GroupsBody : NoScratch {
  maestro::gpu::GroupLayout layout;
  std::uint64_t* results;  // (rows)

  template <maestro::gpu::Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t t) const {
    const std::size_t row = t * team.size() + team.rank();
    if (row < layout.rows) results[row] = layout.group_of(row);
  }
};

/// group_of on the executor is that of Groups.
template <class Executor>
void check_groups(Executor& executor, const maestro::Groups& groups, std::size_t even_size) {
  std::vector<std::int64_t> offsets;
  for (const std::size_t offset : groups.offsets()) offsets.push_back(static_cast<std::int64_t>(offset));
  Memory<Executor, std::int64_t> on_offsets(executor, offsets);
  using maestro::gpu::GroupLayout;
  GroupsBody body{};
  body.layout = even_size > 0 ? GroupLayout::uniform(groups.count(), even_size)
                              : GroupLayout::ragged(on_offsets.data(), groups.count(), groups.rows(), 1000);
  BOOST_TEST(body.layout.rows == groups.rows());
  Memory<Executor, std::uint64_t> results(executor, std::vector<std::uint64_t>(groups.rows(), 999));
  body.results = results.data();
  executor.launch(groups.rows(), body);
  const std::vector<std::uint64_t> found = results.read();
  for (std::size_t row = 0; row < groups.rows(); ++row) BOOST_TEST(found[row] == groups.group_of(row));
}

template <class Executor>
void check_group_layouts(Executor& executor) {
  check_groups(executor, maestro::Groups::uniform(5, 7), 7);
  check_groups(executor, maestro::Groups::uniform(5, 7), 0);
  for (const std::vector<std::size_t>& sizes :
       {std::vector<std::size_t>{0, 0, 2, 0, 1, 3, 0}, {4}, {0, 1}, {1, 0}, {200, 0, 0, 1, 100}}) {
    check_groups(executor, maestro::Groups::from_sizes(sizes), 0);
  }
}

/// Reports number `t * members + rank` of a list that depends on `seed`, as long as it is below `count`.
struct FaultBody : NoScratch {
  std::uint64_t seed;
  std::size_t count;
  maestro::gpu::FaultWord* record;

  template <maestro::gpu::Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t t) const {
    const std::size_t i = t * team.size() + team.rank();
    if (i < count) maestro::gpu::report_fault(record, maestro::gpu::Fault::reward_infinite, row(i), column(i));
  }
  MAESTRO_HD std::size_t row(std::size_t i) const { return 7 + number_of(seed, i) % 1000; }
  MAESTRO_HD std::size_t column(std::size_t i) const { return number_of(i, seed) % 5; }
};

/// Thousands of reports from many teams: the first row is thrown, and then forgotten.
template <class Executor>
void check_fault_record(Executor& executor) {
  maestro::gpu::FaultRecord<Executor> record(executor);
  BOOST_CHECK_NO_THROW(record.check(executor));
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    FaultBody body{};
    body.seed = seed;
    body.count = 3000;
    body.record = record.data();
    maestro::gpu::FaultWord least = maestro::gpu::no_fault;
    for (std::size_t i = 0; i < body.count; ++i) {
      least =
          std::min(least, maestro::gpu::fault_word(maestro::gpu::Fault::reward_infinite, body.row(i), body.column(i)));
    }
    const std::string place = "row " + std::to_string((least >> 24) & 0xFFFFFFFFu) + ", reward " +
                              std::to_string(least & 0xFFFFFFu) + " is infinite";
    executor.launch(body.count, body);
    BOOST_CHECK_EXCEPTION(record.check(executor), maestro::BadData, [&](const maestro::BadData& e) {
      return std::string(e.what()).find(place) != std::string::npos;
    });
    BOOST_CHECK_NO_THROW(record.check(executor));
  }
  maestro::gpu::FaultRecord<Executor> reset(executor);
  FaultBody body{};
  body.count = 1;
  body.record = reset.data();
  executor.launch(1, body);
  reset.reset(executor);
  BOOST_CHECK_NO_THROW(reset.check(executor));
}

/// counts[t] += by, by one member.
struct CountBody : NoScratch {
  std::uint64_t* counts;
  std::uint64_t by;

  template <maestro::gpu::Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t t) const {
    if (team.rank() == 0) counts[t] += by;
  }
};
inline CountBody count_body(std::uint64_t* counts, std::uint64_t by) {
  CountBody body{};
  body.counts = counts;
  body.by = by;
  return body;
}

/// A sequence of launches has the same effect on every replay, whatever keys came between.
template <class Executor>
void check_replays(Executor& executor) {
  Memory<Executor, std::uint64_t> counts(executor, {0, 0, 0});
  Memory<Executor, std::uint64_t> copied(executor, {5, 5, 5});
  typename Executor::Graph graph;
  const auto run = [&](std::uint64_t by) {
    executor.replay(graph, maestro::gpu::GraphKey(counts.data(), by), [&] {
      executor.clear(copied.data(), 3);
      executor.launch(3, count_body(counts.data(), by));
      executor.launch(2, count_body(counts.data(), 10 * by));
      executor.copy(counts.data(), copied.data(), 2);
    });
  };
  for (const std::uint64_t by : {1u, 1u, 100u, 1u}) run(by);
  const std::vector<std::uint64_t> expected{103 * 11, 103 * 11, 103};
  BOOST_TEST(counts.read() == expected, boost::test_tools::per_element());
  const std::vector<std::uint64_t> expected_copy{103 * 11, 103 * 11, 0};
  BOOST_TEST(copied.read() == expected_copy, boost::test_tools::per_element());
}

/// Nothing at all is fine everywhere.
template <class Executor>
void check_nothing(Executor& executor) {
  executor.launch(0, count_body(nullptr, 1));
  float* none = nullptr;
  executor.copy(none, none, 0);
  executor.upload(none, none, 0);
  executor.download(none, none, 0);
  executor.clear(none, 0);
  BOOST_CHECK_NO_THROW(executor.wait());
}

}  // namespace test
