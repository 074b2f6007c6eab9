// Causal attention of one head of one sequence, as kernels/semantics.h says it, one query at a time.
#pragma once

namespace ufab::kernels::reference {

struct AttentionShape {
  int seq, heads, kv_heads, head_width;
};
// qkv [seq][heads + 2 * kv_heads][head_width], out [seq][heads][head_width] at the sequence's first position;
// logsumexp [seq] of this head.
void attention_forward(float* out, float* logsumexp, const float* qkv, const AttentionShape& shape, int head);
// The first head of those that share keys and values starts their gradients, the others, ascending, go on.
void attention_backward(float* dqkv, const float* dout, const float* out, const float* logsumexp,
                        const float* qkv, const AttentionShape& shape, int head);

}  // namespace ufab::kernels::reference
