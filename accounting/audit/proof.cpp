#include "accounting/audit/proof.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "accounting/audit/audit.h"
#include "accounting/audit/walk.h"
#include "fabric/base/codec.h"
#include "fabric/base/merkle.h"

namespace ufab {

namespace {

constexpr std::string_view proof_magic = "ufabproof1\n";
constexpr std::size_t header_size_max = 1024;
constexpr std::size_t path_size_max = 64;
constexpr std::size_t key_links_max = 256;

void put_path(Writer& writer, const std::vector<Digest>& path) {
  writer.u32(static_cast<std::uint32_t>(path.size()));
  for (const Digest& step : path) writer.raw(step.view());
}

void put_placed(Writer& writer, const PlacedRecord& placed) {
  writer.blob(encode_header(placed.header));
  writer.u32(placed.position);
  writer.blob(placed.record);
  put_path(writer, placed.path);
}

std::vector<Digest> get_path(Reader& reader) {
  std::vector<Digest> path(reader.count(path_size_max, 32));
  for (Digest& step : path) {
    const ByteView bytes = reader.raw(32);
    if (!reader.failed()) step = Digest::from(bytes);
  }
  return path;
}

Bytes get_record(Reader& reader) {
  const ByteView bytes = reader.blob(record_size_max);
  return {bytes.begin(), bytes.end()};
}

BlockHeader get_header(Reader& reader) {
  auto header = decode_header(reader.blob(header_size_max));
  if (header.ok()) return *header;
  reader.fail("a block header that is none");
  return {};
}

PlacedRecord get_placed(Reader& reader) {
  PlacedRecord placed;
  placed.header = get_header(reader);
  placed.position = reader.u32();
  placed.record = get_record(reader);
  placed.path = get_path(reader);
  return placed;
}

Error wrong(const std::string& why) {
  return {ErrorCode::invalid, "proof: " + why};
}

// That the block is of the chain, signed by `key`, and holds the record at its position.
Status check_placed(const PlacedRecord& placed, const Digest& chain_id, const PublicKey& key) {
  const BlockHeader& header = placed.header;
  if (header.chain_id != chain_id) return wrong(fmt::format("block {} is of another chain", header.height));
  if (header.producer_key != key) {
    return wrong(
        fmt::format("block {} was made with a key that the chain of keys does not lead to", header.height));
  }
  if (!verify(key, header_signing_digest(header).view(), header.signature)) {
    return wrong(fmt::format("the signature of block {} is wrong", header.height));
  }
  if (!merkle::verify_inclusion(merkle::leaf_hash(placed.record), placed.position, header.record_count,
                                placed.path, header.record_root)) {
    return wrong(
        fmt::format("block {} does not hold the record at position {}", header.height, placed.position));
  }
  return {};
}

// A signed record must bear its signer's signature; a derived one has the block's.
Result<Record> check_record(ByteView bytes, const Digest& chain_id) {
  UFAB_ASSIGN(Record record, decode_record(bytes));
  if (!record_type_derived(record.type()) && !verify_record(chain_id, record)) {
    return wrong(fmt::format("the signature of {} is wrong", describe_record(record)));
  }
  return record;
}

PlacedRecord place(const AppliedBlock& applied, std::size_t position) {
  const std::vector<Digest> leaves = record_leaves(applied.block.records);
  return {applied.block.header, static_cast<std::uint32_t>(position), applied.block.records[position],
          merkle::inclusion_proof(leaves, position)};
}

// What `audit prove` is asked for.
struct Reference {
  std::optional<std::pair<std::uint64_t, std::uint64_t>> place;
  std::optional<JobId> settlement_of;
  std::string id_prefix;  // hexadecimal

