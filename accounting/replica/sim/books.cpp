#include "accounting/replica/sim/books.h"

#include <fmt/format.h>

#include "accounting/replica/sim/books_arithmetic.h"

namespace ufab::sim {

void BooksReport::add(const BooksReport& other) {
  orders += other.orders;
  settled += other.settled;
  receipts += other.receipts;
  windows_paid += other.windows_paid;
  false_windows_paid += other.false_windows_paid;
  verdicts_good += other.verdicts_good;
  verdicts_bad += other.verdicts_bad;
  slashes += other.slashes;
  refusals += other.refusals;
  rewards += other.rewards;
}

void Books::find(const std::string& what) {
  if (finding_.empty()) finding_ = fmt::format("block {}: {}", height_, what);
}

Int128 Books::held(AccountKind kind, std::uint64_t number) const {
  const auto found = balances_.find({kind, number});
  return found == balances_.end() ? 0 : found->second;
}

void Books::pay(AccountId from, AccountId to, Int128 amount) {
  if (from.kind == AccountKind::mint) {
    minted_ += amount;
  } else {
    Int128& balance = balances_[from];
    balance -= amount;
    if (balance < 0) find(account_name(from) + " pays more than it has");
  }
  if (to.kind == AccountKind::burn) {
    burned_ += amount;
  } else {
    balances_[to] += amount;
  }
}

void Books::take_sequence(const Record& record) {
  const auto known = keys_.find(record.signer);
  if (known == keys_.end()) return find("a record of a key that nobody has registered");
  if (record.sequence != known->second.second + 1)
    find(fmt::format("a record of organisation {} has sequence {} after {}", known->second.first,
                     record.sequence, known->second.second));
  known->second.second = record.sequence;
  signer_ = known->second.first;
}

void Books::add(const Block& block) {
  height_ = block.header.height;
  signer_ = 0;
  count_duties(block.header);
  std::vector<Record> records;
  records.reserve(block.records.size());
  for (const Bytes& encoding : block.records) {
    auto record = decode_record(encoding);
    if (!record.ok()) return find("a record that does not decode");
    records.push_back(*std::move(record));
  }
  for (std::size_t i = 0; i < records.size() && finding_.empty(); ++i) {
    const Record& record = records[i];
    if (!record_type_derived(record.type())) {
      vote_.reset();
      accused_.reset();
      const bool registers =
          record.type() == RecordType::organisation || record.type() == RecordType::genesis;
      const bool refused = i + 1 < records.size() && records[i + 1].type() == RecordType::refusal;
      if (registers && !refused)
        keys_.emplace(record.signer, std::pair(static_cast<OrgId>(keys_.size() + 1), std::uint64_t{0}));
      take_sequence(record);
      if (refused) {
        ++report_.refusals;
        if (++refused_[signer_] > params_.refusals_per_epoch)
          find(fmt::format("organisation {} was refused more often than an epoch allows", signer_));
        continue;
      }
    }
    std::visit([this](const auto& body) { on(signer_, body); }, record.body);
  }
  if (!to_slash_.empty()) find("a verdict against somebody, and no slash");
  if (!rewards_.empty()) find("rewards, and no epoch that began");
}

void Books::compare(const Accounts& accounts) {
  Int128 sum = 0;
  for (const auto& [account, balance] : balances_) {
    sum += balance;
    if (balance != static_cast<Int128>(accounts.balance(account)))
      return find(fmt::format("{} has {}, the records add up to {}", account_name(account),
                              accounts.balance(account), static_cast<std::int64_t>(balance)));
  }
  for (const auto& [account, balance] : accounts.all()) {
    if (!balances_.contains(account))
      return find(fmt::format("{} has {}, by no record", account_name(account), balance));
  }
  if (minted_ - burned_ != sum) find("minted - burned is not the sum of all balances");
  if (minted_ != static_cast<Int128>(accounts.minted()) || burned_ != static_cast<Int128>(accounts.burned()))
    find("the state has minted or burned what no record says");
}

void Books::on(OrgId org, const Genesis& body) {
  params_ = body.params;
  // The simulator's chains have neither, and the books know neither.
  UFAB_ASSERT(params_.burn_to_earn == 0 && params_.enrolment.bench_epochs == 0);
  pay({AccountKind::mint, 0}, balance_of(org), body.params.supply_initial);
}

void Books::on(OrgId org, const Stake& body) {
  pay(balance_of(org), {AccountKind::stake, org}, body.amount);
}

void Books::on(OrgId org, const Unstake& body) {
  pay({AccountKind::stake, org}, {AccountKind::unbonding, org}, body.amount);
}

void Books::on(OrgId, const Release& body) {
  pay({AccountKind::unbonding, body.organisation}, balance_of(body.organisation), body.amount);
}

void Books::on(OrgId org, const Transfer& body) {
  pay(balance_of(org), balance_of(body.to), body.amount);
}

void Books::on(OrgId, const Burn& body) {
  pay(balance_of(body.organisation), {AccountKind::burn, 0}, body.amount);
}

}  // namespace ufab::sim
