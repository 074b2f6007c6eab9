// Inputs of the golden cases: words of Philox, keyed by the case's name, so that no case depends on another.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/philox.h"
#include "kernels/tools/checksum.h"

namespace ufab::kernels {

// What values a case's floats take.
//   plain      uniform in [-1, 1) times a scale
//   denormal   uniform times 2^-65 or 2^-130, and both zeros: products and sums are denormal
//   special    plain, with zeros, denormals, extremes, infinities and NaN strewn in: one value of 23, but
//   only
//              about one a result where more values than that meet in it, so that not every result is NaN
enum class Values { plain, denormal, special };
inline constexpr Values kAllValues[] = {Values::plain, Values::denormal, Values::special};
[[nodiscard]] inline const char* values_name(Values values) {
  return values == Values::plain ? "plain" : values == Values::denormal ? "denormal" : "special";
}

class Inputs {
 public:
  Inputs(std::string_view name, std::string_view shape) {
    Checksum checksum;
    checksum.text(name);
    checksum.byte(' ');
    checksum.text(shape);
    key_ = checksum.value();
  }

  std::uint32_t word() {
    if (used_ == block_.size()) {
      block_ = philox_block(key_, 0, next_++);
      used_ = 0;
    }
    return block_[used_++];
  }
  std::uint32_t below(std::uint32_t bound) { return word() % bound; }
  float uniform() { return static_cast<float>(static_cast<std::int32_t>(word())) * 0x1p-31F; }

  // chain: how many of the values meet in one result.
  std::pmr::vector<float> floats(std::size_t count, Values values, float scale = 1.0F, int chain = 1) {
    const auto rarity = static_cast<std::uint32_t>(std::max(chain, 23));
    std::pmr::vector<float> result(count);
    for (float& value : result) value = draw(values, scale, rarity);
    return result;
  }
  std::pmr::vector<std::int32_t> tokens(std::size_t count, int vocab) {
    std::pmr::vector<std::int32_t> result(count);
    for (std::int32_t& token : result) {
      token = static_cast<std::int32_t>(below(static_cast<std::uint32_t>(vocab)));
    }
    return result;
  }
  // All magnitudes, both signs.
  std::pmr::vector<std::int32_t> integers(std::size_t count) {
    std::pmr::vector<std::int32_t> result(count);
    for (std::int32_t& value : result) value = static_cast<std::int32_t>(word()) >> below(32);
    return result;
  }

 private:
  float draw(Values values, float scale, std::uint32_t rarity) {
    const float plain = scale * uniform();
    if (values == Values::plain) return plain;
    if (values == Values::denormal) {
      const float small[] = {plain * 0x1p-65F, plain * 0x1p-65F, plain * 0x1p-65F * 0x1p-65F, 0.0F, -0.0F};
      return small[below(5)];
    }
    using Limits = std::numeric_limits<float>;
    const float special[] = {
        0.0F,          -0.0F,          Limits::denorm_min(), -3 * Limits::denorm_min(), Limits::min(),
        Limits::max(), -Limits::max(), Limits::infinity(),   -Limits::infinity(),       Limits::quiet_NaN()};
    if (below(rarity) != 0) return plain;
    return special[below(static_cast<std::uint32_t>(std::size(special)))];
  }

  std::uint64_t key_ = 0, next_ = 0;
  PhiloxCounter block_{};
  std::size_t used_ = 4;
};

[[nodiscard]] inline std::size_t volume(std::initializer_list<int> extents) {
  std::size_t product = 1;
  for (const int extent : extents) product *= static_cast<std::size_t>(extent);
  return product;
}
// "3x130x257"
[[nodiscard]] inline std::string shape_text(std::initializer_list<int> extents) {
  std::string text;
  for (const int extent : extents) {
    if (!text.empty()) text += 'x';
    text += std::to_string(extent);
  }
  return text;
}

}  // namespace ufab::kernels
