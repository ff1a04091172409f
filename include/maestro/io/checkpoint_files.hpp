#pragma once

/// @file
/// The weights of a checkpoint, in one safetensors file or in several with an index, as one set of tensors.

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/safetensors.hpp"

namespace maestro {

/// WeightMap maps the name of each tensor to the name of its shard.
using WeightMap = std::map<std::string, std::string>;

namespace detail {

/// Tells whether a name is that of a shard in the folder of its index. Paths to other folders are refused.
inline bool is_shard_name(std::string_view name) {
  constexpr std::string_view ending = ".safetensors";
  return name.size() > ending.size() && name.ends_with(ending) && !name.starts_with('.') &&
         name.find("..") == std::string_view::npos && name.find_first_of("/\\") == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

}  // namespace detail

/// Reads the text of a model.safetensors.index.json, of which only the weight_map is used.
/// @param file  name of the file, for messages.
/// @throws BadFile naming tensor and shard if the map is missing or empty, or if a shard is not a plain *.safetensors
///         name.
inline WeightMap parse_weight_map(std::string_view text, const std::string& file) {
  const Json json = parse_json(text, file);
  const JsonFields map = JsonFields(json, file).object("weight_map");
  WeightMap shards;
  for (const auto& item : map.json().items()) {
    if (!item.value().is_string() || !detail::is_shard_name(item.value().get_ref<const std::string&>())) {
      throw BadFile(file + ": weight_map puts tensor " + detail::quote_text(item.key()) + " into " +
                    detail::shown(item.value()) + ", which is not the name of a .safetensors file beside the index");
    }
    shards.emplace(item.key(), item.value().get<std::string>());
  }
  if (shards.empty()) throw BadFile(file + ": weight_map names no tensor");
  return shards;
}

/// CheckpointFiles gives the tensors of one safetensors file, or of the shards of an index. The files are mapped into
/// memory.
///
/// A sharded checkpoint is checked as a whole when it is opened: each tensor of the index is in the shard that the
/// index names and in no other, and no shard has a tensor that the index does not list. Several threads may use a const
/// object at once.
class CheckpointFiles {
 public:
  static constexpr std::size_t max_index = std::size_t{1} << 27;
  static constexpr const char* single_name = "model.safetensors";
  static constexpr const char* index_name = "model.safetensors.index.json";

  /// Opens and checks the files.
  /// @param path  a safetensors file, or the .json index of several.
  /// @throws IoError if a file cannot be opened; BadFile naming file, tensor and reason if a file is not valid, or if
  ///         the index and the shards disagree.
  explicit CheckpointFiles(const std::string& path) : path_(path) {
    if (path.ends_with(".json")) {
      open_shards();
    } else {
      files_.emplace_back(path);
      for (const TensorInfo& tensor : files_[0].tensors()) holder_.emplace(tensor.name, 0);
    }
  }

  /// Opens the weights of a model folder: model.safetensors, or if there is none, the shards of
  /// model.safetensors.index.json.
  /// @throws IoError or BadFile as the constructor.
  static CheckpointFiles of_folder(const std::string& folder) {
    const std::string single = folder + "/" + single_name;
    const std::string index = folder + "/" + index_name;
    return CheckpointFiles(!path_exists(single) && path_exists(index) ? index : single);
  }

  /// Gives the path of the file or of the index.
  const std::string& path() const { return path_; }
  const std::vector<SafetensorsFile>& files() const { return files_; }
  /// Lists all tensors, file by file, in the order of their data. The pointers are valid as long as the object.
  std::vector<const TensorInfo*> tensors() const {
    std::vector<const TensorInfo*> all;
    all.reserve(holder_.size());
    for (const SafetensorsFile& file : files_) {
      for (const TensorInfo& tensor : file.tensors()) all.push_back(&tensor);
    }
    return all;
  }

  /// Renames the tensors of all files; see SafetensorsFile::rename.
  /// @throws BadFile if two tensors get the same name.
  template <class F>
  void rename(F&& f) {
    holder_.clear();
    for (std::size_t index = 0; index < files_.size(); ++index) {
      files_[index].rename(f);
      for (const TensorInfo& tensor : files_[index].tensors()) {
        if (holder_.emplace(tensor.name, index).second) continue;
        throw BadFile(path_ + ": tensor " + detail::quote_text(tensor.name) + " is there twice, under two names");
      }
    }
  }

  /// Gives a tensor; nullptr if there is none of this name.
  const TensorInfo* find(std::string_view name) const {
    const auto it = holder_.find(std::string(name));
    return it == holder_.end() ? nullptr : files_[it->second].find(name);
  }
  /// Gives a tensor.
  /// @throws BadFile naming a tensor that is missing.
  const TensorInfo& at(std::string_view name) const { return holder(name).at(name); }
  /// Gives the file that contains a tensor.
  /// @throws BadFile naming a tensor that is missing.
  const SafetensorsFile& holder(std::string_view name) const {
    const auto it = holder_.find(std::string(name));
    if (it == holder_.end()) throw BadFile(path_ + ": tensor " + detail::quote_text(name) + " is missing");
    return files_[it->second];
  }

  /// Reads a tensor; see SafetensorsFile::read.
  template <class T>
  void read(std::string_view name, std::span<T> out) const {
    holder(name).template read<T>(name, out);
  }
  /// Reads a tensor as bfloat16; see SafetensorsFile::read_bf16.
  void read_bf16(std::string_view name, std::span<std::uint16_t> out) const { holder(name).read_bf16(name, out); }
  /// Checks the checksum of a tensor; see SafetensorsFile::verify.
  void verify(std::string_view name) const { holder(name).verify(name); }
  /// Releases the memory of a tensor; see SafetensorsFile::release.
  void release(std::string_view name) const { holder(name).release(name); }

 private:
  void open_shards() {
    const WeightMap map = parse_weight_map(read_file(path_, max_index), path_);
    std::map<std::string, std::size_t> shards;
    for (const auto& [tensor, shard] : map) shards.emplace(shard, 0);
    files_.reserve(shards.size());
    for (auto& [shard, index] : shards) {
      const std::string place = detail::parent_of(path_) + "/" + shard;
      if (!path_exists(place)) throw BadFile(path_ + ": the shard " + detail::quote_text(shard) + " is missing");
      index = files_.size();
      files_.emplace_back(place);
      for (const TensorInfo& tensor : files_[index].tensors()) check_listed(map, tensor, shard);
    }
    for (const auto& [tensor, shard] : map) {
      const std::size_t index = shards.at(shard);
      if (files_[index].find(tensor) == nullptr) {
        throw BadFile(files_[index].path() + ": tensor " + detail::quote_text(tensor) + " is missing; " + path_ +
                      " says that it lies here");
      }
      holder_.emplace(tensor, index);
    }
  }

  void check_listed(const WeightMap& map, const TensorInfo& tensor, const std::string& shard) const {
    const auto listed = map.find(tensor.name);
    if (listed == map.end()) {
      throw BadFile(files_.back().path() + ": tensor " + detail::quote_text(tensor.name) + " is not listed in " +
                    path_);
    }
    if (listed->second != shard) {
      throw BadFile(files_.back().path() + ": holds tensor " + detail::quote_text(tensor.name) + ", which " + path_ +
                    " puts into " + detail::quote_text(listed->second));
    }
  }

  std::string path_;
  std::vector<SafetensorsFile> files_;
  std::unordered_map<std::string, std::size_t> holder_;  ///< tensor name -> index of its file
};

}  // namespace maestro