  [[nodiscard]] bool matches(const AppliedBlock& applied, std::size_t position) const {
    if (place) return place->first == applied.block.header.height && place->second == position;
    if (settlement_of) {
      const auto* body = std::get_if<Settlement>(&applied.records[position].body);
      return body != nullptr && body->job == *settlement_of;
    }
    return record_id(applied.block.records[position]).hex().starts_with(id_prefix);
  }
};

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<Reference> parse_reference(const std::string& text) {
  Reference reference;
  const std::size_t slash = text.find('/');
  if (slash != std::string::npos) {
    const auto second = parse_number(std::string_view(text).substr(slash + 1));
    const auto first = parse_number(std::string_view(text).substr(0, slash));
    if (text.starts_with("job/") && second) {
      reference.settlement_of = *second;
      return reference;
    }
    if (first && second) {
      reference.place = {*first, *second};
      return reference;
    }
  } else {
    std::string_view hex = text;
    if (hex.starts_with("sha256:")) hex.remove_prefix(7);
    const bool good = hex.size() >= 8 && hex.size() <= 64 &&
                      hex.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (good) {
      reference.id_prefix = hex;
      return reference;
    }
  }
  return Error{ErrorCode::usage, fmt::format("reference '{}': expected BLOCK/POSITION, job/N or a record id "
                                             "(sha256:HEX, at least eight digits)",
                                             text)};
}

}  // namespace

Bytes encode_proof(const Proof& proof) {
  Writer writer;
  for (const char c : proof_magic) writer.u8(static_cast<std::uint8_t>(c));
  writer.blob(encode_header(proof.genesis_header));
  writer.blob(proof.genesis);
  writer.u32(static_cast<std::uint32_t>(proof.key_links.size()));
  for (const PlacedRecord& link : proof.key_links) put_placed(writer, link);
  put_placed(writer, proof.target);
  writer.flag(proof.has_next);
  if (proof.has_next) {
    writer.blob(proof.next);
    put_path(writer, proof.next_path);
  }
  return writer.take();
}

Result<Proof> decode_proof(ByteView bytes) {
  if (bytes.size() > proof_size_max) return wrong(fmt::format("larger than {} bytes", proof_size_max));
  Reader reader(bytes);
  if (as_text(reader.raw(proof_magic.size())) != proof_magic)
    return wrong("not a proof file of this version");
  Proof proof;
  proof.genesis_header = get_header(reader);
  proof.genesis = get_record(reader);
  const std::uint32_t links = reader.count(key_links_max, 16);
  for (std::uint32_t i = 0; i < links && !reader.failed(); ++i) proof.key_links.push_back(get_placed(reader));
  proof.target = get_placed(reader);
  proof.has_next = reader.flag();
  if (proof.has_next) {
    proof.next = get_record(reader);
    proof.next_path = get_path(reader);
  }
  UFAB_TRY(reader.finish("proof"));
  return proof;
}

Result<Bytes> audit_prove(const std::string& folder, const std::string& reference_text) {
  UFAB_ASSIGN(const Reference reference, parse_reference(reference_text));
  Proof proof;
  std::vector<PlacedRecord> key_links;
  std::size_t links_before_target = 0;
  std::uint64_t found = 0;
  Chain chain;
  SegmentLog::Scan scan;
  const auto visit = [&](const AppliedBlock& applied) -> Status {
    if (applied.block.header.height == 0) {
      proof.genesis_header = applied.block.header;
      proof.genesis = applied.block.records[0];
    }
    // A block is signed with the key that was the validator's before it.
    const std::size_t links_before_block = key_links.size();
    for (std::size_t i = 0; i < applied.records.size(); ++i) {
      if (reference.matches(applied, i) && ++found == 1) {
        proof.target = place(applied, i);
        links_before_target = links_before_block;
        if (i + 1 < applied.records.size()) {
          const PlacedRecord next = place(applied, i + 1);
          proof.has_next = true;
          proof.next = next.record;
          proof.next_path = next.path;
        }
      }
      const auto* change = std::get_if<KeyChange>(&applied.records[i].body);
      const State& state = chain.state();
      if (change != nullptr && state.organisation_of_any_key(applied.records[i].signer) == founder &&
          state.organisation_of_any_key(change->new_key) == founder) {
        key_links.push_back(place(applied, i));
      }
    }
    return {};
  };
  UFAB_TRY(audit::walk(folder, chain, scan, visit));
  if (found == 0) return Error{ErrorCode::not_found, fmt::format("no record is '{}'", reference_text)};
  if (found > 1) {
    return Error{ErrorCode::invalid,
                 fmt::format("'{}' fits {} records: give more digits", reference_text, found)};
  }
  key_links.resize(links_before_target);
  if (key_links.size() > key_links_max) return wrong(fmt::format("more than {} key changes", key_links_max));
  proof.key_links = std::move(key_links);
  return encode_proof(proof);
}

Result<ProofFacts> audit_check(ByteView bytes, std::optional<Digest> expected) {
  UFAB_ASSIGN(const Proof proof, decode_proof(bytes));
  UFAB_ASSIGN(const Record genesis, check_record(proof.genesis, {}));
  if (genesis.type() != RecordType::genesis) return wrong("it does not start with a genesis");
  ProofFacts facts;
  facts.chain_id = record_id(proof.genesis);
  if (expected && *expected != facts.chain_id) {
    return wrong(fmt::format("it is about chain {}, expected {}", facts.chain_id.str(), expected->str()));
  }
  PublicKey key = genesis.signer;
  if (proof.genesis_header.height != 0) return wrong("its genesis block is not block 0");
  UFAB_TRY(check_placed({proof.genesis_header, 0, proof.genesis, {}}, facts.chain_id, key));
  std::uint64_t height = 0;
  for (const PlacedRecord& link : proof.key_links) {
    UFAB_TRY(check_placed(link, facts.chain_id, key));
    UFAB_ASSIGN(const Record record, check_record(link.record, facts.chain_id));
    const auto* change = std::get_if<KeyChange>(&record.body);
    if (change == nullptr || record.signer != key || link.header.height < height) {
      return wrong("its chain of validator keys is broken");
    }
    if (!verify(change->new_key, key_change_digest(facts.chain_id, key, change->new_key).view(),
                change->proof)) {
      return wrong("a new validator key did not prove its possession");
    }
    key = change->new_key;
    height = link.header.height;
  }
  UFAB_TRY(check_placed(proof.target, facts.chain_id, key));
  UFAB_ASSIGN(facts.record, check_record(proof.target.record, facts.chain_id));
  facts.height = proof.target.header.height;
  facts.position = proof.target.position;
  facts.block_time_us = proof.target.header.time_us;
  const bool last = proof.target.position + 1 == proof.target.header.record_count;
  if (proof.has_next == last) return wrong("the record after the proven one is missing, or there is none");
  std::string fate = record_type_derived(facts.record.type()) ? "derived by the rules" : "accepted";
  if (proof.has_next) {
    UFAB_TRY(check_placed({proof.target.header, proof.target.position + 1, proof.next, proof.next_path},
                          facts.chain_id, key));
    UFAB_ASSIGN(const Record next, check_record(proof.next, facts.chain_id));
    const auto* refusal = std::get_if<Refusal>(&next.body);
    if (refusal != nullptr && refusal->record == record_id(proof.target.record)) {
      fate = "REFUSED: " + refusal->reason;
    }
  }
  facts.text = fmt::format(
      "chain    {} ({})\nblock    {} at {} us since 1970\nrecord   {} of {}: {}\nid       {}\nfate     "
      "{}\n{}\n",
      facts.chain_id.str(), std::get<Genesis>(genesis.body).chain_name, facts.height, facts.block_time_us,
      facts.position, proof.target.header.record_count, record_type_name(facts.record.type()),
      record_id(proof.target.record).str(), fate, record_json(facts.record));
  return facts;
}

}  // namespace ufab
