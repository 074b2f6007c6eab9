// The bytes of the chain and records channels between replicas (accounting/replica/replica.h has the
// layouts).
#pragma once

#include <functional>
#include <variant>
#include <vector>

#include "accounting/chain/block.h"
#include "accounting/replica/mempool.h"

namespace ufab {

// Final blocks of that epoch after that view.
struct ChainRequest {
  std::uint64_t epoch = 0;
  consensus::View after_view = 0;
};
// Seals included. Every payload is the one that its header names.
struct ChainAnswer {
  std::vector<consensus::ProposalPtr> blocks;
  consensus::CertificatePtr certificate;
};

[[nodiscard]] Bytes encode_chain_request(const ChainRequest& request);
[[nodiscard]] Result<std::variant<ChainRequest, ChainAnswer>> decode_chain_message(ByteView message);
[[nodiscard]] Bytes encode_records(const std::vector<const PooledRecord*>& records);

// The answer to a request, out of the final blocks of an epoch of `epoch_blocks` blocks: about size_max
// bytes, ending with a certificate. Empty if there is nothing.
using ReadBlock = std::function<Result<Bytes>(std::uint64_t height)>;
[[nodiscard]] Bytes blocks_after(std::uint64_t epoch, consensus::View after_view, std::uint64_t epoch_blocks,
                                 std::uint64_t head, const ReadBlock& read, std::size_t size_max);

}  // namespace ufab
