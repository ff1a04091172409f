// The kernel bodies of the learned Conductor, run on the host, against maestro::LearnedConductor.

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "conductor/laws.hpp"
#include "cuda/conductor_support.hpp"
#include "cuda/message_of.hpp"
#include "cuda/thread_executor.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/core/any_state_visitor.hpp"
#include "maestro/core/state.hpp"
#include "maestro/cuda/conductor/device_conductor.hpp"
#include "maestro/io/state.hpp"

using namespace maestro;
using namespace conductor_test;
using test::message_of;

BOOST_AUTO_TEST_SUITE(device_conductor)

namespace {

using Threads = test::ThreadExecutor<3>;

template <class Network, class S = float>
gpu::DeviceConductor<Network> serial(const LearnedConductorOptions& options) {
  return gpu::DeviceConductor<Network>(std::make_unique<gpu::ConductorOn<gpu::HostExecutor, Network, S>>(options));
}
template <class Network>
gpu::DeviceConductor<Network> threaded(const LearnedConductorOptions& options) {
  return gpu::DeviceConductor<Network>(std::make_unique<gpu::ConductorOn<Threads, Network>>(options));
}

/// Does every product as a library would, so that what is asked of one is checked here.
class LibraryExecutor : public gpu::HostExecutor {
 public:
  template <class S>
  bool multiply(const gpu::LayerProduct<S>& p) {
    using Kind = typename gpu::LayerProduct<S>::Kind;
    const auto sum = [](std::size_t count, const auto& term) {
      float total = 0.0f;
      for (std::size_t i = 0; i < count; ++i) total += term(i);
      return total;
    };
    const auto at = [](const S* values, std::size_t i) { return static_cast<float>(values[i]); };
    for (std::size_t i = 0; p.kind == Kind::forward && i < p.rows; ++i) {
      for (std::size_t o = 0; o < p.outputs; ++o) {
        p.result[i * p.outputs + o] = p.bias[o] + sum(p.inputs, [&](std::size_t j) {
                                        return at(p.x, i * p.inputs + j) * at(p.weight, o * p.inputs + j);
                                      });
      }
    }
    for (std::size_t o = 0; p.kind == Kind::weights && o < p.outputs; ++o) {
      p.bias[o] = sum(p.rows, [&](std::size_t i) { return at(p.y, i * p.outputs + o); });
      for (std::size_t j = 0; j < p.inputs; ++j) {
        p.result[o * p.inputs + j] =
            sum(p.rows, [&](std::size_t i) { return at(p.y, i * p.outputs + o) * at(p.x, i * p.inputs + j); });
      }
    }
    for (std::size_t i = 0; p.kind == Kind::input && i < p.rows; ++i) {
      for (std::size_t j = 0; j < p.inputs; ++j) {
        p.result[i * p.inputs + j] =
            sum(p.outputs, [&](std::size_t o) { return at(p.y, i * p.outputs + o) * at(p.weight, o * p.inputs + j); });
      }
    }
    return true;
  }
};

/// Counts the floats that go up.
class CountingExecutor : public gpu::HostExecutor {
 public:
  static inline std::size_t floats = 0;
  template <class T>
  void upload(const T* from, T* to, std::size_t count) {
    if (std::is_same_v<T, float>) floats += count;
    gpu::HostExecutor::upload(from, to, count);
  }
};

static_assert(Conductor<gpu::DeviceConductor<LinearNetwork<3>>> && Stateful<gpu::DeviceConductor<MlpNetwork<3, 8, 4>>>);

}  // namespace

BOOST_AUTO_TEST_CASE(the_laws_of_every_conductor) {
  for (const LearnedConductorOptions& options : option_grid()) {
    check_laws(serial<LinearNetwork<3>>(options));
    check_laws(serial<MlpNetwork<3, 8>>(options));
  }
  check_laws(serial<LinearNetwork<1>>({.period = 1}));
  check_laws(threaded<MlpNetwork<3, 8, 4>>({.period = 2}));
  check_laws(serial<MlpNetwork<3, 8>, Bfloat16>({.period = 2}));
}

