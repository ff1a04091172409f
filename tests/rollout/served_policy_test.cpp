// A policy whose responses come from a server: the same numbers as without one, and every fault counted.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/folder_lock.hpp"
#include "maestro/rollout/publish.hpp"
#include "maestro/rollout/served_policy.hpp"
#include "rollout/test_server.hpp"

BOOST_AUTO_TEST_SUITE(rollout_served)

namespace {

using namespace maestro;
using maestro_test::refusal;
using maestro_test::Scratch;
using test::AdapterPolicy;
using test::RolloutTestServer;
using test::WholePolicy;

static_assert(Policy<ServedPolicy<WholePolicy>>);
static_assert(Policy<ServedPolicy<AdapterPolicy>>);

std::vector<Prompt> prompts(std::size_t count = 3, std::int64_t first = 0) {
  std::vector<Prompt> list(count);
  for (std::size_t i = 0; i < count; ++i) {
    list[i].row = first + static_cast<std::int64_t>(i);
    list[i].text = "prompt " + std::to_string(list[i].row);
  }
  return list;
}
Sampling sampling(std::size_t length = 6) { return {.num_generations = 4, .max_completion_length = length}; }

/// A policy, its server, and the folder between them.
template <class P>
struct Served {
  explicit Served(RolloutDialect dialect = RolloutDialect::sglang, std::uint32_t retries = 0,
                  ServedOptions options = {}, typename ServedPolicy<P>::Upcoming upcoming = {}, P local = make())
      : server(make(), dialect) {
    options.folder = scratch.path("weights");
    auto calls = std::make_shared<RolloutServer>(server.transport(), server.options(retries));
    policy.emplace(
        std::move(local), std::move(calls), options,
        [](const P& p, const std::string& folder) { write_weights(p, folder, "base"); }, upcoming);
  }
  static P make() {
    if constexpr (std::is_same_v<P, WholePolicy>)
      return test::whole_policy();
    else
      return test::adapter_policy();
  }
  std::map<std::string, double> figures() const {
    std::map<std::string, double> map;
    policy->visit_figures([&](std::string_view name, double value) { map[std::string(name)] = value; });
    return map;
  }
  /// Changes every parameter a little, as an optimizer does.
  void learn() {
    policy->visit([](auto p) {
      for (auto& value : p.values) value += 0.05f + 0.1f * value;
    });
  }
  Rollouts generate(std::uint32_t step = 0) {
    return policy->generate(prompts(), sampling(), {.seed = 1, .step = step});
  }

  Scratch scratch;
  RolloutTestServer<typename P::weights_type> server;
  std::optional<ServedPolicy<P>> policy;
};

void sums_add_up(const std::map<std::string, double>& f) {
  BOOST_TEST(f.at("responses_requested") == f.at("responses_received") + f.at("responses_missing"));
}

template <class P>
void served_as_local(RolloutDialect dialect) {
  Served<P> served(dialect);
  P local = Served<P>::make();
  for (std::uint32_t step = 0; step < 3; ++step) {
    Rollouts r = served.generate(step);
    BOOST_TEST(r.size() == 12u);
    BOOST_TEST(r.groups.count() == 3u);
    BOOST_TEST((r.versions == std::vector<std::uint32_t>(12, step + 1)));
    // Its own reading of the same tokens says the same as what the local policy would have said while drawing.
    served.policy->visit([&](auto from) {
      local.visit([&](auto to) {
        if (to.name == from.name) std::copy(from.values.begin(), from.values.end(), to.values.begin());
      });
    });
    std::vector<float> log_probs(r.tokens.size());
    local.log_probs(r, {0, 3}, log_probs);
    double largest = 0.0;
    for (std::size_t t = 0; t < log_probs.size(); ++t) {
      largest = std::max(largest, static_cast<double>(std::abs(log_probs[t] - r.log_probs[t])));
      BOOST_TEST((r.entropies[t] > 0.0f && r.entropies[t] < std::log(259.0f)));
    }
    BOOST_TEST(largest < 1e-4);
    const auto f = served.figures();
    BOOST_TEST(f.at("logprob_gap_max") == largest);
    BOOST_TEST(f.at("logprob_gap_mean") <= f.at("logprob_gap_max"));
    BOOST_TEST(f.at("responses_received") == 12.0);
    BOOST_TEST(f.at("weights_published") == 1.0);
    sums_add_up(f);
    served.learn();
  }
}

/// Hidden states of the batch, of the same length as those that the policy itself gives while it draws.
Matrix<float> read_hidden(const WholePolicy& policy, const Rollouts& rollouts) {
  Matrix<float> hidden;
  hidden.resize(rollouts.size(), policy.hidden_size());
  std::vector<float> values(rollouts.tokens.size());
  policy.read(rollouts, {0, rollouts.groups.count()}, values, values, hidden.view());
  return hidden;
}
double distance(MatrixView<const float> a, MatrixView<const float> b) {
  double most = 0.0;
  for (std::size_t i = 0; i < a.rows(); ++i) {
    for (std::size_t c = 0; c < a.cols(); ++c) {
      most = std::max(most, static_cast<double>(std::abs(a(i, c) - b(i, c))));
    }
  }
  return most;
}

}  // namespace

