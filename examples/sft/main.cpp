// Supervised fine-tuning of a language model on the references of a prompt file.
#include <algorithm>
#include <array>
#include <cxxopts.hpp>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

#include "common/stop_signal.hpp"
#include "sft/options.hpp"
#include "sft/sft.hpp"
#include "train/command_line.hpp"

namespace {

using maestro::examples::SftOptions;

constexpr std::string_view start_here = "Start here";
constexpr std::array<std::string_view, 8> first_options{"model",         "prompts",    "output",     "lora-rank",
                                                        "learning-rate", "num-epochs", "batch-size", "dry-run"};
constexpr const char* description =
    R"(Trains a language model on the references of a prompt file: the likelihood of each, after its prompt.

  sft --model DIR --prompts FILE.jsonl --lora-rank 16 --output runs/sft
  evaluate --prompts TEST.jsonl --model base=DIR --model sft=runs/sft/model
)";

/// Refuses options that the others leave without effect.
void refuse_idle(const SftOptions& o, const cxxopts::ParseResult& given) {
  const auto is_given = [&](const std::string& name) { return given.count(name) > 0; };
  const auto refuse = maestro::examples::idle_refusal(is_given);
  const auto& m = o.model_options;
  refuse(!m.trains_adapters(), {"frozen-dtype", "merge-adapters", "save-gguf-adapter"},
         "without --lora-rank or --adapter");
  refuse(m.lora_rank == 0 || !m.adapter.empty(), maestro::examples::option_names(m.lora),
         m.adapter.empty() ? "without --lora-rank" : "with --adapter, whose own counts");
  refuse(!m.adapter.empty(), {"lora-rank"}, "with --adapter, whose own counts");
  refuse(o.steps > 0, {"num-epochs"}, "with --steps");
}

int run(const SftOptions& o) {
  using namespace maestro::examples;
  if (!o.model_options.trains_adapters()) return sft_as<FullPolicy>(o);
  return sft_as<AdapterPolicy>(o);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    cxxopts::Options options("sft", description);
    options.set_width(110);
    maestro::examples::add_options<SftOptions>(options, start_here, first_options);
    maestro::examples::add_config_and_help(options, start_here);
    const auto given = maestro::examples::parse<SftOptions>(options, {argv + 1, argv + argc});
    if (given.count("help") > 0) {
      std::cout << maestro::examples::help_text(options, start_here) << '\n';
      return 0;
    }
    maestro::examples::catch_stop_signals();
    SftOptions o;
    maestro::examples::read_options(given, o);
    if (o.model_options.lora_rank > 0) o.model_options.lora.rank = o.model_options.lora_rank;
    refuse_idle(o, given);
    o.schedule.total_steps = 1 + o.schedule.warmup_steps;  // known once the prompts are read
    maestro::examples::check(o);
    return run(o);
  } catch (const std::exception& error) {
    std::cerr << "sft: " << error.what() << '\n';
    return 2;
  }
}
