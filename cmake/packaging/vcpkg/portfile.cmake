# An overlay port that packages the checkout it lies in:
#   vcpkg install maestro --overlay-ports=<checkout>/cmake/packaging/vcpkg

cmake_path(SET SOURCE_PATH NORMALIZE "${CURRENT_PORT_DIR}/../../..")
set(VCPKG_BUILD_TYPE release)  # headers alone

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DMAESTRO_BUILD_TESTS=OFF
    -DMAESTRO_BUILD_EXAMPLES=OFF
    -DMAESTRO_BUILD_BENCH=OFF
    -DMAESTRO_INSTALL=ON
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/maestro)
vcpkg_fixup_pkgconfig()
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
