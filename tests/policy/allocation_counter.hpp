#pragma once

// Counts what this test program allocates through operator new.

#include <cstddef>

namespace allocation {

/// Calls of operator new so far.
std::size_t count();
/// Bytes held now, and the most held since the last reset_peak().
std::size_t held();
std::size_t peak();
void reset_peak();

}  // namespace allocation
