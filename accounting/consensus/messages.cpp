#include "accounting/consensus/messages.h"

#include <algorithm>

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

namespace {

constexpr std::uint8_t tag_vote = 1, tag_certificate = 2, tag_proposal = 3, tag_request = 4;

VoteKind read_kind(Reader& reader) {
  const std::uint8_t kind = reader.u8();
  if (kind < 1 || kind > 4) {
    reader.fail("has no such kind of vote");
    return VoteKind::notarise;
  }
  return static_cast<VoteKind>(kind);
}

Digest read_digest(Reader& reader) {
  const ByteView bytes = reader.raw(32);
  return reader.failed() ? Digest{} : Digest::from(bytes);
}

Signature read_signature(Reader& reader) {
  Signature signature;
  const ByteView bytes = reader.raw(signature.bytes.size());
  if (!reader.failed()) std::copy(bytes.begin(), bytes.end(), signature.bytes.begin());
  return signature;
}

// A vote to skip names no block, every other vote names one.
void check_block(Reader& reader, VoteKind kind, const Digest& block) {
  if (!reader.failed() && (kind == VoteKind::skip) != block.is_zero())
    reader.fail("has a block where none belongs, or none where one does");
}

bool verify_signature(const SignatureScheme& scheme, const PublicKey& key, ByteView message,
                      const Signature& signature) {
  return planted(Flaw::unchecked_signature) || scheme.verify(key, message, signature);
}

}  // namespace

void write_header(Writer& writer, const Header& header) {
  writer.raw(header.chain_id.view());
  writer.u64(header.epoch);
  writer.u64(header.view);
  writer.u64(header.height);
  writer.u64(header.parent_view);
  writer.raw(header.parent.view());
  writer.raw(header.payload_hash.view());
  writer.flag(header.seal);
}

Header read_header(Reader& reader) {
  Header header;
  header.chain_id = read_digest(reader);
  header.epoch = reader.u64();
  header.view = reader.u64();
  header.height = reader.u64();
  header.parent_view = reader.u64();
  header.parent = read_digest(reader);
  header.payload_hash = read_digest(reader);
  header.seal = reader.flag();
  return header;
}

PayloadParts payload_parts(ByteView payload) {
  Reader reader(payload);
  const std::size_t size = reader.u32();
  if (reader.failed() || size > reader.remaining()) return {payload, {}};
  return {payload.first(4 + size), payload.subspan(4 + size)};
}

Digest payload_hash(ByteView head, const Digest& rest_hash) {
  Sha256 hash;
  return hash.update(sha256(head).view()).update(rest_hash.view()).finish();
}

Digest payload_hash(ByteView payload) {
  const PayloadParts parts = payload_parts(payload);
  return payload_hash(parts.head, sha256(parts.rest));
}

Bytes vote_signing_bytes(const Digest& chain_id, std::uint64_t epoch, View view, VoteKind kind,
                         const Digest& block) {
  Writer writer;
  writer.reserve(128);
  writer.raw(as_bytes("ufab consensus vote 1\n"));
  writer.raw(chain_id.view());
  writer.u64(epoch);
  writer.u64(view);
  writer.u8(static_cast<std::uint8_t>(kind));
  writer.raw(block.view());
  return writer.take();
}

Digest header_digest(const Header& header) {
  Writer writer;
  writer.raw(as_bytes("ufab consensus block 1\n"));
  write_header(writer, header);
  return sha256(writer.bytes());
}

Proposal make_proposal(Header header, Bytes payload, const Signer& leader) {
  Proposal proposal;
  header.payload_hash = payload_hash(payload);
  proposal.header = header;
  proposal.payload = std::move(payload);
  proposal.digest = header_digest(header);
  proposal.signature = leader.sign(
      vote_signing_bytes(header.chain_id, header.epoch, header.view, VoteKind::propose, proposal.digest));
  return proposal;
}

bool votes_conflict(VoteKind a, const Digest& block_a, VoteKind b, const Digest& block_b) {
  if (a == b) return block_a != block_b;
  return (a == VoteKind::skip && b == VoteKind::finalise) || (a == VoteKind::finalise && b == VoteKind::skip);
}

bool verify_vote(const Digest& chain_id, const ValidatorSet& set, const Vote& vote,
                 const SignatureScheme& scheme) {
  return vote.seat < set.size() &&
         verify_signature(scheme, set[vote.seat].key,
                          vote_signing_bytes(chain_id, vote.epoch, vote.view, vote.kind, vote.block),
                          vote.signature);
}

