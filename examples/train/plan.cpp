#include "train/plan.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <ostream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/model/layout.hpp"

namespace maestro::examples {

namespace {

/// The options of a run's run.json, and what of them a plan reads.
Json options_of(const std::string& folder) {
  const std::string path = folder + "/run.json";
  Json json = parse_json(read_file(path), path);
  if (!json.is_object()) throw BadFile(path + ": must be an object of options");
  return json;
}

double prompts_of_step(const Json& options, const std::string& folder) {
  const Json& value = options.contains("prompts-per-step") ? options.at("prompts-per-step") : Json();
  if (value.is_null()) return static_cast<double>(TrainerOptions{}.prompts_per_step);
  if (!value.is_number() || value.get<double>() < 1.0) {
    throw BadFile(folder + "/run.json: 'prompts-per-step' must be a number of at least 1");
  }
  return value.get<double>();
}

/// Options in which a plan and the runs that it is made from may differ: they change no work for a prompt.
constexpr std::array<std::string_view, 20> free_options{
    "threads", "prompts-per-step", "steps",       "num-epochs",      "seed",
    "output",  "config",           "timings",     "save-steps",      "save-total-limit",
    "resume",  "report",           "tensorboard", "shard-optimizer", "plan-from",
    "dry-run", "eval-prompts",     "plan",        "network",         "eval-steps"};

/// @throws BadArgument naming an option in which the work for a prompt differs.
void require_same_work(const Json& first, const std::string& first_name, const Json& other, const std::string& name) {
  for (const Json* given : {&first, &other}) {
    for (const auto& [key, value] : given->items()) {
      if (std::find(free_options.begin(), free_options.end(), key) != free_options.end()) continue;
      if (first.value(key, Json()) == other.value(key, Json())) continue;
      throw BadArgument("--plan-from: " + first_name + " and " + name + " differ in --" + key +
                        "; a step of other work takes another time: measure with the options that are planned for, "
                        "in runs that differ in ranks, --threads and --prompts-per-step alone");
    }
  }
}
void require_same_work(const TrainOptions& o) {
  const std::string& name = o.planned.from.front();
  const Json first = options_of(name);
  for (const std::string& folder : o.planned.from) require_same_work(first, name, options_of(folder), folder);
  require_same_work(first, name, parse_json(o.config, "the command"), "the command");
}

/// Bytes that a rank sends of the responses to a prompt, about: hidden states, tokens with log-probs and entropies,
/// text.
double bytes_of_a_prompt(const TrainOptions& o, const PolicyPlan& plan, double tokens) {
  const auto states = static_cast<double>(o.trainer.sampling.num_generations + 1);
  return states * static_cast<double>(plan.config.hidden) * sizeof(float) + tokens * 16.0;
}

double trained_bytes(const TrainOptions& o, const PolicyPlan& plan) {
  const ModelLayout layout(plan.config);
  const LoraOptions lora = lora_options(o);
  const std::uint64_t values =
      o.model_options.trains_adapters() ? adapter_parameters(layout, lora) : std::uint64_t{layout.parameters()};
  return static_cast<double>(values * sizeof(float));
}

/// The most memory that a rank takes, the whole step's rollouts on it included.
std::uint64_t memory_of_rank(const TrainOptions& o, const PolicyPlan& plan, std::span<const Prompt> prompts,
                             std::size_t ranks, std::size_t all_prompts, double step_bytes) {
  TrainOptions share = o;
  share.trainer.prompts_per_step = (all_prompts + ranks - 1) / ranks;
  return estimate(share, plan, prompts).total() + static_cast<std::uint64_t>(step_bytes);
}

template <class... Values>
std::string printed(const char* format, Values... values) {
  char text[256];
  const int length = std::snprintf(text, sizeof text, format, values...);
  return length > 0 ? std::string(text) : std::string();
}

std::string seconds_text(double seconds) {
  if (seconds == 0.0) return "0 s";
  if (seconds < 1e-4) return printed("%.1f us", seconds * 1e6);
  return seconds < 0.1 ? printed("%.1f ms", seconds * 1e3) : printed("%.2f s", seconds);
}

std::string ranks_text(std::size_t ranks, std::size_t threads) { return printed("%zux%zu", ranks, threads); }

/// What one rank with the first run's share of prompts does in a second: what efficiency is measured against.
double tokens_of_one_rank(const CostModel& model, std::size_t threads, double prompts, const Network& network) {
  return model.predict(1, threads, prompts, network, {}).tokens_per_second();
}

/// Whether shares of different sizes were measured with so many threads.
bool several_shares(const std::vector<MeasuredRun>& runs, std::size_t threads) {
  double smallest = std::numeric_limits<double>::infinity();
  double largest = 0.0;
  for (const MeasuredRun& run : runs) {
    if (run.threads != threads) continue;
    smallest = std::min(smallest, run.tokens / static_cast<double>(run.ranks));
    largest = std::max(largest, run.tokens / static_cast<double>(run.ranks));
  }
  return largest > same_share * smallest;
}

void print_fit(const CostModel& model, const std::vector<MeasuredRun>& runs, const std::vector<std::string>& folders,
               std::ostream& out) {
  out << "model      a rank's own work:";
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const bool seen = std::any_of(runs.begin(), runs.begin() + static_cast<std::ptrdiff_t>(i),
                                  [&](const MeasuredRun& run) { return run.threads == runs[i].threads; });
    if (seen) continue;
    const CostModel::OwnWork work = model.own_work(runs[i].threads);
    out << printed(" %s + %s a token (threads: %zu);", seconds_text(work.constant).c_str(),
                   seconds_text(work.a_token).c_str(), work.threads);
    if (!several_shares(runs, work.threads)) out << " one size of share alone, so that fixed costs are not known;";
  }
  out << printed(" rollout %.0f %%, rewards %.0f %%, training %.0f %%\n", 100.0 * model.rollout_share(),
                 100.0 * model.rewards_share(), 100.0 * model.training_share())
      << printed("           every rank for the whole step: %s a token; shares of one prompt differ by %.0f %%\n",
                 seconds_text(model.everywhere_a_token()).c_str(), 100.0 * model.spread());
  const bool several = std::any_of(runs.begin(), runs.end(), [](const MeasuredRun& run) { return run.ranks > 1; });
  if (!several) out << "           no run had several ranks: waiting for the slowest is left out\n";
  // The measured machine's own network is no part of the model: its exchange is taken as it was.
  out << "\nmeasured            ranks  prompts   measured      model\n";
  const Network none{.name = "", .bytes_per_second = std::numeric_limits<double>::infinity()};
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const MeasuredRun& run = runs[i];
    const StepCost cost = model.predict(run.ranks, run.threads, run.prompts, none, {});
    out << folders[i] << std::string(folders[i].size() < 18 ? 18 - folders[i].size() : 0, ' ')
        << printed(" %6s %8.0f %10s %10s\n", ranks_text(run.ranks, run.threads).c_str(), run.prompts,
                   seconds_text(run.step).c_str(), seconds_text(cost.total() + run.exchange).c_str());
  }
}

}  // namespace

