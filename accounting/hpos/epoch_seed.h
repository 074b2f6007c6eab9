// The seed of an epoch, from which its leaders, verifiers and windows are drawn, out of the validators' VRF
// outputs (DESIGN section 7). Pure functions of what is on the ledger: every replica computes the same.
//
// Who can bend it, and how far. An output is unique for its key and its alpha, and alpha is known only when
// the seed before is: a validator cannot choose its output, it can only withhold it. Whoever publishes last
// and has seen all others' outputs picks the better of two seeds. k validators who act together, all of them
// last, pick among 2^k: what has probability p under an honest seed happens to them with at most 2^k p. One
// honest output that they have not seen when they must decide leaves them no choice at all.
//
// What the rules around these functions must add:
// - A withheld output is a missed duty: all see it, and it costs score.
// - A key takes part only if the ledger had it before the seed before was known: else its owner tries many.
// - Who orders records must not leave outputs out: whoever can censor m outputs picks among 2^m too.
// If nobody contributes, the seed is a plain hash of the seed before, and known to all in advance.
//
// Thread-safe: no state. Nothing throws, but for want of memory.
#pragma once

#include <cstdint>
#include <span>

#include "accounting/hpos/vrf.h"
#include "accounting/records/types.h"
#include "fabric/base/digest.h"

namespace ufab::hpos {

// What every validator proves in an epoch. The key makes the outputs differ: it salts the VRF.
// "ufab epoch alpha 1\n" || chain id (32 bytes) || epoch (u64) || seed of the epoch before (32 bytes)
[[nodiscard]] Bytes epoch_alpha(const Digest& chain_id, std::uint64_t epoch, const Digest& previous_seed);

struct SeedShare {
  OrgId validator = 0;
  vrf::Output output;  // verified by the caller, with the key that the validator had for this epoch
};

// SHA-256("ufab epoch seed 1\n" || previous seed || epoch (u64) || count (u32) || count × (validator (u32) ||
// output (64 bytes))), integers little-endian, in ascending order of the validator: the order of the argument
// does not matter. Two shares of one validator are an error (invalid), even if they are equal.
[[nodiscard]] Result<Digest> epoch_seed(const Digest& previous_seed, std::uint64_t epoch,
                                        std::span<const SeedShare> shares);

}  // namespace ufab::hpos
