#include "kernels/math.h"

namespace ufab::kernels {

void cos_sin_turns(float turns, float& cosine, float& sine) {
  // turns = quarter / 4 + f exactly, |f| <= 1/8.
  const float quarter_float = __builtin_floorf(__builtin_fmaf(4.0F, turns, 0.5F));
  const float f = turns - 0.25F * quarter_float;
  const int quarter = static_cast<int>(quarter_float) & 3;
  const float z = f * f;
  float c = __builtin_fmaf(-0x1.a1e852p+4F, z, 0x1.e1ec72p+5F);
  c = __builtin_fmaf(c, z, -0x1.55d3c2p+6F);
  c = __builtin_fmaf(c, z, 0x1.03c1f0p+6F);
  c = __builtin_fmaf(c, z, -0x1.3bd3ccp+4F);
  c = __builtin_fmaf(c, z, 1.0F);
  float s = __builtin_fmaf(0x1.4bc85cp+5F, z, -0x1.32ca9ep+6F);
  s = __builtin_fmaf(s, z, 0x1.466bbap+6F);
  s = __builtin_fmaf(s, z, -0x1.4abbcep+5F);
  s = __builtin_fmaf(s, z, 0x1.921fb6p+2F) * f;
  switch (quarter) {
    case 0: cosine = c, sine = s; break;
    case 1: cosine = -s, sine = c; break;
    case 2: cosine = -c, sine = -s; break;
    default: cosine = s, sine = -c; break;
  }
}

}  // namespace ufab::kernels