BOOST_AUTO_TEST_CASE(reading_gives_what_drawing_gave) {
  WholePolicy policy = test::whole_policy();
  const Rollouts drawn = policy.generate(prompts(), sampling(), {.seed = 4});
  Matrix<float> hidden;
  hidden.resize(drawn.size(), policy.hidden_size());
  std::vector<float> log_probs(drawn.tokens.size());
  std::vector<float> entropies(drawn.tokens.size());
  Matrix<float> prompt_hidden;
  prompt_hidden.resize(3, policy.hidden_size());
  policy.read(drawn, {0, 3}, log_probs, entropies, hidden.view(), prompt_hidden.view());
  BOOST_TEST(distance(hidden, drawn.hidden) < 1e-4);
  BOOST_TEST(distance(prompt_hidden, drawn.prompt_hidden) < 1e-4);
  const std::size_t later = drawn.tokens.offset(4);  // the responses to the last two prompts alone
  policy.read(drawn, {1, 3}, std::span(log_probs).subspan(later), std::span(entropies).subspan(later),
              hidden.view().middle_rows(4, 8), prompt_hidden.view().middle_rows(1, 2));
  BOOST_TEST(distance(hidden, drawn.hidden) < 1e-4);
  BOOST_TEST(distance(prompt_hidden, drawn.prompt_hidden) < 1e-4);
  for (std::size_t t = 0; t < log_probs.size(); ++t) {
    BOOST_TEST(std::abs(log_probs[t] - drawn.log_probs[t]) < 1e-4);
    BOOST_TEST(std::abs(entropies[t] - drawn.entropies[t]) < 1e-4);
  }
  Matrix<float> too_few;
  too_few.resize(3, policy.hidden_size());
  BOOST_CHECK_THROW(policy.read(drawn, {0, 3}, log_probs, entropies, too_few.view()), BadArgument);
}

BOOST_AUTO_TEST_CASE(responses_of_sglang_are_as_local_ones) { served_as_local<WholePolicy>(RolloutDialect::sglang); }
BOOST_AUTO_TEST_CASE(adapters_at_sglang_are_as_local_ones) { served_as_local<AdapterPolicy>(RolloutDialect::sglang); }
BOOST_AUTO_TEST_CASE(adapters_at_vllm_are_as_local_ones) { served_as_local<AdapterPolicy>(RolloutDialect::vllm); }

BOOST_AUTO_TEST_CASE(hidden_states_are_our_own_or_those_of_the_server_one_token_earlier) {
  Served<WholePolicy> own;
  const Rollouts a = own.generate();
  BOOST_TEST(distance(a.hidden, read_hidden(test::whole_policy(), a)) < 1e-4);
  BOOST_TEST(distance(a.prompt_hidden, test::whole_policy().generate(prompts(), sampling(), {}).prompt_hidden) < 1e-4);
  BOOST_TEST(!own.server.requests()[0].contains("return_hidden_states"));
  Served<WholePolicy> theirs(RolloutDialect::sglang, 0, {.hidden = ServedHidden::server});
  const Rollouts b = theirs.generate();
  BOOST_TEST(distance(b.hidden, read_hidden(test::whole_policy(), b)) > 0.1);
  Rollouts cut = b;
  cut.tokens.clear();
  for (std::size_t i = 0; i < b.size(); ++i) cut.tokens.push_row(b.tokens.row(i).first(b.tokens.length(i) - 1));
  BOOST_TEST(distance(b.hidden, read_hidden(test::whole_policy(), cut)) < 1e-4);
  BOOST_CHECK_THROW(Served<AdapterPolicy>(RolloutDialect::vllm, 0, {.hidden = ServedHidden::server}), Unsupported);
}