PlannedRanks parse_planned_ranks(const std::string& text) {
  PlannedRanks planned;
  const std::size_t cross = text.find('x');
  const auto read = [](std::string_view digits, std::size_t& value) {
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && stop == digits.data() + digits.size() && value > 0 && value <= 1'000'000;
  };
  const std::string_view whole = text;
  if (cross == std::string::npos || !read(whole.substr(0, cross), planned.ranks) ||
      !read(whole.substr(cross + 1), planned.threads)) {
    throw BadArgument("--plan: '" + text + "' is not RANKSxTHREADS, such as 64x2: both from 1 to 1000000");
  }
  return planned;
}

const Network& network_named(const std::string& name) {
  std::vector<std::string_view> names;
  for (const Network& network : networks) names.push_back(network.name);
  return networks[index_of_name("--network", name, names)];
}

MeasuredRun measured_run(const std::string& folder) {
  const std::string path = folder + "/metrics.jsonl";
  const std::string content = read_file(path, std::numeric_limits<std::size_t>::max());
  MeasuredRun run{.prompts = prompts_of_step(options_of(folder), folder)};
  std::string_view rest = content;
  double steps = 0.0;
  double tokens_before = 0.0;
  const bool several = std::count(content.begin(), content.end(), '\n') > 1;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    const std::string place = path + ":" + std::to_string(number);
    const Json record = parse_json(rest.substr(0, end), place);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const auto figure = [&](const char* name, bool needed = true) {
      if (record.contains(name) && record.at(name).is_number()) return record.at(name).get<double>();
      if (!needed) return 0.0;
      throw BadFile(place + ": no '" + name + "'; measure with --timings record, by this version");
    };
    const auto ranks = static_cast<std::size_t>(figure("run/ranks"));
    const auto threads = static_cast<std::size_t>(figure("run/threads"));
    if (number > 1 && (ranks != run.ranks || threads != run.threads)) {
      throw BadFile(place + ": steps of other ranks or threads than before; measure them in a folder of their own");
    }
    run.ranks = ranks;
    run.threads = threads;
    const double tokens = figure("num_tokens");
    if (number > 1 || !several) {
      steps += 1.0;
      run.tokens += tokens - tokens_before;
      run.rollout += figure("time/rollout");
      run.rewards += figure("time/rewards") + figure("time/reference");
      run.training += figure("time/training");
      run.step += figure("time/step");
      run.communication += figure("time/communication", ranks > 1);
      run.exchange += figure("time/exchange", ranks > 1);
    }
    tokens_before = tokens;
  }
  if (steps == 0.0) throw BadFile(path + ": has no steps");
  for (double MeasuredRun::*part :
       {&MeasuredRun::tokens, &MeasuredRun::rollout, &MeasuredRun::rewards, &MeasuredRun::training, &MeasuredRun::step,
        &MeasuredRun::communication, &MeasuredRun::exchange}) {
    run.*part /= steps;
  }
  return run;
}

