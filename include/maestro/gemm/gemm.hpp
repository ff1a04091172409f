#pragma once

/// @file
/// Matrix products by backend tag. `NativeBackend`, the library's own and the fastest, is defined in gemm/native.hpp;
/// `EigenBackend` in gemm/eigen.hpp; `CblasBackend` in gemm/cblas.hpp, behind the CMake target maestro::blas.

#include <cstddef>
#include <type_traits>

#include "maestro/core/error.hpp"
#include "maestro/core/views.hpp"

namespace maestro {

/// The tag of the library's own kernels (gemm/native.hpp), the fastest.
struct NativeBackend {};
/// The tag of products by Eigen (gemm/eigen.hpp).
struct EigenBackend {};
/// The tag of products by a cblas library (gemm/cblas.hpp).
struct CblasBackend {};

template <class T, class S>
class PackedView;  // gemm/packed_matrix.hpp

/// Transpose says whether a product takes an operand as it is stored, or its transpose.
enum class Transpose { no, yes };

namespace detail {
template <class>
inline constexpr bool no_backend = false;
}

/// The products of one backend. The primary template names the header to include; there is no silent fallback.
template <class Backend>
struct Gemm {
  static_assert(detail::no_backend<Backend>,
                "maestro: this GEMM backend is not defined here; for NativeBackend include <maestro/gemm/native.hpp>, "
                "for EigenBackend <maestro/gemm/eigen.hpp>, for CblasBackend <maestro/gemm/cblas.hpp> and link "
                "maestro::blas");
};

/// C = alpha op(A) op(B) + beta C, row-major; op transposes if asked.
/// @param c  must not alias a or b. beta = 0 overwrites (C may hold NaN), beta = 1 accumulates. Threads:
/// max_threads() outside a parallel loop, one inside. Bit-identical for the same shapes, 64-byte alignment, thread
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
