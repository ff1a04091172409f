/// Runs a fuzz target without a fuzzer: each file of the given folders as it is, and a number of mutations of it that
/// are the same in every run.
///
///     fuzz_replay_<target> <mutations of each file> <folder>...

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz_target.hpp"
#include "maestro/core/hash.hpp"
#include "maestro/core/random.hpp"
#include "maestro/io/file.hpp"

namespace {

/// What formats in JSON turn on.
constexpr std::string_view pieces[] = {"{",
                                       "}",
                                       "[",
                                       "]",
                                       ",",
                                       ":",
                                       "\"",
                                       "\\",
                                       "\\u0000",
                                       "null",
                                       "true",
                                       "-1",
                                       "1e999",
                                       "1e-5",
                                       "\xff",
                                       "\n",
                                       "9007199254740993",
                                       "18446744073709551616",
                                       "\xed\xa0\x80",
                                       "\"a\":",
                                       "[[[[",
                                       "../"};

void run(const std::string& input) {
  // A copy of exactly this size: address checkers then see a read behind the end.
  const std::vector<std::uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

std::string mutated(std::string input, const maestro::RandomStream& stream) {
  std::uint32_t drawn = 0;
  const auto below = [&](std::size_t count) { return static_cast<std::size_t>(stream.below(count, drawn++)); };
  const std::size_t changes = 1 + below(4);
  for (std::size_t i = 0; i < changes; ++i) {
    const std::size_t at = below(input.size() + 1);
    const std::size_t length = std::min(1 + below(16), input.size() - at);
    switch (below(6)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(below(256));
        break;
      case 1:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
        break;
      case 2:
        input.erase(at, length);
        break;
      case 3:
        input.insert(at, input.substr(below(input.size() + 1), 1 + below(32)));
        break;
      case 4:
        input.insert(at, pieces[below(std::size(pieces))]);
        break;
      default:
        input.resize(at);
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s <mutations of each file> <folder>...\n", argv[0]);
    return 2;
  }
  try {
    const auto mutations = static_cast<std::uint32_t>(std::strtoul(argv[1], nullptr, 10));
    std::vector<std::string> paths;
    for (int i = 2; i < argc; ++i) {
      for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
        if (entry.is_regular_file()) paths.push_back(entry.path().string());
      }
    }
    std::sort(paths.begin(), paths.end());
    if (paths.empty()) throw maestro::BadArgument("the folders hold no file");
    run("");
    for (const std::string& path : paths) {
      const std::string seed = maestro::read_file(path);
      run(seed);
      const std::uint64_t key = maestro::fnv1a(std::filesystem::path(path).filename().string());
      for (std::uint32_t m = 0; m < mutations; ++m) run(mutated(seed, maestro::RandomStream({.seed = key, .row = m})));
    }
    std::printf("%zu files, %u mutations of each\n", paths.size(), mutations);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "not a refusal: %s\n", error.what());
    return 1;
  }
  return 0;
}
