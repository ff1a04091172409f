#pragma once

/// @file
/// An executor that runs kernel bodies on the host: one team after another, each a team of one. It is the reference for
/// the device, and runs where there is none. Neutral.

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/team.hpp"

namespace maestro::gpu {

/// HostExecutor is the executor whose memory is the host's; everything is done when a call returns.
class HostExecutor {
 public:
  /// Buffer is storage that only ever grows; its contents are lost when it does.
  template <class T>
  class Buffer {
   public:
    /// Makes room for `count` values, and tells whether the storage moved.
    bool reserve(std::size_t count) {
      if (count <= values_.size()) return false;
      values_.assign(count, T{});
      return true;
    }
    T* data() { return values_.data(); }
    const T* data() const { return values_.data(); }
    std::size_t capacity() const { return values_.size(); }

   private:
    AlignedVector<T> values_;
  };
  /// Graph has nothing to remember: a recorded sequence is simply run.
  struct Graph {};

  /// Runs body(team, t) for every team.
  /// @throws BadArgument for a body that wants more scratch than a team may share.
  template <class Body>
  void launch(std::size_t teams, const Body& body) {
    require(body.shared_bytes() <= shared_limit(), "executor: a team cannot share that much scratch");
    scratch_.resize(std::max(scratch_.size(), body.shared_bytes()));
    for (std::size_t t = 0; t < teams; ++t) body(SerialTeam(scratch_.data()), t);
  }
  template <class Record>
  void replay(Graph&, const GraphKey&, const Record& record) {
    record();
  }
  template <class S>
  bool multiply(const LayerProduct<S>&) {
    return false;
  }
  template <class T>
  void copy(const T* from, T* to, std::size_t count) {
    if (count > 0) std::memmove(to, from, count * sizeof(T));
  }
  template <class T>
  void upload(const T* from, T* to, std::size_t count) {
    copy(from, to, count);
  }
  template <class T>
  void download(const T* from, T* to, std::size_t count) {
    copy(from, to, count);
  }
  template <class T>
  void clear(T* values, std::size_t count) {
    std::fill_n(values, count, T{});
  }
  void wait() {}
  /// Gives the bytes that a team may share. They are those of the devices that the library is built for, so that the
  /// host takes the same paths.
  std::size_t shared_limit() const { return std::size_t{160} * 1024; }

 private:
  AlignedVector<unsigned char> scratch_;
};

static_assert(Executor<HostExecutor>);

}  // namespace maestro::gpu
