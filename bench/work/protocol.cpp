#include "bench/work/protocol.hpp"

#include <chrono>
#include <fstream>
#include <istream>
#include <ostream>
#include <string>

#include "maestro/core/error.hpp"

namespace maestro::bench {

namespace {

/// From here on the peak counts anew; where the kernel refuses, it stays that of the whole process.
void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

/// A line of /proc/self/status in bytes, 0 where there is none.
std::size_t memory_status(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::stoul(line.substr(name.size() + 1)) * 1024;
  }
  return 0;
}

OrderedJson measure(const Work& work, std::size_t inner) {
  reset_peak_memory();
  const std::size_t before = memory_status("VmRSS");
  OrderedJson figures;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < inner; ++i) figures = work.repetition();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  OrderedJson line = {{"seconds", taken.count() / static_cast<double>(inner)}};
  line.update(figures);
  line["resident_before_bytes"] = before;
  line["peak_bytes"] = memory_status("VmHWM");
  return line;
}

}  // namespace

void serve(const Work& work, const WorkOptions& options, std::istream& in, std::ostream& out) {
  for (std::size_t i = 0; i < options.warmup; ++i) work.repetition();
  out << dump_json(work.info) << "\nready" << std::endl;
  for (std::string line; std::getline(in, line);) {
    if (line != "go") throw BadArgument("the only command is 'go', got '" + line + "'");
    out << dump_json(measure(work, options.inner)) << std::endl;
  }
}

}  // namespace maestro::bench
