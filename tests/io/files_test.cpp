#include "maestro/io/file.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <csignal>
#include <limits>
#include <string>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/io/folder_lock.hpp"
#include "maestro/io/jsonl_writer.hpp"
#include "maestro/io/prompts.hpp"
#include "maestro/io/state.hpp"

BOOST_AUTO_TEST_SUITE(files)

namespace {

using namespace maestro;
using maestro_test::refusal;
using maestro_test::Scratch;

/// Runs `action` in a child whose files may not grow past 4096 bytes; true when it throws IoError.
template <class Action>
bool fails_on_full_disk(Action&& action) {
  const ::pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const ::rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      action();
    } catch (const IoError&) {
      ::_exit(42);
    } catch (...) {
      ::_exit(2);
    }
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 42;
}

enum class Color : std::int16_t { red = -3, blue = 400 };

struct Inner {
  std::vector<double> moments;
  std::string name;
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("moments", moments);
    v("name", name);
  }
  bool operator==(const Inner&) const = default;
};

struct Outer {
  double ratio = 0.0;
  float rate = 0.0f;
  std::int64_t step = 0;
  std::uint64_t seed = 0;
  std::int32_t count = 0;
  std::uint8_t small = 0;
  bool flag = false;
  Color color = Color::red;
  AlignedVector<float> values;
  Matrix<float> matrix;
  Matrix<double> empty;
  std::array<float, 4> fixed{};
  std::vector<bool> bits;
  std::vector<Color> colors;
  std::vector<std::vector<std::int32_t>> ragged;
  std::vector<std::string> names;
  std::vector<Inner> parts;
  Inner inner;

  template <class Visitor>
  void visit_state(Visitor& v) {
    v("ratio", ratio);
    v("rate", rate);
    v("step", step);
    v("seed", seed);
    v("count", count);
    v("small", small);
    v("flag", flag);
    v("color", color);
    v("values", values);
    v("matrix", matrix);
    v("empty", empty);
    v("fixed", std::span<float>(fixed));
    v("bits", bits);
    v("colors", colors);
    v("ragged", ragged);
    v("names", names);
    v("parts", parts);
    v(std::string("inner"), inner);
  }
};

Outer filled() {
  Outer o;
  o.ratio = 0.1;
  o.rate = std::nextafter(0.3f, 1.0f);
  o.step = std::numeric_limits<std::int64_t>::min();
  o.seed = std::numeric_limits<std::uint64_t>::max();
  o.count = -5;
  o.small = 200;
  o.flag = true;
  o.color = Color::blue;
  o.values = {std::numeric_limits<float>::quiet_NaN(), -0.0f, 1e-45f};
  o.matrix = Matrix<float>(3, 2, 0.7f);
  o.empty.resize(0, 5);
  o.fixed = {1.0f, 2.0f, 3.0f, 4.0f};
  o.bits = {true, false, true};
  o.colors = {Color::blue, Color::red};
  o.ragged = {{1, 2, 3}, {}, {4}};
  o.names = {"a", "", std::string("z\0\xff", 3)};
  o.parts = {{{1.0, 2.0}, "one"}, {{}, "two"}};
  o.inner = {{0.25}, "inner"};
  return o;
}

