// Trains a language model by GRPO on several rewards whose weights a Conductor learns.
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cxxopts.hpp>
#include <exception>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/stop_signal.hpp"
#include "maestro/core/names.hpp"
#include "maestro/scalarization/any_scalarization.hpp"
#include "train/idle_options.hpp"
#include "train/options.hpp"
#include "train/train.hpp"

namespace {

using maestro::examples::TrainOptions;

/// The value that goes with `name`; both lists are in the enum's order.
template <class Enum, std::size_t count>
Enum choose(const char* option, const std::string& name, const std::array<std::string_view, count>& names) {
  return static_cast<Enum>(maestro::index_of_name(option, name, names));
}

constexpr std::array<std::string_view, 2> floor_names{"mix", "clamp_renormalise"};
constexpr std::array<std::string_view, 2> scaling_names{"none", "unit_rms"};
constexpr std::array<std::string_view, 2> baseline_names{"none", "centred"};
constexpr std::array<std::string_view, 2> resume_names{"auto", "never"};
constexpr std::array<std::string_view, 2> timing_names{"record", "omit"};

void add_options(cxxopts::Options& options) {
  const TrainOptions d;
  const auto text = [](const std::string& value) { return cxxopts::value<std::string>()->default_value(value); };
  const auto real = [](double value) {
    char printed[32];
    std::snprintf(printed, sizeof printed, "%g", value);
    return cxxopts::value<double>()->default_value(printed);
  };
  const auto whole = [](std::size_t value) {
    return cxxopts::value<std::size_t>()->default_value(std::to_string(value));
  };
  const auto list = [](const std::string& value) {
    return cxxopts::value<std::vector<std::string>>()->default_value(value);
  };
  const maestro::TrainerSettings& t = d.trainer;
  const char* group = "";
  const auto add = [&](const char* name, const std::string& help,
                       const std::shared_ptr<cxxopts::Value>& value = cxxopts::value<bool>()) {
    options.add_option(group, {name, help, value});
  };
  group = "Model and data";
  add("model", "Folder with config.json, weights in safetensors, tokenizer.json", text(d.model));
  add("reward-model", "Folder of the preference reward's model; empty for none", text(d.reward_model));
  add("prompts", "JSONL file with prompt, reference, task; empty: the built-in task families", text(""));
  add("tasks", "Built-in task families to train on", list("arithmetic,story,emotion"));
  add("num-prompts", "Prompts drawn from the families of --tasks, in turn", whole(d.num_prompts));
  add("output", "Folder for metrics, samples, checkpoints and the trained model", text(d.output));
  group = "Checkpoints, adapters and conversations";
  maestro::examples::add_model_options(add);
  group = "Sampling";
  add("num-generations", "Responses per prompt (G)", whole(t.sampling.num_generations));
  add("max-completion-length", "Tokens of a response at most", whole(t.sampling.max_completion_length));
  add("temperature", "Sampling temperature, > 0", real(t.sampling.temperature));
  add("top-k", "Keep the k most probable tokens; 0: all", whole(t.sampling.top_k));
  add("top-p", "Keep the smallest set of tokens with this probability", real(t.sampling.top_p));
  add("min-p", "Keep tokens at least this probable, relative to the best", real(t.sampling.min_p));
  group = "Policy";
  add("steps", "Training steps", whole(d.steps));
  add("prompts-per-step", "Prompts of a step (N)", whole(t.prompts_per_step));
  add("learning-rate", "AdamW's learning rate", real(t.learning_rate));
  add("lr-scheduler-type", "constant, linear, cosine", text("constant"));
  add("warmup-steps", "Steps of linear warm-up", whole(0));
  add("weight-decay", "AdamW's decoupled weight decay", real(t.optimizer.adamw.weight_decay));
  add("max-grad-norm", "Global-norm clipping; 0: none", real(t.max_grad_norm));
  add("num-iterations", "Passes over each batch (mu)", whole(t.num_iterations));
  add("num-minibatches", "Optimizer updates per pass", whole(t.num_minibatches));
  add("loss-type", "grpo, bnpo, dapo, dr_grpo", text("dapo"));
  add("importance-sampling-level", "token, sequence", text("token"));
  add("epsilon", "Lower clip range of the ratio", real(t.objective.epsilon_low));
  add("epsilon-high", "Upper clip range of the ratio", real(t.objective.epsilon_high));
  add("delta", "Two-sided clip: cap of the ratio, > 1 + epsilon-high; 0: none", real(0));
  add("beta", "Weight of the KL to the starting model, with adapters to its base; 0: none", real(t.objective.beta));
  add("kl-estimator", "k1 (in the reward, or with --kl-correction ratio), k2, k3", text("k3"));
  add("kl-placement", "loss, reward", text("loss"));
  add("kl-correction", "What multiplies the KL of the loss: none, ratio (to the policy that generated)", text("none"));
  add("ref-sync-steps", "Copy the policy into the KL reference every so many steps; 0: never", whole(0));
  group = "Rewards and their weights";
  add("rewards", "Rewards of the run, of " + maestro::join_names(maestro::examples::reward_names),
      list("perplexity,format,entropy,length,preference"));
  add("proxy-sync-steps", "Steps between syncs of the perplexity reward's proxy", whole(d.proxy_sync_steps));
  add("length-shape", "Length reward: overlong (penalty near the limit), target, reference (as long as it)",
      text("overlong"));
  add("length-target", "Tokens of a response, for --length-shape target", real(d.length_target));
  add("scalarization",
      "Rewards to advantages: " + maestro::join_names(maestro::scalarization_names) +
          "; group, unless given, with --conductor maestro_paper",
      text(d.scalarization));
  add("normalise", "Rewards before weighting: none, z_score, rank; none, unless given, with --conductor maestro_paper",
      text(d.normalise));
  add("conductor", "Weights of the rewards: " + maestro::join_names(maestro::conductor_names), text(d.conductor));
  add("weights", "For --conductor fixed, and the start of scheduled: one for each of --rewards, such as 0.5,0.3,0.2",
      cxxopts::value<std::vector<double>>());
  add("weights-end", "The weights that --conductor scheduled moves to, linearly",
      cxxopts::value<std::vector<double>>());
  add("weights-start-step", "The last step, from 1, that has --weights", whole(d.weights_start_step));
  add("weights-end-step", "The first step that has --weights-end; 0: the last of the run", whole(d.weights_end_step));
  add("conductor-learning-rate", "AdamW's learning rate of the Conductor", real(d.learned.learning_rate));
  add("conductor-period", "Policy steps per Conductor update (M)", whole(d.learned.period));
  add("conductor-emphasis", "Map from action to weights: " + maestro::join_names(maestro::emphasis_names),
      text(std::string(maestro::emphasis_names[static_cast<std::size_t>(d.learned.emphasis)])));
  add("conductor-strength", "Strength c of the blended emphasis maps, in (0, 1]", real(d.learned.strength));
  add("conductor-estimator", "sampled, counterfactual",
      text(std::string(maestro::estimator_names[static_cast<std::size_t>(d.learned.estimator)])));
  add("conductor-baseline", "Of sampled meta-rewards: none, centred", text("none"));
  add("conductor-floor", "Probability floor: mix, clamp_renormalise", text("mix"));
  add("conductor-hidden-scaling", "Of the hidden states: none, unit_rms", text("none"));
  add("conductor-entropy-bonus", "Weight of the entropy bonus (lambda)", real(d.learned.entropy_bonus));
  group = "Run";
  add("seed", "Seed of every random draw", whole(t.seed));
  add("threads", "Threads; 0: as many as the machine has", cxxopts::value<int>()->default_value("0"));
  add("save-steps", "Steps between checkpoints; 0: at the end only", whole(d.save_steps));
  add("save-total-limit", "Checkpoints kept", whole(d.save_total_limit));
  add("resume", "auto: from the newest checkpoint of --output; never: refuse a folder that has one", text("auto"));
  add("timings", "record, omit (for byte-identical metrics)", text("record"));
  add("dry-run",
      "Check all that a run would refuse at its start (options, files, every prompt's size), print the plan");
  add("help", "This text");
}

TrainOptions read_options(const cxxopts::ParseResult& given) {
  const auto whole = [&](const char* name) { return given[name].as<std::size_t>(); };
  const auto count = [&](const char* name) {
    const std::size_t value = whole(name);
    if (value > std::numeric_limits<std::uint32_t>::max()) {
      throw maestro::BadArgument(std::string("--") + name + " is " + std::to_string(value) + ", it must be below 2^32");
    }
    return static_cast<std::uint32_t>(value);
  };
  const auto real = [&](const char* name) { return given[name].as<double>(); };
  const auto text = [&](const char* name) { return given[name].as<std::string>(); };
  TrainOptions o;
  o.model = text("model");
  o.reward_model = text("reward-model");
  o.prompts = text("prompts");
  o.model_options = maestro::examples::read_model_options(given);
  o.tasks = given["tasks"].as<std::vector<std::string>>();
  o.num_prompts = count("num-prompts");
  o.output = text("output");
  o.steps = count("steps");
  maestro::TrainerSettings& t = o.trainer;
  t.seed = whole("seed");
  t.prompts_per_step = whole("prompts-per-step");
  t.sampling = {.num_generations = whole("num-generations"),
                .max_completion_length = whole("max-completion-length"),
                .temperature = real("temperature"),
                .top_k = whole("top-k"),
                .top_p = real("top-p"),
                .min_p = real("min-p")};
  t.learning_rate = real("learning-rate");
  t.schedule = {.kind = maestro::schedule_from_name(text("lr-scheduler-type")),
                .warmup_steps = whole("warmup-steps"),
                .total_steps = whole("steps")};
  t.optimizer.adamw.weight_decay = real("weight-decay");
  t.max_grad_norm = real("max-grad-norm");
  t.num_iterations = whole("num-iterations");
  t.num_minibatches = whole("num-minibatches");
  t.reference_sync_steps = whole("ref-sync-steps");
  t.objective.reduction = maestro::reduction_from_name(text("loss-type"));
  t.objective.ratio_level = maestro::ratio_level_from_name(text("importance-sampling-level"));
  t.objective.epsilon_low = real("epsilon");
  t.objective.epsilon_high = real("epsilon-high");
  if (real("delta") != 0.0) {
    t.objective.ratio_cap = real("delta");
    if (!(real("delta") > 1.0 + real("epsilon-high"))) {
      throw maestro::BadArgument("--delta must be above 1 + --epsilon-high, or 0 for no cap");
    }
  }
  t.objective.beta = real("beta");
  t.objective.kl_estimator = maestro::kl_estimator_from_name(text("kl-estimator"));
  t.objective.kl_placement = maestro::kl_placement_from_name(text("kl-placement"));
  t.objective.kl_correction = maestro::kl_correction_from_name(text("kl-correction"));
  t.objective.max_completion_length = t.sampling.max_completion_length;
  o.rewards = given["rewards"].as<std::vector<std::string>>();
  o.proxy_sync_steps = count("proxy-sync-steps");
  o.length_shape = choose<maestro::examples::LengthChoice>("--length-shape", text("length-shape"),
                                                           maestro::examples::length_choice_names);
  o.length_target = real("length-target");
  o.scalarization = text("scalarization");
  o.normalise = text("normalise");
  o.conductor = text("conductor");
  if (o.conductor == "maestro_paper") {  // the paper's reading is raw rewards and TRL's group advantage
    if (given.count("scalarization") == 0) o.scalarization = "group";
    if (given.count("normalise") == 0) o.normalise = "none";
  }
  if (given.count("weights") > 0) o.weights = given["weights"].as<std::vector<double>>();
  if (given.count("weights-end") > 0) o.weights_end = given["weights-end"].as<std::vector<double>>();
  o.weights_start_step = count("weights-start-step");
  o.weights_end_step = count("weights-end-step");
  maestro::LearnedConductorOptions& c = o.learned;
  c.learning_rate = real("conductor-learning-rate");
  c.period = count("conductor-period");
  c.emphasis = maestro::emphasis_from_name(text("conductor-emphasis"));
  c.strength = real("conductor-strength");
  c.estimator = maestro::estimator_from_name(text("conductor-estimator"));
  c.baseline = choose<maestro::MetaBaseline>("--conductor-baseline", text("conductor-baseline"), baseline_names);
  c.floor = choose<maestro::ProbabilityFloor>("--conductor-floor", text("conductor-floor"), floor_names);
  c.hidden_scaling =
      choose<maestro::HiddenScaling>("--conductor-hidden-scaling", text("conductor-hidden-scaling"), scaling_names);
  c.entropy_bonus = real("conductor-entropy-bonus");
  o.save_steps = count("save-steps");
  o.save_total_limit = whole("save-total-limit");
  o.resume = choose<maestro::Resume>("--resume", text("resume"), resume_names);
  o.timings = choose<maestro::LogTimings>("--timings", text("timings"), timing_names);
  o.threads = given["threads"].as<int>();
  maestro::require(o.threads >= 0, "--threads must be at least 0; 0 takes as many as the machine has");
  o.dry_run = given.count("dry-run") > 0 ? maestro::examples::DryRun::yes : maestro::examples::DryRun::no;
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  cxxopts::Options options("train",
                           "Trains a language model by GRPO on several rewards whose weights are learned. An option "
                           "that the others\nleave without effect is refused.\n");
  options.set_width(110);
  try {
    add_options(options);
    const auto given = options.parse(argc, argv);
    if (given.count("help") > 0) {
      std::cout << options.help() << '\n';
      return 0;
    }
    if (!given.unmatched().empty()) {
      throw maestro::BadArgument("'" + given.unmatched().front() + "' is no option; see --help");
    }
    maestro::examples::catch_stop_signals();
    const TrainOptions read = read_options(given);
    maestro::examples::refuse_idle_options(read, [&](const char* name) { return given.count(name) > 0; });
    return maestro::examples::train(
        read, isatty(STDOUT_FILENO) != 0 ? maestro::examples::Output::terminal : maestro::examples::Output::file);
  } catch (const std::exception& error) {
    std::cerr << "train: " << error.what() << '\n';
    return 2;
  }
}
