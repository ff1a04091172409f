// How a training step's time and memory grow with one size at a time: scaling DIR writes DIR/<factor>.csv.
// Each point runs in a process of its own (scaling --point P R G V K d), so that its peak memory is its own.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "bench/scaling/point.hpp"
#include "maestro/core/error.hpp"

namespace {

using maestro::bench::Measurement;
using maestro::bench::Point;

struct Factor {
  const char* name;
  std::size_t Point::*size;
  std::vector<std::size_t> values;
};

std::vector<Factor> factors() {
  return {{"prompt_length", &Point::prompt, {16, 32, 64, 128, 256, 512, 1024, 2048}},
          {"response_length", &Point::response, {16, 32, 64, 128, 256, 512}},
          {"group_size", &Point::group, {2, 4, 8, 16, 32, 64}},
          {"vocabulary", &Point::vocabulary, {272, 1024, 4096, 16384, 65536}},
          {"rewards", &Point::rewards, {2, 4, 8, 16}},
          {"hidden_size", &Point::hidden, {64, 128, 192, 256, 384, 512}}};
}

constexpr const char* columns =
    "parameters,prompt_tokens,response_tokens,steps,rollout_s,rewards_s,conductor_s,training_s,total_s,cpu_s,"
    "peak_bytes";

void print_point(char** sizes) {
  const auto size = [&](int index) { return static_cast<std::size_t>(std::stoull(sizes[index])); };
  const Measurement m = maestro::bench::measure({.prompt = size(0),
                                                 .response = size(1),
                                                 .group = size(2),
                                                 .vocabulary = size(3),
                                                 .rewards = size(4),
                                                 .hidden = size(5)});
  std::printf("%zu,%zu,%zu,%zu,%.6f,%.6f,%.6f,%.6f,%.6f,%.6f,%zu\n", m.parameters, m.prompt_tokens, m.response_tokens,
              m.steps, m.rollout, m.rewards, m.conductor, m.training, m.total, m.cpu, m.peak_memory);
}

/// The line that a fresh process prints for this point.
std::string run_point(const Point& p) {
  std::string command = "'" + std::filesystem::read_symlink("/proc/self/exe").string() + "' --point";
  for (const std::size_t size : {p.prompt, p.response, p.group, p.vocabulary, p.rewards, p.hidden}) {
    command += " " + std::to_string(size);
  }
  FILE* const pipe = ::popen(command.c_str(), "r");
  maestro::require(pipe != nullptr, "scaling: cannot start another process");
  std::string line;
  for (int c = std::fgetc(pipe); c != EOF && c != '\n'; c = std::fgetc(pipe)) line += static_cast<char>(c);
  const int status = ::pclose(pipe);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw maestro::BadData("scaling: this point failed: " + command);
  }
  return line;
}

void sweep(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (const Factor& factor : factors()) {
    std::ofstream csv(folder / (std::string(factor.name) + ".csv"));
    csv << factor.name << ',' << columns << '\n';
    for (const std::size_t value : factor.values) {
      Point point;
      point.*factor.size = value;
      const std::string line = run_point(point);
      csv << value << ',' << line << '\n';
      std::cout << factor.name << ' ' << value << ": " << line << std::endl;
    }
    csv.flush();
    maestro::require(csv.good(), "scaling: cannot write the CSV file");
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 8 && std::string_view(argv[1]) == "--point") {
      print_point(argv + 2);
    } else if (argc == 2 && argv[1][0] != '-') {
      sweep(argv[1]);
    } else {
      std::cerr << "scaling DIR: writes one CSV file per factor into DIR\n";
      return 2;
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
