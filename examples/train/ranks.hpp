#pragma once

/// @file
/// The ranks of a run of `train`: this process alone, or those that mpirun started.

#include <cstddef>
#include <memory>
#include <string>

#include "maestro/distributed/any.hpp"

namespace maestro::examples {

/// Ranks joins the processes that mpirun started, for as long as it lives.
class Ranks {
 public:
  /// @throws BadArgument if several were started and the program was built without MPI; IoError with what MPI says.
  Ranks(int& argc, char**& argv);
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  ~Ranks();

  std::size_t rank() const { return communicator.rank(); }
  std::size_t size() const { return communicator.size(); }
  /// "rank 1 of 4: "; empty for a process alone.
  std::string name() const;
  /// Divides the processors of this machine among its ranks, unless the environment or --threads says how many each
  /// has.
  void share_processors(int threads) const;
  /// Ends all ranks with this code; returns if there is no other.
  void end_all(int code) const;

  AnyCommunicator communicator{};
  std::size_t on_machine = 1;  ///< ranks on this machine, this one included

 private:
  struct Session;
  std::unique_ptr<Session> session_;
};

}  // namespace maestro::examples
