// A validator's keys. One 32-byte seed, the file validator.key of its node, is the secret of both: the key
// that signs blocks and votes, and the VRF key, whose seed is the first half of SHA-512("ufab validator vrf
// key 1\n" || seed). Ed25519 and ECVRF derive their scalar and their nonces from SHA-512 of their seed; with
// one seed for both a flaw in one would be a flaw in the other, and with separate seeds neither says anything
// about the other. Whoever has the seed has both, so there is one file to guard and one to lose.
// Thread-safe: no state.
#pragma once

#include "accounting/records/validators.h"

namespace ufab::hpos {

[[nodiscard]] KeyPair vrf_key_of(const KeyPair& validator);

// What ValidatorStand's proofs are made over; `owner` is the organisation's key, which signs the record.
// SHA-256("ufab validator stand 1\n" || chain id || owner || validator's key), and as the VRF's alpha the
// same with "ufab validator vrf stand 1\n". The VRF key salts the VRF, so that alpha need not name it.
[[nodiscard]] Digest validator_stand_digest(const Digest& chain_id, const PublicKey& owner,
                                            const PublicKey& validator);
[[nodiscard]] Digest validator_stand_alpha(const Digest& chain_id, const PublicKey& owner,
                                           const PublicKey& validator);

// The body of the record, with both proofs.
[[nodiscard]] ValidatorStand make_stand(const Digest& chain_id, const PublicKey& owner,
                                        const KeyPair& validator);
// Both keys are acceptable and differ, and the proofs are right. An error says what is wrong.
[[nodiscard]] Status check_stand(const Digest& chain_id, const PublicKey& owner, const ValidatorStand& stand);

}  // namespace ufab::hpos
