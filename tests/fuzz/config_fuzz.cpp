#include "maestro/hub/classifier_files.hpp"
#include "maestro/hub/config_json.hpp"
#include "maestro/model/layers/rope.hpp"

#include <cmath>
#include <optional>

#include "fuzz_target.hpp"

/// A config.json that is accepted is written and read again as it was; so is that of a classifier. The same bytes as a
/// generation_config.json.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace maestro_fuzz;
  const auto text = text_of(data, size);
  std::optional<maestro::ModelConfig> config;
  accept_or_refuse([&] { config = maestro::parse_config(text, "config.json"); });
  if (config) {
    must(maestro::parse_config(maestro::config_text(*config), "again") == *config, "a configuration survives writing");
    for (const std::size_t i : {std::size_t{0}, config->head_dim / 2 - 1}) {
      must(std::isfinite(maestro::rope_frequency(config->rope(), i)), "angles are finite");
    }
  }
  accept_or_refuse([&] { maestro::detail::parse_classifier_config(text, "config.json"); });
  accept_or_refuse([&] {
    maestro::ModelConfig known = maestro::qwen3_config(300, 8, 1, 2, 1, 4, 8);
    maestro::add_generation_config(text, "generation_config.json", known);
    maestro::check(known);
  });
  return 0;
}
