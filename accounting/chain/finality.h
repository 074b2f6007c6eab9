// Why a block is final, where several validators vote: the consensus (accounting/consensus) finalised the
// proposal that carried it.
//
// Layout: the proposal's header (accounting/consensus/messages.h), the leader's signature (64), u32 count of
// seals (at most seals_max), each a header and a signature, flag, and if it is set the certificate. A seal is
// a proposal without payload after an epoch's last block.
//
// The certificate finalises the block itself or the last of its seals. It is left out where several blocks
// became final at once: then the next block that has one makes this one final too, because it follows it.
#pragma once

#include <vector>

#include "accounting/consensus/messages.h"
#include "accounting/records/derived.h"

namespace ufab {

inline constexpr std::size_t seals_max = 4096;
inline constexpr std::size_t finality_size_max = 4U << 20;  // bytes

struct SignedHeader {
  consensus::Header header;
  Signature leader;  // of the propose vote for it

  friend bool operator==(const SignedHeader&, const SignedHeader&) = default;
};

struct Finality {
  SignedHeader proposal;
  std::vector<SignedHeader> seals;
  consensus::CertificatePtr certificate;

  // What the certificate is for, if it is here.
  [[nodiscard]] const consensus::Header& last() const {
    return seals.empty() ? proposal.header : seals.back().header;
  }
};

[[nodiscard]] Bytes encode_finality(const Finality& finality);
[[nodiscard]] Result<Finality> decode_finality(ByteView bytes);

// The list that votes in the epoch that begins with these seats; as the ledger's rules make them it is one.
[[nodiscard]] Result<consensus::ValidatorSet> validators_of(const std::vector<Seat>& seats);

// What there is to check without the ledger's state: the proposal carries this payload hash at this height
// and view of that epoch and was signed by the view's leader; seals follow it one after another; the
// certificate, if it is here, is for the last of them and holds. `previous` is the digest of the proposal or
// seal that it builds on. An error says what is wrong.
struct FinalityContext {
  const Digest& chain_id;
  std::uint64_t epoch = 0;
  const consensus::ValidatorSet& validators;
  const consensus::LeaderSchedule& leader;
  consensus::View parent_view = 0;
  Digest parent;
  std::uint64_t height = 0;
  Digest payload_hash;
};
[[nodiscard]] Status check_finality(const Finality& finality, const FinalityContext& context,
                                    const consensus::SignatureScheme& scheme);

}  // namespace ufab
