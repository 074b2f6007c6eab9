// The ledger's state: a pure function of the records applied so far. Integers only; no clock, no randomness,
// no files. Every replica that applies the same records gets the same state, the same derived records and
// the same root. Not thread-safe (accounting/ledger.h locks).
//
// Use per block: begin_block(), then for each signed record apply() (or, if that failed, refuse()), then
// end_block(). apply() checks first and changes afterwards: an error means that nothing changed.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "accounting/records/record.h"
#include "accounting/state/accounts.h"
#include "accounting/state/entries.h"
#include "accounting/state/state_tree.h"
#include "accounting/state/usage_imports.h"
#include "fabric/base/codec.h"

namespace ufab {

// What followed from one record (or from the start of a block).
struct Applied {
  std::vector<Record> derived;
  std::vector<Movement> movements;
};

struct BlockContext {
  std::uint64_t height = 0;
  std::uint64_t time_us = 0;
  Digest previous;         // hash of the block before
  std::uint64_t view = 0;  // of the consensus
  OrgId producer = 0;
};

// What a block was, for as long as a benchmark's challenge may come from it.
struct BlockMark {
  std::uint64_t height = 0;
  Digest hash;
  std::uint64_t time_us = 0;
};

// An organisation's present key and what it may sign.
struct KeyHolder {
  const OrgEntry* organisation = nullptr;
  KeyRole role = KeyRole::owner;
};

class State {
 public:
  // The first record of block 0.
  [[nodiscard]] Result<Applied> apply_genesis(const Record& genesis, const BlockContext& context);
  [[nodiscard]] Applied begin_block(const BlockContext& context);
  // What must hold before a record may even be refused on the ledger: known signer (or a registration), the
  // next sequence number, refusals left. The signature is the caller's business (verify_record).
  [[nodiscard]] Status admissible(const Record& record) const;
  // Precondition: admissible(record).
  [[nodiscard]] Result<Applied> apply(const Record& record);
  [[nodiscard]] Applied refuse(const Record& record, const RecordId& id, const Error& why);
  // Root over everything in the state: see accounting/state/state_tree.h.
  [[nodiscard]] Digest end_block();

  [[nodiscard]] const Digest& chain_id() const { return chain_id_; }
  [[nodiscard]] const std::string& chain_name() const { return chain_name_; }
  [[nodiscard]] const ChainParams& params() const { return params_; }
  [[nodiscard]] std::uint64_t height() const { return context_.height; }
  // Of the last block, microseconds since 1970: the clock on which all replicas agree.
  [[nodiscard]] std::uint64_t time_us() const { return context_.time_us; }
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  [[nodiscard]] const Digest& epoch_seed() const { return epoch_seed_; }
  // The validators in office. Empty: the founder alone, with its organisation's key.
  [[nodiscard]] const std::vector<Seat>& seats() const { return seats_; }
  // Whether a block needs their votes. Else the signature of the only validator is enough.
  [[nodiscard]] bool by_vote() const { return seats_.size() > 1; }
  // Who makes the block of that view, and with which key; the view does not matter unless by_vote().
  struct Producer {
    OrgId organisation = 0;
    PublicKey key;
  };
  [[nodiscard]] Producer producer(std::uint64_t view) const;
  // Of the seats in office, by organisation; those that drew so far.
  [[nodiscard]] const std::map<OrgId, vrf::Output>& seed_shares() const { return seed_shares_; }
  // The last block that may hold a share of the next epoch's seed.
  [[nodiscard]] std::uint64_t seed_share_last() const;
  // By epoch, as far back as evidence is taken; epochs without seats are left out.
  [[nodiscard]] const std::map<std::uint64_t, Committee>& committees() const { return committees_; }
  // The seat in office of the organisation; null if it has none.
  [[nodiscard]] const Seat* seat_of(OrgId id) const;
  // Its validator is in office.
  [[nodiscard]] bool in_office(OrgId id) const;

