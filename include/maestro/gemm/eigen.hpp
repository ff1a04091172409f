#pragma once

/// @file
/// The Eigen backend of gemm/gemm.hpp. It sets no Eigen macro, so the choices of one translation unit do not affect
/// another.

// gcc 12 warns of its own AVX-512 intrinsics where Eigen's kernels are inlined
// (gcc bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <Eigen/Core>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#include <algorithm>
#include <cstddef>

#include "maestro/core/parallel.hpp"
#include "maestro/core/views.hpp"
#include "maestro/gemm/gemm.hpp"

namespace maestro {

/// Gemm<EigenBackend> multiplies by Eigen.
template <>
struct Gemm<EigenBackend> {
  /// Multiplies with one part of C's rows or columns per thread. In a program with OpenMP, Eigen uses threads of its
  /// own, which wait for each other by spinning. The program can define EIGEN_DONT_PARALLELIZE to prevent that.
  template <class T>
  static void run(Transpose ta, Transpose tb, T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta,
                  MatrixView<T> c) {
    if (in_parallel_loop()) return run_serial<T>(ta, tb, alpha, a, b, beta, c);
    const std::size_t inner = ta == Transpose::no ? a.cols() : a.rows();
    const bool by_rows = c.rows() >= c.cols();
    const std::size_t length = by_rows ? c.rows() : c.cols();
    constexpr std::size_t grain = 16;  // whole tiles of Eigen's kernels
    const std::size_t work = c.rows() * c.cols() * (inner > 0 ? inner : 1);
    const std::size_t most = std::min(length / grain, work >> 18);  // below a quarter of a million products a
                                                                    // thread is not worth waking
    const std::size_t parts = std::clamp<std::size_t>(most, 1, static_cast<std::size_t>(max_threads()));
    parallel_for(parts, [&](std::size_t p) {
      const std::size_t first = length * p / parts / grain * grain;
      const std::size_t last = p + 1 == parts ? length : length * (p + 1) / parts / grain * grain;
      const std::size_t count = last - first;
      if (by_rows) {
        const auto own = ta == Transpose::no ? a.middle_rows(first, count) : a.middle_cols(first, count);
        run_serial<T>(ta, tb, alpha, own, b, beta, c.middle_rows(first, count));
      } else {
        const auto own = tb == Transpose::no ? b.middle_cols(first, count) : b.middle_rows(first, count);
        run_serial<T>(ta, tb, alpha, a, own, beta, c.middle_cols(first, count));
      }
    });
  }

 private:
  template <class T>
  static void run_serial(Transpose ta, Transpose tb, T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta,
                         MatrixView<T> c) {
    using Dense = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using In = Eigen::Map<const Dense, Eigen::Unaligned, Eigen::OuterStride<>>;
    using Out = Eigen::Map<Dense, Eigen::Unaligned, Eigen::OuterStride<>>;
    const auto index = [](std::size_t n) { return static_cast<Eigen::Index>(n); };
    const In ea(a.data(), index(a.rows()), index(a.cols()), Eigen::OuterStride<>(index(a.stride())));
    const In eb(b.data(), index(b.rows()), index(b.cols()), Eigen::OuterStride<>(index(b.stride())));
    Out ec(c.data(), index(c.rows()), index(c.cols()), Eigen::OuterStride<>(index(c.stride())));
    if (beta == T(0)) {
      ec.setZero();
    } else if (beta != T(1)) {
      ec *= beta;
    }
    if (ta == Transpose::no && tb == Transpose::no) ec.noalias() += alpha * (ea * eb);
    if (ta == Transpose::no && tb == Transpose::yes) ec.noalias() += alpha * (ea * eb.transpose());
    if (ta == Transpose::yes && tb == Transpose::no) ec.noalias() += alpha * (ea.transpose() * eb);
    if (ta == Transpose::yes && tb == Transpose::yes) ec.noalias() += alpha * (ea.transpose() * eb.transpose());
  }
};

}  // namespace maestro
