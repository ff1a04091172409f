#pragma once

/// @file
/// The executor of the host runs kernel bodies one team after another, each a team of one. It is the reference for the
/// device, and runs on machines without one. This header compiles without nvcc and without the CUDA toolkit.

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/team.hpp"

namespace maestro::gpu {

/// HostExecutor is the executor whose memory is the host's. Its calls return when their work is done.
class HostExecutor {
 public:
  /// Buffer is storage that never shrinks. If it grows, its contents are lost.
  template <class T>
  class Buffer {
   public:
    /// Makes room for `count` values, and returns whether the storage moved.
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
  /// Graph is empty, since nothing is recorded on the host.
  struct Graph {};

  /// Runs body(team, t) for every t in [0, teams), in order.
  /// @throws BadArgument if the body needs more scratch than shared_limit().
  template <class Body>
  void launch(std::size_t teams, const Body& body) {
    require(body.shared_bytes() <= shared_limit(), "executor: a team cannot share that much scratch");
    scratch_.resize(std::max(scratch_.size(), body.shared_bytes()));
    for (std::size_t t = 0; t < teams; ++t) body(SerialTeam(scratch_.data()), t);
  }
  /// Runs `record()`, every time.
  template <class Record>
  void replay(Graph&, const GraphKey&, const Record& record) {
    record();
  }
  /// Returns false: the host's executor has no library for products.
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
  /// Gives the bytes of scratch that a team may have. They are about those of a device of compute capability 8.0, so
  /// that the host takes the same branches as a device.
  std::size_t shared_limit() const { return std::size_t{160} * 1024; }

 private:
  AlignedVector<unsigned char> scratch_;
};

static_assert(Executor<HostExecutor>);

}  // namespace maestro::gpu
