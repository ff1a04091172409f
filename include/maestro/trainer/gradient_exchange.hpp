#pragma once

/// @file
/// Sums of gradients over ranks in few flat collectives, and each rank's share of the parameters.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/distributed/collectives.hpp"
#include "maestro/optimizer/clip.hpp"
#include "maestro/optimizer/layout.hpp"

namespace maestro {

/// RankShares cuts n values, in order, into windows, and cuts each window into one equal share per rank. So a
/// collective moves a limited number of values, and each rank has about n / ranks values.
class RankShares {
 public:
  /// The default number of values of a window: 16 MiB of floats.
  static constexpr std::size_t default_window = std::size_t{1} << 22;

  /// Makes the shares of `values` values.
  /// @param window  the largest number of values of a window, at least `ranks`.
  RankShares(std::size_t values, std::size_t ranks, std::size_t window = default_window)
      : values_(values), ranks_(ranks), window_(std::max(window / ranks, std::size_t{1}) * ranks) {}

  std::size_t values() const { return values_; }
  std::size_t windows() const { return (values_ + window_ - 1) / window_; }
  std::size_t begin(std::size_t window) const { return window * window_; }
  std::size_t end(std::size_t window) const { return std::min(begin(window) + window_, values_); }
  /// Gives the number of values of a share of this window; the last shares are padded to it.
  std::size_t share(std::size_t window) const { return (end(window) - begin(window) + ranks_ - 1) / ranks_; }
  std::size_t begin(std::size_t window, std::size_t rank) const {
    return std::min(begin(window) + rank * share(window), end(window));
  }
  std::size_t end(std::size_t window, std::size_t rank) const { return begin(window, rank + 1); }
  /// Gives the number of values that belong to `rank`.
  std::size_t count(std::size_t rank) const {
    std::size_t count = 0;
    for (std::size_t w = 0; w < windows(); ++w) count += end(w, rank) - begin(w, rank);
    return count;
  }

 private:
  std::size_t values_;
  std::size_t ranks_;
  std::size_t window_;
};

/// OwnShare is the part of trainable parameters that belongs to one rank. It is itself a part that an optimizer can
/// step.
template <Trainable P>
class OwnShare {
 public:
  using scalar_type = typename P::scalar_type;

  OwnShare(P& part, const RankShares& shares, std::size_t rank) : part_(&part), shares_(&shares), rank_(rank) {}

  template <class F>
  void visit(F&& f) {
    std::size_t offset = 0;
    std::size_t window = 0;
    visit_trainable(*part_, [&](const ParameterView<scalar_type>& view) {
      const std::size_t after = offset + view.values.size();
      while (window < shares_->windows()) {
        const std::size_t begin = std::max(shares_->begin(window, rank_), offset);
        const std::size_t end = std::min(shares_->end(window, rank_), after);
        if (begin < end) {
          const std::size_t count = end - begin;
          f(ParameterView<scalar_type>{.name = view.name,
                                       .values = view.values.subspan(begin - offset, count),
                                       .gradients = view.gradients.subspan(begin - offset, count),
                                       .rows = 1,
                                       .cols = count,
                                       .decay = view.decay});
        }
        if (shares_->end(window, rank_) > after) break;  // goes on in the next parameter
        ++window;
      }
      offset = after;
    });
  }

 private:
  P* part_;
  const RankShares* shares_;
  std::size_t rank_;
};

/// GradientExchange sums gradients over the ranks. Each value is summed once, on the rank whose share it is in. Then
/// either all ranks get all sums, or each steps its own share. Both ways give the same bits.
template <class T>
class GradientExchange {
 public:
  /// Sums says which sums a rank gets.
  enum class Sums : std::uint8_t { all, own };

  explicit GradientExchange(std::size_t window = RankShares::default_window) : window_(window) {}

  /// Gives the shares of the trainable values of this part.
  template <Trainable P>
  RankShares shares_of(P& part, std::size_t ranks) const {
    return {layout_of(part).values, ranks, window_};
  }

