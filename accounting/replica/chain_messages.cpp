#include "accounting/replica/chain_messages.h"

#include <algorithm>

namespace ufab {

namespace {

constexpr std::uint8_t tag_request = 1, tag_answer = 2;
constexpr std::size_t answer_blocks_max = 4096;

void add_proposal(ChainAnswer& answer, const SignedHeader& part, Bytes payload) {
  answer.blocks.push_back(std::make_shared<const consensus::Proposal>(consensus::Proposal{
      part.header, std::move(payload), part.leader, consensus::header_digest(part.header)}));
}

Status add_block(ChainAnswer& answer, ByteView encoded) {
  UFAB_ASSIGN(const Block block, decode_block(encoded));
  if (!block.finality) return Error{ErrorCode::invalid, "a block that is not final"};
  Bytes payload = encode_payload(block);
  const SignedHeader& proposal = block.finality->proposal;
  if (consensus::payload_hash(payload) != proposal.header.payload_hash)
    return Error{ErrorCode::invalid, "a proposal with another block"};
  add_proposal(answer, proposal, std::move(payload));
  for (const SignedHeader& seal : block.finality->seals) {
    if (seal.header.payload_hash != consensus::payload_hash(ByteView{}))
      return Error{ErrorCode::invalid, "a seal with a block"};
    add_proposal(answer, seal, {});
  }
  answer.certificate = block.finality->certificate;
  return {};
}

// The view of the last block or seal that is final with it.
Result<consensus::View> last_view(const ReadBlock& read, std::uint64_t height) {
  UFAB_ASSIGN(const Bytes encoded, read(height));
  UFAB_ASSIGN(const Block block, decode_block(encoded));
  return block.finality ? block.finality->last().view : 0;
}

}  // namespace

Bytes encode_chain_request(const ChainRequest& request) {
  Writer writer;
  writer.u8(tag_request);
  writer.u64(request.epoch);
  writer.u64(request.after_view);
  return writer.take();
}

Result<std::variant<ChainRequest, ChainAnswer>> decode_chain_message(ByteView message) {
  Reader reader(message);
  const std::uint8_t tag = reader.u8();
  if (tag == tag_request) {
    ChainRequest request;
    request.epoch = reader.u64();
    request.after_view = reader.u64();
    UFAB_TRY(reader.finish("chain request"));
    return std::variant<ChainRequest, ChainAnswer>(request);
  }
  if (tag != tag_answer) reader.fail("no such message");
  ChainAnswer answer;
  for (std::size_t i = 0; reader.remaining() > 0 && !reader.failed(); ++i) {
    if (i == answer_blocks_max) return Error{ErrorCode::limit, "too many blocks"};
    const ByteView block = reader.blob(block_size_max);
    if (!reader.failed()) UFAB_TRY(add_block(answer, block));
  }
  UFAB_TRY(reader.finish("chain answer"));
  return std::variant<ChainRequest, ChainAnswer>(std::move(answer));
}

Bytes encode_records(const std::vector<const PooledRecord*>& records) {
  Writer writer;
  for (const PooledRecord* record : records) writer.blob(record->encoding);
  return writer.take();
}

Bytes blocks_after(std::uint64_t epoch, consensus::View after_view, std::uint64_t epoch_blocks,
                   std::uint64_t head, const ReadBlock& read, std::size_t size_max) {
  if (epoch > head / epoch_blocks) return {};
  std::uint64_t first = epoch * epoch_blocks + 1;
  const std::uint64_t end = std::min(head, (epoch + 1) * epoch_blocks) + 1;
  // The first block with a later view.
  for (std::uint64_t count = end - std::min(first, end); count > 0;) {
    const std::uint64_t half = count / 2;
    const auto view = last_view(read, first + half);
    if (!view.ok()) return {};
    if (*view > after_view) {
      count = half;
    } else {
      first += half + 1;
      count -= half + 1;
    }
  }
  Writer writer;
  writer.u8(tag_answer);
  std::size_t whole = 0;  // bytes up to the last block with a certificate
  for (std::uint64_t height = first; height < end; ++height) {
    const auto encoded = read(height);
    const auto block = encoded.ok() ? decode_block(*encoded) : Result<Block>(encoded.error());
    if (!block.ok() || !block->finality) break;
    writer.blob(*encoded);
    if (!block->finality->certificate) continue;
    whole = writer.bytes().size();
    if (whole > size_max || height - first + 1 >= answer_blocks_max) break;
  }
  Bytes answer = writer.take();
  answer.resize(whole);
  return answer;
}

}  // namespace ufab
