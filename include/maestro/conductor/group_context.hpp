#pragma once

/// @file
/// The features of a group that a Conductor learns from: of its hidden states or of its task.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/conductor/decide.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/hash.hpp"
#include "maestro/core/random.hpp"
#include "maestro/data/groups.hpp"

namespace maestro {

/// GroupContextKind says what the features of a group are made from.
enum class GroupContextKind : std::uint8_t {
  hidden,  ///< the mean of its responses' terminal hidden states
  global,  ///< nothing: one set of weights for all groups
  task,    ///< the task of its prompt
  prompt,  ///< the hidden state at the end of its prompt, which does not depend on the responses
};
inline constexpr std::array<std::string_view, 4> group_context_names{"hidden", "global", "task", "prompt"};

/// GroupContextOptions holds the options of a GroupContext.
struct GroupContextOptions {
  GroupContextKind kind = GroupContextKind::hidden;
  std::size_t max_size = 0;    ///< hidden, prompt: a larger x is projected; 0: never
  std::size_t projection = 0;  ///< to so many dimensions, at least 1 if max_size is above 0
  std::size_t max_tasks = 32;  ///< task: how many there may be, at least 1
};

/// GroupContext gives the features x of each group, the last of which is the constant 1:
///
/// - hidden: the mean hidden state of the group's responses, scaled to root mean square 1; a group without responses
///   has only the constant. If x has more than `max_size` features, the mean is first multiplied by a fixed matrix of
///   random signs (projection x d).
/// - global: the constant alone.
/// - prompt: as hidden, of the hidden state at the end of the prompt.
/// - task: 1 at the task's own index. Indices are assigned in the order in which tasks first occur.
///
/// It is deterministic and costs O(B d) a batch, and O(N d projection) more with a projection. The signs are the same
/// in every run and are not part of the state. Source of the projection: Achlioptas 2003.
class GroupContext {
 public:
  explicit GroupContext(const GroupContextOptions& options = {}) : options_(options) {}

  /// Gives the number of features, the constant included; 0 while the size of hidden states is not known.
  std::size_t size() const {
    if (options_.kind == GroupContextKind::global) return 1;
    if (options_.kind == GroupContextKind::task) return options_.max_tasks + 1;
    return hidden_size_ == 0 ? 0 : inputs() + 1;
  }
  /// Sets d. It must be called before the first features are computed.
  /// @throws BadArgument for another d than before.
  void learn_size(std::size_t hidden_size) {
    if (!reads_hidden() || hidden_size == hidden_size_) return;
    if (hidden_size_ != 0) {
      throw BadArgument("conductor: hidden states of size " + std::to_string(hidden_size) + ", expected " +
                        std::to_string(hidden_size_) + "; one Conductor reads one policy's hidden states");
    }
    hidden_size_ = hidden_size;
    draw_signs();
  }
  /// Tells whether the features are made from hidden states.
  bool reads_hidden() const {
    return options_.kind == GroupContextKind::hidden || options_.kind == GroupContextKind::prompt;
  }
  /// Gives d, 0 before it is known.
  std::size_t hidden_size() const { return hidden_size_; }
  /// Gives the typical |x|^2 of a group.
  double squared_norm() const {
    if (options_.kind == GroupContextKind::global) return 1.0;
    return options_.kind == GroupContextKind::task ? 2.0 : static_cast<double>(size());
  }

  /// Assigns indices to new tasks; a task without an index has only the constant feature.
  /// @throws BadData if there are more tasks than there may be.
  void learn_tasks(std::span<const std::string_view> tasks) {
    if (options_.kind != GroupContextKind::task) return;
    for (const std::string_view task : tasks) {
      const std::uint64_t id = fnv1a(task);
      if (std::find(tasks_.begin(), tasks_.end(), id) != tasks_.end()) continue;
      if (tasks_.size() == options_.max_tasks) {
        throw BadData("conductor: '" + std::string(task) + "' would be task number " +
                      std::to_string(tasks_.size() + 1) + ", and max_tasks is " + std::to_string(options_.max_tasks) +
                      "; raise it, or take the hidden states as context");
      }
      tasks_.push_back(id);
    }
  }

