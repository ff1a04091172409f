#pragma once

/// @file
/// Functions on top of a Communicator's collectives: gathered values, sharded sums, and work that fails on all ranks if
/// it fails on one.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"

namespace maestro {

/// RankFailed reports that another rank has failed; its message has that rank's number and its message.
class RankFailed : public Error {
 public:
  using Error::Error;
};

/// Gives the values of all ranks, concatenated in the order of the ranks.
template <class T, Communicator Comm>
requires std::is_trivially_copyable_v<T> std::vector<T> gather_values(std::span<const T> own, Comm& comm) {
  std::vector<T> all;
  for (const std::vector<std::byte>& part : comm.all_gather(std::as_bytes(own))) {
    const std::size_t before = all.size();
    all.resize(before + part.size() / sizeof(T));
    if (!part.empty()) std::memcpy(all.data() + before, part.data(), part.size());
  }
  return all;
}

/// Gives rank 0's text on every rank.
template <Communicator Comm>
std::string text_of_first(const std::string& own, Comm& comm) {
  const std::string given = comm.rank() == 0 ? own : std::string();
  const std::vector<char> all = gather_values(std::span<const char>(given), comm);
  return {all.begin(), all.end()};
}

/// Sums `values` over the ranks and gives each rank its share of the sums: values.size() / comm.size() of them, rank
/// 0's first. The values in the other shares are unspecified afterwards. Followed by all_gather_shares it is an
/// all-reduce, and a rank's share has the same bits with and without that second call. If the communicator has a member
/// of this name, that member is called.
/// @throws BadArgument if the values cannot be shared evenly.
template <class T, Communicator Comm>
void reduce_scatter_sum(std::span<T> values, Comm& comm) {
  require(values.size() % comm.size() == 0, "reduce_scatter_sum: the values cannot be shared evenly by the ranks");
  if constexpr (requires { comm.reduce_scatter_sum(values); }) {
    comm.reduce_scatter_sum(values);
  } else {
    comm.all_reduce_sum(values);
  }
}

/// Copies every share of `values` from the rank that owns it; this rank's own share must be in place. If the
/// communicator has a member of this name, that member is called.
/// @throws BadArgument if the values cannot be shared evenly.
template <class T, Communicator Comm>
void all_gather_shares(std::span<T> values, Comm& comm) {
  require(values.size() % comm.size() == 0, "all_gather_shares: the values cannot be shared evenly by the ranks");
  if constexpr (requires { comm.all_gather_shares(values); }) {
    comm.all_gather_shares(values);
  } else {
    const std::size_t share = values.size() / comm.size();
    const std::vector<T> all = gather_values(std::span<const T>(values).subspan(comm.rank() * share, share), comm);
    std::copy(all.begin(), all.end(), values.begin());
  }
}

/// Does this rank's part of a phase, then tells all ranks whether it succeeded. An exception of the part is rethrown.
/// @throws RankFailed on the other ranks, with the number and the message of the first rank that failed. So all ranks
/// end in the same phase, and none waits for a rank that has ended.
template <Communicator Comm, class Work>
void in_step(Comm& comm, Work&& work) {
  if (comm.size() == 1) {
    work();
    return;
  }
  std::exception_ptr failure;
  std::string message;
  try {
    work();
  } catch (const RankFailed&) {
    throw;  // the others know
  } catch (const std::exception& error) {
    failure = std::current_exception();
    message = error.what();
  } catch (...) {
    failure = std::current_exception();
    message = "an exception of no known type";
  }
  if (failure) message.insert(0, "!");
  const RankBytes all = comm.all_gather(std::as_bytes(std::span<const char>(message)));
  if (failure) std::rethrow_exception(failure);
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank].empty()) continue;
    const std::string_view said(reinterpret_cast<const char*>(all[rank].data()), all[rank].size());
    throw RankFailed("rank " + std::to_string(rank) + " of " + std::to_string(all.size()) +
                     " failed: " + std::string(said.substr(1)));
  }
}

/// Tells whether `own` is true on any rank. The result is the same on every rank.
template <Communicator Comm>
bool any_rank(bool own, Comm& comm) {
  double count = own ? 1.0 : 0.0;
  comm.all_reduce_sum(std::span<double>(&count, 1));
  return count > 0.0;
}

}  // namespace maestro
