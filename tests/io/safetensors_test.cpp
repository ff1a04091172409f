#include "maestro/io/safetensors.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "io/scratch.hpp"

BOOST_AUTO_TEST_SUITE(safetensors)

namespace {

using maestro::BadFile;
using maestro::Dtype;
using maestro::SafetensorsFile;
using maestro::SafetensorsWriter;
using maestro_test::refusal;
using maestro_test::Scratch;

std::string with_length(const std::string& header, std::size_t data_bytes) {
  const std::uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header + std::string(data_bytes, '\1');
}

std::string refused(const std::string& content) {
  return refusal<BadFile>([&] { SafetensorsFile(std::as_bytes(std::span(content)), "x.safetensors"); });
}

std::string small_file(const Scratch& scratch) {
  const std::vector<float> values{1.5f, -2.0f, std::numeric_limits<float>::infinity(), 1e-40f, 0.0f, -0.0f};
  const std::vector<std::int64_t> steps{-7};
  const std::vector<std::uint8_t> text{1, 2, 3};
  SafetensorsWriter writer;
  writer.add<float>("w", {2, 3}, values);
  writer.add<std::int64_t>("step", {}, steps);
  writer.add<std::uint8_t>("odd", {3}, text);
  writer.add<float>("nothing", {0, 4}, {});
  writer.set_metadata("format", "pt");
  writer.write(scratch.path("a.safetensors"));
  return scratch.path("a.safetensors");
}

}  // namespace

BOOST_AUTO_TEST_CASE(round_trip_keeps_every_bit) {
  const Scratch scratch;
  const SafetensorsFile file(small_file(scratch));
  std::vector<float> values(6);
  file.read<float>("w", values);
  BOOST_TEST(values[0] == 1.5f);
  BOOST_TEST(std::isinf(values[2]));
  BOOST_TEST(values[3] == 1e-40f);
  BOOST_TEST(std::signbit(values[5]));
  std::vector<std::int64_t> step(1);
  file.read<std::int64_t>("step", step);
  BOOST_TEST(step[0] == -7);
  BOOST_TEST(file.tensors().size() == 4u);
  BOOST_TEST(file.at("nothing").count == 0u);
  BOOST_TEST(file.at("w").shape == (std::vector<std::size_t>{2, 3}), boost::test_tools::per_element());
  BOOST_TEST(file.metadata().at("format") == "pt");
  BOOST_TEST(file.find("absent") == nullptr);
}

BOOST_AUTO_TEST_CASE(reads_are_typed_and_sized) {
  const Scratch scratch;
  const SafetensorsFile file(small_file(scratch));
  std::vector<float> five(5);
  std::vector<float> three(3);
  std::vector<std::int32_t> one(1);
  BOOST_TEST(refusal<BadFile>([&] { file.read<float>("w", five); }).find("\"w\" has shape [2, 3]") !=
             std::string::npos);
  BOOST_TEST(refusal<BadFile>([&] { file.read<float>("odd", three); }).find("U8") != std::string::npos);
  BOOST_TEST(refusal<BadFile>([&] { file.read<std::int32_t>("step", one); }).find("I64") != std::string::npos);
  BOOST_TEST(refusal<BadFile>([&] { file.read<float>("absent", five); }).find("\"absent\" is missing") !=
             std::string::npos);
  bool flag[1];
  const std::string two = with_length(R"({"b":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", 0) + "\2";
  const SafetensorsFile bad(std::as_bytes(std::span(two)), "b");
  BOOST_TEST(!refusal<BadFile>([&] { bad.read<bool>("b", flag); }).empty());
}