BOOST_AUTO_TEST_CASE(runs_as_the_host_does) {
  for (const LearnedConductorOptions& options : option_grid()) {
    check_equal_runs(LinearConductor<3>(options), serial<LinearNetwork<3>>(options), 7, 2e-5);
    check_equal_runs(LinearConductor<3>(options), threaded<LinearNetwork<3>>(options), 8, 2e-5);
    check_equal_runs(MlpConductor<3, 8, 5>(options), serial<MlpNetwork<3, 8, 5>>(options), 8, 2e-4);
  }
  check_equal_runs(MlpConductor<2, 40>({.period = 2, .learning_rate = 0.05}),
                   threaded<MlpNetwork<2, 40>>({.period = 2, .learning_rate = 0.05}), 70, 2e-4);
  // A column for the bias beside whole blocks of columns.
  check_equal_runs(LinearConductor<3>({.period = 2, .learning_rate = 0.05}),
                   threaded<LinearNetwork<3>>({.period = 2, .learning_rate = 0.05}), 256, 2e-4);
  check_equal_runs(LinearConductor<16>({.period = 2, .learning_rate = 0.05}),
                   threaded<LinearNetwork<16>>({.period = 2, .learning_rate = 0.05}), 1030, 2e-4);
}

// B = 14 rows of d = 500 in a step, K = 3: rewards, propensities and meta-rewards are 9 numbers of each row.
BOOST_AUTO_TEST_CASE(what_was_decided_on_goes_up_once) {
  const LearnedConductorOptions options{.period = 1, .hidden_size = 500};
  gpu::ConductorOn<CountingExecutor, LinearNetwork<3>> device(options);
  LinearConductor<3> host(options);
  const Batch batch = batch_of(0, 500, 3);
  const auto counted = [&](const Batch& observed, std::size_t changed = 14) {
    Decision decision = device.decide(batch.view());
    if (changed < 14) std::swap(decision.probabilities(changed, 0), decision.probabilities(changed, 1));
    CountingExecutor::floats = 0;
    const auto report = teach(device, observed, decision);
    BOOST_TEST(host.decide(batch.view()).actions == decision.actions, boost::test_tools::per_element());
    BOOST_TEST(std::abs(teach(host, observed, decision)->loss - report->loss) < 2e-5);
    return CountingExecutor::floats;
  };
  const std::size_t few = 14u * 6u;
  BOOST_TEST(counted(batch) == 14u * 3u);
  BOOST_TEST(counted(batch, 3) == few);  // the caller's propensities count
  const Batch elsewhere = batch_of(5, 500, 3);
  BOOST_TEST(counted(elsewhere) == few + 14u * 500u);
  const Decision decision = device.decide(batch.view());
  Matrix<float> soft(14, 3);
  device.weights(elsewhere.hidden.view(), soft);  // takes the room of the batch's
  CountingExecutor::floats = 0;
  teach(device, batch, decision);
  BOOST_TEST(CountingExecutor::floats == few + 14u * 500u);
}

BOOST_AUTO_TEST_CASE(a_visit_that_only_saves_loads_nothing) {
  using Device = gpu::ConductorOn<CountingExecutor, LinearNetwork<3>>;
  gpu::DeviceConductor<LinearNetwork<3>> device(
      std::make_unique<Device>(LearnedConductorOptions{.period = 1, .hidden_size = 500}));
  const Batch batch = batch_of(0, 500, 3);
  const Decision decision = device.decide(batch.view());
  CountingExecutor::floats = 0;
  StateWriter writer, erased;
  device.visit_state(writer);
  AnyStateVisitor any(erased);
  device.visit_state(any);
  BOOST_TEST(CountingExecutor::floats == 0u);
  teach(device, batch, decision);
  BOOST_TEST(CountingExecutor::floats == 14u * 3u);  // the decision is known still
  const Memory saved = save(device);
  CountingExecutor::floats = 0;
  load(device, saved);
  BOOST_TEST(CountingExecutor::floats > 3u * 500u);
}

BOOST_AUTO_TEST_CASE(draws_the_actions_of_the_host_over_many_steps) {
  const LearnedConductorOptions options{.estimator = Estimator::sampled, .period = 2, .learning_rate = 0.01};
  check_equal_actions(LinearConductor<3>(options), serial<LinearNetwork<3>>(options), 16, 40, 1e-5);
  check_equal_actions(MlpConductor<3, 8>(options), serial<MlpNetwork<3, 8>>(options), 16, 20, 1e-4);
}

