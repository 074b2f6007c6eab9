#include "accounting/chain/finality.h"

#include <fmt/format.h>

namespace ufab {

namespace {

void put(Writer& writer, const SignedHeader& part) {
  consensus::write_header(writer, part.header);
  writer.raw(part.leader.view());
}

SignedHeader get(Reader& reader) {
  SignedHeader part;
  part.header = consensus::read_header(reader);
  const ByteView signature = reader.raw(part.leader.bytes.size());
  if (!reader.failed()) std::copy(signature.begin(), signature.end(), part.leader.bytes.begin());
  return part;
}

constexpr std::size_t signed_header_size = 32 + 4 * 8 + 32 + 32 + 1 + 64;

Error wrong(const char* what) {
  return {ErrorCode::corrupt, what};
}

}  // namespace

Bytes encode_finality(const Finality& finality) {
  Writer writer;
  put(writer, finality.proposal);
  writer.u32(static_cast<std::uint32_t>(finality.seals.size()));
  for (const SignedHeader& seal : finality.seals) put(writer, seal);
  writer.flag(finality.certificate != nullptr);
  if (finality.certificate) consensus::write_certificate(writer, *finality.certificate);
  return writer.take();
}

Result<Finality> decode_finality(ByteView bytes) {
  Reader reader(bytes);
  Finality finality;
  finality.proposal = get(reader);
  const std::uint32_t seals = reader.count(seals_max, signed_header_size);
  for (std::uint32_t i = 0; i < seals && !reader.failed(); ++i) finality.seals.push_back(get(reader));
  if (reader.flag()) finality.certificate = consensus::read_certificate(reader);
  UFAB_TRY(reader.finish("finality"));
  return finality;
}

Result<consensus::ValidatorSet> validators_of(const std::vector<Seat>& seats) {
  std::vector<consensus::Validator> validators;
  validators.reserve(seats.size());
  for (const Seat& seat : seats) validators.push_back({seat.key, seat.weight_ppm, seat.pledge});
  return consensus::ValidatorSet::make(std::move(validators));
}

Status check_finality(const Finality& finality, const FinalityContext& context,
                      const consensus::SignatureScheme& scheme) {
  const consensus::Header& header = finality.proposal.header;
  if (header.height != context.height || header.payload_hash != context.payload_hash || header.seal)
    return wrong("its proposal carries another block");
  consensus::View parent_view = context.parent_view;
  Digest parent = context.parent;
  const auto check_part = [&](const SignedHeader& part) -> Status {
    if (part.header.chain_id != context.chain_id || part.header.epoch != context.epoch)
      return wrong("its proposal belongs to another epoch or chain");
    if (part.header.parent != parent || part.header.parent_view != parent_view ||
        part.header.view <= parent_view)
      return wrong("its proposal does not follow the one before");
    const Digest digest = consensus::header_digest(part.header);
    const consensus::Vote vote{context.epoch,
                               part.header.view,
                               consensus::VoteKind::propose,
                               digest,
                               context.leader(part.header.view),
                               part.leader};
    if (!consensus::verify_vote(context.chain_id, context.validators, vote, scheme))
      return wrong("its proposal was not signed by the leader of its view");
    parent = digest;
    parent_view = part.header.view;
    return {};
  };
  UFAB_TRY(check_part(finality.proposal));
  for (const SignedHeader& seal : finality.seals) {
    if (!seal.header.seal || seal.header.height != context.height ||
        seal.header.payload_hash != consensus::payload_hash(ByteView{}))
      return wrong("a seal after it is none");
    UFAB_TRY(check_part(seal));
  }
  const consensus::CertificatePtr& certificate = finality.certificate;
  if (!certificate) {
    if (!finality.seals.empty()) return wrong("it has seals and no certificate");
    return {};
  }
  if (certificate->kind != consensus::VoteKind::finalise || certificate->epoch != context.epoch ||
      certificate->view != parent_view || certificate->block != parent)
    return wrong("its certificate is for something else");
  if (!consensus::verify_certificate(context.chain_id, context.validators, *certificate, scheme))
    return wrong("its certificate does not hold: too few votes, or a wrong signature");
  return {};
}

}  // namespace ufab
