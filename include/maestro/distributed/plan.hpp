#pragma once

/// @file
/// A model of the seconds of a training step on more ranks than are available. It adds computation, communication by
/// latency and bandwidth, and waiting for the slowest rank. It is fitted to measured runs; its results are predictions.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"

namespace maestro {

/// Network describes the link of each rank: every rank has its own, with full bandwidth in both directions.
struct Network {
  std::string_view name;
  double bytes_per_second = 0.0;  ///< the line rate
  double latency = 0.0;           ///< seconds from a message's start until it is there
};

/// networks lists the networks that a plan knows, with their line rates. The latencies are usual ones of MPI: over TCP
/// for Ethernet, over verbs for InfiniBand.
inline constexpr std::array<Network, 7> networks{{{"1GbE", 0.125e9, 50e-6},
                                                  {"10GbE", 1.25e9, 30e-6},
                                                  {"25GbE", 3.125e9, 20e-6},
                                                  {"100GbE", 12.5e9, 15e-6},
                                                  {"EDR", 12.5e9, 2e-6},
                                                  {"HDR", 25e9, 2e-6},
                                                  {"NDR", 50e9, 2e-6}}};

/// same_share is the factor below which two token counts per rank are taken as equal.
inline constexpr double same_share = 1.05;

/// Gives the seconds of a ring reduce-scatter over n ranks, or of an all-gather, which moves as many bytes: (n - 1)
/// latency + (n - 1) / n * bytes / bandwidth.
/// @param bytes  size of the whole buffer.
/// Source: Thakur, Rabenseifner and Gropp 2005, section 4.
inline double ring_seconds(const Network& network, std::size_t ranks, double bytes) {
  const auto n = static_cast<double>(ranks);
  return (n - 1.0) * network.latency + (n - 1.0) / n * bytes / network.bytes_per_second;
}

/// Gives the seconds of a ring all-reduce, which is a reduce-scatter followed by an all-gather: 2 (n - 1) latency + 2
/// (n - 1) / n * bytes / bandwidth.
inline double all_reduce_seconds(const Network& network, std::size_t ranks, double bytes) {
  return 2.0 * ring_seconds(network, ranks, bytes);
}

/// Gives the seconds in which n ranks agree on a few bytes by recursive doubling: ceil(log2 n) latency.
inline double agreement_seconds(const Network& network, std::size_t ranks) {
  double rounds = 0.0;
  for (std::size_t reached = 1; reached < ranks; reached *= 2) rounds += 1.0;
  return rounds * network.latency;
}

/// Gives the expected maximum of n independent standard normal numbers: the integral of n x phi(x) Phi(x)^(n - 1) by
/// the trapezoidal rule, exact to about 1e-8. It tells by how many standard deviations the slowest of n ranks exceeds
/// the mean.
inline double expected_maximum(std::size_t n) {
  constexpr double step = 1.0 / 256.0;
  double sum = 0.0;
  for (double x = -10.0; x <= 10.0; x += step) {
    const double density = std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::numbers::pi);
    const double below = 0.5 * std::erfc(-x / std::numbers::sqrt2);
    sum += x * density * std::pow(below, static_cast<double>(n) - 1.0);
  }
  return static_cast<double>(n) * sum * step;
}

/// StepTraffic describes what the ranks exchange in a step.
struct StepTraffic {
  double gradient_bytes = 0.0;      ///< of one update; with a sharded optimizer (ZeRO-1) as many bytes move
  double window_bytes = 0x1p24;     ///< of one collective of gradients at most
  double updates = 1.0;             ///< of a step
  double bytes_of_a_prompt = 0.0;   ///< responses, hidden states, scores: gathered on every rank
  double agreements_a_step = 10.0;  ///< small collectives: the ends of phases, norms, figures
  double agreements_an_update = 3.0;
};

/// Gives the seconds of communication in a step of `prompts` prompts over all ranks.
inline double traffic_seconds(const StepTraffic& traffic, const Network& network, std::size_t ranks, double prompts) {
  if (ranks <= 1) return 0.0;
  const double windows = std::ceil(traffic.gradient_bytes / traffic.window_bytes);
  // The latency of each window, the bytes of all.
  const double update = all_reduce_seconds(network, ranks, traffic.gradient_bytes) +
                        std::max(windows - 1.0, 0.0) * all_reduce_seconds(network, ranks, 0.0);
  const double agreements = traffic.agreements_a_step + traffic.updates * traffic.agreements_an_update;
  return traffic.updates * update + ring_seconds(network, ranks, prompts * traffic.bytes_of_a_prompt) +
         agreements * agreement_seconds(network, ranks);
}