bool verify_certificate(const Digest& chain_id, const ValidatorSet& set, const Certificate& certificate,
                        const SignatureScheme& scheme, const std::function<bool(std::size_t)>& known) {
  if (certificate.validators != set.size() || certificate.signers.size() != certificate.signatures.size())
    return false;
  Tally tally(set);
  for (std::size_t i = 0; i < certificate.signers.size(); ++i) {
    if (certificate.signers[i] >= set.size()) return false;
    if (i > 0 && certificate.signers[i] <= certificate.signers[i - 1]) return false;
    tally.add(certificate.signers[i]);
  }
  if (!tally.is_quorum()) return false;
  const Bytes message =
      vote_signing_bytes(chain_id, certificate.epoch, certificate.view, certificate.kind, certificate.block);
  for (std::size_t i = 0; i < certificate.signers.size(); ++i) {
    if (known && known(i)) continue;
    if (!verify_signature(scheme, set[certificate.signers[i]].key, message, certificate.signatures[i]))
      return false;
  }
  return true;
}

Status verify_evidence(const Evidence& evidence, const SignatureScheme& scheme) {
  const Evidence::Part& a = evidence.first;
  const Evidence::Part& b = evidence.second;
  if (!votes_conflict(a.kind, a.block, b.kind, b.block))
    return Error{ErrorCode::invalid, "evidence: the two votes do not conflict"};
  for (const Evidence::Part* part : {&a, &b}) {
    const Bytes message =
        vote_signing_bytes(evidence.chain_id, evidence.epoch, evidence.view, part->kind, part->block);
    if (!scheme.verify(evidence.key, message, part->signature)) {
      return Error{ErrorCode::invalid, "evidence: the " + std::string(vote_kind_name(part->kind)) +
                                           " vote is not signed by " + evidence.key.hex()};
    }
  }
  return {};
}

void write_vote(Writer& writer, const Vote& vote) {
  writer.u64(vote.epoch);
  writer.u64(vote.view);
  writer.u8(static_cast<std::uint8_t>(vote.kind));
  writer.raw(vote.block.view());
  writer.u16(vote.seat);
  writer.raw(vote.signature.view());
}

Vote read_vote(Reader& reader) {
  Vote vote;
  vote.epoch = reader.u64();
  vote.view = reader.u64();
  vote.kind = read_kind(reader);
  vote.block = read_digest(reader);
  vote.seat = reader.u16();
  vote.signature = read_signature(reader);
  check_block(reader, vote.kind, vote.block);
  if (vote.seat >= validators_max) reader.fail("has a seat above the bound");
  return vote;
}

void write_certificate(Writer& writer, const Certificate& certificate) {
  UFAB_ASSERT(certificate.signers.size() == certificate.signatures.size());
  writer.u64(certificate.epoch);
  writer.u64(certificate.view);
  writer.u8(static_cast<std::uint8_t>(certificate.kind));
  writer.raw(certificate.block.view());
  writer.u16(certificate.validators);
  Bytes bitmap((certificate.validators + 7U) / 8U, 0);
  for (const Seat seat : certificate.signers) {
    UFAB_ASSERT(seat < certificate.validators);
    bitmap[seat / 8U] = static_cast<std::uint8_t>(bitmap[seat / 8U] | 1U << (seat % 8U));
  }
  writer.raw(bitmap);
  for (const Signature& signature : certificate.signatures) writer.raw(signature.view());
}

CertificatePtr read_certificate(Reader& reader) {
  auto certificate = std::make_shared<Certificate>();
  certificate->epoch = reader.u64();
  certificate->view = reader.u64();
  certificate->kind = read_kind(reader);
  if (certificate->kind == VoteKind::propose) reader.fail("is a certificate of proposals");
  certificate->block = read_digest(reader);
  check_block(reader, certificate->kind, certificate->block);
  certificate->validators = reader.u16();
  if (certificate->validators > validators_max) reader.fail("has more validators than the bound");
  if (reader.failed()) return certificate;
  const ByteView bitmap = reader.raw((certificate->validators + 7U) / 8U);
  for (std::size_t i = 0; i < bitmap.size() * 8; ++i) {
    if ((bitmap[i / 8] >> (i % 8) & 1) == 0) continue;
    if (i >= certificate->validators) reader.fail("has a signer that is no validator");
    certificate->signers.push_back(static_cast<Seat>(i));
  }
  if (certificate->signers.empty()) reader.fail("has no signer");
  for (std::size_t i = 0; i < certificate->signers.size() && !reader.failed(); ++i)
    certificate->signatures.push_back(read_signature(reader));
  return certificate;
}

