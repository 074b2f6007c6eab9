// Marks functions that a GPU backend compiles for its device too; nothing for a plain C++ compiler.
#pragma once

#if defined(__CUDACC__) || defined(__HIPCC__)
#define UFAB_HOST_DEVICE __host__ __device__
#else
#define UFAB_HOST_DEVICE
#endif
