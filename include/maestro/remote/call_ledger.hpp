#pragma once

/// @file
/// The record of calls and their cost: a cache of answers that survives its process.

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/core/hash.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/jsonl_writer.hpp"

namespace maestro {

/// TokenUsage holds the numbers of tokens of one answer, as the server counts them.
struct TokenUsage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
};

/// CallTotals holds sums over calls.
struct CallTotals {
  std::uint64_t calls = 0;
  TokenUsage usage{};
  double cost = 0.0;  ///< in the currency of the prices
};

/// Gives the key of a request, which is a hash of its content. Different requests have the same key with probability
/// 2^-128.
inline std::string request_key(std::string_view url, std::string_view body) {
  constexpr std::uint64_t other_start = 0x6C62272E07BB0142u;  // the upper half of the start of FNV's 128-bit form
  std::string key;
  for (const std::uint64_t start : {fnv1a_start, other_start}) {
    std::uint64_t hash = fnv1a(body, fnv1a("\n", fnv1a(url, start)));
    for (int digit = 0; digit < 16; ++digit, hash >>= 4) key += "0123456789abcdef"[hash & 15u];
  }
  return key + "-" + std::to_string(body.size());
}

/// CallLedger holds answers by the keys of their requests, and the sums of calls and costs. With a file, it appends
/// JSON lines: `{"sent": key}` before a call, and `{"answer": key, "body": ..., ...}` when its answer arrives. Answers
/// are synced to the disk. So a process that is killed loses no answer that it received and pays for none again. An
/// incomplete last line is removed. Only one process at a time can use the file. It is not thread-safe.
class CallLedger {
 public:
  /// Loads the ledger, or makes an empty one.
  /// @param path  file of the ledger; empty for a ledger in memory.
  /// @throws IoError; BadArgument if another process has the file; BadFile naming a line that is not of a ledger.
  explicit CallLedger(const std::string& path = {}) {
    if (path.empty()) return;
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) detail::throw_io(path, "open", errno);
    lock_ = detail::Descriptor(fd);
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) detail::throw_io(path, "lock", errno);
      throw BadArgument(path + ": another run uses this cache; wait for its end, or take another file");
    }
    load(path);
    writer_.emplace(path);
  }

  /// Gives the answer to a request, or nullptr. It is valid until the next answer is added.
  const std::string* find(const std::string& key) const {
    const auto it = answers_.find(key);
    return it == answers_.end() ? nullptr : &it->second;
  }
  const CallTotals& totals() const { return totals_; }
  /// Raises each sum to that of `totals`, which come from a checkpoint, if it is lower.
  void raise(const CallTotals& totals) {
    totals_.calls = std::max(totals_.calls, totals.calls);
    totals_.usage.prompt_tokens = std::max(totals_.usage.prompt_tokens, totals.usage.prompt_tokens);
    totals_.usage.completion_tokens = std::max(totals_.usage.completion_tokens, totals.usage.completion_tokens);
    totals_.cost = std::max(totals_.cost, totals.cost);
  }

  /// Records a call that is about to be made.
  /// @throws IoError if the file cannot be written. The call must then not be made.
  void add_call(const std::string& key) {
    if (writer_) writer_->write(OrderedJson{{"sent", key}});
    ++totals_.calls;
  }
  /// Records an answer.
  /// @throws IoError if the file cannot be written. The answer is in memory nevertheless.
  void add_answer(const std::string& key, const std::string& body, const TokenUsage& usage, double cost) {
    add_usage(usage, cost);
    answers_.insert_or_assign(key, body);
    if (!writer_) return;
    writer_->write(OrderedJson{{"answer", key},
                               {"prompt_tokens", usage.prompt_tokens},
                               {"completion_tokens", usage.completion_tokens},
                               {"cost", cost},
                               {"body", body}});
    writer_->sync();
  }
  /// Counts the tokens and the cost of an answer without storing the answer. It does not write to the file.
  void add_usage(const TokenUsage& usage, double cost) {
    totals_.usage.prompt_tokens += usage.prompt_tokens;
    totals_.usage.completion_tokens += usage.completion_tokens;
    totals_.cost += cost;
  }

 private:
  void load(const std::string& path) {
    const std::string content = read_file(path, std::numeric_limits<std::size_t>::max());
    const std::size_t whole = content.rfind('\n') == std::string::npos ? 0 : content.rfind('\n') + 1;
    if (whole < content.size() && ::ftruncate(lock_.get(), static_cast<::off_t>(whole)) != 0) {
      detail::throw_io(path, "cut back", errno);
    }
    std::string_view rest = std::string_view(content).substr(0, whole);
    for (std::size_t number = 1; !rest.empty(); ++number) {
      const std::size_t end = rest.find('\n');
      load_line(rest.substr(0, end), path + ":" + std::to_string(number));
      rest.remove_prefix(end + 1);
    }
  }

  void load_line(std::string_view line, const std::string& place) {
    const Json record = parse_json(line, place);
    const JsonFields fields(record, place);
    if (fields.has("sent")) {
      static_cast<void>(fields.text("sent"));
      ++totals_.calls;
      return;
    }
    constexpr std::size_t most = std::size_t{1} << 40;
    const double cost = fields.number("cost");
    if (cost < 0.0) fields.fail("cost", "a number of at least 0");
    add_usage({fields.count("prompt_tokens", most), fields.count("completion_tokens", most)}, cost);
    answers_.insert_or_assign(fields.text("answer"), fields.text("body"));
  }

  detail::Descriptor lock_;
  std::optional<JsonlWriter> writer_;
  std::unordered_map<std::string, std::string> answers_;
  CallTotals totals_;
};

}  // namespace maestro
