// bench_cuda: sets one work up on a device, then repeats it whenever its input says so. See bench/README.md, "On a
// device". Exits with 77 where there is no device.
#include <cuda_runtime_api.h>

#include <cxxopts.hpp>
#include <exception>
#include <iostream>
#include <string>

#include "bench/cuda/options.hpp"
#include "bench/cuda/serve.hpp"
#include "bench/cuda/work.hpp"
#include "maestro/core/error.hpp"
#include "maestro/cuda/core/check.hpp"
#include "maestro/io/json.hpp"

namespace {

using maestro::bench::device::Options;
using maestro::bench::device::Work;

constexpr int no_device = 77;

cxxopts::Options describe_options(Options& o) {
  cxxopts::Options options("bench_cuda", "Repeats one work of maestro on a device for bench/cuda/measure.py.\n");
  const auto text = [](std::string& value) { return cxxopts::value<std::string>(value)->default_value(value); };
  const auto whole = [](std::size_t& value) {
    return cxxopts::value<std::size_t>(value)->default_value(std::to_string(value));
  };
  options.add_options()                                                                           //
      ("work", "chain, scalarize, statistics, update, mlp, loss", text(o.work))                   //
      ("variant", "Of the work: see work.hpp", text(o.variant))                                   //
      ("type", "Of hidden states: float or bf16", text(o.type))                                   //
      ("dump", "Folder for results to compare with", text(o.dump))                                //
      ("rows", "Responses", whole(o.rows))                                                        //
      ("rewards", "Rewards", whole(o.rewards))                                                    //
      ("inputs", "Size of hidden states", whole(o.inputs))                                        //
      ("group", "Responses of a group", whole(o.group))                                           //
      ("width", "Of the hidden layer; 0: none", whole(o.width))                                   //
      ("copies", "Of the inputs, used in turn", whole(o.copies))                                  //
      ("seconds", "Of a repetition", cxxopts::value<double>(o.seconds)->default_value("0.1"))     //
      ("host", "Self-test: the same bodies on the host, serially", cxxopts::value<bool>(o.host))  //
      ("describe", "Print the device as JSON and stop; 77 where there is none")                   //
      ("help", "Print this");
  return options;
}

Work make_work(const Options& o) {
  using namespace maestro::bench::device;
  if (o.type != "float" && o.type != "bf16") throw maestro::BadArgument("--type is float or bf16");
  const bool bf16 = o.type == "bf16";
  if (o.work == "chain") return chain(o);
  if (o.work == "update") return bf16 ? update_bf16(o) : update_float(o);
  if (o.work == "mlp") return bf16 ? mlp_bf16(o) : mlp_float(o);
  if (bf16) throw maestro::BadArgument("--type bf16 is for chain, update and mlp");
  if (o.work == "scalarize") return scalarize(o);
  if (o.work == "statistics") return statistics(o);
  if (o.work == "loss") return loss(o);
  throw maestro::BadArgument("--work '" + o.work + "' is unknown; see --help");
}

/// What the numbers depend on.
maestro::OrderedJson device_description() {
  int device = 0;
  cudaDeviceProp properties{};
  MAESTRO_CUDA(cudaGetDevice(&device));
  MAESTRO_CUDA(cudaGetDeviceProperties(&properties, device));
  const auto attribute = [&](cudaDeviceAttr which) {
    int value = 0;
    return cudaDeviceGetAttribute(&value, which, device) == cudaSuccess ? value : 0;
  };
  int driver = 0;
  int runtime = 0;
  MAESTRO_CUDA(cudaDriverGetVersion(&driver));
  MAESTRO_CUDA(cudaRuntimeGetVersion(&runtime));
  return {{"name", properties.name},
          {"compute_capability", std::to_string(properties.major) + "." + std::to_string(properties.minor)},
          {"multiprocessors", properties.multiProcessorCount},
          {"memory_bytes", properties.totalGlobalMem},
          {"l2_bytes", properties.l2CacheSize},
          {"clock_khz", attribute(cudaDevAttrClockRate)},
          {"memory_clock_khz", attribute(cudaDevAttrMemoryClockRate)},
          {"cuda_driver", driver},
          {"cuda_runtime", runtime},
          {"cuda_compiled", CUDART_VERSION}};
}

int run(int argc, char** argv) {
  Options o;
  cxxopts::Options options = describe_options(o);
  const cxxopts::ParseResult parsed = options.parse(argc, argv);
  if (parsed.count("help") > 0) {
    std::cout << options.help();
    return 0;
  }
  std::string reason;
  if (!o.host && !maestro::gpu::has_device(&reason)) {
    int driver = 0;
    if (cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0) reason = "no CUDA driver";
    std::cerr << "bench_cuda: " << reason << '\n';
    return no_device;
  }
  if (parsed.count("describe") > 0) {
    std::cout << maestro::dump_json(device_description()) << '\n';
    return 0;
  }
  serve(make_work(o), o, std::cin, std::cout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const cxxopts::exceptions::exception& error) {
    std::cerr << "bench_cuda: " << error.what() << "; see --help\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "bench_cuda: " << error.what() << '\n';
    return 1;
  }
}
