#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/finite.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/gemm/eigen.hpp"
#include "maestro/gemm/native.hpp"
#include "noise.hpp"
#if defined(MAESTRO_TEST_BLAS)
#include "maestro/gemm/cblas.hpp"
#endif

using namespace maestro;
using maestro_test::noise;

BOOST_AUTO_TEST_SUITE(numerics)

namespace {

/// Every transpose, odd sizes, views with a stride, alpha and beta; NaN in C is overwritten where beta is 0.
template <class Backend, class T>
void check_gemm(double tolerance) {
  const std::size_t sizes[][3] = {{1, 1, 1},  {3, 5, 7}, {1, 17, 9}, {13, 1, 4},    {33, 29, 65},
                                  {8, 16, 8}, {2, 3, 0}, {2, 90, 5}, {14, 70, 400}, {100, 300, 50}};
  for (const auto& [m, n, k] : sizes) {
    for (const auto ta : {Transpose::no, Transpose::yes}) {
      for (const auto tb : {Transpose::no, Transpose::yes}) {
        for (const T beta : {T(0), T(1), T(-0.5)}) {
          const bool a_turned = ta == Transpose::yes, b_turned = tb == Transpose::yes;
          const auto a_all = noise<T>(a_turned ? k : m, (a_turned ? m : k) + 3, 1);
          const auto b_all = noise<T>(b_turned ? n : k, (b_turned ? k : n) + 2, 2);
          auto c_all = noise<T>(m, n + 5, 3);
          const auto a = a_all.view().middle_cols(2, a_turned ? m : k);
          const auto b = b_all.view().middle_cols(1, b_turned ? k : n);
          const auto before = c_all;
          if (beta == T(0)) {
            for (std::size_t i = 0; i < m; ++i) {
              for (std::size_t j = 0; j < n; ++j) c_all(i, j + 4) = std::numeric_limits<T>::quiet_NaN();
            }
          }
          gemm<Backend>(ta, tb, T(1.5), a, b, beta, c_all.view().middle_cols(4, n));
          for (std::size_t i = 0; i < m; ++i) {
            for (std::size_t j = 0; j < n; ++j) {
              double sum = 0;
              for (std::size_t l = 0; l < k; ++l) {
                sum += double(a_turned ? a(l, i) : a(i, l)) * double(b_turned ? b(j, l) : b(l, j));
              }
              const double kept = beta == T(0) ? 0.0 : double(beta) * double(before(i, j + 4));
              if (!(std::abs(double(c_all(i, j + 4)) - (1.5 * sum + kept)) < tolerance)) {
                BOOST_ERROR("gemm " << m << 'x' << n << 'x' << k << " at " << i << ", " << j);
              }
            }
            BOOST_TEST(c_all(i, 3) == before(i, 3));
            BOOST_TEST(c_all(i, n + 4) == before(i, n + 4));
          }
        }
      }
    }
  }
  Matrix<T> c(2, 2);
  const Matrix<T> a(2, 3), b(4, 2);
  BOOST_CHECK_THROW(gemm<Backend>(Transpose::no, Transpose::no, T(1), a.view(), b.view(), T(0), c.view()), BadArgument);
}

using Scalars = std::tuple<float, double>;

}  // namespace

BOOST_AUTO_TEST_CASE(eigen_gemm) {
  check_gemm<EigenBackend, float>(1e-4);
  check_gemm<EigenBackend, double>(1e-12);
}

BOOST_AUTO_TEST_CASE(native_gemm) {
  check_gemm<NativeBackend, float>(1e-4);
  check_gemm<NativeBackend, double>(1e-12);
}

// Every instruction set that this processor has, and B packed in advance, against the product as it is called.
BOOST_AUTO_TEST_CASE_TEMPLATE(native_kernels_agree, T, Scalars) {
  for (const std::size_t m : {1u, 2u, 3u, 5u, 6u, 11u, 12u, 13u, 31u}) {
    for (const std::size_t k : {1u, 7u, 8u, 200u, 500u}) {
      const std::size_t n = 77;
      const auto a = noise<T>(m, k, 4);
      const auto b = noise<T>(n, k, 5);
      Matrix<T> expected(m, n), result(m, n);
      gemm<NativeBackend>(Transpose::no, Transpose::yes, T(1), a.view(), b.view(), T(0), expected.view());
      AlignedVector<T> storage(PackedView<T>::size(k, n));
      const PackedView<T> packed = pack(Transpose::yes, b.view(), storage.data());
      Gemm<NativeBackend>::run<T>(T(1), a.view(), packed, T(0), result.view());
      BOOST_TEST((result == expected));
      const double tolerance = sizeof(T) == 4 ? 1e-4 : 1e-12;
      for (Isa isa = Isa::portable; isa <= best_isa(); isa = static_cast<Isa>(static_cast<int>(isa) + 1)) {
        Gemm<NativeBackend>::run<T>(Transpose::no, Transpose::yes, T(1), a.view(), b.view(), T(0), result.view(), isa);
        for (std::size_t i = 0; i < m * n; ++i) {
          BOOST_REQUIRE_SMALL(double(result.data()[i]) - double(expected.data()[i]), tolerance);
        }
        // The vector width is not part of the result: only the portable kernels lack the fused multiply-add.
        if (isa != Isa::portable) BOOST_TEST((result == expected));
      }
    }
  }
}

