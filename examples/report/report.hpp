#pragma once

/// @file
/// A run's folder as one page of HTML that needs nothing else: report.html.

#include <string>

namespace maestro::examples {

/// Writes report.html into a run's folder, from what lies there: metrics.jsonl and, if they are there, samples.jsonl,
/// eval.jsonl and run.json. The run may be going on.
/// @return the page's path
/// @throws BadArgument for a folder without metrics.jsonl; BadFile naming a line that is no record; IoError
std::string write_report(const std::string& folder);

}  // namespace maestro::examples
