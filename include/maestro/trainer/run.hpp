#pragma once

/// @file
/// A run in a folder: metrics, samples, checkpoints and the trained model. It resumes where it stopped.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/distributed/collectives.hpp"
#include "maestro/io/folder_lock.hpp"
#include "maestro/io/jsonl_writer.hpp"
#include "maestro/io/prompts.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/trainer/checkpoints.hpp"
#include "maestro/trainer/fingerprint.hpp"
#include "maestro/trainer/loop.hpp"
#include "maestro/trainer/metrics_log.hpp"
#include "maestro/trainer/progress.hpp"
#include "maestro/trainer/ranks.hpp"
#include "maestro/trainer/step_report.hpp"

namespace maestro {

/// Resume says what happens to a run in a folder that holds a checkpoint.
enum class Resume : std::uint8_t {
  automatic,  ///< the run continues from the newest checkpoint
  never,      ///< the folder is refused
};

/// RunOptions says how long a Run runs, what it keeps, and what it prints.
struct RunOptions {
  std::uint32_t steps = 100;            ///< of the whole run, resumed steps included
  std::uint32_t save_every = 0;         ///< steps between checkpoints; 0: only at the end and when stopped
  std::size_t keep = 2;                 ///< newest checkpoints kept; at least 1
  std::function<bool()> should_stop{};  ///< asked after every step; true ends the run after saving. A program that
                                        ///< wants to stop on SIGINT sets a flag in its own handler and asks it here
  /// A text of everything that decides the run's results. A checkpoint with another text is refused. If it is empty,
  /// run_fingerprint gives the text.
  std::string fingerprint{};
  std::vector<std::string> may_change{};  ///< keys of the fingerprint that may differ from the checkpoint's, such as
                                          ///< "learning_rate"
  Resume resume = Resume::automatic;
  LogTimings timings = LogTimings::record;
  SampleLog::Options samples{};
  std::ostream* progress = nullptr;  ///< receives a line of progress every few steps; nullptr for no lines
  ProgressStyle style = ProgressStyle::lines;
};

/// Run trains in a folder, which it makes:
///
///     Run run("runs/mine", {.steps = 200, .progress = &std::cout});
///     run(trainer, load_prompts("prompts.jsonl"));
///
/// The folder then holds `metrics.jsonl` (MetricsLog), `samples.jsonl` (SampleLog), `checkpoints/`, and `model/` if the
/// policy has `save(folder) const`. If the folder holds a checkpoint, the run continues from it. A run that was stopped
/// or killed at any moment ends with the same bytes as an uninterrupted one, except for timings. While the Run exists,
/// no other Run can use the folder. It changes no signal handler.
///
/// If ranks share a trainer's steps (see Trainer), each makes a Run of the same folder, which all of them can read, and
/// passes its communicator. Rank 0 writes, prints and calls its observers; the others only train. A run may continue
/// with another number of ranks: the prompts of a step stay the same and are divided differently.
class Run {
 public:
  /// Makes the folder, if needed, and locks it.
  /// @throws IoError if the folder cannot be made; BadArgument if its name is empty, if another run holds it, or if
  ///         keep or steps is 0.
  explicit Run(std::string folder, RunOptions options = {}) : folder_(std::move(folder)), options_(std::move(options)) {
    take_folder();
  }
  /// Makes and locks the folder for all ranks.
  /// @throws as the other constructor on rank 0, and RankFailed on the others.
  template <Communicator Comm>
  Run(std::string folder, RunOptions options, Comm& ranks)
      : folder_(std::move(folder)), options_(std::move(options)), rank_(ranks.rank()) {
    in_step(ranks, [&] {
      if (rank_ == 0) take_folder();
    });
    if (rank_ != 0) options_.progress = nullptr;
  }

  const std::string& folder() const { return folder_; }
  const RunOptions& options() const { return options_; }
  /// Gives the folder of the checkpoints of a run in `folder`.
  static std::string checkpoints_in(const std::string& folder) { return folder + "/checkpoints"; }

