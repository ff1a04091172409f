#pragma once

/// @file
/// Batches that are drawn while the trainer learns from earlier ones.

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/rollout/answer.hpp"
#include "maestro/rollout/server.hpp"

namespace maestro {

/// BatchesAhead draws batches on its own thread, in the order in which they were pushed, and holds them until they are
/// taken. It never holds more than `limit` batches, drawn or not. Only one thread may push and take.
class BatchesAhead {
 public:
  using Draw = std::function<std::vector<GroupOutcome>(std::vector<GroupRequest>)>;

  /// Makes an object without batches.
  /// @param draw   draws a batch; called on the other thread.
  /// @param limit  the largest number of batches held (S).
  BatchesAhead(Draw draw, std::size_t limit) : draw_(std::move(draw)), limit_(limit) {}
  BatchesAhead(const BatchesAhead&) = delete;
  BatchesAhead& operator=(const BatchesAhead&) = delete;
  ~BatchesAhead() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  std::size_t limit() const { return limit_; }
  bool has(std::uint64_t name) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(batches_.begin(), batches_.end(), [&](const Batch& batch) { return batch.name == name; });
  }
  /// Requests a batch. `name` must be new.
  /// @throws BadArgument if `limit` batches are held.
  void push(std::uint64_t name, std::vector<GroupRequest> requests) {
    const std::lock_guard lock(mutex_);
    require(batches_.size() < limit_, "batches ahead: there are as many as may be; take one first");
    batches_.push_back({.name = name, .requests = std::move(requests)});
    if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
    changed_.notify_all();
  }
  /// Waits for a batch and removes it, together with batches that were pushed earlier and never taken.
  /// @throws BadArgument if the batch was never pushed; what `draw` threw for it.
  std::vector<GroupOutcome> take(std::uint64_t name) {
    std::unique_lock lock(mutex_);
    Batch* batch = find(name);
    require(batch != nullptr, "batches ahead: this batch was never pushed");
    changed_.wait(lock, [&] { return batch->state == State::drawn; });
    std::vector<GroupOutcome> outcomes = std::move(batch->outcomes);
    const std::exception_ptr failure = batch->failure;
    while (batches_.front().name != name) batches_.pop_front();
    batches_.pop_front();
    if (failure) std::rethrow_exception(failure);
    return outcomes;
  }
  /// Drops every batch whose drawing has not begun, waits for the one that is being drawn, and then drops the rest.
  void clear() {
    std::unique_lock lock(mutex_);
    std::erase_if(batches_, [](const Batch& batch) { return batch.state == State::waiting; });
    changed_.wait(lock, [&] { return batches_.empty() || batches_.back().state == State::drawn; });
    batches_.clear();
  }

 private:
  enum class State : std::uint8_t { waiting, under_way, drawn };
  struct Batch {
    std::uint64_t name = 0;
    std::vector<GroupRequest> requests{};
    State state = State::waiting;
    std::vector<GroupOutcome> outcomes{};
    std::exception_ptr failure{};
  };

  Batch* find(std::uint64_t name) {
    for (Batch& batch : batches_) {
      if (batch.name == name) return &batch;
    }
    return nullptr;
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      Batch* next = nullptr;
      changed_.wait(lock, [&] {
        for (Batch& batch : batches_) {
          if (next == nullptr && batch.state == State::waiting) next = &batch;
        }
        return over_ || next != nullptr;
      });
      if (over_) return;
      next->state = State::under_way;
      std::vector<GroupRequest> requests = std::move(next->requests);
      lock.unlock();
      std::vector<GroupOutcome> outcomes;
      std::exception_ptr failure;
      try {
        outcomes = draw_(std::move(requests));
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      next->outcomes = std::move(outcomes);
      next->failure = failure;
      next->state = State::drawn;
      changed_.notify_all();
    }
  }

  Draw draw_;
  std::size_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> batches_;  // in order; one that is under way is neither moved nor removed
  bool over_ = false;
  std::thread thread_;
};

}  // namespace maestro
