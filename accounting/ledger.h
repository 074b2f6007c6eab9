// The ledger as a node uses it: submit, produce, import, read. Thread-safe.
//
// One folder holds everything: `log/` (the truth, accounting/log/segment_log.h), `index.sqlite` (rebuildable,
// accounting/index/index.h) and `lock` (one process at a time).
//
// A replica may begin with a snapshot (accounting/snapshot/manifest.h) instead of all blocks. Then there is
// also `recent/`, the snapshot and the log of the blocks after it, from which it takes part, while `log/` and
// the index are filled in from block 0 on: each block is verified whole, as in a replica that began with
// none. Once `log/` has all that `recent/` has, that folder is removed, and the ledger is like any other.
// Until then a block that is in neither is ErrorCode::unavailable, and no record is found by its id.
//
// The producer (the node that has the validator's key) turns submitted records into blocks: a caller of
// submit() whose record finds no block being made makes one from every record waiting, so that concurrent
// callers share one block and one sync (group commit). A replica gets blocks from import_blocks(), which
// trusts nothing: signatures, votes, order, rules, derived records and both roots are checked. Where several
// validators make the blocks (accounting/replica), each appends what they have finalised.
//
// An error that leaves memory and disk apart (a full disk while appending) stops the ledger: every later
// call returns that error until it is opened again.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <optional>

#include "accounting/chain/chain.h"
#include "accounting/state/state.h"

namespace ufab {

// accounting/snapshot/manifest.h
struct SnapshotDraft;
struct SnapshotManifest;

struct LedgerOptions {
  std::string folder;
  std::function<std::uint64_t()> now_us;         // wall clock, microseconds since 1970; default: the system's
  std::uint64_t segment_size_max = 64ULL << 20;  // bytes
  bool index = true;                             // keep index.sqlite
  // A log that is damaged is cut before the damage, which is kept beside it ("damaged-…"), and the node gets
  // the rest from its peers. For chains that have other nodes; `repaired` is told in one line what happened.
  bool repair = false;
  std::function<void(const std::string&)> repaired;
};

struct Head {
  std::uint64_t height = 0;
  Digest hash;
  std::uint64_t time_us = 0;
};

// How far a ledger that began with a snapshot is whole: it has blocks 0 to `filled`, and those after `base`.
struct History {
  std::uint64_t base = 0;
  std::uint64_t filled = 0;
};

struct SubmitOutcome {
  RecordId id;
  std::uint64_t height = 0;  // the block that holds the record
  std::uint32_t position = 0;
  std::vector<Record> derived;  // what followed from it, in order; empty when the record was known before
};

class Ledger {
  struct Impl;

 public:
  // Founds a chain: writes block 0 with the given genesis. conflict if the folder has a ledger already.
  [[nodiscard]] static Result<std::unique_ptr<Ledger>> create(LedgerOptions options, const KeyPair& validator,
                                                              const Genesis& genesis);
  // A replica of another's chain: block 0 as its node hands it out. The chain id in it is what the caller
  // must compare with what it was told out of band.
  [[nodiscard]] static Result<std::unique_ptr<Ledger>> join(LedgerOptions options, ByteView genesis_block);
  // Goes on after the head of a snapshot from now on. Precondition: `state` came back from it, by way of
  // check_manifest(). conflict unless the head is below the snapshot's and the ledger has every block so far.
  [[nodiscard]] Status begin_at(const SnapshotManifest& manifest, const std::vector<Bytes>& chunks,
                                State state);
  // Empty: it has every block.
  [[nodiscard]] std::optional<History> history() const;
  // The blocks after history()->filled, as import_blocks() takes them; those after the base it has itself.
  // When the last is there history() is empty. corrupt if the blocks lead to another block than the snapshot:
  // then the snapshot's, or these, are of a chain that somebody forked. One caller at a time.
  [[nodiscard]] Status fill_history(const std::vector<Bytes>& encoded_blocks);
  // What a snapshot is made of, if the head ends an epoch (else not_found).
  [[nodiscard]] Result<SnapshotDraft> draft_snapshot() const;

