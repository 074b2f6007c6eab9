#define UFAB_GPU_CUDA

#include "kernels/gpu/plugin_text.h"
