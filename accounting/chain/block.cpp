#include "accounting/chain/block.h"

#include <fmt/format.h>

#include "accounting/records/codec.h"
#include "fabric/base/merkle.h"

namespace ufab {

namespace {

constexpr std::uint8_t block_version = 2;
constexpr std::size_t header_size_max = 1024;

Bytes encode_unsigned(const BlockHeader& header) {
  Writer writer;
  writer.u8(block_version);
  writer.raw(header.chain_id.view());
  writer.u64(header.height);
  writer.raw(header.previous.view());
  writer.u64(header.time_us);
  writer.u64(header.epoch);
  writer.u64(header.view);
  writer.u32(header.record_count);
  writer.raw(header.record_root.view());
  writer.raw(header.state_root.view());
  writer.u32(header.producer);
  writer.raw(header.producer_key.view());
  return writer.take();
}

}  // namespace

Bytes encode_header(const BlockHeader& header) {
  Bytes bytes = encode_unsigned(header);
  bytes.insert(bytes.end(), header.signature.bytes.begin(), header.signature.bytes.end());
  return bytes;
}

Result<BlockHeader> decode_header(ByteView bytes) {
  Reader reader(bytes);
  if (reader.u8() != block_version) reader.fail("a version other than 2");
  BlockHeader header;
  DecodeVisitor visitor(reader);
  visitor("chain_id", header.chain_id);
  visitor("height", header.height);
  visitor("previous", header.previous);
  visitor("time_us", header.time_us);
  visitor("epoch", header.epoch);
  visitor("view", header.view);
  visitor("record_count", header.record_count);
  visitor("record_root", header.record_root);
  visitor("state_root", header.state_root);
  visitor("producer", header.producer);
  visitor("producer_key", header.producer_key);
  visitor("signature", header.signature);
  UFAB_TRY(reader.finish("block header"));
  return header;
}

Digest header_signing_digest(const BlockHeader& header) {
  Sha256 hash;
  hash.update("ufab block 2\n").update(encode_unsigned(header));
  return hash.finish();
}

Digest block_hash(const BlockHeader& header) {
  return sha256(ByteView(encode_header(header)));
}

namespace {

Bytes encode_parts(const Block& block, ByteView finality) {
  const Bytes header = encode_header(block.header);
  std::size_t size = 4 + header.size() + 4 + finality.size();
  for (const Bytes& record : block.records) size += 4 + record.size();
  Writer writer;
  writer.reserve(size);
  writer.blob(header);
  for (const Bytes& record : block.records) writer.blob(record);
  if (!finality.empty()) writer.blob(finality);
  return writer.take();
}

}  // namespace

Bytes encode_block(const Block& block) {
  return encode_parts(block, block.finality ? encode_finality(*block.finality) : Bytes());
}

Bytes encode_payload(const Block& block) {
  return encode_parts(block, {});
}

Result<Block> decode_block(ByteView bytes) {
  if (bytes.size() > block_size_max) {
    return Error{ErrorCode::limit,
                 fmt::format("block: {} bytes, at most {} are allowed", bytes.size(), block_size_max)};
  }
  Reader reader(bytes);
  const ByteView header = reader.blob(header_size_max);
  Block block;
  if (!reader.failed()) {
    UFAB_ASSIGN(block.header, decode_header(header));
  }
  if (block.header.record_count > block_records_max) reader.fail("too many records");
  for (std::uint32_t i = 0; i < block.header.record_count && !reader.failed(); ++i) {
    const ByteView record = reader.blob(record_size_max);
    block.records.emplace_back(record.begin(), record.end());
  }
  if (!reader.failed() && reader.remaining() > 0) {
    const ByteView finality = reader.blob(finality_size_max);
    if (!reader.failed()) {
      UFAB_ASSIGN(block.finality, decode_finality(finality));
    }
  }
  UFAB_TRY(reader.finish("block"));
  return block;
}

bool wants_certificate(const Block& block) {
  return block.finality && !block.finality->certificate;
}

std::vector<Digest> record_leaves(const std::vector<Bytes>& records) {
  std::vector<Digest> leaves;
  leaves.reserve(records.size());
  for (const Bytes& record : records) leaves.push_back(merkle::leaf_hash(record));
  return leaves;
}

}  // namespace ufab