BOOST_AUTO_TEST_CASE(products_of_a_library) {
  using Network = MlpNetwork<3, 9, 6, 5>;
  for (const LearnedConductorOptions& options : option_grid()) {
    using Device = gpu::ConductorOn<LibraryExecutor, Network>;
    check_equal_runs(LearnedConductor<Network>(options),
                     gpu::DeviceConductor<Network>(std::make_unique<Device>(options)), 12, 2e-4);
  }
}

BOOST_AUTO_TEST_CASE(gradients_are_the_hosts) {
  for (LearnedConductorOptions options : option_grid()) {
    options.period = 100;
    options.init = {.head = Initialization::normal, .std_dev = 0.2, .seed = 3};
    MlpConductor<4, 6, 5> host(options);
    auto device = serial<MlpNetwork<4, 6, 5>>(options);
    for (std::uint32_t step = 0; step < 3; ++step) {
      const Batch batch = batch_of(step, 9, 4);
      const Decision decision = host.decide(batch.view());
      device.decide(batch.view());
      teach(host, batch, decision);
      teach(device, batch, decision);
    }
    const ConductorReport expected = host.differentiate();
    gpu::LearnedState<MlpNetwork<4, 6, 5>> state;
    load(state, save(device));
    gpu::HostExecutor executor;
    gpu::LearnedConductor<gpu::HostExecutor, MlpNetwork<4, 6, 5>> raw(executor, options);
    raw.load(state);
    gpu::FaultRecord record(executor);
    const ConductorReport got = raw.differentiate(record.data());
    record.check(executor);
    BOOST_TEST(got.samples == expected.samples);
    BOOST_TEST(std::abs(got.gradient_norm - expected.gradient_norm) < 1e-5);
    const std::vector<double> of_host = gradients(host);
    const bool learned = options.temperature_mode == TemperatureMode::learned;
    BOOST_REQUIRE_EQUAL(of_host.size(), raw.parameter_count() - (learned ? 0 : 1));
    double largest = 0.0;
    for (const double value : of_host) largest = std::max(largest, std::abs(value));
    BOOST_TEST(largest > 0.0);
    for (std::size_t p = 0; p < of_host.size(); ++p) {
      BOOST_TEST(std::abs(static_cast<double>(raw.gradients()[p]) - of_host[p]) < 1e-9 + 1e-4 * largest);
    }
  }
}

BOOST_AUTO_TEST_CASE(equal_logits_draw_equal_actions) {
  constexpr std::size_t K = 5;
  constexpr std::size_t rows = 20000;
  std::vector<float> logits, rewards(rows * K, 0.5f);
  std::vector<std::int64_t> data_rows;
  const RandomStream stream({.seed = 12});
  for (std::uint32_t i = 0; i < rows * K; ++i) logits.push_back(static_cast<float>(2.0 * stream.normal(i)));
  for (std::size_t i = 0; i < rows; ++i) data_rows.push_back(static_cast<std::int64_t>(3 * i));
  for (std::size_t i = 0; i < rows; i += 3) rewards[i * K + i % K] = missing;

  Threads executor;
  gpu::FaultRecord record(executor);
  const std::vector<std::uint32_t> numbers(rows, 2);
  const gpu::StepScalars scalars{.seed = 77, .step = 9};
  const float log_tau = 0.3f;
  std::vector<std::int32_t> actions(rows);
  std::vector<float> q(rows * K), weights(rows * K), base(rows * K);
  gpu::DrawPerGroup<K> body;
  body.logits = logits.data();
  body.draw = {rewards.data(),
               gpu::GroupLayout::uniform(rows, 1),
               data_rows.data(),
               numbers.data(),
               &scalars,
               &log_tau,
               ProbabilityFloor::mix,
               1e-4,
               0.0f,
               0.0f,
               {actions.data(), q.data(), weights.data(), base.data(), 1.0f},
               record.data()};
  launch_elements(executor, rows, body);
  record.check(executor);
  for (std::size_t i = 0; i < rows; ++i) {
    bool applicable[K];
    for (std::size_t k = 0; k < K; ++k) applicable[k] = !std::isnan(rewards[i * K + k]);
    const auto row = action_distribution<K>(logits.data() + i * K, std::exp(static_cast<double>(log_tau)),
                                            ProbabilityFloor::mix, 1e-4, applicable);
    float expected_q[K];
    for (std::size_t k = 0; k < K; ++k) expected_q[k] = static_cast<float>(row.q[k]);
    const RandomStream draws({.seed = 77,
                              .purpose = Purpose::conductor_action,
                              .step = 9,
                              .row = static_cast<std::uint32_t>(3 * i),
                              .response = 2});
    const auto expected = static_cast<std::int32_t>(sample_index(expected_q, K, draws.uniform(0)));
    BOOST_REQUIRE_EQUAL(actions[i], expected);
  }
}

