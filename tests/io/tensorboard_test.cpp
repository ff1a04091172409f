// TensorBoard's event files, byte by byte. tests/fixtures/io/check_tensorboard.py reads them with TensorBoard's reader.

#include "maestro/io/tensorboard.hpp"

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/scratch.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(tensorboard)

namespace {

std::uint64_t number_at(const std::string& bytes, std::size_t place, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes.at(place + i))} << (8 * i);
  }
  return value;
}

/// The messages of a file, whose lengths and checksums are checked.
std::vector<std::string> messages(const std::string& path) {
  const std::string file = read_file(path);
  const auto masked = [](std::string_view bytes) {
    const std::uint32_t crc = crc32c(std::as_bytes(std::span(bytes)));
    return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
  };
  std::vector<std::string> found;
  for (std::size_t place = 0; place < file.size();) {
    const std::uint64_t length = number_at(file, place, 8);
    BOOST_TEST_REQUIRE(place + 16 + length <= file.size());
    BOOST_TEST(number_at(file, place + 8, 4) == masked(file.substr(place, 8)));
    found.push_back(file.substr(place + 12, length));
    BOOST_TEST(number_at(file, place + 12 + length, 4) == masked(found.back()));
    place += 16 + length;
  }
  return found;
}

}  // namespace

BOOST_AUTO_TEST_CASE(events_are_written_as_protocol_buffers) {
  const maestro_test::Scratch scratch;
  EventFile file(scratch.path("."), 300);
  file.write_scalars(300, [](const auto& add) {
    add("loss", 0.5);
    add("bad", std::nan(""));
    add("kl", -2.0);
  });
  const std::vector<std::string> events = messages(file.path());
  BOOST_TEST_REQUIRE(events.size() == 3u);
  // double wall_time = 1 (9 bytes), int64 step = 2, then the content.
  BOOST_TEST(events[0].substr(9) == std::string("\x10\x00\x1a\x0d", 4) + "brain.Event:2");
  BOOST_TEST(events[1].substr(9) == std::string("\x10\xac\x02\x3a\x02\x08\x01", 7));
  const std::string loss = std::string("\x0a\x0b\x0a\x04", 4) + "loss" + std::string("\x15\x00\x00\x00\x3f", 5);
  const std::string kl = std::string("\x0a\x09\x0a\x02", 4) + "kl" + std::string("\x15\x00\x00\x00\xc0", 5);
  BOOST_TEST(events[2].substr(9) ==
             std::string("\x10\xac\x02\x2a", 4) + static_cast<char>(loss.size() + kl.size()) + loss + kl);
  const double wall_time = std::bit_cast<double>(number_at(events[2], 1, 8));
  BOOST_TEST(wall_time > 1.7e9);
}

BOOST_AUTO_TEST_SUITE_END()
