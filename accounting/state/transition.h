// The rules: how one record, or the start of a block, changes the state. Private to accounting/state; use
// State. One handler per record type, each in two parts: everything that can be wrong is checked first (and
// returns an Error), then the change is made and cannot fail. So an error leaves no trace.
//
//   rules_organisation.cpp  organisations, keys, providers, stake, transfers
//   rules_agent.cpp         the agent's key and its allowance
//   rules_validator.cpp     who stands for a seat, the seats of an epoch, missed slots
//   rules_seed.cpp          the validators' shares of an epoch's seed
//   rules_evidence.cpp      validators that contradicted themselves
//   rules_job.cpp           orders, attempts, leases, cancels, batch usage, settlement
//   rules_occupation.cpp    leases given back, and the time for which leases were held
//   rules_receipt.cpp       receipts and countersignatures
//   rules_usage.cpp         usage imports and corrections
//   rules_validation.cpp    sampling, verifiers, votes, verdicts, slashing
//   rules_enrolment.cpp     benchmarks, faults, the ladder
//   rules_links.cpp         measured links between providers
//   rules_epoch.cpp         deadlines, epochs: score, power, seats, rewards
#pragma once

#include "accounting/state/state.h"

namespace ufab {

class Transition {
 public:
  explicit Transition(State& state) : s_(state) {}

  [[nodiscard]] Result<Applied> genesis(const Record& record, const BlockContext& context);
  [[nodiscard]] Applied begin_block(const BlockContext& context);
  [[nodiscard]] static Status admissible(const State& state, const Record& record);
  [[nodiscard]] Result<Applied> apply(const Record& record);
  [[nodiscard]] Applied refuse(const Record& record, const RecordId& id, const Error& why);

 private:
  using Slot = State::Slot;

  // Handlers. `org` is the signer's organisation.
  Status on(const Genesis& body, OrgId org);
  Status on(const Organisation& body, OrgId org);
  Status on(const KeyChange& body, OrgId org);
  Status on(const ProviderEnrol& body, OrgId org);
  Status on(const ProviderUpdate& body, OrgId org);
  Status on(const ProviderActionRecord& body, OrgId org);
  Status on(const Stake& body, OrgId org);
  Status on(const Unstake& body, OrgId org);
  Status on(const Transfer& body, OrgId org);
  Status on(const AgentEnrol& body, OrgId org);
  Status on(const AgentAllowance& body, OrgId org);
  Status on(const AgentRevoke& body, OrgId org);
  Status on(const ValidatorStand& body, OrgId org);
  Status on(const ValidatorLeave& body, OrgId org);
  Status on(const EvidenceRecord& body, OrgId org);
  Status on(const SeedShareRecord& body, OrgId org);
  Status on(const JobOrder& body, OrgId org);
  Status on(const JobAttempt& body, OrgId org);
  Status on(const Lease& body, OrgId org);
  Status on(const LeaseReturn& body, OrgId org);
  Status on(const ReceiptBatch& body, OrgId org);
  Status on(const Countersignature& body, OrgId org);
  Status on(const UsageReceipt& body, OrgId org);
  Status on(const Vote& body, OrgId org);
  Status on(const Cancel& body, OrgId org);
  Status on(const Correction& body, OrgId org);
  Status on(const UsageImport& body, OrgId org);
  Status on(const ProviderBenchmark& body, OrgId org);
  Status on(const BenchmarkCheck& body, OrgId org);
  Status on(const LinkReport& body, OrgId org);
  template <class Derived>
  Status on(const Derived&, OrgId) {
    return Error{ErrorCode::denied, "derived records are made by the rules, not submitted"};
  }

  // Registration, for genesis and organisation records.
  [[nodiscard]] static Status check_new_organisation(const State& state, const PublicKey& key,
                                                     const std::string& name, const std::string& endpoint);
  void add_organisation(const PublicKey& key, const std::string& name, const std::string& endpoint);
  // Nobody may take it again.
  void take_key(const PublicKey& key, OrgId org, KeyRole role);
  [[nodiscard]] static Status check_offer(const ProviderOffer& offer);

  // The agent.
  [[nodiscard]] Status check_agent_may(const OrgEntry& org, RecordType type) const;
  [[nodiscard]] Status check_allowance(const OrgEntry& org, MicroUnc budget) const;
  void take_allowance(AgentEntry& agent, JobEntry& job);
  void settle_allowance(OrgEntry& owner, const JobEntry& job, MicroUnc budget, MicroUnc refund);

