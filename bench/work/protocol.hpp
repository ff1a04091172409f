#pragma once

/// @file
/// The protocol between bench/driver.py and the programs that work: one line of JSON about the set-up, a line `ready`,
/// then one line of JSON for each line `go`. Between two of them the program sleeps.

#include <cstddef>
#include <iosfwd>

#include "bench/work/options.hpp"
#include "bench/work/work.hpp"

namespace maestro::bench {

/// Warms up, then serves until the input ends.
void serve(const Work& work, const WorkOptions& options, std::istream& in, std::ostream& out);

}  // namespace maestro::bench