struct Partial {
  std::int64_t step = 0;
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("step", step);
  }
};
struct Wrong {
  std::int32_t step = 0;
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("step", step);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(state_round_trips_bit_for_bit) {
  const Scratch scratch;
  Outer saved = filled();
  save_state(scratch.path("s"), saved, {{"run", "7"}});
  Outer loaded;
  loaded.values.assign(9, 1.0f);
  loaded.parts.resize(5);
  load_state(scratch.path("s"), loaded);
  BOOST_TEST(loaded.ratio == saved.ratio);
  BOOST_TEST(loaded.seed == saved.seed);
  BOOST_TEST(loaded.step == saved.step);
  BOOST_TEST((loaded.color == Color::blue && loaded.flag && loaded.small == 200));
  BOOST_TEST(loaded.values.size() == 3u);
  BOOST_TEST(std::memcmp(loaded.values.data(), saved.values.data(), 12) == 0);
  BOOST_TEST((loaded.matrix == saved.matrix && loaded.empty == saved.empty && loaded.fixed == saved.fixed));
  BOOST_TEST((loaded.bits == saved.bits && loaded.colors == saved.colors && loaded.ragged == saved.ragged));
  BOOST_TEST((loaded.names == saved.names && loaded.parts == saved.parts && loaded.inner == saved.inner));
  save_state(scratch.path("t"), loaded, {{"run", "7"}});
  BOOST_TEST(read_file(scratch.path("s")) == read_file(scratch.path("t")));
}

BOOST_AUTO_TEST_CASE(state_that_does_not_fit_is_refused) {
  const Scratch scratch;
  Outer outer = filled();
  Partial partial;
  Wrong wrong;
  save_state(scratch.path("outer"), outer);
  save_state(scratch.path("partial"), partial);
  BOOST_TEST(refusal<BadFile>([&] { load_state(scratch.path("outer"), partial); }).find("belongs to no part") !=
             std::string::npos);
  BOOST_TEST(refusal<BadFile>([&] { load_state(scratch.path("partial"), outer); }).find("\"ratio\" is missing") !=
             std::string::npos);
  BOOST_TEST(refusal<BadFile>([&] { load_state(scratch.path("partial"), wrong); }).find("I64, wanted I32") !=
             std::string::npos);

  SafetensorsWriter hostile;
  const std::vector<std::uint64_t> size{1u << 30};
  hostile.add<std::uint64_t>("names.size", {1}, size);
  hostile.write(scratch.path("hostile"));
  StateReader reader(scratch.path("hostile"));
  std::vector<std::string> names;
  BOOST_TEST(refusal<BadFile>([&] { reader("names", names); }).find("more than the entries") != std::string::npos);
  std::array<float, 3> three{};
  StateReader sized(scratch.path("outer"));
  BOOST_TEST(refusal<BadFile>([&] { sized("fixed", std::span<float>(three)); }).find("shape [4], wanted [3]") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(folders_appear_at_once) {
  const Scratch scratch;
  const std::string final_path = scratch.path("run");
  {
    AtomicFolder folder(final_path + "/");
    write_file(folder.path("a"), "one");
    BOOST_TEST(!path_exists(final_path));
    folder.commit();
  }
  BOOST_TEST(read_file(final_path + "/a") == "one");
  {
    AtomicFolder folder(final_path);
    write_file(folder.path("b"), "two");
  }
  BOOST_TEST(read_file(final_path + "/a") == "one");
  {
    AtomicFolder folder(final_path);
    write_file(folder.path("b"), "two");
    folder.commit();
  }
  BOOST_TEST(read_file(final_path + "/b") == "two");
  BOOST_TEST(!path_exists(final_path + "/a"));
  BOOST_TEST(scratch.entries() == 1u);
  BOOST_TEST(fails_on_full_disk([&] {
    AtomicFolder folder(final_path);
    write_file(folder.path("b"), std::string(10000, 'x'));
    folder.commit();
  }));
  BOOST_TEST(read_file(final_path + "/b") == "two");
  BOOST_TEST(scratch.entries() == 1u);
}

BOOST_AUTO_TEST_CASE(folders_survive_a_kill_at_any_moment) {
  const Scratch scratch;
  const std::string final_path = scratch.path("run");
  const auto save = [&](int i) {
    AtomicFolder folder(final_path);
    for (const char* name : {"a", "b"}) write_file(folder.path(name), std::to_string(i));
    folder.commit();
  };
  save(-1);
  std::string last;
  int changes = 0;
  for (int round = 0; round < 25; ++round) {
    const ::pid_t child = ::fork();
    if (child == 0) {
      for (int i = 0;; ++i) save(1000 * round + i);
    }
    ::usleep(static_cast<::useconds_t>(20000 + 1373 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    recover_folder(final_path);
    BOOST_REQUIRE(path_exists(final_path));
    const std::string content = read_file(final_path + "/a");
    BOOST_TEST(read_file(final_path + "/b") == content);
    BOOST_TEST(scratch.entries() == 1u);
    changes += content != last;
    last = content;
  }
  BOOST_TEST(changes > 0);
  // Killed between the two renames.
  BOOST_REQUIRE(::rename(final_path.c_str(), (final_path + ".old-1-2").c_str()) == 0);
  BOOST_REQUIRE(::mkdir((final_path + ".tmp-1-3").c_str(), 0777) == 0);
  recover_folder(final_path);
  BOOST_TEST(path_exists(final_path + "/a"));
  BOOST_TEST(scratch.entries() == 1u);
}

BOOST_AUTO_TEST_CASE(prompts_are_read_and_bad_lines_numbered) {
  const std::string text =
      "\xef\xbb\xbf{\"prompt\": \"one\", \"reference\": \"r\", \"task\": \"t\", \"level\": 3, \"tags\": [1]}\r\n"
      "\n{\"prompt\": \"two\"}";
  const PromptFile file = parse_prompts(text, "p.jsonl");
  BOOST_REQUIRE(file.prompts.size() == 2u);
  BOOST_TEST(file.prompts[0].text == "one");
  BOOST_TEST(file.prompts[0].reference == "r");
  BOOST_TEST(file.prompts[0].task == "t");
  BOOST_TEST(file.prompts[0].metadata == R"({"level":3,"tags":[1]})");
  BOOST_TEST(file.prompts[1].metadata.empty());
  BOOST_TEST(file.prompts[1].row == 1);

  const std::vector<std::pair<std::string, std::string>> bad{
      {"{\"prompt\": 3}", "field 'prompt' must be a string or a list of messages, found 3"},
      {"{\"reference\": \"x\"}", "'prompt' is missing"},
      {"{\"prompt\": \"x\"", "not valid JSON"},
      {"[\"x\"]", "must be a JSON object"},
      {"{\"prompt\": \"\"}", "is empty"},
      {"{\"prompt\": \"\xff\"}", "not valid JSON"},
      {"{\"prompt\": \"x\", \"task\": 1}", "'task'"},
      {"{\"prompt\": \"x\", \"prompt\": \"y\"}", "appears twice"}};
  for (const auto& [line, reason] : bad) {
    const std::string lines = "{\"prompt\": \"a\"}\n" + line + "\n{\"prompt\": \"b\"}\n";
    const std::string message = refusal<BadFile>([&] { parse_prompts(lines, "p.jsonl"); });
    BOOST_TEST(message.starts_with("p.jsonl:2: "), message);
    BOOST_TEST(message.find(reason) != std::string::npos, message);
    const PromptFile rest = parse_prompts(lines, "p.jsonl", OnBadLine::skip);
    BOOST_TEST(rest.skipped == 1u);
    BOOST_TEST(rest.first_skipped == message);
    BOOST_TEST(rest.prompts.at(1).text == "b");
    BOOST_TEST(rest.prompts.at(1).row == 1);
  }
  BOOST_TEST(refusal<BadFile>([] { parse_prompts("\n \n", "p"); }).find("holds no prompt") != std::string::npos);
  BOOST_TEST(refusal<BadFile>([] { parse_prompts("x\ny", "p", OnBadLine::skip); }).find("all 2 lines") !=
             std::string::npos);
  BOOST_CHECK_THROW(load_prompts("/nonexistent.jsonl"), IoError);
}

BOOST_AUTO_TEST_CASE(records_are_appended_and_cut_back) {
  const Scratch scratch;
  const std::string path = scratch.path("m.jsonl");
  {
    JsonlWriter writer(path);
    writer.write(OrderedJson{{"run", "x\xff"}});
    for (int step = 1; step <= 5; ++step) {
      writer.write(OrderedJson{{"step", step}, {"loss", step == 2 ? std::nan("") : 0.5}});
    }
    BOOST_TEST(read_file(path).ends_with("{\"step\":5,\"loss\":0.5}\n"));
  }
  const std::string whole = read_file(path);
  BOOST_TEST(whole.starts_with("{\"run\":\"x\xef\xbf\xbd\"}\n{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":null}\n"));
  truncate_after(path, 5);
  BOOST_TEST(read_file(path) == whole);
  write_file(path, whole + "{\"step\": 6, \"lo");
  truncate_after(path, 9);
  BOOST_TEST(read_file(path) == whole);
  truncate_after(path, 3);
  BOOST_TEST(read_file(path).ends_with("{\"step\":3,\"loss\":0.5}\n"));
  JsonlWriter(path).write(Json{{"step", 4}});
  BOOST_TEST(read_file(path).ends_with("{\"step\":3,\"loss\":0.5}\n{\"step\":4}\n"));
  write_file(path, "{\"step\":1}\nbroken\n{\"step\":2}\n");
  BOOST_TEST(refusal<BadFile>([&] { truncate_after(path, 1); }).find("m.jsonl:2: ") != std::string::npos);
  truncate_after(scratch.path("absent"), 1);
  BOOST_TEST(!path_exists(scratch.path("absent")));
  JsonlWriter(path, OpenMode::replace).write(Json{{"step", 1}});
  BOOST_TEST(read_file(path) == "{\"step\":1}\n");
  BOOST_TEST(fails_on_full_disk([&] { JsonlWriter(path).write(Json{{"text", std::string(10000, 'x')}}); }));
  BOOST_TEST(read_file(path) == "{\"step\":1}\n");
}

BOOST_AUTO_TEST_CASE(json_is_parsed_with_bounds) {
  BOOST_TEST(parse_json(std::string(64, '[') + std::string(64, ']'), "j").size() == 1u);
  BOOST_TEST(refusal<BadFile>([] { parse_json(std::string(65, '[') + std::string(65, ']'), "j"); }) ==
             "j: JSON nested deeper than 64 levels");
  BOOST_TEST(refusal<BadFile>([] { parse_json("{\"a\":{\"b\":1,\"b\":2}}", "j"); }) ==
             "j: key \"b\" appears twice in one JSON object");
  BOOST_TEST(parse_json("[{\"a\":1},{\"a\":1}]", "j").size() == 2u);
  BOOST_TEST(!refusal<BadFile>([] { parse_json("{\"a\":1} x", "j"); }).empty());
  BOOST_TEST(!refusal<BadFile>([] { parse_json("", "j"); }).empty());
  BOOST_TEST(dump_json(Json("a\xff\x01")) == "\"a\xef\xbf\xbd\\u0001\"");
}

BOOST_AUTO_TEST_CASE(a_held_folder_is_refused_with_its_holder) {
  const Scratch scratch;
  const std::string folder = scratch.path(".");
  {
    const FolderLock lock(folder);
    const std::string message = refusal<BadArgument>([&] { FolderLock{folder}; });
    BOOST_TEST(message.find("another run (process " + std::to_string(::getpid()) + " on ") != std::string::npos,
               message);
  }
  const FolderLock again(folder);
}

BOOST_AUTO_TEST_CASE(json_errors_name_the_place) {
  const auto says = [](const std::string& text) { return refusal<BadFile>([&] { parse_json(text, "j"); }); };
  BOOST_TEST(says("{\"a\": 1,\n  \"b\": }") == "j: not valid JSON: unexpected \"}\" at line 2, column 8");
  BOOST_TEST(says("{\"a\": [1, 2") == "j: not valid JSON: it ends too early, at line 1, column 11");
  BOOST_TEST(says("[1e999]").find("is too large") != std::string::npos);
  BOOST_TEST(says("[\"\xff\"]").find("text that is not UTF-8 at line 1") != std::string::npos);
  BOOST_TEST(says("").find("it ends too early") != std::string::npos);
  for (const std::string text : {"{\"a\"", "[1 2]", "nul", "{\"a\":1} x"}) {
    BOOST_TEST(says(text).find("json.exception") == std::string::npos, says(text));
    BOOST_TEST(!says(text).empty());
  }
}

BOOST_AUTO_TEST_CASE(json_values_are_those_of_the_library) {
  const std::string text = R"( {"n": null, "t": [true, false], "i": -3, "u": 18446744073709551615, "f": 1.5e3,
    "s": "\u00e9\n", "o": {"": {}, "e": []}, "deep": [[[{"x": [1, {"y": 2}]}]]]} )";
  BOOST_TEST((parse_json(text, "j") == Json::parse(text)));
  BOOST_TEST((parse_ordered_json(text, "j") == OrderedJson::parse(text)));
  BOOST_TEST(parse_ordered_json(R"({"b": {"z": 1, "y": [{"q": 2, "p": 3}]}, "a": 4})", "j").dump() ==
             R"({"b":{"z":1,"y":[{"q":2,"p":3}]},"a":4})");
  BOOST_TEST(refusal<BadFile>([] { parse_ordered_json(R"({"b": 1, "a": 2, "b": 3})", "j"); }) ==
             "j: key \"b\" appears twice in one JSON object");
  BOOST_TEST((parse_json("\"x\"", "j") == Json("x")));
}

// A quadratic parser takes minutes for as many members.
BOOST_AUTO_TEST_CASE(very_many_members_take_linear_time) {
  std::string text = "{";
  constexpr int members = 200000;
  for (int i = 0; i < members; ++i) {
    text += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":{\"shape\":[1]}";
  }
  BOOST_TEST(parse_json(text + "}", "j").size() == static_cast<std::size_t>(members));
}

BOOST_AUTO_TEST_CASE(only_regular_files_are_read) {
  const Scratch scratch;
  const std::string pipe = scratch.path("pipe");
  BOOST_REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  for (const std::string& path : {pipe, std::string("/dev/zero"), std::string("/tmp")}) {
    BOOST_TEST(refusal<BadFile>([&] { read_file(path); }) == path + ": not a regular file");
    BOOST_TEST(refusal<BadFile>([&] { hash_file(path); }) == path + ": not a regular file");
    BOOST_TEST(refusal<BadFile>([&] { MappedFile{path}; }) == path + ": not a regular file");
  }
  write_file(scratch.path("ten"), "0123456789");
  BOOST_TEST(read_file(scratch.path("ten"), 10) == "0123456789");
  BOOST_TEST(refusal<BadFile>([&] { read_file(scratch.path("ten"), 9); }).find("longer than the 9 bytes") !=
             std::string::npos);
  BOOST_TEST(read_file("/proc/self/stat").size() > 10u);  // a regular file that says it is empty
}

BOOST_AUTO_TEST_CASE(a_hash_is_that_of_the_bytes_in_any_pieces) {
  BOOST_TEST(fnv1a("") == 0xCBF29CE484222325u);
  BOOST_TEST(fnv1a("a") == 0xAF63DC4C8601EC8Cu);  // the authors' test vectors
  BOOST_TEST(fnv1a("foobar") == 0x85944171F73967E8u);
  BOOST_TEST(fnv1a("bar", fnv1a("foo")) == fnv1a("foobar"));
  const Scratch scratch;
  const std::string path = scratch.path("content");
  std::string content(3000000, 'x');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * i >> 3);
  write_file(path, content);
  BOOST_TEST(hash_file(path) == fnv1a(content));
  BOOST_TEST(hash_file(path, fnv1a("foo")) == fnv1a("foo" + content));
  BOOST_CHECK_THROW(hash_file(scratch.path("missing")), IoError);
}

BOOST_AUTO_TEST_SUITE_END()
