#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "maestro/gemm/native.hpp"
#include "maestro/model/block.hpp"
#include "maestro/model/layers/attention.hpp"
#include "model_tools.hpp"

using namespace maestro_test;

BOOST_AUTO_TEST_SUITE(model_layers)

namespace {

void fill(std::span<double> values, std::uint64_t seed, double mean = 0.0) {
  const RandomStream stream({.seed = seed});
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = mean + stream.normal(static_cast<std::uint32_t>(i));
}

double weighted(std::span<const double> a, std::span<const double> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Largest gap between `gradient` and central differences of f with respect to `x`, over the largest difference.
double gradient_gap(std::span<double> x, std::span<const double> gradient, const std::function<double()>& f) {
  std::vector<double> numeric(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double kept = x[i];
    const double h = 1e-5;
    x[i] = kept + h;
    const double above = f();
    x[i] = kept - h;
    const double below = f();
    x[i] = kept;
    numeric[i] = (above - below) / (2.0 * h);
  }
  return relative_gap(gradient, numeric);
}

/// The attention of head h of row i of a segment by the formula: it sees the last `window` positions, all if 0.
std::vector<double> attention_formula(const ModelConfig& c, const Segment& s, const Matrix<double>& qkv, std::size_t i,
                                      std::size_t h, std::size_t window) {
  std::vector<std::size_t> seen;
  for (std::size_t j = 0; j < s.prefix_rows; ++j) seen.push_back(s.prefix_begin + j);
  for (std::size_t j = 0; j <= i; ++j) seen.push_back(s.begin + j);
  if (window > 0 && seen.size() > window) seen.erase(seen.begin(), seen.end() - static_cast<std::ptrdiff_t>(window));
  const std::size_t at = c.query_size() + h / c.heads_per_kv() * c.head_dim;
  double total = 0.0;
  std::vector<double> expected(c.head_dim, 0.0);
  for (const std::size_t key : seen) {
    double score = 0.0;
    for (std::size_t k = 0; k < c.head_dim; ++k) score += qkv(s.begin + i, h * c.head_dim + k) * qkv(key, at + k);
    const double e = std::exp(score / std::sqrt(static_cast<double>(c.head_dim)));
    total += e;
    for (std::size_t k = 0; k < c.head_dim; ++k) expected[k] += e * qkv(key, at + c.key_size() + k);
  }
  for (double& value : expected) value /= total;
  return expected;
}

void check_attention(const Tokens& tokens, std::size_t window) {
  const ModelConfig c = small_config(Architecture::qwen3);
  PackedBatch batch;
  batch.pack(tokens.prompts, tokens.responses, tokens.groups, 0, tokens.prompts.rows());
  const std::size_t rows = batch.rows();
  Matrix<double> qkv(rows, c.qkv_size()), out(rows, c.query_size()), lse(rows, c.heads), d(rows, c.query_size());
  Matrix<double> d_qkv(rows, c.qkv_size());
  fill(qkv.flat(), 1);
  fill(d.flat(), 2);
  Attention<double> attention;
  attention.forward(c, batch, qkv, out, lse, window);

  double gap = 0.0;
  for (const Segment& s : batch.segments()) {
    for (std::size_t i = 0; i < s.rows; ++i) {
      for (std::size_t h = 0; h < c.heads; ++h) {
        const std::vector<double> expected = attention_formula(c, s, qkv, i, h, window);
        for (std::size_t k = 0; k < c.head_dim; ++k) {
          gap = std::max(gap, std::abs(out(s.begin + i, h * c.head_dim + k) - expected[k]));
        }
      }
    }
  }
  BOOST_TEST(gap < 1e-12, "window " << window);

  attention.backward(c, batch, qkv, out, lse, d, d_qkv, window);
  Matrix<double> scratch_out(rows, c.query_size()), scratch_lse(rows, c.heads);
  const auto f = [&] {
    attention.forward(c, batch, qkv, scratch_out, scratch_lse, window);
    return weighted(scratch_out.flat(), d.flat());
  };
  BOOST_TEST(gradient_gap(qkv.flat(), d_qkv.flat(), f) < 1e-7, "window " << window);
}

}  // namespace

BOOST_AUTO_TEST_CASE(fast_exponential_is_close) {
  double worst = 0.0;
  for (int i = -87000; i <= 88000; ++i) {
    const float x = static_cast<float>(i) * 1e-3f;
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::abs(static_cast<double>(fast_exp(x)) - exact) / exact);
  }
  BOOST_TEST(worst < 2.0 * 1.2e-7);
  BOOST_TEST(fast_exp(-1000.0f) < 1.3e-38f);
  BOOST_TEST(std::isnan(fast_exp(std::numeric_limits<float>::quiet_NaN())));
  BOOST_TEST(fast_exp(0.0f) == 1.0f);
}

