// How the VRF's input becomes a point of the group of prime order (RFC 9381 section 5.4.1). Thread-safe,
// nothing throws; the time depends on the input, which is public.
#pragma once

#include <string_view>

#include "accounting/hpos/edwards25519.h"
#include "accounting/hpos/vrf.h"

namespace ufab::vrf {

// H of RFC 9381 for this suite, with the key as the salt. Never the identity (the chance is below 2^-250).
[[nodiscard]] Point encode_to_curve(Suite suite, const PublicKey& key, ByteView alpha);

// The suite edwards25519_XMD:SHA-512_ELL2_NU_ of RFC 9380 section 8.5, for the message `salt || message`.
// Precondition: the domain separation tag has at most 255 bytes.
[[nodiscard]] Point encode_ell2(ByteView salt, ByteView message, std::string_view tag);

}  // namespace ufab::vrf
