#pragma once

/// @file
/// Checkpoints of a run. A checkpoint is whole or not there, only the newest are kept, and one that belongs to another
/// run is refused.

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/distributed/collectives.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/safetensors.hpp"
#include "maestro/io/state.hpp"
#include "maestro/trainer/ranks.hpp"

namespace maestro {

/// CheckpointOptions holds the folder of a run's checkpoints, and what identifies the run.
struct CheckpointOptions {
  std::string folder;    ///< holds step-00000012/ and so on; made if it is missing
  std::size_t keep = 2;  ///< newest checkpoints kept; at least 1
  /// A text of everything that decides the run's results (options, data); a checkpoint with another text is refused. If
  /// it is a JSON object, the refusal names the keys that differ.
  std::string fingerprint{};
  /// Keys of the fingerprint whose values may differ from those of a checkpoint, such as "learning_rate".
  std::vector<std::string> may_change{};
  std::size_t rank = 0;  ///< of the trainer's communicator; only rank 0 makes, clears and writes anything
};

namespace detail {

/// Makes a folder and those above it.
/// @throws IoError
inline void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw IoError(path + ": cannot create the folder: " + error.message());
}

/// Lists what differs between two fingerprints, one line each. The list is empty if both are JSON objects with the same
/// members, whatever their order.
inline std::string fingerprint_difference(const std::string& saved, const std::string& now,
                                          std::span<const std::string> may_change = {}) {
  const auto object = [](const std::string& text) {
    try {
      return parse_json(text, "fingerprint");
    } catch (const BadFile&) {
      return Json();
    }
  };
  const Json a = object(saved);
  const Json b = object(now);
  if (!a.is_object() || !b.is_object()) return "\n  saved: " + saved + "\n  now:   " + now;
  const auto shown = [](const Json& json, const std::string& key) {
    return json.contains(key) ? dump_json(json.at(key)) : std::string("nothing");
  };
  Json keys = a;
  keys.update(b);
  std::string lines;
  for (const auto& [key, value] : keys.items()) {
    if (a.contains(key) && b.contains(key) && a.at(key) == b.at(key)) continue;
    if (std::find(may_change.begin(), may_change.end(), key) != may_change.end()) continue;
    lines += "\n  " + key + ": saved " + shown(a, key) + ", now " + shown(b, key);
  }
  return lines;
}

}  // namespace detail

/// Checkpoints saves and loads the whole state of a trainer; see Trainer::visit_state. Each checkpoint is written to a
/// temporary folder, synced and renamed; only then are the oldest ones removed, so a crash at any moment loses nothing.
/// Where several ranks share a trainer's steps, each has a Checkpoints of the same folder, which all of them can read,
/// and all make the same calls. A checkpoint is the same for any number of ranks.
class Checkpoints {
 public:
  /// Makes the folder and clears what a crash left half-written.
  /// @throws IoError
  explicit Checkpoints(CheckpointOptions options) : options_(std::move(options)) {
    require(options_.keep > 0, "checkpoints: keep must be at least 1");
    if (options_.rank != 0) return;
    detail::make_folder(options_.folder);
    for (const std::string& name : detail::names_in(options_.folder)) {
      if (name.find(".tmp-") != std::string::npos || name.find(".old-") != std::string::npos) {
        recover_folder(options_.folder + "/" + name.substr(0, name.find('.')));
      }
    }
  }

  /// Gives the newest checkpoint's folder, if there is one.
  std::optional<std::string> newest() const { return newest_in(options_.folder); }
  /// Finds the newest checkpoint of a folder in which a run may be writing. It changes nothing in the folder.
  static std::optional<std::string> newest_in(const std::string& folder) {
    const auto steps = saved_steps(folder);
    if (steps.empty()) return std::nullopt;
    return path_of(folder, steps.back());
  }

