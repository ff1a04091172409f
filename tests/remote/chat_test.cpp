// What is read from a judge: a score, or nothing.

#include "maestro/remote/chat.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

#include "maestro/remote/rate_limit.hpp"
#include "maestro/remote/retries.hpp"
#include "maestro/remote/transport.hpp"

BOOST_AUTO_TEST_SUITE(chat)

namespace {

using namespace maestro;

void gives(const std::string& text, double score) {
  const ScoreReading reading = read_score(text, 0.0, 10.0);
  BOOST_TEST(reading.score.has_value(), "no score in '" << text << "': " << reading.why);
  if (reading.score) BOOST_TEST(*reading.score == score, "'" << text << "' gave " << *reading.score);
}
void refuses(const std::string& text) {
  const ScoreReading reading = read_score(text, 0.0, 10.0);
  BOOST_TEST(!reading.score.has_value(), "'" << text << "' gave " << reading.score.value_or(-1.0));
  BOOST_TEST(!reading.why.empty());
}
void bad_url(const std::string& url) { BOOST_CHECK_THROW(parse_url(url), BadArgument); }

}  // namespace

BOOST_AUTO_TEST_CASE(scores_that_are_clear) {
  gives(R"({"reason": "fine", "score": 7})", 7);
  gives(R"({"reason": "a {brace} and \"score\": 3", "score": 6.5})", 6.5);
  gives("Here you are:\n```json\n{\"score\": 4, \"reason\": \"x\"}\n```\n", 4);
  gives(R"({"score": "8"})", 8);
  gives(R"({"score": "8/10"})", 8);
  gives(R"({"a": {"score": 2}})", 2);
  gives("<think>maybe Score: 3, {\"score\": 3}</think>{\"score\": 9}", 9);
  gives("Score: 7", 7);
  gives("The text is good.\n**Score:** 7/10", 7);
  gives("score = 2.5.", 2.5);
  gives("I think the score is 7 out of 10.", 7);
  gives("Final score: 6\nSo, score: 6", 6);
  gives(" 8 ", 8);
  gives("**9**", 9);
  gives("10/10", 10);
  gives("0", 0);
  gives("{not json} Score: 1", 1);
}

BOOST_AUTO_TEST_CASE(what_is_no_score_is_refused) {
  for (const char* text : {"",
                           "good",
                           "11",
                           "-1",
                           "{\"score\": 11}",
                           "{\"score\": null}",
                           "{\"score\": true}",
                           "{\"score\": [7]}",
                           "{\"score\": 1e999}",
                           "{\"score\": NaN}",
                           "Score: 3 ... Score: 4",
                           "{\"score\": 3} {\"score\": 4}",
                           "7/5",
                           "70%",
                           "Score: 70%",
                           "3-5",
                           "Score: 3-5",
                           "1,000",
                           "Score: 7 out of 100",
                           "Score: 7/100",
                           "7 8",
                           "2024 was a good year",
                           "seven",
                           "<think>Score: 7",
                           "scored 7 points",
                           "7_000",
                           "Score: 7th"}) {
    if (std::string(text) == "<think>Score: 7") continue;  // an unclosed thought is cut, which its caller refuses
    refuses(text);
  }
}

BOOST_AUTO_TEST_CASE(answers_of_servers) {
  const ChatAnswer answer = parse_chat_answer(
      R"({"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "7"}, "finish_reason": "stop"}],
          "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}})",
      "server");
  BOOST_TEST(answer.content == "7");
  BOOST_TEST(answer.usage.prompt_tokens == 12u);
  BOOST_TEST(answer.usage.completion_tokens == 3u);
  BOOST_TEST(!answer.cut);
  BOOST_TEST(parse_chat_answer(R"({"choices": [{"message": {"content": ""}, "finish_reason": "length"}]})", "s").cut);
  for (const char* body : {"", "null", "{}", R"({"choices": []})", R"({"choices": [{}]})",
                           R"({"choices": [{"message": {"content": null}}]})",
                           R"({"choices": [{"message": {"content": "7"}}], "usage": {"prompt_tokens": -5}})",
                           R"({"choices": [{"message": {"content": "7"}}], "usage": {"completion_tokens": 1e30}})",
                           R"({"choices": [{"message": {"content": "7"}}], "choices": []})",
                           R"({"choices": [{"message": {"content": "7)"}) {
    BOOST_CHECK_THROW(parse_chat_answer(body, "server"), BadFile);
  }
}

