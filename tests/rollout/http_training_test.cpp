// Whole training runs whose responses come over HTTP, from a server that fails at times.

#include "maestro/http.hpp"

#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/rollout/publish.hpp"
#include "maestro/rollout/served_policy.hpp"
#include "maestro/trainer/loop.hpp"
#include "maestro/trainer/metrics.hpp"
#include "maestro/trainer/run.hpp"
#include "maestro/trainer/trainer.hpp"
#include "rollout/test_server.hpp"

BOOST_AUTO_TEST_SUITE(rollout_http)

namespace {

using namespace maestro;
using maestro_test::Scratch;
using test::RolloutTestServer;
using test::WholePolicy;
using Served = ServedPolicy<WholePolicy>;

/// Share of tokens below 128.
struct Low {
  static constexpr std::string_view name = "low";
  float operator()(const Completion& c) const {
    const auto low = std::count_if(c.tokens.begin(), c.tokens.end(), [](std::int32_t t) { return t < 128; });
    return static_cast<float>(low) / static_cast<float>(c.tokens.size());
  }
};
/// Share of even tokens.
struct Even {
  static constexpr std::string_view name = "even";
  float operator()(const Completion& c) const {
    const auto even = std::count_if(c.tokens.begin(), c.tokens.end(), [](std::int32_t t) { return t % 2 == 0; });
    return static_cast<float>(even) / static_cast<float>(c.tokens.size());
  }
};

constexpr std::uint32_t steps = 12;

std::vector<Prompt> data() {
  std::vector<Prompt> prompts(20);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    prompts[i].row = static_cast<std::int64_t>(i);
    prompts[i].text = "p" + std::to_string(i);
  }
  return prompts;
}
TrainerOptions options(std::uint64_t seed = 1) {
  TrainerOptions o{.seed = seed, .prompts_per_step = 8, .learning_rate = 0.02};
  o.sampling = {.num_generations = 8, .max_completion_length = 5};
  o.optimizer.adamw.weight_decay = 0.0;
  return o;
}
auto trainer(Served policy, const TrainerOptions& o) {
  return Trainer(std::move(policy), RewardSet{Low{}, Even{}}, LinearConductor<2>(), o);
}