BOOST_AUTO_TEST_CASE(weights_are_handed_over_when_they_change_and_old_folders_go) {
  Served<WholePolicy> served;
  served.generate(0);
  served.generate(1);
  BOOST_TEST(served.server.calls("/update_weights_from_disk") == 1);
  BOOST_TEST(served.figures().at("weights_published") == 0.0);
  for (std::uint32_t step = 2; step < 6; ++step) {
    served.learn();
    served.generate(step);
  }
  BOOST_TEST(served.server.calls("/update_weights_from_disk") == 5);
  std::vector<std::string> left = maestro::detail::names_in(served.scratch.path("weights"));
  BOOST_TEST(std::erase_if(left, [](const auto& name) { return name.ends_with(".lock"); }) == 1u);
  BOOST_TEST(left.size() == 2u);
  // Adapters have a name each; the server keeps those in use alone.
  Served<AdapterPolicy> adapters(RolloutDialect::vllm);
  for (std::uint32_t step = 0; step < 3; ++step) {
    adapters.generate(step);
    adapters.learn();
  }
  BOOST_TEST(adapters.server.adapters() == 1u);
  BOOST_TEST(adapters.server.requests()[0].at("model") != adapters.server.requests()[8].at("model"));
}

BOOST_AUTO_TEST_CASE(what_runs_left_that_are_gone_is_removed_and_nothing_else) {
  Served<WholePolicy> served;
  const auto at = [&](const std::string& name) { return served.scratch.path("weights/" + name); };
  const auto write = [&](const std::string& folder, const std::string& file) {
    std::filesystem::create_directories(at(folder));
    write_file(at(folder) + "/" + file, "{}");
  };
  write("maestro-3-0123abcd-deadbeef", "config.json");
  write("maestro-4-0123abcd-deadbeef.tmp-5", "model.safetensors.tmp-6");
  write("maestro-5-0123abcd-deadbeef", "adapter_model.safetensors");
  { const FolderLock gone(served.scratch.path("weights"), "maestro-deadbeef.lock"); }
  const std::vector<std::string> gone = maestro::detail::names_in(served.scratch.path("weights"));
  write("maestro-6-0123abcd-deadbeef", "notes.txt");    // a file that no run writes
  write("maestro-3-0123abcd-00c0ffee", "config.json");  // its run lives
  const FolderLock lives(served.scratch.path("weights"), "maestro-00c0ffee.lock");
  write("maestro-3-0123abcd-11111111", "config.json");  // nothing says whose it is
  write("maestro-mine-deadbeef", "config.json");
  write("mine", "config.json");
  write_file(at("maestro-mine.lock"), "");
  write("maestro-3-0123abcd-22222222", "config.json");  // of another host, whose locks this one may not see
  write_file(at("maestro-22222222.lock"), "process 1 on another host\n");
  write("maestro-3-0123abcd-33333333", "config.json");  // of a run that is just beginning
  write_file(at("maestro-33333333.lock"), "");
  std::vector<std::string> stay = maestro::detail::names_in(served.scratch.path("weights"));
  std::erase_if(stay, [&](const auto& name) { return std::find(gone.begin(), gone.end(), name) != gone.end(); });
  BOOST_TEST(gone.size() == 4u);
  BOOST_TEST(stay.size() == 11u);
  served.generate(0);
  served.learn();
  served.generate(1);
  for (const std::string& name : gone) BOOST_TEST(!path_exists(at(name)), name << " is still there");
  for (const std::string& name : stay) BOOST_TEST(path_exists(at(name)), name << " was removed");
  // Its own: two folders and the lock, by which the next run will know that it is gone.
  BOOST_TEST(maestro::detail::names_in(served.scratch.path("weights")).size() == stay.size() + 3);
  served.policy.reset();
  Served<WholePolicy> next;
  std::filesystem::rename(served.scratch.path("weights"), next.scratch.path("weights"));
  next.generate(0);
  BOOST_TEST(maestro::detail::names_in(next.scratch.path("weights")).size() == stay.size() + 2);
}

