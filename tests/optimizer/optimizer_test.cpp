#include "maestro/optimizer/optimizer.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "maestro/core/parallel.hpp"
#include "maestro/core/state.hpp"
#include "maestro/optimizer/clip.hpp"
#include "maestro/optimizer/schedule.hpp"

using namespace maestro;

static_assert(Stateful<AdamW<float>> && Stateful<Sgd<double>> && Stateful<Optimizer<float>>);

BOOST_AUTO_TEST_SUITE(optimizer)

namespace {

/// Two tensors and a frozen one.
template <class T>
struct Part {
  std::vector<T> p{1.0, -2.0, 0.5, 3.0}, q{0.25, -0.75}, frozen{5.0};
  std::vector<T> dp{0, 0, 0, 0}, dq{0, 0};

  template <class F>
  void visit(F&& f) {
    f(ParameterView<T>{"p", p, dp, 2, 2});
    f(ParameterView<T>{"frozen", frozen, {}, 1, 1});
    f(ParameterView<T>{"q", q, dq, 1, q.size(), WeightDecay::skip});
  }
  /// The gradients of torch_numbers.py.
  void set_gradients(int step) {
    for (int i = 0; i < 4; ++i) {
      dp[std::size_t(i)] = static_cast<T>(0.1 * (i + 1) * ((i + step) % 2 == 0 ? 1 : -1) + 0.05 * step);
    }
    dq = {static_cast<T>(1.0 - 0.3 * step), static_cast<T>(2e-9 * (step + 1))};
  }
  std::vector<double> values() const {
    std::vector<double> all(p.begin(), p.end());
    all.insert(all.end(), q.begin(), q.end());
    return all;
  }
};

template <class T, class O>
std::vector<double> five_steps(O optimizer, double learning_rate) {
  Part<T> part;
  for (int step = 0; step < 5; ++step) {
    part.set_gradients(step);
    optimizer.step(part, learning_rate);
  }
  BOOST_TEST(part.frozen[0] == T(5));
  return part.values();
}

void check_close(const std::vector<double>& got, const std::vector<double>& expected, double tolerance) {
  BOOST_REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) BOOST_TEST(std::abs(got[i] - expected[i]) < tolerance);
}

/// Copies state through visit_state.
struct Store {
  std::vector<std::vector<double>> values;
  void operator()(const char*, const std::uint64_t& v) {
    values.push_back({static_cast<double>(v >> 32), static_cast<double>(v & 0xffffffffu)});
  }
  void operator()(const char*, const AlignedVector<double>& v) { values.emplace_back(v.begin(), v.end()); }
};
struct Load {
  const Store& store;
  std::size_t at = 0;
  void operator()(const char*, std::uint64_t& v) {
    v = (static_cast<std::uint64_t>(store.values[at][0]) << 32) | static_cast<std::uint64_t>(store.values[at][1]);
    ++at;
  }
  void operator()(const char*, AlignedVector<double>& v) {
    v.assign(store.values[at].begin(), store.values[at].end());
    ++at;
  }
};

}  // namespace

// Expected values: torch_numbers.py in this folder.
const std::vector<double> adamw_decayed{0.961642472969313, -1.98798409224978, 0.475103428838656,
                                        2.99287786975914,  0.207370014086214, -0.764134938047745};
const std::vector<double> sgd_momentum{0.6359408192, -1.5444237184, 0.2162259456,
                                       2.2472153728, -0.50764,      -0.75000000634062};

BOOST_AUTO_TEST_CASE(adamw_agrees_with_torch) {
  check_close(five_steps<double>(AdamW<double>({.weight_decay = 0.1}), 0.01), adamw_decayed, 1e-13);
  check_close(five_steps<float>(AdamW<float>({.weight_decay = 0.1}), 0.01), adamw_decayed, 2e-6);
  OptimizerOptions options;
  options.adamw.weight_decay = 0.1;
  check_close(five_steps<double>(Optimizer<double>(options), 0.01), adamw_decayed, 1e-13);
}

BOOST_AUTO_TEST_CASE(adamw_and_clipping_agree_with_torch) {
  AdamW<double> adamw({.beta1 = 0.5, .beta2 = 0.9, .epsilon = 1e-3});
  Part<double> part;
  const double norms[] = {1.140175425099138, 0.9055385138137417, 0.6782329983125269, 0.6782329983125269,
                          0.6480740698407861};
  for (int step = 0; step < 5; ++step) {
    part.set_gradients(step);
    BOOST_TEST(std::abs(clip_global_norm(part, 0.4) - norms[step]) < 1e-14);
    adamw.step(part, 0.1);
  }
  check_close(
      part.values(),
      {0.647340655227624, -2.062834104211, 0.279287511245038, 3.02190321175136, -0.106963723517179, -0.750001347929027},
      1e-13);
}

BOOST_AUTO_TEST_CASE(sgd_agrees_with_torch) {
  check_close(five_steps<double>(Sgd<double>({.momentum = 0.9, .weight_decay = 0.2}), 0.1), sgd_momentum, 1e-12);
  check_close(five_steps<double>(Sgd<double>(), 0.1), {0.94, -2.03, 0.42, 2.99, 0.05, -0.750000003}, 1e-12);
  OptimizerOptions options{.kind = OptimizerKind::sgd};
  options.sgd = {.momentum = 0.9, .weight_decay = 0.2};
  check_close(five_steps<double>(Optimizer<double>(options), 0.1), sgd_momentum, 1e-12);
}

