#pragma once

/// @file
/// NCCL collectives over values on CUDA devices, for ranks with one device each. This header needs the target
/// maestro::nccl.

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/distributed/collectives.hpp"

namespace maestro {

/// DeviceSpan is a contiguous array of values on a device. A std::span of the host does not convert to it.
template <class T>
class DeviceSpan {
 public:
  DeviceSpan() = default;
  DeviceSpan(T* data, std::size_t size) : data_(data), size_(size) {}

  T* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

namespace detail {

/// @throws IoError with what NCCL says.
inline void check_nccl(ncclResult_t code, const char* call) {
  if (code == ncclSuccess || code == ncclInProgress) return;
  throw IoError(std::string("NCCL: ") + call + ": " + ncclGetErrorString(code));
}

/// @throws IoError with what CUDA says.
inline void check_cuda_call(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return;
  throw IoError(std::string("CUDA: ") + call + ": " + cudaGetErrorString(code));
}

inline ncclDataType_t nccl_type(float) { return ncclFloat32; }
inline ncclDataType_t nccl_type(double) { return ncclFloat64; }

}  // namespace detail

/// NcclCommunicator runs collectives on this rank's device, over the ranks of a host communicator. Its calls take
/// device spans and a stream, and return once the work is enqueued. All ranks make the same calls in the same order.
/// NCCL makes the sums: they are the same on every rank, and from run to run with the same ranks, devices and library.
/// Only one thread may call it at a time.
///
///     MpiCommunicator hosts;
///     cudaSetDevice(local_rank);
///     NcclCommunicator devices(hosts);
///     devices.all_reduce_sum(DeviceSpan<float>(gradients, count), stream);
///     devices.wait(stream);
class NcclCommunicator {
 public:
  /// Connects the ranks of `hosts`. Each rank takes its current device; no two ranks may have the same device.
  /// @throws IoError with what NCCL says; RankFailed if another rank could not start.
  // A copy or a move is asked for first: clang cannot say whether this type is a Communicator while it is being moved.
  template <class Hosts>
  requires(!std::is_same_v<std::remove_cv_t<Hosts>, NcclCommunicator> &&
           Communicator<Hosts>) explicit NcclCommunicator(Hosts& hosts)
      : rank_(hosts.rank()), size_(hosts.size()) {
    ncclUniqueId id{};
    in_step(hosts, [&] {
      // A rank without a device fails here, not where the others would wait for it.
      detail::check_cuda_call(cudaFree(nullptr), "cudaFree");
      if (rank_ == 0) detail::check_nccl(ncclGetUniqueId(&id), "ncclGetUniqueId");
    });
    const std::span<const ncclUniqueId> own(&id, rank_ == 0 ? 1 : 0);
    id = gather_values(own, hosts).front();
    try {
      in_step(hosts, [&] {
        detail::check_nccl(ncclCommInitRank(&comm_, static_cast<int>(size_), id, static_cast<int>(rank_)),
                           "ncclCommInitRank");
      });
    } catch (...) {
      give_up();  // another rank could not
      throw;
    }
  }
  NcclCommunicator(NcclCommunicator&& other) noexcept
      : comm_(std::exchange(other.comm_, nullptr)), rank_(other.rank_), size_(other.size_) {}
  NcclCommunicator& operator=(NcclCommunicator&& other) noexcept {
    std::swap(comm_, other.comm_);
    rank_ = other.rank_;
    size_ = other.size_;
    return *this;
  }
  ~NcclCommunicator() {
    if (comm_ != nullptr) ncclCommDestroy(comm_);
  }

  std::size_t rank() const { return rank_; }
  std::size_t size() const { return size_; }

