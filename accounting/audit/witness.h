// A witness cosigns checkpoints: whoever trusts it need not compare heads with others.
//
// What it promises: every head that this key ever cosigned for a chain, with this state file, is an ancestor
// of the next one. It verifies the checkpoint from the chain's id, and wants the headers from the head that
// it cosigned last to the new one, each of which names the hash of the one before; a lower head, or another
// one at the same height, it refuses. It promises nothing about records: who wants them checked verifies a
// bundle.
//
// State file: text, "ufab-witness/1 CHAIN_ID HEIGHT BLOCK_HASH\n", digests as "sha256:…". It is written and
// synced before the cosignature is; without it a witness begins anew, so that its owner must not lose it.
#pragma once

#include <optional>
#include <string>

#include "accounting/audit/checkpoint.h"

namespace ufab {

// The checkpoint with this key's cosignature, which replaces an earlier one of it. One process at a time has
// the state file. conflict: the head is no extension of the last one; invalid: the checkpoint does not hold.
[[nodiscard]] Result<Bytes> witness_cosign(ByteView checkpoint, const KeyPair& key,
                                           const std::string& state_path,
                                           std::optional<Digest> chain_id = std::nullopt);

}  // namespace ufab
