// The page on metrics names what the code writes: no more, no less.

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/conductor/anchored.hpp"
#include "maestro/io/json.hpp"
#include "maestro/reward/anchored_rewards.hpp"
#include "maestro/trainer/loop.hpp"
#include "maestro/trainer/metrics_log.hpp"
#include "tiny.hpp"

BOOST_AUTO_TEST_SUITE(metrics_page)

namespace {

using Names = std::set<std::string>;

/// The names in the first column of the tables of one section: what stands in backticks at the start of a line.
Names documented(std::string_view section) {
  std::ifstream page(MAESTRO_PAGES "/metrics.md");
  BOOST_REQUIRE_MESSAGE(page, "cannot open " MAESTRO_PAGES "/metrics.md");
  Names names;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) inside = line.starts_with("## " + std::string(section) + ":");
    if (!inside || !line.starts_with("| `")) continue;
    names.insert(line.substr(3, line.find('`', 3) - 3));
  }
  return names;
}

/// `name` with the reward's and the task's own names taken out.
std::string general(std::string name) {
  const auto replace = [&name](std::string_view part, std::string_view by) {
    for (std::size_t at = name.find(part); at != std::string::npos; at = name.find(part, at + by.size())) {
      name.replace(at, part.size(), by);
    }
  };
  replace("/match", "/<reward>");
  replace("/small", "/<reward>");
  replace("/riddle/", "/<task>/");
  replace("judge/cost", "judge/<figure>");
  return name;
}

Names written(const std::string& path) {
  std::ifstream file(path);
  Names names;
  for (std::string line; std::getline(file, line);) {
    const auto record = maestro::parse_json(line, path);
    for (const auto& [key, value] : record.items()) names.insert(general(key));
  }
  return names;
}

/// A judge that counts something of its own.
struct Paid : tiny::Match {
  template <class F>
  void visit_figures(F&& f) const {
    f(std::string_view("cost"), 0.5);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(the_page_names_what_an_anchor_adds) {
  maestro::Trainer trainer(
      tiny::Policy({.contexts = 3, .actions = 5, .length = 2}),
      maestro::AnchoredRewards{tiny::Rewards{tiny::Match{}, tiny::Small{}}, maestro::RewardAnchor{Paid{}},
                               maestro::AnchorOptions{.share = 0.5}},
      maestro::AnchoredConductor(), tiny::options());
  trainer.step(tiny::prompts(6));
  const Names usual = documented("metrics.jsonl");
  Names added;
  maestro::for_each_metric(trainer.report(), [&](const std::string& name, double) {
    if (!usual.contains(general(name))) added.insert(general(name));
  });
  BOOST_TEST((added == documented("Anchors")));
}

BOOST_AUTO_TEST_CASE(the_page_and_the_files_have_the_same_names) {
  const maestro_test::Scratch folder;
  std::vector<maestro::Prompt> prompts = tiny::prompts();
  for (maestro::Prompt& prompt : prompts) prompt.task = "riddle";
  maestro::LearnedConductorOptions conductor;
  conductor.period = 1;
  auto trainer = tiny::trainer(tiny::options(), conductor);
  maestro::MetricsLog metrics(folder.path("metrics.jsonl"));
  maestro::SampleLog samples(folder.path("samples.jsonl"), {.every = 1});
  maestro::run_loop(trainer, std::span<const maestro::Prompt>(prompts), {.steps = 2}, metrics, samples);

  for (const std::string_view file : {"metrics.jsonl", "samples.jsonl"}) {
    const Names page = documented(file);
    const Names code = written(folder.path(std::string(file)));
    BOOST_TEST(!code.empty());
    for (const std::string& name : code) {
      BOOST_TEST(page.contains(name), file << " has '" << name << "', which examples/documentation/metrics.md lacks");
    }
    for (const std::string& name : page) {
      BOOST_TEST(code.contains(name),
                 "examples/documentation/metrics.md names '" << name << "', which " << file << " does not have");
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
