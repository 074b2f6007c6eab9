// What the tests of kernels/ share: reproducible data, the backends at hand, comparison by bits.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/backend.h"
#include "kernels/philox.h"

namespace ufab::kernels::test {

// A stream of words from one seed.
class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {}
  std::uint32_t word() {
    if (used_ == 4) {
      block_ = philox_block(seed_, 0, next_++);
      used_ = 0;
    }
    return block_[used_++];
  }
  // Uniform in [-1, 1).
  float uniform() { return static_cast<float>(static_cast<std::int32_t>(word())) * 0x1p-31F; }
  std::int32_t below(std::int32_t bound) {
    return static_cast<std::int32_t>(word() % static_cast<std::uint32_t>(bound));
  }
  std::vector<float> floats(std::size_t count, float scale = 1.0F) {
    std::vector<float> values(count);
    for (float& value : values) value = scale * uniform();
    return values;
  }
  std::vector<std::int32_t> tokens(std::size_t count, std::int32_t vocab) {
    std::vector<std::int32_t> values(count);
    for (std::int32_t& value : values) value = below(vocab);
    return values;
  }

 private:
  std::uint64_t seed_, next_ = 0;
  PhiloxCounter block_{};
  std::size_t used_ = 4;
};

inline std::size_t volume(std::initializer_list<int> extents) {
  std::size_t product = 1;
  for (const int extent : extents) product *= static_cast<std::size_t>(extent);
  return product;
}

// Sprinkles the values on which careless kernels differ: both zeros, denormals, extremes, infinities, NaN.
inline void make_difficult(std::vector<float>& values, Random& random) {
  using Limits = std::numeric_limits<float>;
  const float special[] = {
      0.0F,          -0.0F,          Limits::denorm_min(), -3 * Limits::denorm_min(), Limits::min(),
      Limits::max(), -Limits::max(), Limits::infinity(),   -Limits::infinity(),       Limits::quiet_NaN()};
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (random.below(23) == 0)
      values[i] = special[random.below(static_cast<std::int32_t>(std::size(special)))];
  }
}

// Index of the first value that differs in its bits (any NaN equals any NaN), or -1.
inline std::ptrdiff_t first_difference(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i])) {
      return static_cast<std::ptrdiff_t>(i);
    }
  }
  return -1;
}

// A kind's name as GoogleTest wants it: without dashes.
inline std::string test_name(BackendKind kind) {
  std::string name = backend_name(kind);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

struct Variant {
  BackendKind kind;
  int threads;
};
inline std::string variant_name(const Variant& variant) {
  return test_name(variant.kind) + "_" + std::to_string(variant.threads);
}
// The optimised backends that this processor runs, each on 1, 2 and 3 threads.
inline std::vector<Variant> optimised_variants() {
  std::vector<Variant> variants;
  for (const BackendKind kind :
       {BackendKind::cpu_avx2, BackendKind::cpu_avx512, BackendKind::cpu_avx512vnni}) {
    for (int threads = 1; backend_available(kind) && threads <= 3; ++threads)
      variants.push_back({kind, threads});
  }
  return variants;
}

}  // namespace ufab::kernels::test
