#pragma once

#include <exception>
#include <string>

namespace test {

/// What an error says that `work` throws; empty if it throws none.
std::string message_of(const auto& work) {
  try {
    work();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

}  // namespace test
