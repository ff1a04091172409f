#pragma once

// Comparison to the bit, for the tests of the device's algorithms.

#include <cstring>
#include <vector>

namespace test {

/// Equal, NaN to NaN, 0 and -0 apart.
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

}  // namespace test