// A packed B backwards, and one that is stored in halves, give the bits of the product with B as it is.
BOOST_AUTO_TEST_CASE_TEMPLATE(packed_products_agree, T, Scalars) {
  for (const std::size_t m : {1u, 5u, 13u, 40u}) {
    for (const std::size_t k : {1u, 15u, 16u, 17u, 450u}) {
      for (const std::size_t n : {1u, 16u, 77u, 450u}) {
        const auto x = noise<T>(m, k, 4);
        const auto d_y = noise<T>(m, n, 8);
        const auto weight = noise<T>(n, k, 5);
        AlignedVector<T> storage(PackedView<T>::size(k, n));
        const PackedView<T> packed = pack(Transpose::yes, weight.view(), storage.data());
        Matrix<T> expected(m, k), result(m, k);
        gemm<NativeBackend>(Transpose::no, Transpose::no, T(1), d_y.view(), weight.view(), T(0), expected.view());
        for (Isa isa = Isa::portable; isa <= best_isa(); isa = static_cast<Isa>(static_cast<int>(isa) + 1)) {
          Gemm<NativeBackend>::run_back<T, T>(T(1), d_y.view(), packed, T(0), result.view(), isa);
          if (isa == best_isa()) BOOST_TEST((result == expected));
          for (std::size_t i = 0; i < m * k; ++i) {
            BOOST_REQUIRE_SMALL(double(result.data()[i]) - double(expected.data()[i]), sizeof(T) == 4 ? 1e-4 : 1e-12);
          }
        }
        if constexpr (std::is_same_v<T, float>) {
          Matrix<float> rounded(n, k);
          for (std::size_t i = 0; i < n * k; ++i) rounded.data()[i] = from_bf16(to_bf16(weight.data()[i]));
          AlignedVector<Bfloat16> halves(PackedView<float, Bfloat16>::size(k, n));
          std::transform(storage.begin(), storage.end(), halves.begin(), [](float value) { return Bfloat16(value); });
          const PackedView<float, Bfloat16> stored(halves.data(), k, n);
          Matrix<float> whole(m, n), y(m, n);
          for (Isa isa = Isa::portable; isa <= best_isa(); isa = static_cast<Isa>(static_cast<int>(isa) + 1)) {
            Gemm<NativeBackend>::run<float>(Transpose::no, Transpose::yes, 1.0f, x.view(), rounded.view(), 0.0f,
                                            whole.view(), isa);
            Gemm<NativeBackend>::run<float, Bfloat16>(1.0f, x.view(), stored, 0.0f, y.view(), isa);
            BOOST_TEST((y == whole));
          }
          gemm<NativeBackend>(Transpose::no, Transpose::no, 1.0f, d_y.view(), rounded.view(), 0.0f, expected.view());
          Gemm<NativeBackend>::run_back<float, Bfloat16>(1.0f, d_y.view(), stored, 0.0f, result.view());
          BOOST_TEST((result == expected));
        }
      }
    }
  }
}

// What makes rollout and training agree, and threads irrelevant: an element of C depends on its row of A alone.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_row_of_a_native_product_depends_on_nothing_else, T, Scalars) {
  const std::size_t m = 131, n = 700, k = 900;
  const auto a = noise<T>(m, k, 6);
  for (const auto tb : {Transpose::no, Transpose::yes}) {
    const auto b = tb == Transpose::no ? noise<T>(k, n, 7) : noise<T>(n, k, 7);
    Matrix<T> whole(m, n);
    set_threads(1);
    gemm<NativeBackend>(Transpose::no, tb, T(1), a.view(), b.view(), T(0), whole.view());
    for (const int threads : {2, 3, 5}) {
      set_threads(threads);
      Matrix<T> again(m, n);
      gemm<NativeBackend>(Transpose::no, tb, T(1), a.view(), b.view(), T(0), again.view());
      BOOST_TEST((again == whole));
    }
    set_threads(2);
    for (const std::size_t rows : {1u, 2u, 7u, 12u, 50u}) {
      for (const std::size_t first : {0u, 1u, 60u, 81u}) {
        Matrix<T> part(rows, n);
        gemm<NativeBackend>(Transpose::no, tb, T(1), a.view().middle_rows(first, rows), b.view(), T(0), part.view());
        for (std::size_t i = 0; i < rows; ++i) {
          BOOST_TEST(std::equal(part.row(i).begin(), part.row(i).end(), whole.row(first + i).begin()));
        }
      }
    }
  }
}

#if defined(MAESTRO_TEST_BLAS)
BOOST_AUTO_TEST_CASE(cblas_gemm) {
  check_gemm<CblasBackend, float>(1e-4);
  check_gemm<CblasBackend, double>(1e-12);
}
#endif

