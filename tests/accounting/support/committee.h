// Validators for tests: four organisations with seats, in a World.
#pragma once

#include "accounting/consensus/messages.h"
#include "accounting/hpos/evidence.h"
#include "accounting/state/duties.h"
#include "tests/accounting/support/world.h"

namespace ufab::test {

inline constexpr std::uint64_t unc = micro_per_unc;
inline constexpr OrgId epsilon_org = 6;

inline ChainParams committee_params() {
  ChainParams params = World::small_params();
  params.epoch_blocks = 10;
  return params;
}

// The validator's key of alpha is number 201, beta's 202, gamma's 203, delta's 204. Ends in the first block
// of the epoch in which they are in office, having stood in the one before.
inline void seat_four(World& world) {
  world.add_organisations();
  world.next_epoch();
  for (OrgId org = alpha; org <= delta; ++org) world.stand(org, static_cast<std::uint8_t>(199 + org));
  world.next_epoch();
}

inline consensus::Evidence::Part vote_of(const Digest& chain, std::uint64_t epoch, std::uint64_t view,
                                         const KeyPair& key, consensus::VoteKind kind, const Digest& block) {
  return {kind, block, key.sign(consensus::vote_signing_bytes(chain, epoch, view, kind, block))};
}

// Two notarise votes of one view.
inline EvidenceRecord double_vote(const World& world, const KeyPair& key, std::uint64_t epoch,
                                  std::uint64_t view = 3) {
  const Digest chain = world.state().chain_id();
  const auto kind = consensus::VoteKind::notarise;
  return hpos::evidence_record({chain, epoch, view, key.public_key(),
                                vote_of(chain, epoch, view, key, kind, digest_of("one block")),
                                vote_of(chain, epoch, view, key, kind, digest_of("another"))});
}

// Every seat that owes a share files it, but for those of `silent`.
inline void share_seed(World& world, const std::vector<OrgId>& silent = {}) {
  for (const Seat& seat : std::vector<Seat>(world.state().seats())) {
    if (std::find(silent.begin(), silent.end(), seat.organisation) != silent.end()) continue;
    const auto share = seed_share_due(world.state(), world.validator(seat.key));
    if (share) world.must(seat.organisation, *share);
  }
}

// The scores that changed for this cause, in order.
inline std::vector<Score> scores_of(const World& world, ScoreCause cause) {
  std::vector<Score> found = world.all<Score>();
  std::erase_if(found, [&](const Score& score) { return score.cause != cause; });
  return found;
}

}  // namespace ufab::test
