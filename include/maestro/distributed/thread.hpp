#pragma once

/// @file
/// Ranks that are threads of one process, for tests and for one program on several CPU sockets.

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/distributed/collectives.hpp"

namespace maestro {

namespace detail {

/// RankMeeting synchronizes the ranks of one group and shows each of them what the others have posted.
class RankMeeting {
 public:
  explicit RankMeeting(std::size_t size) : posted_(size) {}

  std::size_t size() const { return posted_.size(); }
  /// Gives what rank r has posted; valid between two meetings.
  std::span<std::byte> posted(std::size_t r) const { return posted_[r]; }
  void post(std::size_t rank, std::span<std::byte> bytes) { posted_[rank] = bytes; }

  /// Returns once all ranks have called it.
  /// @throws RankFailed if a rank has failed; BadArgument if a rank has returned and so will never call it.
  void meet() {
    std::unique_lock lock(mutex_);
    if (failure_.empty() && !left_ && ++arrived_ == size()) {
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
      return;
    }
    const std::size_t round = round_;
    changed_.wait(lock, [&] { return round_ != round || left_ || !failure_.empty(); });
    if (round_ != round) return;
    if (!failure_.empty()) throw RankFailed(failure_);
    throw BadArgument("a rank has returned while others wait for it; all ranks must make the same collective calls");
  }
  /// Records that a rank has returned.
  void leave() {
    const std::lock_guard lock(mutex_);
    left_ = true;
    changed_.notify_all();
  }
  /// Records the failure of a rank; all waiting ranks then throw.
  void fail(std::size_t rank, const std::string& message) {
    const std::lock_guard lock(mutex_);
    if (failure_.empty()) {
      failure_ = "rank " + std::to_string(rank) + " of " + std::to_string(size()) + " failed: " + message;
    }
    changed_.notify_all();
  }

 private:
  std::vector<std::span<std::byte>> posted_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t arrived_ = 0;
  std::size_t round_ = 0;
  bool left_ = false;
  std::string failure_;
};

}  // namespace detail

/// ThreadCommunicator is one rank of run_on_threads(). Values are summed in the order of the ranks.
class ThreadCommunicator {
 public:
  ThreadCommunicator(std::shared_ptr<detail::RankMeeting> meeting, std::size_t rank)
      : meeting_(std::move(meeting)), rank_(rank) {}

  std::size_t rank() const { return rank_; }
  std::size_t size() const { return meeting_->size(); }
  /// @throws BadArgument if the ranks have different numbers of values; RankFailed if another rank has failed.
  void all_reduce_sum(std::span<double> values) { sum(values); }
  void all_reduce_sum(std::span<float> values) { sum(values); }
  RankBytes all_gather(std::span<const std::byte> own) {
    // Nobody writes to what is posted here.
    meeting_->post(rank_, {const_cast<std::byte*>(own.data()), own.size()});
    meeting_->meet();
    RankBytes all;
    for (std::size_t r = 0; r < size(); ++r) {
      const std::span<std::byte> part = meeting_->posted(r);
      all.emplace_back(part.begin(), part.end());
    }
    meeting_->meet();
    return all;
  }
  /// See reduce_scatter_sum() in collectives.hpp. The sums have the bits of all_reduce_sum.
  void reduce_scatter_sum(std::span<double> values) { sum_share(values); }
  void reduce_scatter_sum(std::span<float> values) { sum_share(values); }
  /// See all_gather_shares() in collectives.hpp.
  void all_gather_shares(std::span<double> values) { gather_shares(values); }
  void all_gather_shares(std::span<float> values) { gather_shares(values); }
  void barrier() { meeting_->meet(); }

 private:
  /// Each rank sums its share of the values and writes the sums to all.
  template <class T>
  void sum(std::span<T> values) {
    meet_with(values, "all_reduce_sum", [&] {
      for (std::size_t i = rank_ * values.size() / size(); i < (rank_ + 1) * values.size() / size(); ++i) {
        const T total = sum_at<T>(i);
        for (std::size_t r = 0; r < size(); ++r) values_of<T>(r)[i] = total;
      }
    });
  }
  template <class T>
  void sum_share(std::span<T> values) {
    const std::size_t share = values.size() / size();
    meet_with(values, "reduce_scatter_sum", [&] {
      for (std::size_t i = rank_ * share; i < (rank_ + 1) * share; ++i) values[i] = sum_at<T>(i);
    });
  }
  template <class T>
  void gather_shares(std::span<T> values) {
    const std::size_t share = values.size() / size();
    meet_with(values, "all_gather_shares", [&] {
      for (std::size_t r = 0; r < size(); ++r) {
        if (r != rank_) std::copy_n(values_of<T>(r) + r * share, share, values.data() + r * share);
      }
    });
  }
  /// Runs `work` while the values of all ranks are visible.
  template <class T, class Work>
  void meet_with(std::span<T> values, const char* name, const Work& work) {
    meeting_->post(rank_, std::as_writable_bytes(values));
    meeting_->meet();
    bool alike = true;
    for (std::size_t r = 0; r < size(); ++r) alike = alike && meeting_->posted(r).size() == values.size_bytes();
    if (alike) work();
    meeting_->meet();
    if (!alike) throw BadArgument(std::string(name) + ": the ranks have different numbers of values");
  }
  template <class T>
  T sum_at(std::size_t i) const {
    T total{};
    for (std::size_t r = 0; r < size(); ++r) total += values_of<T>(r)[i];
    return total;
  }
  template <class T>
  T* values_of(std::size_t r) const {
    return reinterpret_cast<T*>(meeting_->posted(r).data());
  }

  std::shared_ptr<detail::RankMeeting> meeting_;
  std::size_t rank_;
};

/// Calls work(communicator) once for each of `ranks` ranks, each on a thread of its own, and returns when all have
/// returned. A loop inside a rank uses max_threads() / ranks threads, at least one.
/// @throws the exception of the lowest rank that failed by itself. The other ranks throw RankFailed at their next
///   collective.
template <class Work>
void run_on_threads(std::size_t ranks, const Work& work) {
  require(ranks > 0, "run_on_threads: there must be at least one rank");
  const auto meeting = std::make_shared<detail::RankMeeting>(ranks);
  const int threads = max_threads() / static_cast<int>(ranks);
  std::vector<std::exception_ptr> failures(ranks);
  const auto run = [&](std::size_t rank) {
    try {
      set_threads(threads > 0 ? threads : 1);
      ThreadCommunicator communicator(meeting, rank);
      work(communicator);
      meeting->leave();
    } catch (const RankFailed&) {
      failures[rank] = nullptr;
      meeting->fail(rank, "left after another rank");
    } catch (const std::exception& error) {
      failures[rank] = std::current_exception();
      meeting->fail(rank, error.what());
    } catch (...) {
      failures[rank] = std::current_exception();
      meeting->fail(rank, "an exception of no known type");
    }
  };
  {
    std::vector<std::jthread> all;
    for (std::size_t rank = 0; rank < ranks; ++rank) all.emplace_back(run, rank);
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace maestro
