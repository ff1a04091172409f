#include "maestro/io/safetensors.hpp"

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "fuzz_target.hpp"

namespace {

using namespace maestro_fuzz;

void read_everything(std::span<const std::byte> bytes) {
  const maestro::SafetensorsFile file(bytes, "x");
  std::size_t data = 0;
  for (const maestro::TensorInfo& tensor : file.tensors()) {
    data += tensor.bytes.size();
    must(file.find(tensor.name) == &tensor, "each tensor is found by its name");
    must(8 * tensor.bytes.size() == tensor.count * maestro::bits_of(tensor.dtype), "the bytes are those of the shape");
    accept_or_refuse([&] {
      std::vector<float> values(tensor.count);
      file.read<float>(tensor.name, values);
    });
    accept_or_refuse([&] {
      std::vector<std::uint16_t> values(tensor.count);
      file.read_bf16(tensor.name, values);
    });
  }
  must(data < bytes.size(), "the tensors lie in the file");
}

}  // namespace

/// The bytes as a file; then as the header of a file with 64 bytes of data, so that lengths need not be guessed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  accept_or_refuse([&] { read_everything(std::as_bytes(std::span(data, size))); });
  accept_or_refuse([&] {
    const std::uint64_t length = size;
    std::string file(8, '\0');
    std::memcpy(file.data(), &length, 8);
    file.append(text_of(data, size)).append(64, '\1');
    read_everything(std::as_bytes(std::span(file)));
  });
  return 0;
}
