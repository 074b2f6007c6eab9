// A light client: follows a checkpoint (accounting/audit/checkpoint.h says how and what that promises) and
// then knows which blocks are the chain's, from their headers alone. No state, no files; once made it is
// thread-safe.
#pragma once

#include "accounting/audit/checkpoint.h"
#include "accounting/consensus/simplex.h"

namespace ufab {

class LightChain {
 public:
  // From nothing but the file; compare chain_id() with the one you know. The error says which part is wrong:
  // "link N (block H): …", "head (block H): …", "witness KEY: …".
  [[nodiscard]] static Result<LightChain> follow(const ChainCheckpoint& checkpoint);

  // That the block is of this chain, not above its head, and final.
  [[nodiscard]] Status check(const FinalHeader& block) const;
  // That the block is, and holds the record at its position.
  [[nodiscard]] Status check(const PlacedRecord& placed) const;
  // That it is this chain's record: a signed one bears its signer's signature, a derived one has the block's.
  [[nodiscard]] Result<Record> check_record(ByteView bytes) const;

  [[nodiscard]] const Digest& chain_id() const { return chain_id_; }
  [[nodiscard]] const std::string& chain_name() const { return chain_name_; }
  [[nodiscard]] const BlockHeader& head() const { return head_; }
  // Who makes and votes for the block after the head. Empty: the founder alone.
  [[nodiscard]] const std::vector<Seat>& validators() const { return authorities_.back().seats; }
  // The only validator's key; of no use where several vote.
  [[nodiscard]] const PublicKey& producer_key() const { return authorities_.back().key; }
  [[nodiscard]] const std::vector<PublicKey>& witnesses() const { return witnesses_; }

 private:
  // Who decides about the blocks after `from`, until the next one does.
  struct Authority {
    std::uint64_t from = 0;
    PublicKey key;              // of the only one
    std::vector<Seat> seats;    // empty: the founder
    consensus::EpochPtr epoch;  // where several vote: the epoch that begins there, and no other
  };
  [[nodiscard]] const Authority& at(std::uint64_t height) const;
  [[nodiscard]] Status check_by(const FinalHeader& block, const Authority& authority) const;
  [[nodiscard]] Status check_place(const PlacedRecord& placed) const;
  [[nodiscard]] Status begin(const ChainCheckpoint& checkpoint);
  [[nodiscard]] Status add(const PlacedRecord& link);
  [[nodiscard]] Status add_key(const PlacedRecord& link, const PublicKey& signer, const KeyChange& change);
  [[nodiscard]] Status add_epoch(const PlacedRecord& link, const Epoch& record);
  [[nodiscard]] Status end(const ChainCheckpoint& checkpoint);

  Digest chain_id_;
  std::string chain_name_;
  std::uint64_t epoch_blocks_ = 0;
  Digest genesis_hash_;
  std::vector<Authority> authorities_;  // ascending
  BlockHeader head_;
  std::vector<PublicKey> witnesses_;
};

// Whether those who signed are a quorum of another epoch's list too: see checkpoint.h.
[[nodiscard]] bool is_quorum_of(const consensus::ValidatorSet& old, const consensus::Certificate& certificate,
                                const consensus::ValidatorSet& list);

}  // namespace ufab
