// bench_tokenizer <tokenizer.json> <text file> <rounds>: seconds to load, and to encode the text whole and line by
// line. Prints one JSON object, for run.py.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/tokenizers.hpp"

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

/// Any special token will do for the end: nothing here ends a response.
std::string first_special(const std::string& text) {
  const maestro::Json json = maestro::parse_json(text, "tokenizer");
  for (const auto& token : json.at("added_tokens")) {
    if (token.value("special", false)) return token.value("content", std::string());
  }
  return {};
}

void run(const std::string& path, const std::string& text_path, int rounds) {
  const std::string json = maestro::read_file(path);
  const std::string end = first_special(json);
  const double loading = now();
  const maestro::BpeTokenizer tokenizer = maestro::parse_bpe_tokenizer(json, path, {.end = end});
  std::printf("{\"load\": %.4f, \"rounds\": [", now() - loading);
  const std::string text = maestro::read_file(text_path);
  const std::vector<std::string_view> lines = lines_of(text);
  std::vector<std::int32_t> ids;
  for (int round = 0; round < rounds; ++round) {
    const double start = now();
    ids = tokenizer.encode_with_special(text);
    const double whole = now() - start;
    std::size_t in_lines = 0;
    for (const std::string_view line : lines) in_lines += tokenizer.encode_with_special(line).size();
    const double each = now() - start - whole;
    std::printf("%s[%.6f, %.6f, %zu]", round > 0 ? ", " : "", whole, each, in_lines);
  }
  std::uint64_t hash = maestro::fnv1a_start;
  for (const std::int32_t id : ids) hash = maestro::fnv1a(std::to_string(id) + ",", hash);
  std::printf("], \"tokens\": %zu, \"hash\": \"%016llx\"}\n", ids.size(), static_cast<unsigned long long>(hash));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "bench_tokenizer <tokenizer.json> <text file> <rounds>\n");
    return 2;
  }
  try {
    run(argv[1], argv[2], std::stoi(argv[3]));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
