// `evaluate` with a language model as judge, behind a server in this process.

#include <httplib.h>
#include <sys/wait.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "io/scratch.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"

BOOST_AUTO_TEST_SUITE(evaluate_judge)

namespace {

using namespace maestro;
using maestro_test::Scratch;

/// A judge that gives every response 7 of 10, and is out of order from its `fails_from`th call on.
struct JudgeServer {
  httplib::Server server{};
  std::atomic<int> calls{0};
  std::atomic<int> fails_from{1 << 20};
  std::set<std::string> bodies{};  ///< of what was answered
  int port = 0;
  std::thread thread{};

  JudgeServer() {
    server.new_task_queue = [] { return new httplib::ThreadPool(1); };
    server.Post("/v1/chat/completions", [this](const httplib::Request& request, httplib::Response& response) {
      if (++calls >= fails_from) {
        response.status = 500;
        return;
      }
      bodies.insert(request.body);
      response.set_content(R"({"choices": [{"message": {"content": "{\"reason\": \"fair\", \"score\": 7}"}}],)"
                           R"( "usage": {"prompt_tokens": 20, "completion_tokens": 5}})",
                           "application/json");
    });
    port = server.bind_to_any_port("127.0.0.1");
    thread = std::thread([this] { server.listen_after_bind(); });
    while (!server.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~JudgeServer() {
    server.stop();
    thread.join();
  }
};

/// Evaluates the shipped base on three prompts, two responses each and a greedy one; the exit code.
int evaluate(const JudgeServer& judge, const Scratch& scratch, std::string& output) {
  const std::string base = std::string(MAESTRO_TEST_FIXTURES) + "/../../examples/models/base";
  std::ofstream(scratch.path("rubric.txt")) << "Score how kind the response is.";
  {
    std::ofstream prompts(scratch.path("prompts.jsonl"));
    for (const char* word : {"amber", "birch", "cedar"}) {
      prompts << R"({"prompt": "Say )" << word << R"(.\n", "reference": ")" << word << "\"}\n";
    }
  }
  const std::string command =
      std::string("MAESTRO_NUM_THREADS=1 ") + MAESTRO_EVALUATE_PROGRAM + " --prompts " + scratch.path("prompts.jsonl") +
      " --model base=" + base + " --num-generations 2 --max-completion-length 8 --json " + scratch.path("figures") +
      " --judge-model m --judge-rubric " + scratch.path("rubric.txt") + " --judge-cache " +
      scratch.path("cache.jsonl") +
      " --judge-concurrency 1 --reward-retries 0 --judge-url http://127.0.0.1:" + std::to_string(judge.port) +
      "/v1/chat/completions >" + scratch.path("log") + " 2>&1";
  const int status = std::system(command.c_str());
  output = read_file(scratch.path("log"), 1 << 20);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_response_is_judged_and_none_is_paid_twice) {
  const Scratch scratch;
  JudgeServer judge;
  std::string output;
  judge.fails_from = 4;
  BOOST_TEST(evaluate(judge, scratch, output) == 2, output);
  BOOST_TEST(output.find("500") != std::string::npos, output);
  BOOST_TEST(judge.bodies.size() == 3u);

  // The same command again asks for the rest alone.
  judge.calls = 0;
  judge.fails_from = 1 << 20;
  BOOST_REQUIRE_MESSAGE(evaluate(judge, scratch, output) == 0, output);
  BOOST_TEST(static_cast<std::size_t>(judge.calls) + 3 == judge.bodies.size());
  BOOST_TEST(judge.bodies.size() <= 9u);
  const Json figures = parse_json(read_file(scratch.path("figures"), 1 << 20), "figures");
  BOOST_TEST_REQUIRE(figures.at("rows").size() == 2u);
  for (const Json& row : figures.at("rows")) {
    const Json& figure = row.at("figures").at("judge");
    BOOST_TEST(std::abs(figure.at("value").get<double>() - 70.0) < 1e-4);
    BOOST_TEST(figure.at("prompts") == 3);
  }
  for (const std::string& body : judge.bodies) {
    BOOST_TEST(body.find("Score how kind the response is.") != std::string::npos, body);
    BOOST_TEST(body.find("Say ") != std::string::npos, body);
  }

  judge.calls = 0;
  BOOST_TEST(evaluate(judge, scratch, output) == 0, output);
  BOOST_TEST(judge.calls == 0);
}

BOOST_AUTO_TEST_SUITE_END()
