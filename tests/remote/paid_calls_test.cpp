// Calls by a transport that a test controls: what is counted, what is tried again, what is never paid twice.

#include "maestro/remote/paid_calls.hpp"

#include <stdlib.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/remote/judge.hpp"
#include "maestro/remote/url_reward.hpp"
#include "maestro/reward/fallible.hpp"
#include "reward/rollouts_fixture.hpp"

BOOST_AUTO_TEST_SUITE(paid_calls)

namespace {

using namespace maestro;
using test::make_rollouts;
using test::prompt;

/// Answers as `reply` says, and counts.
struct Server {
  std::function<HttpReply(const HttpRequest&, int hit)> reply;
  std::mutex mutex{};
  std::vector<HttpRequest> requests{};
  std::atomic<int> in_flight{0};
  std::atomic<int> max_in_flight{0};

  HttpTransport transport() {
    return [this](const HttpRequest& request) {
      int hit = 0;
      {
        const std::lock_guard lock(mutex);
        requests.push_back(request);
        hit = static_cast<int>(requests.size());
      }
      const int now = ++in_flight;
      for (int most = max_in_flight; now > most && !max_in_flight.compare_exchange_weak(most, now);) {
      }
      const HttpReply answer = reply(request, hit);
      --in_flight;
      return answer;
    };
  }
};

HttpReply ok(std::string body) { return {.status = 200, .body = std::move(body)}; }
TokenUsage ten_and_two(std::size_t, const std::string& body) {
  if (body.find("answer") == std::string::npos) throw BadFile("server: this is no answer");
  return {10, 2};
}
CallOptions quick(std::uint32_t retries = 0) {
  return {.url = "http://judge/v1?key=hidden",
          .concurrency = 4,
          .retry = {.retries = retries, .delay_seconds = 0.001},
          .prompt_price = 1e6,
          .completion_price = 2e6};
}
std::vector<CallRequest> requests_of(const std::vector<std::string>& bodies) {
  std::vector<CallRequest> requests;
  for (const std::string& body : bodies) {
    requests.push_back({.body = body, .max_prompt_tokens = 20, .max_completion_tokens = 5});
  }
  return requests;
}
std::vector<std::string> numbered(int count) {
  std::vector<std::string> bodies;
  for (int i = 0; i < count; ++i) bodies.push_back("body " + std::to_string(i));
  return bodies;
}
std::size_t answered(const std::vector<CallOutcome>& outcomes) {
  std::size_t count = 0;
  for (const CallOutcome& outcome : outcomes) count += outcome.body ? 1u : 0u;
  return count;
}
std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void contains(const std::string& text, std::string_view part) {
  BOOST_TEST(text.find(part) != std::string::npos, "'" << text << "' lacks '" << part << "'");
}

/// Keeps state, and gives it back.
struct Store {
  std::map<std::string, double>& values;
  bool loading = false;
  std::string prefix{};
  template <class T>
  void operator()(std::string_view name, T&& value) {
    const std::string path = prefix + std::string(name);
    if constexpr (Stateful<std::remove_cvref_t<T>>) {
      Store inner{values, loading, path + "."};
      value.visit_state(inner);
    } else if (loading) {
      value = static_cast<std::remove_cvref_t<T>>(values.at(path));
    } else {
      values[path] = static_cast<double>(value);
    }
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(equal_requests_are_called_once_and_the_counts_add_up) {
  Server server{.reply = [](const HttpRequest& r, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return ok("answer to " + r.body);
  }};
  PaidCalls calls(server.transport(), quick());
  std::vector<std::string> bodies = numbered(20);
  bodies.push_back("body 3");
  bodies.push_back("body 3");
  const auto outcomes = calls(requests_of(bodies), ten_and_two);
  for (std::size_t i = 0; i < bodies.size(); ++i) BOOST_TEST(outcomes[i].body.value() == "answer to " + bodies[i]);
  BOOST_TEST(server.requests.size() == 20u);
  BOOST_TEST((server.max_in_flight > 1 && server.max_in_flight <= 4));
  BOOST_TEST(calls.figures().made.calls == 20u);
  BOOST_TEST(calls.figures().cached == 2u);
  BOOST_TEST(calls.figures().made.usage.prompt_tokens == 200u);
  BOOST_TEST(calls.figures().made.usage.completion_tokens == 40u);
  BOOST_TEST(calls.figures().made.cost == 20 * (10 + 2 * 2.0));

  calls(requests_of({"body 5", "new"}), ten_and_two);
  BOOST_TEST(server.requests.size() == 21u);
  BOOST_TEST(calls.figures().made.calls == 1u);
  BOOST_TEST(calls.figures().cached == 1u);
  BOOST_TEST(calls.totals().calls == 21u);
}

BOOST_AUTO_TEST_CASE(what_may_succeed_later_is_tried_again_and_nothing_else) {
  for (const int status : {0, 408, 429, 500, 502, 503, 529}) {
    Server server{.reply = [&](const HttpRequest&, int hit) {
      return hit < 3 ? HttpReply{.status = status, .error = "cut"} : ok("answer");
    }};
    PaidCalls calls(server.transport(), quick(2));
    BOOST_TEST(answered(calls(requests_of({"x"}), ten_and_two)) == 1u);
    BOOST_TEST(calls.figures().retries == 2u);
    BOOST_TEST(calls.figures().made.calls == 3u);
  }
  for (const int status : {301, 400, 401, 403, 404, 422, 501}) {
    Server server{.reply = [&](const HttpRequest&, int) { return HttpReply{.status = status, .body = "no\nway"}; }};
    PaidCalls calls(server.transport(), quick(5));
    const auto outcomes = calls(requests_of({"x"}), ten_and_two);
    BOOST_TEST(server.requests.size() == 1u);
    BOOST_TEST(outcomes[0].failure == "POST http://judge/v1: status " + std::to_string(status) + ": \"no\\nway\"");
  }
  Server liar{.reply = [](const HttpRequest&, int) { return ok("<html>"); }};
  PaidCalls calls(liar.transport(), quick(3));
  contains(calls(requests_of({"x"}), ten_and_two)[0].failure, "this is no answer");
  BOOST_TEST(liar.requests.size() == 4u);
}

BOOST_AUTO_TEST_CASE(a_pause_that_the_server_asks_for_holds_back_every_call) {
  using Clock = std::chrono::steady_clock;
  std::vector<Clock::time_point> times;
  Server server{.reply = [&](const HttpRequest&, int hit) {
    if (hit == 1) return HttpReply{.status = 429, .retry_after = "0.4"};
    return ok("answer");
  }};
  const auto timed = [&, transport = server.transport()](const HttpRequest& request) {
    {
      const std::lock_guard lock(server.mutex);
      times.push_back(Clock::now());
    }
    return transport(request);
  };
  CallOptions options = quick(1);
  options.concurrency = 1;
  PaidCalls calls(timed, options);
  BOOST_TEST(answered(calls(requests_of({"a", "b"}), ten_and_two)) == 2u);
  BOOST_TEST(std::chrono::duration<double>(times[1] - times[0]).count() >= 0.4);

  Server never{.reply = [](const HttpRequest&, int) { return HttpReply{.status = 429, .retry_after = "4000"}; }};
  PaidCalls patient(never.transport(), quick(5));
  contains(patient(requests_of({"a"}), ten_and_two)[0].failure, "asks to wait longer");
  BOOST_TEST(never.requests.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_budget_is_never_exceeded) {
  Server server{.reply = [](const HttpRequest&, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return ok("answer");
  }};
  CallOptions options = quick(3);
  options.max_calls = 7;
  PaidCalls calls(server.transport(), options);
  const auto outcomes = calls(requests_of(numbered(12)), ten_and_two);
  BOOST_TEST(answered(outcomes) == 7u);
  BOOST_TEST(server.requests.size() == 7u);
  contains(outcomes.back().failure, "budget of 7 calls is used up");

  CallOptions money = quick();
  money.max_cost = 100.0;  // a call may cost 20 + 2 * 5 = 30, and costs 14
  PaidCalls paid(server.transport(), money);
  const auto bought = answered(paid(requests_of(numbered(40)), ten_and_two));
  BOOST_TEST((bought >= 3u && bought <= 6u));
  BOOST_TEST(paid.totals().cost == 14.0 * static_cast<double>(bought));

  // What a checkpoint holds counts, and is not lowered by one that is older.
  std::map<std::string, double> saved;
  Store save{saved};
  calls.visit_state(save);
  PaidCalls resumed(server.transport(), options);
  Store load{saved, true};
  resumed.visit_state(load);
  BOOST_TEST(resumed.totals().calls == 7u);
  BOOST_TEST(answered(resumed(requests_of({"another"}), ten_and_two)) == 0u);
  saved["calls"] = 2.0;
  resumed.visit_state(load);
  BOOST_TEST(resumed.totals().calls == 7u);
}

BOOST_AUTO_TEST_CASE(limits_a_minute_hold_calls_back) {
  Server server{.reply = [](const HttpRequest&, int) { return ok("answer"); }};
  CallOptions options = quick();
  options.tokens_per_minute = 50.0;  // two calls of at most 25
  options.max_calls = 100;
  PaidCalls calls(server.transport(), options);
  std::vector<CallOutcome> outcomes;
  std::thread caller([&] { outcomes = calls(requests_of({"a", "b", "c"}), ten_and_two); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  {
    const std::lock_guard lock(server.mutex);
    BOOST_TEST(server.requests.size() == 2u);
  }
  // Rather than a minute, the third waits until the budget is used up.
  std::map<std::string, double> spent{{"calls", 100.0}, {"prompt_tokens", 0}, {"completion_tokens", 0}, {"cost", 0}};
  Store load{spent, true};
  calls.visit_state(load);
  caller.join();
  BOOST_TEST(answered(outcomes) == 2u);
  BOOST_TEST(server.requests.size() == 2u);
}

BOOST_AUTO_TEST_CASE(the_cache_outlives_its_process_and_a_line_that_was_cut) {
  const maestro_test::Scratch folder;
  CallOptions options = quick();
  options.cache = folder.path("cache.jsonl");
  Server server{.reply = [](const HttpRequest& r, int) { return ok("answer to " + r.body); }};
  {
    PaidCalls calls(server.transport(), options);
    calls(requests_of(numbered(5)), ten_and_two);
    BOOST_CHECK_THROW(PaidCalls(server.transport(), options), BadArgument);  // it has the file alone
  }
  std::ofstream(options.cache, std::ios::app) << R"({"sent":"in flight"})"
                                              << "\n"
                                              << R"({"answer":"cut of)";
  {
    PaidCalls calls(server.transport(), options);
    BOOST_TEST(calls.totals().calls == 6u);
    BOOST_TEST(calls.totals().cost == 5 * 14.0);
    BOOST_TEST(answered(calls(requests_of(numbered(6)), ten_and_two)) == 6u);
    BOOST_TEST(calls.figures().cached == 5u);
    BOOST_TEST(server.requests.size() == 6u);
  }
  PaidCalls again(server.transport(), options);
  BOOST_TEST(again.totals().calls == 7u);
  const std::string text = content(options.cache);
  BOOST_TEST(text.find("cut of") == std::string::npos);
  BOOST_TEST(text.find("hidden") == std::string::npos);  // the URL's query

  std::ofstream(folder.path("broken")) << "{\"sent\":\"a\"}\nnot json\n";
  CallOptions broken = quick();
  broken.cache = folder.path("broken");
  BOOST_CHECK_THROW(PaidCalls(server.transport(), broken), BadFile);
}

BOOST_AUTO_TEST_CASE(an_answer_of_the_cache_that_is_no_longer_accepted_is_asked_again) {
  Server server{.reply = [](const HttpRequest&, int) { return ok("answer"); }};
  PaidCalls calls(server.transport(), quick());
  calls(requests_of({"x"}), ten_and_two);
  int refused = 0;
  calls(requests_of({"x"}), [&](std::size_t, const std::string&) -> TokenUsage {
    if (refused++ == 0) throw BadFile("not this one");
    return {};
  });
  BOOST_TEST(server.requests.size() == 2u);
}

BOOST_AUTO_TEST_CASE(the_key_goes_into_the_header_and_nowhere_else) {
  const maestro_test::Scratch folder;
  ::setenv("MAESTRO_TEST_KEY", "sk-very-secret", 1);
  CallOptions options = quick(1);
  options.key_variable = "MAESTRO_TEST_KEY";
  options.cache = folder.path("cache");
  Server echo{.reply = [](const HttpRequest& r, int) {
    std::string all = "you sent ";
    for (const auto& [name, value] : r.headers) all += name + "=" + value + " ";
    return HttpReply{.status = 401, .body = all};
  }};
  PaidCalls calls(echo.transport(), options);
  const std::string failure = calls(requests_of({"x"}), ten_and_two)[0].failure;
  contains(failure, "Bearer (the key)");
  BOOST_TEST(failure.find("secret") == std::string::npos);
  BOOST_TEST(content(options.cache).find("secret") == std::string::npos);
  const auto has = [&](const std::string& name, const std::string& value) {
    for (const auto& header : echo.requests[0].headers) {
      if (header.first == name && header.second == value) return true;
    }
    return false;
  };
  BOOST_TEST(has("Authorization", "Bearer sk-very-secret"));
  BOOST_TEST(has("Idempotency-Key", request_key(options.url, "x")));
  ::unsetenv("MAESTRO_TEST_KEY");
  BOOST_CHECK_THROW(PaidCalls(echo.transport(), options), BadArgument);
}

BOOST_AUTO_TEST_CASE(settings_outside_their_domains_are_refused) {
  const HttpTransport none = [](const HttpRequest&) { return HttpReply{}; };
  CallOptions o = quick();
  o.concurrency = 0;
  BOOST_CHECK_THROW(PaidCalls(none, o), BadArgument);
  o = quick();
  o.url = "judge";
  BOOST_CHECK_THROW(PaidCalls(none, o), BadArgument);
  o = quick();
  o.max_cost = 1.0;
  o.prompt_price = o.completion_price = 0.0;
  BOOST_CHECK_THROW(PaidCalls(none, o), BadArgument);
  o = quick();
  o.requests_per_minute = -1.0;
  BOOST_CHECK_THROW(PaidCalls(none, o), BadArgument);
}

BOOST_AUTO_TEST_CASE(a_judge_asks_by_its_rubric_and_reads_the_score) {
  const auto chat = [](const std::string& content) {
    return ok(Json{{"choices", {{{"message", {{"content", content}}}, {"finish_reason", "stop"}}}},
                   {"usage", {{"prompt_tokens", 100}, {"completion_tokens", 10}}}}
                  .dump());
  };
  Server server{.reply = [&](const HttpRequest& r, int) {
    if (r.body.find("great") != std::string::npos) return chat(R"({"reason": "r", "score": 10})");
    if (r.body.find("middling") != std::string::npos) return chat("Score: 4/8");
    if (r.body.find("cut") != std::string::npos) {
      return ok(R"({"choices": [{"message": {"content": "{\"score\": 1"}, "finish_reason": "length"}]})");
    }
    return chat("I would rather not say");
  }};
  JudgeOptions options{.calls = quick(2), .model = "judge-1", .rubric = "Is it kind?", .worst = 2.0, .best = 10.0};
  const Rollouts rollouts =
      make_rollouts({{prompt("Say {completion}.", 5, "ref"), {{"great"}, {"middling"}, {"cut"}, {"odd"}, {"great"}}}});
  const RewardSet set{Fallible(Judge("kind", options, server.transport()))};
  Matrix<float> scores(5, 1);
  set.evaluate(rollouts, scores.view());
  BOOST_TEST(scores(0, 0) == 1.0f);
  BOOST_TEST(scores(4, 0) == 1.0f);
  BOOST_TEST(std::isnan(scores(1, 0)));  // out of 8, not of 10
  BOOST_TEST(std::isnan(scores(2, 0)));
  BOOST_TEST(std::isnan(scores(3, 0)));
  BOOST_TEST(server.requests.size() == 4u);  // none of them twice
  BOOST_TEST(set.failures()[0]->rows == (std::vector<std::size_t>{1, 2, 3}), boost::test_tools::per_element());
  contains(set.failures()[0]->reason, "reward 'kind', data row 5");
  std::map<std::string, double> figures;
  set.visit_figures([&](std::size_t, std::string_view name, double value) { figures[std::string(name)] = value; });
  BOOST_TEST(figures.at("failed") == 3.0);
  BOOST_TEST(figures.at("calls") == 4.0);
  BOOST_TEST(figures.at("cached") == 1.0);
  BOOST_TEST(figures.at("prompt_tokens") == 300.0);
  BOOST_TEST(figures.at("cost") == 300.0 + 2 * 30.0);
  BOOST_TEST(figures.at("cost_total") == figures.at("cost"));

  const Json sent = parse_json(server.requests[0].body, "request");
  BOOST_TEST(sent["model"] == "judge-1");
  BOOST_TEST(sent["temperature"] == 0);
  BOOST_TEST(sent["response_format"]["type"] == "json_schema");
  contains(sent["messages"][0]["content"].get<std::string>(), "a number from 2 (worst) to 10 (best)");
  contains(sent["messages"][1]["content"].get<std::string>(), "# Prompt\nSay {completion}.\n\n# Reference answer\nref");

  JudgeOptions whole = options;
  whole.rubric = "P:{prompt} C:{completion} {other}";
  whole.schema = AnswerSchema::none;
  Judge("whole", whole, server.transport())(make_rollouts({{prompt("Say {completion}.", 5), {{"great"}}}}),
                                            std::span<float>(scores.view().row(0)));
  const Json filled = parse_json(server.requests.back().body, "request");
  BOOST_TEST(!filled.contains("response_format"));
  contains(filled["messages"][0]["content"].get<std::string>(), "P:Say {completion}. C:great {other}\n");
}

BOOST_AUTO_TEST_CASE(a_judges_budget_is_state_under_its_name) {
  Server server{.reply = [](const HttpRequest&, int) { return HttpReply{.status = 500}; }};
  RewardSet set{Fallible(Judge("kind", {.calls = quick(), .model = "m", .rubric = "r"}, server.transport()))};
  static_assert(Stateful<RewardSet<Fallible<Judge>>>);
  Matrix<float> scores(1, 1);
  set.evaluate(make_rollouts({{prompt("p", 1), {{"x"}}}}), scores.view());
  std::map<std::string, double> saved;
  Store save{saved};
  set.visit_state(save);
  BOOST_TEST(saved.at("kind.calls.calls") == 1.0);
}

BOOST_AUTO_TEST_CASE(a_server_of_rewards_is_sent_batches) {
  Server server{.reply = [](const HttpRequest& r, int) {
    const Json request = parse_json(r.body, "request");
    Json scores = Json::array();
    for (const Json& item : request["items"]) {
      const std::string text = item["completion"];
      if (text == "none")
        scores.push_back(nullptr);
      else if (text == "error")
        scores.push_back({{"error", "no"}});
      else
        scores.push_back(text.size());
    }
    return ok(Json{{"scores", scores}}.dump());
  }};
  const UrlReward reward("length", {.calls = quick(), .batch_size = 2}, server.transport());
  std::vector<float> scores(5, -1.0f);
  reward(make_rollouts({{prompt("p", 1), {{"abc"}, {"none"}, {"error"}, {"ab"}, {"a"}}}}), scores);
  BOOST_TEST(scores[0] == 3.0f);
  BOOST_TEST(std::isnan(scores[1]));
  BOOST_TEST(std::isnan(scores[2]));
  BOOST_TEST(scores[3] == 2.0f);
  BOOST_TEST(scores[4] == 1.0f);
  BOOST_TEST(server.requests.size() == 3u);
  BOOST_TEST(reward.failures().rows == std::vector<std::size_t>{2}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