BOOST_AUTO_TEST_CASE(each_continues_from_the_others_checkpoint) {
  const auto check = [](const LearnedConductorOptions& options) {
    using Network = MlpNetwork<3, 6>;
    LearnedConductor<Network> host(options);
    auto device = serial<Network>(options);
    for (std::uint32_t step = 0; step < 4; ++step) {
      const Batch batch = batch_of(step, 7, 3);
      teach(host, batch, host.decide(batch.view()));
      teach(device, batch, device.decide(batch.view()));
    }
    auto from_host = serial<Network>(options);
    load(from_host, save(host));
    check_equal_runs(host, std::move(from_host), 7, 2e-4);
    LearnedConductor<Network> from_device(options);
    load(from_device, save(device));
    check_equal_runs(from_device, std::move(device), 7, 2e-4);
  };
  for (const std::size_t i : {0u, 3u, 5u, 8u}) {
    LearnedConductorOptions options = option_grid()[i];
    options.period = 2;
    check(options);
  }
  // A state from before the first batch takes the head away again.
  auto sized = serial<LinearNetwork<3>>({});
  sized.decide(batch_of(0, 7, 3).view());
  auto sizeless = serial<LinearNetwork<3>>({});
  load(sized, save(sizeless));
  sized.decide(batch_of(0, 5, 3).view());

  auto device = serial<LinearNetwork<3>>({.hidden_size = 5});
  LinearConductor<3> wide({.hidden_size = 6});
  BOOST_CHECK_THROW(load(device, save(wide)), BadFile);
  auto exact = serial<LinearNetwork<3>>({.estimator = Estimator::counterfactual, .hidden_size = 5});
  LinearConductor<3> sampled({.estimator = Estimator::sampled, .hidden_size = 5});
  const Batch batch = batch_of(0, 5, 3);
  teach(sampled, batch, sampled.decide(batch.view()));
  BOOST_CHECK_THROW(load(exact, save(sampled)), BadFile);
}

BOOST_AUTO_TEST_CASE(bfloat16_follows_float) {
  const LearnedConductorOptions options{.period = 1, .learning_rate = 0.02};
  MlpConductor<3, 16> host(options);
  auto device = serial<MlpNetwork<3, 16>, Bfloat16>(options);
  for (std::uint32_t step = 0; step < 6; ++step) {
    const Batch batch = batch_of(step, 12, 3);
    const Decision decision = host.decide(batch.view());
    BOOST_TEST(distance(device.decide(batch.view()).probabilities.flat(), decision.probabilities.flat()) < 0.01);
    teach(host, batch, decision);
    const auto report = teach(device, batch, decision);
    BOOST_TEST(report->gradient_norm > 0.0);
  }
}

