// Matrix products in integer formats, straight from the definition in kernels/integer.h.
#pragma once

#include "kernels/operand.h"

namespace ufab::kernels::reference {

// c(i, j), row-major with rows c_row apart, = the product of a and b over `depth`, from c (accumulate),
// bias[j] or (bias null) +0.
void integer_matmul(float* c, int c_row, const Operand& a, const Operand& b, int depth, int bits,
                    const float* bias, bool accumulate);

}  // namespace ufab::kernels::reference