  /// Finds the newest checkpoint of a folder whose data are those that were written.
  /// @param damaged  gets what is wrong with each newer one that is passed over; nullptr: it is not wanted.
  /// @throws BadFile if all checkpoints are damaged: what is wrong with the newest.
  static std::optional<std::string> newest_whole_in(const std::string& folder,
                                                    std::vector<std::string>* damaged = nullptr) {
    const auto steps = saved_steps(folder);
    std::string first;
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
      const std::string path = path_of(folder, *step);
      try {
        SafetensorsFile(path + "/state.safetensors").verify_all();
        return path;
      } catch (const Error& error) {
        if (first.empty()) first = error.what();
        if (damaged != nullptr) damaged->push_back(error.what());
      }
    }
    if (!first.empty()) throw BadFile(first + "; no older checkpoint is whole");
    return std::nullopt;
  }

  /// Refuses a checkpoint of another run. The order of a fingerprint's members does not count.
  /// @param checkpoint  a folder that newest gave.
  /// @param may_change  as CheckpointOptions has it.
  /// @throws BadFile if the checkpoint is damaged or was made by a run with another fingerprint.
  static void check_fingerprint(const std::string& checkpoint, const std::string& fingerprint,
                                std::span<const std::string> may_change = {}) {
    std::string found;
    StateReader reader(checkpoint + "/state.safetensors");
    reader("fingerprint", found);
    if (found == fingerprint) return;
    const std::string difference = detail::fingerprint_difference(found, fingerprint, may_change);
    if (difference.empty()) return;
    throw BadFile(checkpoint +
                  ": was saved by a run with other settings; use another output folder, or the settings of that run." +
                  difference);
  }

  /// Saves the trainer's state and removes the oldest checkpoints.
  /// @throws IoError, or RankFailed on the ranks that do not write; the earlier checkpoints then survive.
  template <class TrainerType>
  void save(TrainerType& trainer) {
    if constexpr (requires { trainer.gather_state(); }) trainer.gather_state();
    in_step(detail::communicator_of(trainer), [&] {
      if (options_.rank == 0) write(trainer);
    });
  }

  /// Loads the newest checkpoint that is whole, if there is one, and tells whether there was. Newer ones that are
  /// damaged are renamed to `step-<n>.damaged`, and `passed_over` then says what is wrong with them (on rank 0).
  /// @throws BadFile if all are damaged, or if it was made by a run with another fingerprint; IoError; RankFailed.
  template <class TrainerType>
  bool resume(TrainerType& trainer) {
    auto& ranks = detail::communicator_of(trainer);
    passed_over_.clear();
    std::string folder;
    in_step(ranks, [&] {
      if (options_.rank != 0) return;
      folder = newest_whole_in(options_.folder, &passed_over_).value_or("");
      if (!folder.empty()) check_fingerprint(folder, options_.fingerprint, options_.may_change);
    });
    folder = text_of_first(folder, ranks);
    if (folder.empty()) return false;
    in_step(ranks, [&] {
      std::string found;
      Contents<TrainerType> contents{trainer, found};
      load_state(folder + "/state.safetensors", contents);
    });
    in_step(ranks, [&] {
      if (options_.rank == 0) put_aside_after(folder);
    });
    return true;
  }
  /// Gives what is wrong with checkpoints that the last `resume` passed over.
  const std::vector<std::string>& passed_over() const { return passed_over_; }

 private:
  template <class TrainerType>
  struct Contents {
    TrainerType& trainer;
    std::string& fingerprint;
    template <class Visitor>
    void visit_state(Visitor& v) {
      v("fingerprint", fingerprint);
      v("trainer", trainer);
    }
  };

  template <class TrainerType>
  void write(TrainerType& trainer) {
    AtomicFolder folder(path_of(options_.folder, trainer.steps_done()));
    Contents<TrainerType> contents{trainer, options_.fingerprint};
    save_state(folder.path("state.safetensors"), contents);
    folder.commit();
    const auto steps = saved_steps(options_.folder);
    for (std::size_t i = 0; i + options_.keep < steps.size(); ++i)
      detail::remove_tree(path_of(options_.folder, steps[i]));
  }
  /// Renames the checkpoints that are newer than `folder`: they are damaged.
  void put_aside_after(const std::string& folder) const {
    for (auto newer = newest(); newer && *newer != folder; newer = newest()) {
      const std::string aside = *newer + ".damaged";
      detail::remove_tree(aside);
      if (::rename(newer->c_str(), aside.c_str()) != 0) detail::throw_io(*newer, "rename", errno);
    }
  }

  static std::string path_of(const std::string& folder, std::uint32_t step) {
    char name[32];
    std::snprintf(name, sizeof name, "/step-%08u", step);
    return folder + name;
  }

  /// Gives the steps of the complete checkpoints, ascending.
  static std::vector<std::uint32_t> saved_steps(const std::string& folder) {
    std::vector<std::uint32_t> steps;
    for (const std::string& name : detail::names_in(folder)) {
      unsigned step = 0;
      int read = 0;
      if (std::sscanf(name.c_str(), "step-%8u%n", &step, &read) == 1 && static_cast<std::size_t>(read) == name.size()) {
        steps.push_back(step);
      }
    }
    std::sort(steps.begin(), steps.end());
    return steps;
  }

  CheckpointOptions options_;
  std::vector<std::string> passed_over_;
};

}  // namespace maestro
