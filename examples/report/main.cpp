// Writes report.html into the folders of runs.
#include <exception>
#include <iostream>
#include <string_view>

#include "report/report.hpp"

int main(int argc, char** argv) {
  if (argc < 2 || std::string_view(argv[1]) == "--help") {
    std::cout << "Writes report.html into each folder of a run (train --output), finished or not:\n\n"
                 "  report runs/mine runs/other\n\n"
                 "The page shows rewards and weights over time, conflict and health, responses and settings. It needs "
                 "no other file.\n";
    return argc < 2 ? 2 : 0;
  }
  try {
    for (int i = 1; i < argc; ++i) std::cout << maestro::examples::write_report(argv[i]) << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "report: " << error.what() << '\n';
    return 2;
  }
}
