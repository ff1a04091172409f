# cmake --install: headers, the package files behind find_package(maestro [COMPONENTS blas tokenizers http mpi cuda
# nccl]), and the pkg-config file.

include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/maestro)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh")
install(TARGETS maestro EXPORT maestro)
install(EXPORT maestro FILE maestroTargets.cmake NAMESPACE maestro:: DESTINATION ${package_dir})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/maestroConfig.cmake.in
  ${PROJECT_BINARY_DIR}/package/maestroConfig.cmake INSTALL_DESTINATION ${package_dir})
# Before 1.0 a minor version may break its users.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/maestroConfigVersion.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
  ${PROJECT_BINARY_DIR}/package/maestroConfig.cmake
  ${PROJECT_BINARY_DIR}/package/maestroConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/MaestroBlas.cmake
  ${CMAKE_CURRENT_LIST_DIR}/MaestroTokenizers.cmake
  ${CMAKE_CURRENT_LIST_DIR}/MaestroHttp.cmake
  ${CMAKE_CURRENT_LIST_DIR}/MaestroMpi.cmake
  ${CMAKE_CURRENT_LIST_DIR}/MaestroCuda.cmake
  ${CMAKE_CURRENT_LIST_DIR}/MaestroNccl.cmake
  DESTINATION ${package_dir})

file(RELATIVE_PATH maestro_pc_prefix "${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" maestro_pc_prefix "${maestro_pc_prefix}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/maestro.pc.in ${PROJECT_BINARY_DIR}/package/maestro.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/package/maestro.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)

install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/maestro)
