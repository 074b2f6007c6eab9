// The integer matrix products compiled for AVX-512 with VNNI, which multiplies and adds 16-bit integers and
// bytes. The compiler's flags are set for this file alone.
#include "kernels/cpu/integer_matmul.h"

namespace ufab::kernels {

const PackedKernels& avx512vnni_integer_kernels() {
  static constexpr PackedKernels kernels{.panel_words = avx512vnni::integer_panel_words,
                                         .pack = avx512vnni::integer_pack,
                                         .multiply = avx512vnni::integer_multiply};
  return kernels;
}

}  // namespace ufab::kernels
