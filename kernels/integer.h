// Integer formats of the matrix products: what is quantised how, the same for every backend.
//
// A product c(i, j) = sum over k of a(i, k) * b(j, k) has its contraction cut into blocks of kIntegerBlock
// elements, the last one shorter. Within a block every row of a and of b becomes integers of `bits` bits with
// one power-of-two scale: with 2^E the largest power of two not above the row's largest magnitude in the
// block,
//   scale = 2^(E + 2 - bits),  q = round-to-nearest-even(x / scale), at most 2^(bits - 1) - 1 in magnitude.
// Magnitudes whose largest is below 2^-100 become 0 with scale 0; a block that holds an infinity or a NaN has
// the scale NaN. The integers' products are added exactly: 128 products of 12-bit integers stay below 2^29,
// so the order does not matter, and any machine may use the instructions that it has. Then, over the blocks
// ascending,
//   c = fma(float(integer sum) * scale_a, scale_b, c), from bias[j], +0 or the value that is there.
// Power-of-two scales make the division exact, and every product with one that does not underflow.
//
// Quality, measured: see the table in README.md. Source of the idea of one power-of-two exponent per block:
// block floating point (Wilkinson, "Rounding Errors in Algebraic Processes", 1963); for training, Drumond et
// al., "Training DNNs with Hybrid Block Floating Point", NeurIPS 2018.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "kernels/backend.h"
#include "kernels/host_device.h"

namespace ufab::kernels {

inline constexpr int kIntegerBlock = 128;          // elements of the contraction that share a scale
inline constexpr std::uint32_t kIntegerTiny = 27;  // biased exponents below this one become zero: 2^-100

// Of an integer format; of no meaning for another.
constexpr int bits_of(MatmulFormat format) {
  return format == MatmulFormat::int8 ? 8 : 12;
}

// A block's scale and its inverse, from the bits of its largest magnitude (an infinity's or a NaN's are the
// largest of all). `bits` is 8 or 12.
struct IntegerScale {
  float scale, inverse;
};
[[gnu::always_inline]] inline UFAB_HOST_DEVICE IntegerScale integer_scale(std::uint32_t largest_bits,
                                                                          int bits) {
  const std::uint32_t exponent = largest_bits >> 23;  // biased
  if (exponent == 255) return {std::bit_cast<float>(0x7FC00000U), 0.0F};
  if (exponent < kIntegerTiny) return {0.0F, 0.0F};
  const auto width = static_cast<std::uint32_t>(bits);
  return {std::bit_cast<float>((exponent + 2 - width) << 23),
          std::bit_cast<float>((252 + width - exponent) << 23)};
}

}  // namespace ufab::kernels
