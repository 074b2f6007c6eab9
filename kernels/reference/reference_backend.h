// The plain backend: one lane, one thread, each operator a few loops that spell out kernels/semantics.h.
// It is what the optimised backends are held against, and runs on any processor.
#pragma once

#include <memory>

#include "kernels/backend.h"

namespace ufab::kernels {

// Runs on the calling thread whatever `threads` says; threads() returns it.
[[nodiscard]] std::unique_ptr<Backend> make_reference_backend(int threads);

}  // namespace ufab::kernels
