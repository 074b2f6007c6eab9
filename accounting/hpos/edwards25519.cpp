#include "accounting/hpos/edwards25519.h"

#include <sodium.h>

#include <algorithm>

namespace ufab::vrf {

bool on_curve(const Point& point) {
  // libsodium decodes y + p as y, and a sign of x = 0; it never encodes either.
  Point again;
  return crypto_core_ed25519_add(again.data(), point.data(), identity.data()) == 0 && again == point;
}

bool in_group(const Point& point) {
  return crypto_core_ed25519_is_valid_point(point.data()) == 1;
}

bool is_reduced(const Scalar& scalar) {
  Sha512 wide{};
  std::copy(scalar.begin(), scalar.end(), wide.begin());
  Scalar reduced;
  crypto_core_ed25519_scalar_reduce(reduced.data(), wide.data());
  return reduced == scalar;
}

Point add(const Point& a, const Point& b) {
  Point sum;
  UFAB_ASSERT(crypto_core_ed25519_add(sum.data(), a.data(), b.data()) == 0);
  return sum;
}

Point subtract(const Point& a, const Point& b) {
  Point difference;
  UFAB_ASSERT(crypto_core_ed25519_sub(difference.data(), a.data(), b.data()) == 0);
  return difference;
}

Point times_cofactor(const Point& point) {
  const Point two = add(point, point);
  const Point four = add(two, two);
  return add(four, four);
}

// libsodium reports a product that is the identity as an error.
Point times(const Scalar& scalar, const Point& point) {
  if (sodium_is_zero(scalar.data(), scalar.size()) == 1) return identity;
  Point product;
  UFAB_ASSERT(crypto_scalarmult_ed25519_noclamp(product.data(), scalar.data(), point.data()) == 0);
  return product;
}

Point times_base(const Scalar& scalar) {
  if (sodium_is_zero(scalar.data(), scalar.size()) == 1) return identity;
  Point product;
  UFAB_ASSERT(crypto_scalarmult_ed25519_base_noclamp(product.data(), scalar.data()) == 0);
  return product;
}

void sha512(Sha512& out, std::initializer_list<ByteView> parts) {
  crypto_hash_sha512_state state;
  crypto_hash_sha512_init(&state);
  for (const ByteView part : parts) crypto_hash_sha512_update(&state, part.data(), part.size());
  crypto_hash_sha512_final(&state, out.data());  // wipes the state
}

}  // namespace ufab::vrf