BOOST_AUTO_TEST_CASE(bad_data_has_the_words_of_the_host) {
  const auto check = [](auto&& spoil) {
    LinearConductor<3> host({.estimator = Estimator::sampled, .hidden_size = 6});
    auto device = serial<LinearNetwork<3>>({.estimator = Estimator::sampled, .hidden_size = 6});
    const auto run = [&](auto& conductor) {
      Batch batch = batch_of(1, 6, 3);
      Decision decision = conductor.decide(batch.view());
      auto advantages = centered_advantages(batch, decision);
      spoil(batch, decision, advantages);
      conductor.decide(batch.view());
      conductor.observe({.decision = decision,
                         .hidden = batch.hidden.view(),
                         .groups = batch.groups,
                         .advantages = advantages,
                         .counterfactuals = {}});
    };
    const std::string expected = message_of([&] { run(host); });
    BOOST_TEST(expected != "nothing was thrown");
    BOOST_TEST(message_of([&] { run(device); }) == expected);
  };
  check([](Batch& batch, auto&, auto&) { batch.hidden(3, 2) = missing; });
  check([](auto&, Decision& decision, auto&) { decision.actions[4] = 3; });
  check([](auto&, auto&, std::vector<float>& advantages) { advantages[6] = missing; });
  check([](Batch& batch, auto&, auto&) { batch.rows[1] = -1; });
  LinearConductor<3> exact({.estimator = Estimator::counterfactual, .hidden_size = 6});
  BOOST_CHECK_THROW(serial<LinearNetwork<3>>({.temperature = 0.0}), BadArgument);
  BOOST_CHECK_THROW(serial<LinearNetwork<3>>({}).weights(Matrix<float>(1, 3), Matrix<float>(1, 3)), BadArgument);
}

BOOST_AUTO_TEST_CASE(kernels_report_what_the_caller_could_not_see) {
  Threads executor;
  gpu::FaultRecord record(executor);
  gpu::LearnedConductor<Threads, MlpNetwork<2, 4>> conductor(
      executor, {.estimator = Estimator::sampled, .period = 1, .hidden_size = 3});
  std::vector<float> hidden(8 * 3, 0.5f), rewards(8 * 2, 0.1f), meta(8, 0.2f);
  std::vector<std::int64_t> data_rows{4, 5};
  const auto layout = gpu::GroupLayout::uniform(2, 4);
  const auto decide = [&] {
    const auto view = conductor.decide({hidden.data(), rewards.data(), layout, data_rows.data(), 1, 2}, record.data());
    record.check(executor);
    return view;
  };
  const auto decision = decide();
  hidden[5 * 3 + 1] = std::numeric_limits<float>::infinity();
  BOOST_TEST(message_of(decide) == "conductor: the hidden state of row 5 is not finite");
  hidden[5 * 3 + 1] = missing;
  BOOST_TEST(message_of(decide) == "conductor: the hidden state of row 5 is not finite");
  hidden[5 * 3 + 1] = 0.5f;
  data_rows[1] = -3;
  BOOST_TEST(message_of(decide).find("the data row of group 1 ") != std::string::npos);
  data_rows[1] = 5;
  decide();
  const auto observe = [&] {
    conductor.observe(decision, hidden.data(), meta.data(), 8, 2, record.data());
    record.check(executor);
  };
  meta[3] = missing;
  BOOST_TEST(message_of(observe) == "conductor: the meta-reward of row 3 is not finite");
  // A gradient that is not finite moves nothing.
  const std::vector<float> before = conductor.save().parameters();
  BOOST_TEST(conductor.update(record.data()));
  BOOST_TEST(message_of([&] { record.check(executor); }).find("the gradient of parameter ") != std::string::npos);
  BOOST_TEST(conductor.save().parameters() == before, boost::test_tools::per_element());
  meta[3] = 0.2f;
  decision.actions[7] = 2;
  BOOST_TEST(message_of(observe) == "conductor: row 7 took an action that could not be drawn");
  BOOST_CHECK_THROW(conductor.decide({nullptr, rewards.data(), layout, data_rows.data()}, record.data()), BadArgument);
  gpu::LearnedConductor<Threads, LinearNetwork<2>> sizeless(executor);
  BOOST_TEST(sizeless.parameter_count() == 0u);
  BOOST_CHECK_THROW(sizeless.report(), BadArgument);
  gpu::LearnedConductor<Threads, LinearNetwork<2>> fresh(executor, {.hidden_size = 3});
  BOOST_CHECK_THROW(fresh.differentiate(record.data()), BadArgument);
  BOOST_CHECK_THROW(sizeless.decide({hidden.data(), rewards.data(), layout, data_rows.data()}, record.data()),
                    BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
