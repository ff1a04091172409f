#pragma once

/// @file
/// The rollouts of a whole step on every rank, gathered from the parts that the ranks generated.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/data/rollouts.hpp"

namespace maestro {

namespace detail {

/// ByteWriter writes arrays one after another, each preceded by its length.
class ByteWriter {
 public:
  template <class T>
  void write(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    const std::uint64_t count = values.size();
    append(&count, sizeof count);
    append(values.data(), values.size_bytes());
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  void append(const void* from, std::size_t size) {
    if (size == 0) return;
    const std::size_t before = bytes_.size();
    bytes_.resize(before + size);
    std::memcpy(bytes_.data() + before, from, size);
  }

  std::vector<std::byte> bytes_;
};

/// ByteReader reads the output of a ByteWriter, in the same order and types.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  /// Reads the next array.
  /// @throws BadData if the bytes end before the array does.
  template <class T>
  std::vector<T> read() {
    std::uint64_t count = 0;
    take(&count, sizeof count);
    if (count > bytes_.size() / sizeof(T)) throw BadData("ranks: another rank has sent less than it said");
    std::vector<T> values(count);
    take(values.data(), count * sizeof(T));
    return values;
  }

 private:
  void take(void* to, std::size_t size) {
    if (size > bytes_.size()) throw BadData("ranks: another rank has sent less than it said");
    if (size > 0) std::memcpy(to, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
  }

  std::span<const std::byte> bytes_;
};

template <class T>
std::vector<std::uint64_t> row_lengths(const Ragged<T>& rows) {
  std::vector<std::uint64_t> lengths;
  for (std::size_t i = 0; i < rows.rows(); ++i) lengths.push_back(rows.length(i));
  return lengths;
}

/// Writes all members of the rollouts except the prompts.
inline void write_rollouts(const Rollouts& rollouts, ByteWriter& out) {
  std::vector<std::uint64_t> sizes;
  for (std::size_t g = 0; g < rollouts.groups.count(); ++g) sizes.push_back(rollouts.groups.size(g));
  std::vector<std::uint64_t> text_lengths;
  std::string texts;
  for (const std::string& text : rollouts.texts) {
    text_lengths.push_back(text.size());
    texts += text;
  }
  const std::uint64_t columns[3] = {rollouts.actions.cols(), rollouts.hidden.cols(), rollouts.prompt_hidden.cols()};
  out.write(std::span<const double>(&rollouts.temperature, 1));
  out.write(std::span<const std::uint64_t>(columns));
  out.write(std::span<const std::uint64_t>(sizes));
  out.write(std::span<const std::uint64_t>(row_lengths(rollouts.prompt_tokens)));
  out.write(rollouts.prompt_tokens.flat());
  out.write(std::span<const std::uint64_t>(row_lengths(rollouts.tokens)));
  out.write(rollouts.tokens.flat());
  out.write(rollouts.actions.flat());
  out.write(std::span<const float>(rollouts.log_probs));
  out.write(std::span<const float>(rollouts.entropies));
  out.write(rollouts.hidden.flat());
  out.write(rollouts.prompt_hidden.flat());
  out.write(std::span<const Finish>(rollouts.finish));
  out.write(std::span<const std::uint32_t>(rollouts.versions));
  out.write(std::span<const std::uint64_t>(text_lengths));
  out.write(std::span<const char>(texts));
}

/// RolloutsBuilder joins rollouts from parts, in order.
class RolloutsBuilder {
 public:
  /// Adds a part that write_rollouts wrote.
  /// @throws BadData if the bytes end too early; BadArgument if they are not rollouts, or differ in shape from earlier
  ///         parts.
  void add(std::span<const std::byte> bytes) {
    ByteReader in(bytes);
    const std::vector<double> temperature = in.read<double>();
    const std::vector<std::uint64_t> columns = in.read<std::uint64_t>();
    require(temperature.size() == 1 && columns.size() == 3, "ranks: another rank has sent something else");
    all_.temperature = temperature[0];
    for (const std::uint64_t size : in.read<std::uint64_t>()) sizes_.push_back(size);
    add_rows(in, all_.prompt_tokens);
    add_rows(in, all_.tokens);
    add_matrix(in.read<float>(), columns[0], actions_);
    append(in.read<float>(), all_.log_probs);
    append(in.read<float>(), all_.entropies);
    add_matrix(in.read<float>(), columns[1], hidden_);
    add_matrix(in.read<float>(), columns[2], prompt_hidden_);
    append(in.read<Finish>(), all_.finish);
    append(in.read<std::uint32_t>(), all_.versions);
    const std::vector<std::uint64_t> lengths = in.read<std::uint64_t>();
    const std::vector<char> texts = in.read<char>();
    std::size_t at = 0;
    for (const std::uint64_t length : lengths) {
      check_rest(length, texts.size() - at);
      all_.texts.emplace_back(texts.data() + at, length);
      at += length;
    }
  }
  /// Gives the joined rollouts. The builder is empty afterwards.
  Rollouts finish(std::vector<Prompt> prompts) {
    all_.prompts = std::move(prompts);
    all_.groups = Groups::from_sizes(sizes_);
    actions_.move_to(all_.actions);
    hidden_.move_to(all_.hidden);
    prompt_hidden_.move_to(all_.prompt_hidden);
    return std::move(all_);
  }

