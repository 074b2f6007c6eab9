#include "accounting/state/accounts.h"

#include <fmt/format.h>

namespace ufab {

const char* account_kind_name(AccountKind kind) {
  switch (kind) {
    case AccountKind::mint: return "mint";
    case AccountKind::burn: return "burn";
    case AccountKind::treasury: return "treasury";
    case AccountKind::balance: return "balance";
    case AccountKind::stake: return "stake";
    case AccountKind::unbonding: return "unbonding";
    case AccountKind::escrow: return "escrow";
  }
  return "?";
}

std::string account_name(AccountId account) {
  if (account.kind <= AccountKind::treasury) return account_kind_name(account.kind);
  return fmt::format("{}:{}", account_kind_name(account.kind), account.number);
}

MicroUnc Accounts::balance(AccountId account) const {
  const auto found = balances_.find(account);
  return found == balances_.end() ? 0 : found->second;
}

void Accounts::move(AccountId debit, AccountId credit, MicroUnc amount, std::vector<Movement>& log) {
  if (amount == 0) return;
  if (debit.kind == AccountKind::mint) {
    const auto minted = checked_add(minted_, amount);
    UFAB_ASSERT(minted.has_value());
    minted_ = *minted;
  } else {
    const auto found = balances_.find(debit);
    UFAB_ASSERT(found != balances_.end() && found->second >= amount);
    found->second -= amount;
    total_ -= amount;
    if (found->second == 0) balances_.erase(found);
  }
  if (credit.kind == AccountKind::burn) {
    burned_ += amount;
    UFAB_ASSERT(burned_ <= minted_);
  } else {
    UFAB_ASSERT(credit.kind != AccountKind::mint);
    MicroUnc& balance = balances_[credit];
    const auto sum = checked_add(balance, amount);
    UFAB_ASSERT(sum.has_value());
    balance = *sum;
    total_ += amount;
  }
  log.push_back({debit, credit, amount});
}

void Accounts::check_invariant() const {
  UFAB_ASSERT(minted_ >= burned_ && minted_ - burned_ == total_);
}

std::optional<Accounts> Accounts::restore(std::map<AccountId, MicroUnc> balances, MicroUnc minted,
                                          MicroUnc burned) {
  Accounts accounts;
  accounts.balances_ = std::move(balances);
  accounts.minted_ = minted;
  accounts.burned_ = burned;
  if (minted < burned) return std::nullopt;
  accounts.total_ = minted - burned;
  if (!accounts.recount()) return std::nullopt;
  return accounts;
}

bool Accounts::recount() const {
  Uint128 sum = 0;
  for (const auto& [account, balance] : balances_) {
    if (balance == 0 || account.kind <= AccountKind::burn) return false;
    sum += balance;
  }
  return sum == total_ && minted_ >= burned_ && sum == minted_ - burned_;
}

}  // namespace ufab
