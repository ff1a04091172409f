#include "maestro/model/lm_head.hpp"
#include "maestro/gemm/native.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "policy/allocation_counter.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(lm_head)

namespace {

template <class T>
struct Problem {
  Matrix<T> hidden;
  Matrix<T> weight;
  std::vector<std::size_t> predictors;
  std::vector<std::int32_t> targets;
  double temperature = 0.7;

  Problem(std::size_t rows, std::size_t d, std::size_t vocabulary, std::size_t tokens)
      : hidden(rows, d), weight(vocabulary, d) {
    for (std::size_t i = 0; i < hidden.flat().size(); ++i)
      hidden.flat()[i] = static_cast<T>(std::sin(1.7 * static_cast<double>(i) + 0.3));
    for (std::size_t i = 0; i < weight.flat().size(); ++i)
      weight.flat()[i] = static_cast<T>(std::sin(0.9 * static_cast<double>(i * i)));
    for (std::size_t t = 0; t < tokens; ++t) {
      predictors.push_back(t < 3 ? rows - 1 : (t * 7) % rows);
      targets.push_back(static_cast<std::int32_t>((t * 131) % vocabulary));
    }
  }
  HeadBatch<T> batch() const {
    return {
        .hidden = hidden, .weight = weight, .predictors = predictors, .targets = targets, .temperature = temperature};
  }
};

/// log-prob and entropy of token t, by the definition.
template <class T>
std::pair<double, double> by_definition(const Problem<T>& p, std::size_t t) {
  std::vector<double> z(p.weight.rows());
  double total = 0.0;
  for (std::size_t v = 0; v < z.size(); ++v) {
    for (std::size_t c = 0; c < p.hidden.cols(); ++c) {
      z[v] += static_cast<double>(p.weight(v, c)) * static_cast<double>(p.hidden(p.predictors[t], c));
    }
    z[v] /= p.temperature;
    total += std::exp(z[v]);
  }
  double entropy = 0.0;
  for (const double value : z) entropy -= std::exp(value) / total * (value - std::log(total));
  return {z[static_cast<std::size_t>(p.targets[t])] - std::log(total), entropy};
}

}  // namespace

