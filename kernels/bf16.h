// bfloat16, the upper half of a binary32: 8 bits of exponent, 7 of fraction. The format of precision "fast".
//
// A product in MatmulFormat::bf16 rounds its operands to bfloat16, to nearest even, and adds their products,
// which binary32 holds exactly, in binary32, in an order and with roundings of the machine's own: units for
// it round between additions, or flush subnormals, as they please. Backends therefore agree within the error
// of such a sum alone, and a job in this format has its bits from one kind of machine only.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/host_device.h"

namespace ufab::kernels {

// The sixteen bits; a NaN stays one.
[[gnu::always_inline]] inline UFAB_HOST_DEVICE std::uint32_t bf16_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return bits >> 16 | 0x40U;
  return (bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16;
}
[[gnu::always_inline]] inline UFAB_HOST_DEVICE float from_bf16_bits(std::uint32_t bits) {
  return std::bit_cast<float>(bits << 16);
}
[[gnu::always_inline]] inline UFAB_HOST_DEVICE float round_to_bf16(float x) {
  return from_bf16_bits(bf16_bits(x));
}

}  // namespace ufab::kernels