  /// Replaces every value by its sum over the ranks.
  /// @throws IoError with what NCCL says, as all below do.
  template <class T>
  void all_reduce_sum(DeviceSpan<T> values, cudaStream_t stream) {
    call(ncclAllReduce(values.data(), values.data(), values.size(), detail::nccl_type(T{}), ncclSum, comm(), stream),
         "ncclAllReduce");
  }
  /// Sums the values over the ranks and gives each rank its share of the sums: values.size() / size() of them, in their
  /// place. The values in the other shares are unspecified afterwards.
  /// @throws BadArgument if the values cannot be shared evenly.
  template <class T>
  void reduce_scatter_sum(DeviceSpan<T> values, cudaStream_t stream) {
    const std::size_t share = share_of(values.size());
    call(ncclReduceScatter(values.data(), values.data() + rank_ * share, share, detail::nccl_type(T{}), ncclSum, comm(),
                           stream),
         "ncclReduceScatter");
  }
  /// Copies every share from the rank that owns it; this rank's own share must be in place.
  /// @throws BadArgument if the values cannot be shared evenly.
  template <class T>
  void all_gather_shares(DeviceSpan<T> values, cudaStream_t stream) {
    const std::size_t share = share_of(values.size());
    call(ncclAllGather(values.data() + rank_ * share, values.data(), share, detail::nccl_type(T{}), comm(), stream),
         "ncclAllGather");
  }
  /// Copies the values of rank `root` to all ranks.
  /// @throws BadArgument if there is no such rank.
  template <class T>
  void broadcast(DeviceSpan<T> values, std::size_t root, cudaStream_t stream) {
    require(root < size_, "NCCL: broadcast from a rank that is not there");
    call(ncclBroadcast(values.data(), values.data(), values.size(), detail::nccl_type(T{}), static_cast<int>(root),
                       comm(), stream),
         "ncclBroadcast");
  }
  /// Launches all collectives that `work` calls together (ncclGroupStart, ncclGroupEnd), which is cheaper than one
  /// after another. If `work` throws, the communicator is aborted and every further call is refused.
  template <class Work>
  void grouped(Work&& work) {
    detail::check_nccl(ncclGroupStart(), "ncclGroupStart");
    ++open_groups_;
    try {
      work();
      --open_groups_;
    } catch (...) {
      --open_groups_;
      ncclGroupEnd();
      give_up();  // other ranks may have made the whole group
      throw;
    }
    call(ncclGroupEnd(), "ncclGroupEnd");
  }
  /// Checks the collectives that are in progress. If one has failed, because a rank or a link is lost for instance, the
  /// communicator is aborted and every further call is refused.
  /// @throws IoError with what NCCL says of the failure.
  void check() {
    ncclResult_t state = ncclSuccess;
    detail::check_nccl(ncclCommGetAsyncError(comm(), &state), "ncclCommGetAsyncError");
    if (state == ncclSuccess || state == ncclInProgress) return;
    give_up();
    detail::check_nccl(state, "a collective");
  }
  /// Waits until the stream has finished its work and checks meanwhile whether a collective has failed. It throws where
  /// cudaStreamSynchronize would wait forever for a lost rank.
  /// @param timeout_seconds  seconds after which the communicator is aborted; 0: never.
  /// @throws IoError if a collective failed, the stream is in error, or the time is up.
  void wait(cudaStream_t stream, double timeout_seconds = 0.0) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    for (std::size_t round = 0;; ++round) {
      const cudaError_t state = cudaStreamQuery(stream);
      if (state == cudaSuccess) return;
      if (state != cudaErrorNotReady) {
        give_up();
        detail::check_cuda_call(state, "cudaStreamQuery");
      }
      check();
      if (timeout_seconds > 0.0 && std::chrono::duration<double>(Clock::now() - start).count() > timeout_seconds) {
        give_up();
        throw IoError("NCCL: no end of the collectives in " + std::to_string(timeout_seconds) +
                      " seconds; a rank may be gone or make other calls");
      }
      if (round > 1000) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

 private:
  ncclComm_t comm() const {
    require(comm_ != nullptr, "NCCL: the communicator was moved from, or an earlier collective has failed");
    return comm_;
  }
  void call(ncclResult_t code, const char* name) {
    if (code != ncclSuccess && code != ncclInProgress) give_up();  // a plain end would wait for what is under way
    detail::check_nccl(code, name);
    check();
  }
  std::size_t share_of(std::size_t values) const {
    require(values % size_ == 0, "NCCL: the values cannot be shared evenly by the ranks");
    return values / size_;
  }
  void give_up() {
    if (comm_ != nullptr && open_groups_ == 0) ncclCommAbort(std::exchange(comm_, nullptr));
  }

  ncclComm_t comm_ = nullptr;
  std::size_t rank_ = 0;
  std::size_t size_ = 1;
  std::size_t open_groups_ = 0;  // inside which nothing can be aborted: grouped() does it when they have ended
};

}  // namespace maestro
