#pragma once

/// @file
/// What a benchmark on a device is told.

#include <cstddef>
#include <string>

namespace maestro::bench::device {

struct Options {
  std::string work = "chain";
  std::string variant{};       ///< of chain, scalarize and statistics: see the works
  std::string type = "float";  ///< of hidden states: float or bf16
  std::string dump{};          ///< folder for the results that the peers compare theirs with; empty: none
  std::size_t rows = 1024;     ///< B; entries of update and mlp, responses of loss
  std::size_t rewards = 5;     ///< K
  std::size_t inputs = 4096;   ///< d
  std::size_t group = 8;       ///< G
  std::size_t width = 0;       ///< of the hidden layer of update and mlp; 0: a linear head
  std::size_t copies = 1;      ///< of the inputs, used in turn, so that no cache holds them
  double seconds = 0.1;        ///< that a repetition should take
  bool host = false;           ///< self-test: the same bodies on the host
};

}  // namespace maestro::bench::device
