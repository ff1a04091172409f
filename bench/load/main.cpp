// Writes a checkpoint of random weights, or loads one and prints the seconds and the memory that took, as JSON.
//   bench_load make MODEL f32|bf16 FOLDER     MODEL as in bench/common/models.hpp
//   bench_load load FOLDER
#include <chrono>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>

#include "bench/common/models.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/json.hpp"

namespace {

/// MB of a field of /proc/self/status: VmRSS (resident now) or VmHWM (its peak).
double memory(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::strtod(line.c_str() + field.size() + 1, nullptr) * 1024e-6;
  }
  return 0.0;
}

void load(const std::string& folder) {
  const double before = memory("VmRSS");
  const auto start = std::chrono::steady_clock::now();
  const maestro::ModelWeights<float> weights = maestro::load_model<float>(folder);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  maestro::OrderedJson json;
  json["parameters"] = weights.parameters();
  json["seconds"] = seconds;
  json["peak_mb"] = memory("VmHWM");
  json["grown_mb"] = memory("VmHWM") - before;
  std::cout << json.dump() << "\n";
}

void make(const std::string& model, const std::string& type, const std::string& folder) {
  using maestro::StoreAs;
  if (type != "f32" && type != "bf16") throw maestro::BadArgument("the type '" + type + "' is neither f32 nor bf16");
  const auto weights = maestro::bench::make_model(model, "", 0);
  maestro::AtomicFolder files(folder);
  maestro::write_model_files(files.folder(), weights, type == "f32" ? StoreAs::f32 : StoreAs::bf16);
  maestro::write_tokenizer_files(files.folder(), maestro::ByteTokenizer());
  files.commit();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string what = argc > 1 ? argv[1] : "";
    if (what == "load" && argc == 3) {
      load(argv[2]);
    } else if (what == "make" && argc == 5) {
      make(argv[2], argv[3], argv[4]);
    } else {
      std::cerr << "usage: bench_load make MODEL f32|bf16 FOLDER | bench_load load FOLDER\n";
      return 2;
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
