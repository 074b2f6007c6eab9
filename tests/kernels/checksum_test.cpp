// The golden lines' checksum against the published values of FNV-1a, and what it makes of floats.
#include "kernels/tools/checksum.h"

#include <gtest/gtest.h>

#include <limits>

namespace ufab::kernels {
namespace {

std::uint64_t checksum_of(std::string_view text) {
  Checksum checksum;
  checksum.text(text);
  return checksum.value();
}

TEST(ChecksumTest, GivesThePublishedValues) {
  EXPECT_EQ(checksum_of(""), 0xCBF29CE484222325U);
  EXPECT_EQ(checksum_of("a"), 0xAF63DC4C8601EC8CU);
  EXPECT_EQ(checksum_of("foobar"), 0x85944171F73967E8U);
}

TEST(ChecksumTest, WordsAreLittleEndianBytes) {
  Checksum words;
  words.long_word(0x3837363534333231U);
  EXPECT_EQ(words.value(), checksum_of("12345678"));
}

TEST(ChecksumTest, TellsZerosApartButNotNaNs) {
  const auto of = [](float value) {
    Checksum checksum;
    checksum.number(value);
    return checksum.value();
  };
  using Limits = std::numeric_limits<float>;
  EXPECT_NE(of(0.0F), of(-0.0F));
  EXPECT_NE(of(0.0F), of(Limits::denorm_min()));
  EXPECT_EQ(of(Limits::quiet_NaN()), of(-Limits::quiet_NaN()));
  EXPECT_NE(of(Limits::quiet_NaN()), of(Limits::infinity()));
}

}  // namespace
}  // namespace ufab::kernels
