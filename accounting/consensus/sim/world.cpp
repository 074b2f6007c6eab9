#include "accounting/consensus/sim/world.h"

#include "accounting/consensus/sim/hash_scheme.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

World::World(const WorldOptions& options) : seed_(options.seed) {
  Rng rng(options.seed * 3 + 1);
  const std::size_t count = rng.one_in(8) ? rng.between(8, 10) : rng.between(4, 7);
  if (options.real_signatures) {
    scheme_ = std::make_unique<Ed25519Scheme>();
  } else {
    scheme_ = std::make_unique<HashScheme>();
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (options.real_signatures) {
      std::array<std::uint8_t, 32> seed{};
      seed[0] = static_cast<std::uint8_t>(i + 1);
      signers_.push_back(std::make_unique<Ed25519Signer>(KeyPair::from_seed(seed)));
    } else {
      signers_.push_back(std::make_unique<HashSigner>(i));
    }
    keys_.push_back(signers_.back()->public_key());
    members_[keys_.back()] = i;
  }
  dishonest_.resize(count);
  const std::size_t liars = rng.one_in(8) ? 0 : rng.between(1, (count - 1) / 3);
  for (std::size_t i = 0; i < liars; ++i) dishonest_[rng.below(count)] = true;
  live_ = !rng.one_in(6);
  forgetful_ = count;
  if (rng.one_in(2)) {
    const std::size_t member = rng.below(count);
    if (!dishonest_[member]) forgetful_ = member;
    disk_fault_ = static_cast<DiskFault>(rng.between(1, 5));
  }
  chain_id_ = sha256("simulated chain " + std::to_string(options.seed));
  timing.fill_ms = rng.between(500, 3000);
  timing.view_ms = timing.fill_ms * 2 + 1000;
  timing.doublings_max = 4;
  timing.standstill_ms = timing.view_ms * 2;
  // Tight in some runs, so that the bounds are met.
  limits.window = rng.one_in(3) ? 128 : 512;
  limits.ahead = rng.between(4, 16);
  limits.kept = rng.between(2, 16);
  limits.open = rng.between(4, 32);
  limits.payload_size = 64;
  limits.held_size = limits.payload_size * (rng.one_in(3) ? 6 : 128);
  limits.rebroadcast = static_cast<std::uint32_t>(rng.between(4, 32));
  limits.answers = rng.between(2, 16);
  limits.peers = 4;
}

// Unequal weights and stakes; some members sit an epoch out. The faulty have less than a third of both (in
// runs that need not be live: at most a third), and as much of it as one more unit of the honest allows.
std::vector<Validator> World::draw_validators(std::uint64_t number) const {
  Rng rng(seed_ * 7919 + number);
  std::vector<Validator> validators;
  std::uint64_t faulty_weight = 0, faulty_stake = 0, weight = 0, stake = 0;
  std::vector<std::size_t> sound;
  const std::size_t absent = size() > 4 && rng.one_in(2) ? rng.below(size()) : size();
  for (std::size_t i = 0; i < size(); ++i) {
    if (i == absent) continue;
    const Validator validator{key(i), rng.between(1, 9), rng.between(1, 9)};
    weight += validator.weight;
    stake += validator.stake;
    if (dishonest_[i] || lies(i) || (live_ && i == forgetful_)) {
      faulty_weight += validator.weight;
      faulty_stake += validator.stake;
    } else {
      sound.push_back(validators.size());
    }
    validators.push_back(validator);
  }
  // Seats change from epoch to epoch.
  const std::uint64_t spare = live_ ? 1 : 0;
  for (; faulty_weight * 3 + spare > weight; ++weight) ++validators[sound[rng.below(sound.size())]].weight;
  for (; faulty_stake * 3 + spare > stake; ++stake) ++validators[sound[rng.below(sound.size())]].stake;
  for (std::size_t i = validators.size(); i > 1; --i) std::swap(validators[i - 1], validators[rng.below(i)]);
  return validators;
}

EpochPtr World::epoch(std::uint64_t number, const BlockRef& anchor) {
  EpochPtr& known = epochs_[{number, anchor.digest}];
  if (known) return known;
  auto set = ValidatorSet::make(draw_validators(number));
  UFAB_ASSERT(set.ok());
  const std::uint64_t length = Rng(seed_ * 31 + number).between(3, 40);
  LeaderSchedule leader = weighted_leaders(sha256(anchor.digest.view(), as_bytes("leaders")), *set);
  known = std::make_shared<const Epoch>(Epoch{chain_id_,
                                              number,
                                              std::move(*set),
                                              std::move(leader),
                                              {0, anchor.height, anchor.digest},
                                              anchor.height + length});
  return known;
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
