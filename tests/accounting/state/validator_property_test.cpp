// Random lives of validators: money is conserved, replicas agree, the seats keep their promises.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <set>

#include "tests/accounting/support/committee.h"

namespace ufab::test {
namespace {

ChainParams any_params() {
  ChainParams params = World::small_params();
  params.epoch_blocks = *rc::gen::element<std::uint64_t>(1, 2, 5, 9);
  params.validators_min = *rc::gen::inRange<std::uint64_t>(1, 4);
  params.seats_max = *rc::gen::inRange<std::uint64_t>(4, 7);
  params.seat_ratio_min_ppm = *rc::gen::element<std::uint64_t>(0, 10'000, 200'000);
  params.kickout_median_ppm = *rc::gen::element<std::uint64_t>(0, 500'000, 1'000'000);
  params.weight_cap_ppm = *rc::gen::element<std::uint64_t>(0, 200'000, 333'333, 1'000'000);
  params.slash_equivocation_ppm = *rc::gen::element<std::uint64_t>(0, 333'333, 1'000'000);
  params.evidence_reward_ppm = *rc::gen::element<std::uint64_t>(0, 50'000, 1'000'000);
  params.evidence_epochs = *rc::gen::inRange<std::uint64_t>(1, 4);
  params.unbonding_epochs = params.evidence_epochs + *rc::gen::inRange<std::uint64_t>(1, 3);
  params.stake_min = 50 * unc;
  return params;
}

// One of the keys that were ever used, as evidence about an epoch that may be remembered.
EvidenceRecord any_evidence(const World& world, std::uint8_t keys) {
  const std::uint8_t number = static_cast<std::uint8_t>(150 + *rc::gen::inRange<int>(0, keys + 1));
  const std::uint64_t back = *rc::gen::inRange<std::uint64_t>(0, 3);
  const std::uint64_t epoch = world.state().epoch();
  return double_vote(world, key_of(number), epoch - std::min(epoch, back));
}

RecordBody any_body(World& world, OrgId org, std::uint8_t& keys) {
  const auto amount = [] { return *rc::gen::inRange<MicroUnc>(1, 250 * unc); };
  switch (*rc::gen::inRange(0, 12)) {
    case 0:
    case 1:
    case 2:
    case 3: return world.stand_of(org, static_cast<std::uint8_t>(150 + keys++));
    case 4: return ValidatorLeave{};
    case 5:
    case 6: return Stake{amount()};
    case 7: return Unstake{amount()};
    case 8: return any_evidence(world, keys);
    case 9: return Transfer{*rc::gen::inRange<OrgId>(1, 6), amount(), ""};
    default:
      if (const Seat* seat = world.state().seat_of(org)) {
        if (const auto share = seed_share_due(world.state(), world.validator(seat->key))) return *share;
      }
      return Stake{1};
  }
}

void check_seats(const World& world, std::size_t convictions) {
  const State& state = world.state();
  const std::vector<Seat>& seats = state.seats();
  const ChainParams& params = state.params();
  if (seats.empty()) return;
  RC_ASSERT(seats.size() <= params.seats_max);
  // A committee that was formed has the least number; one that stays may have lost convicted seats.
  RC_ASSERT(seats.size() + convictions >= params.validators_min);
  const std::uint64_t cap =
      std::max<std::uint64_t>(params.weight_cap_ppm, (ppm_one + seats.size() - 1) / seats.size());
  std::uint64_t sum = 0;
  std::set<PublicKey> keys;
  std::set<OrgId> organisations;
  for (const Seat& seat : seats) {
    sum += seat.weight_ppm;
    RC_ASSERT(seat.weight_ppm <= cap);
    RC_ASSERT(seat.pledge >= params.stake_min);
    keys.insert(seat.key);
    organisations.insert(seat.organisation);
    RC_ASSERT(state.role_of_any_key(seat.key) == KeyRole::validator);
    RC_ASSERT(state.organisation_of_any_key(seat.key) == seat.organisation);
  }
  RC_ASSERT(sum == ppm_one);
  RC_ASSERT(keys.size() == seats.size() && organisations.size() == seats.size());
  RC_ASSERT(state.committees().size() <= params.evidence_epochs + 1);
}

TEST(ValidatorProperty, RandomLivesKeepMoneySeatsAndReplicas) {
  const bool good = rc::check("validators", [] {
    World world(any_params());
    world.add_organisations();
    for (OrgId org = alpha; org <= delta; ++org) world.must(org, Stake{unc * org});
    std::uint8_t keys = 0;
    bool had_seats = false;
    std::map<PublicKey, std::uint64_t> convicted;  // when
    const int count = *rc::gen::inRange(15, 50);
    for (int i = 0; i < count && keys < 50; ++i) {
      const OrgId org = *rc::gen::inRange<OrgId>(1, 6);
      if (*rc::gen::inRange(0, 6) == 0) world.skip_views(*rc::gen::inRange<std::uint64_t>(0, 5));
      const RecordOutcome outcome = world.submit(org, any_body(world, org, keys));
      for (const Record& record : outcome.derived) {
        if (const auto* body = std::get_if<Conviction>(&record.body))
          convicted.emplace(body->key, world.state().epoch());
      }
      if (*rc::gen::inRange(0, 4) == 0) world.next_epoch();
      RC_ASSERT(world.state().accounts().recount());
      RC_ASSERT(world.state().accounts().minted() <= world.state().params().supply_max);
      check_seats(world, convicted.size());
      // Seats come to an end by conviction only, and then at the next epoch.
      had_seats = had_seats || !world.state().seats().empty();
      RC_ASSERT(!had_seats || !world.state().seats().empty() || !convicted.empty());
      for (const Seat& seat : world.state().seats()) {
        const auto found = convicted.find(seat.key);
        RC_ASSERT(found == convicted.end() || found->second == world.state().epoch());
      }
    }
    RC_ASSERT(convicted.size() == world.all<Conviction>().size());
    const Chain replica = world.replica();
    RC_ASSERT(replica.head().state_root == decode_block(world.blocks().back())->header.state_root);
    RC_ASSERT(replica.state().seats() == world.state().seats());
    RC_ASSERT(replica.state().accounts().all() == world.state().accounts().all());
    RC_TAG(world.state().seats().empty() ? "alone" : world.all<Conviction>().empty() ? "seats" : "convicted");
  });
  EXPECT_TRUE(good);
}

}  // namespace
}  // namespace ufab::test
