#pragma once

/// @file
/// The rewards of held-out prompts during a run.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/jsonl_writer.hpp"
#include "maestro/trainer/step_report.hpp"

namespace maestro {

/// EvaluationLogOptions says how often a run is evaluated, and on how many prompts in one batch.
struct EvaluationLogOptions {
  std::uint32_t every = 0;        ///< steps between evaluations; 0: only after the last
  std::uint32_t total_steps = 0;  ///< of the run, after the last of which it is evaluated in any case
  std::size_t prompts_per_batch = 16;
};

/// EvaluationLog is an observer that draws responses to its own prompts with the trainer's sampling options and scores
/// them with the trainer's rewards. It appends {"step": ..., "eval_rewards/<reward>/mean": ...} to a file, under TRL's
/// names. Nothing is learned from them, and they do not change the run's results, unless the scores of a reward depend
/// on its earlier calls. The draws are keyed by the trainer's seed and by step 2^32 - 2, so all evaluations of a run
/// use the same random numbers. The trainer must outlive it.
template <class TrainerType>
class EvaluationLog {
 public:
  /// Takes the prompts and checks them.
  /// @throws BadArgument if there is no prompt, if prompts_per_batch is 0, or if the trainer refuses a prompt.
  EvaluationLog(TrainerType& trainer, std::vector<Prompt> prompts, std::string path, EvaluationLogOptions options)
      : trainer_(&trainer), prompts_(std::move(prompts)), path_(std::move(path)), options_(options) {
    require(!prompts_.empty(), "evaluation log: there are no prompts");
    require(options_.prompts_per_batch > 0, "evaluation log: prompts_per_batch must be at least 1");
    trainer.check_prompts(prompts_);
  }

  /// Evaluates if it is due. Records of this and later steps are first removed from the file, since a run that resumes
  /// from a checkpoint writes them again.
  void on_step(const StepReport& report, const StepTrace&) {
    const bool due = options_.every > 0 && report.step % options_.every == 0;
    if (due || report.step == options_.total_steps) evaluate(report.step);
  }

  /// Evaluates, and writes the record of this step.
  /// @throws IoError if the file cannot be written; what the policy and the rewards throw.
  void evaluate(std::uint32_t step) {
    std::vector<std::vector<double>> columns(trainer_->num_rewards);
    double tokens = 0.0;
    double cut = 0.0;
    double responses = 0.0;
    for (std::size_t first = 0; first < prompts_.size(); first += options_.prompts_per_batch) {
      const auto batch = std::span<const Prompt>(prompts_).subspan(
          first, std::min(options_.prompts_per_batch, prompts_.size() - first));
      const Rollouts rollouts = trainer_->policy().generate(
          batch, trainer_->options().sampling, DrawKey{.seed = trainer_->options().seed, .step = 0xFFFFFFFEu});
      Matrix<float> scores(rollouts.size(), columns.size());
      std::as_const(*trainer_).rewards().evaluate(rollouts, scores.view());
      for (std::size_t i = 0; i < rollouts.size(); ++i) {
        for (std::size_t k = 0; k < columns.size(); ++k) {
          const auto score = static_cast<double>(scores(i, k));
          if (score == score) columns[k].push_back(score);
        }
        cut += rollouts.finish[i] == Finish::length ? 1.0 : 0.0;
      }
      tokens += static_cast<double>(rollouts.tokens.size());
      responses += static_cast<double>(rollouts.size());
    }
    OrderedJson record{{"step", step}};
    const auto names = std::as_const(*trainer_).rewards().names();
    for (std::size_t k = 0; k < columns.size(); ++k) {
      const Moments moments = moments_of(columns[k].data(), columns[k].size());
      const std::string start = "eval_rewards/" + std::string(names[k]);
      record[start + "/mean"] = moments.count > 0 ? OrderedJson(moments.mean) : OrderedJson(nullptr);
      record[start + "/std"] = moments.std_dev(1);
    }
    record["eval_completions/mean_length"] = tokens / responses;
    record["eval_completions/clipped_ratio"] = cut / responses;
    truncate_after(path_, static_cast<std::int64_t>(step) - 1);
    JsonlWriter file(path_, OpenMode::append);
    file.write(record);
    file.sync();
  }

 private:
  TrainerType* trainer_;
  std::vector<Prompt> prompts_;
  std::string path_;
  EvaluationLogOptions options_;
};

}  // namespace maestro
