// What validators say to each other, and its bytes. One value has one encoding (fabric/base/codec.h); a
// decoder refuses what the encoder would not produce. Nothing here checks a signature except verify_*.
//
// Vote:        u64 epoch, u64 view, u8 kind, block digest (32; zero for skip), u16 seat, signature (64)
// Certificate: u64 epoch, u64 view, u8 kind (not propose), block digest (32; zero for skip),
//              u16 validators in the epoch, bitmap of signers (one bit a seat, bit 0 of byte 0 is seat 0,
//              unused bits zero, not empty), then one signature (64) for each set bit in order
// Header:      chain id (32), u64 epoch, u64 view, u64 height, u64 parent's view, parent's digest (32),
//              payload's hash (32), u8 seal (0 or 1)
// Proposal:    header, u32-prefixed payload, the leader's signature (64) of its propose vote
// Request:     u64 epoch, u64 view, block digest (32): "send me this proposal"
// Message:     u8 tag (1 vote, 2 certificate, 3 proposal, 4 request), then the above
// Evidence:    chain id (32), u64 epoch, u64 view, public key (32), then twice u8 kind, block digest (32),
//              signature (64), in ascending order of (kind, digest)
//
// A payload's hash is SHA-256 of the hashes (SHA-256) of its head and of its rest, so that a proof can carry
// the head alone. The head is a u32 and as many bytes after it, if the payload begins with such a thing; else
// all of it.
//
// Every vote signs "ufab consensus vote 1\n", chain id, epoch, view, kind, block digest. A block's digest is
// SHA-256 of "ufab consensus block 1\n" and its header.
#pragma once

#include <functional>
#include <memory>
#include <variant>

#include "accounting/consensus/scheme.h"
#include "accounting/consensus/validators.h"
#include "fabric/base/codec.h"

namespace ufab::consensus {

inline constexpr std::size_t payload_size_max = 16U << 20;  // bytes; a node may be set to less

}  // namespace ufab::consensus

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

struct Vote {
  std::uint64_t epoch = 0;
  View view = 0;
  VoteKind kind = VoteKind::notarise;
  Digest block;  // zero for skip
  Seat seat = 0;
  Signature signature;

  friend bool operator==(const Vote&, const Vote&) = default;
};

struct Certificate {
  std::uint64_t epoch = 0;
  View view = 0;
  VoteKind kind = VoteKind::notarise;
  Digest block;                       // zero for skip
  std::uint16_t validators = 0;       // in the epoch
  std::vector<Seat> signers;          // ascending
  std::vector<Signature> signatures;  // one for each signer

  friend bool operator==(const Certificate&, const Certificate&) = default;
};
using CertificatePtr = std::shared_ptr<const Certificate>;

struct Header {
  Digest chain_id;
  std::uint64_t epoch = 0;
  View view = 0;
  std::uint64_t height = 0;  // the parent's and one; a seal has its parent's
  View parent_view = 0;      // 0: the block before the epoch
  Digest parent;
  Digest payload_hash;
  bool seal = false;  // empty, after the epoch's last block, only there so that it can be finalised

  friend bool operator==(const Header&, const Header&) = default;
};

// Made by make_proposal() or the decoder, which keep `digest` in step with the header.
struct Proposal {
  Header header;
  Bytes payload;
  Signature signature;  // of Vote{propose, digest} by the view's leader
  Digest digest;        // of the header; not encoded

  friend bool operator==(const Proposal&, const Proposal&) = default;
};
using ProposalPtr = std::shared_ptr<const Proposal>;

struct BlockRequest {
  std::uint64_t epoch = 0;
  View view = 0;
  Digest block;

  friend bool operator==(const BlockRequest&, const BlockRequest&) = default;
};

using Message = std::variant<Vote, CertificatePtr, ProposalPtr, BlockRequest>;

// Two votes that no honest validator signs both: the same kind for two blocks in one view, or skip and
// finalise in one view. Self-contained: whoever has these bytes and knows that the key was a validator in
// that epoch needs no more.
struct Evidence {
  struct Part {
    VoteKind kind = VoteKind::notarise;
    Digest block;
    Signature signature;
    friend bool operator==(const Part&, const Part&) = default;
  };
  Digest chain_id;
  std::uint64_t epoch = 0;
  View view = 0;
  PublicKey key;
  Part first, second;

  friend bool operator==(const Evidence&, const Evidence&) = default;
};

[[nodiscard]] Bytes vote_signing_bytes(const Digest& chain_id, std::uint64_t epoch, View view, VoteKind kind,
                                       const Digest& block);
struct PayloadParts {
  ByteView head, rest;
};
[[nodiscard]] PayloadParts payload_parts(ByteView payload);
[[nodiscard]] Digest payload_hash(ByteView head, const Digest& rest_hash);
[[nodiscard]] Digest payload_hash(ByteView payload);
[[nodiscard]] Digest header_digest(const Header& header);
// Fills payload_hash and digest.
[[nodiscard]] Proposal make_proposal(Header header, Bytes payload, const Signer& leader);

// A honest validator never signs both, in one view.
[[nodiscard]] bool votes_conflict(VoteKind a, const Digest& block_a, VoteKind b, const Digest& block_b);

// The signature of the seat's validator, by this epoch's list.
[[nodiscard]] bool verify_vote(const Digest& chain_id, const ValidatorSet& set, const Vote& vote,
                               const SignatureScheme& scheme);
// Signers are of this set, are a quorum of it, and all signed. What a light client runs too. `known`: of
// which of its signatures (by their place) the caller knows already that they are good.
[[nodiscard]] bool verify_certificate(const Digest& chain_id, const ValidatorSet& set,
                                      const Certificate& certificate, const SignatureScheme& scheme,
                                      const std::function<bool(std::size_t)>& known = {});
// Both signatures are the key's and the votes conflict. An error says what is wrong.
[[nodiscard]] Status verify_evidence(const Evidence& evidence, const SignatureScheme& scheme);

[[nodiscard]] Bytes encode_message(const Message& message);
[[nodiscard]] Result<Message> decode_message(ByteView bytes);
[[nodiscard]] Bytes encode_evidence(const Evidence& evidence);
[[nodiscard]] Result<Evidence> decode_evidence(ByteView bytes);

// The parts, for containers of them (accounting/consensus/vote_log.h).
void write_vote(Writer& writer, const Vote& vote);
void write_certificate(Writer& writer, const Certificate& certificate);
void write_header(Writer& writer, const Header& header);
void write_proposal(Writer& writer, const Proposal& proposal);
[[nodiscard]] Header read_header(Reader& reader);
[[nodiscard]] Vote read_vote(Reader& reader);
[[nodiscard]] CertificatePtr read_certificate(Reader& reader);
[[nodiscard]] ProposalPtr read_proposal(Reader& reader);

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
