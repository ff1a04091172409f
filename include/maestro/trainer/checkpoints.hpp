#pragma once

/// @file
/// Checkpoints of a run. A checkpoint appears complete or not at all. Only the newest are kept, and a checkpoint of
/// another run is refused.

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
  /// A text of everything that decides the run's results, such as options and data. A checkpoint with another text is
  /// refused. If the text is a JSON object, the error names the keys that differ.
  std::string fingerprint{};
  /// Keys of the fingerprint whose values may differ from those of a checkpoint, such as "learning_rate".
  std::vector<std::string> may_change{};
  std::size_t rank = 0;  ///< of the trainer's communicator; only rank 0 makes, clears and writes anything
};

namespace detail {

/// Makes a folder and its parents.
/// @throws IoError naming the folder.
inline void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw IoError(path + ": cannot create the folder: " + error.message());
}

/// Lists the differences between two fingerprints, one line each. The list is empty if both are JSON objects with the
/// same members, in any order.
/// @param may_change  keys that are not compared.
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
/// temporary folder, synced and renamed. Only then the oldest ones are removed, so a crash at any moment loses nothing.
/// If several ranks share a trainer's steps, each has a Checkpoints of the same folder, which all of them can read, and
/// all make the same calls. A checkpoint is the same for any number of ranks.
class Checkpoints {
 public:
  /// Makes the folder and removes incomplete files that a crash left.
  /// @throws IoError if the folder cannot be made or read; BadArgument if keep is 0.
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

  /// Gives the folder of the newest checkpoint, if there is one.
  std::optional<std::string> newest() const { return newest_in(options_.folder); }
  /// Gives the newest checkpoint in a folder into which a run may be writing. It changes nothing in the folder.
  static std::optional<std::string> newest_in(const std::string& folder) {
    const auto steps = saved_steps(folder);
    if (steps.empty()) return std::nullopt;
    return path_of(folder, steps.back());
  }

  /// Gives the newest undamaged checkpoint in a folder; nullopt if there is no checkpoint.
  /// @param damaged  receives the error of each newer checkpoint that is damaged; may be nullptr.
  /// @throws BadFile with the error of the newest checkpoint if all are damaged.
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

  /// Refuses a checkpoint of another run. The order of the fingerprint's members is not compared.
  /// @param checkpoint  a folder that `newest` gave.
  /// @param may_change  see CheckpointOptions::may_change.
  /// @throws BadFile if the checkpoint is damaged or has another fingerprint.
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
  /// @throws IoError on the rank that writes, RankFailed on the others. The earlier checkpoints remain in this case.
  template <class TrainerType>
  void save(TrainerType& trainer) {
    if constexpr (requires { trainer.gather_state(); }) trainer.gather_state();
    in_step(detail::communicator_of(trainer), [&] {
      if (options_.rank == 0) write(trainer);
    });
  }

  /// Loads the newest undamaged checkpoint, and tells whether there was one. Newer checkpoints, which are damaged, are
  /// renamed to `step-<n>.damaged`. On rank 0, `passed_over` then gives their errors.
  /// @throws BadFile if all checkpoints are damaged, or if the checkpoint has another fingerprint; IoError; RankFailed.
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
  /// Gives the errors of the damaged checkpoints that the last `resume` skipped.
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
  /// Renames the checkpoints newer than `folder`, which are damaged.
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
