# maestro::tokenizers: what maestro/tokenizers.hpp needs. Defined only where Oniguruma and utf8proc are found. The
# installed package includes this same file, so that they are looked for where they are used and not where maestro was
# packaged.

find_package(PkgConfig QUIET)
if(PkgConfig_FOUND AND NOT TARGET maestro::tokenizers)
  pkg_check_modules(maestro_oniguruma QUIET IMPORTED_TARGET GLOBAL oniguruma)
  pkg_check_modules(maestro_utf8proc QUIET IMPORTED_TARGET GLOBAL libutf8proc)
  if(maestro_oniguruma_FOUND AND maestro_utf8proc_FOUND)
    add_library(maestro_tokenizers INTERFACE IMPORTED GLOBAL)
    target_link_libraries(maestro_tokenizers INTERFACE maestro::maestro PkgConfig::maestro_oniguruma
      PkgConfig::maestro_utf8proc)
    add_library(maestro::tokenizers ALIAS maestro_tokenizers)
  endif()
endif()
