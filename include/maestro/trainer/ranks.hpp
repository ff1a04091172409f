#pragma once

/// @file
/// Exchanges between the ranks of a step other than rollouts and gradients.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/hash.hpp"
#include "maestro/data/anchor.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/distributed/collectives.hpp"
#include "maestro/trainer/gather_rollouts.hpp"
#include "maestro/trainer/step_report.hpp"

namespace maestro::detail {

/// Gives the communicator of a trainer, or that of one process for a type that has none.
template <class TrainerType>
decltype(auto) communicator_of(TrainerType& trainer) {
  if constexpr (requires { trainer.communicator(); }) {
    return trainer.communicator();
  } else {
    static SingleProcess alone;
    return (alone);
  }
}

/// Gives the share of consecutive groups that a rank works on: [first + n r / size, first + n (r + 1) / size).
constexpr GroupRange rank_share(GroupRange all, std::size_t rank, std::size_t size) {
  const std::size_t count = all.last - all.first;
  return {all.first + count * rank / size, all.first + count * (rank + 1) / size};
}

/// Adds the wall-clock seconds that `work` takes.
template <class Work>
void add_seconds(double& seconds, const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Calls in_step, and adds the time that it takes after this rank's own work to `seconds`.
template <Communicator Comm, class Work>
void timed_phase(Comm& comm, double& seconds, const Work& work) {
  if (comm.size() == 1) {
    work();
    return;
  }
  std::chrono::steady_clock::time_point done;
  in_step(comm, [&] {
    work();
    done = std::chrono::steady_clock::now();
  });
  seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - done).count();
}

/// Refuses a value that differs between ranks.
/// @throws BadArgument on every rank if `own` is not the same on all.
template <Communicator Comm>
void require_alike(std::uint64_t own, const char* message, Comm& comm) {
  for (const std::uint64_t other : gather_values(std::span<const std::uint64_t>(&own, 1), comm)) {
    require(other == own, message);
  }
}

/// Gives a hash of the values of a step that must agree on all ranks: its number and its prompts.
inline std::uint64_t hash_of_step(std::uint32_t step, std::span<const Prompt> prompts) {
  std::uint64_t hash = fnv1a(std::to_string(step));
  for (const Prompt& prompt : prompts) {
    hash = fnv1a(std::to_string(prompt.row) + ":" + std::to_string(prompt.text.size()) + ":", hash);
    hash = fnv1a(prompt.text, hash);
  }
  return hash;
}

/// Gives a hash of the values of every parameter of `part`.
template <class P>
std::uint64_t hash_of_values(P& part) {
  std::uint64_t hash = fnv1a_start;
  part.visit([&](auto parameter) {
    hash = fnv1a({reinterpret_cast<const char*>(parameter.values.data()), parameter.values.size_bytes()}, hash);
  });
  return hash;
}

/// Overwrites `all`, which must have its shape, with the rows of all ranks' matrices, rank 0's first.
template <Communicator Comm>
void gather_rows(const Matrix<float>& own, Matrix<float>& all, Comm& comm) {
  const std::vector<float> values = gather_values(std::span<const float>(own.flat()), comm);
  require(values.size() == all.flat().size(), "ranks: their rewards are not those of the step's responses");
  std::copy(values.begin(), values.end(), all.data());
}

/// Sums the rewards' own figures over the ranks, and takes the failure of the first rank that has one.
template <Communicator Comm>
void merge_reward_figures(StepReport& report, Comm& comm) {
  std::vector<double> values;
  for (const RewardFigures& reward : report.rewards) {
    for (const auto& [name, value] : reward.own) values.push_back(value);
  }
  comm.all_reduce_sum(std::span<double>(values));
  std::size_t at = 0;
  for (RewardFigures& reward : report.rewards) {
    for (auto& [name, value] : reward.own) value = values[at++];
  }
  for (const std::vector<std::byte>& text : comm.all_gather(std::as_bytes(std::span(report.reward_failure)))) {
    if (text.empty()) continue;
    report.reward_failure.assign(reinterpret_cast<const char*>(text.data()), text.size());
    break;
  }
}

/// Gives every rank the signal, the anchor's figures and the failure of rank 0.
template <Communicator Comm>
void share_signal(AnchorSignal& signal, std::vector<std::pair<std::string, double>>& figures, std::string& failure,
                  Comm& comm) {
  ByteWriter out;
  if (comm.rank() == 0) {
    const std::uint64_t numbers[4] = {signal.demonstrated.rows(), signal.demonstrated.cols(), signal.calls,
                                      signal.total};
    std::string names;
    std::vector<double> values{signal.blend};
    for (const auto& [name, value] : figures) {
      names += name + '\n';
      values.push_back(value);
    }
    out.write(std::span<const std::uint64_t>(numbers));
    out.write(std::span<const std::size_t>(signal.groups));
    out.write(std::span<const float>(signal.judged));
    out.write(std::as_const(signal.demonstrated).flat());
    out.write(std::span<const double>(values));
    out.write(std::span<const char>(names));
    out.write(std::span<const char>(failure));
  }
  const RankBytes all = comm.all_gather(out.bytes());
  ByteReader in(all.front());
  const auto numbers = in.read<std::uint64_t>();
  signal.groups = in.read<std::size_t>();
  signal.judged = in.read<float>();
  const auto demonstrated = in.read<float>();
  signal.demonstrated.resize(numbers[0], numbers[1]);
  std::copy(demonstrated.begin(), demonstrated.end(), signal.demonstrated.data());
  signal.calls = numbers[2];
  signal.total = numbers[3];
  const auto values = in.read<double>();
  signal.blend = values[0];
  const auto names = in.read<char>();
  figures.clear();
  std::string name;
  for (const char c : names) {
    if (c != '\n') {
      name += c;
    } else {
      figures.emplace_back(std::exchange(name, {}), values[figures.size() + 1]);
    }
  }
  const auto text = in.read<char>();
  failure.assign(text.begin(), text.end());
}

}  // namespace maestro::detail
