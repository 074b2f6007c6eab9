// ECVRF, the verifiable random function of RFC 9381 over edwards25519 with SHA-512: the holder of a key
// computes from any input alpha an output that nobody can predict and the holder cannot choose, with a proof
// of it. For one (key, alpha, suite) there is exactly one output, however many proofs one makes.
//
// Promises:
// - What prove makes, verify accepts. prove is deterministic (section 5.4.2.2).
// - Its time does not depend on the secret, and secrets are wiped after use. It depends on alpha: never use
//   a secret alpha (section 5.4.1.1).
// - verify is section 5.3, always with validate_key = TRUE. It is stricter than the RFC in one thing: the
//   key and the proof's point Gamma must be in the group of prime order. The RFC lets a part of small order
//   stand, which no prove makes and which changes no output. So a key or Gamma that is not canonical or of
//   small order, or s >= q, is an error.
// - The outputs of the two suites are independent.
// - Thread-safe: no state. Nothing throws, but for want of memory.
#pragma once

#include <array>
#include <compare>

#include "fabric/base/bytes.h"
#include "fabric/base/sign.h"

namespace ufab::vrf {

// The values are the suite_string of section 5.5. They differ in how alpha becomes a point: by trying hashes
// until one is a point, or by the Elligator 2 map of RFC 9380. The proof does not carry its suite: both sides
// must know it.
enum class Suite : std::uint8_t {
  tai = 0x03,   // ECVRF-EDWARDS25519-SHA512-TAI
  ell2 = 0x04,  // ECVRF-EDWARDS25519-SHA512-ELL2
};

// pi_string of section 5.1: Gamma (a point, 32 bytes), c (16 bytes), s (32 bytes, below q), little-endian.
struct Proof {
  std::array<std::uint8_t, 80> bytes{};
  friend auto operator<=>(const Proof&, const Proof&) = default;
  [[nodiscard]] ByteView view() const { return bytes; }
};

// beta_string: 64 bytes that cannot be told from random ones without the key or the proof.
struct Output {
  std::array<std::uint8_t, 64> bytes{};
  friend auto operator<=>(const Output&, const Output&) = default;
  [[nodiscard]] ByteView view() const { return bytes; }
};

// Section 5.1.
[[nodiscard]] Proof prove(const KeyPair& pair, ByteView alpha, Suite suite = Suite::tai);

// Section 5.3: the output, or an error (invalid) that says what is wrong.
[[nodiscard]] Result<Output> verify(const PublicKey& key, ByteView alpha, const Proof& proof,
                                    Suite suite = Suite::tai);

// Section 5.2: the output that a proof claims. It checks the encoding only: use it on one's own proofs, and
// verify on others'.
[[nodiscard]] Result<Output> proof_to_hash(const Proof& proof, Suite suite = Suite::tai);

}  // namespace ufab::vrf