/// MeasuredRun holds means over the steps of a run, as rank 0 logged them. The seconds of a phase include its
/// communication.
struct MeasuredRun {
  std::size_t ranks = 1;
  std::size_t threads = 1;  ///< of each rank
  double prompts = 0.0;     ///< of a step
  double tokens = 0.0;      ///< of a step's prompts and responses
  double rollout = 0.0;
  double rewards = 0.0;  ///< the KL reference too
  double training = 0.0;
  double step = 0.0;
  double communication = 0.0;  ///< waiting included
  double exchange = 0.0;       ///< part of communication: gradients
};

/// StepCost holds the predicted seconds of a step, by part.
struct StepCost {
  double rollout = 0.0;
  double rewards = 0.0;
  double training = 0.0;
  double everywhere = 0.0;  ///< what every rank does for the whole step: Conductor, scalarization, figures
  double waiting = 0.0;     ///< for the slowest rank
  double network = 0.0;
  double tokens = 0.0;  ///< of the step

  double total() const { return rollout + rewards + training + everywhere + waiting + network; }
  double tokens_per_second() const { return tokens / total(); }
  /// Gives the share of the step that is waiting or communication, in [0, 1].
  double communication() const { return (waiting + network) / total(); }
};

/// CostModel predicts the seconds of a step. A rank's own work costs a constant plus an amount for each token of its
/// share. For a thread count that was not measured, both follow from two measured ones by Amdahl's law. Work that every
/// rank does for the whole step grows with the batch. Ranks end a phase together and so wait for the slowest. The times
/// of shares of p prompts have a standard deviation of spread / sqrt(p) of their mean; the slowest of n ranks is
/// expected_maximum(n) standard deviations above the mean.
///
/// The fit is by least squares and deterministic. The slowdown that ranks on one machine cause each other counts as a
/// constant of the step. Runs of several ranks on one machine therefore make a prediction for many machines too slow
/// rather than too fast.
class CostModel {
 public:
  /// @throws BadArgument if no run is one of a single rank, or a run has no tokens, no prompts or no seconds.
  explicit CostModel(std::span<const MeasuredRun> runs) {
    for (const MeasuredRun& run : runs) {
      require(run.ranks > 0 && run.threads > 0 && run.prompts > 0.0 && run.tokens > 0.0 && run.step > 0.0,
              "plan: a run without ranks, threads, prompts, tokens or seconds");
    }
    fit_shares(runs);
    fit_own_work(runs);
    fit_spread(runs);
  }

  /// OwnWork holds the seconds of a rank's own work: a constant, and an amount for each token.
  struct OwnWork {
    std::size_t threads = 1;
    double constant = 0.0;
    double a_token = 0.0;
  };

  /// Tells whether steps with this number of threads can be predicted: this number was measured, or two others were.
  bool knows_threads(std::size_t threads) const {
    return work_.size() > 1 || (work_.size() == 1 && work_.front().threads == threads);
  }
  /// Gives the seconds of a rank's own work with a number of threads.
  /// @throws BadArgument for a number of threads that cannot be predicted.
  OwnWork own_work(std::size_t threads) const {
    require(threads > 0 && knows_threads(threads),
            "plan: no run says what other numbers of threads do; measure one rank with two of them (--threads)");
    for (const OwnWork& work : work_) {
      if (work.threads == threads) return work;
    }
    std::vector<double> x;
    OwnWork found{.threads = threads};
    for (double OwnWork::*part : {&OwnWork::constant, &OwnWork::a_token}) {
      x.clear();
      std::vector<double> y;
      for (const OwnWork& work : work_) {
        x.push_back(1.0 / static_cast<double>(work.threads));
        y.push_back(work.*part);
      }
      const Line line = fit_line(x, y);
      found.*part = line.constant + line.slope / static_cast<double>(threads);
    }
    return found;
  }
  double everywhere_a_token() const { return everywhere_a_token_; }
  /// Gives rollout's share of a rank's work on its tokens. The shares of rollout, rewards and training sum to 1.
  double rollout_share() const { return rollout_share_; }
  double rewards_share() const { return rewards_share_; }
  double training_share() const { return 1.0 - rollout_share_ - rewards_share_; }
  /// Gives the standard deviation of the time for one prompt's work, as a share of its mean. It is 0 if no run had
  /// several ranks.
  double spread() const { return spread_; }
  double tokens_of_a_prompt() const { return tokens_of_a_prompt_; }