BOOST_AUTO_TEST_CASE(tile_products_match_plain_loops) {
  for (const std::size_t m : {1u, 3u, 4u, 9u, 14u}) {
    for (const std::size_t k : {7u, 400u}) {
      const std::size_t n = 5 * tile_cols<double>;
      Matrix<double> a(m, k), turned(k, m), b(k, n), c(m, n, 1.0), d(m, n, std::nan(""));
      fill(a.flat(), 1);
      fill(b.flat(), 2);
      for (std::size_t i = 0; i < m; ++i) {
        for (std::size_t p = 0; p < k; ++p) turned(p, i) = a(i, p);
      }
      tile_product(Transpose::no, m, n, k, a.data(), k, b.data(), n, c.data(), n, TileResult::accumulate);
      tile_product(Transpose::yes, m, n, k, turned.data(), m, b.data(), n, d.data(), n);
      for (std::size_t i = 0; i < m; ++i) {
        for (std::size_t j = 0; j < n; ++j) {
          double sum = 0.0;
          for (std::size_t p = 0; p < k; ++p) sum += a(i, p) * b(p, j);
          BOOST_TEST(std::abs(c(i, j) - sum - 1.0) < 1e-12);
          BOOST_TEST(std::abs(d(i, j) - sum) < 1e-12);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(rms_norm_gradients) {
  Matrix<double> x(5, 19), y(5, 19), c(5, 19), d_x(5, 19, 0.0);
  std::vector<double> w(19), inverse(5), d_w(19, 0.0);
  fill(x.flat(), 1);
  fill(w, 2, 1.0);
  fill(c.flat(), 3);
  const auto f = [&] {
    rms_norm<double>(x, w, 0.1, y, inverse);
    return weighted(y.flat(), c.flat());
  };
  f();
  ColumnSums<double> sums;
  rms_norm_backward<double>(x, w, inverse, c, d_x, d_w, sums);
  BOOST_TEST(gradient_gap(x.flat(), d_x.flat(), f) < 1e-7);
  BOOST_TEST(gradient_gap(w, d_w, f) < 1e-7);
}

BOOST_AUTO_TEST_CASE(swiglu_gradients) {
  Matrix<double> x(3, 22), y(3, 11), c(3, 11), d_x(3, 22);
  fill(x.flat(), 1);
  fill(c.flat(), 3);
  const auto f = [&] {
    swiglu<double>(x, y);
    return weighted(y.flat(), c.flat());
  };
  swiglu_backward<double>(x, c, d_x);
  BOOST_TEST(gradient_gap(x.flat(), d_x.flat(), f) < 1e-7);
}

BOOST_AUTO_TEST_CASE(linear_gradients_accumulate) {
  Matrix<double> x(7, 5), w(9, 5), y(7, 9), c(7, 9), d_x(7, 5), d_w(9, 5, 0.0);
  std::vector<double> b(9), d_b(9, 0.0);
  fill(x.flat(), 1);
  fill(w.flat(), 2);
  fill(b, 3);
  fill(c.flat(), 4);
  const auto f = [&] {
    linear<NativeBackend, double>(x, w, b, y);
    return weighted(y.flat(), c.flat());
  };
  ColumnSums<double> sums;
  linear_backward_input<NativeBackend, double>(c, w, d_x);
  linear_backward_weight<NativeBackend, double>(x, c, d_w, d_b, sums);
  BOOST_TEST(gradient_gap(x.flat(), d_x.flat(), f) < 1e-7);
  BOOST_TEST(gradient_gap(w.flat(), d_w.flat(), f) < 1e-7);
  BOOST_TEST(gradient_gap(b, d_b, f) < 1e-7);
  linear_backward_weight<NativeBackend, double>(x, c, d_w, d_b, sums);
  const auto twice = [&] { return 2.0 * f(); };
  BOOST_TEST(gradient_gap(w.flat(), d_w.flat(), twice) < 1e-7);
  BOOST_TEST(gradient_gap(b, d_b, twice) < 1e-7);
}

BOOST_AUTO_TEST_CASE(rope_turns_back_and_keeps_relative_positions) {
  RopeTable<double> rope;
  rope.ensure({.head_dim = 6, .theta = 100.0}, 70);
  std::vector<double> q(6), k(6);
  fill(q, 1);
  fill(k, 2);
  const auto score = [&](std::size_t i, std::size_t j) {
    std::vector<double> a = q, b = k;
    rope.rotate(a.data(), i);
    rope.rotate(b.data(), j);
    return weighted(a, b);
  };
  BOOST_TEST(std::abs(score(5, 2) - score(66, 63)) < 1e-12);
  BOOST_TEST(std::abs(score(5, 2) - score(5, 3)) > 1e-3);
  std::vector<double> turned = q;
  rope.rotate(turned.data(), 9);
  BOOST_TEST(std::abs(turned[1] - (q[1] * std::cos(9 * std::pow(100.0, -1.0 / 3)) -
                                   q[4] * std::sin(9 * std::pow(100.0, -1.0 / 3)))) < 1e-12);
  rope.rotate_back(turned.data(), 9);
  for (std::size_t i = 0; i < 6; ++i) BOOST_TEST(std::abs(turned[i] - q[i]) < 1e-13);
}

BOOST_AUTO_TEST_CASE(attention_matches_the_formula_and_its_differences) {
  // One segment longer than a block of queries; shared prefixes; a group whose only response adds no row.
  const Tokens tokens = random_tokens({3, 37, 1}, {{4, 1, 7}, {5}, {1}}, 19);
  for (const std::size_t window : {0u, 1u, 4u, 30u}) check_attention(tokens, window);
}

BOOST_AUTO_TEST_CASE(attention_skips_what_a_window_hides) {
  // Whole stretches of the prompt, then the whole prompt, are behind the windows of later blocks of queries.
  const Tokens tokens = random_tokens({82}, {{36, 3}}, 19);
  check_attention(tokens, 5);
}

BOOST_AUTO_TEST_SUITE_END()
