#pragma once

/// @file
/// bench/work/protocol.hpp's talk with the driver, for work that is launched and finishes later.

#include <iosfwd>

#include "bench/cuda/options.hpp"
#include "bench/cuda/work.hpp"

namespace maestro::bench::device {

/// Warms up until every sequence is recorded, then serves until the input ends. A repetition is a number of calls, then
/// one wait; how many is found in the first one, which the driver drops.
void serve(const Work& work, const Options& options, std::istream& in, std::ostream& out);

}  // namespace maestro::bench::device
