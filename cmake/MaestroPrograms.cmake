# What our own programs (tests, examples, benchmarks) are compiled with. Never exported.

add_library(maestro_program INTERFACE)
target_link_libraries(maestro_program INTERFACE maestro::maestro)
target_compile_options(maestro_program INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(maestro_program INTERFACE -Wno-restrict)  # false alarms in std::string, gcc bug 105651
endif()
# errno after sqrt is all that this gives up; gcc vectorises no loop over sqrt without it.
target_compile_options(maestro_program INTERFACE -fno-math-errno)
if(MAESTRO_NATIVE)
  target_compile_options(maestro_program INTERFACE -march=native)
endif()
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