void print_prediction(const TrainOptions& o, const PolicyPlan& plan, std::span<const Prompt> prompts,
                      std::ostream& out) {
  const Network& network = network_named(o.planned.network);
  std::vector<PlannedRanks> wanted;
  for (const std::string& text : o.planned.ranks) wanted.push_back(parse_planned_ranks(text));
  require_same_work(o);
  std::vector<MeasuredRun> runs;
  for (const std::string& folder : o.planned.from) runs.push_back(measured_run(folder));
  const CostModel model(runs);
  const MeasuredRun& first = runs.front();
  const double share = first.prompts / static_cast<double>(first.ranks);

  const StepTraffic traffic{.gradient_bytes = trained_bytes(o, plan),
                            .updates = static_cast<double>(o.trainer.num_iterations * o.trainer.num_minibatches),
                            .bytes_of_a_prompt = bytes_of_a_prompt(o, plan, model.tokens_of_a_prompt())};
  out << "PREDICTION, not a measurement: " << network.name
      << printed(" (%.3g GB/s, %.0f us a message), each rank on a link of its own\n", network.bytes_per_second * 1e-9,
                 network.latency * 1e6)
      << printed("exchanged  %.1f MB of gradients an update, %.1f kB of responses a prompt\n",
                 traffic.gradient_bytes * 1e-6, traffic.bytes_of_a_prompt * 1e-3);
  print_fit(model, runs, o.planned.from, out);
  out << "\npredicted  prompts   rollout   rewards  training       all   waiting   network      step   tokens/s"
         "  efficiency  communication  memory\n";
  const auto row = [&](const PlannedRanks& planned, double step_prompts) {
    const StepCost cost = model.predict(planned.ranks, planned.threads, step_prompts, network, traffic);
    const double alone = tokens_of_one_rank(model, planned.threads, share, network);
    const double efficiency = cost.tokens_per_second() / (static_cast<double>(planned.ranks) * alone);
    out << printed("%-10s %7.0f", ranks_text(planned.ranks, planned.threads).c_str(), step_prompts);
    for (const double part :
         {cost.rollout, cost.rewards, cost.training, cost.everywhere, cost.waiting, cost.network, cost.total()}) {
      out << printed(" %9s", seconds_text(part).c_str());
    }
    out << printed(" %10.0f %10.1f%% %13.1f%%  ", cost.tokens_per_second(), 100.0 * efficiency,
                   100.0 * cost.communication())
        << memory_text(memory_of_rank(o, plan, prompts, planned.ranks, static_cast<std::size_t>(step_prompts),
                                      step_prompts * traffic.bytes_of_a_prompt))
        << '\n';
  };
  for (const PlannedRanks& planned : wanted) {
    const double weak = std::ceil(share * static_cast<double>(planned.ranks));
    row(planned, weak);
    const auto asked = static_cast<double>(o.trainer.prompts_per_step);
    if (asked != weak && asked >= static_cast<double>(planned.ranks)) row(planned, asked);
  }
  out << "all: Conductor, scalarization and figures, which every rank computes for the whole step. efficiency: tokens "
         "a "
         "second of a rank\nagainst one alone with the first run's prompts a rank. communication: waiting and network. "
         "memory: of a rank, at most";
  if (o.trainer.shard_optimizer == ShardOptimizer::yes) {
    out << ",\nat a checkpoint, where every rank has all of AdamW's moments; between checkpoints --shard-optimizer yes "
           "divides their "
        << memory_text(static_cast<std::uint64_t>(2.0 * traffic.gradient_bytes)) << " by the ranks";
  }
  out << '\n' << std::flush;
}

}  // namespace maestro::examples
