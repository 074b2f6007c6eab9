#include "kernels/adamw.h"

#include <cmath>
#include <vector>

#include "kernels/assert.h"
#include "kernels/gradient.h"

namespace ufab::kernels {
namespace {

double gradient_factor(int exponent, int micro_batches) {
  UFAB_KERNELS_ASSERT(exponent >= kExponentMin && exponent <= kExponentMax);
  UFAB_KERNELS_ASSERT(micro_batches >= 1);
  return std::ldexp(1.0, -exponent) / micro_batches;
}

// std::pow may differ between C libraries in the last bit; this does not.
double power(double base, std::uint64_t exponent) {
  double result = 1.0;
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result *= base;
    base *= base;
  }
  return result;
}

float inverse_correction(float beta, std::uint64_t step) {
  return static_cast<float>(1.0 / (1.0 - power(static_cast<double>(beta), step)));
}

}  // namespace

double gradient_norm(Backend& backend, std::span<const ParameterTensor> tensors,
                     std::span<const std::int32_t> sums, std::span<const int> exponents, int micro_batches) {
  UFAB_KERNELS_ASSERT(exponents.size() == tensors.size());
  std::pmr::vector<double> of_tensor(tensors.size(), &backend.shared_memory());
  std::vector<SumRange> ranges;
  ranges.reserve(tensors.size());
  for (const ParameterTensor& tensor : tensors) {
    UFAB_KERNELS_ASSERT(tensor.offset <= sums.size() && tensor.count <= sums.size() - tensor.offset);
    ranges.push_back({tensor.offset, tensor.count});
  }
  backend.sums_of_squares(of_tensor.data(), sums.data(), ranges);
  backend.wait();
  double squares = 0;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const double factor = gradient_factor(exponents[t], micro_batches);
    squares = std::fma(factor * factor, of_tensor[t], squares);
  }
  return std::sqrt(squares);
}

float gradient_clip_scale(double norm, float clip) {
  if (clip <= 0 || norm <= static_cast<double>(clip)) return 1.0F;
  return static_cast<float>(static_cast<double>(clip) / norm);
}

void adamw_step(Backend& backend, const AdamWConfig& config, std::uint64_t step, int exponent,
                int micro_batches, float clip_scale, bool decay, std::span<const std::int32_t> sums,
                std::span<float> params, std::span<float> m, std::span<float> v) {
  UFAB_KERNELS_ASSERT(step >= 1);
  UFAB_KERNELS_ASSERT(sums.size() == params.size() && m.size() == params.size() && v.size() == params.size());
  const AdamWScalars scalars{
      .gradient_factor =
          static_cast<float>(gradient_factor(exponent, micro_batches) * static_cast<double>(clip_scale)),
      .beta1 = config.beta1,
      .one_minus_beta1 = 1.0F - config.beta1,
      .beta2 = config.beta2,
      .one_minus_beta2 = 1.0F - config.beta2,
      .inverse_correction1 = inverse_correction(config.beta1, step),
      .inverse_correction2 = inverse_correction(config.beta2, step),
      .lr = config.lr,
      .eps = config.eps,
      .weight_decay = decay ? config.weight_decay : 0.0F,
  };
  backend.adamw(params.data(), m.data(), v.data(), sums.data(), params.size(), scalars);
}

}  // namespace ufab::kernels