BOOST_AUTO_TEST_CASE(a_server_that_forgets_new_weights_is_found_out) {
  Served<WholePolicy> served;
  served.generate(0);
  served.server.forgets_weights = true;
  served.learn();
  const std::string message = refusal<BadData>([&] { served.generate(1); });
  BOOST_TEST(message.find("above the bound") != std::string::npos, message);
}

BOOST_AUTO_TEST_CASE(a_server_that_refuses_weights_ends_the_step) {
  Served<WholePolicy> served;
  served.server.fault = [](const std::string& path, int) -> std::optional<HttpReply> {
    if (path != "/update_weights_from_disk") return std::nullopt;
    return HttpReply{.status = 200, .body = R"({"success": false, "message": "no room"})"};
  };
  const std::string message = refusal<IoError>([&] { served.generate(0); });
  BOOST_TEST(message.find("no room") != std::string::npos, message);
  served.server.fault = {};
  BOOST_TEST(served.generate(0).size() == 12u);  // the weights are offered again
}

BOOST_AUTO_TEST_CASE(what_fails_is_asked_for_again_and_counted) {
  Served<WholePolicy> served(RolloutDialect::sglang, 20);
  served.server.fault = [](const std::string& path, int call) -> std::optional<HttpReply> {
    if (path != "/generate") return std::nullopt;
    if (call == 1) return HttpReply{.status = 500, .body = "boom"};
    if (call == 2) return HttpReply{.error = "cut"};
    if (call == 3) return HttpReply{.status = 200, .body = "[{\"meta"};
    return std::nullopt;
  };
  served.server.edit = [](Json& answer, int call) {
    if (call == 4) answer.erase(0);
    if (call == 5) answer[0]["meta_info"]["output_token_logprobs"].erase(0);
    if (call == 6) {
      for (Json& a : answer) a["meta_info"]["weight_version"] = "older";
    }
  };
  const Rollouts r = served.generate();
  BOOST_TEST(r.size() == 12u);
  const auto f = served.figures();
  BOOST_TEST(f.at("failed_calls") == 2.0);
  BOOST_TEST(f.at("malformed") == 1.0);
  BOOST_TEST(f.at("wrong_count") == 1.0);
  BOOST_TEST(f.at("truncated") == 1.0);
  BOOST_TEST(f.at("wrong_version") == 1.0);
  BOOST_TEST(f.at("retries") == 6.0);
  BOOST_TEST(f.at("responses_missing") == 0.0);
  BOOST_TEST(served.server.calls("/generate") == 9);
  sums_add_up(f);
}

BOOST_AUTO_TEST_CASE(a_group_that_never_comes_stops_the_step_or_is_left_out_by_name) {
  const auto row_1_fails = [](auto& served) {
    served.server.edit = [&](Json& answer, int) {
      if (served.server.last_prompt().ends_with("1")) answer = Json::array();
    };
  };
  Served<WholePolicy> stops(RolloutDialect::sglang, 1);
  row_1_fails(stops);
  const std::string message = refusal<IoError>([&] { stops.generate(); });
  BOOST_TEST(
      message.find("data row 1: POST http://server:1/generate: 0 responses, 4 were asked for") != std::string::npos,
      message);
  Served<WholePolicy> leaves(RolloutDialect::sglang, 1, {.missing = MissingGroup::leave});
  row_1_fails(leaves);
  const Rollouts r = leaves.generate();
  BOOST_REQUIRE(r.prompts.size() == 2u);
  BOOST_TEST(r.prompts[0].row == 0);
  BOOST_TEST(r.prompts[1].row == 2);
  BOOST_TEST(r.size() == 8u);
  BOOST_TEST(r.hidden.rows() == 8u);
  const auto f = leaves.figures();
  BOOST_TEST(f.at("groups_missing") == 1.0);
  BOOST_TEST(f.at("responses_missing") == 4.0);
  BOOST_TEST(f.at("wrong_count") == 2.0);
  sums_add_up(f);
  leaves.server.edit = [](Json& answer, int) { answer = 3; };
  BOOST_CHECK_THROW(leaves.generate(), IoError);
}

