#include "maestro/hub/frozen_files.hpp"
#include "maestro/hub/gguf.hpp"

#include <cmath>
#include <span>
#include <vector>

#include "fuzz_target.hpp"

/// A GGUF file that is accepted can be read to its last value, and its model, if it has one, is one that check allows.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace maestro_fuzz;
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  accept_or_refuse([&] {
    const maestro::GgufFile file(bytes, "g");
    for (const maestro::GgufTensor& tensor : file.tensors()) {
      std::vector<float> values(tensor.count);
      file.read(tensor, values);
      must(file.find(tensor.name) != nullptr, "a tensor is found by its name");
    }
    maestro::check(maestro::load_gguf_config(file));
    const auto weights = maestro::load_gguf<float>(file);
    for (const float value : weights.flat()) must(std::isfinite(value), "weights are finite");
    const auto same = maestro::load_frozen<float>(file, maestro::FrozenStore::quantized)->unpacked();
    must(std::ranges::equal(same.flat(), weights.flat()), "quantized weights are those that are dequantized");
  });
  return 0;
}
