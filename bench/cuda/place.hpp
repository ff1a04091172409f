#pragma once

/// @file
/// Where a work runs: an executor with its fault record, and the way in and out of its memory.

#include <cstddef>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bench/cuda/options.hpp"
#include "bench/cuda/work.hpp"
#include "maestro/core/error.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/host_executor.hpp"
#include "maestro/cuda/core/stream_executor.cuh"

namespace maestro::bench::device {

template <class E>
class Place {
 public:
  template <class T>
  using Buffer = typename E::template Buffer<T>;

  Place() : faults(executor) {}

  template <class T>
  Buffer<T> upload(const std::vector<T>& values) {
    Buffer<T> buffer;
    buffer.reserve(values.size());
    executor.upload(values.data(), buffer.data(), values.size());
    executor.wait();
    return buffer;
  }
  template <class T>
  Buffer<T> room(std::size_t count) {
    Buffer<T> buffer;
    buffer.reserve(count);
    return buffer;
  }
  /// Writes raw values to folder/name, as this machine stores them.
  template <class T>
  void dump(const std::string& folder, const char* name, const T* values, std::size_t count) {
    if (folder.empty()) return;
    std::vector<T> copy(count);
    executor.download(values, copy.data(), count);
    executor.wait();
    write(folder, name, copy);
  }
  template <class T>
  static void write(const std::string& folder, const char* name, const std::vector<T>& values) {
    if (folder.empty()) return;
    std::ofstream file(folder + "/" + name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
    if (!file.flush()) throw Error("cannot write " + folder + "/" + name);
  }

  E executor{};
  gpu::FaultRecord<E> faults;
};

/// State has a member `place` and run(). It lives as long as the work.
template <class State>
Work work_of(const std::shared_ptr<State>& state) {
  Work work{.call = [state] { state->run(); },
            .wait = [state] { state->place.executor.wait(); },
            .check = [state] { state->place.faults.check(state->place.executor); }};
  if constexpr (requires { state->place.executor.stream(); }) work.stream = state->place.executor.stream();
  return work;
}

/// make(executor type) with the executor that the options name.
template <class Make>
Work on_executor(const Options& options, const Make& make) {
  if (options.host) return make(static_cast<gpu::HostExecutor*>(nullptr));
  return make(static_cast<gpu::OwnStreamExecutor*>(nullptr));
}

}  // namespace maestro::bench::device