BOOST_AUTO_TEST_CASE(half_precisions_convert) {
  BOOST_TEST(maestro::from_f16(0x3c00) == 1.0f);
  BOOST_TEST(maestro::from_f16(0xc000) == -2.0f);
  BOOST_TEST(maestro::from_f16(0x7bff) == 65504.0f);
  BOOST_TEST(maestro::from_f16(0x0001) == 0x1p-24f);
  BOOST_TEST(maestro::from_f16(0x83ff) == -1023.0f * 0x1p-24f);
  BOOST_TEST(std::isinf(maestro::from_f16(0x7c00)));
  BOOST_TEST(std::isnan(maestro::from_f16(0x7e01)));
  BOOST_TEST(maestro::to_bf16(1.0f) == 0x3f80);
  BOOST_TEST(maestro::to_bf16(std::bit_cast<float>(0x3f808000u)) == 0x3f80);  // a tie goes to even
  BOOST_TEST(maestro::to_bf16(std::bit_cast<float>(0x3f818000u)) == 0x3f82);
  BOOST_TEST(std::isnan(maestro::from_bf16(maestro::to_bf16(std::bit_cast<float>(0x7f800001u)))));
  BOOST_TEST(std::isinf(maestro::from_bf16(maestro::to_bf16(std::numeric_limits<float>::max()))));

  const Scratch scratch;
  std::vector<double> values;
  for (int i = 0; i < 20001; ++i) values.push_back(0.125 * i);
  SafetensorsWriter writer;
  writer.add_as<double>(Dtype::bf16, "half", {values.size()}, values);
  writer.add_as<double>(Dtype::f32, "single", {values.size()}, values);
  writer.write(scratch.path("b"));
  const SafetensorsFile file(scratch.path("b"));
  std::vector<float> half(values.size());
  std::vector<double> single(values.size());
  file.read<float>("half", half);
  file.read<double>("single", single);
  BOOST_TEST(single == values);
  for (std::size_t i = 1; i < values.size(); ++i) {
    BOOST_REQUIRE(std::abs(static_cast<double>(half[i]) / values[i] - 1.0) <= 1.0 / 256);
  }
}

BOOST_AUTO_TEST_CASE(truncation_at_every_byte_is_refused) {
  const Scratch scratch;
  const std::string whole = maestro::read_file(small_file(scratch));
  BOOST_TEST(refused(whole).empty());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    BOOST_TEST(!refused(whole.substr(0, size)).empty(), "cut to " << size << " bytes");
  }
  BOOST_TEST(refused(whole + "x").find("1 trailing bytes") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(hostile_headers_are_refused) {
  const auto says = [](const std::string& header, std::size_t data, const std::string& reason) {
    const std::string message = refused(with_length(header, data));
    BOOST_TEST(message.find(reason) != std::string::npos, header.substr(0, 120) << " -> " << message);
    BOOST_TEST((message.empty() || message.starts_with("x.safetensors")));
  };
  const std::string a = R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  says("{" + a + "}", 8, "");
  says("{" + a + "}   ", 8, "");
  says("{" + a + "," + a + "}", 8, "appears twice");
  says(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8, "appears twice");
  says("[" + a + "]", 8, "does not start with '{'");
  says("", 8, "does not start with '{'");
  says("{" + a + "} x", 8, "not valid JSON");
  says("{" + a + "}" + std::string("\0{}", 3), 8, "zero byte");  // what a parser of C strings would not see
  says(std::string("{\0", 2) + a + "}", 8, "zero byte");
  says("\xef\xbb\xbf{" + a + "}", 8, "does not start with '{'");
  says(" {" + a + "}", 8, "does not start with '{'");
  says(R"({"\u0061":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)" + a + "}", 8, "appears twice");
  says(R"({"__metadata__":{"a":"b"},"__metadata__":{},)" + a + "}", 8, "appears twice");
  says("{\"\xff\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "not valid JSON");
  says(R"({"a":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}})", 8, "unknown dtype \"F33\"");
  says(R"({"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}})", 8, "unknown dtype 7");
  says(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8, "lacks the field 'dtype'");
  says(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})", 8, "unknown field \"more\"");
  says(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8, "needs 12 bytes");
  says(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8, "found -2");
  says(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8, "found 2.0");
  says(R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})", 8, "must be an array");
  says(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0, "overflows");
  says(R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})", 0, "overflows");
  says(R"({"a":{"dtype":"F32","shape":[99999999999999999999999],"data_offsets":[0,0]}})", 0, "must hold sizes");
  says(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8, "outside");
  says(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,0]}})", 8, "outside");
  says(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})", 8, "outside");
  says(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})", 8, "two data_offsets");
  says(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})", 16, "hole");
  says("{" + a + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12, "overlapping");
  says("{" + a + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}})", 20, "hole");
  says("{" + a + "}", 9, "1 trailing bytes");
  says("{\"__metadata__\":{\"x\":1}," + a + "}", 8, "must be a string");
  says("{\"__metadata__\":[]}", 0, "'__metadata__' must be an object");
  says("{\"a\":7}", 0, "described by an object");
  says("{\"a\":" + std::string(100000, '['), 0, "nested deeper");

  std::string huge(16, '\xff');
  BOOST_TEST(refused(huge).find("limit of 100 MB") != std::string::npos);
  huge.replace(0, 8, std::string("\x09\0\0\0\0\0\0\0", 8));
  BOOST_TEST(refused(huge).find("exceeds the file") != std::string::npos);
  BOOST_TEST(refusal<BadFile>([] { SafetensorsFile("/dev/null"); }).find("not a regular file") != std::string::npos);
  BOOST_TEST(!refusal<maestro::IoError>([] { SafetensorsFile("/nonexistent/x"); }).empty());
}