  // Jobs.
  [[nodiscard]] Result<JobEntry*> owned_job(JobId id, OrgId owner);
  [[nodiscard]] Status check_shares(const JobEntry& job, const JobAttempt& body) const;
  // Cost of everything that the line and the present attempt's leases commit to; empty when it overflows.
  [[nodiscard]] std::optional<MicroUnc> committed_cost(const JobEntry& job, std::size_t member,
                                                       MicroUnc price) const;
  void drop_windows_from(JobEntry& job, std::uint64_t window);
  void close_leases(JobEntry& job);
  // The present attempt occupies its members no longer: its owner is charged for the time of each lease.
  void end_occupation(JobEntry& job);
  void charge_use(OrgId owner, const MemberEntry& member);
  void settle(JobEntry& job, JobResult result);
  void settle_usage(JobEntry& job);
  void set_timer(JobEntry& job, std::uint64_t height);
  void clear_timer(JobEntry& job);
  void run_timer(JobEntry& job);

  // Enrolment.
  void mark_block(const BlockContext& next);
  void draw_benchmark_checks();
  void fault(OrgId id, FaultKind kind, JobId job, OrgId by);
  void standing_changed(OrgEntry& org);
  void judge_faults();
  [[nodiscard]] std::uint64_t wanted_of(OrgId provider) const;
  [[nodiscard]] bool waits_its_turn(const JobEntry& job, const AttemptEntry& attempt) const;
  void blame_attempt(JobEntry& job);
  void set_lease_timer(JobEntry& job);
  void begin_enrolment_epoch();

  // Usage of batch systems.
  [[nodiscard]] Status check_leased(const UsageSlot& slot) const;
  void touch_usage(const UsageSlot& slot);
  void forget_usage();

  // Receipts.
  [[nodiscard]] Status check_receipt(const Receipt& receipt, OrgId org, const Receipt* previous) const;
  void file_receipt(const Receipt& receipt, const Digest& digest);
  void advance_line(JobEntry& job);

  // Validation.
  void start_validation(JobEntry& job);
  void start_dispute(JobEntry& job, std::uint64_t window);
  void assign_verifiers(JobEntry& job, const std::vector<std::uint64_t>& windows, bool disputed);
  void after_validation(JobEntry& job);
  void replace_late_verifiers(JobEntry& job);
  void convict(JobEntry& job, const Vote& vote, const WindowEntry& window);
  // Part of an organisation's stake and of what unbonds, the stake first; to be paid out whole.
  struct Seizure {
    OrgId from = 0;
    MicroUnc stake = 0;
    MicroUnc unbonding = 0;
  };
  [[nodiscard]] Seizure seize(OrgId org, std::uint64_t ppm);
  void pay(Seizure& seizure, AccountId to, MicroUnc amount);
  void slash(OrgId org, JobEntry& job, std::uint64_t window, std::vector<OrgAmount>& losses,
             const std::string& reason);

  // Epochs.
  void begin_epoch();
  void reward_work(Epoch& body, std::uint64_t ended);
  void release_unbonded();
  void score(OrgEntry& org, ScoreCause cause, std::uint64_t count);

  // Validators.
  void count_missed_slots(const BlockContext& next);
  void charge_missed_shares();
  void draw_epoch_seed();
  void form_committee(Epoch& body);
  void keep_committee(Epoch& body);
  void remember_committee(bool stayed);
  [[nodiscard]] bool is_held(OrgId org) const;

  // Marks what changes for the state root.
  void touch(Slot slot, std::uint64_t a, std::uint64_t b = 0) {
    const StateKey key{static_cast<std::uint8_t>(slot), a, b};
    if (s_.dirty_.empty() || s_.dirty_.back() != key) s_.dirty_.push_back(key);
  }
  OrgEntry& org_mutable(OrgId id);
  // The sequence number of the record at hand is used up.
  void use_sequence(OrgId org);
  void move(AccountId debit, AccountId credit, MicroUnc amount);
  void derive(RecordBody body);
  [[nodiscard]] std::string name_of(OrgId id) const;

  State& s_;
  Applied out_;
  const Record* record_ = nullptr;
  KeyRole role_ = KeyRole::owner;  // of the record's signer
};

// floor(flop × price / 10^12), the price being micro-UNC per TFLOP; empty when it does not fit.
[[nodiscard]] std::optional<MicroUnc> cost_of_work(Uint128 flop, MicroUnc price_per_tflop);

}  // namespace ufab
