# maestro::mpi: what maestro/distributed/mpi.hpp needs, any MPI 3. Defined only where one is found. The installed
# package includes this same file, so that it is looked for where it is used and not where maestro was packaged.

if(NOT TARGET maestro::mpi)
  set(MPI_CXX_SKIP_MPICXX TRUE)  # the bindings for C++, which were taken out of the standard
  find_package(MPI 3.0 QUIET COMPONENTS CXX)
  if(MPI_CXX_FOUND)
    add_library(maestro_mpi INTERFACE IMPORTED GLOBAL)
    target_link_libraries(maestro_mpi INTERFACE maestro::maestro MPI::MPI_CXX)
    add_library(maestro::mpi ALIAS maestro_mpi)
  endif()
endif()