void write_proposal(Writer& writer, const Proposal& proposal) {
  writer.reserve(proposal.payload.size() + 256);
  write_header(writer, proposal.header);
  writer.blob(proposal.payload);
  writer.raw(proposal.signature.view());
}

ProposalPtr read_proposal(Reader& reader) {
  auto proposal = std::make_shared<Proposal>();
  proposal->header = read_header(reader);
  const ByteView payload = reader.blob(payload_size_max);
  proposal->payload.assign(payload.begin(), payload.end());
  proposal->signature = read_signature(reader);
  if (!reader.failed() && payload_hash(payload) != proposal->header.payload_hash)
    reader.fail("has a payload that is not the header's");
  proposal->digest = header_digest(proposal->header);
  return proposal;
}

namespace {

struct MessageWriter {
  Writer& writer;
  void operator()(const Vote& vote) const {
    writer.u8(tag_vote);
    write_vote(writer, vote);
  }
  void operator()(const CertificatePtr& certificate) const {
    writer.u8(tag_certificate);
    write_certificate(writer, *certificate);
  }
  void operator()(const ProposalPtr& proposal) const {
    writer.u8(tag_proposal);
    write_proposal(writer, *proposal);
  }
  void operator()(const BlockRequest& request) const {
    writer.u8(tag_request);
    writer.u64(request.epoch);
    writer.u64(request.view);
    writer.raw(request.block.view());
  }
};

Message read_message(Reader& reader) {
  switch (reader.u8()) {
    case tag_vote: return read_vote(reader);
    case tag_certificate: return read_certificate(reader);
    case tag_proposal: return read_proposal(reader);
    case tag_request: {
      BlockRequest request;
      request.epoch = reader.u64();
      request.view = reader.u64();
      request.block = read_digest(reader);
      return request;
    }
    default: reader.fail("has no such tag"); return BlockRequest{};
  }
}

void write_part(Writer& writer, const Evidence::Part& part) {
  writer.u8(static_cast<std::uint8_t>(part.kind));
  writer.raw(part.block.view());
  writer.raw(part.signature.view());
}

Evidence::Part read_part(Reader& reader) {
  Evidence::Part part;
  part.kind = read_kind(reader);
  part.block = read_digest(reader);
  part.signature = read_signature(reader);
  check_block(reader, part.kind, part.block);
  return part;
}

bool in_order(const Evidence& evidence) {
  const auto key = [](const Evidence::Part& part) { return std::pair(part.kind, part.block); };
  return key(evidence.first) < key(evidence.second);
}

}  // namespace

Bytes encode_message(const Message& message) {
  Writer writer;
  std::visit(MessageWriter{writer}, message);
  return writer.take();
}

Result<Message> decode_message(ByteView bytes) {
  Reader reader(bytes);
  Message message = read_message(reader);
  UFAB_TRY(reader.finish("consensus message"));
  return message;
}

Bytes encode_evidence(const Evidence& evidence) {
  UFAB_ASSERT(in_order(evidence));
  Writer writer;
  writer.raw(evidence.chain_id.view());
  writer.u64(evidence.epoch);
  writer.u64(evidence.view);
  writer.raw(evidence.key.view());
  write_part(writer, evidence.first);
  write_part(writer, evidence.second);
  return writer.take();
}

Result<Evidence> decode_evidence(ByteView bytes) {
  Reader reader(bytes);
  Evidence evidence;
  evidence.chain_id = read_digest(reader);
  evidence.epoch = reader.u64();
  evidence.view = reader.u64();
  const ByteView key = reader.raw(evidence.key.bytes.size());
  if (!reader.failed()) std::copy(key.begin(), key.end(), evidence.key.bytes.begin());
  evidence.first = read_part(reader);
  evidence.second = read_part(reader);
  if (!reader.failed() && !in_order(evidence)) reader.fail("has its votes in the wrong order");
  if (!reader.failed() &&
      !votes_conflict(evidence.first.kind, evidence.first.block, evidence.second.kind, evidence.second.block))
    reader.fail("has two votes that do not conflict");
  UFAB_TRY(reader.finish("evidence"));
  return evidence;
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