 private:
  /// Rows holds the rows of a matrix whose number of rows is not known yet.
  struct Rows {
    std::size_t columns = 0;
    std::vector<float> values;

    void move_to(Matrix<float>& matrix) const {
      if (columns == 0) return;
      matrix.resize(values.size() / columns, columns);
      std::copy(values.begin(), values.end(), matrix.data());
    }
  };

  static void check_rest(std::uint64_t length, std::size_t rest) {
    if (length > rest) throw BadData("ranks: another rank has sent less than it said");
  }
  template <class T>
  static void append(const std::vector<T>& from, std::vector<T>& to) {
    to.insert(to.end(), from.begin(), from.end());
  }
  static void add_rows(ByteReader& in, Ragged<std::int32_t>& rows) {
    const std::vector<std::uint64_t> lengths = in.read<std::uint64_t>();
    const std::vector<std::int32_t> values = in.read<std::int32_t>();
    std::size_t at = 0;
    for (const std::uint64_t length : lengths) {
      check_rest(length, values.size() - at);
      rows.push_row(std::span<const std::int32_t>(values).subspan(at, length));
      at += length;
    }
  }
  static void add_matrix(const std::vector<float>& values, std::size_t columns, Rows& rows) {
    if (columns == 0) return;
    require(rows.columns == 0 || rows.columns == columns, "ranks: hidden states or actions differ in size");
    require(values.size() % columns == 0, "ranks: hidden states or actions are not whole rows");
    rows.columns = columns;
    append(values, rows.values);
  }

  Rollouts all_;
  std::vector<std::size_t> sizes_;
  Rows actions_;
  Rows hidden_;
  Rows prompt_hidden_;
};

}  // namespace detail

/// Gives the rollouts of all prompts of a step on every rank.
/// @param own      those of this rank's prompts; the ranks have consecutive prompts, rank 0 the first.
/// @param prompts  those of all ranks, in this order.
/// @throws BadArgument if the ranks together send more than the communicator can gather, or if their rollouts do not
///         fit the prompts or each other; RankFailed.
template <Communicator Comm>
Rollouts gather_rollouts(const Rollouts& own, std::vector<Prompt> prompts, Comm& comm) {
  detail::ByteWriter out;
  detail::write_rollouts(own, out);
  detail::RolloutsBuilder builder;
  for (const std::vector<std::byte>& part : comm.all_gather(out.bytes())) builder.add(part);
  Rollouts all = builder.finish(std::move(prompts));
  require(all.groups.count() == all.prompts.size(), "ranks: their rollouts are not those of the step's prompts");
  require(all.versions.empty() || all.versions.size() == all.size(), "ranks: some say which weights drew, some do not");
  return all;
}

}  // namespace maestro
