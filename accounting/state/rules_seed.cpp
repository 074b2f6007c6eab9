// The shares of the next epoch's seed (accounting/hpos/epoch_seed.h says who can bend it, and how far).
//
// Who knows what when. Epoch k begins with block k·B (B = params.epoch_blocks): its seed and its seats follow
// from that block, and with the seed the alpha of seed k + 1. From then on until block k·B + B/2 each seat
// that draws files its one share. The seed of k + 1 is known with the last share, at the latest then, and
// takes effect at (k + 1)·B.
// - The window is half an epoch, so that a share passes by many leaders: whoever leaves it out must lead all
//   of its blocks. It ends half an epoch before the seed takes effect, so that a share cannot be held back
//   until the epoch's last leaders are known to be offline or friendly, and so that everybody knows the next
//   leaders at the same time.
// - A share must come from a key that the ledger had before epoch k - 1 (Seat::draws). The seed of k needs
//   the outputs of k - 1, which honest validators do not show before that begins: so nobody can try keys
//   until one's output suits.
// - Whoever files last has seen the others' outputs and may withhold his own: one bit of choice for each
//   validator in league with him, at the price of a missed duty each time. The window's end does not take
//   that away; only a proof that needs time (a delay function) would.
//
// Without any share: among several validators the seed is the plain hash, known to all in advance, and no
// leader has a choice. With one maker of blocks, who orders everything anyway, it takes in the hash of the
// block before: nobody else knows it in advance.
#include <fmt/format.h>

#include "accounting/hpos/epoch_seed.h"
#include "accounting/state/transition.h"

namespace ufab {

Status Transition::on(const SeedShareRecord& body, OrgId org) {
  const auto wrong = [&](ErrorCode code, const std::string& why) {
    return Error{code, fmt::format("seed share of {}: {}", name_of(org), why)};
  };
  const Seat* seat = s_.seat_of(org);
  if (seat == nullptr) return wrong(ErrorCode::denied, "it has no seat in office");
  if (body.epoch != s_.epoch_)
    return wrong(ErrorCode::conflict, fmt::format("it is for epoch {}, this is {}", body.epoch, s_.epoch_));
  if (!seat->draws)
    return wrong(ErrorCode::conflict, "its keys are too new: it takes part from the next epoch on");
  if (s_.context_.height > s_.seed_share_last())
    return wrong(ErrorCode::conflict, fmt::format("too late: it was due by block {}", s_.seed_share_last()));
  if (s_.seed_shares_.contains(org)) return wrong(ErrorCode::conflict, "there is one already");
  const Bytes alpha = hpos::epoch_alpha(s_.chain_id_, s_.epoch_ + 1, s_.epoch_seed_);
  const auto output = vrf::verify(seat->vrf_key, alpha, body.proof);
  if (!output.ok()) return wrong(ErrorCode::invalid, output.error().message);
  s_.seed_shares_.emplace(org, *output);
  touch(Slot::seed_share, org);
  return {};
}

// Of the epoch that ends. For its uptime a share counts as one slot more.
void Transition::charge_missed_shares() {
  for (const Seat& seat : s_.seats_) {
    if (!seat.draws || s_.seed_shares_.contains(seat.organisation)) continue;
    OrgEntry& org = org_mutable(seat.organisation);
    score(org, ScoreCause::missed_seed, 1);
    ++org.slots_missed;
  }
}

// Of the epoch that begins, from the shares of the one that ended.
void Transition::draw_epoch_seed() {
  std::vector<hpos::SeedShare> shares;
  for (const auto& [id, output] : s_.seed_shares_) {
    shares.push_back({id, output});
    touch(Slot::seed_share, id);
  }
  const auto seed = hpos::epoch_seed(s_.epoch_seed_, s_.epoch_, shares);
  UFAB_ASSERT(seed.ok());
  s_.epoch_seed_ = *seed;
  s_.seed_shares_.clear();
  if (!shares.empty() || s_.by_vote()) return;
  Sha256 hash;
  hash.update("ufab epoch seed alone 1\n").update(seed->view()).update(s_.context_.previous.view());
  s_.epoch_seed_ = hash.finish();
}

}  // namespace ufab
