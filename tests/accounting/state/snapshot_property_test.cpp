// Snapshots of random chains: whatever the rules can bring about comes back, and nothing else does.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/accounting/support/committee.h"
#include "tests/accounting/support/random_records.h"
#include "tests/accounting/support/snapshot.h"

namespace ufab::test {
namespace {

TEST(SnapshotProperty, AReplicaThatBeginsAnywhereOnARandomChainGoesOnLikeTheOthers) {
  const bool good = rc::check("random chains", [] {
    World world(quick_params());
    world.add_organisations();
    std::vector<State> states;
    const int count = *rc::gen::inRange(10, 60);
    for (int i = 0; i < count; ++i) {
      const OrgId org = any_org();
      (void)world.submit(org, any_body(world, org));
      if (*rc::gen::inRange(0, 5) == 0) help_along(world);
      if (*rc::gen::inRange(0, 8) == 0) states.push_back(world.state());
    }
    for (const State& state : states) {
      const Status same = follow(world, state, 1000);
      if (!same.ok()) RC_FAIL("from block " + std::to_string(state.height()) + ": " + same.error().message);
    }
    RC_TAG(world.state().jobs().empty() ? "no jobs" : "jobs");
  });
  EXPECT_TRUE(good);
}

TEST(SnapshotProperty, AReplicaThatBeginsAmongVotingValidatorsGoesOnLikeTheOthers) {
  const bool good = rc::check("validators", [] {
    ChainParams params = World::small_params();
    params.epoch_blocks = *rc::gen::element<std::uint64_t>(2, 5, 9);
    params.validators_min = *rc::gen::inRange<std::uint64_t>(1, 4);
    params.evidence_epochs = *rc::gen::inRange<std::uint64_t>(1, 4);
    params.unbonding_epochs = params.evidence_epochs + 1;
    World world(params);
    world.add_organisations();
    for (const OrgId org : {alpha, beta, gamma, delta}) world.stand(org);
    std::vector<State> states;
    const int count = *rc::gen::inRange(10, 30);
    std::uint8_t keys = 10;
    for (int i = 0; i < count; ++i) {
      const OrgId org = any_org();
      if (*rc::gen::inRange(0, 4) == 0) world.skip_views(*rc::gen::inRange<std::uint64_t>(0, 5));
      const Seat* seat = world.state().seat_of(org);
      switch (*rc::gen::inRange(0, 6)) {
        case 0: (void)world.submit(org, world.stand_of(org, static_cast<std::uint8_t>(150 + keys++))); break;
        case 1: (void)world.submit(org, Unstake{any_amount()}); break;
        case 2:
          if (seat != nullptr)
            (void)world.submit(beta, double_vote(world, world.validator(seat->key), world.state().epoch()));
          break;
        case 3: (void)world.submit(org, ValidatorLeave{}); break;
        case 4:
          if (seat == nullptr) break;
          if (const auto share = seed_share_due(world.state(), world.validator(seat->key)))
            (void)world.submit(org, *share);
          break;
        default: world.next_epoch();
      }
      if (*rc::gen::inRange(0, 4) == 0) states.push_back(world.state());
    }
    for (const State& state : states) {
      const Status same = follow(world, state, 1000);
      if (!same.ok()) RC_FAIL("from block " + std::to_string(state.height()) + ": " + same.error().message);
    }
    RC_TAG(world.state().seats().empty() ? "alone" : world.all<Conviction>().empty() ? "seats" : "convicted");
  });
  EXPECT_TRUE(good);
}

TEST(SnapshotProperty, AChangedByteAMissingAndADoubledEntryAreRefused) {
  const bool good = rc::check("changes", [] {
    World world(quick_params());
    world.add_organisations();
    const int count = *rc::gen::inRange(5, 20);
    for (int i = 0; i < count; ++i) {
      const OrgId org = any_org();
      (void)world.submit(org, any_body(world, org));
    }
    const auto snapshot = StateSnapshot::take(world.state());
    RC_ASSERT(snapshot.ok());
    const SnapshotBase base = snapshot_base(world.blocks(), world.state().height());
    const auto begun = StateSnapshot::Restore::begin(base, snapshot->index);
    RC_ASSERT(begun.ok());
    for (int i = 0; i < 20; ++i) {
      Bytes chunk = snapshot->chunks[0];
      const std::size_t at = *rc::gen::inRange<std::size_t>(0, chunk.size());
      const std::size_t size =
          std::min<std::size_t>(*rc::gen::inRange<std::size_t>(1, 200), chunk.size() - at);
      const auto here = chunk.begin() + static_cast<std::ptrdiff_t>(at);
      const auto end = here + static_cast<std::ptrdiff_t>(size);
      switch (*rc::gen::inRange(0, 3)) {
        case 0: *here ^= static_cast<std::uint8_t>(*rc::gen::inRange(1, 256)); break;
        case 1: chunk.erase(here, end); break;
        default: {
          const Bytes piece(here, end);
          chunk.insert(here, piece.begin(), piece.end());
        }
      }
      auto attempt = *begun;
      const Status added = attempt.add(0, chunk);
      RC_ASSERT(!added.ok() && added.error().code == ErrorCode::corrupt);
    }
  });
  EXPECT_TRUE(good);
}

}  // namespace
}  // namespace ufab::test