  /// Overwrites x (size()) of one group.
  /// @param hidden  (n x d) of its responses, or (1 x d) of its prompt; read for GroupContextKind::hidden and prompt.
  /// @param task    of its prompt; read for GroupContextKind::task.
  void features(MatrixView<const float> hidden, std::string_view task, std::span<double> x) const {
    std::fill(x.begin(), x.end(), 0.0);
    x.back() = 1.0;
    if (options_.kind == GroupContextKind::task) {
      const auto place = std::find(tasks_.begin(), tasks_.end(), fnv1a(task)) - tasks_.begin();
      if (static_cast<std::size_t>(place) < tasks_.size()) x[static_cast<std::size_t>(place)] = 1.0;
    }
    if (!reads_hidden() || hidden.rows() == 0) return;
    std::vector<double> sums(hidden.cols(), 0.0);  // their scale does not matter
    for (std::size_t i = 0; i < hidden.rows(); ++i) {
      const std::span<const float> row = hidden.row(i);
      for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += static_cast<double>(row[j]);
    }
    if (!signs_.empty()) sums = projected(sums);
    double squares = 0.0;
    for (const double s : sums) squares += s * s;
    if (!(squares > 0.0)) return;
    const double scale = std::sqrt(static_cast<double>(sums.size()) / squares);
    for (std::size_t j = 0; j < sums.size(); ++j) x[j] = scale * sums[j];
  }

  /// @throws BadFile for more tasks than there may be.
  template <class Visitor>
  void visit_state(Visitor& v) {
    std::uint64_t hidden_size = hidden_size_;
    v("hidden_size", hidden_size);
    v("tasks", tasks_);
    if (tasks_.size() > options_.max_tasks) {
      throw BadFile("conductor: " + std::to_string(tasks_.size()) + " stored tasks, and max_tasks is " +
                    std::to_string(options_.max_tasks));
    }
    if (hidden_size == hidden_size_) return;
    if (hidden_size > std::uint64_t{1} << 24) {
      throw BadFile("conductor: the stored size of hidden states, " + std::to_string(hidden_size) + ", is above 2^24");
    }
    hidden_size_ = static_cast<std::size_t>(hidden_size);
    draw_signs();
  }

 private:
  bool projects() const { return options_.max_size > 0 && hidden_size_ + 1 > options_.max_size; }
  std::size_t inputs() const { return projects() ? options_.projection : hidden_size_; }

  void draw_signs() {
    signs_.resize(0, 0);
    if (!projects()) return;
    signs_.resize(options_.projection, hidden_size_);
    for (std::size_t r = 0; r < signs_.rows(); ++r) {
      const RandomStream stream({.seed = 0, .purpose = Purpose::projection, .row = static_cast<std::uint32_t>(r)});
      for (std::size_t j = 0; j < hidden_size_; ++j) {
        const auto block = stream.block(static_cast<std::uint32_t>(j / 128));
        const bool up = (block.word[j / 32 % 4] >> (j % 32) & 1u) != 0;
        signs_(r, j) = up ? 1.0f : -1.0f;
      }
    }
  }
  std::vector<double> projected(std::span<const double> values) const {
    std::vector<double> result(signs_.rows());
    for (std::size_t r = 0; r < result.size(); ++r) {
      for (std::size_t j = 0; j < values.size(); ++j) result[r] += static_cast<double>(signs_(r, j)) * values[j];
    }
    return result;
  }

  GroupContextOptions options_;
  std::size_t hidden_size_ = 0;       // d, 0 before it is known
  std::vector<std::uint64_t> tasks_;  // hashes of their names, at their places
  Matrix<float> signs_;               // (projection x d), empty unless projected
};

}  // namespace maestro
