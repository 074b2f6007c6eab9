// Signatures for simulations: a keyed hash, some hundred times faster than Ed25519. Whoever knows the
// scheme can forge it; simulated attackers forge only as one can against a real scheme, with bytes that do
// not verify.
#pragma once

#include <cstdint>

#include "accounting/consensus/scheme.h"

namespace ufab::consensus {

class HashScheme final : public SignatureScheme {
 public:
  [[nodiscard]] bool verify(const PublicKey& key, ByteView message,
                            const Signature& signature) const override;
};

class HashSigner final : public Signer {
 public:
  // The key of this number: number + 1 in its first eight bytes, little-endian, then zeros.
  explicit HashSigner(std::uint64_t number);
  [[nodiscard]] PublicKey public_key() const override { return key_; }
  [[nodiscard]] Signature sign(ByteView message) const override;

 private:
  PublicKey key_;
};

}  // namespace ufab::consensus