BOOST_AUTO_TEST_CASE(options_that_do_not_go_together_are_refused) {
  const HttpTransport none = [](const HttpRequest&) { return HttpReply{}; };
  const auto server = [&](RolloutServerOptions options) { RolloutServer(none, options); };
  RolloutServerOptions options{.dialect = RolloutDialect::vllm, .weights = WeightForm::adapters, .model = "m"};
  options.calls.url = "http://host:1/";
  BOOST_CHECK_NO_THROW(server(options));
  options.weights = WeightForm::whole;
  BOOST_CHECK_THROW(server(options), Unsupported);
  options = {.dialect = RolloutDialect::vllm, .weights = WeightForm::adapters};
  options.calls.url = "http://host:1";
  BOOST_CHECK_THROW(server(options), BadArgument);
  options = {};
  options.calls.url = "http://host:1/generate";
  BOOST_CHECK_THROW(server(options), BadArgument);
  BOOST_CHECK_THROW(Served<WholePolicy>(RolloutDialect::sglang, 0, {.ahead = 1}), BadArgument);
  BOOST_CHECK_THROW(Served<WholePolicy>(RolloutDialect::sglang, 0, {.folders_kept = 1}), BadArgument);
  Served<AdapterPolicy> served(RolloutDialect::vllm);
  Sampling filtered = sampling();
  filtered.top_k = 3;
  BOOST_CHECK_THROW(served.policy->check_prompts(prompts(), filtered), Unsupported);
  BOOST_CHECK_THROW(served.policy->check_prompts(prompts(), sampling(200)), BadArgument);
}

BOOST_AUTO_TEST_CASE(without_a_server_it_is_the_local_policy) {
  ServedPolicy<WholePolicy> policy(test::whole_policy());
  WholePolicy local = test::whole_policy();
  const Rollouts a = policy.generate(prompts(), sampling(), {.seed = 4});
  const Rollouts b = local.generate(prompts(), sampling(), {.seed = 4});
  BOOST_TEST((a.tokens == b.tokens));
  BOOST_TEST(a.versions.empty());
  std::size_t figures = 0;
  policy.visit_figures([&](std::string_view, double) { ++figures; });
  BOOST_TEST(figures == 0u);
}

BOOST_AUTO_TEST_CASE(greedy_responses_have_our_own_log_probs) {
  Served<WholePolicy> served;
  Sampling greedy = sampling();
  greedy.decoding = Decoding::greedy;
  greedy.temperature = 0.7;
  const Rollouts r = served.policy->generate(prompts(), greedy, {.seed = 1});
  WholePolicy local = test::whole_policy();
  const Rollouts own = local.generate(prompts(), greedy, {.seed = 1});
  BOOST_TEST((r.tokens == own.tokens));
  BOOST_TEST((r.texts == own.texts));
  for (std::size_t t = 0; t < r.log_probs.size(); ++t) BOOST_TEST(std::abs(r.log_probs[t] - own.log_probs[t]) < 1e-4);
  BOOST_TEST(served.figures().at("logprob_gap_max") == 0.0);
}

