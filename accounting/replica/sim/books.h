// An auditor's own books of a simulated chain, kept from the records of its blocks alone and with arithmetic
// of their own: nothing here calls the ledger's rules, so that a wrong rule does not excuse itself. What the
// simulated jobs should have computed is known (workload.h), so false results are found however they were
// voted on. Checked, and named at the first difference:
// - receipts: accepted once for each window and member, with the work of the member's share and no more;
// - settlements: each job one, and it pays for each window that every member filed and countersigned and that
//   no verdict took back, once, at the lease's price, rounded down once a lease; fee and refund are the rest;
// - verdicts: by who was drawn, who took no part; a good one only over true results; a bad one followed by
//   one slash of each guilty;
// - convictions: one for each key, of as much as genesis says;
// - epochs: minted what the schedule says, if there was verified work; divided among all who earned and
//   nobody else by the largest remainder of merit, which is made of the work of this epoch's verified
//   settlements, of the quality of its receipts, and of blocks, votes and seed shares done and missed; seats
//   have the power of what they earned and has not expired;
// - sequence numbers without gap or repetition, and no more refusals than an epoch allows;
// - every account of the state has the balance that the records add up to, and what was minted less what was
//   burned is the sum of all.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "accounting/chain/block.h"
#include "accounting/state/accounts.h"

namespace ufab::sim {

__extension__ using Int128 = __int128;

struct BooksReport {
  std::uint64_t orders = 0, settled = 0, receipts = 0, windows_paid = 0, false_windows_paid = 0;
  std::uint64_t verdicts_good = 0, verdicts_bad = 0, slashes = 0, refusals = 0, rewards = 0;

  void add(const BooksReport& other);
};

class Books {
 public:
  // The next block. The first finding stays.
  void add(const Block& block);
  void compare(const Accounts& accounts);
  [[nodiscard]] const std::string& finding() const { return finding_; }
  [[nodiscard]] const BooksReport& report() const { return report_; }
  // Jobs that were ordered and have not settled.
  [[nodiscard]] std::uint64_t open() const { return report_.orders - report_.settled; }

 private:
  struct Filed {
    Receipt receipt;
    Digest digest;
    std::set<std::size_t> agreed;  // members
  };
  struct Window {
    std::size_t attempt = 0;             // index
    std::map<std::size_t, Filed> filed;  // by member
    // Drawn for re-execution, by whom (0: nobody could) and until when.
    bool drawn = false, good = false;
    OrgId verifier = 0;
    std::uint64_t deadline = 0;
  };
  struct Attempt {
    JobAttempt body;
    std::map<std::size_t, Lease> leases;  // by member
  };
  struct Job {
    OrgId owner = 0;
    JobOrder order;
    std::vector<Attempt> attempts;
    std::map<std::uint64_t, Window> windows;
    std::optional<std::pair<OrgId, UsageReceipt>> usage;
    bool settled = false;
  };
  struct Org {
    // In the present epoch; good and bad are windows.
    std::uint64_t verified_mflop = 0, good = 0, bad = 0;
    std::uint64_t produced = 0, slots_missed = 0, votes = 0, votes_missed = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> power;  // by epoch
  };

  void find(const std::string& what);
  void pay(AccountId from, AccountId to, Int128 amount);
  [[nodiscard]] Int128 held(AccountKind kind, std::uint64_t number) const;
  void take_sequence(const Record& record);
  [[nodiscard]] static std::optional<std::size_t> member_of(const Attempt& attempt, OrgId org);
  [[nodiscard]] static bool complete(const Job& job, const Window& window);
  [[nodiscard]] static std::uint64_t line(const Job& job);
  [[nodiscard]] static std::uint64_t steps_of(const Job& job, std::uint64_t window);
  [[nodiscard]] bool is_true(JobId id, const Job& job, std::uint64_t window) const;
  [[nodiscard]] Job* open_job(JobId id, const char* what);
  void file(OrgId org, const Receipt& receipt, std::set<JobId>& disputed);

  // Of accepted records, by whom; and of derived ones.
  void on(OrgId org, const Genesis& body);
  void on(OrgId org, const Stake& body);
  void on(OrgId org, const Unstake& body);
  void on(OrgId org, const Transfer& body);
  void on(OrgId org, const JobOrder& body);
  void on(OrgId org, const JobAttempt& body);
  void on(OrgId org, const Lease& body);
  void on(OrgId org, const LeaseReturn& body);
  void on(OrgId org, const ReceiptBatch& body);
  void on(OrgId org, const Countersignature& body);
  void on(OrgId org, const UsageReceipt& body);
  void on(OrgId org, const Vote& body);
  void on(OrgId org, const Cancel& body);
  void on(OrgId org, const EvidenceRecord& body);
  void on(OrgId org, const SeedShareRecord& body);
  void on(OrgId org, const Validation& body);
  void on(OrgId org, const Verdict& body);
  void on(OrgId org, const Slash& body);
  void on(OrgId org, const Conviction& body);
  void on(OrgId org, const Burn& body);
  void on(OrgId org, const Settlement& body);
  void on(OrgId org, const Reward& body);
  void on(OrgId org, const Epoch& body);
  void on(OrgId org, const Release& body);
  template <class Other>
  void on(OrgId, const Other&) {}

  [[nodiscard]] OrgId leader(std::uint64_t view) const;
  void count_duties(const BlockHeader& header);
  [[nodiscard]] std::vector<Reward> earners(std::uint64_t ended) const;
  void check_rewards(std::uint64_t ended, const Epoch& body);
  void check_reward(const Reward& got, const Reward& wanted, std::uint64_t amount);
  void end_power_epoch(std::uint64_t ended);

  ChainParams params_;
  std::map<AccountId, Int128> balances_;
  Int128 minted_ = 0, burned_ = 0;
  std::map<PublicKey, std::pair<OrgId, std::uint64_t>> keys_;  // whose it is, and its last sequence number
  std::map<OrgId, Org> orgs_;
  std::map<JobId, Job> jobs_;
  std::set<std::pair<OrgId, std::string>> order_keys_;
  std::optional<Vote> vote_;  // of the record at hand
  OrgId signer_ = 0;          // of the last signed record of the block
  std::set<std::pair<JobId, OrgId>> to_slash_;
  std::set<PublicKey> convicted_;
  std::optional<PublicKey> accused_;        // by the last signed record
  std::vector<Reward> rewards_;             // since the last epoch record
  std::map<OrgId, std::uint64_t> refused_;  // in the present epoch
  std::set<OrgId> shared_;                  // have filed their share of the next seed
  std::vector<Seat> seats_;                 // in office
  Digest seed_;                             // of the present epoch
  std::uint64_t view_ = 0;                  // of the last block; 0: it began the epoch
  std::uint64_t height_ = 0;
  std::string finding_;
  BooksReport report_;
};

}  // namespace ufab::sim
