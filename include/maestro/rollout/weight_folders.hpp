#pragma once

/// @file
/// The folders of the weights that a run publishes to its rollout server.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/folder_lock.hpp"

namespace maestro {

namespace detail {

/// Tells whether all characters of `text` are digits of a lower-case hexadecimal number, or of a decimal one.
inline bool is_number(std::string_view text, bool hexadecimal) {
  const auto digit = [&](char c) { return (c >= '0' && c <= '9') || (hexadecimal && c >= 'a' && c <= 'f'); };
  return !text.empty() && std::all_of(text.begin(), text.end(), digit);
}

/// Gives the run's part of a name that WeightFolders made, with or without the suffix of an unfinished folder. It is
/// empty for any other name.
inline std::string_view run_of_weights(std::string_view name) {
  name = name.substr(0, name.find(".tmp-"));
  constexpr std::string_view start = "maestro-";
  if (!name.starts_with(start)) return {};
  name.remove_prefix(start.size());
  const std::size_t first = name.find('-');
  const std::size_t last = name.rfind('-');
  if (first == std::string_view::npos || first == last) return {};
  const std::string_view checksum = name.substr(first + 1, last - first - 1);
  const std::string_view run = name.substr(last + 1);
  const bool ours = is_number(name.substr(0, first), false) && checksum.size() == 8 && is_number(checksum, true) &&
                    run.size() == 8 && is_number(run, true);
  return ours ? run : std::string_view();
}

/// Tells whether a folder holds only files of a model or of adapters.
inline bool holds_weights_alone(const std::string& folder) {
  const std::vector<std::string> names = names_in(folder);
  return std::all_of(names.begin(), names.end(), [](std::string_view name) {
    name = name.substr(0, name.find(".tmp-"));
    return is_model_file(name) || is_adapter_file(name);
  });
}

}  // namespace detail

/// WeightFolders names the folders of one run's weights inside a folder that several runs may share, and keeps the
/// newest. Each run holds the file `maestro-<run>.lock` while it lives. The next run that begins on the same host
/// removes the folders of runs that have ended, and nothing else.
class WeightFolders {
 public:
  /// Makes nothing yet.
  /// @param kept  the number of this run's newest folders to keep.
  WeightFolders(std::string folder, std::size_t kept)
      : folder_(detail::without_trailing_slashes(std::move(folder))), kept_(kept) {
    const auto now = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%08x", static_cast<std::uint32_t>(now >> 8));
    run_ = text.data();
  }

  /// Makes the folder and removes what earlier runs left in it. Later calls do nothing.
  /// @throws IoError if the folder cannot be made.
  void open() {
    if (open_) return;
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    if (error) throw IoError("served policy: " + folder_ + ": cannot make the folder: " + error.message());
    try {
      lock_.emplace(folder_, lock_name(run_));
    } catch (const IoError&) {
      // A file system without locks: nobody can tell there whose process is gone, and so nothing is removed.
    }
    if (lock_) remove_those_of_the_dead();
    open_ = true;
  }
  /// Gives a name for weights, made of their number, their checksum and the run's own part.
  std::string name(std::uint32_t number, std::uint32_t checksum) const {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "maestro-%u-%08x-", number, checksum);
    return text.data() + run_;
  }
  /// Gives the path of the weights of this name.
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  const std::string& folder() const { return folder_; }
  /// Records weights that were written.
  void add(const std::string& name) {
    if (names_.empty() || names_.back() != name) names_.push_back(name);
  }
  /// Removes this run's oldest folders, so that the wanted number remains.
  void trim() {
    while (names_.size() > kept_) {
      detail::remove_tree(path(names_.front()));
      names_.pop_front();
    }
  }

 private:
  static std::string lock_name(std::string_view run) { return "maestro-" + std::string(run) + ".lock"; }

  void remove_those_of_the_dead() const {
    const std::vector<std::string> names = detail::names_in(folder_);
    std::vector<std::string> runs;
    for (const std::string& name : names) {
      if (!name.starts_with("maestro-") || !name.ends_with(".lock")) continue;
      const std::string run = name.substr(8, name.size() - 13);
      if (run.size() == 8 && detail::is_number(run, true) && run != run_) runs.push_back(run);
    }
    for (const std::string& run : runs) {
      if (!FolderLock::was_held_here(path(lock_name(run)))) continue;
      try {
        const FolderLock gone(folder_, lock_name(run));
        for (const std::string& name : names) {
          if (detail::run_of_weights(name) == run && std::filesystem::is_directory(path(name)) &&
              detail::holds_weights_alone(path(name))) {
            detail::remove_tree(path(name));
          }
        }
        std::filesystem::remove(path(lock_name(run)));
      } catch (const Error&) {
        // Its process lives, or its files cannot be removed: they stay.
      } catch (const std::filesystem::filesystem_error&) {
      }
    }
  }

  std::string folder_;
  std::size_t kept_;
  std::string run_;
  bool open_ = false;
  std::optional<FolderLock> lock_{};
  std::deque<std::string> names_{};  // written, oldest first
};

}  // namespace maestro