BOOST_AUTO_TEST_CASE(unaligned_data_are_legal) {
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F64","shape":[1],)"
                             R"("data_offsets":[1,9]}})";
  std::string content = with_length(header, 1);
  const double value = 0.1;
  content.append(reinterpret_cast<const char*>(&value), 8);
  const SafetensorsFile file(std::as_bytes(std::span(content)), "x");
  double got[1];
  file.read<double>("b", got);
  BOOST_TEST(got[0] == value);
}

BOOST_AUTO_TEST_CASE(tensors_come_in_the_order_of_their_data) {
  const std::string content =
      with_length(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[4,7]},"z":{"dtype":"U8","shape":[4],)"
                  R"("data_offsets":[0,4]},"e":{"dtype":"U8","shape":[0],"data_offsets":[4,4]}})",
                  7);
  const SafetensorsFile file(std::as_bytes(std::span(content)), "x");
  BOOST_REQUIRE(file.tensors().size() == 3u);
  BOOST_TEST(file.tensors()[0].name == "z");
  BOOST_TEST(file.tensors()[1].name == "e");
  BOOST_TEST(file.tensors()[2].name == "a");
}

BOOST_AUTO_TEST_CASE(every_element_type_of_the_format_is_known) {
  const auto file_of = [](const std::string& dtype, std::size_t count, std::size_t bytes) {
    return with_length(R"({"a":{"dtype":")" + dtype + R"(","shape":[)" + std::to_string(count) +
                           R"(],"data_offsets":[0,)" + std::to_string(bytes) + "]}}",
                       bytes);
  };
  for (const maestro::DtypeInfo& dtype : maestro::dtype_table) {
    const std::string content = file_of(std::string(dtype.name), 8, dtype.bits);
    BOOST_TEST(refused(content).empty(), dtype.name);
    if (dtype.bits < 8) {
      BOOST_TEST(refused(file_of(std::string(dtype.name), 1, 1)).find("whole bytes") != std::string::npos, dtype.name);
    }
    std::vector<float> values(8);
    const SafetensorsFile file(std::as_bytes(std::span(content)), "x");
    const bool floating = dtype.name == "F16" || dtype.name == "BF16" || dtype.name == "F32" || dtype.name == "F64";
    BOOST_TEST(refusal<BadFile>([&] { file.read<float>("a", values); }).empty() == floating, dtype.name);
  }
}

