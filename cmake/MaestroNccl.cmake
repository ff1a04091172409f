# maestro::nccl: what maestro/distributed/nccl.hpp needs: NCCL and the CUDA runtime. Defined only where both
# are found, NCCL beside the toolkit too. The installed package includes this same file, so that they are looked for where
# they are used and not where maestro was packaged.

find_package(CUDAToolkit 12.0 QUIET GLOBAL)
if(TARGET CUDA::cudart AND NOT TARGET maestro::nccl)
  find_path(MAESTRO_NCCL_INCLUDE_DIR nccl.h HINTS ENV NCCL_HOME PATH_SUFFIXES include PATHS ${CUDAToolkit_INCLUDE_DIRS})
  find_library(MAESTRO_NCCL_LIBRARY NAMES nccl HINTS ENV NCCL_HOME PATH_SUFFIXES lib lib64
    PATHS ${CUDAToolkit_LIBRARY_DIR})
  mark_as_advanced(MAESTRO_NCCL_INCLUDE_DIR MAESTRO_NCCL_LIBRARY)
  if(MAESTRO_NCCL_INCLUDE_DIR AND MAESTRO_NCCL_LIBRARY)
    add_library(maestro_nccl INTERFACE IMPORTED GLOBAL)
    target_link_libraries(maestro_nccl INTERFACE maestro::maestro CUDA::cudart ${MAESTRO_NCCL_LIBRARY})
    target_include_directories(maestro_nccl SYSTEM INTERFACE ${MAESTRO_NCCL_INCLUDE_DIR})
    add_library(maestro::nccl ALIAS maestro_nccl)
  endif()
endif()
