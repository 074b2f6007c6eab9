// The leaf kernels compiled for AVX2 and FMA. The compiler's flags are set for this file alone.
#include "kernels/cpu/attention.h"
#include "kernels/cpu/bf16_matmul.h"
#include "kernels/cpu/integer_matmul.h"
#include "kernels/cpu/llama_rows.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/optimizer.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/table.h"

namespace ufab::kernels {

const KernelTable& avx2_kernels() {
  return avx2::kTable;
}

}  // namespace ufab::kernels
