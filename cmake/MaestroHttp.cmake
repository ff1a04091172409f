# maestro::http: what maestro/http.hpp needs. Defined only where cpp-httplib and OpenSSL are found. The installed package
# includes this same file, so that they are looked for where they are used and not where maestro was packaged.

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND AND NOT TARGET maestro::http)
  pkg_check_modules(maestro_httplib QUIET IMPORTED_TARGET GLOBAL cpp-httplib)
  pkg_check_modules(maestro_openssl QUIET IMPORTED_TARGET GLOBAL openssl)
  if(maestro_httplib_FOUND AND maestro_openssl_FOUND)
    add_library(maestro_http INTERFACE IMPORTED GLOBAL)
    target_link_libraries(maestro_http INTERFACE maestro::maestro PkgConfig::maestro_httplib PkgConfig::maestro_openssl)
    # A library of headers alone does not say in its pkg-config file that it was to be used with OpenSSL.
    target_compile_definitions(maestro_http INTERFACE CPPHTTPLIB_OPENSSL_SUPPORT)
    add_library(maestro::http ALIAS maestro_http)
  endif()
endif()
