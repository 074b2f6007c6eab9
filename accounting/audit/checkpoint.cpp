#include "accounting/audit/checkpoint.h"

#include <fmt/format.h>

#include "fabric/base/codec.h"

namespace ufab {

namespace {

constexpr std::string_view checkpoint_magic = "ufabcheckpoint1\n";
constexpr std::size_t header_size_max = 1024;
constexpr std::size_t header_size_min = 200;
constexpr std::size_t path_size_max = 64;

BlockHeader read_block_header(Reader& reader) {
  auto header = decode_header(reader.blob(header_size_max));
  if (header.ok()) return *header;
  reader.fail("a block header that is none");
  return {};
}

void write_headers(Writer& writer, const std::vector<BlockHeader>& headers) {
  writer.u32(static_cast<std::uint32_t>(headers.size()));
  for (const BlockHeader& header : headers) writer.blob(encode_header(header));
}

std::vector<BlockHeader> read_headers(Reader& reader, std::size_t count_max) {
  std::vector<BlockHeader> headers;
  const std::uint32_t count = reader.count(count_max, header_size_min);
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) headers.push_back(read_block_header(reader));
  return headers;
}

void write_final(Writer& writer, const FinalHeader& block) {
  write_headers(writer, block.headers);
  writer.flag(block.finality.has_value());
  if (!block.finality) return;
  writer.blob(encode_finality(*block.finality));
  writer.raw(block.rest_hash.view());
}

FinalHeader read_final(Reader& reader) {
  FinalHeader block;
  block.headers = read_headers(reader, run_max);
  if (block.headers.empty()) {
    reader.fail("a block without a header");
    block.headers.emplace_back();
  }
  if (!reader.flag()) {
    if (block.headers.size() > 1) reader.fail("headers that lead to no votes");
    return block;
  }
  auto finality = decode_finality(reader.blob(finality_size_max));
  if (!finality.ok() || !finality->certificate) {
    reader.fail("votes without a certificate");
    return block;
  }
  block.finality = std::move(*finality);
  const ByteView hash = reader.raw(32);
  if (!reader.failed()) block.rest_hash = Digest::from(hash);
  return block;
}

template <std::size_t size>
void read_array(Reader& reader, std::array<std::uint8_t, size>& to) {
  const ByteView bytes = reader.raw(size);
  if (!reader.failed()) std::copy(bytes.begin(), bytes.end(), to.begin());
}

}  // namespace

void write_path(Writer& writer, const std::vector<Digest>& path) {
  writer.u32(static_cast<std::uint32_t>(path.size()));
  for (const Digest& step : path) writer.raw(step.view());
}

std::vector<Digest> read_path(Reader& reader) {
  std::vector<Digest> path(reader.count(path_size_max, 32));
  for (Digest& step : path) read_array(reader, step.bytes);
  return path;
}

Bytes read_record(Reader& reader) {
  const ByteView bytes = reader.blob(record_size_max);
  return {bytes.begin(), bytes.end()};
}

void write_placed(Writer& writer, const PlacedRecord& placed) {
  write_final(writer, placed.block);
  writer.u32(placed.position);
  writer.blob(placed.record);
  write_path(writer, placed.path);
}

PlacedRecord read_placed(Reader& reader) {
  PlacedRecord placed;
  placed.block = read_final(reader);
  placed.position = reader.u32();
  placed.record = read_record(reader);
  placed.path = read_path(reader);
  return placed;
}

void write_checkpoint(Writer& writer, const ChainCheckpoint& checkpoint) {
  writer.raw(as_bytes(checkpoint_magic));
  writer.blob(encode_header(checkpoint.genesis_header));
  writer.blob(checkpoint.genesis);
  writer.u32(static_cast<std::uint32_t>(checkpoint.links.size()));
  for (const PlacedRecord& link : checkpoint.links) write_placed(writer, link);
  write_headers(writer, checkpoint.trail);
  write_final(writer, checkpoint.head);
  writer.u32(static_cast<std::uint32_t>(checkpoint.cosignatures.size()));
  for (const Cosignature& item : checkpoint.cosignatures) {
    writer.raw(item.witness.view());
    writer.raw(item.signature.view());
  }
}

ChainCheckpoint read_checkpoint(Reader& reader) {
  ChainCheckpoint checkpoint;
  if (as_text(reader.raw(checkpoint_magic.size())) != checkpoint_magic)
    reader.fail("no checkpoint of this version");
  checkpoint.genesis_header = read_block_header(reader);
  checkpoint.genesis = read_record(reader);
  const std::uint32_t links = reader.count(checkpoint_links_max, header_size_min);
  for (std::uint32_t i = 0; i < links && !reader.failed(); ++i)
    checkpoint.links.push_back(read_placed(reader));
  checkpoint.trail = read_headers(reader, trail_max);
  checkpoint.head = read_final(reader);
  const std::uint32_t cosignatures = reader.count(cosignatures_max, 96);
  for (std::uint32_t i = 0; i < cosignatures && !reader.failed(); ++i) {
    Cosignature item;
    read_array(reader, item.witness.bytes);
    read_array(reader, item.signature.bytes);
    if (i > 0 && checkpoint.cosignatures.back().witness >= item.witness)
      reader.fail("cosignatures in another order, or one twice");
    checkpoint.cosignatures.push_back(item);
  }
  return checkpoint;
}

Bytes encode_checkpoint(const ChainCheckpoint& checkpoint) {
  Writer writer;
  write_checkpoint(writer, checkpoint);
  return writer.take();
}

bool is_checkpoint(ByteView bytes) {
  return as_text(bytes).starts_with(checkpoint_magic);
}

Result<ChainCheckpoint> decode_checkpoint(ByteView bytes) {
  if (bytes.size() > checkpoint_size_max) {
    return Error{ErrorCode::limit, fmt::format("checkpoint: {} bytes, at most {} are allowed", bytes.size(),
                                               checkpoint_size_max)};
  }
  Reader reader(bytes);
  ChainCheckpoint checkpoint = read_checkpoint(reader);
  UFAB_TRY(reader.finish("checkpoint"));
  return checkpoint;
}

Digest cosignature_digest(const BlockHeader& head) {
  Sha256 hash;
  hash.update("ufab checkpoint cosignature 1\n").update(head.chain_id.view()).update_u64(head.height);
  return hash.update(block_hash(head).view()).finish();
}

}  // namespace ufab
