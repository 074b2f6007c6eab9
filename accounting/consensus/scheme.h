// The kinds of votes, and how votes are signed and checked: Ed25519 in a node, something cheap in most
// simulations.
#pragma once

#include "fabric/base/sign.h"

namespace ufab::consensus {

enum class VoteKind : std::uint8_t { propose = 1, notarise = 2, skip = 3, finalise = 4 };
[[nodiscard]] const char* vote_kind_name(VoteKind kind);

// Pure functions: the same message has the same signature. Thread-safe.
class SignatureScheme {
 public:
  virtual ~SignatureScheme() = default;
  [[nodiscard]] virtual bool verify(const PublicKey& key, ByteView message,
                                    const Signature& signature) const = 0;
};
class Signer {
 public:
  virtual ~Signer() = default;
  [[nodiscard]] virtual PublicKey public_key() const = 0;
  [[nodiscard]] virtual Signature sign(ByteView message) const = 0;
};

class Ed25519Scheme final : public SignatureScheme {
 public:
  [[nodiscard]] bool verify(const PublicKey& key, ByteView message,
                            const Signature& signature) const override;
};
class Ed25519Signer final : public Signer {
 public:
  explicit Ed25519Signer(KeyPair key) : key_(std::move(key)) {}
  [[nodiscard]] PublicKey public_key() const override { return key_.public_key(); }
  [[nodiscard]] Signature sign(ByteView message) const override { return key_.sign(message); }

 private:
  KeyPair key_;
};

}  // namespace ufab::consensus
