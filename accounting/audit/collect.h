// Makes checkpoints and proofs out of a chain's blocks as they are walked over. For audits, and for ledgers
// that hand out snapshots (accounting/block_store.h). Not thread-safe.
#pragma once

#include "accounting/audit/checkpoint.h"
#include "accounting/chain/chain.h"

namespace ufab::audit {

[[nodiscard]] PlacedRecord place(const AppliedBlock& applied, std::size_t position);

// A final header of a block that may have no certificate of its own: fed with the blocks from there on until
// it has.
class HeaderRun {
 public:
  explicit HeaderRun(FinalHeader& to) : to_(&to) {}
  // The block itself first. Whether it is whole.
  [[nodiscard]] Result<bool> add(const AppliedBlock& applied);

 private:
  FinalHeader* to_;
};

struct CollectOptions {
  std::optional<std::uint64_t> trail_from;  // height of the first header before the head to keep
};

class Collector {
 public:
  // `trail_from`: height of the first header before the head to keep.
  explicit Collector(const Chain& chain, std::optional<std::uint64_t> trail_from = std::nullopt)
      : chain_(chain), trail_from_(trail_from) {}

  // Goes on after the head of a checkpoint, which is the chain's and ends an epoch.
  Collector(const Chain& chain, ChainCheckpoint from);

  // Each block after it has been applied to the chain.
  [[nodiscard]] Status visit(const AppliedBlock& applied);
  // The checkpoint must prove the list that voted for that block, the one whose visit() comes next.
  void need(std::uint64_t height);
  // After the last block. It is not empty, and final.
  [[nodiscard]] Result<ChainCheckpoint> finish();

 private:
  // A link to an epoch whose votes are checked by its own list.
  struct Candidate {
    PlacedRecord link;
    consensus::EpochPtr epoch;
  };
  // The present epoch before its first certificate: the same link in both shapes.
  struct Opening {
    PlacedRecord with_headers, plain;
    consensus::EpochPtr epoch;
  };
  [[nodiscard]] Status begin_epoch(const AppliedBlock& applied);
  [[nodiscard]] Status follow_epoch(const AppliedBlock& applied);
  void note_key_changes(const AppliedBlock& applied);
  void settle();

  const Chain& chain_;
  const std::optional<std::uint64_t> trail_from_;
  ChainCheckpoint made_;
  Block last_;                          // records only where they vote
  consensus::EpochPtr proven_;          // what the last link led to; null: one validator
  std::optional<PublicKey> sole_;       // it; none: the founder
  std::optional<Candidate> candidate_;  // for the epoch before the opening one, or the present one
  std::optional<Opening> opening_;
  std::optional<std::uint64_t> needed_epoch_;
};

}  // namespace ufab::audit
