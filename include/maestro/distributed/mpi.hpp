#pragma once

/// @file
/// Ranks that are processes and communicate through any MPI-3 library. This header needs the target maestro::mpi.

#include <mpi.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"

namespace maestro {

namespace detail {

/// @throws IoError with what MPI says.
inline void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw IoError(std::string("MPI: ") + call + ": " + std::string(text.data(), static_cast<std::size_t>(length)));
}

inline MPI_Datatype mpi_type(float) { return MPI_FLOAT; }
inline MPI_Datatype mpi_type(double) { return MPI_DOUBLE; }

}  // namespace detail

/// MpiSession starts MPI and ends it; a program has one such object. If a process ends without its destructor (by exit
/// or a signal), mpirun ends all other ranks too.
class MpiSession {
 public:
  /// @throws IoError if MPI cannot be started.
  MpiSession(int& argc, char**& argv) {
    int provided = 0;
    detail::check_mpi(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    if (provided < MPI_THREAD_FUNNELED) {
      MPI_Finalize();
      throw IoError("MPI: the library does not allow threads beside the one that calls it (MPI_THREAD_FUNNELED)");
    }
  }
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  ~MpiSession() { MPI_Finalize(); }

  /// Ends all ranks at once. It serves failures that the other ranks cannot be told of.
  [[noreturn]] static void abort(int code) {
    MPI_Abort(MPI_COMM_WORLD, code);
    std::abort();
  }
};

/// MpiCommunicator is this process's rank in a duplicate of an MPI communicator. MPI makes the sums: they are the same
/// on every rank, and from run to run with the same ranks and the same library. Only the thread that made the object
/// may call it.
class MpiCommunicator {
 public:
  /// @throws IoError with what MPI says.
  explicit MpiCommunicator(MPI_Comm parent = MPI_COMM_WORLD) {
    detail::check_mpi(MPI_Comm_dup(parent, &comm_), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
    int rank = 0;
    int size = 0;
    detail::check_mpi(MPI_Comm_rank(comm_, &rank), "MPI_Comm_rank");
    detail::check_mpi(MPI_Comm_size(comm_, &size), "MPI_Comm_size");
    rank_ = static_cast<std::size_t>(rank);
    size_ = static_cast<std::size_t>(size);
  }
  MpiCommunicator(MpiCommunicator&& other) noexcept
      : comm_(std::exchange(other.comm_, MPI_COMM_NULL)), rank_(other.rank_), size_(other.size_) {}
  MpiCommunicator& operator=(MpiCommunicator&& other) noexcept {
    std::swap(comm_, other.comm_);
    rank_ = other.rank_;
    size_ = other.size_;
    return *this;
  }
  ~MpiCommunicator() {
    int ended = 0;
    MPI_Finalized(&ended);
    if (comm_ != MPI_COMM_NULL && ended == 0) MPI_Comm_free(&comm_);
  }

  std::size_t rank() const { return rank_; }
  std::size_t size() const { return size_; }
  void all_reduce_sum(std::span<double> values) { sum(values); }
  void all_reduce_sum(std::span<float> values) { sum(values); }
  /// @throws BadArgument if all ranks together have 2^31 bytes or more.
  RankBytes all_gather(std::span<const std::byte> own) {
    const auto mine = static_cast<unsigned long long>(own.size());
    std::vector<unsigned long long> sizes(size_);
    detail::check_mpi(MPI_Allgather(&mine, 1, MPI_UNSIGNED_LONG_LONG, sizes.data(), 1, MPI_UNSIGNED_LONG_LONG, comm_),
                      "MPI_Allgather");
    std::vector<int> counts;
    std::vector<int> places;
    std::size_t total = 0;
    for (const unsigned long long size : sizes) {
      require(size < limit - total, "MPI: all_gather of 2^31 bytes or more; use all_reduce_sum for large arrays");
      counts.push_back(static_cast<int>(size));
      places.push_back(static_cast<int>(total));
      total += size;
    }
    std::vector<std::byte> all(total);
    detail::check_mpi(MPI_Allgatherv(own.data(), static_cast<int>(mine), MPI_BYTE, all.data(), counts.data(),
                                     places.data(), MPI_BYTE, comm_),
                      "MPI_Allgatherv");
    RankBytes parts;
    for (std::size_t r = 0; r < size_; ++r) {
      const auto begin = all.begin() + places[r];
      parts.emplace_back(begin, begin + counts[r]);
    }
    return parts;
  }
  /// See reduce_scatter_sum() in collectives.hpp.
  void reduce_scatter_sum(std::span<double> values) { sum_share(values); }
  void reduce_scatter_sum(std::span<float> values) { sum_share(values); }
  /// See all_gather_shares() in collectives.hpp.
  void all_gather_shares(std::span<double> values) { gather_shares(values); }
  void all_gather_shares(std::span<float> values) { gather_shares(values); }
  void barrier() { detail::check_mpi(MPI_Barrier(comm_), "MPI_Barrier"); }

 private:
  static constexpr std::size_t limit = 0x7fffffff;
  static constexpr std::size_t piece = std::size_t{1} << 28;  // values of one call; MPI counts in int

  template <class T>
  void sum(std::span<T> values) {
    for (std::size_t begin = 0; begin < values.size(); begin += piece) {
      const auto count = static_cast<int>(std::min(piece, values.size() - begin));
      detail::check_mpi(
          MPI_Allreduce(MPI_IN_PLACE, values.data() + begin, count, detail::mpi_type(T{}), MPI_SUM, comm_),
          "MPI_Allreduce");
    }
  }

  template <class T>
  void sum_share(std::span<T> values) {
    const std::size_t share = share_of(values.size());
    std::vector<T> own(share);
    detail::check_mpi(MPI_Reduce_scatter_block(values.data(), own.data(), static_cast<int>(share),
                                               detail::mpi_type(T{}), MPI_SUM, comm_),
                      "MPI_Reduce_scatter_block");
    std::copy(own.begin(), own.end(), values.data() + rank_ * share);
  }
  template <class T>
  void gather_shares(std::span<T> values) {
    const auto share = static_cast<int>(share_of(values.size()));
    detail::check_mpi(
        MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, values.data(), share, detail::mpi_type(T{}), comm_),
        "MPI_Allgather");
  }
  std::size_t share_of(std::size_t values) const {
    require(values <= limit, "MPI: more than 2^31 values in one call; share them in parts");
    return values / size_;
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  std::size_t rank_ = 0;
  std::size_t size_ = 1;
};

static_assert(Communicator<MpiCommunicator>);

}  // namespace maestro
