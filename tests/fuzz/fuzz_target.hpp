#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "maestro/core/error.hpp"

/// What libFuzzer (tests/fuzz.sh) and the replay of the tests (replay.cpp) call: any bytes, accepted or refused with a
/// maestro::Error, and nothing else.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace maestro_fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Ends the process when something that must hold does not.
inline void must(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

/// Runs `action`, which may refuse its input.
template <class Action>
void accept_or_refuse(Action&& action) {
  try {
    action();
  } catch (const maestro::Error& error) {
    must(error.what()[0] != '\0', "a refusal says why");
  }
}

}  // namespace maestro_fuzz