BOOST_AUTO_TEST_CASE(bf16_is_read_from_every_floating_type) {
  const Scratch scratch;
  // Two ties: to even below, to even above; then a value that overflows, a NaN, and what each type holds exactly.
  const std::vector<float> values{std::bit_cast<float>(0x3f808000u), std::bit_cast<float>(0x3f818000u),
                                  std::numeric_limits<float>::max(), std::numeric_limits<float>::quiet_NaN(), -1.5f};
  const std::vector<std::uint16_t> wanted{0x3f80, 0x3f82, 0x7f80, 0x7fc0, 0xbfc0};
  const std::vector<double> doubles(values.begin(), values.end());
  const std::vector<std::uint8_t> bytes(5);
  SafetensorsWriter writer;
  writer.add<float>("f32", {5}, values);
  writer.add<double>("f64", {5}, doubles);
  const auto bytes_of = std::as_bytes(std::span(wanted));
  writer.add_owned("bf16", Dtype::bf16, {5}, {bytes_of.begin(), bytes_of.end()});
  writer.add_owned("f16", Dtype::f16, {2}, {std::byte{0}, std::byte{0x3c}, std::byte{1}, std::byte{0}});
  writer.add<std::uint8_t>("u8", {5}, bytes);
  writer.write(scratch.path("a"));
  const SafetensorsFile file(scratch.path("a"));
  for (const char* name : {"f32", "f64", "bf16"}) {
    std::vector<std::uint16_t> bits(5);
    file.read_bf16(name, bits);
    BOOST_TEST(bits == wanted, boost::test_tools::per_element());
  }
  std::vector<std::uint16_t> two(2);
  file.read_bf16("f16", two);
  BOOST_TEST(two == (std::vector<std::uint16_t>{0x3f80, maestro::to_bf16(0x1p-24f)}), boost::test_tools::per_element());
  std::vector<std::uint16_t> five(5);
  BOOST_TEST(refusal<BadFile>([&] { file.read_bf16("u8", five); }).find("U8") != std::string::npos);
  BOOST_TEST(refusal<BadFile>([&] { file.read_bf16("f32", two); }).find("has shape [5]") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(released_tensors_can_be_read_again) {
  const Scratch scratch;
  std::vector<float> values(100'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const std::vector<float> other{-1.0f, 1.0f};
  SafetensorsWriter writer;
  writer.add<float>("many", {values.size()}, values);
  writer.add<float>("two", {2}, other);
  writer.write(scratch.path("a"));
  const SafetensorsFile file(scratch.path("a"));
  std::vector<float> again(values.size());
  for (int round = 0; round < 2; ++round) {
    std::fill(again.begin(), again.end(), 0.0f);
    file.read<float>("many", again);
    BOOST_TEST((again == values));
    file.release("many");
    file.release("two");
  }
  const std::string content = maestro::read_file(scratch.path("a"));
  SafetensorsFile(std::as_bytes(std::span(content)), "x").release("many");  // the caller's bytes stay
  BOOST_TEST(content == maestro::read_file(scratch.path("a")));
}

BOOST_AUTO_TEST_CASE(writer_refuses_what_it_cannot_store) {
  const std::vector<float> values(3);
  SafetensorsWriter writer;
  writer.add<float>("a", {3}, values);
  BOOST_CHECK_THROW(writer.add<float>("a", {3}, values), maestro::BadArgument);
  BOOST_CHECK_THROW(writer.add<float>("b", {2, 2}, values), maestro::BadArgument);
  BOOST_CHECK_THROW(writer.add<float>("b", {std::size_t{1} << 63, 2}, {}), maestro::BadArgument);
  BOOST_CHECK_THROW(writer.add<float>("__metadata__", {3}, values), maestro::BadArgument);
  BOOST_CHECK_THROW(writer.write("/nonexistent/folder/x"), maestro::IoError);
}

BOOST_AUTO_TEST_CASE(full_disk_is_an_error_and_the_old_file_survives) {
  const Scratch scratch;
  const std::string path = scratch.path("data");
  maestro::write_file(path, "old");
  const ::pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const ::rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::vector<float> values(10000);
    SafetensorsWriter writer;
    writer.add<float>("a", {values.size()}, values);
    try {
      writer.write(path);
      ::_exit(1);
    } catch (const maestro::IoError& error) {
      ::_exit(std::string(error.what()).starts_with(path + ": cannot write") ? 0 : 2);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  BOOST_TEST(maestro::read_file(path) == "old");
  BOOST_TEST(scratch.entries() == 1u);
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_is_found_by_the_checksums) {
  using namespace maestro;
  const auto check = [](const std::string& text, std::uint32_t wanted) {
    BOOST_TEST(crc32c(std::as_bytes(std::span(text.data(), text.size()))) == wanted);
  };
  check("123456789", 0xe3069283u);  // the check values of RFC 3720 and of the polynomial's authors
  check(std::string(32, '\0'), 0x8a9136aau);
  check(std::string(32, '\xff'), 0x62a8ab43u);
  check("", 0u);
  const Scratch scratch;
  const std::string path = scratch.path("x.safetensors");
  const std::vector<float> floats{1.0f, 2.0f, 3.0f};
  const std::vector<std::uint8_t> bytes{7, 8, 9, 10, 11};
  SafetensorsWriter writer;
  writer.add<std::uint8_t>("bytes", {5}, bytes);
  writer.add_as<float>(Dtype::bf16, "halves", {3}, floats);
  writer.add<float>("floats", {3}, floats);
  writer.add<float>("none", {0}, {});
  writer.add_checksums();
  writer.write(path);
  SafetensorsFile(path).verify_all();
  const std::string good = read_file(path);
  const std::size_t data = good.size() - 5 - 6 - 12;
  for (std::size_t at = data; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    write_file(path, bad);
    const char* name = at < data + 12 ? "floats" : at < data + 18 ? "halves" : "bytes";
    const std::string message = refusal<BadFile>([&] { SafetensorsFile(path).verify_all(); });
    BOOST_TEST(message.find(std::string("\"") + name + "\" is damaged") != std::string::npos, message);
  }
  std::string fewer = good;
  fewer.replace(fewer.find("crc32c\":\"") + 9, 1, "x");
  write_file(path, fewer);
  BOOST_TEST(refusal<BadFile>([&] { SafetensorsFile{path}; }).find("checksums are damaged") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
