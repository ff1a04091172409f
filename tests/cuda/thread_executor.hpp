#pragma once

// Teams of several threads: the device's blocks in small, so that a missing barrier is a data race that
// ThreadSanitizer sees, and a wrong result.

#include <barrier>
#include <cstring>
#include <thread>
#include <vector>

#include "maestro/cuda/core/host_executor.hpp"

namespace test {

/// What the members of one team share.
struct TeamState {
  explicit TeamState(std::size_t size, std::size_t bytes)
      : barrier(static_cast<std::ptrdiff_t>(size)), slots(size), floats(size), shared(bytes + 16) {}
  std::barrier<> barrier;
  std::vector<std::vector<unsigned char>> slots;  // one value of each member
  std::vector<const float*> floats;
  maestro::AlignedVector<unsigned char> shared;
};

class ThreadTeam {
 public:
  ThreadTeam(TeamState& state, std::size_t rank) : state_(&state), rank_(rank) {}

  std::size_t rank() const { return rank_; }
  std::size_t size() const { return state_->slots.size(); }
  void sync() const { state_->barrier.arrive_and_wait(); }
  template <class T, class Op>
  T reduce(T value, const Op& op) const {
    auto& slot = state_->slots[rank_];
    slot.resize(sizeof(T));
    std::memcpy(slot.data(), &value, sizeof(T));
    sync();
    T result{};
    std::memcpy(&result, state_->slots[0].data(), sizeof(T));
    for (std::size_t r = 1; r < size(); ++r) {
      T other{};
      std::memcpy(&other, state_->slots[r].data(), sizeof(T));
      result = op(result, other);
    }
    sync();
    return result;
  }
  template <std::size_t Most>
  void sum_each(const float* values, std::size_t count, float* sums) const {
    state_->floats[rank_] = values;
    sync();
    for (std::size_t v = rank_; v < count; v += size()) {
      float sum = state_->floats[0][v];
      for (std::size_t r = 1; r < size(); ++r) sum += state_->floats[r][v];
      sums[v] = sum;
    }
    sync();
  }
  unsigned char* shared() const { return state_->shared.data(); }

 private:
  TeamState* state_;
  std::size_t rank_;
};

/// A HostExecutor whose teams have `Threads` members, each a thread.
template <std::size_t Threads>
class ThreadExecutor : public maestro::gpu::HostExecutor {
 public:
  template <class Body>
  void launch(std::size_t teams, const Body& body) {
    if (teams == 0) return;
    maestro::require(body.shared_bytes() <= shared_limit(), "executor: a team cannot share that much scratch");
    TeamState state(Threads, body.shared_bytes());
    std::vector<std::thread> members;
    for (std::size_t r = 0; r < Threads; ++r) {
      members.emplace_back([&, r] {
        const ThreadTeam team(state, r);
        for (std::size_t t = 0; t < teams; ++t) {
          body(team, t);
          team.sync();  // the scratch is the next team's
        }
      });
    }
    for (std::thread& member : members) member.join();
  }
};

static_assert(maestro::gpu::Team<ThreadTeam> && maestro::gpu::Executor<ThreadExecutor<3>>);

}  // namespace test
