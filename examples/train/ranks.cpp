#include "train/ranks.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/thread_count.hpp"
#ifdef MAESTRO_TRAIN_MPI
#include "maestro/distributed/mpi.hpp"
#endif

namespace maestro::examples {

namespace {

/// Where Open MPI, MPICH and their relatives say how many processes mpirun has started; 0 if none of them did.
int started_by_mpirun() {
  for (const char* variable : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"}) {
    const char* const text = std::getenv(variable);
    const int count = text != nullptr ? std::atoi(text) : 0;
    if (count > 0) return count;
  }
  return std::getenv("PMIX_RANK") != nullptr ? 1 : 0;  // a launcher that tells the number to MPI alone
}

}  // namespace

#ifdef MAESTRO_TRAIN_MPI

struct Ranks::Session {
  Session(int& argc, char**& argv) : mpi(argc, argv) {}
  MpiSession mpi;
};

Ranks::Ranks(int& argc, char**& argv) {
  if (started_by_mpirun() == 0) return;
  session_ = std::make_unique<Session>(argc, argv);
  communicator = AnyCommunicator(MpiCommunicator());
  MPI_Comm machine = MPI_COMM_NULL;
  int ranks = 1;
  maestro::detail::check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine),
                             "MPI_Comm_split_type");
  maestro::detail::check_mpi(MPI_Comm_size(machine, &ranks), "MPI_Comm_size");
  MPI_Comm_free(&machine);
  on_machine = static_cast<std::size_t>(ranks);
}

void Ranks::end_all(int code) const {
  if (session_ && size() > 1) MpiSession::abort(code);
}

#else

struct Ranks::Session {};

Ranks::Ranks(int&, char**&) {
  if (started_by_mpirun() > 1) {
    throw BadArgument(
        "mpirun has started several processes, and this program was built without MPI: each would train by itself; "
        "install an MPI (Debian: libopenmpi-dev) and build again, or start one process");
  }
}

void Ranks::end_all(int) const {}

#endif

Ranks::~Ranks() {
  communicator = AnyCommunicator();  // before MPI ends
}

std::string Ranks::name() const {
  return size() == 1 ? "" : "rank " + std::to_string(rank()) + " of " + std::to_string(size()) + ": ";
}

void Ranks::share_processors(int threads) const {
  const bool said = std::getenv("MAESTRO_NUM_THREADS") != nullptr || std::getenv("OMP_NUM_THREADS") != nullptr;
  if (on_machine == 1 || threads > 0 || said) return;
  const int machine =
      std::min(static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)), maestro::detail::granted_processors());
  set_threads(std::max(1, std::min(max_threads(), machine / static_cast<int>(on_machine))));
}

}  // namespace maestro::examples
