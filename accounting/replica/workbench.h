// The ledger's state ahead of what is final: where a validator makes its proposals and judges others'. Pure
// but for signatures. Not thread-safe.
//
// It holds one copy of the chain, which runs along one line of proposals on top of the final end. A proposal
// on another line makes it begin anew from the final chain: that costs a copy of the state, and happens only
// after a view was skipped.
#pragma once

#include <optional>
#include <vector>

#include "accounting/chain/chain.h"
#include "accounting/replica/mempool.h"

namespace ufab {

// Where the workbench gets what it stands on.
class FinalChain {
 public:
  virtual ~FinalChain() = default;
  virtual void read(const std::function<void(const Chain&)>& reader) const = 0;
};

class Workbench {
 public:
  struct Limits {
    std::size_t signed_size_max = 2U << 20;  // bytes of the records that others signed, in one block
    std::size_t signed_count_max = 4096;
    std::uint64_t clock_ahead_max_us = 10'000'000;  // of another's block
  };
  // Both outlive it.
  Workbench(const FinalChain& final_chain, const Limits& limits) : final_(final_chain), limits_(limits) {}

  // The proposals from the one after the final end up to the parent of what is made or judged, in order.
  using Line = std::vector<consensus::ProposalPtr>;

  // A block for that view on top of the line, with at most so many bytes of records that wait: the payload.
  // Empty optional when the line does not hold.
  [[nodiscard]] std::optional<Bytes> make(const Line& line, const Mempool& pool, std::size_t size_max,
                                          const KeyPair& key, std::uint64_t now_us, consensus::View view);
  // The block that make() returned became this proposal.
  void adopt(const Digest& proposal);
  // Whether the block is right on top of the line: an error says what is wrong. `checked` says of which
  // records the signature was checked before.
  using Checked = std::function<bool(const RecordId&)>;
  [[nodiscard]] Status judge(const Line& line, const consensus::Proposal& proposal, const Checked& checked,
                             std::uint64_t now_us);
  // The state on top of the line, or null when the line does not hold. Valid until the next call.
  [[nodiscard]] const State* state_at(const Line& line);
  // Begins anew with the next call.
  void forget() { chain_.reset(); }
  // That proposal is final now and part of the final chain.
  void finalised(const Digest& proposal);

 private:
  [[nodiscard]] bool go_to(const Line& line);
  void begin_anew();

  const FinalChain& final_;
  const Limits limits_;
  std::optional<Chain> chain_;
  std::vector<Digest>
      done_;  // proposals that chain_ has on top of the final chain; zero: made, not adopted yet
};

}  // namespace ufab
