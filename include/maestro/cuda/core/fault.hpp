#pragma once

/// @file
/// The record of faults: kernels cannot throw, so they write the first value that no formula admits into a word of
/// device memory, and the host throws it when the caller synchronizes. This header compiles without nvcc and without
/// the CUDA toolkit.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#if !defined(__CUDA_ARCH__)
#include <atomic>
#endif

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/scalarization/scalarizers.hpp"

namespace maestro::gpu {

/// Fault is a kind of fault. If a launch finds several, the one that comes first in this list is thrown.
enum class Fault : std::uint8_t {
  group_too_large,         ///< a group has more rows than GroupLayout::largest
  data_row_out_of_range,   ///< the data row of group `row` is outside [0, 2^32)
  too_many_responses,      ///< data row `row` has more than 2^24 responses in one step
  offsets_do_not_fit,      ///< a response's token offsets decrease, or lie outside the tokens
  weight_not_finite,       ///< a weight w_ik or its base_ik is not finite
  kl_log_prob_not_finite,  ///< a log-prob that the KL in the reward reads is not finite
  penalty_not_finite,
  reward_infinite,   ///< a reward is infinite (NaN is admitted: it marks a missing reward)
  scalar_undefined,  ///< the scalarizer number `column` has no value for the row
  hidden_not_finite,
  action_impossible,  ///< an action is outside [0, K), or its propensity is 0
  meta_not_finite,
  gradient_not_finite,
  advantage_not_finite,
  log_prob_not_finite,
  old_log_prob_not_finite,
  reference_log_prob_not_finite,
  entropy_not_finite,
  ratio_overflow,
};

/// FaultWord holds kind (8 bits), row (32) and column (24) of a fault in one word, so that the least word is the first
/// fault. If all bits are 1, nothing was found.
using FaultWord = unsigned long long;
inline constexpr FaultWord no_fault = ~FaultWord{0};

/// Makes a word. A row above 2^32 - 1 or a column above 2^24 - 1 is replaced by that limit.
MAESTRO_HD constexpr FaultWord fault_word(Fault kind, std::size_t row, std::size_t column) {
  constexpr std::size_t max_row = 0xFFFFFFFFu;
  constexpr std::size_t max_column = 0xFFFFFFu;
  return (static_cast<FaultWord>(kind) << 56) | (static_cast<FaultWord>(row < max_row ? row : max_row) << 24) |
         static_cast<FaultWord>(column < max_column ? column : max_column);
}

/// Sets *record to this fault's word if that is less. Any number of threads may call it at once; the result does not
/// depend on their order.
MAESTRO_HD inline void report_fault(FaultWord* record, Fault kind, std::size_t row, std::size_t column = 0) {
  const FaultWord word = fault_word(kind, row, column);
#if defined(__CUDA_ARCH__)
  atomicMin(record, word);
#else
  std::atomic_ref<FaultWord> kept(*record);
  FaultWord now = kept.load(std::memory_order_relaxed);
  while (word < now && !kept.compare_exchange_weak(now, word, std::memory_order_relaxed)) {
  }
#endif
}

/// Throws what a word says, unless it is no_fault.
/// @throws BadData naming the place and the remedy; BadArgument if the fault is a wrong argument of the caller (a
///   layout, offsets or data rows); Error for a word that no kernel writes.
inline void throw_fault(FaultWord word) {
  if (word == no_fault) return;
  const auto kind = static_cast<Fault>(word >> 56);
  const std::string row = std::to_string((word >> 24) & 0xFFFFFFFFu);
  const std::string column = std::to_string(word & 0xFFFFFFu);
  const std::string token = "objective: row " + row + ", token " + column + ": the ";
  constexpr const char* check_rate = " is not finite; check the learning rate, and that the token can be drawn at all";
  switch (kind) {
    case Fault::group_too_large:
      throw BadArgument("group " + row + " has more rows than the layout's largest; give the true bound");
    case Fault::data_row_out_of_range:
      throw BadArgument("conductor: the data row of group " + row + " is outside [0, 2^32)");
    case Fault::too_many_responses:
      throw BadArgument("groups: data row " + row +
                        " has more than 2^24 responses in one step, the random streams' limit");
    case Fault::offsets_do_not_fit:
      throw BadArgument("row " + row + ": the token offsets must not decrease, and span as many tokens as there are");
    case Fault::weight_not_finite:
      throw BadData("scalarization: row " + row + ", the weight of reward " + column +
                    " is not finite; check the Conductor");
    case Fault::kl_log_prob_not_finite:
      throw BadData("kl penalty: row " + row + ", token " + column + ": a log-prob is not finite");
    case Fault::penalty_not_finite:
      throw BadData("scalarization: row " + row + ", the penalty is not finite; check the reference log-probs");
    case Fault::reward_infinite:
      throw BadData("scalarization: row " + row + ", reward " + column +
                    " is infinite; return nullopt (NaN) for a reward that does not apply");
    case Fault::scalar_undefined:
      throw BadData("scalarization: row " + row + ", the scalarizer " +
                    std::string(scalarizer_names[word & 0xFFFFFFu]) +
                    " has no value: geometric needs rewards above 0, softmin weights that add up to more than 0");
    case Fault::hidden_not_finite:
      throw BadData("conductor: the hidden state of row " + row + " is not finite");
    case Fault::action_impossible:
      throw BadArgument("conductor: row " + row + " took an action that could not be drawn");
    case Fault::meta_not_finite:
      throw BadData("conductor: the meta-reward of row " + row + " is not finite");
    case Fault::gradient_not_finite:
      throw BadData("conductor: the gradient of parameter " + row +
                    " is not finite; lower the learning rate or check the loss");
    case Fault::advantage_not_finite:
      throw BadData("objective: row " + row + ": the advantage is not finite");
    case Fault::log_prob_not_finite:
      throw BadData(token + "log-prob" + check_rate);
    case Fault::old_log_prob_not_finite:
      throw BadData(token + "old log-prob" + check_rate);
    case Fault::reference_log_prob_not_finite:
      throw BadData(token + "reference log-prob" + check_rate);
    case Fault::entropy_not_finite:
      throw BadData(token + "entropy" + check_rate);
    case Fault::ratio_overflow:
      throw BadData(token + "ratio to the old policy overflows; old_log_probs are not those of these tokens");
  }
  throw Error("the device record holds a word that no kernel writes; was it initialized?");
}

/// FaultRecord is a record in the memory of an executor: `check()` throws the first fault that launches with its
/// `data()` have found.
template <class Executor>
class FaultRecord {
 public:
  explicit FaultRecord(Executor& executor) {
    word_.reserve(1);
    reset(executor);
  }
  /// Forgets what was found, in the order of the launches.
  void reset(Executor& executor) { executor.upload(&no_fault, word_.data(), 1); }
  /// Gives the word that kernels write, in the executor's memory.
  FaultWord* data() { return word_.data(); }
  /// Waits for the launches so far.
  /// @throws BadData, BadArgument or Error as throw_fault() does; the record is then reset.
  void check(Executor& executor) {
    FaultWord found = no_fault;
    executor.download(word_.data(), &found, 1);
    executor.wait();
    if (found == no_fault) return;
    reset(executor);
    throw_fault(found);
  }

 private:
  typename Executor::template Buffer<FaultWord> word_;
};

}  // namespace maestro::gpu
