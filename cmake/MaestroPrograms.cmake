# What our own programs (tests, examples, benchmarks) are compiled with. Never exported.

add_library(maestro_program INTERFACE)
target_link_libraries(maestro_program INTERFACE maestro::maestro)
target_compile_options(maestro_program INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wconversion;-Wsign-conversion;-Wshadow>")
if(MAESTRO_WARNINGS_AS_ERRORS)
  target_compile_options(maestro_program INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # False alarms in std::string, gcc bug 105651.
  target_compile_options(maestro_program INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
# errno after sqrt is all that this gives up; gcc vectorizes no loop over sqrt without it.
target_compile_options(maestro_program INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-math-errno>)
if(MAESTRO_NATIVE)
  target_compile_options(maestro_program INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=native>)
endif()
if(MAESTRO_FAST_COMPILE)
  # After the -O3 of the build type. The property MAESTRO_OPTIMIZED leaves a program as it is.
  target_compile_options(maestro_program INTERFACE
    "$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<NOT:$<BOOL:$<TARGET_PROPERTY:MAESTRO_OPTIMIZED>>>>:-O1>")
endif()
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# maestro_device: what .cu files of ours are compiled with. Defined where nvcc works; such programs build without a
# device. No ccache for nvcc: it takes an old object where only what the host's pass reads has changed.
if(MAESTRO_USE_CUDA AND TARGET maestro::cuda)
  include(CheckLanguage)
  check_language(CUDA)
endif()
if(MAESTRO_USE_CUDA AND TARGET maestro::cuda AND CMAKE_CUDA_COMPILER)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90)
    if(CUDAToolkit_VERSION VERSION_GREATER_EQUAL 12.8)
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real 100)
    endif()
  endif()
  enable_language(CUDA)
  add_library(maestro_device INTERFACE)
  target_link_libraries(maestro_device INTERFACE maestro_program maestro::cuda)
  # CMake leaves out what nvcc knows by itself, and the system's loader may not know it.
  target_link_options(maestro_device INTERFACE "LINKER:-rpath,${CUDAToolkit_LIBRARY_DIR}")
  # The warnings that are left out, as in tests/build/check_nvcc.sh.
  target_compile_options(maestro_device INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;-diag-suppress=554>"
    "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Wno-parentheses,-Wno-gnu-designator>")
  if(MAESTRO_WARNINGS_AS_ERRORS)
    target_compile_options(maestro_device INTERFACE
      "$<$<COMPILE_LANGUAGE:CUDA>:-Werror;all-warnings;-Xcompiler=-Werror>")
  endif()
endif()
if(MAESTRO_DEVICE_ONLY AND NOT TARGET maestro_device)
  message(FATAL_ERROR "MAESTRO_DEVICE_ONLY needs nvcc and the CUDA toolkit: nvcc on the PATH, or CUDACXX")
endif()
