// One rank of an MPI job: the collectives, then what is asked for.
//   mpirun -n N mpi_ranks collectives | fails | throws

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "maestro/distributed/collectives.hpp"
#include "maestro/distributed/mpi.hpp"

namespace {

void expect(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

template <class T>
void sums(maestro::MpiCommunicator& comm) {
  const auto ranks = static_cast<T>(comm.size());
  std::vector<T> values(1000);
  std::iota(values.begin(), values.end(), static_cast<T>(comm.rank()));
  comm.all_reduce_sum(std::span<T>(values));
  for (std::size_t i = 0; i < values.size(); ++i) {
    expect(values[i] == ranks * static_cast<T>(i) + ranks * (ranks - 1) / 2, "a sum is wrong");
  }
  comm.all_reduce_sum(std::span<T>());
}

template <class T>
void shares(maestro::MpiCommunicator& comm) {
  std::vector<T> whole(5 * comm.size());
  for (std::size_t i = 0; i < whole.size(); ++i) whole[i] = static_cast<T>(i * (comm.rank() + 1));
  std::vector<T> shared = whole;
  comm.all_reduce_sum(std::span<T>(whole));
  maestro::reduce_scatter_sum(std::span<T>(shared), comm);
  const auto own = static_cast<std::ptrdiff_t>(5 * comm.rank());
  expect(std::equal(shared.begin() + own, shared.begin() + own + 5, whole.begin() + own), "a share is wrong");
  maestro::all_gather_shares(std::span<T>(shared), comm);
  expect(shared == whole, "the shares are not all there");
}

void collectives(maestro::MpiCommunicator& comm) {
  shares<float>(comm);
  shares<double>(comm);
  sums<float>(comm);
  sums<double>(comm);
  const std::vector<int> own(comm.rank(), static_cast<int>(comm.rank()));
  std::vector<int> expected;
  for (std::size_t r = 0; r < comm.size(); ++r) expected.insert(expected.end(), r, static_cast<int>(r));
  expect(maestro::gather_values(std::span<const int>(own), comm) == expected, "gathered something else");
  maestro::MpiCommunicator moved(std::move(comm));
  moved.barrier();
  comm = std::move(moved);
}

}  // namespace

int main(int argc, char** argv) {
  maestro::MpiSession session(argc, argv);
  maestro::MpiCommunicator comm;
  const std::string what = argc > 1 ? argv[1] : "collectives";
  try {
    if (what == "collectives") collectives(comm);
    maestro::in_step(comm, [&] {
      if (what == "fails" && comm.rank() + 1 == comm.size()) throw maestro::BadData("the data is bad");
    });
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %zu: %s\n", comm.rank(), error.what());
    return 3;
  }
  if (what == "throws" && comm.rank() == 0) maestro::MpiSession::abort(4);
  comm.barrier();
  if (comm.rank() == 0) std::printf("%zu ranks agree\n", comm.size());
  return 0;
}
