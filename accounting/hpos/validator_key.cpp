#include "accounting/hpos/validator_key.h"

#include <sodium.h>

#include <algorithm>

#include "accounting/hpos/edwards25519.h"

namespace ufab::hpos {

namespace {

Digest stand_digest(std::string_view tag, const Digest& chain_id, const PublicKey& owner,
                    const PublicKey& validator) {
  Sha256 hash;
  hash.update(tag).update(chain_id.view()).update(owner.view()).update(validator.view());
  return hash.finish();
}

}  // namespace

KeyPair vrf_key_of(const KeyPair& validator) {
  auto seed = validator.seed();
  vrf::Sha512 hash;
  vrf::sha512(hash, {as_bytes("ufab validator vrf key 1\n"), seed});
  std::copy_n(hash.begin(), seed.size(), seed.begin());
  KeyPair pair = KeyPair::from_seed(seed);
  sodium_memzero(seed.data(), seed.size());
  sodium_memzero(hash.data(), hash.size());
  return pair;
}

Digest validator_stand_digest(const Digest& chain_id, const PublicKey& owner, const PublicKey& validator) {
  return stand_digest("ufab validator stand 1\n", chain_id, owner, validator);
}

Digest validator_stand_alpha(const Digest& chain_id, const PublicKey& owner, const PublicKey& validator) {
  return stand_digest("ufab validator vrf stand 1\n", chain_id, owner, validator);
}

ValidatorStand make_stand(const Digest& chain_id, const PublicKey& owner, const KeyPair& validator) {
  const PublicKey& key = validator.public_key();
  const KeyPair vrf_key = vrf_key_of(validator);
  ValidatorStand stand;
  stand.key = key;
  stand.proof = validator.sign(validator_stand_digest(chain_id, owner, key).view());
  stand.vrf_key = vrf_key.public_key();
  stand.vrf_proof = vrf::prove(vrf_key, validator_stand_alpha(chain_id, owner, key).view());
  return stand;
}

Status check_stand(const Digest& chain_id, const PublicKey& owner, const ValidatorStand& stand) {
  if (!stand.key.is_acceptable() || !stand.vrf_key.is_acceptable())
    return Error{ErrorCode::invalid, "validator key: not an acceptable Ed25519 key"};
  if (stand.key == stand.vrf_key)
    return Error{ErrorCode::invalid, "validator key: it cannot be the VRF key too"};
  const Digest digest = validator_stand_digest(chain_id, owner, stand.key);
  if (!verify(stand.key, digest.view(), stand.proof))
    return Error{ErrorCode::invalid, "validator key: the proof of its possession is wrong"};
  const Digest alpha = validator_stand_alpha(chain_id, owner, stand.key);
  if (!vrf::verify(stand.vrf_key, alpha.view(), stand.vrf_proof))
    return Error{ErrorCode::invalid, "validator's VRF key: the proof of its possession is wrong"};
  return {};
}

}  // namespace ufab::hpos
