// A judge's server in this process, which fails in every way that servers do.

#include <httplib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/http.hpp"
#include "maestro/remote/judge.hpp"
#include "maestro/remote/url_reward.hpp"
#include "reward/rollouts_fixture.hpp"

BOOST_AUTO_TEST_SUITE(http)

namespace {

using namespace maestro;
using test::make_rollouts;
using test::prompt;

/// Serves POSTs to /judge by `handler`, and counts how often each request came.
class Server {
 public:
  using Handler = std::function<void(const httplib::Request&, httplib::Response&, int hit)>;

  explicit Server(Handler handler) : handler_(std::move(handler)) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(16); };
    server_.Post("/judge", [this](const httplib::Request& request, httplib::Response& response) {
      int hit = 0;
      {
        const std::lock_guard lock(mutex_);
        ++hits_[request.get_header_value("Idempotency-Key")];
        hit = ++all_;
      }
      handler_(request, response, hit);
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~Server() {
    server_.stop();
    thread_.join();
  }

  int port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/judge"; }
  std::map<std::string, int> hits() {
    const std::lock_guard lock(mutex_);
    return hits_;
  }

 private:
  Handler handler_;
  httplib::Server server_;
  std::mutex mutex_;
  std::map<std::string, int> hits_;
  int all_ = 0;
  int port_ = 0;
  std::thread thread_;
};

std::string chat(const std::string& content) {
  return Json{{"choices", {{{"message", {{"content", content}}}, {"finish_reason", "stop"}}}},
              {"usage", {{"prompt_tokens", 40}, {"completion_tokens", 5}}}}
      .dump();
}
void answer(httplib::Response& response, const std::string& body, int status = 200) {
  response.status = status;
  response.set_content(body, "application/json");
}

JudgeOptions judge_options(const std::string& url, std::uint32_t retries = 0, double timeout = 5.0) {
  return {.calls = {.url = url,
                    .concurrency = 4,
                    .timeout_seconds = timeout,
                    .retry = {.retries = retries, .delay_seconds = 0.01},
                    .prompt_price = 1e6,
                    .completion_price = 1e6},
          .model = "m",
          .rubric = "r"};
}
Rollouts responses(int count) {
  std::vector<test::Response> group;
  for (int i = 0; i < count; ++i) group.push_back({"response " + std::to_string(i)});
  return make_rollouts({{prompt("p", 1), group}});
}
std::vector<float> scored(const Judge& judge, const Rollouts& rollouts) {
  std::vector<float> scores(rollouts.size(), -1.0f);
  judge(rollouts, scores);
  return scores;
}
std::map<std::string, double> figures(const Judge& judge) {
  std::map<std::string, double> result;
  judge.visit_figures([&](std::string_view name, double value) { result[std::string(name)] = value; });
  return result;
}
/// Why one response has no score.
std::string failure(Server& server, double timeout = 5.0) {
  const Judge judge("judge", judge_options(server.url(), 0, timeout), HttpClient());
  BOOST_TEST(std::isnan(scored(judge, responses(1))[0]));
  BOOST_TEST(judge.failures().rows.size() == 1u);
  BOOST_TEST(figures(judge).at("calls") == 1.0);
  return judge.failures().reason;
}
void contains(const std::string& text, std::string_view part) {
  BOOST_TEST(text.find(part) != std::string::npos, "'" << text << "' lacks '" << part << "'");
}
double seconds_of(const std::function<void()>& action) {
  const auto start = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_judge_that_fails_at_times_is_asked_until_it_answers) {
  Server server([](const httplib::Request&, httplib::Response& response, int hit) {
    if (hit % 3 == 1) return answer(response, "{\"error\": \"overloaded\"}", 500);
    if (hit % 3 == 2) {
      response.set_header("Retry-After", "0.02");
      return answer(response, "slow down", 429);
    }
    answer(response, chat("{\"score\": 5}"));
  });
  const Judge judge("judge", judge_options(server.url(), 30), HttpClient());
  const std::vector<float> scores = scored(judge, responses(12));
  for (const float score : scores) BOOST_TEST(score == 0.5f);
  int all = 0;
  for (const auto& [key, count] : server.hits()) all += count;
  const auto figure = figures(judge);
  BOOST_TEST(server.hits().size() == 12u);
  BOOST_TEST(figure.at("calls") == all);
  BOOST_TEST(judge.failures().retries == static_cast<std::uint64_t>(all - 12));
  BOOST_TEST(figure.at("prompt_tokens") == 12 * 40.0);
  BOOST_TEST(figure.at("cost") == 12 * 45.0);
  scored(judge, responses(12));
  BOOST_TEST(figures(judge).at("calls") == 0.0);
  BOOST_TEST(figures(judge).at("cached") == 12.0);
}

BOOST_AUTO_TEST_CASE(every_kind_of_failure_is_missing_and_says_why) {
  Server broken([](const httplib::Request&, httplib::Response& r, int) { answer(r, "boom", 500); });
  contains(failure(broken), "status 500: \"boom\"");
  Server limited([](const httplib::Request&, httplib::Response& r, int) { answer(r, "", 429); });
  contains(failure(limited), "status 429");
  Server moved([](const httplib::Request&, httplib::Response& r, int) { r.set_redirect("http://127.0.0.1:1/"); });
  contains(failure(moved), "status 302");
  Server html([](const httplib::Request&, httplib::Response& r, int) { answer(r, "<html>Sign in</html>"); });
  contains(failure(html), "not valid JSON");
  Server half([](const httplib::Request&, httplib::Response& r, int) { answer(r, chat("7").substr(0, 30)); });
  contains(failure(half), "not valid JSON");
  Server lies([](const httplib::Request&, httplib::Response& r, int) { answer(r, chat("Score: 11")); });
  contains(failure(lies), "outside its range");
  Server twice([](const httplib::Request&, httplib::Response& r, int) { answer(r, chat("Score: 1, no, score: 9")); });
  contains(failure(twice), "two different scores");
  Server empty([](const httplib::Request&, httplib::Response& r, int) { answer(r, ""); });
  contains(failure(empty), "not valid JSON");
  Server zero([](const httplib::Request&, httplib::Response& r, int) { answer(r, chat("7") + std::string("\0", 1)); });
  contains(failure(zero), "zero byte");
  Server unicode([](const httplib::Request&, httplib::Response& r, int) {
    answer(r, R"({"choices":[{"message":{"content":")" + std::string("\xff\xfe") + R"("}}]})");
  });
  contains(failure(unicode), "not valid JSON");
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_cut_off_is_no_answer) {
  Server server([](const httplib::Request&, httplib::Response& response, int) {
    const std::string body = chat("{\"score\": 5}");
    response.set_content_provider(body.size() + 100, "application/json",
                                  [body](std::size_t offset, std::size_t, httplib::DataSink& sink) {
                                    if (offset > 0) return false;
                                    sink.write(body.data(), body.size());
                                    return true;
                                  });
  });
  contains(failure(server), "no whole answer");
}

BOOST_AUTO_TEST_CASE(a_server_that_stalls_or_trickles_is_left_at_the_time_limit) {
  std::atomic<bool> over{false};
  Server stalls([&](const httplib::Request&, httplib::Response& response, int) {
    for (int i = 0; i < 500 && !over; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    answer(response, chat("7"));
  });
  BOOST_TEST(seconds_of([&] { contains(failure(stalls, 0.3), "no whole answer"); }) < 2.0);
  over = true;
  Server trickles([](const httplib::Request&, httplib::Response& response, int) {
    response.set_chunked_content_provider("application/json", [](std::size_t offset, httplib::DataSink& sink) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (offset > 200) return false;
      return sink.write(" ", 1);
    });
  });
  BOOST_TEST(seconds_of([&] { contains(failure(trickles, 0.5), "no whole answer in 0.5"); }) < 2.0);
}

BOOST_AUTO_TEST_CASE(nobody_there_and_too_much_are_failures) {
  int port = 0;
  {
    Server gone([](const httplib::Request&, httplib::Response&, int) {});
    port = gone.port();
  }
  const HttpReply none = HttpClient()({.url = "http://127.0.0.1:" + std::to_string(port) + "/", .body = "{}"});
  BOOST_TEST(none.status == 0);
  contains(none.error, "Connection");
  Server much([](const httplib::Request&, httplib::Response& r, int) { answer(r, std::string(100000, ' ')); });
  const HttpReply long_one = HttpClient()({.url = much.url(), .body = "{}", .max_bytes = 50000});
  BOOST_TEST(long_one.status == 0);
  contains(long_one.error, "more than 50000 bytes");
  BOOST_TEST(HttpClient()({.url = much.url(), .body = "{}", .max_bytes = 100000}).body.size() == 100000u);
  // Plain text where TLS is spoken.
  const HttpReply plain = HttpClient()(
      {.url = "https://127.0.0.1:" + std::to_string(much.port()) + "/judge", .body = "{}", .timeout_seconds = 2.0});
  BOOST_TEST(plain.status == 0);
  contains(plain.error, "SSL");
}

BOOST_AUTO_TEST_CASE(a_server_of_rewards_that_lies_about_its_scores_is_not_believed) {
  const auto run = [](const std::string& body) {
    Server server([&](const httplib::Request&, httplib::Response& r, int) { answer(r, body); });
    const UrlReward reward("remote", {.calls = {.url = server.url(), .retry = {.retries = 0}}}, HttpClient());
    std::vector<float> scores(2, -1.0f);
    reward(responses(2), scores);
    return std::pair(scores, reward.failures());
  };
  BOOST_TEST((run(R"({"scores": [1, 0.25]})").first == std::vector<float>{1.0f, 0.25f}));
  for (const char* body : {R"({"scores": [1]})", R"({"scores": [1, 2, 3]})", R"({"scores": "1, 2"})", "[1, 2]",
                           R"({"scores": [1, 1e60]})", R"({"scores": [true, 2]})", R"({"scores": [1, 2)"}) {
    const auto [scores, failures] = run(body);
    BOOST_TEST((std::isnan(scores[0]) && std::isnan(scores[1])));
    BOOST_TEST(failures.rows.size() == 2u);
  }
}

// A child process judges with a cache and is killed while calls are in flight; a second one goes on with its file.
BOOST_AUTO_TEST_CASE(a_run_that_is_killed_loses_no_answer_and_pays_none_twice) {
  constexpr int count = 60;
  const maestro_test::Scratch folder;
  const std::string cache = folder.path("cache.jsonl");
  // Forked before there are threads; each child learns the port by its pipe.
  const auto child = [&](int(&ends)[2]) {
    BOOST_REQUIRE(::pipe(ends) == 0);
    const ::pid_t pid = ::fork();
    if (pid != 0) return pid;
    int port = 0;
    if (::read(ends[0], &port, sizeof port) != static_cast<::ssize_t>(sizeof port)) ::_exit(3);
    int code = 4;
    try {
      JudgeOptions options = judge_options("http://127.0.0.1:" + std::to_string(port) + "/judge");
      options.calls.cache = cache;
      const Judge judge("judge", options, HttpClient());
      const std::vector<float> scores = scored(judge, responses(count));
      code = 0;
      for (const float score : scores) code = score == 0.5f ? code : 5;
      if (figures(judge).at("cost_total") != count * 45.0) code = 6;
    } catch (...) {
      code = 7;
    }
    ::_exit(code);
  };
  int first_pipe[2];
  int second_pipe[2];
  const ::pid_t first = child(first_pipe);
  const ::pid_t second = child(second_pipe);
  std::atomic<int> served{0};
  Server server([&](const httplib::Request&, httplib::Response& response, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    answer(response, chat("{\"score\": 5}"));
    ++served;
  });
  const int port = server.port();
  BOOST_REQUIRE(::write(first_pipe[1], &port, sizeof port) > 0);
  while (served < count / 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ::kill(first, SIGKILL);
  int status = 0;
  BOOST_REQUIRE(::waitpid(first, &status, 0) == first);
  BOOST_REQUIRE(WIFSIGNALED(status));
  std::map<std::string, int> answered_before;
  std::ifstream lines(cache);
  for (std::string line; std::getline(lines, line);) {
    const std::string mark = "{\"answer\":\"";
    if (line.starts_with(mark) && !lines.eof()) {
      answered_before[line.substr(mark.size(), line.find('"', mark.size()) - mark.size())] = 0;
    }
  }
  BOOST_TEST((answered_before.size() > 5u && answered_before.size() < static_cast<std::size_t>(count)));

  BOOST_REQUIRE(::write(second_pipe[1], &port, sizeof port) > 0);
  BOOST_REQUIRE(::waitpid(second, &status, 0) == second);
  BOOST_TEST(WIFEXITED(status));
  BOOST_TEST(WEXITSTATUS(status) == 0);  // every score is there, and the cost is that of one answer each
  int again = 0;
  const auto hits = server.hits();
  BOOST_TEST(hits.size() == static_cast<std::size_t>(count));
  for (const auto& [key, times] : hits) {
    if (answered_before.contains(key)) BOOST_TEST(times == 1);  // an answer that was there was not asked for again
    again += times - 1;
  }
  BOOST_TEST(again <= 4);  // what was in flight, under the same Idempotency-Key
}

BOOST_AUTO_TEST_SUITE_END()
