#include "kernels/rope_table.h"
#include "kernels/tools/golden_cases.h"

namespace ufab::kernels {
namespace {

using Floats = std::pmr::vector<float>;

void add_rms_norm(GoldenCases& cases, int rows, int width, float eps, Values values) {
  const std::string suffix = (eps == 1e-5F ? ".1e-5." : ".1e-6.") + std::string(values_name(values));
  const std::string shape = shape_text({rows, width});
  cases.push_back(
      {"rmsnorm_forward" + suffix, shape, [=](Backend& backend, Inputs& inputs, Checksum& results) {
         const auto in = inputs.floats(volume({rows, width}), values, 3, width);
         const auto gamma = inputs.floats(volume({width}), values);
         Floats out(in.size()), rstd(volume({rows}));
         backend.rmsnorm_forward(out.data(), rstd.data(), in.data(), gamma.data(), eps, rows, width);
         backend.wait();
         results.numbers(out);
         results.numbers(rstd);
       }});
  cases.push_back(
      {"rmsnorm_backward" + suffix, shape, [=](Backend& backend, Inputs& inputs, Checksum& results) {
         const auto in = inputs.floats(volume({rows, width}), values, 3, width);
         const auto gamma = inputs.floats(volume({width}), values);
         const auto dout = inputs.floats(in.size(), values, 1, width);
         auto din = inputs.floats(in.size(), values);
         Floats out(in.size()), rstd(volume({rows})), dgamma(volume({width}));
         backend.rmsnorm_forward(out.data(), rstd.data(), in.data(), gamma.data(), eps, rows, width);
         backend.rmsnorm_backward_input(din.data(), dout.data(), in.data(), gamma.data(), rstd.data(), rows,
                                        width);
         backend.rmsnorm_backward_parameters(dgamma.data(), dout.data(), in.data(), rstd.data(), rows, width);
         backend.wait();
         results.numbers(din);
         results.numbers(dgamma);
       }});
}

void add_swiglu(GoldenCases& cases, int rows, int hidden, Values values) {
  const std::string suffix = std::string(".") + values_name(values);
  const std::string shape = shape_text({rows, hidden});
  cases.push_back(
      {"swiglu_forward" + suffix, shape, [=](Backend& backend, Inputs& inputs, Checksum& results) {
         const auto gate_up = inputs.floats(volume({rows, 2, hidden}), values, 10);
         Floats out(volume({rows, hidden}));
         backend.swiglu_forward(out.data(), gate_up.data(), rows, hidden);
         backend.wait();
         results.numbers(out);
       }});
  for (const bool in_place : {false, true}) {
    cases.push_back({(in_place ? "swiglu_backward.in_place" : "swiglu_backward") + suffix, shape,
                     [=](Backend& backend, Inputs& inputs, Checksum& results) {
                       auto gate_up = inputs.floats(volume({rows, 2, hidden}), values, 10);
                       const auto dout = inputs.floats(volume({rows, hidden}), values);
                       Floats gradient(gate_up.size());
                       backend.swiglu_backward(in_place ? gate_up.data() : gradient.data(), dout.data(),
                                               gate_up.data(), rows, hidden);
                       backend.wait();
                       results.numbers(in_place ? gate_up : gradient);
                     }});
  }
}

struct HeadsShape {
  int batch, seq, heads, kv_heads, head_width;
  [[nodiscard]] std::string text() const { return shape_text({batch, seq, heads, kv_heads, head_width}); }
  [[nodiscard]] std::size_t qkv() const { return volume({batch, seq, heads + 2 * kv_heads, head_width}); }
};

void add_rope(GoldenCases& cases, const HeadsShape& s, double theta, Values values) {
  for (const bool back : {false, true}) {
    cases.push_back({std::string(back ? "rope_backward." : "rope_forward.") +
                         (theta == 10000 ? "10000." : "500000.") + values_name(values),
                     s.text(), [=](Backend& backend, Inputs& inputs, Checksum& results) {
                       auto qkv = inputs.floats(s.qkv(), values);
                       const RopeTable table = rope_table(s.seq + 2, s.head_width, theta);
                       const Floats cosine(table.cosine.begin(), table.cosine.end());
                       const Floats sine(table.sine.begin(), table.sine.end());
                       const auto apply = back ? &Backend::rope_backward : &Backend::rope_forward;
                       (backend.*apply)(qkv.data(), cosine.data(), sine.data(), s.batch, s.seq, s.heads,
                                        s.kv_heads, s.head_width);
                       backend.wait();
                       results.numbers(qkv);
                     }});
  }
}

void add_grouped_attention(GoldenCases& cases, const HeadsShape& s, Values values) {
  for (const bool backward : {false, true}) {
    cases.push_back({std::string(backward ? "attention_backward" : "attention_forward") + ".grouped." +
                         values_name(values),
                     s.text(), [=](Backend& backend, Inputs& inputs, Checksum& results) {
                       const auto qkv = inputs.floats(s.qkv(), values, 2, s.seq * s.head_width);
                       Floats out(volume({s.batch, s.seq, s.heads, s.head_width})),
                           logsumexp(volume({s.batch, s.heads, s.seq}));
                       backend.attention_forward(out.data(), logsumexp.data(), qkv.data(), s.batch, s.seq,
                                                 s.heads, s.kv_heads, s.head_width);
                       if (!backward) {
                         backend.wait();
                         results.numbers(out);
                         return results.numbers(logsumexp);
                       }
                       const auto dout = inputs.floats(out.size(), values, 1, s.seq * s.head_width);
                       Floats dqkv(qkv.size(), 7.0F);
                       backend.attention_backward(dqkv.data(), dout.data(), out.data(), logsumexp.data(),
                                                  qkv.data(), s.batch, s.seq, s.heads, s.kv_heads,
                                                  s.head_width);
                       backend.wait();
                       results.numbers(dqkv);
                     }});
  }
}

void add_rope_table(GoldenCases& cases, int seq, int head_width, double theta) {
  cases.push_back({theta == 10000 ? "rope_table.10000" : "rope_table.500000", shape_text({seq, head_width}),
                   [=](Backend&, Inputs&, Checksum& results) {
                     const RopeTable table = rope_table(seq, head_width, theta);
                     results.numbers(table.cosine);
                     results.numbers(table.sine);
                   }});
}

void add_embedding(GoldenCases& cases, int rows, int width, int vocab, Values values) {
  cases.push_back(
      {std::string("embedding_forward.without_positions.") + values_name(values),
       shape_text({rows, width, vocab}), [=](Backend& backend, Inputs& inputs, Checksum& results) {
         const auto wte = inputs.floats(volume({vocab, width}), values);
         const auto tokens = inputs.tokens(volume({rows}), vocab);
         Floats out(volume({rows, width}));
         backend.embedding_forward(out.data(), wte.data(), nullptr, tokens.data(), 1, rows, width);
         backend.wait();
         results.numbers(out);
       }});
}

}  // namespace

void add_llama_cases(GoldenCases& cases) {
  for (const Values values : kAllValues) {
    for (const auto& [rows, width] :
         {std::pair{1, 1}, {3, 2}, {1, 7}, {5, 15}, {4, 16}, {7, 17}, {65, 48}, {2, 768}, {301, 211}}) {
      add_rms_norm(cases, rows, width, 1e-5F, values);
      add_rms_norm(cases, rows, width, 1e-6F, values);
    }
    for (const auto& [rows, hidden] : {std::pair{1, 1}, {1, 7}, {3, 16}, {7, 31}, {2, 4097}, {130, 171}}) {
      add_swiglu(cases, rows, hidden, values);
    }
    // One, odd heads and groups, and halves of heads around a vector.
    for (const HeadsShape& shape : {HeadsShape{1, 1, 1, 1, 2},
                                    {2, 7, 3, 1, 6},
                                    {1, 65, 6, 2, 32},
                                    {3, 33, 5, 5, 34},
                                    {1, 130, 2, 1, 64},
                                    {1, 7, 7, 7, 80}}) {
      add_rope(cases, shape, 10000, values);
      add_rope(cases, shape, 500000, values);
    }
    for (const HeadsShape& shape : {HeadsShape{1, 1, 2, 1, 1},
                                    {2, 7, 3, 1, 5},
                                    {1, 63, 4, 2, 16},
                                    {3, 65, 6, 2, 17},
                                    {1, 129, 7, 1, 8},
                                    {2, 200, 9, 3, 9}}) {
      add_grouped_attention(cases, shape, values);
    }
    add_embedding(cases, 7, 17, 11, values);
    add_embedding(cases, 65, 211, 50, values);
  }
  for (const double theta : {10000.0, 500000.0}) {
    for (const int width : {2, 6, 64, 128}) add_rope_table(cases, 2049, width, theta);
  }
}

}  // namespace ufab::kernels
