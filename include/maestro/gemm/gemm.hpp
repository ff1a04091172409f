#pragma once

/// @file
/// Matrix products, with the backend as a tag. `NativeBackend`, the library's own and fastest backend, is defined in
/// gemm/native.hpp, `EigenBackend` in gemm/eigen.hpp, and `CblasBackend` in gemm/cblas.hpp, which needs the CMake
/// target maestro::blas.

#include <cstddef>
#include <type_traits>

#include "maestro/core/error.hpp"
#include "maestro/core/views.hpp"

namespace maestro {

/// NativeBackend is the tag of the library's own kernels (gemm/native.hpp), which are the fastest.
struct NativeBackend {};
/// EigenBackend is the tag of products by Eigen (gemm/eigen.hpp).
struct EigenBackend {};
/// CblasBackend is the tag of products by a cblas library (gemm/cblas.hpp).
struct CblasBackend {};

template <class T, class S>
class PackedView;  // gemm/packed_matrix.hpp

/// Transpose says whether a product takes an operand as it is stored, or its transpose.
enum class Transpose { no, yes };

namespace detail {
template <class>
inline constexpr bool no_backend = false;
}

/// Gemm holds the products of one backend. The primary template gives an error that names the header to include; there
/// is no silent fallback.
template <class Backend>
struct Gemm {
  static_assert(detail::no_backend<Backend>,
                "maestro: this GEMM backend is not defined here; for NativeBackend include <maestro/gemm/native.hpp>, "
                "for EigenBackend <maestro/gemm/eigen.hpp>, for CblasBackend <maestro/gemm/cblas.hpp> and link "
                "maestro::blas");
};

/// Computes C = alpha op(A) op(B) + beta C for row-major A, B and C, where op transposes its operand if asked. The
/// product uses max_threads() threads outside a parallel loop, and one thread inside. Results have the same bits for
/// the same shapes, 64-byte alignment, thread count and backend.
/// @param c  must not alias a or b. beta = 0 overwrites it (it may hold NaN), and beta = 1 accumulates.
/// @throws BadArgument if the sizes do not fit.
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