BOOST_AUTO_TEST_CASE(batches_are_drawn_ahead_within_the_limit_and_each_step_gets_its_own) {
  constexpr std::uint32_t steps = 8;
  for (const std::uint32_t ahead : {1u, 3u}) {
    const auto upcoming = [](std::uint32_t step) {
      return step < steps ? prompts(3, 3 * static_cast<std::int64_t>(step)) : std::vector<Prompt>();
    };
    Served<WholePolicy> served(RolloutDialect::sglang, 0, {.ahead = ahead}, upcoming);
    std::uint32_t most = 0;
    double requested = 0.0;
    for (std::uint32_t step = 0; step < steps; ++step) {
      const Rollouts r = served.policy->generate(upcoming(step), sampling(), {.seed = 1, .step = step});
      BOOST_REQUIRE(r.prompts.size() == 3u);
      for (std::size_t g = 0; g < 3; ++g) BOOST_TEST(r.prompts[g].row == static_cast<std::int64_t>(3 * step + g));
      for (const std::uint32_t version : r.versions) {
        BOOST_TEST(version <= step + 1);
        BOOST_TEST(version + ahead >= step + 1);
        most = std::max(most, step + 1 - version);
      }
      const auto f = served.figures();
      BOOST_TEST(f.at("logprob_gap_mean") < 1e-4);  // of the probe, and of what fresh weights drew
      BOOST_TEST(f.at("staleness_max") <= ahead);
      requested += f.at("responses_requested");
      served.learn();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // the batches ahead are drawn by older weights
    }
    BOOST_TEST(most == ahead);
    // Every batch once, and a probe for each new version; none twice.
    std::map<std::string, int> asked;
    int probes = 0;
    for (const Json& request : served.server.requests()) {
      if (request.at("sampling_params").at("n") == 1)
        ++probes;
      else
        ++asked[request.at("input_ids").dump()];
    }
    BOOST_TEST(asked.size() == 3 * steps);
    for (const auto& [ids, count] : asked) BOOST_TEST(count == 1);
    BOOST_TEST(probes == static_cast<int>(steps));
    // An evaluation between the steps draws at once.
    const Rollouts r = served.policy->generate(prompts(2, 100), sampling(), {.seed = 9, .step = 0xFFFFFFFFu});
    BOOST_TEST(r.versions[0] == steps + 1);
  }
}

BOOST_AUTO_TEST_CASE(a_run_that_goes_back_to_an_earlier_step_draws_again) {
  const auto upcoming = [](std::uint32_t step) { return prompts(2, 2 * static_cast<std::int64_t>(step)); };
  Served<WholePolicy> served(RolloutDialect::sglang, 0, {.ahead = 2}, upcoming);
  for (const std::uint32_t step : {0u, 1u, 0u, 1u, 2u}) {
    const Rollouts r = served.policy->generate(upcoming(step), sampling(), {.seed = 1, .step = step});
    BOOST_REQUIRE(r.prompts.size() == 2u);
    BOOST_TEST(r.prompts[0].row == static_cast<std::int64_t>(2 * step));
  }
}

BOOST_AUTO_TEST_CASE(a_probe_finds_forgotten_weights_though_batches_are_older) {
  const auto upcoming = [](std::uint32_t step) { return prompts(3, 3 * static_cast<std::int64_t>(step)); };
  Served<WholePolicy> served(RolloutDialect::sglang, 0, {.ahead = 1}, upcoming);
  served.policy->generate(upcoming(0), sampling(), {.seed = 1, .step = 0});
  served.server.forgets_weights = true;
  served.learn();
  BOOST_CHECK_THROW(served.policy->generate(upcoming(1), sampling(), {.seed = 1, .step = 1}), BadData);
}

BOOST_AUTO_TEST_CASE(a_batch_ahead_that_fails_says_so_at_its_own_step) {
  const auto upcoming = [](std::uint32_t step) { return prompts(3, 3 * static_cast<std::int64_t>(step)); };
  Served<WholePolicy> served(RolloutDialect::sglang, 0, {.ahead = 2}, upcoming);
  served.server.edit = [&](Json& answer, int) {
    if (served.server.last_prompt().ends_with("4")) answer = Json::array();
  };
  BOOST_CHECK_NO_THROW(served.policy->generate(upcoming(0), sampling(), {.seed = 1, .step = 0}));
  const std::string message =
      refusal<IoError>([&] { served.policy->generate(upcoming(1), sampling(), {.seed = 1, .step = 1}); });
  BOOST_TEST(message.find("data row 4") != std::string::npos, message);
  served.server.edit = {};
  // The same step again draws its batch anew.
  BOOST_TEST(served.policy->generate(upcoming(1), sampling(), {.seed = 1, .step = 1}).prompts.size() == 3u);
}

BOOST_AUTO_TEST_SUITE_END()
