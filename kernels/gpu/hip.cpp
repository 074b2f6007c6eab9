#define UFAB_GPU_HIP

#include "kernels/gpu/plugin_text.h"
