#include "maestro/io/checkpoint_files.hpp"

#include "fuzz_target.hpp"

/// The bytes as a model.safetensors.index.json: what is accepted leads to no other folder.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace maestro_fuzz;
  accept_or_refuse([&] {
    const maestro::WeightMap map = maestro::parse_weight_map(text_of(data, size), "index.json");
    must(!map.empty(), "a map names a tensor");
    for (const auto& [tensor, shard] : map) {
      must(shard.ends_with(".safetensors"), "a shard is a safetensors file");
      must(shard.find('/') == std::string::npos && shard.find("..") == std::string::npos, "a shard lies here");
    }
  });
  return 0;
}
