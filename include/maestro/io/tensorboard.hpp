#pragma once

/// @file
/// TensorBoard's event files, which are TFRecords of Event messages.

#include <fcntl.h>

#include <bit>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "maestro/core/crc32c.hpp"
#include "maestro/io/file.hpp"

namespace maestro {

namespace detail {

/// Appends the bytes of a number, the lowest first.
template <class Number>
void append_bytes(std::string& out, Number value) {
  for (std::size_t i = 0; i < sizeof(Number); ++i) out += static_cast<char>((value >> (8 * i)) & 0xFFu);
}

/// Appends a number in Protocol Buffers' wire format. The functions below append a key (field number and type), then
/// the value.
inline void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80u; value >>= 7) out += static_cast<char>(0x80u | (value & 0x7Fu));
  out += static_cast<char>(value);
}
inline void append_integer(std::string& out, unsigned field, std::uint64_t value) {
  append_varint(out, field << 3 | 0u);
  append_varint(out, value);
}
inline void append_double(std::string& out, unsigned field, double value) {
  append_varint(out, field << 3 | 1u);
  append_bytes(out, std::bit_cast<std::uint64_t>(value));
}
inline void append_text(std::string& out, unsigned field, std::string_view text) {
  append_varint(out, field << 3 | 2u);
  append_varint(out, text.size());
  out += text;
}
inline void append_float(std::string& out, unsigned field, float value) {
  append_varint(out, field << 3 | 5u);
  append_bytes(out, std::bit_cast<std::uint32_t>(value));
}

}  // namespace detail

/// Gives a TFRecord: the length, its checksum, the bytes, and their checksum. Checksums are rotated and shifted
/// ("masked"), as TensorFlow stores them. Source: TensorFlow's tf.data.TFRecordDataset documentation.
inline std::string tf_record(std::string_view bytes) {
  const auto masked = [](std::string_view of) {
    const std::uint32_t crc = crc32c(std::as_bytes(std::span(of)));
    return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
  };
  std::string record;
  detail::append_bytes(record, static_cast<std::uint64_t>(bytes.size()));
  detail::append_bytes(record, masked(record));
  record += bytes;
  detail::append_bytes(record, masked(bytes));
  return record;
}

/// EventFile writes the scalars of a run for TensorBoard. Each event is passed to the system at once, so a killed run
/// loses none. The name of the file contains the time. A resumed run makes another file, and TensorBoard drops the
/// values of earlier files in the folder from `first_step` on.
class EventFile {
 public:
  /// Makes a file in an existing folder.
  /// @throws IoError if it cannot be made.
  explicit EventFile(const std::string& folder, std::uint64_t first_step = 0)
      : path_(folder + "/events.out.tfevents." + std::to_string(static_cast<std::uint64_t>(now())) + ".maestro") {
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) detail::throw_io(path_, "open", errno);
    fd_ = detail::Descriptor(fd);
    write(event(0, [](std::string& out) { detail::append_text(out, 3, "brain.Event:2"); }));
    if (first_step == 0) return;
    write(event(first_step, [](std::string& out) {
      std::string started;
      detail::append_integer(started, 1, 1);  // SessionLog.START
      detail::append_text(out, 7, started);
    }));
  }

  const std::string& path() const { return path_; }

  /// Writes the scalars of a step. fill(add) calls add(tag, value) for each of them. Values that are not finite are
  /// omitted.
  /// @throws IoError if the file cannot be written.
  template <class Fill>
  void write_scalars(std::uint64_t step, const Fill& fill) {
    std::string summary;
    fill([&](std::string_view tag, double number) {
      if (!(number - number == 0.0)) return;
      std::string value;
      detail::append_text(value, 1, tag);
      detail::append_float(value, 2, static_cast<float>(number));
      detail::append_text(summary, 1, value);
    });
    write(event(step, [&](std::string& out) { detail::append_text(out, 5, summary); }));
  }

 private:
  static double now() {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  }

  template <class Content>
  static std::string event(std::uint64_t step, const Content& content) {
    std::string out;
    detail::append_double(out, 1, now());
    detail::append_integer(out, 2, step);
    content(out);
    return out;
  }

  void write(const std::string& message) {
    const std::string record = tf_record(message);
    detail::write_all(fd_.get(), reinterpret_cast<const std::byte*>(record.data()), record.size(), path_);
  }

  std::string path_;
  detail::Descriptor fd_;
};

}  // namespace maestro
