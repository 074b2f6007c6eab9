# ufab-cuda.so and ufab-hip.so (kernels/gpu/plugin.h), where their compilers are found. Both are called as they
# are: the plug-ins take nothing from the rest of the build, and a build without them needs no change elsewhere.
set(plugin_folder ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
if(NOT plugin_folder)
  set(plugin_folder ${CMAKE_CURRENT_BINARY_DIR})
endif()
file(MAKE_DIRECTORY ${plugin_folder})

# ufab_gpu_plugin(NAME SOURCE COMPILER FLAG...)
function(ufab_gpu_plugin name source compiler)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/ufab-${name}.o)
  set(plugin ${plugin_folder}/ufab-${name}.so)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${compiler} -std=c++20 -O3 ${ARGN} -I${CMAKE_CURRENT_SOURCE_DIR}/..
      -MD -MF ${object}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPENDS ${source} DEPFILE ${object}.d COMMENT "Building ${source}" VERBATIM)
  add_custom_command(OUTPUT ${plugin}
    COMMAND ${compiler} ${ARGN} -shared ${object} $<TARGET_OBJECTS:ufab_kernels_assert> -o ${plugin}
    DEPENDS ${object} ufab_kernels_assert $<TARGET_OBJECTS:ufab_kernels_assert> COMMENT "Linking ufab-${name}.so" VERBATIM)
  add_custom_target(ufab_gpu_${name} ALL DEPENDS ${plugin})
endfunction()

add_library(ufab_kernels_assert OBJECT assert.cpp)
set_target_properties(ufab_kernels_assert PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_link_libraries(ufab_kernels_assert PRIVATE ufab_options)

find_package(CUDAToolkit QUIET)
if(CUDAToolkit_FOUND AND CUDAToolkit_NVCC_EXECUTABLE)
  message(STATUS "ufab: kernels: CUDA ${CUDAToolkit_VERSION}: making ufab-cuda.so for sm_80 and sm_90a")
  # Each multiplication and addition rounds once, whatever stands beside it.
  ufab_gpu_plugin(cuda gpu/cuda.cu ${CUDAToolkit_NVCC_EXECUTABLE} -fmad=false -ftz=false -prec-div=true
    -prec-sqrt=true --expt-relaxed-constexpr -gencode arch=compute_80,code=sm_80
    -gencode arch=compute_90a,code=sm_90a -gencode arch=compute_90,code=compute_90
    -Xcompiler=-fPIC,-ffp-contract=off)
else()
  message(STATUS "ufab: kernels: CUDA not found: no ufab-cuda.so")
endif()

find_program(HIPCC_PROGRAM hipcc)
if(HIPCC_PROGRAM)
  message(STATUS "ufab: kernels: HIP: making ufab-hip.so for gfx90a and gfx1030")
  ufab_gpu_plugin(hip gpu/hip.cpp ${HIPCC_PROGRAM} -ffp-contract=off -fPIC -Wall -Wextra --offload-arch=gfx90a
    --offload-arch=gfx1030)
else()
  message(STATUS "ufab: kernels: HIP not found: no ufab-hip.so")
endif()
