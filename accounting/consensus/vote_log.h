// The vote log: what a validator has signed, on disk before it is sent. A file that only grows.
//
// Record: u64 epoch, u64 view, u8 kind, block digest (32), u16 seat, signature (64): the vote; then u8 flag
//         and the proposal that it is for (propose, notarise), u8 flag and the certificate that justifies it
//         (finalise). Layouts are those of accounting/consensus/messages.h.
// File:   8 bytes "ufabvot1", then frames. Frame: u32 size of the record, first 8 bytes of
//         c' = SHA-256(c ‖ size), the record, first 8 bytes of c" = SHA-256(c' ‖ record). c is 32 zero bytes
//         for the first frame, and the c" of the frame before for any other.
//
// A frame that the file ends in the middle of was never synced, so nothing after it was sent: it is dropped.
// Any other damage may hide a vote that was sent: the log is corrupt, and its key must not vote again.
#pragma once

#include <vector>

#include "accounting/consensus/messages.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

struct VoteRecord {
  Vote vote;
  ProposalPtr proposal;        // the block voted for, so that a quorum for it means that it is on disk
  CertificatePtr certificate;  // the notarisation that a finalise vote rests on

  friend bool operator==(const VoteRecord& a, const VoteRecord& b);
};

[[nodiscard]] Bytes encode_vote_record(const VoteRecord& record);
[[nodiscard]] Result<VoteRecord> decode_vote_record(ByteView bytes);

// Makes the bytes to append, one record after another. A log is begun anew (to drop records of views that are
// finalised) by writing a new file from a new writer, synced and renamed over the old one.
class VoteLogWriter {
 public:
  VoteLogWriter() = default;
  // Goes on after what read_vote_log() accepted.
  explicit VoteLogWriter(const Digest& check) : check_(check), begun_(true) {}
  // The first call's bytes begin with the file's head.
  [[nodiscard]] Bytes append(const VoteRecord& record);

 private:
  Digest check_;
  bool begun_ = false;
};

struct VoteLog {
  std::vector<VoteRecord> records;
  std::size_t size = 0;  // bytes of the file that are whole; what follows is cut off before the next append
  Digest check;          // for the writer that goes on
};

// An empty file is an empty log. corrupt: see above. Whether a file is there at all is the caller's question:
// a key that has voted and finds none has lost its log.
[[nodiscard]] Result<VoteLog> read_vote_log(ByteView file);

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
