#include "accounting/records/record.h"

#include <fmt/format.h>

#include "accounting/records/codec.h"
#include "fabric/base/merkle.h"

namespace ufab {

namespace {

constexpr std::uint8_t record_version = 1;

void encode_unsigned(const Record& record, Writer& writer) {
  writer.u8(record_version);
  writer.u8(static_cast<std::uint8_t>(record.type()));
  writer.raw(record.signer.view());
  writer.u64(record.sequence);
  writer.u64(record.time_us);
  EncodeVisitor visitor(writer);
  std::visit([&](const auto& body) { body.fields(visitor, body); }, record.body);
}

// Sets `body` to a default value of the type with this number; false if there is none.
template <std::size_t I = 0>
bool emplace_type(RecordType type, RecordBody& body) {
  if constexpr (I == std::variant_size_v<RecordBody>) {
    return false;
  } else {
    if (std::variant_alternative_t<I, RecordBody>::type == type) {
      body.emplace<I>();
      return true;
    }
    return emplace_type<I + 1>(type, body);
  }
}

}  // namespace

RecordType type_of(const RecordBody& body) {
  return std::visit([](const auto& value) { return value.type; }, body);
}

Bytes encode_record(const Record& record) {
  Writer writer;
  encode_unsigned(record, writer);
  if (!record_type_derived(record.type())) writer.raw(record.signature.view());
  return writer.take();
}

Result<Record> decode_record(ByteView bytes) {
  if (bytes.size() > record_size_max) {
    return Error{ErrorCode::limit,
                 fmt::format("record: {} bytes, at most {} are allowed", bytes.size(), record_size_max)};
  }
  Reader reader(bytes);
  const std::uint8_t version = reader.u8();
  const std::uint8_t type = reader.u8();
  if (!reader.failed() && version != record_version) {
    return Error{ErrorCode::invalid, fmt::format("record: version {}, expected {}", version, record_version)};
  }
  Record record;
  if (!emplace_type(static_cast<RecordType>(type), record.body)) {
    return Error{ErrorCode::invalid, fmt::format("record: unknown type {}", type)};
  }
  DecodeVisitor visitor(reader);
  visitor("signer", record.signer);
  record.sequence = reader.u64();
  record.time_us = reader.u64();
  std::visit([&](auto& body) { body.fields(visitor, body); }, record.body);
  if (record_type_derived(record.type())) {
    if (!record.signer.is_zero()) reader.fail("a derived record with a signer");
  } else {
    visitor("signature", record.signature);
  }
  UFAB_TRY(reader.finish(fmt::format("record of type {}", record_type_name(record.type()))));
  return record;
}

RecordId record_id(ByteView encoding) {
  return sha256(encoding);
}
RecordId record_id(const Record& record) {
  return sha256(encode_record(record));
}

namespace {

Digest signing_digest_of(const Digest& chain_id, ByteView unsigned_encoding) {
  Sha256 hash;
  hash.update("ufab record 1\n").update(chain_id.view()).update(unsigned_encoding);
  return hash.finish();
}

}  // namespace

Digest signing_digest(const Digest& chain_id, const Record& record) {
  Writer writer;
  encode_unsigned(record, writer);
  return signing_digest_of(chain_id, writer.bytes());
}

Record sign_record(const Digest& chain_id, const KeyPair& key, std::uint64_t sequence, std::uint64_t time_us,
                   RecordBody body) {
  Record record{key.public_key(), sequence, time_us, std::move(body), {}};
  const Digest chain = record.type() == RecordType::genesis ? Digest{} : chain_id;
  record.signature = key.sign(signing_digest(chain, record).view());
  return record;
}

bool verify_record(const Digest& chain_id, const Record& record) {
  return verify_record(chain_id, record, encode_record(record));
}

bool verify_record(const Digest& chain_id, const Record& record, ByteView encoding) {
  if (record_type_derived(record.type())) return false;
  const Digest chain = record.type() == RecordType::genesis ? Digest{} : chain_id;
  const ByteView signed_part = encoding.first(encoding.size() - record.signature.bytes.size());
  return verify(record.signer, signing_digest_of(chain, signed_part).view(), record.signature);
}

Digest key_change_digest(const Digest& chain_id, const PublicKey& from, const PublicKey& to) {
  Sha256 hash;
  hash.update("ufab key change 1\n").update(chain_id.view()).update(from.view()).update(to.view());
  return hash.finish();
}

Digest agent_enrol_digest(const Digest& chain_id, const PublicKey& owner, const PublicKey& agent) {
  Sha256 hash;
  hash.update("ufab agent enrol 1\n").update(chain_id.view()).update(owner.view()).update(agent.view());
  return hash.finish();
}

Digest benchmark_challenge(const Digest& block_hash, OrgId organisation) {
  Sha256 hash;
  hash.update("ufab benchmark 1\n").update(block_hash.view()).update_u64(organisation);
  return hash.finish();
}

Digest benchmark_lane_seed(const Digest& challenge, std::uint32_t lane) {
  Sha256 hash;
  hash.update("ufab lane 1\n").update(challenge.view()).update_u64(lane);
  return hash.finish();
}

std::string describe_record(const Record& record) {
  return fmt::format("{} {}", record_type_name(record.type()), record_id(record).hex().substr(0, 12));
}

Digest receipt_digest(const Receipt& receipt) {
  return merkle::leaf_hash(encode_fields(receipt));
}
std::vector<Digest> receipt_digests(const std::vector<Receipt>& receipts) {
  std::vector<Digest> digests;
  digests.reserve(receipts.size());
  Writer writer;  // one memory for all
  EncodeVisitor visitor(writer);
  for (const Receipt& receipt : receipts) {
    writer.clear();
    Receipt::fields(visitor, receipt);
    digests.push_back(merkle::leaf_hash(writer.bytes()));
  }
  return digests;
}
Digest usage_receipt_digest(const UsageReceipt& receipt) {
  return merkle::leaf_hash(encode_fields(receipt));
}

ReceiptBatch ReceiptBatch::of(std::vector<Receipt> receipts) {
  return {merkle::root(receipt_digests(receipts)), std::move(receipts)};
}

bool is_printable_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t k) -> std::uint32_t {
      return i + k < text.size() ? static_cast<std::uint8_t>(text[i + k]) : 0;
    };
    const std::uint32_t first = byte(0);
    std::size_t size = 1;
    std::uint32_t point = first;
    std::uint32_t smallest = 0x20;
    if (first >= 0xf0 && first < 0xf8) {
      size = 4, point = first & 0x07, smallest = 0x10000;
    } else if (first >= 0xe0 && first < 0xf0) {
      size = 3, point = first & 0x0f, smallest = 0x800;
    } else if (first >= 0xc0 && first < 0xe0) {
      size = 2, point = first & 0x1f, smallest = 0x80;
    } else if (first >= 0x80) {
      return false;
    }
    for (std::size_t k = 1; k < size; ++k) {
      if ((byte(k) & 0xc0) != 0x80) return false;
      point = point << 6 | (byte(k) & 0x3f);
    }
    const bool control = point == 0x7f || (point >= 0x80 && point < 0xa0);
    const bool surrogate = point >= 0xd800 && point < 0xe000;
    if (point < smallest || point > 0x10ffff || control || surrogate) return false;
    i += size;
  }
  return true;
}

}  // namespace ufab
