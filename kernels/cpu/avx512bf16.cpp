// The bfloat16 matrix products compiled for AVX-512 with BF16, which multiplies pairs of them and adds. The
// compiler's flags are set for this file alone.
#include "kernels/cpu/bf16_matmul.h"

namespace ufab::kernels {

const PackedKernels& avx512bf16_kernels() {
  static constexpr PackedKernels kernels{.panel_words = avx512bf16::bf16_panel_words,
                                         .pack = avx512bf16::bf16_pack,
                                         .multiply = avx512bf16::bf16_multiply};
  return kernels;
}

}  // namespace ufab::kernels
