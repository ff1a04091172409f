#pragma once

#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <string>

namespace maestro_test {

/// A folder of its own for one test, removed afterwards.
class Scratch {
 public:
  Scratch() {
    char name[] = "/tmp/maestro-test-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name) != nullptr);
    root_ = name;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::filesystem::remove_all(root_); }

  std::string path(const std::string& name) const { return root_ + "/" + name; }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(root_), {}));
  }

 private:
  std::string root_;
};

/// The message of the E that `action` throws; empty when it throws nothing.
template <class E, class Action>
std::string refusal(Action&& action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  return {};
}

}  // namespace maestro_test
