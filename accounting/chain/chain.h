// Blocks and state together: the one code that makes blocks and the one code that checks them.
// Pure but for signatures: no files, no clock. Not thread-safe. A copy is a chain of its own, which may run
// ahead of the original.
//
// A block's records are: what the start of the block derived; then each signed record, followed by what it
// derived (a refused record by its Refusal). The checker re-derives all derived records and compares bytes.
#pragma once

#include "accounting/chain/block.h"
#include "accounting/consensus/simplex.h"
#include "accounting/state/state.h"

namespace ufab {

// A record to make a block from, with the encoding that it came in. Both outlive the call. If it gets onto
// the chain, its body and its encoding are moved into the block; the record's signer, sequence and time stay.
struct SubmittedRecord {
  Record* record = nullptr;
  Bytes* encoding = nullptr;
  RecordId id;  // of the encoding
};

// How one signed record fared in a block that is being made.
struct RecordOutcome {
  Status status;               // why it was refused or turned away
  bool on_chain = false;       // false: turned away (bad signature, sequence, …), it left no trace
  std::uint32_t position = 0;  // in the block
  RecordId id;
  std::vector<Record> derived;
};

// A block with what the index wants to know about it.
struct AppliedBlock {
  Block block;
  std::vector<RecordId> ids;                     // of each record; made blocks only
  std::vector<Record> records;                   // decoded, in the order of block.records
  std::vector<std::vector<Movement>> movements;  // of each record; those of the block's start are apart
  std::vector<Movement> start_movements;
  std::vector<RecordOutcome> outcomes;  // made blocks only: of each submitted record
};

// The refusal of the record at `position`, which follows it directly; none if the record was accepted.
[[nodiscard]] const Refusal* refusal_of(const AppliedBlock& applied, std::size_t position);

// Whether the caller has checked signatures already: at the door, or when the log was written.
enum class Signatures : bool { check, checked };

// A block with all of it worked out that needs no state, so that many threads can do it for a chain that one
// of them follows.
struct PreparedBlock {
  Block block;
  std::vector<Record> records;  // decoded, as far as `status` is good
  Digest record_root;
  Signatures signatures = Signatures::check;
  Status status;  // the first thing that is wrong in itself
};
// Block 0 is left as it is: import() does all of it. Pure; thread-safe.
[[nodiscard]] PreparedBlock prepare_block(Block block, Signatures signatures = Signatures::check);

// What is left to check of a block's finality once the chain has said what it must build on. Pure;
// thread-safe.
struct FinalityCheck {
  consensus::EpochPtr epoch;  // null: there is nothing to check
  consensus::BlockRef place;  // what it builds on
  [[nodiscard]] Status run(const Block& block, const consensus::SignatureScheme& scheme) const;
};

class Chain {
 public:
  // Makes block 0.
  [[nodiscard]] static Result<AppliedBlock> make_genesis(Chain& chain, const KeyPair& key,
                                                         const Genesis& genesis, std::uint64_t time_us);
  // Makes the next block and applies it. Records that do not fit any more have on_chain = false and
  // ErrorCode::unavailable. Precondition: `key` is the producer's key in that view.
  [[nodiscard]] AppliedBlock make(const std::vector<SubmittedRecord>& records, const KeyPair& key,
                                  std::uint64_t time_us, Signatures signatures = Signatures::check,
                                  std::uint64_t view = 0);
  // The same for records whose encoding nobody has kept.
  [[nodiscard]] AppliedBlock make(const std::vector<Record>& records, const KeyPair& key,
                                  std::uint64_t time_us, Signatures signatures = Signatures::check,
                                  std::uint64_t view = 0);
  // Checks the next block against everything but its finality, and applies it. After an error the state may
  // be half way through the block: the chain must be rebuilt from the log. The error names the record: "block
  // H record I (TYPE): …".
  [[nodiscard]] Result<AppliedBlock> import(Block block, Signatures signatures = Signatures::check);
  [[nodiscard]] Result<AppliedBlock> import(PreparedBlock prepared);

  // A chain that goes on after a block that begins an epoch (block 0 too), from the state after it
  // (accounting/state/snapshot.h). Precondition: the block is final, its header names the state's root, and
  // `finality` is its own, if it has one.
  [[nodiscard]] static Chain resume(State state, const BlockHeader& head,
                                    const std::optional<Finality>& finality);

  // Checks the finality of the next block: that it has one where validators vote, and none elsewhere; and
  // that the last block of their epoch has a certificate: the next list of validators must not vouch for the
  // block that names it. Follows several blocks of an epoch that are not imported yet: `place` begins as
  // place(), and moves on.
  [[nodiscard]] Status check_finality(const Block& block, consensus::BlockRef& place,
                                      const consensus::SignatureScheme& scheme) const;
  // The half of it that needs the chain: what remains may be run later and elsewhere.
  [[nodiscard]] Result<FinalityCheck> begin_finality(const Block& block, consensus::BlockRef& place) const;

  [[nodiscard]] const State& state() const { return state_; }
  // What the consensus has to know of the present epoch; null unless state().by_vote(). Its first block
  // follows the one that began the epoch in the state, its last is the one that begins the next.
  [[nodiscard]] const consensus::EpochPtr& epoch() const { return epoch_; }
  // The last proposal or seal that is final in it, or its anchor.
  [[nodiscard]] const consensus::BlockRef& place() const { return place_; }
  [[nodiscard]] bool empty() const { return !begun_; }
  [[nodiscard]] const BlockHeader& head() const { return head_; }
  [[nodiscard]] const Digest& head_hash() const { return head_hash_; }
  // True when an import failed after it had begun to change the state.
  [[nodiscard]] bool broken() const { return broken_; }

 private:
  [[nodiscard]] Result<AppliedBlock> import_genesis(Block block, Signatures signatures);
  [[nodiscard]] Status check_header(const BlockHeader& header) const;
  void seal(AppliedBlock& made, const KeyPair& key, const BlockContext& context);
  void move_head(const BlockHeader& header, const std::optional<Finality>& finality);

  State state_;
  BlockHeader head_;
  Digest head_hash_;
  consensus::EpochPtr epoch_;
  consensus::BlockRef place_;
  bool begun_ = false;
  bool broken_ = false;
};

}  // namespace ufab