  /// Replaces gradients by their sums over the ranks: all of them, or those of the rank's own share. With Sums::own the
  /// other gradients are unspecified.
  template <Trainable P, Communicator Comm>
  void sum_gradients(P& part, Sums wanted, Comm& comm) {
    const RankShares shares = shares_of(part, comm.size());
    for (std::size_t w = 0; w < shares.windows(); ++w) {
      const std::span<T> values = pack(part, shares, w, comm.size(), &ParameterView<T>::gradients);
      reduce_scatter_sum(values, comm);
      if (wanted == Sums::all) all_gather_shares(values, comm);
      unpack(part, shares, w, &ParameterView<T>::gradients);
    }
  }
  /// Replaces each parameter value by that of the rank whose share it is in.
  template <Trainable P, Communicator Comm>
  void gather_values_of(P& part, Comm& comm) {
    const RankShares shares = shares_of(part, comm.size());
    for (std::size_t w = 0; w < shares.windows(); ++w) {
      all_gather_shares(pack(part, shares, w, comm.size(), &ParameterView<T>::values), comm);
      unpack(part, shares, w, &ParameterView<T>::values);
    }
  }
  /// Gives the values of all ranks' shares in their order.
  /// @param own  the values of this rank's share, as many as `count` of the rank.
  template <Communicator Comm>
  AlignedVector<T> join(const AlignedVector<T>& own, const RankShares& shares, Comm& comm) {
    AlignedVector<T> all(shares.values());
    std::size_t at = 0;
    for (std::size_t w = 0; w < shares.windows(); ++w) {
      buffer_.assign(shares.share(w) * comm.size(), T(0));
      const std::size_t count = shares.end(w, comm.rank()) - shares.begin(w, comm.rank());
      std::copy_n(own.data() + at, count, buffer_.data() + comm.rank() * shares.share(w));
      at += count;
      all_gather_shares(std::span<T>(buffer_), comm);
      std::copy_n(buffer_.data(), shares.end(w) - shares.begin(w), all.data() + shares.begin(w));
    }
    return all;
  }
  /// Gives the values of one rank's share, in order.
  static AlignedVector<T> cut(const AlignedVector<T>& all, const RankShares& shares, std::size_t rank) {
    AlignedVector<T> own;
    own.reserve(shares.count(rank));
    for (std::size_t w = 0; w < shares.windows(); ++w) {
      own.insert(own.end(), all.data() + shares.begin(w, rank), all.data() + shares.end(w, rank));
    }
    return own;
  }

 private:
  using Field = std::span<T> ParameterView<T>::*;

  /// Calls f(values of the field, place in the buffer) for each piece of a window.
  template <class P, class F>
  static void pieces(P& part, const RankShares& shares, std::size_t window, Field field, const F& f) {
    std::size_t offset = 0;
    visit_trainable(part, [&](const ParameterView<T>& view) {
      const std::size_t begin = std::max(offset, shares.begin(window));
      const std::size_t end = std::min(offset + view.values.size(), shares.end(window));
      if (begin < end) f((view.*field).subspan(begin - offset, end - begin), begin - shares.begin(window));
      offset += view.values.size();
    });
  }
  template <class P>
  std::span<T> pack(P& part, const RankShares& shares, std::size_t window, std::size_t ranks, Field field) {
    buffer_.assign(shares.share(window) * ranks, T(0));
    pieces(part, shares, window, field,
           [&](std::span<T> values, std::size_t at) { std::copy(values.begin(), values.end(), buffer_.data() + at); });
    return buffer_;
  }
  template <class P>
  void unpack(P& part, const RankShares& shares, std::size_t window, Field field) {
    pieces(part, shares, window, field, [&](std::span<T> values, std::size_t at) {
      std::copy_n(buffer_.data() + at, values.size(), values.data());
    });
  }

  std::size_t window_;
  AlignedVector<T> buffer_;
};

/// Gives the global norm of gradients, of which every rank has the sums of its own share. It has the same bits on every
/// rank, whether or not the rank has the other sums.
/// @throws BadData naming the first parameter whose gradients are not all finite, or RankFailed on the other ranks.
template <Trainable P, Communicator Comm>
double norm_over_ranks(P& part, const RankShares& shares, Comm& comm) {
  double own = 0.0;
  in_step(comm, [&] {
    OwnShare<P> share(part, shares, comm.rank());
    own = squared_norm(share);
  });
  double sum = 0.0;
  for (const double squares : gather_values(std::span<const double>(&own, 1), comm)) sum += squares;
  return std::sqrt(sum);
}

}  // namespace maestro
