#include "kernels/tools/golden_cases.h"

namespace ufab::kernels {
namespace {

constexpr std::pair<int, int> kRowShapes[] = {{1, 1},  {3, 2},   {1, 7},   {5, 15},   {4, 16},
                                              {7, 17}, {33, 48}, {2, 768}, {301, 211}};

void add_layernorm(GoldenCases& cases, int rows, int width, Values values) {
  const std::string shape = shape_text({rows, width});
  const auto add = [&](const char* name, auto run) {
    cases.push_back({std::string(name) + "." + values_name(values), shape,
                     [=](Backend& backend, Inputs& inputs, Checksum& results) {
                       const auto in = inputs.floats(volume({rows, width}), values, 3, width);
                       const auto gamma = inputs.floats(volume({width}), values);
                       const auto beta = inputs.floats(volume({width}), values);
                       std::pmr::vector<float> out(in.size()), mean(volume({rows})), rstd(volume({rows}));
                       backend.layernorm_forward(out.data(), mean.data(), rstd.data(), in.data(),
                                                 gamma.data(), beta.data(), rows, width);
                       backend.wait();
                       run(backend, inputs, results, in, gamma, mean, rstd, out);
                     }});
  };
  using Floats = std::pmr::vector<float>;
  add("layernorm_forward", [](Backend&, Inputs&, Checksum& results, const Floats&, const Floats&,
                              const Floats& mean, const Floats& rstd, const Floats& out) {
    for (const Floats* result : {&out, &mean, &rstd}) results.numbers(*result);
  });
  add("layernorm_backward_input",
      [=](Backend& backend, Inputs& inputs, Checksum& results, const Floats& in, const Floats& gamma,
          const Floats& mean, const Floats& rstd, const Floats&) {
        const auto dout = inputs.floats(in.size(), values, 1, width);
        auto din = inputs.floats(in.size(), values);
        backend.layernorm_backward_input(din.data(), dout.data(), in.data(), gamma.data(), mean.data(),
                                         rstd.data(), rows, width);
        backend.wait();
        results.numbers(din);
      });
  add("layernorm_backward_parameters",
      [=](Backend& backend, Inputs& inputs, Checksum& results, const Floats& in, const Floats&,
          const Floats& mean, const Floats& rstd, const Floats&) {
        const auto dout = inputs.floats(in.size(), values, 1, rows);
        Floats dgamma(volume({width})), dbeta(volume({width}));
        backend.layernorm_backward_parameters(dgamma.data(), dbeta.data(), dout.data(), in.data(),
                                              mean.data(), rstd.data(), rows, width);
        backend.wait();
        results.numbers(dgamma);
        results.numbers(dbeta);
      });
}

// A unary or binary operator on two inputs of `count` values.
template <class Operator>
void add_elementwise(GoldenCases& cases, const char* name, int count, Values values, Operator apply) {
  cases.push_back({std::string(name) + "." + values_name(values), shape_text({count}),
                   [=](Backend& backend, Inputs& inputs, Checksum& results) {
                     const auto a = inputs.floats(volume({count}), values, 4);
                     const auto b = inputs.floats(volume({count}), values);
                     std::pmr::vector<float> out = b;
                     apply(backend, out.data(), a.data(), b.data(), a.size());
                     backend.wait();
                     results.numbers(out);
                   }});
}

void add_elementwise_cases(GoldenCases& cases, int count, Values values) {
  add_elementwise(cases, "gelu_forward", count, values,
                  [](Backend& backend, float* out, const float* a, const float*, std::size_t n) {
                    backend.gelu_forward(out, a, n);
                  });
  add_elementwise(cases, "gelu_backward", count, values,
                  [](Backend& backend, float* out, const float* a, const float* b, std::size_t n) {
                    backend.gelu_backward(out, b, a, n);
                  });
  add_elementwise(cases, "gelu_backward.in_place", count, values,
                  [](Backend& backend, float* out, const float* a, const float*, std::size_t n) {
                    backend.gelu_backward(out, out, a, n);
                  });
  add_elementwise(cases, "residual_forward", count, values,
                  [](Backend& backend, float* out, const float* a, const float* b, std::size_t n) {
                    backend.residual_forward(out, a, b, n);
                  });
  add_elementwise(cases, "residual_forward.in_place", count, values,
                  [](Backend& backend, float* out, const float* a, const float*, std::size_t n) {
                    backend.residual_forward(out, a, out, n);
                  });
}

void add_cross_entropy(GoldenCases& cases, int rows, int vocab, Values values, bool gradient) {
  const std::string name = std::string("softmax_cross_entropy.") + (gradient ? "gradient." : "");
  cases.push_back({name + values_name(values), shape_text({rows, vocab}),
                   [=](Backend& backend, Inputs& inputs, Checksum& results) {
                     auto logits = inputs.floats(volume({rows, vocab}), values, 20, vocab);
                     const auto targets = inputs.tokens(volume({rows}), vocab);
                     std::pmr::vector<float> losses(volume({rows}));
                     backend.softmax_cross_entropy(losses.data(), logits.data(), targets.data(), rows, vocab,
                                                   3 * rows, gradient);
                     backend.wait();
                     results.numbers(losses);
                     if (gradient) results.numbers(logits);
                   }});
}

}  // namespace

void add_row_cases(GoldenCases& cases) {
  for (const Values values : kAllValues) {
    for (const auto& [rows, width] : kRowShapes) add_layernorm(cases, rows, width, values);
    for (const int count : {1, 7, 16, 31, 4097, 63511}) add_elementwise_cases(cases, count, values);
    for (const auto& [rows, vocab] :
         {std::pair{1, 1}, {2, 2}, {1, 7}, {5, 15}, {3, 16}, {4, 257}, {70, 1009}}) {
      add_cross_entropy(cases, rows, vocab, values, false);
      add_cross_entropy(cases, rows, vocab, values, true);
    }
  }
}

}  // namespace ufab::kernels
