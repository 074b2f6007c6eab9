#include "accounting/hpos/encode_to_curve.h"

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>

namespace ufab::vrf {

namespace {

// RFC 9381 section 5.4.1.1: try and increment.
Point encode_tai(const PublicKey& key, ByteView alpha) {
  const std::array<std::uint8_t, 2> front{static_cast<std::uint8_t>(Suite::tai), 0x01};
  for (unsigned ctr = 0; ctr < 256; ++ctr) {
    const std::array<std::uint8_t, 2> back{static_cast<std::uint8_t>(ctr), 0x00};
    Sha512 hash;
    sha512(hash, {front, key.view(), alpha, back});
    Point point;
    std::copy_n(hash.begin(), 32, point.begin());
    if (!on_curve(point)) continue;
    if (const Point h = times_cofactor(point); h != identity) return h;
  }
  return identity;
}

// Integers modulo p = 2^255 - 19: a product of two fits in 512 bits. Not constant in time, and need not be.
using Field = boost::multiprecision::uint512_t;

const Field& modulus() {
  static const Field p = (Field(1) << 255) - 19;
  return p;
}

Field mul(const Field& a, const Field& b) {
  return a * b % modulus();
}

Field plus(const Field& a, const Field& b) {
  return (a + b) % modulus();
}

Field negate(const Field& a) {
  return (modulus() - a) % modulus();
}

Field power(const Field& base, const Field& exponent) {
  return boost::multiprecision::powm(base, exponent, modulus());
}

Field inverse(const Field& a) {
  return power(a, modulus() - 2);
}

bool is_odd(const Field& a) {
  return (a & 1) == 1;
}

bool is_square(const Field& a) {
  return power(a, (modulus() - 1) / 2) <= 1;
}

// The square root that is odd or not, as asked (RFC 9380 appendix I.2). Precondition: is_square(a).
Field root(const Field& a, bool odd) {
  Field r = power(a, (modulus() + 3) / 8);
  if (mul(r, r) != a) r = mul(r, power(2, (modulus() - 1) / 4));
  UFAB_ASSERT(mul(r, r) == a);
  return is_odd(r) == odd ? r : negate(r);
}

// RFC 9380: the Elligator 2 map to curve25519 (section 6.7.1), then to edwards25519 (section 6.8.2).
Point map_to_curve(const Field& u) {
  static const Field j = 486662;
  const auto right_side = [&](const Field& x) { return mul(x, plus(mul(x, plus(x, j)), 1)); };
  // 1 + 2u^2 is never zero: -1/2 is no square.
  const Field x1 = negate(mul(j, inverse(plus(mul(2, mul(u, u)), 1))));
  const bool square = is_square(right_side(x1));
  const Field x = square ? x1 : negate(plus(x1, j));
  const Field y = root(right_side(x), square);
  if (y == 0 || plus(x, 1) == 0) return identity;  // the map's exceptions

  static const Field root_even = root(negate(486664), false);
  const Field edwards_x = mul(root_even, mul(x, inverse(y)));
  Field edwards_y = mul(plus(x, negate(1)), inverse(plus(x, 1)));
  Point point;
  for (std::uint8_t& byte : point) {
    byte = static_cast<std::uint8_t>(edwards_y & 0xFF);
    edwards_y >>= 8;
  }
  if (is_odd(edwards_x)) point[31] |= 0x80;
  return point;
}

}  // namespace

Point encode_ell2(ByteView salt, ByteView message, std::string_view tag) {
  UFAB_ASSERT(tag.size() <= 255);
  // expand_message_xmd (RFC 9380 section 5.3.1) to 48 bytes: one block is enough.
  const std::array<std::uint8_t, 128> padding{};
  const std::array<std::uint8_t, 3> length{0, 48, 0};
  const std::array<std::uint8_t, 1> first{1};
  const std::array<std::uint8_t, 1> tag_size{static_cast<std::uint8_t>(tag.size())};
  Sha512 hash;
  sha512(hash, {padding, salt, message, length, as_bytes(tag), tag_size});
  Sha512 uniform;
  sha512(uniform, {hash, first, as_bytes(tag), tag_size});
  // hash_to_field (section 5.2): big-endian.
  Field u = 0;
  for (std::size_t i = 0; i < 48; ++i) u = (u << 8) + uniform[i];
  return times_cofactor(map_to_curve(u % modulus()));
}

Point encode_to_curve(Suite suite, const PublicKey& key, ByteView alpha) {
  const Point h = suite == Suite::tai
                      ? encode_tai(key, alpha)
                      : encode_ell2(key.view(), alpha, "ECVRF_edwards25519_XMD:SHA-512_ELL2_NU_\x04");
  UFAB_ASSERT(h != identity);
  return h;
}

}  // namespace ufab::vrf
