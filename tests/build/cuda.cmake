# The headers under cuda/: neutral ones as everywhere, those that need the toolkit's headers, and kernels (.cuh).

set(toolkit "^(cuda\\.hpp|cuda/core/(check|matmul|stream)\\.hpp)$")
set(thrust "^cuda/statistics/sorted_ranks\\.hpp$")
file(GLOB_RECURSE cuda_headers RELATIVE ${PROJECT_SOURCE_DIR}/include/maestro CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/include/maestro/cuda/*.hpp ${PROJECT_SOURCE_DIR}/include/maestro/cuda/*.cuh)
add_script_test(cuda_umbrella_is_complete check_umbrella.sh ${PROJECT_SOURCE_DIR}/include/maestro/cuda.hpp
  ${cuda_headers})

foreach(folder ${CUDAToolkit_INCLUDE_DIRS})
  list(APPEND toolkit_flags -isystem ${folder})
endforeach()
foreach(folder ${CUDAToolkit_INCLUDE_DIRS})
  list(APPEND thrust_flags -isystem ${folder}/cccl)
endforeach()
list(APPEND thrust_flags -DTHRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CPP)
if(NOT TARGET maestro::cuda)
  message(STATUS "No CUDA toolkit here: the headers that need it are not checked")
endif()

set(cuda_includes)
set(cuda_host_includes)
set(kernel_flags -I${PROJECT_SOURCE_DIR}/include -arch=sm_90 -ptx)
foreach(header cuda.hpp ${cuda_headers})
  string(REGEX REPLACE "[/.]" "_" stem ${header})
  set(include "#include \"maestro/${header}\"\n")
  string(PREPEND cuda_includes ${include})
  if(header MATCHES "\\.cuh$")
    file(CONFIGURE OUTPUT work/${stem}.cu CONTENT "${include}${include}")
    add_script_test(header.nvcc.${header} check_nvcc.sh ${nvcc} ${work}/${stem}.cu ${work}/${stem}.ptx
      ${CMAKE_CXX_COMPILER} ${kernel_flags})
    file(CONFIGURE OUTPUT work/${stem}.cpp CONTENT "#if !defined(MAESTRO_CORRECT)\n${include}#endif\n")
    add_script_test(fails_to_compile.main.${header} check_failure.sh ${work}/${stem}.cpp
      "error.*${header} holds kernels: compile this file with nvcc" ${main_compiler} ${main_flags})
  else()
    set(kind cuda_neutral)
    set(needs)
    if(header MATCHES "${toolkit}")
      set(kind cuda_toolkit)
      set(needs ${toolkit_flags})
    elseif(header MATCHES "${thrust}")
      set(kind cuda_thrust)
      set(needs ${toolkit_flags} ${thrust_flags})
    endif()
    if(kind STREQUAL cuda_neutral OR TARGET maestro::cuda)
      file(CONFIGURE OUTPUT work/${stem}.cpp CONTENT "${include}${include}")
      add_script_test(header.${header} check_header.sh ${kind} ${work}/${stem}.cpp ${work}/${stem}.o --
        ${main_compiler} ${main_flags} ${needs})
      string(APPEND cuda_host_includes ${include})
    endif()
  endif()
endforeach()

# What needs NCCL's header too.
if(TARGET maestro::nccl)
  set(include "#include \"maestro/distributed/nccl.hpp\"\n")
  file(CONFIGURE OUTPUT work/nccl.cpp CONTENT "${include}${include}")
  foreach(compiler ${compilers})
    add_script_test(header.distributed/nccl.hpp.${compiler} check_header.sh cuda_toolkit ${work}/nccl.cpp
      ${work}/nccl.${compiler}.o -- ${${compiler}_compiler} ${${compiler}_flags} ${toolkit_flags}
      -isystem ${MAESTRO_NCCL_INCLUDE_DIR})
  endforeach()
else()
  message(STATUS "No NCCL here: distributed/nccl.hpp is not checked")
endif()

# The other compilers take them all at once.
list(REMOVE_ITEM compilers main)
file(CONFIGURE OUTPUT work/cuda_host.cpp CONTENT "${cuda_host_includes}")
foreach(compiler ${compilers})
  add_script_test(cuda_headers.${compiler} check_header.sh cuda_thrust ${work}/cuda_host.cpp
    ${work}/cuda_host.${compiler}.o -- ${${compiler}_compiler} ${${compiler}_flags} ${toolkit_flags} ${thrust_flags})
endforeach()
list(PREPEND compilers main)

# All of them once by nvcc, for each generation of devices, in the opposite order; then linked with a unit of the host
# compiler's.
set(generations -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90)
if(CUDAToolkit_VERSION VERSION_GREATER_EQUAL 12.8)
  list(APPEND generations -gencode arch=compute_100,code=sm_100)
endif()
file(CONFIGURE OUTPUT work/cuda_unit.cu CONTENT "${cuda_includes}int second() { return 0; }\n")
add_script_test(cuda_headers_under_nvcc check_nvcc.sh ${nvcc} ${work}/cuda_unit.cu ${work}/cuda_unit.o
  ${CMAKE_CXX_COMPILER} -I${PROJECT_SOURCE_DIR}/include ${generations} -c)
if(TARGET maestro::cuda)
  set(cuda "#include \"maestro/cuda.hpp\"\n")
  set(cpu "#include \"maestro/maestro.hpp\"\n")
  file(CONFIGURE OUTPUT work/cuda_first.cpp CONTENT "${cuda}${cpu}int second();\nint main() { return second(); }\n")
  file(CONFIGURE OUTPUT work/cuda_last.cpp CONTENT "${cpu}${cuda}")
  foreach(library cudart cublasLt)
    get_target_property(location CUDA::${library} LOCATION)
    cmake_path(GET location PARENT_PATH folder)
    list(APPEND cuda_libraries ${location} -Wl,-rpath,${folder})
  endforeach()
  add_script_test(cuda_headers_link_from_two_units check_cuda_link.sh ${work}/cuda_unit.o ${work}/cuda_first.cpp
    ${work}/cuda_last.cpp ${main_compiler} ${main_flags} ${toolkit_flags} -- ${cuda_libraries})
  set_tests_properties(cuda_headers_under_nvcc PROPERTIES FIXTURES_SETUP cuda_unit)
  set_tests_properties(cuda_headers_link_from_two_units PROPERTIES FIXTURES_REQUIRED cuda_unit)
endif()
