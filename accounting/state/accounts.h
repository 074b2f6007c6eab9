// Double-entry book-keeping: every movement debits one account and credits another. The two outside accounts,
// mint and burn, have no balance; what went through them is counted. Invariant, asserted by
// check_invariant() after every record: minted − burned = Σ balances.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <vector>

#include "accounting/records/types.h"

namespace ufab {

enum class AccountKind : std::uint8_t {
  mint = 0,
  burn = 1,
  treasury = 2,
  balance = 3,    // number: organisation
  stake = 4,      // number: organisation
  unbonding = 5,  // number: organisation
  escrow = 6,     // number: job
};
[[nodiscard]] const char* account_kind_name(AccountKind kind);

struct AccountId {
  AccountKind kind = AccountKind::treasury;
  std::uint64_t number = 0;
  friend auto operator<=>(const AccountId&, const AccountId&) = default;
};
[[nodiscard]] std::string account_name(AccountId account);  // "escrow:7"

struct Movement {
  AccountId debit;   // the money leaves this account
  AccountId credit;  // and enters this one
  MicroUnc amount = 0;
};

class Accounts {
 public:
  [[nodiscard]] MicroUnc balance(AccountId account) const;
  [[nodiscard]] MicroUnc minted() const { return minted_; }
  [[nodiscard]] MicroUnc burned() const { return burned_; }
  [[nodiscard]] MicroUnc total() const { return total_; }
  [[nodiscard]] const std::map<AccountId, MicroUnc>& all() const { return balances_; }

  // Precondition (asserted): the debit account covers the amount. A zero amount is no movement.
  void move(AccountId debit, AccountId credit, MicroUnc amount, std::vector<Movement>& log);
  void check_invariant() const;
  // With these balances; empty if the invariant would not hold.
  [[nodiscard]] static std::optional<Accounts> restore(std::map<AccountId, MicroUnc> balances,
                                                       MicroUnc minted, MicroUnc burned);
  // The invariant from scratch: sums every balance. False when it does not hold.
  [[nodiscard]] bool recount() const;

 private:
  std::map<AccountId, MicroUnc> balances_;  // an account of zero has no entry
  MicroUnc minted_ = 0;
  MicroUnc burned_ = 0;
  MicroUnc total_ = 0;
};

}  // namespace ufab