  /// Runs the remaining steps, and calls the observers after each.
  /// @throws BadFile if all checkpoints are damaged or the newest belongs to a run with another fingerprint;
  ///         BadArgument if there is one and Resume::never, or if the trainer's communicator was not given to the Run;
  ///         IoError; RankFailed; what Trainer::check_prompts and Trainer::step throw.
  template <class TrainerType, class... Observers>
  LoopEnd operator()(TrainerType& trainer, std::span<const Prompt> prompts, Observers&... observers) const {
    auto& ranks = detail::communicator_of(trainer);
    std::optional<Checkpoints> opened;
    std::string fingerprint;
    in_step(ranks, [&] {
      require(ranks.rank() == rank_, "run: the trainer is one of several ranks; give the Run their communicator too");
      fingerprint = options_.fingerprint.empty() ? run_fingerprint(trainer, prompts) : options_.fingerprint;
    });
    detail::require_alike(fnv1a(fingerprint),
                          "run: the ranks have other options, prompts or models; start all of them with the same",
                          ranks);
    in_step(ranks, [&] {
      opened.emplace(CheckpointOptions{.folder = checkpoints_in(folder_),
                                       .keep = options_.keep,
                                       .fingerprint = fingerprint,
                                       .may_change = options_.may_change,
                                       .rank = rank_});
      if (rank_ == 0) refuse_resume(*opened);
    });
    Checkpoints& checkpoints = *opened;
    resume(trainer, checkpoints);
    OwnObservers own;
    in_step(ranks, [&] {
      if (rank_ == 0) own.open(*this, trainer.steps_done());
    });
    const LoopEnd end = run_loop(trainer, prompts,
                                 {.steps = options_.steps,
                                  .save_every = options_.save_every,
                                  .should_stop = options_.should_stop,
                                  .save =
                                      [&] {
                                        in_step(ranks, [&] { own.sync(); });
                                        checkpoints.save(trainer);
                                      }},
                                 own, observers...);
    in_step(ranks, [&] {
      if (end == LoopEnd::finished && rank_ == 0) save_model_of(trainer);
    });
    return end;
  }
  template <class TrainerType, class... Observers>
  LoopEnd operator()(TrainerType& trainer, const PromptFile& file, Observers&... observers) const {
    return (*this)(trainer, std::span<const Prompt>(file.prompts), observers...);
  }

 private:
  /// OwnObservers holds the observers of the run itself. They do nothing until they are opened.
  class OwnObservers {
   public:
    /// Opens the logs, and removes records after `steps_done` from them.
    void open(const Run& run, std::uint32_t steps_done) {
      truncate_after(run.metrics_path(), steps_done);
      truncate_after(run.samples_path(), steps_done);
      const RunOptions& options = run.options_;
      folder_ = run.folder_;
      metrics_.emplace(run.metrics_path(), options.timings);
      samples_.emplace(run.samples_path(), options.samples);
      if (options.progress == nullptr) return;
      progress_.emplace(*options.progress,
                        ProgressOptions{.style = options.style,
                                        .total_steps = options.steps,
                                        .line_every = std::max<std::uint32_t>(options.steps / 10, 1)});
    }
    void on_step(const StepReport& report, const StepTrace& trace) {
      if (metrics_) metrics_->on_step(report, trace);
      if (samples_) samples_->on_step(report, trace);
      if (progress_) progress_->on_step(report, trace);
    }
    /// Syncs the logs, so that a checkpoint never survives a crash without the records before it.
    void sync() {
      if (!metrics_) return;
      metrics_->sync();
      samples_->sync();
      detail::sync_directory(folder_);
    }

   private:
    std::string folder_;
    std::optional<MetricsLog> metrics_;
    std::optional<SampleLog> samples_;
    std::optional<Progress> progress_;
  };

  void take_folder() {
    require(!folder_.empty(), "run: the folder's name is empty");
    detail::make_folder(folder_);
    lock_.emplace(folder_);
    require(options_.keep > 0, "run: keep must be at least 1");
    require(options_.steps > 0, "run: steps must be at least 1");
  }
  void refuse_resume(const Checkpoints& checkpoints) const {
    if (options_.resume != Resume::never || !checkpoints.newest()) return;
    throw BadArgument(folder_ +
                      " holds the checkpoint of an earlier run; Resume::automatic continues it, another folder starts "
                      "afresh");
  }
  std::string metrics_path() const { return folder_ + "/metrics.jsonl"; }
  std::string samples_path() const { return folder_ + "/samples.jsonl"; }

  /// Loads the newest checkpoint.
  template <class TrainerType>
  void resume(TrainerType& trainer, Checkpoints& checkpoints) const {
    const bool resumed = checkpoints.resume(trainer);
    for (const std::string& damaged : checkpoints.passed_over()) {
      if (options_.progress != nullptr) *options_.progress << "passed over a damaged checkpoint: " << damaged << '\n';
    }
    if (resumed && options_.progress != nullptr) {
      *options_.progress << "resumed after step " << trainer.steps_done();
      if (trainer.steps_done() >= options_.steps) {
        *options_.progress << "; all " << options_.steps
                           << " steps are done, nothing is left to train: raise the steps, or take another folder";
      }
      *options_.progress << std::endl;  // before a long step
    }
  }

  template <class TrainerType>
  void save_model_of(TrainerType& trainer) const {
    if constexpr (detail::Saves<std::remove_cvref_t<decltype(trainer.policy())>>) {
      std::as_const(trainer).policy().save(folder_ + "/model");
    }
  }

  std::string folder_;
  RunOptions options_;
  std::size_t rank_ = 0;
  std::optional<FolderLock> lock_;  // on rank 0
};

}  // namespace maestro