  /// Predicts a step of `prompts` prompts over all ranks, distributed evenly.
  /// @throws BadArgument for no ranks, or a number of threads that cannot be predicted.
  StepCost predict(std::size_t ranks, std::size_t threads, double prompts, const Network& network,
                   const StepTraffic& traffic) const {
    require(ranks > 0, "plan: a step needs at least one rank");
    const OwnWork work = own_work(threads);
    const double tokens = prompts * tokens_of_a_prompt_;
    const double a_rank = prompts / static_cast<double>(ranks);
    const double own = work.a_token * a_rank * tokens_of_a_prompt_;
    const double deviation = a_rank > 0.0 ? spread_ / std::sqrt(a_rank) : 0.0;
    return {.rollout = own * rollout_share(),
            .rewards = own * rewards_share(),
            .training = own * training_share() + work.constant,
            .everywhere = everywhere_a_token_ * tokens,
            .waiting = ranks > 1 ? own * deviation * expected_maximum(ranks) : 0.0,
            .network = traffic_seconds(traffic, network, ranks, prompts),
            .tokens = tokens};
  }

 private:
  struct Line {
    double constant = 0.0;
    double slope = 0.0;
  };

  /// Fits y = constant + slope x by least squares, neither of them below 0. If all x are about equal, the constant is
  /// 0.
  static Line fit_line(std::span<const double> x, std::span<const double> y) {
    const auto n = static_cast<double>(x.size());
    double sx = 0.0, sy = 0.0, sxx = 0.0, sxy = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      sx += x[i];
      sy += y[i];
      sxx += x[i] * x[i];
      sxy += x[i] * y[i];
    }
    const double determinant = n * sxx - sx * sx;
    // Shares of as many prompts differ in their tokens by chance: a line through them would be one through noise.
    const auto [smallest, largest] = std::minmax_element(x.begin(), x.end());
    const bool one_place = *largest <= same_share * *smallest;
    Line line{.constant = 0.0, .slope = std::max(sxy / sxx, 0.0)};
    if (one_place) return line;
    const double slope = (n * sxy - sx * sy) / determinant;
    const double constant = (sy - slope * sx) / n;
    if (slope < 0.0) return {.constant = std::max(sy / n, 0.0), .slope = 0.0};
    return constant < 0.0 ? line : Line{.constant = constant, .slope = slope};
  }

  /// Fits from the runs of one rank: the share of each phase, and the work that every rank does for all tokens.
  void fit_shares(std::span<const MeasuredRun> runs) {
    double rollout = 0.0, rewards = 0.0, training = 0.0, rest = 0.0, tokens = 0.0, all_tokens = 0.0, prompts = 0.0;
    for (const MeasuredRun& run : runs) {
      all_tokens += run.tokens;
      prompts += run.prompts;
      if (run.ranks > 1) continue;
      rollout += run.rollout;
      rewards += run.rewards;
      training += run.training;
      rest += std::max(run.step - run.rollout - run.rewards - run.training, 0.0);
      tokens += run.tokens;
    }
    const double own = rollout + rewards + training;
    require(own > 0.0, "plan: it needs a measured run of one rank");
    rollout_share_ = rollout / own;
    rewards_share_ = rewards / own;
    everywhere_a_token_ = rest / tokens;
    tokens_of_a_prompt_ = all_tokens / prompts;
  }

  double own_seconds(const MeasuredRun& run) const {
    return std::max(run.step - run.communication - everywhere_a_token_ * run.tokens, 0.0);
  }

  void fit_own_work(std::span<const MeasuredRun> runs) {
    std::vector<std::size_t> counts;
    for (const MeasuredRun& run : runs) counts.push_back(run.threads);
    std::sort(counts.begin(), counts.end());
    counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
    for (const std::size_t threads : counts) {
      std::vector<double> x;
      std::vector<double> y;
      for (const MeasuredRun& run : runs) {
        if (run.threads != threads) continue;
        x.push_back(run.tokens / static_cast<double>(run.ranks));
        y.push_back(own_seconds(run));
      }
      const Line line = fit_line(x, y);
      work_.push_back({.threads = threads, .constant = line.constant, .a_token = line.slope});
    }
  }

  void fit_spread(std::span<const MeasuredRun> runs) {
    double products = 0.0, squares = 0.0;
    for (const MeasuredRun& run : runs) {
      const auto ranks = static_cast<double>(run.ranks);
      const double own = own_work(run.threads).a_token * run.tokens / ranks;
      if (run.ranks == 1 || own == 0.0) continue;
      const double waiting = std::max(run.communication - run.exchange, 0.0) / own;
      const double expected = expected_maximum(run.ranks) / std::sqrt(run.prompts / ranks);
      products += waiting * expected;
      squares += expected * expected;
    }
    spread_ = squares > 0.0 ? products / squares : 0.0;
  }

  double rollout_share_ = 0.0;
  double rewards_share_ = 0.0;
  double everywhere_a_token_ = 0.0;
  double tokens_of_a_prompt_ = 0.0;
  double spread_ = 0.0;
  std::vector<OwnWork> work_;
};

}  // namespace maestro
