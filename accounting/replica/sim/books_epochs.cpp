// The books' side of validators and epochs: convictions, emission, rewards, power and seats.
#include <fmt/format.h>

#include <algorithm>

#include "accounting/replica/sim/books_arithmetic.h"

namespace ufab::sim {

namespace {

// Largest remainder: what floors leave over goes to the largest remainders, the earlier first.
std::vector<std::uint64_t> divide(std::uint64_t total, const std::vector<std::uint64_t>& merits) {
  Uint128 sum = 0;
  for (const std::uint64_t merit : merits) sum += merit;
  std::vector<std::uint64_t> parts(merits.size());
  if (sum == 0) return parts;
  std::vector<std::pair<Uint128, std::size_t>> rests;
  std::uint64_t given = 0;
  for (std::size_t i = 0; i < merits.size(); ++i) {
    const Uint128 product = static_cast<Uint128>(total) * merits[i];
    parts[i] = static_cast<std::uint64_t>(product / sum);
    given += parts[i];
    rests.emplace_back(product % sum, i);
  }
  std::stable_sort(rests.begin(), rests.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (std::size_t i = 0; given < total; ++i, ++given) ++parts[rests[i].second];
  return parts;
}

}  // namespace

void Books::on(OrgId, const EvidenceRecord& body) {
  accused_ = body.key;
}

void Books::on(OrgId org, const Conviction& body) {
  if (accused_ != body.key || body.reporter != org) find("a conviction without evidence");
  if (!convicted_.insert(body.key).second)
    find(fmt::format("organisation {} was convicted twice for one key", body.organisation));
  const AccountId stake{AccountKind::stake, body.organisation},
      leaving{AccountKind::unbonding, body.organisation};
  const Int128 all = held(stake.kind, stake.number) + held(leaving.kind, leaving.number);
  const Int128 taken = static_cast<Int128>(body.from_stake) + body.from_unbonding;
  if (taken != part(all, params_.slash_equivocation_ppm))
    find("a conviction takes another part than genesis says");
  const std::uint64_t reward = org == body.organisation ? 0 : part(taken, params_.evidence_reward_ppm);
  if (body.reward != reward || static_cast<Int128>(body.reward) + body.burned != taken)
    find("a conviction gives another reward than genesis says");
  balances_[stake] -= body.from_stake;
  balances_[leaving] -= body.from_unbonding;
  balances_[balance_of(org)] += body.reward;
  burned_ += body.burned;
}

void Books::on(OrgId, const Reward& body) {
  rewards_.push_back(body);
}

void Books::check_rewards(std::uint64_t ended, const Epoch& body) {
  std::uint64_t due = 0;
  if (!rewards_.empty()) {
    const std::uint64_t halvings = ended / params_.halving_epochs;
    due = halvings < 64 ? params_.emission_per_epoch >> halvings : 0;
    const Int128 left = static_cast<Int128>(params_.supply_max) - minted_;
    if (left < static_cast<Int128>(due)) due = left < 0 ? 0 : static_cast<std::uint64_t>(left);
  }
  const std::uint64_t treasury = part(due, params_.treasury_ppm);
  if (body.emission != due || body.treasury != treasury)
    return find(fmt::format("epoch {} mints {}, the schedule says {}", ended, body.emission, due));
  std::vector<std::uint64_t> merits;
  for (const Reward& reward : rewards_) merits.push_back(reward.merit);
  const std::vector<std::uint64_t> parts = divide(due - treasury, merits);
  for (std::size_t i = 0; i < rewards_.size(); ++i) {
    const Reward& reward = rewards_[i];
    const Org& org = orgs_[reward.organisation];
    const std::string name =
        fmt::format("reward of organisation {} for epoch {}", reward.organisation, ended);
    if (reward.verified_mflop != org.verified_mflop) find(name + ": for other work than was verified");
    const std::uint64_t windows = org.good + org.bad;
    const std::uint64_t quality = windows == 0 ? million : org.good * million / windows;
    if (reward.quality_ppm != quality || reward.uptime_ppm > million)
      find(name + ": another quality than its receipts have");
    if (reward.merit != part(part(reward.verified_mflop, reward.uptime_ppm), reward.quality_ppm))
      find(name + ": its merit is another product");
    if (held(AccountKind::stake, reward.organisation) < static_cast<Int128>(params_.stake_min))
      find(name + ": without a pledge");
    if (reward.amount != parts[i]) find(name + fmt::format(": {}, its part is {}", reward.amount, parts[i]));
    pay({AccountKind::mint, 0}, balance_of(reward.organisation), reward.amount);
  }
  pay({AccountKind::mint, 0}, {AccountKind::treasury, 0}, body.treasury);
  report_.rewards += rewards_.size();
  rewards_.clear();
}

// What is earned in epoch e counts in the power_expiry_epochs after it, and grows as genesis says.
void Books::end_power_epoch(std::uint64_t ended) {
  for (auto& [id, org] : orgs_) {
    std::uint64_t now = 0;
    for (const auto& [epoch, amount] : org.power) now += amount;
    const std::uint64_t most =
        std::max(part(now, params_.power_growth_ppm), params_.power_growth_floor_mflop);
    org.power.emplace_back(ended, std::min(org.verified_mflop, most));
    std::erase_if(org.power,
                  [&](const auto& lot) { return lot.first + params_.power_expiry_epochs <= ended; });
    org.verified_mflop = org.good = org.bad = 0;
  }
}

void Books::on(OrgId, const Epoch& body) {
  check_rewards(body.epoch - 1, body);
  end_power_epoch(body.epoch - 1);
  refused_.clear();
  if (body.seats_stay) return;  // with the power that they had
  std::uint64_t weights = 0;
  for (const Seat& seat : body.seats) {
    std::uint64_t power = 0;
    for (const auto& [epoch, amount] : orgs_[seat.organisation].power) power += amount;
    if (seat.power_mflop != power)
      find(fmt::format("organisation {} has the power of {} MFLOP, what it earned lately is {}",
                       seat.organisation, seat.power_mflop, power));
    if (static_cast<Int128>(seat.pledge) != held(AccountKind::stake, seat.organisation))
      find(fmt::format("organisation {} has another pledge than its stake", seat.organisation));
    weights += seat.weight_ppm;
  }
  if (!body.seats.empty() && weights != million) find("the weights of the seats do not add up");
}

}  // namespace ufab::sim