BOOST_AUTO_TEST_CASE(urls) {
  const UrlParts parts = parse_url("https://judge.example:8443/v1/chat/completions?version=2#part");
  BOOST_TEST(parts.secure);
  BOOST_TEST(parts.host == "judge.example");
  BOOST_TEST(parts.port == 8443);
  BOOST_TEST(parts.path == "/v1/chat/completions?version=2");
  BOOST_TEST(parse_url("https://a").port == 443);
  BOOST_TEST(parse_url("http://a?x=1").path == "/?x=1");
  BOOST_TEST(parse_url("http://[::1]:80/x").host == "::1");
  for (const char* url : {"", "a/b", "ftp://a", "http://", "http://:80", "http://a:", "http://a:0", "http://a:65536",
                          "http://a:8x/", "http://a b/", "http://a/\n", "http://[::1", "http://[::1]8"}) {
    bad_url(url);
  }
  BOOST_CHECK_EXCEPTION(parse_url("https://me:secret@a/"), BadArgument, [](const BadArgument& error) {
    return std::string(error.what()).find("secret") == std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(retry_after_is_a_number_or_a_date) {
  BOOST_TEST(retry_after_seconds("7", 0).value() == 7.0);
  BOOST_TEST(retry_after_seconds("Thu, 01 Jan 1970 00:02:00 GMT", 100).value() == 20.0);
  BOOST_TEST(retry_after_seconds("Thu, 01 Jan 1970 00:02:00 GMT", 500).value() == 0.0);
  for (const char* header : {"", "soon", "-3", "7 s", "nan", "inf"}) {
    BOOST_TEST(!retry_after_seconds(header, 0).has_value());
  }
}

BOOST_AUTO_TEST_CASE(pauses_grow_up_to_the_longest_and_scatter) {
  const RetryOptions options{.delay_seconds = 1.0, .max_delay_seconds = 5.0};
  for (std::uint32_t retry = 0; retry < 6; ++retry) {
    const double longest = std::min(5.0, static_cast<double>(1u << retry));
    for (std::uint64_t key = 0; key < 20; ++key) {
      const double pause = retry_delay(options, retry, key);
      BOOST_TEST((pause >= 0.5 * longest && pause <= longest));
    }
    BOOST_TEST(retry_delay(options, retry, 1) != retry_delay(options, retry, 2));
  }
  BOOST_TEST(retry_delay(options, 4000000000u, 1) <= 5.0);
}

BOOST_AUTO_TEST_CASE(no_minute_has_more_than_its_limit) {
  RateLimit limit(10.0);
  double now = 0.0;
  std::vector<std::pair<double, double>> used;
  for (int i = 0; i < 60; ++i) {
    const double amount = 1.0 + static_cast<double>(i % 4);
    now += 0.5;
    now += limit.wait(now, amount);
    BOOST_TEST(limit.wait(now, amount) <= 0.0);
    limit.use(now, amount);
    used.emplace_back(now, amount);
    double sum = 0.0;
    for (const auto& [time, past] : used) sum += time > now - RateLimit::window ? past : 0.0;
    BOOST_TEST(sum <= 10.0);
  }
  BOOST_TEST(now < 60 * 2.5 / 10.0 * 60.0 + 60.0);  // and it is used up
  RateLimit small(2.0);
  BOOST_TEST(small.wait(0.0, 50.0) == 0.0);  // more than the limit itself: alone in its minute
  small.use(0.0, 50.0);
  BOOST_TEST(small.wait(1.0, 1.0) == 59.0);
  BOOST_TEST(RateLimit().wait(0.0, 1e9) == 0.0);
}

BOOST_AUTO_TEST_SUITE_END()