BOOST_AUTO_TEST_CASE(values_are_those_of_the_definition) {
  // 65536 bytes make several chunks of rows; 5000 tokens of vocabulary several chunks of columns
  for (const std::size_t vocabulary : {std::size_t{1}, std::size_t{13}, std::size_t{5000}}) {
    const Problem<double> p(37, 9, vocabulary, 50);
    LmHead<double, NativeBackend> head({.workspace_bytes = 65536});
    std::vector<double> log_probs(50);
    std::vector<double> entropies(50);
    head.forward(p.batch(), std::span<double>(log_probs), entropies);
    const Problem<float> q(37, 9, vocabulary, 50);
    LmHead<float, NativeBackend> narrow;
    std::vector<float> close(50);
    narrow.forward(q.batch(), std::span<float>(close), {});
    for (std::size_t t = 0; t < 50; ++t) {
      const auto [log_prob, entropy] = by_definition(p, t);
      BOOST_TEST(std::abs(log_probs[t] - log_prob) < 1e-11);
      BOOST_TEST(std::abs(entropies[t] - entropy) < 1e-11);
      BOOST_TEST(std::abs(static_cast<double>(close[t]) - log_prob) < 3e-5);
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients_by_finite_differences) {
  Problem<double> p(21, 5, 700, 33);
  LmHead<double, NativeBackend> head({.workspace_bytes = 65536});
  std::vector<double> log_probs(33);
  std::vector<double> entropies(33);
  std::vector<double> a(33);
  std::vector<double> b(33);
  for (std::size_t t = 0; t < 33; ++t) {
    a[t] = std::sin(2.0 * static_cast<double>(t));
    b[t] = std::cos(3.0 * static_cast<double>(t));
  }
  const auto value = [&] {
    head.forward(p.batch(), std::span<double>(log_probs), entropies);
    double sum = 0.0;
    for (std::size_t t = 0; t < 33; ++t) sum += a[t] * log_probs[t] + b[t] * entropies[t];
    return sum;
  };
  value();
  Matrix<double> d_hidden(21, 5, 0.5);  // accumulated: the start stays
  Matrix<double> d_weight(700, 5, -0.25);
  head.backward(p.batch(), std::span<const double>(a), b, d_hidden, d_weight);
  const auto compare = [&](Matrix<double>& x, const Matrix<double>& d, double start, std::size_t stride) {
    for (std::size_t i = 0; i < x.flat().size(); i += stride) {
      const double kept = x.flat()[i];
      x.flat()[i] = kept + 1e-5;
      const double up = value();
      x.flat()[i] = kept - 1e-5;
      const double down = value();
      x.flat()[i] = kept;
      BOOST_TEST(std::abs((up - down) / 2e-5 - (d.flat()[i] - start)) < 1e-7);
    }
  };
  compare(p.hidden, d_hidden, 0.5, 1);
  compare(p.weight, d_weight, -0.25, 37);
}

BOOST_AUTO_TEST_CASE(same_bits_again_and_frozen_head) {
  const Problem<float> p(40, 8, 300, 60);
  LmHead<float, NativeBackend> head;
  std::vector<float> first(60);
  std::vector<float> second(60);
  const std::vector<float> ones(60, 1.0f);
  head.forward(p.batch(), std::span<float>(first), {});
  Matrix<float> d_hidden(40, 8, 0.0f);
  Matrix<float> d_again(40, 8, 0.0f);
  Matrix<float> d_weight(300, 8, 0.0f);
  head.backward(p.batch(), std::span<const float>(ones), {}, d_hidden.view(), d_weight);
  head.forward(p.batch(), std::span<float>(second), {});
  head.backward(p.batch(), std::span<const float>(ones), {}, d_again.view(), {});
  BOOST_TEST((first == second));
  BOOST_TEST((d_hidden == d_again));
}

BOOST_AUTO_TEST_CASE(bad_batches_are_refused) {
  Problem<float> p(4, 3, 10, 5);
  LmHead<float, NativeBackend> head;
  std::vector<float> out(5);
  p.targets[2] = 10;
  BOOST_CHECK_THROW(head.forward(p.batch(), std::span<float>(out), {}), BadArgument);
  p.targets[2] = 1;
  p.predictors[2] = 4;
  BOOST_CHECK_THROW(head.forward(p.batch(), std::span<float>(out), {}), BadArgument);
  p.predictors[2] = 3;
  p.hidden(3, 0) = std::nanf("");
  BOOST_CHECK_THROW(head.forward(p.batch(), std::span<float>(out), {}), BadData);
  BOOST_CHECK_THROW((LmHead<float, NativeBackend>({.workspace_bytes = 100})), BadArgument);
}

BOOST_AUTO_TEST_CASE(memory_at_a_large_vocabulary) {
  // One row of logits per token would be 300 x 151936 x 4 bytes = 182 MB; the head's stated bound is 4 MiB and a few
  // words per token.
  const Problem<float> p(300, 64, 151936, 300);
  Matrix<float> d_hidden(300, 64, 0.0f);
  Matrix<float> d_weight(151936, 64, 0.0f);
  std::vector<float> log_probs(300);
  std::vector<float> entropies(300);
  const std::vector<float> ones(300, 1.0f);
  allocation::reset_peak();
  const std::size_t before = allocation::held();
  LmHead<float, NativeBackend> head;
  head.forward(p.batch(), std::span<float>(log_probs), entropies);
  head.backward(p.batch(), std::span<const float>(ones), ones, d_hidden.view(), d_weight);
  const std::size_t used = allocation::peak() - before;
  BOOST_TEST_MESSAGE("head of 300 tokens, V = 151936: " << used << " bytes");
  BOOST_TEST(used < (std::size_t{4} << 20) + 300 * 128);
}

BOOST_AUTO_TEST_SUITE_END()
