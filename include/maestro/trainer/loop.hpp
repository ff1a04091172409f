#pragma once

/// @file
/// The loop around the steps. It draws prompts, calls observers, saves checkpoints, and stops if asked.

#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <span>

#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/distributed/collectives.hpp"
#include "maestro/trainer/prompt_order.hpp"
#include "maestro/trainer/ranks.hpp"
#include "maestro/trainer/step_report.hpp"

namespace maestro {

/// LoopOptions says how long run_loop runs, and when it saves.
struct LoopOptions {
  std::uint32_t steps = 100;            ///< of the whole run, resumed steps included
  std::uint32_t save_every = 0;         ///< call `save` after every so many steps; 0: only at the end
  std::function<bool()> should_stop{};  ///< asked after every step; true ends the run after saving
  std::function<void()> save{};         ///< writes a checkpoint; may be empty
};

/// LoopEnd says whether a run reached its last step or was asked to stop before it.
enum class LoopEnd { finished, stopped };

namespace detail {

/// Calls trainer.step(prompts, epoch), or step(prompts) of a trainer that takes no epoch. If the step throws and leaves
/// the trainer whole, `save` is called before the exception is rethrown. The exception of the step is rethrown even if
/// `save` fails too.
template <class TrainerType, class Save>
StepReport step_or_save(TrainerType& trainer, std::span<const Prompt> prompts, double epoch, const Save& save) {
  try {
    if constexpr (requires { trainer.step(prompts, epoch); }) {
      return trainer.step(prompts, epoch);
    } else {
      StepReport report = trainer.step(prompts);
      report.epoch = epoch;
      return report;
    }
  } catch (...) {
    const std::exception_ptr failure = std::current_exception();
    if constexpr (requires { trainer.whole(); }) {
      try {
        if (trainer.whole()) save();
      } catch (const std::exception&) {
        std::rethrow_exception(failure);
      }
    }
    throw;
  }
}

}  // namespace detail

/// Runs trainer.step on shuffled prompts from trainer.steps_done() up to `steps`, then saves. Observers see every step
/// in the given order. Those with on_begin(steps_done) are first told how many steps are done, also if none is left. A
/// stop request takes effect between steps, so nothing is lost. A stop request may also come as an Interrupted
/// exception. A step that throws it is repeated when the run resumes; an observer that throws it misses the step. A
/// step that throws anything else ends the run. The steps before it are saved if it left the trainer whole
/// (Trainer::step).
///
/// If ranks share a step, all of them call this with the same data and options. Only rank 0 calls its observers. `save`
/// is called on every rank, and the run stops if any rank is asked to.
/// @throws BadArgument, before the first step, for data that a later step would refuse (see Trainer::check_prompts);
///         what step, save and observers throw.
template <class TrainerType, class... Observers>
LoopEnd run_loop(TrainerType& trainer, std::span<const Prompt> data, const LoopOptions& options,
                 Observers&... observers) {
  (detail::require_observer<Observers>(), ...);
  auto& ranks = detail::communicator_of(trainer);
  in_step(ranks, [&] { trainer.check_prompts(data); });
  PromptOrder order(data, trainer.options().prompts_per_step, trainer.options().seed);
  in_step(ranks, [&] {
    if (ranks.rank() == 0) (detail::begin_observer(observers, trainer.steps_done()), ...);
  });
  std::uint32_t saved_at = trainer.steps_done();
  const auto save = [&] {
    if (options.save && saved_at != trainer.steps_done()) options.save();
    saved_at = trainer.steps_done();
  };
  // Other ranks would wait for one that goes.
  const auto may_interrupt = [&] { return ranks.size() == 1 && options.should_stop && options.should_stop(); };
  while (trainer.steps_done() < options.steps) {
    StepReport report;
    try {
      const std::uint32_t done = trainer.steps_done();
      report = detail::step_or_save(trainer, order.batch(done), order.epoch(done + 1), save);
    } catch (const Interrupted&) {
      if (!may_interrupt()) throw;
      save();
      return LoopEnd::stopped;
    }
    [[maybe_unused]] const StepTrace trace = trainer.trace();
    try {
      in_step(ranks, [&] {
        if (ranks.rank() != 0) return;
        if constexpr ((Observer<Observers> && ...)) (observers.on_step(report, trace), ...);
      });
    } catch (const Interrupted&) {
      if (!may_interrupt()) throw;
    }
    if (options.save_every > 0 && report.step % options.save_every == 0) save();
    if (any_rank(options.should_stop && options.should_stop(), ranks)) {
      save();
      return trainer.steps_done() < options.steps ? LoopEnd::stopped : LoopEnd::finished;
    }
  }
  save();
  return LoopEnd::finished;
}

}  // namespace maestro
