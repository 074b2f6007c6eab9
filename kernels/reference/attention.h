// Causal attention of one head of one sequence, as kernels/semantics.h says it, one query at a time.
#pragma once

namespace ufab::kernels::reference {

// qkv [seq][3][heads][head_width], out [seq][heads][head_width] at the sequence's first position;
// logsumexp [seq] of this head.
void attention_forward(float* out, float* logsumexp, const float* qkv, int seq, int heads, int head_width,
                       int head);
void attention_backward(float* dqkv, const float* dout, const float* out, const float* logsumexp,
                        const float* qkv, int seq, int heads, int head_width, int head);

}  // namespace ufab::kernels::reference
