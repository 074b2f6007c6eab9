// The optimised CPU backend: cuts each operator into ranges for a thread pool and runs one instruction set's
// leaf kernels on them. Cuts never go through a chain or a lane sum, so they do not show in the bits.
#pragma once

#include <memory>

#include "kernels/backend.h"
#include "kernels/cpu/kernel_table.h"

namespace ufab::kernels {

[[nodiscard]] std::unique_ptr<Backend> make_cpu_backend(BackendKind kind, const KernelTable& table,
                                                        const PackedKernels& integer,
                                                        const PackedKernels& bf16, int threads);

}  // namespace ufab::kernels
