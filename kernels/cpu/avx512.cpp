// The leaf kernels compiled for AVX-512 (F, BW, DQ, VL). The compiler's flags are set for this file alone.
#include "kernels/cpu/attention.h"
#include "kernels/cpu/bf16_matmul.h"
#include "kernels/cpu/integer_matmul.h"
#include "kernels/cpu/llama_rows.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/optimizer.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/table.h"

namespace ufab::kernels {

const KernelTable& avx512_kernels() {
  return avx512::kTable;
}

}  // namespace ufab::kernels
