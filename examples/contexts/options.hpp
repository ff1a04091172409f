#pragma once

/// @file
/// The command line of `contexts` as a struct.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/option.hpp"
#include "tasks/tasks.hpp"
#include "train/option_names.hpp"

namespace maestro::examples {

/// What is written.
enum class ContextsTask : std::uint8_t { prompts, responses, scores, base, supervised, table };
inline constexpr std::array<std::string_view, 6> contexts_task_names{"prompts", "responses",  "scores",
                                                                     "base",    "supervised", "table"};
inline constexpr std::array<std::string_view, 3> split_names{"train", "dev", "held_out"};  // in the order of Split

struct ContextsOptions {
  std::string write{};  ///< the name of a ContextsTask; empty: not given
  std::string model{};
  std::vector<std::string> runs{};  ///< NAME=FOLDER
  Split split = Split::held_out;
  std::string weights{};  ///< JSON file; empty: none
  std::string output{};
  std::size_t steps = 5000;
  std::size_t batch = 28;
  double learning_rate = 4e-3;
  std::size_t demonstrations = 28;
  std::string pairs{};  ///< JSONL file with prompt and response; empty: none
  int threads = 0;      ///< 0: as many as the machine has
  std::size_t count = 175;
  std::size_t num_generations = 4;
  bool hidden_states = false;
  std::uint64_t seed = 7;

  /// @throws BadArgument
  ContextsTask task() const { return static_cast<ContextsTask>(index_of_name("--write", write, contexts_task_names)); }
};

/// Lists the options of `contexts`; see OptionList.
template <OptionsOf<ContextsOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  f({.name = "write",
     .help = "prompts, base (the model to start from), supervised (a model trained on demonstrations), responses (of a "
             "model, with every reward and judge), scores (of a model), table (of several)"},
    o.write);
  f({.name = "model", .help = "Folder of the model, for responses, scores and supervised"}, o.model);
  f({.name = "run", .help = "NAME=FOLDER of a model, for table, without a comma; may come several times"}, o.runs);
  f({.name = "split", .help = "{}", .values = split_names}, o.split);
  f({.name = "weights", .help = "JSON file with weights of the rewards by family, for prompts; empty: none"},
    o.weights);
  f({.name = "output", .help = "The file, or the folder of a model"}, o.output);
  f({.name = "steps", .help = "Steps of base or supervised"}, o.steps);
  f({.name = "batch", .help = "Responses of a step"}, o.batch);
  f({.name = "learning_rate", .help = "Its highest"}, o.learning_rate);
  f({.name = "demonstrations", .help = "How many different ones, the families in turn"}, o.demonstrations);
  f({.name = "pairs",
     .help = "JSONL file with prompt and response for supervised, in place of the demonstrations; empty: none"},
    o.pairs);
  f({.name = "threads", .help = "Threads; 0: as many as the machine has"}, o.threads);
  f({.name = "count", .help = "Prompts, the families in turn"}, o.count);
  f({.name = "num_generations", .help = "Responses per prompt"}, o.num_generations);
  f({.name = "hidden", .help = "Of responses: the terminal hidden states, and those at the ends of the prompts, too"},
    o.hidden_states);
  f({.name = "seed", .help = "Seed of the data"}, o.seed);
}

/// @param given  as in idle_refusal
/// @throws BadArgument naming an option that was given although the others leave it without effect, one that is
/// missing, or one outside its domain.
template <class Given>
void check(const ContextsOptions& o, const Given& given) {
  using enum ContextsTask;
  const ContextsTask task = o.task();
  const auto refuse = idle_refusal(given);
  const auto only_of = [&](std::initializer_list<ContextsTask> tasks, const std::vector<std::string>& options) {
    const bool idle = std::find(tasks.begin(), tasks.end(), task) == tasks.end();
    refuse(idle, options, "with --write " + o.write);
    return !idle;
  };
  const bool of_a_model = only_of({responses, scores, supervised}, {"model"});
  const bool of_models = only_of({table}, {"run"});
  only_of({prompts, responses, scores, table}, {"split", "count"});
  only_of({prompts}, {"weights"});
  only_of({base, supervised}, {"steps", "batch", "learning-rate"});
  only_of({supervised}, {"demonstrations", "pairs"});
  only_of({responses, scores, table}, {"num-generations"});
  only_of({responses}, {"hidden"});
  refuse(!o.pairs.empty(), {"demonstrations"}, "with --pairs, which are taken in their place");
  require(!o.output.empty(), "--output FILE or FOLDER is missing");
  require(!of_a_model || !o.model.empty(), "--model FOLDER is missing");
  require(!of_models || !o.runs.empty(), "--run NAME=FOLDER is missing: the models of the table");
  require(o.steps > 0 && o.batch > 0 && o.demonstrations > 0,
          "--steps, --batch and --demonstrations must be at least 1");
  require(o.threads >= 0, "--threads must be at least 0; 0 takes as many as the machine has");
}

}  // namespace maestro::examples
