#pragma once

#include <string>

#include "maestro/core/error.hpp"

namespace test {

/// What a call throws, in words.
template <class F>
std::string message_of(const F& call) {
  try {
    call();
  } catch (const maestro::Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace test