  [[nodiscard]] const Accounts& accounts() const { return accounts_; }
  [[nodiscard]] const std::map<OrgId, OrgEntry>& organisations() const { return organisations_; }
  [[nodiscard]] const OrgEntry* organisation(OrgId id) const;
  [[nodiscard]] const OrgEntry* organisation_by_name(std::string_view name) const;
  // Whose present key this is, the owner's or the agent's; empty for a validator's, retired and unknown keys.
  [[nodiscard]] std::optional<KeyHolder> key_holder(const PublicKey& key) const;
  // The organisation that has or ever had this key, for itself, its agent or its validator; 0 if none.
  [[nodiscard]] OrgId organisation_of_any_key(const PublicKey& key) const;
  // What the key is or was there; owner for a key that nobody has had.
  [[nodiscard]] KeyRole role_of_any_key(const PublicKey& key) const;
  // Jobs that have not settled, and those settled within params.job_retention_blocks. The index
  // (accounting/index/index.h) knows the older ones.
  [[nodiscard]] const std::map<JobId, JobEntry>& jobs() const { return jobs_; }
  [[nodiscard]] const JobEntry* job(JobId id) const;
  // Those that have an attempt and have not settled, as of the last whole block: a handful, however many jobs
  // wait and however many have ended.
  [[nodiscard]] const std::set<JobId>& jobs_in_progress() const { return in_progress_; }
  [[nodiscard]] JobId job_last() const { return job_last_; }
  [[nodiscard]] const UsageImports& usage_imports() const { return usage_; }
  [[nodiscard]] std::optional<JobId> job_by_idempotency_key(OrgId owner, const std::string& key) const;
  // Why a provider cannot be named in an attempt or lease, as the end of a sentence that begins with its
  // name; empty if it can.
  [[nodiscard]] std::string lease_obstacle(const OrgEntry& org) const;
  // Million operations per second: what it offers, and where the chain asks for benchmarks no more than its
  // valid one has shown.
  [[nodiscard]] std::uint64_t speed_mflops(const OrgEntry& org) const;
  // It has one that is neither refuted nor expired; valid: and that counts.
  [[nodiscard]] bool benchmark_stands(const OrgEntry& org) const;
  [[nodiscard]] bool benchmark_valid(const OrgEntry& org) const;
  // Of the params.bench_window_blocks blocks before this one; else null.
  [[nodiscard]] const BlockMark* block_mark(std::uint64_t height) const;
  [[nodiscard]] MicroUnc balance(OrgId id) const { return accounts_.balance({AccountKind::balance, id}); }
  [[nodiscard]] MicroUnc stake(OrgId id) const { return accounts_.balance({AccountKind::stake, id}); }
  // 1 for a key that no record has used yet.
  [[nodiscard]] std::uint64_t next_sequence(const PublicKey& key) const;

 private:
  friend class Transition;     // accounting/state/transition.h: the rules
  friend class StateSnapshot;  // accounting/state/snapshot.h: all of it as bytes, and back
  using Slot = StateSlot;
  // The window that a walk over keys in order has come to, so that the next one is beside it.
  struct WindowCursor {
    JobId job = 0;
    std::map<std::uint64_t, WindowEntry>::const_iterator at;
  };
  [[nodiscard]] const WindowEntry* find_window(const StateKey& key, WindowCursor& cursor) const;
  // Into `writer`, which is empty; false if there is no such entry.
  [[nodiscard]] bool encode_slot(const StateKey& key, Writer& writer, WindowCursor& cursor) const;
  void note_progress(JobId id);

  Digest chain_id_;
  std::string chain_name_;
  ChainParams params_;
  BlockContext context_;
  std::uint64_t epoch_ = 0;
  Digest epoch_seed_;
  std::vector<Seat> seats_;
  std::vector<OrgId> kicked_;  // without a seat in the present epoch
  std::map<OrgId, vrf::Output> seed_shares_;
  std::map<std::uint64_t, Committee> committees_;
  std::uint64_t derived_sequence_ = 0;
  Accounts accounts_;
  std::map<OrgId, OrgEntry> organisations_;
  std::map<std::string, OrgId, std::less<>> names_;
  // Present and retired, of agents and validators too: none is ever taken again. And in the order in which
  // they were taken.
  std::map<PublicKey, std::pair<OrgId, KeyRole>> keys_;
  std::vector<PublicKey> keys_taken_;
  std::map<JobId, JobEntry> jobs_;
  std::map<std::pair<OrgId, std::string>, JobId> idempotency_;
  JobId job_last_ = 0;
  UsageImports usage_;
  // What to look at when a height is reached: deadlines and the end of retention. Follows from jobs_.
  std::set<std::pair<std::uint64_t, JobId>> timers_;
  // These follow from the blocks and the entries: marks of past blocks, benchmarks whose check is drawn and
  // faults that are judged at the start of the next block.
  std::deque<BlockMark> marks_;
  std::set<OrgId> benchmarks_to_draw_;
  std::set<OrgId> faulted_;
  std::set<JobId> in_progress_;  // follows from jobs_
  std::vector<StateKey> dirty_;  // touched in this block, in any order and more than once
  StateTree tree_;
};

}  // namespace ufab
