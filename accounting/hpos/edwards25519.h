// The group of edwards25519 (RFC 8032 section 5.1) as the VRF needs it, over libsodium's operations. Points
// and scalars are their encodings, 32 bytes little-endian. G is the subgroup of prime order q, B its
// generator. Thread-safe: no state. Nothing throws. Time does not depend on scalars; points are all public.
#pragma once

#include <array>
#include <initializer_list>

#include "fabric/base/bytes.h"

namespace ufab::vrf {

using Point = std::array<std::uint8_t, 32>;
using Scalar = std::array<std::uint8_t, 32>;
using Sha512 = std::array<std::uint8_t, 64>;

inline constexpr Point identity{1};

// The canonical encoding of a point of the curve, of any order (RFC 8032 section 5.1.3).
[[nodiscard]] bool on_curve(const Point& point);
// A point of G in its canonical encoding, and not the identity.
[[nodiscard]] bool in_group(const Point& point);
// Below q: the canonical encoding of a scalar.
[[nodiscard]] bool is_reduced(const Scalar& scalar);

// Precondition of what follows: every point passed is on_curve.
[[nodiscard]] Point add(const Point& a, const Point& b);
[[nodiscard]] Point subtract(const Point& a, const Point& b);
// 8 times the point, which is in G, or the identity for a point of small order.
[[nodiscard]] Point times_cofactor(const Point& point);
// scalar times the point. Preconditions: in_group(point), and the scalar is below 2^255 and either zero or no
// multiple of q.
[[nodiscard]] Point times(const Scalar& scalar, const Point& point);
[[nodiscard]] Point times_base(const Scalar& scalar);

// SHA-512 of the parts joined together. Writes where it is told to, so that the caller can wipe it.
void sha512(Sha512& out, std::initializer_list<ByteView> parts);

}  // namespace ufab::vrf
