# The library's targets. They export the include path, cxx_std_20 and dependencies, nothing else.

find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(nlohmann_json 3.10 REQUIRED)
find_package(OpenMP COMPONENTS CXX)

add_library(maestro INTERFACE)
add_library(maestro::maestro ALIAS maestro)
target_compile_features(maestro INTERFACE cxx_std_20)
target_include_directories(maestro INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_link_libraries(maestro INTERFACE Eigen3::Eigen nlohmann_json::nlohmann_json)
if(OpenMP_CXX_FOUND)
  target_link_libraries(maestro INTERFACE OpenMP::OpenMP_CXX)
endif()

# maestro::blas: what core/gemm_cblas.hpp needs. Defined only where a cblas is found.
find_package(PkgConfig QUIET)
if(PkgConfig_FOUND)
  pkg_check_modules(openblas QUIET IMPORTED_TARGET openblas)
endif()
if(TARGET PkgConfig::openblas)
  add_library(maestro_blas INTERFACE)
  add_library(maestro::blas ALIAS maestro_blas)
  target_link_libraries(maestro_blas INTERFACE maestro PkgConfig::openblas)
endif()
