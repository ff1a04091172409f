# maestro::cuda: what the headers under cuda/ need: the CUDA runtime and cuBLASLt. Defined only where the toolkit is
# found. The installed package includes this same file, so that the toolkit is looked for where it is used and not where
# maestro was packaged.

find_package(CUDAToolkit 12.0 QUIET GLOBAL)
if(TARGET CUDA::cudart AND TARGET CUDA::cublasLt AND NOT TARGET maestro::cuda)
  add_library(maestro_cuda INTERFACE IMPORTED GLOBAL)
  target_link_libraries(maestro_cuda INTERFACE maestro::maestro CUDA::cudart CUDA::cublasLt)
  # C++20 for .cu files too. CMake knows that for nvcc from 3.26 on; before, the user's CMAKE_CUDA_FLAGS say -std=c++20.
  if("cuda_std_20" IN_LIST CMAKE_CUDA_COMPILE_FEATURES)
    target_compile_features(maestro_cuda INTERFACE cuda_std_20)
  endif()
  add_library(maestro::cuda ALIAS maestro_cuda)
endif()