/// A server on a port of its own, in front of a RolloutTestServer.
class HttpServer {
 public:
  explicit HttpServer(RolloutTestServer<ModelWeights<float>>& behind) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(8); };
    server_.Post(".*", [&behind](const httplib::Request& request, httplib::Response& response) {
      const HttpReply reply = behind.handle(request.path, request.body);
      response.status = reply.status;
      response.set_content(reply.body, "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer() {
    server_.stop();
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

/// A policy of its own with a server of its own.
struct Stage {
  RolloutTestServer<ModelWeights<float>> server{test::whole_policy(), RolloutDialect::sglang};
  HttpServer http{server};
  Scratch scratch;

  Served policy(ServedOptions o = {}, double timeout = 10.0) {
    RolloutServerOptions calls = server.options(5);
    calls.calls.url = http.url();
    calls.calls.timeout_seconds = timeout;
    o.folder = scratch.path("weights");
    const auto upcoming = [prompts = data()](std::uint32_t step) {
      return step < steps ? PromptOrder(prompts, options().prompts_per_step, options().seed).batch(step)
                          : std::vector<Prompt>();
    };
    return Served(
        test::whole_policy(), std::make_shared<RolloutServer>(HttpClient(), calls), o,
        [](const WholePolicy& p, const std::string& folder) { write_weights(p, folder, "base"); }, upcoming);
  }
};

/// What a run tells.
struct Record {
  std::vector<double> rewards{};
  std::map<std::string, double> sums{};
  std::map<std::string, double> most{};
  std::vector<std::int64_t> rows{};

  void on_step(const StepReport& report, const StepTrace& trace) {
    rewards.push_back(report.rewards[0].mean + report.rewards[1].mean);
    for_each_metric(report, [&](const std::string& name, double value) {
      sums[name] += value;
      most[name] = std::max(most[name], value);
    });
    for (const Prompt& prompt : trace.rollouts.prompts) rows.push_back(prompt.row);
  }
  /// Over the last third of the run.
  double late() const {
    return std::accumulate(rewards.end() - steps / 3, rewards.end(), 0.0) / static_cast<double>(steps / 3);
  }
};
Record run(Served policy, const TrainerOptions& o = options()) {
  const std::vector<Prompt> prompts = data();
  auto t = trainer(std::move(policy), o);
  Record record;
  run_loop(t, std::span<const Prompt>(prompts), {.steps = steps}, record);
  return record;
}
/// The rows that a run of this order must have trained.
std::vector<std::int64_t> expected_rows() {
  const std::vector<Prompt> prompts = data();
  PromptOrder order(prompts, options().prompts_per_step, options().seed);
  std::vector<std::int64_t> rows;
  for (std::uint32_t step = 0; step < steps; ++step) {
    for (const Prompt& prompt : order.batch(step)) rows.push_back(prompt.row);
  }
  return rows;
}
/// The last rewards of local runs: their mean, and how far runs are apart.
Moments local_runs() {
  std::vector<double> late;
  for (std::uint64_t seed = 1; seed <= 6; ++seed)
    late.push_back(run(Served(test::whole_policy()), options(seed)).late());
  return moments_of(late.data(), late.size());
}
/// The names that the page on metrics has for rollouts from a server.
std::set<std::string> documented() {
  std::ifstream page(MAESTRO_PAGES "/metrics.md");
  std::set<std::string> names;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) inside = line.starts_with("## Responses from a server");
    if (inside && line.starts_with("| `")) names.insert(line.substr(3, line.find('`', 3) - 3));
  }
  return names;
}
void sums_add_up(const Record& record, double responses) {
  BOOST_TEST(record.sums.at("rollout/responses_requested") ==
             record.sums.at("rollout/responses_received") + record.sums.at("rollout/responses_missing"));
  BOOST_TEST(record.sums.at("rollout/responses_received") == responses);
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_group_that_is_left_out_is_none_of_the_reference_either) {
  Stage stage;
  stage.server.edit = [&](Json& answer, int) {
    if (stage.server.last_prompt().ends_with("3")) answer = Json::array();
  };
  TrainerOptions o = options();
  o.objective.beta = 0.1;
  const Record record = run(stage.policy({.missing = MissingGroup::leave}), o);
  const double missing = record.sums.at("rollout/groups_missing");
  BOOST_TEST(missing > 0.0);
  BOOST_TEST(static_cast<double>(record.rows.size()) + missing == 8.0 * steps);
  for (const double reward : record.rewards) BOOST_TEST(std::isfinite(reward));
  BOOST_TEST(std::isfinite(record.sums.at("kl")));
}

BOOST_AUTO_TEST_CASE(training_through_a_failing_server_learns_as_local_training_does) {
  const Moments local = local_runs();
  const double apart = 4.0 * local.std_dev(1);
  constexpr double learned = 1.05;  // chance is 1, give or take 0.02
  BOOST_TEST(local.mean > 1.15);    // the runs learn
  {
    Stage stage;
    stage.server.fault = [](const std::string& path, int call) -> std::optional<HttpReply> {
      if (path != "/generate" || call % 10 != 3) return std::nullopt;
      return HttpReply{.status = call % 20 == 3 ? 500 : 200, .body = "boom"};
    };
    stage.server.edit = [](Json& answer, int call) {
      if (call % 10 == 6) answer.erase(0);
      if (call % 10 == 8) answer[0]["meta_info"]["weight_version"] = "another";
    };
    const Record served = run(stage.policy());
    BOOST_TEST(std::abs(served.late() - local.mean) < apart,
               served.late() << " served, " << local.mean << " local, at most " << apart << " apart");
    BOOST_TEST(served.late() > learned);
    BOOST_TEST(served.most.at("rollout/logprob_gap_max") < 1e-3);
    BOOST_TEST(served.most.at("sampling/sampling_logp_difference/max") < 1e-3);
    for (const char* name : {"failed_calls", "malformed", "wrong_count", "wrong_version"}) {
      BOOST_TEST(served.sums.at("rollout/" + std::string(name)) > 0.0, name);
    }
    BOOST_TEST(served.sums.at("rollout/weights_published") == steps);
    BOOST_TEST((served.rows == expected_rows()));
    sums_add_up(served, steps * 64.0);
  }
  {
    Stage stage;
    TrainerOptions corrected = options();
    corrected.correction = {.correction = ImportanceCorrection::token_truncate, .cap = 2.0};
    const Record ahead = run(stage.policy({.ahead = 1}), corrected);
    BOOST_TEST(ahead.late() > learned);  // it lags by the update that its weights lack
    BOOST_TEST(ahead.most.at("rollout/staleness_max") <= 1.0);
    BOOST_TEST(ahead.most.at("rollout/logprob_gap_max") < 1e-3);
    BOOST_TEST(ahead.most.at("sampling/importance_sampling_ratio/max") > 1.0);
    BOOST_TEST((ahead.rows == expected_rows()));
    std::set<std::string> written;
    for (const auto& [name, sum] : ahead.sums) {
      if (name.starts_with("rollout/") || name.starts_with("sampling/importance")) written.insert(name);
    }
    BOOST_TEST((written == documented()));
    sums_add_up(ahead, steps * 65.0);  // and a probe of one response for each new version
  }
}

BOOST_AUTO_TEST_CASE(a_slow_answer_is_left_and_asked_for_again) {
  Stage stage;
  std::atomic<int> slow{0};
  stage.server.fault = [&](const std::string& path, int call) -> std::optional<HttpReply> {
    if (path == "/generate" && call == 2) {
      ++slow;
      std::this_thread::sleep_for(std::chrono::milliseconds(900));
    }
    return std::nullopt;
  };
  Served policy = stage.policy({}, 0.4);
  const std::vector<Prompt> prompts = data();
  const Rollouts r = policy.generate(std::span(prompts).first(4), options().sampling, {.seed = 1});
  BOOST_TEST(slow == 1);
  BOOST_TEST(r.size() == 32u);
  BOOST_TEST(policy.figures().counts.failed_calls == 1u);
  BOOST_TEST(policy.figures().counts.retries == 1u);
}

BOOST_AUTO_TEST_CASE(a_request_to_stop_gives_up_the_calls_under_way) {
  const std::vector<Prompt> prompts = data();
  TrainerOptions corrected = options();
  corrected.correction = {.correction = ImportanceCorrection::sequence_mask};
  for (const std::size_t ahead : {0u, 2u}) {
    const Scratch scratch;
    Record record;
    {
      std::atomic<bool> hangs{false};
      std::atomic<bool> asked{false};
      std::atomic<int> hanging{0};
      Stage stage;
      stage.server.fault = [&](const std::string& path, int call) -> std::optional<HttpReply> {
        if (path != "/generate" || call < 40) return std::nullopt;  // in the fourth step or before
        hangs = true;
        ++hanging;
        for (int i = 0; i < 3000 && hangs; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        return std::nullopt;
      };
      std::thread user([&] {  // who sees that nothing moves, and stops it
        while (hanging == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        asked = true;
      });
      const auto start = std::chrono::steady_clock::now();
      {
        Served policy = stage.policy({.ahead = ahead, .should_stop = [&] { return asked.load(); }}, 60.0);
        auto t = trainer(std::move(policy), corrected);
        const Run first(scratch.path("run"), {.steps = steps, .should_stop = [&] { return asked.load(); }});
        BOOST_TEST((first(t, std::span<const Prompt>(prompts), record) == LoopEnd::stopped));
        BOOST_TEST(t.whole());
        BOOST_TEST(t.steps_done() > 0u);
        BOOST_TEST(t.steps_done() < steps);
        BOOST_TEST(static_cast<std::size_t>(t.steps_done()) * 8 == record.rows.size());
      }  // with batches ahead too
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      BOOST_TEST(took.count() < 15.0, "it went on for " << took.count() << " s");
      hangs = false;
      user.join();
    }
    Stage stage;
    auto t = trainer(stage.policy({.ahead = ahead}), corrected);
    const Run go_on(scratch.path("run"), {.steps = steps});
    go_on(t, std::span<const Prompt>(prompts), record);
    BOOST_TEST((record.rows == expected_rows()));
  }
}

BOOST_AUTO_TEST_CASE(given_up_calls_count_as_missing) {
  Stage stage;
  std::atomic<bool> hangs{true};
  stage.server.fault = [&](const std::string& path, int call) -> std::optional<HttpReply> {
    if (path != "/generate" || call == 1) return std::nullopt;
    for (int i = 0; i < 3000 && hangs; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return HttpReply{.status = 500};
  };
  RolloutServerOptions calls = stage.server.options(5);
  calls.calls.url = stage.http.url();
  calls.calls.retry.delay_seconds = calls.calls.retry.max_delay_seconds = 60.0;
  RolloutServer server(HttpClient(), calls);
  std::vector<GroupRequest> requests;
  for (std::int32_t i = 0; i < 5; ++i) {
    requests.push_back({.prompt = {10 + i}, .sampling = options().sampling, .vocabulary = 259});
  }
  std::thread stops([&] {
    while (stage.server.calls("/generate") < 4) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    server.stop();
  });
  const auto start = std::chrono::steady_clock::now();
  const std::vector<GroupOutcome> outcomes = server.generate(requests);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  hangs = false;
  stops.join();
  BOOST_TEST(took.count() < 10.0, "it went on for " << took.count() << " s");
  const RolloutCounts counts = server.counts();
  BOOST_TEST(counts.requested == 40u);
  BOOST_TEST(counts.received == 8u);
  BOOST_TEST(counts.missing == 32u);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].group) continue;
    BOOST_TEST(outcomes[i].failure.ends_with("the run ends"), outcomes[i].failure);
  }
  BOOST_TEST(server.generate({requests[0]})[0].failure.ends_with("not called, the run ends"));
}

BOOST_AUTO_TEST_CASE(a_run_that_stops_with_batches_in_flight_trains_each_batch_once) {
  const std::vector<Prompt> prompts = data();
  TrainerOptions corrected = options();
  corrected.correction = {.correction = ImportanceCorrection::sequence_mask};
  const Scratch scratch;
  Record record;
  for (const std::uint32_t stop : {5u, 7u, steps}) {
    Stage stage;
    auto t = trainer(stage.policy({.ahead = 2}), corrected);
    const Run go_on(scratch.path("run"),
                    {.steps = steps, .save_every = 1, .should_stop = [&] { return t.steps_done() == stop; }});
    go_on(t, std::span<const Prompt>(prompts), record);
  }
  BOOST_TEST((record.rows == expected_rows()));
  BOOST_TEST(record.most.at("rollout/staleness_max") <= 2.0);
}

BOOST_AUTO_TEST_SUITE_END()
