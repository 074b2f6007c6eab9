#include "accounting/consensus/validators.h"

#include "accounting/amount.h"
#include "accounting/hpos/sample.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

namespace {

bool over_two_thirds(std::uint64_t part, std::uint64_t total) {
  return static_cast<Uint128>(part) * 3 > static_cast<Uint128>(total) * 2;
}

}  // namespace

Result<ValidatorSet> ValidatorSet::make(std::vector<Validator> validators) {
  if (validators.empty() || validators.size() > validators_max) {
    return Error{ErrorCode::invalid, "an epoch has 1 to " + std::to_string(validators_max) +
                                         " validators, not " + std::to_string(validators.size())};
  }
  ValidatorSet set;
  for (const Validator& validator : validators) {
    if (!set.seats_.emplace(validator.key, static_cast<Seat>(set.seats_.size())).second)
      return Error{ErrorCode::invalid, "validator " + validator.key.hex() + " is in the list twice"};
    const auto weight = checked_add(set.weight_total_, validator.weight);
    const auto stake = checked_add(set.stake_total_, validator.stake);
    if (!weight || !stake) return Error{ErrorCode::invalid, "the validators' total does not fit in 64 bits"};
    set.weight_total_ = *weight;
    set.stake_total_ = *stake;
  }
  if (set.weight_total_ == 0 || set.stake_total_ == 0)
    return Error{ErrorCode::invalid, "the validators' weights or stakes add up to zero"};
  set.validators_ = std::move(validators);
  return set;
}

const Validator& ValidatorSet::operator[](Seat seat) const {
  UFAB_ASSERT(seat < validators_.size());
  return validators_[seat];
}

std::optional<Seat> ValidatorSet::find(const PublicKey& key) const {
  const auto found = seats_.find(key);
  if (found == seats_.end()) return std::nullopt;
  return found->second;
}

void Tally::add(Seat seat) {
  // The totals fit in 64 bits, so parts of them do.
  weight_ += set_[seat].weight;
  stake_ += set_[seat].stake;
  ++count_;
}

bool Tally::is_quorum() const {
  if (planted(Flaw::unweighted_quorum)) return over_two_thirds(count_, set_.size());
  if (planted(Flaw::quorum_off_by_one)) {
    return over_two_thirds(weight_ + 1, set_.weight_total()) &&
           over_two_thirds(stake_ + 1, set_.stake_total());
  }
  if (planted(Flaw::ignored_stake)) return over_two_thirds(weight_, set_.weight_total());
  return over_two_thirds(weight_, set_.weight_total()) && over_two_thirds(stake_, set_.stake_total());
}

LeaderSchedule weighted_leaders(const Digest& seed, const ValidatorSet& set) {
  std::vector<std::uint64_t> weights;
  for (const Validator& validator : set.all()) weights.push_back(validator.weight);
  return [seed, weights = std::move(weights)](View view) {
    return static_cast<Seat>(hpos::weighted_pick(seed, view, weights));
  };
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
