# The library's targets. They export the include path, cxx_std_20 and dependencies, nothing else.

# GLOBAL: a parent project that adds this directory sees the dependencies behind maestro::maestro.
find_package(Eigen3 3.4 REQUIRED NO_MODULE GLOBAL)
find_package(nlohmann_json 3.10 REQUIRED GLOBAL)
find_package(Threads REQUIRED GLOBAL)

add_library(maestro INTERFACE)
add_library(maestro::maestro ALIAS maestro)
target_compile_features(maestro INTERFACE cxx_std_20)
target_include_directories(maestro INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(maestro INTERFACE Eigen3::Eigen nlohmann_json::nlohmann_json Threads::Threads)

include(${CMAKE_CURRENT_LIST_DIR}/MaestroBlas.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/MaestroTokenizers.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/MaestroHttp.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/MaestroCuda.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/MaestroNccl.cmake)
if(MAESTRO_USE_MPI)
  include(${CMAKE_CURRENT_LIST_DIR}/MaestroMpi.cmake)
endif()
