// The books' side of validators and epochs: convictions, emission, rewards, power and seats.
#include <fmt/format.h>

#include <algorithm>

#include "accounting/hpos/sample.h"
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

// good / (good + bad) in ppm; all of it when nothing happened.
std::uint64_t ratio(std::uint64_t good, std::uint64_t bad) {
  return good + bad == 0 ? million : good * million / (good + bad);
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

void Books::on(OrgId org, const SeedShareRecord&) {
  shared_.insert(org);
}

void Books::on(OrgId, const Reward& body) {
  rewards_.push_back(body);
}

// Drawn by weight: the seed's draw for that view, scaled to the sum of all weights.
OrgId Books::leader(std::uint64_t view) const {
  Uint128 sum = 0;
  for (const Seat& seat : seats_) sum += seat.weight_ppm;
  Uint128 target = hpos::draw(seed_, view) * sum >> 64;
  for (const Seat& seat : seats_) {
    if (target < seat.weight_ppm) return seat.organisation;
    target -= seat.weight_ppm;
  }
  return 0;
}

// Who made the block, whose slots went by before it, and who still owes a vote that was due.
void Books::count_duties(const BlockHeader& header) {
  ++orgs_[header.producer].produced;
  for (std::uint64_t view = view_ + 1; view < header.view; ++view) ++orgs_[leader(view)].slots_missed;
  view_ = header.view;
  for (const auto& [id, job] : jobs_) {
    if (job.settled) continue;
    std::set<OrgId> late;
    for (const auto& [number, window] : job.windows) {
      if (window.drawn && !window.good && window.verifier != 0 && window.deadline == height_)
        late.insert(window.verifier);
    }
    for (const OrgId org : late) ++orgs_[org].votes_missed;
  }
}

// Everybody who is to be rewarded for the epoch that ended, and nobody else; with what merit is made of, and
// without the amount.
std::vector<Reward> Books::earners(std::uint64_t ended) const {
  std::vector<Reward> list;
  for (const auto& [id, org] : orgs_) {
    if (held(AccountKind::stake, id) < static_cast<Int128>(params_.stake_min)) continue;
    const bool owes_share = std::any_of(seats_.begin(), seats_.end(), [this, id = id](const Seat& seat) {
      return seat.organisation == id && seat.draws && !shared_.contains(id);
    });
    Reward reward;
    reward.epoch = ended;
    reward.organisation = id;
    reward.verified_mflop = org.verified_mflop;
    reward.uptime_ppm = std::min(ratio(org.votes, org.votes_missed),
                                 ratio(org.produced, org.slots_missed + (owes_share ? 1U : 0U)));
    reward.quality_ppm = ratio(org.good, org.bad);
    reward.merit = part(part(reward.verified_mflop, reward.uptime_ppm), reward.quality_ppm);
    if (reward.merit != 0) list.push_back(reward);
  }
  return list;
}

void Books::check_rewards(std::uint64_t ended, const Epoch& body) {
  const std::vector<Reward> expected = earners(ended);
  const auto reward_of = [this](OrgId id) {
    return std::find_if(rewards_.begin(), rewards_.end(),
                        [id](const Reward& reward) { return reward.organisation == id; });
  };
  for (const Reward& wanted : expected) {
    if (reward_of(wanted.organisation) == rewards_.end())
      return find(fmt::format("organisation {} earned {} MFLOP in epoch {} and is left out of its rewards",
                              wanted.organisation, wanted.verified_mflop, ended));
  }
  if (rewards_.size() != expected.size())
    return find(fmt::format("epoch {} has {} rewards, {} organisations earned one", ended, rewards_.size(),
                            expected.size()));
  std::uint64_t due = 0;
  if (!expected.empty()) {
    const std::uint64_t halvings = ended / params_.halving_epochs;
    due = halvings < 64 ? params_.emission_per_epoch >> halvings : 0;
    const Int128 left = static_cast<Int128>(params_.supply_max) - minted_;
    if (left < static_cast<Int128>(due)) due = left < 0 ? 0 : static_cast<std::uint64_t>(left);
  }
  const std::uint64_t treasury = part(due, params_.treasury_ppm);
  if (body.emission != due || body.treasury != treasury)
    return find(fmt::format("epoch {} mints {}, the schedule says {}", ended, body.emission, due));
  std::vector<std::uint64_t> merits;
  for (const Reward& wanted : expected) merits.push_back(wanted.merit);
  const std::vector<std::uint64_t> parts = divide(due - treasury, merits);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Reward& got = *reward_of(expected[i].organisation);
    check_reward(got, expected[i], parts[i]);
    pay({AccountKind::mint, 0}, balance_of(got.organisation), got.amount);
  }
  pay({AccountKind::mint, 0}, {AccountKind::treasury, 0}, body.treasury);
  report_.rewards += rewards_.size();
  rewards_.clear();
}

void Books::check_reward(const Reward& got, const Reward& wanted, std::uint64_t amount) {
  const std::string name = fmt::format("reward of organisation {} for epoch {}", got.organisation, got.epoch);
  if (got.epoch != wanted.epoch) find(name + ": for another epoch than the one that ended");
  if (got.verified_mflop != wanted.verified_mflop) find(name + ": for other work than was verified");
  if (got.uptime_ppm != wanted.uptime_ppm)
    find(name +
         fmt::format(": an uptime of {} ppm, by its blocks and votes {}", got.uptime_ppm, wanted.uptime_ppm));
  if (got.quality_ppm != wanted.quality_ppm) find(name + ": another quality than its receipts have");
  if (got.merit != wanted.merit) find(name + ": its merit is another product");
  if (got.amount != amount) find(name + fmt::format(": {}, its part is {}", got.amount, amount));
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
    org.produced = org.slots_missed = org.votes = org.votes_missed = 0;
  }
}

void Books::on(OrgId, const Epoch& body) {
  check_rewards(body.epoch - 1, body);
  end_power_epoch(body.epoch - 1);
  refused_.clear();
  shared_.clear();
  seats_ = body.seats;
  seed_ = body.seed;
  view_ = 0;
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