  // Opens what create() or join() made. With the validator's key the ledger produces blocks, in epochs with a
  // single one.
  [[nodiscard]] static Result<std::unique_ptr<Ledger>> open(LedgerOptions options,
                                                            const KeyPair* validator = nullptr);
  // One more key with which this node may be the producer. denied when another validator is the only one.
  [[nodiscard]] Status use_key(KeyPair key);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Producer only (else ErrorCode::denied, "not the producer …"). Returns when the record is durable.
  // A record that breaks a rule is an error with the rule's reason; if it was authentic it stands on the
  // ledger with its refusal. A record that is on the ledger already returns its first outcome.
  [[nodiscard]] Result<SubmitOutcome> submit(ByteView encoded_record);
  [[nodiscard]] Result<SubmitOutcome> submit(const Record& record);
  // Producer only: an empty block if none was made for params.block_interval_ms. True if it made one.
  [[nodiscard]] Result<bool> produce_if_due();

  // The next blocks of the chain, as block() of another node returned them. A block that is already here is
  // ignored; a different one at that height is conflict; a gap is ErrorCode::not_found. Where validators vote
  // a block counts with the next certificate; what follows the last one is left out, and if nothing else is
  // there it is ErrorCode::unavailable: more is needed. After an error the blocks before the wrong one's
  // certificate may have been taken in: head() says so. Signatures are checked on all processors.
  [[nodiscard]] Status import_blocks(const std::vector<Bytes>& encoded_blocks);
  [[nodiscard]] Status import_block(ByteView encoded_block);
  // Blocks that follow the head and that the caller knows to be final. They are visible when it returns, and
  // durable here a moment later (a quorum has them on its disks, with its votes), or when sync() returns.
  [[nodiscard]] Status append_final(std::vector<Block> blocks);
  [[nodiscard]] Status sync();
  // For a record that others put into a block: its outcome once it becomes final here, or when turn_away()
  // says that it never will.
  class Expectation {
   public:
    ~Expectation();
    Expectation(const Expectation&) = delete;
    Expectation& operator=(const Expectation&) = delete;
    // Empty when the time is over first.
    [[nodiscard]] std::optional<Result<SubmitOutcome>> wait(std::uint64_t timeout_ms);

   private:
    friend class Ledger;
    Expectation(Impl& ledger, const RecordId& id) : ledger_(ledger), id_(id) {}
    Impl& ledger_;
    const RecordId id_;
    std::optional<Result<SubmitOutcome>> outcome_;  // under Impl::expected_mutex
    std::condition_variable decided_;
  };
  // It must not outlive the ledger.
  [[nodiscard]] std::unique_ptr<Expectation> expect(const RecordId& id);
  void turn_away(const RecordId& id, const Error& why);
  // Of a record that is final here already; empty if it is not. Waits until the index has what came before.
  [[nodiscard]] std::optional<Result<SubmitOutcome>> outcome_of(const RecordId& id) const;
  // not_found past the head, unavailable while history() lacks it.
  [[nodiscard]] Result<Bytes> block(std::uint64_t height) const;
  [[nodiscard]] Head head() const;
  // Waits until the head is higher than `height` or the time is over; returns the head then.
  [[nodiscard]] Head wait_for_block(std::uint64_t height, std::uint64_t timeout_ms) const;
  // Called after every new block, from the thread that made it, without locks held. At most 16.
  void on_block(std::function<void(const Head&)> listener);

  [[nodiscard]] Digest chain_id() const;
  [[nodiscard]] bool is_producer() const;
  // Counts what waits to be produced as well as what is on the chain.
  [[nodiscard]] std::uint64_t next_sequence(const PublicKey& key) const;
  // Calls `read` with the chain or its state as of the head; no block is applied meanwhile, so keep it short.
  void with_chain(const std::function<void(const Chain&)>& read) const;
  void with_state(const std::function<void(const State&)>& read) const;
  // Signs `body` with the next sequence number and the clock, and submits it.
  [[nodiscard]] Result<SubmitOutcome> sign_and_submit(const KeyPair& key, RecordBody body);

 private:
  explicit Ledger(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ufab
