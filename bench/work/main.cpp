// bench_work: sets one work up, then repeats it whenever its input says so. See bench/README.md and protocol.hpp.
#include <cxxopts.hpp>
#include <exception>
#include <iostream>
#include <string>

#include "bench/common/backend.hpp"
#include "bench/common/models.hpp"
#include "bench/work/options.hpp"
#include "bench/work/protocol.hpp"
#include "bench/work/work.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"

namespace {

using maestro::bench::Work;
using maestro::bench::WorkOptions;

cxxopts::Options describe(WorkOptions& o) {
  cxxopts::Options options("bench_work", "Repeats one work of maestro for bench/driver.py.\n");
  const auto text = [](std::string& value) { return cxxopts::value<std::string>(value)->default_value(value); };
  const auto whole = [](std::size_t& value) {
    return cxxopts::value<std::size_t>(value)->default_value(std::to_string(value));
  };
  options.add_options()                                                                                              //
      ("work", "training_step, generation, grpo_step, shared_prefix, scalarization", text(o.work))                   //
      ("model", "shipped, 25m, 135m, v152k-d256, v152k-d896", text(o.model))                                         //
      ("shipped", "Folder of the shipped model", text(o.shipped))                                                    //
      ("prompts", "JSONL file of grpo_step", text(o.prompts))                                                        //
      ("variant", "shared, separate; group_relative, counterfactual, own_weight", text(o.variant))                   //
      ("prompt", "Tokens of a prompt", whole(o.prompt))                                                              //
      ("response", "Tokens of a response", whole(o.response))                                                        //
      ("groups", "Prompts", whole(o.groups))                                                                         //
      ("generations", "Responses of a prompt", whole(o.generations))                                                 //
      ("rows", "Responses of scalarization", whole(o.rows))                                                          //
      ("threads", "Threads", cxxopts::value<int>(o.threads)->default_value(std::to_string(o.threads)))               //
      ("warmup", "Repetitions before 'ready'", whole(o.warmup))                                                      //
      ("inner", "Times that a repetition does the work", whole(o.inner))                                             //
      ("write-model", "Write the model of random weights into this folder and stop", cxxopts::value<std::string>())  //
      ("help", "Print this");
  return options;
}

Work make_work(const WorkOptions& o) {
  if (o.work == "training_step") return training_step(o);
  if (o.work == "generation") return generation(o);
  if (o.work == "grpo_step") return grpo_step(o);
  if (o.work == "shared_prefix") return shared_prefix(o);
  if (o.work == "scalarization") return scalarization(o);
  throw maestro::BadArgument("--work '" + o.work + "' is unknown; see --help");
}

int run(int argc, char** argv) {
  WorkOptions o;
  cxxopts::Options options = describe(o);
  const cxxopts::ParseResult parsed = options.parse(argc, argv);
  if (parsed.count("help") > 0) {
    std::cout << options.help();
    return 0;
  }
  maestro::set_threads(o.threads);
  if (parsed.count("write-model") > 0) {
    maestro::bench::write_model(parsed["write-model"].as<std::string>(),
                                maestro::bench::make_model(o.model, o.shipped, 2048));
    return 0;
  }
  Work work = make_work(o);
  work.info["backend"] = maestro::bench::backend_name;
  serve(work, o, std::cin, std::cout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const cxxopts::exceptions::exception& error) {
    std::cerr << "bench_work: " << error.what() << "; see --help\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "bench_work: " << error.what() << '\n';
    return 1;
  }
}
