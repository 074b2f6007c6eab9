// The CUDA and HIP backends are plug-ins, loaded when somebody asks for them: a program that does not, starts
// without their libraries, and one build serves machines with and without.
//
// A plug-in is a shared object beside the program (or in ../bin of its folder), of this very build: it
// exports the two functions below and shares kernels/backend.h with whoever loads it.
#pragma once

#include "kernels/backend.h"

extern "C" {

// Empty when there are devices and the first can be used, or why not in one line. The text is the plug-in's.
const char* ufab_gpu_why_not();
// The caller owns the backend. Only where ufab_gpu_why_not() is empty.
ufab::kernels::Backend* ufab_gpu_make_backend(int threads, int device);

}  // extern "C"
