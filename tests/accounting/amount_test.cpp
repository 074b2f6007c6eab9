#include "accounting/amount.h"

#include <gtest/gtest.h>

namespace ufab {
namespace {

TEST(Amount, SumsAndProductsThatDoNotFitAreEmpty) {
  EXPECT_EQ(checked_add(UINT64_MAX - 1, 1), UINT64_MAX);
  EXPECT_FALSE(checked_add(UINT64_MAX, 1).has_value());
  EXPECT_FALSE(checked_sub(1, 2).has_value());
  EXPECT_FALSE(checked_mul(std::uint64_t{1} << 32, std::uint64_t{1} << 32).has_value());
  EXPECT_EQ(mul_div(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
  EXPECT_FALSE(mul_div(UINT64_MAX, 2, 1).has_value());
  EXPECT_EQ(part_ppm(UINT64_MAX, ppm_one), UINT64_MAX);
  EXPECT_EQ(part_ppm(999, 500'000), 499U);
}

TEST(Amount, WhatIsPrintedIsParsedBack) {
  for (const MicroUnc amount :
       {MicroUnc{0}, MicroUnc{1}, MicroUnc{12'500'000}, MicroUnc{999'999}, UINT64_MAX}) {
    EXPECT_EQ(*parse_amount(format_amount(amount)), amount);
  }
  EXPECT_EQ(format_amount(12'500'000), "12.5 UNC");
  EXPECT_EQ(*parse_amount("3UNC"), 3'000'000U);
}

TEST(Amount, MalformedAmountsAreErrors) {
  for (const char* text :
       {"", "UNC", ".5", "1.", "1.1234567", "-1", "1e3", "1,5", "18446744073710", "1 2", " 1"}) {
    EXPECT_FALSE(parse_amount(text).ok()) << text;
  }
}

}  // namespace
}  // namespace ufab
