#pragma once

/// @file
/// Matrix products by backend tag. `EigenBackend` is defined here; `NativeBackend`, the library's own and the fastest,
/// in gemm/native.hpp; `CblasBackend` in gemm/cblas.hpp, behind the CMake target maestro::blas. No Eigen
/// macro is set: a translation unit's choice never leaks into another.

// gcc 12 warns of its own AVX-512 intrinsics where Eigen's kernels are inlined
// (gcc bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <Eigen/Core>
#include <algorithm>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#include <cstddef>
#include <type_traits>

#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/views.hpp"

namespace maestro {

struct NativeBackend {};
struct EigenBackend {};
struct CblasBackend {};

template <class T, class S>
class PackedView;  // gemm/packed_matrix.hpp

enum class Transpose { no, yes };

/// The products of one backend. The primary template names the header to
/// include; there is no silent fallback.
template <class Backend>
struct Gemm {
  static_assert(std::is_same_v<Backend, EigenBackend>,
                "maestro: this GEMM backend is not defined here; for NativeBackend include "
                "<maestro/gemm/native.hpp>, for CblasBackend include <maestro/gemm/cblas.hpp> and link "
                "maestro::blas");
};

template <>
struct Gemm<EigenBackend> {
  /// Each thread multiplies its own rows or columns of C. Eigen's own threads
  /// wait for each other inside the product by spinning, which costs a multiple
  /// of the work when the machine is busy with something else.
  template <class T>
  static void run(Transpose ta, Transpose tb, T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta,
                  MatrixView<T> c) {
#if defined(_OPENMP)
    if (omp_in_parallel()) return run_serial<T>(ta, tb, alpha, a, b, beta, c);
#endif
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

/// C = alpha op(A) op(B) + beta C, row-major; op transposes where asked.
/// @param c  must not alias a or b. beta = 0 overwrites (C may hold NaN), beta
/// = 1 accumulates. Threads: as many as OpenMP gives outside a parallel region,
/// one inside. Bit-identical for the same shapes, 64-byte alignment, thread
/// count and backend.
/// @throws BadArgument when the inner or outer sizes differ.
template <class Backend, class T>
void gemm(Transpose ta, Transpose tb, std::type_identity_t<T> alpha, MatrixView<const std::type_identity_t<T>> a,
          MatrixView<const std::type_identity_t<T>> b, std::type_identity_t<T> beta, MatrixView<T> c) {
  const std::size_t m = ta == Transpose::no ? a.rows() : a.cols();
  const std::size_t k = ta == Transpose::no ? a.cols() : a.rows();
  const std::size_t k2 = tb == Transpose::no ? b.rows() : b.cols();
  const std::size_t n = tb == Transpose::no ? b.cols() : b.rows();
  if (k != k2 || m != c.rows() || n != c.cols()) throw BadArgument("gemm: the shapes of op(A), op(B) and C do not fit");
  if (m == 0 || n == 0) return;
  Gemm<Backend>::template run<T>(ta, tb, alpha, a, b, beta, c);
}

}  // namespace maestro
