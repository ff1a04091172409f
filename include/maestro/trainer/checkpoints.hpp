#pragma once

/// @file
/// Checkpoints of a run: whole or not there, a limited number of them, refused when they belong to another run.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/state.hpp"

namespace maestro {

struct CheckpointSettings {
  std::string folder;    ///< holds step-00000012/ and so on; made where it is missing
  std::size_t keep = 2;  ///< newest checkpoints kept; at least 1
  std::string
      fingerprint{};  ///< whatever decides the run's results (options, data); a checkpoint with another is refused
};

/// Saves and loads the whole state of a trainer: see Trainer::visit_state. Each checkpoint is written to a temporary
/// folder, synced and renamed; only then are the oldest ones removed, so a crash at any moment loses nothing.
class Checkpoints {
 public:
  /// Makes the folder and clears what a crash left half-written. @throws IoError
  explicit Checkpoints(CheckpointSettings settings) : settings_(std::move(settings)) {
    require(settings_.keep > 0, "checkpoints: keep must be at least 1");
    std::error_code error;
    std::filesystem::create_directories(settings_.folder, error);
    if (error) throw IoError(settings_.folder + ": cannot create the folder: " + error.message());
    for (const std::string& name : detail::names_in(settings_.folder)) {
      if (name.find(".tmp-") != std::string::npos || name.find(".old-") != std::string::npos) {
        recover_folder(settings_.folder + "/" + name.substr(0, name.find('.')));
      }
    }
  }

  /// The newest checkpoint's folder.
  std::optional<std::string> newest() const {
    const auto steps = saved_steps();
    if (steps.empty()) return std::nullopt;
    return path_of(steps.back());
  }

  /// @throws IoError; the checkpoints there were survive.
  template <class TrainerType>
  void save(TrainerType& trainer) {
    AtomicFolder folder(path_of(trainer.steps_done()));
    Contents<TrainerType> contents{trainer, settings_.fingerprint};
    save_state(folder.path("state.safetensors"), contents);
    folder.commit();
    auto steps = saved_steps();
    for (std::size_t i = 0; i + settings_.keep < steps.size(); ++i) detail::remove_tree(path_of(steps[i]));
  }

  /// Loads the newest checkpoint, if there is one, and says whether there was.
  /// @throws BadFile when it is damaged or was made by a run with another fingerprint.
  template <class TrainerType>
  bool resume(TrainerType& trainer) const {
    const auto folder = newest();
    if (!folder) return false;
    std::string found;
    {
      StateReader reader(*folder + "/state.safetensors");
      reader("fingerprint", found);
    }
    if (found != settings_.fingerprint) {
      throw BadFile(*folder +
                    ": was saved by a run with other settings; use another output folder, or the settings of "
                    "that run.\n  saved: " +
                    found + "\n  now:   " + settings_.fingerprint);
    }
    Contents<TrainerType> contents{trainer, found};
    load_state(*folder + "/state.safetensors", contents);
    return true;
  }

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

  std::string path_of(std::uint32_t step) const {
    char name[32];
    std::snprintf(name, sizeof name, "/step-%08u", step);
    return settings_.folder + name;
  }

  /// Steps of the complete checkpoints, ascending.
  std::vector<std::uint32_t> saved_steps() const {
    std::vector<std::uint32_t> steps;
    for (const std::string& name : detail::names_in(settings_.folder)) {
      unsigned step = 0;
      int read = 0;
      if (std::sscanf(name.c_str(), "step-%8u%n", &step, &read) == 1 && static_cast<std::size_t>(read) == name.size()) {
        steps.push_back(step);
      }
    }
    std::sort(steps.begin(), steps.end());
    return steps;
  }

  CheckpointSettings settings_;
};

}  // namespace maestro
