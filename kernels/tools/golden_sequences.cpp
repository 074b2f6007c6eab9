#include "kernels/tools/golden_cases.h"

namespace ufab::kernels {
namespace {

struct AttentionShape {
  int batch, seq, heads, head_width;
};
// One, odd heads and widths, and sequences that end before, at and after a tile of keys.
constexpr AttentionShape kAttentionShapes[] = {{1, 1, 1, 1},    {2, 7, 3, 5},   {1, 63, 2, 16},
                                               {1, 64, 1, 32},  {3, 65, 2, 17}, {1, 129, 1, 64},
                                               {2, 200, 1, 49}, {1, 71, 1, 80}, {1, 130, 5, 7}};

void add_attention(GoldenCases& cases, const AttentionShape& s, Values values, bool backward) {
  const std::string name = backward ? "attention_backward." : "attention_forward.";
  cases.push_back({name + values_name(values), shape_text({s.batch, s.seq, s.heads, s.head_width}),
                   [=](Backend& backend, Inputs& inputs, Checksum& results) {
                     const std::size_t count = volume({s.batch, s.seq, s.heads, s.head_width});
                     const auto qkv = inputs.floats(3 * count, values, 2, s.seq * s.head_width);
                     std::pmr::vector<float> out(count), logsumexp(volume({s.batch, s.heads, s.seq}));
                     backend.attention_forward(out.data(), logsumexp.data(), qkv.data(), s.batch, s.seq,
                                               s.heads, s.heads, s.head_width);
                     if (!backward) {
                       backend.wait();
                       results.numbers(out);
                       return results.numbers(logsumexp);
                     }
                     const auto dout = inputs.floats(count, values, 1, s.seq * s.head_width);
                     std::pmr::vector<float> dqkv(3 * count, 7.0F);
                     backend.attention_backward(dqkv.data(), dout.data(), out.data(), logsumexp.data(),
                                                qkv.data(), s.batch, s.seq, s.heads, s.heads, s.head_width);
                     backend.wait();
                     results.numbers(dqkv);
                   }});
}

struct EmbeddingShape {
  int batch, seq, width, vocab;
};

void add_embedding(GoldenCases& cases, const EmbeddingShape& s, Values values) {
  const std::string suffix = std::string(".") + values_name(values);
  const std::string shape = shape_text({s.batch, s.seq, s.width, s.vocab});
  cases.push_back(
      {"embedding_forward" + suffix, shape, [=](Backend& backend, Inputs& inputs, Checksum& results) {
         const auto wte = inputs.floats(volume({s.vocab, s.width}), values);
         const auto wpe = inputs.floats(volume({s.seq, s.width}), values);
         const auto tokens = inputs.tokens(volume({s.batch, s.seq}), s.vocab);
         std::pmr::vector<float> out(volume({s.batch, s.seq, s.width}));
         backend.embedding_forward(out.data(), wte.data(), wpe.data(), tokens.data(), s.batch, s.seq,
                                   s.width);
         backend.wait();
         results.numbers(out);
       }});
  cases.push_back(
      {"embedding_backward_tokens" + suffix, shape, [=](Backend& backend, Inputs& inputs, Checksum& results) {
         auto dwte = inputs.floats(volume({s.vocab, s.width}), values);
         const auto dout = inputs.floats(volume({s.batch, s.seq, s.width}), values);
         const auto tokens = inputs.tokens(volume({s.batch, s.seq}), s.vocab);
         const int rows = s.batch * s.seq;
         backend.embedding_backward_tokens(dwte.data(), dout.data(), tokens.data(), rows, s.width, 0,
                                           s.vocab);
         backend.embedding_backward_tokens(dwte.data(), dout.data(), tokens.data(), rows, s.width,
                                           s.vocab / 3, s.vocab - s.vocab / 2);
         backend.wait();
         results.numbers(dwte);
       }});
  cases.push_back({"embedding_backward_positions" + suffix, shape,
                   [=](Backend& backend, Inputs& inputs, Checksum& results) {
                     const auto dout = inputs.floats(volume({s.batch, s.seq, s.width}), values);
                     std::pmr::vector<float> dwpe(volume({s.seq, s.width}), 9.0F);
                     backend.embedding_backward_positions(dwpe.data(), dout.data(), s.batch, s.seq, s.width);
                     backend.wait();
                     results.numbers(dwpe);
                   }});
}

}  // namespace

void add_sequence_cases(GoldenCases& cases) {
  for (const Values values : kAllValues) {
    for (const AttentionShape& shape : kAttentionShapes) {
      add_attention(cases, shape, values, false);
      add_attention(cases, shape, values, true);
    }
    for (const EmbeddingShape& shape :
         {EmbeddingShape{1, 1, 1, 1}, {3, 5, 17, 11}, {1, 7, 7, 3}, {4, 64, 210, 50}, {7, 97, 211, 50}}) {
      add_embedding(cases, shape, values);
    }
  }
}

}  // namespace ufab::kernels