BOOST_AUTO_TEST_CASE(moments_skip_missing_values) {
  const double missing = std::nan("");
  const std::vector<double> values{missing, 1.2, 0.8, missing, 1.5, 0.1};
  const Moments moments = moments_of(values.data(), values.size());
  BOOST_TEST(moments.count == 4u);
  BOOST_TEST(std::abs(moments.mean - 0.9) < 1e-15);
  BOOST_TEST(std::abs(moments.std_dev(1) - 0.6055301) < 1e-7);
  BOOST_TEST(std::abs(moments.std_dev(0) - 0.5244044) < 1e-7);
  BOOST_TEST(moments_of(values.data(), 0).count == 0u);
  BOOST_TEST(moments_of(values.data(), 1).std_dev(1) == 0.0);
  BOOST_TEST(moments_of(values.data(), 2).std_dev(1) == 0.0);
}

BOOST_AUTO_TEST_CASE(moments_keep_their_digits) {
  // E[x^2] - E[x]^2 would give 0 or garbage here.
  const std::vector<double> far{1e9 + 1, 1e9 + 2, 1e9 + 3};
  BOOST_TEST(std::abs(moments_of(far.data(), 3).std_dev(1) - 1.0) < 1e-9);
  const std::vector<float> equal(7, 0.1f);
  BOOST_TEST(moments_of(equal.data(), 7).squares == 0.0);
  BOOST_TEST(moments_of(equal.data(), 7).mean == double(0.1f));
}

BOOST_AUTO_TEST_CASE(bits_tell_finite_values_from_others) {
  const float infinite = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float largest = std::numeric_limits<float>::max();
  std::vector<float> values(37, -largest);
  BOOST_TEST(all_finite(values.data(), 0));
  for (std::size_t at = 0; at < values.size(); ++at) {
    BOOST_TEST(all_finite(values.data(), values.size()));
    BOOST_TEST(!any_infinite(values.data(), values.size()));
    for (const float bad : {infinite, -infinite, nan, -nan}) {
      values[at] = bad;
      BOOST_TEST(!all_finite(values.data(), values.size()));
      BOOST_TEST(any_infinite(values.data(), values.size()) == std::isinf(bad));
      BOOST_TEST((largest_magnitude(values.data(), values.size()) > infinity_bits) == std::isnan(bad));
    }
    values[at] = at % 2 == 0 ? largest : -0.0f;
  }
}

BOOST_AUTO_TEST_CASE(multiply_add_is_one_formula) {
  // The same bits alone, in a loop that vectorizes, and in its last steps.
  double a[19], b[19], c[19], sums[19];
  for (std::size_t i = 0; i < 19; ++i) {
    a[i] = 1.0 / static_cast<double>(i + 3);
    b[i] = 1.0 / static_cast<double>(i + 7);
    sums[i] = c[i] = -a[i] * b[i];
  }
  for (std::size_t i = 0; i < 19; ++i) sums[i] = multiply_add(a[i], b[i], sums[i]);
  for (std::size_t i = 0; i < 19; ++i) {
    volatile double x = a[i], y = b[i], z = c[i];
    BOOST_TEST(sums[i] == multiply_add(x, y, z));
    BOOST_TEST(std::abs(sums[i]) < 1e-16);
  }
}

BOOST_AUTO_TEST_CASE(mid_ranks) {
  const std::vector<double> values{3, 1, 3, 2, std::nan(""), 3};
  const auto get = [&](std::size_t i) { return values[i]; };
  BOOST_TEST(mid_rank(6, 1, get) == 0.0);
  BOOST_TEST(mid_rank(6, 3, get) == 1.0);
  BOOST_TEST(mid_rank(6, 0, get) == 3.0);
  BOOST_TEST(mid_rank(6, 5, get) == 3.0);
}

BOOST_AUTO_TEST_CASE(unknown_names_are_refused_with_the_known_ones) {
  const std::string_view names[] = {"one", "two"};
  BOOST_TEST(index_of_name("number", "two", names) == 1u);
  BOOST_CHECK_EXCEPTION(index_of_name("number", "three", names), BadArgument, [](const BadArgument& e) {
    return std::string(e.what()) == "number: unknown name 'three'; known are one, two";
  });
  for (const std::string near : {"tow", "tvo", "to", "twoo"}) {
    BOOST_CHECK_EXCEPTION(index_of_name("number", near, names), BadArgument, [&](const BadArgument& e) {
      return std::string(e.what()) == "number: unknown name '" + near + "'; did you mean 'two'? known are one, two";
    });
  }
  BOOST_TEST(edit_distance("kitten", "sitting") == 3u);
  BOOST_TEST(edit_distance("", "abc") == 3u);
  BOOST_TEST(edit_distance("abcd", "badc") == 2u);
  const std::string_view rules[] = {"predictability", "prompt", "scheduled"};
  BOOST_TEST(nearest_name("predictabilty", rules) == "predictability");
  BOOST_TEST(nearest_name("schedule", rules) == "scheduled");
  BOOST_TEST(nearest_name("chess", rules) == "");
}

BOOST_AUTO_TEST_SUITE_END()
