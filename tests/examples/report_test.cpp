// report.html of a run's folder.

#include <boost/test/unit_test.hpp>
#include <string>

#include "io/scratch.hpp"
#include "maestro/io/file.hpp"
#include "report/chart.hpp"
#include "report/report.hpp"

using namespace maestro;
using maestro::examples::write_report;
using maestro_test::Scratch;

BOOST_AUTO_TEST_SUITE(report)

namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// A run of two rewards and two steps, whose texts are hostile.
void write_run(const Scratch& scratch) {
  write_file(
      scratch.path("metrics.jsonl"),
      R"({"step":1,"rewards/a/mean":0.25,"rewards/b/mean":1,"conductor/weight/a":0.5,"conductor/weight/b":0.5,)"
      R"("rewards/a/correlation/b":-0.5,"rewards/a/advantage_correlation":0.75,"rewards/b/calls":3,"kl":null})"
      "\n"
      R"({"step":2,"rewards/a/mean":0.75,"rewards/b/mean":1,"conductor/weight/a":0.25,"conductor/weight/b":0.75,)"
      R"("rewards/a/correlation/b":-0.25,"rewards/a/advantage_correlation":0.5,"rewards/b/calls":4,"kl":null})"
      "\n"
      R"({"step":3,"rewards/a/me)");  // being written
  const std::string hostile = R"(</pre><script>alert(1)</script><img src=x onerror=\"alert(2)\">)";
  const auto sample = [&](int response, const char* advantage) {
    return R"({"step":1,"task":"t","row":4,"response":)" + std::to_string(response) + R"(,"prompt":"Say )" + hostile +
           R"(","completion":"Said )" + hostile + R"(","rewards":{"a":0.5,"b":null},"weights":{"a":0.5,"b":0.5},)" +
           R"("advantage":)" + advantage + "}\n";
  };
  write_file(scratch.path("samples.jsonl"), sample(0, "1.5") + sample(1, "-1.5"));
  write_file(scratch.path("run.json"), R"({"model": "x", "reward-command": ["a=<b>"]})");
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_run_becomes_one_page_that_needs_nothing_else) {
  const Scratch scratch;
  write_run(scratch);
  const std::string page = read_file(write_report(scratch.path(".")));
  BOOST_TEST(page.starts_with("<!doctype html>"));
  BOOST_TEST(count(page, "<svg") >= 4u);
  for (const char* part : {"http", "<script", "<img", "<link", "onerror=\""}) {
    BOOST_TEST(page.find(part) == std::string::npos, part);
  }
  BOOST_TEST(count(page, "&lt;script&gt;") == 3u);  // one prompt above two responses
  for (const char* part : {"prefers-color-scheme:dark", "-0.25", "reward-command", "a=&lt;b&gt;",
                           "class=\"n down\">-1.5", "<td class=\"n\">0.25</td><td class=\"n\">0.75</td>"}) {
    BOOST_TEST(page.find(part) != std::string::npos, part);
  }
  // 3 + 4 calls.
  BOOST_TEST(page.find("<td>calls</td><td class=\"n\">4</td><td class=\"n\">7</td>") != std::string::npos);
  // What has no value is no chart.
  BOOST_TEST(page.find("KL to the reference") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_is_no_run_is_refused) {
  const Scratch scratch;
  BOOST_CHECK_THROW(write_report(scratch.path("nothing")), BadArgument);
  write_file(scratch.path("metrics.jsonl"), "{\"step\":1}\nno json\n{}\n");
  BOOST_CHECK_THROW(write_report(scratch.path(".")), BadFile);
  write_file(scratch.path("metrics.jsonl"), "");
  BOOST_CHECK_NO_THROW(write_report(scratch.path(".")));
}

BOOST_AUTO_TEST_CASE(a_line_keeps_its_color_where_another_has_no_values) {
  using namespace maestro::examples;
  Curve curve;
  curve.add(1, 0.5);
  const Curve none;
  const std::string html = html_of({.title = "x", .lines = {{"first", &none}, {"second", &curve}}});
  BOOST_TEST(html.find("<i class=\"c1\"></i>second") != std::string::npos, html);
  BOOST_TEST(html.find("first") == std::string::npos, html);
}

BOOST_AUTO_TEST_CASE(a_chart_survives_any_numbers) {
  using namespace maestro::examples;
  for (const double value : {0.0, 1e300, -1e300, 1e-300, 5e-324, 1e16}) {
    Curve curve;
    curve.add(1, value);
    for (int i = 0; i < 3; ++i) {
      const std::string html = html_of({.title = "x", .lines = {{"y", &curve}}});
      BOOST_TEST(html.find("nan") == std::string::npos, html);
      curve.add(curve.steps.back() + 1, i == 1 ? -value : value);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
