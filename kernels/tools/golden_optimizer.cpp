#include "kernels/adamw.h"
#include "kernels/gradient.h"
#include "kernels/tools/golden_cases.h"

namespace ufab::kernels {
namespace {

void add_quantize(GoldenCases& cases, int count, int exponent, Values values) {
  cases.push_back(
      {std::string("quantize_add.2^").append(std::to_string(exponent)) + "." + values_name(values),
       shape_text({count}), [=](Backend& backend, Inputs& inputs, Checksum& results) {
         const auto gradient = inputs.floats(volume({count}), values);
         auto sums = inputs.integers(gradient.size());
         const QuantizeResult result = quantize_add(backend, gradient, exponent, 12345, sums);
         results.integers(sums);
         results.byte(result.non_finite ? 1 : 0);
         results.long_word(result.peak);
         results.long_word(result.fingerprint);
       }});
}

void add_norm(GoldenCases& cases, int count) {
  cases.push_back(
      {"sum_of_squares", shape_text({count}), [=](Backend& backend, Inputs& inputs, Checksum& results) {
         const auto sums = inputs.integers(volume({count}));
         std::pmr::vector<double> total(1);
         backend.sum_of_squares(total.data(), sums.data(), sums.size());
         backend.wait();
         results.long_word(std::bit_cast<std::uint64_t>(total[0]));
       }});
}

void add_adamw(GoldenCases& cases, int count, Values values) {
  cases.push_back({std::string("adamw.") + values_name(values), shape_text({count}),
                   [=](Backend& backend, Inputs& inputs, Checksum& results) {
                     auto params = inputs.floats(volume({count}), values);
                     auto m = inputs.floats(params.size(), values, 0.1F);
                     auto v = inputs.floats(params.size(), values, 0.01F);
                     for (float& value : v) value = __builtin_fabsf(value);
                     const auto sums = inputs.integers(params.size());
                     const AdamWConfig config{.lr = 1e-3F, .clip = 0};
                     adamw_step(backend, config, 7, 40, 3, 0.7F, true, sums, params, m, v);
                     adamw_step(backend, config, 8, -9, 3, 1.0F, false, sums, params, m, v);
                     backend.wait();
                     for (const auto* values_out : {&params, &m, &v}) results.numbers(*values_out);
                   }});
}

}  // namespace

void add_optimizer_cases(GoldenCases& cases) {
  constexpr int kCounts[] = {1, 7, 15, 16, 33, 1003, 140001};
  for (const Values values : kAllValues) {
    for (const int exponent : {kExponentMin, -9, kFirstExponent, 29, 31, kExponentMax}) {
      for (const int count : {1, 15, 16, 1003, 50000}) add_quantize(cases, count, exponent, values);
    }
    for (const int count : kCounts) add_adamw(cases, count, values);
  }
  for (const int count : kCounts) add_norm(cases, count);
}

}  // namespace ufab::kernels
