// Records about validators: who stands for a seat, their shares of the epoch's seed, and evidence against
// them. A validator has two keys of its own, neither of which signs records: one signs blocks and votes, the
// other makes VRF outputs (accounting/hpos/validator_key.h derives the second from the first). Both are on
// the ledger for ever, and nobody takes them again. Layout as in bodies.h.
#pragma once

#include "accounting/consensus/scheme.h"
#include "accounting/hpos/vrf.h"
#include "accounting/records/types.h"

namespace ufab {

// Of what validators say to each other and of the blocks that they make. Whoever stands speaks it.
inline constexpr std::uint32_t validator_protocol = 1;

// The signer's organisation stands for a seat with these keys, from the next epoch on; a stand before it is
// replaced, while a seat in office keeps its keys until its epoch ends. Signed by the organisation's key.
// `proof` is the key's signature over validator_stand_digest(), `vrf_proof` the VRF key's proof for
// validator_stand_alpha(): nobody can take another's keys for his own. `protocol` is the highest that its
// node speaks, at least validator_protocol.
struct ValidatorStand {
  static constexpr RecordType type = RecordType::validator_stand;
  PublicKey key;
  Signature proof;
  PublicKey vrf_key;
  vrf::Proof vrf_proof;
  std::uint32_t protocol = validator_protocol;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("key", s.key);
    v("proof", s.proof);
    v("vrf_key", s.vrf_key);
    v("vrf_proof", s.vrf_proof);
    v("protocol", s.protocol);
  }
};

// It stands no more, from the next epoch on; a seat in office is kept until its epoch ends, and longer while
// fewer than params.validators_min stand. Signed by the organisation's key.
struct ValidatorLeave {
  static constexpr RecordType type = RecordType::validator_leave;
  template <class V, class S>
  static void fields(V&, S&) {}
};

// One of two votes that no honest validator signs both.
struct EvidencePart {
  consensus::VoteKind kind = consensus::VoteKind::notarise;
  Digest block;
  Signature signature;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("kind", s.kind, std::uint8_t{4});
    v("block", s.block);
    v("signature", s.signature);
  }
};
// The consensus' evidence (consensus::Evidence) of this chain: the votes were signed by `key`, which was in
// office in `epoch`. Any organisation files it, within params.evidence_epochs; a key is convicted once, for
// all that it ever signed. accounting/hpos/evidence.h converts.
struct EvidenceRecord {
  static constexpr RecordType type = RecordType::evidence;
  std::uint64_t epoch = 0;
  std::uint64_t view = 0;
  PublicKey key;
  EvidencePart first, second;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("epoch", s.epoch);
    v("view", s.view);
    v("key", s.key);
    v("first", s.first);
    v("second", s.second);
  }
};

// A validator's part of the seed of epoch + 1, in office in `epoch`: the proof of its VRF output
// (accounting/hpos/epoch_seed.h says over what, accounting/state/rules_seed.cpp until when). Its organisation
// signs, or the agent.
struct SeedShareRecord {
  static constexpr RecordType type = RecordType::seed_share;
  std::uint64_t epoch = 0;
  vrf::Proof proof;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("epoch", s.epoch);
    v("proof", s.proof);
  }
};

}  // namespace ufab
