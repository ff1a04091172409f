# maestro::blas: what gemm/cblas.hpp needs. Defined only where OpenBLAS is found. The installed package includes
# this same file, so that the library is looked for where it is used and not where maestro was packaged.

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND AND NOT TARGET maestro::blas)
  pkg_check_modules(maestro_openblas QUIET IMPORTED_TARGET GLOBAL openblas)
  if(maestro_openblas_FOUND)
    add_library(maestro_blas INTERFACE IMPORTED GLOBAL)
    target_link_libraries(maestro_blas INTERFACE maestro::maestro PkgConfig::maestro_openblas)
    add_library(maestro::blas ALIAS maestro_blas)
  endif()
endif()