BOOST_AUTO_TEST_CASE(state_resumes_exactly) {
  for (const auto kind : {OptimizerKind::adamw, OptimizerKind::sgd}) {
    OptimizerOptions options{.kind = kind};
    options.sgd.momentum = 0.9;
    Optimizer<double> first(options), resumed(options);
    Part<double> part;
    for (int step = 0; step < 5; ++step) {
      if (step == 2) {
        Store store;
        first.visit_state(store);
        Load load{store};
        resumed.visit_state(load);
      }
      part.set_gradients(step);
      (step < 2 ? first : resumed).step(part, 0.01);
    }
    BOOST_TEST(part.values() == five_steps<double>(Optimizer<double>(options), 0.01), boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(other_parameters_are_refused) {
  AdamW<double> adamw;
  Part<double> part;
  adamw.step(part, 0.1);
  part.q.push_back(1);
  part.dq.push_back(1);
  BOOST_CHECK_THROW(adamw.step(part, 0.1), BadArgument);
  part.dq.pop_back();
  BOOST_CHECK_THROW(AdamW<double>().step(part, 0.1), BadArgument);
  BOOST_CHECK_THROW(AdamW<double>({.beta2 = 1.0}), BadArgument);
  BOOST_CHECK_THROW(AdamW<double>({.epsilon = 0.0}), BadArgument);
  BOOST_CHECK_THROW(Sgd<double>({.momentum = -0.1}), BadArgument);
  Part<double> fresh;
  BOOST_CHECK_THROW(AdamW<double>().step(fresh, std::nan("")), BadArgument);
}

BOOST_AUTO_TEST_CASE(global_norm_names_a_bad_gradient) {
  Part<float> part;
  part.set_gradients(0);
  part.dq[1] = std::numeric_limits<float>::infinity();
  BOOST_CHECK_EXCEPTION(global_norm(part), BadData, [](const BadData& e) {
    return std::string(e.what()).find("parameter q ") != std::string::npos;
  });
  part.dq[1] = 0;
  const double before = part.dp[0];
  BOOST_TEST(clip_global_norm(part, std::numeric_limits<double>::infinity()) > 1.0);
  BOOST_TEST(part.dp[0] == before);
  BOOST_CHECK_THROW(clip_global_norm(part, 0.0), BadArgument);
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_the_bits) {
  Part<float> one, three;
  for (auto* part : {&one, &three}) {
    part->p.assign(40001, 0.5f);
    part->dp.resize(40001);
    for (std::size_t i = 0; i < part->dp.size(); ++i) part->dp[i] = std::sin(static_cast<float>(i));
  }
  AdamW<float> first, second;
  set_threads(1);
  const double norm_one = clip_global_norm(one, 1.0);
  first.step(one, 0.01);
  set_threads(3);
  const double norm_three = clip_global_norm(three, 1.0);
  second.step(three, 0.01);
  set_threads(2);
  BOOST_TEST(norm_one == norm_three);
  BOOST_TEST((one.p == three.p));
  double squares = 0;
  for (std::size_t i = 0; i < 40001; ++i) squares += std::pow(double(std::sin(static_cast<float>(i))), 2);
  BOOST_TEST(std::abs(norm_one - std::sqrt(squares)) < 1e-9);
}

// Expected values: transformers' get_*_schedule_with_warmup, 3 of 10 steps of warmup.
BOOST_AUTO_TEST_CASE(schedules_agree_with_transformers) {
  const std::vector<double> linear{0, 1. / 3, 2. / 3, 1, 6. / 7, 5. / 7, 4. / 7, 3. / 7, 2. / 7, 1. / 7, 0, 0};
  const std::vector<double> cosine{0,
                                   1. / 3,
                                   2. / 3,
                                   1,
                                   0.95048443395121,
                                   0.811744900929367,
                                   0.611260466978157,
                                   0.388739533021843,
                                   0.188255099070633,
                                   0.0495155660487905,
                                   0};
  for (std::size_t step = 0; step < linear.size(); ++step) {
    const auto factor = [&](ScheduleKind kind) {
      return learning_rate_factor({.kind = kind, .warmup_steps = 3, .total_steps = 10}, step);
    };
    BOOST_TEST(std::abs(factor(ScheduleKind::linear) - linear[step]) < 1e-14);
    if (step < cosine.size()) BOOST_TEST(std::abs(factor(ScheduleKind::cosine) - cosine[step]) < 1e-14);
    BOOST_TEST(factor(ScheduleKind::constant) == (step < 3 ? static_cast<double>(step) / 3 : 1.0));
  }
  BOOST_TEST(learning_rate_factor({.kind = ScheduleKind::cosine, .total_steps = 10}, 12) == 0.0);
  BOOST_CHECK_THROW(learning_rate_factor({.kind = ScheduleKind::linear}, 0), BadArgument);
  BOOST_CHECK_THROW(learning_rate_factor({.warmup_steps = 11, .total_steps = 10}, 0), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
