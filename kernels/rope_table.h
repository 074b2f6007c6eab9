// The angles of rotary position embedding (Su et al. 2021), the same bits on every machine.
//
// Pair j of a head of width D turns by position * theta^(-2j / D) radians. Everything up to the last rounding
// to binary32 is binary64 and made of + - * / alone, in one fixed order, with no call of a C library. Largest
// absolute error of a cosine or sine before that rounding: 1e-10 (tests/kernels/rope_table_test.cpp).
#pragma once

#include <vector>

namespace ufab::kernels {

inline constexpr int kMaxRopeSeq = 1 << 16;

// Both [seq][head_width / 2].
struct RopeTable {
  std::vector<float> cosine, sine;
};

// 1 <= seq <= kMaxRopeSeq, head_width even and positive, 1 <= theta <= 1e9 (asserted).
[[nodiscard]] RopeTable rope_table(int seq, int head_width, double theta);

}  // namespace ufab::kernels
