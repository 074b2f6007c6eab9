#include "accounting/consensus/vote_log.h"

#include <algorithm>

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

namespace {

constexpr std::string_view head = "ufabvot1";
constexpr std::size_t check_size = 8;
constexpr std::size_t frame_head_size = 4 + check_size;
constexpr std::size_t record_size_max = payload_size_max + (1U << 20);

// The full digest is carried on, its first eight bytes are written.
Digest chained(const Digest& previous, ByteView bytes) {
  return sha256(previous.view(), bytes);
}

bool matches(ByteView written, const Digest& check) {
  return std::equal(written.begin(), written.end(), check.bytes.begin());
}

}  // namespace

bool operator==(const VoteRecord& a, const VoteRecord& b) {
  const auto same = [](const auto& x, const auto& y) { return x == y || (x && y && *x == *y); };
  return a.vote == b.vote && same(a.proposal, b.proposal) && same(a.certificate, b.certificate);
}

Bytes encode_vote_record(const VoteRecord& record) {
  Writer writer;
  write_vote(writer, record.vote);
  writer.flag(record.proposal != nullptr);
  if (record.proposal) write_proposal(writer, *record.proposal);
  writer.flag(record.certificate != nullptr);
  if (record.certificate) write_certificate(writer, *record.certificate);
  return writer.take();
}

Result<VoteRecord> decode_vote_record(ByteView bytes) {
  Reader reader(bytes);
  VoteRecord record;
  record.vote = read_vote(reader);
  if (reader.flag()) record.proposal = read_proposal(reader);
  if (reader.flag()) record.certificate = read_certificate(reader);
  UFAB_TRY(reader.finish("vote record"));
  return record;
}

Bytes VoteLogWriter::append(const VoteRecord& record) {
  const Bytes body = encode_vote_record(record);
  UFAB_ASSERT(body.size() <= record_size_max);
  Writer writer;
  writer.reserve(body.size() + 64);
  if (!begun_) writer.raw(as_bytes(head));
  begun_ = true;
  Writer size;
  size.u32(static_cast<std::uint32_t>(body.size()));
  check_ = chained(check_, size.bytes());
  writer.raw(size.bytes());
  writer.raw(check_.view().first(check_size));
  check_ = chained(check_, body);
  writer.raw(body);
  writer.raw(check_.view().first(check_size));
  return writer.take();
}

Result<VoteLog> read_vote_log(ByteView file) {
  const auto corrupt = [](std::size_t at, const char* what) {
    return Error{ErrorCode::corrupt, "vote log: " + std::string(what) + " at byte " + std::to_string(at) +
                                         "; its key must not vote again"};
  };
  VoteLog log;
  if (!std::equal(file.begin(),
                  file.begin() + static_cast<std::ptrdiff_t>(std::min(file.size(), head.size())),
                  head.begin()))
    return corrupt(0, "not the head of a vote log");
  if (file.size() < head.size()) return log;
  std::size_t at = log.size = head.size();
  while (file.size() - at >= frame_head_size) {
    const ByteView size_bytes = file.subspan(at, 4);
    const Digest size_check = chained(log.check, size_bytes);
    if (!matches(file.subspan(at + 4, check_size), size_check)) {
      if (planted(Flaw::ignored_damage)) return log;
      return corrupt(at, "a damaged size");
    }
    const std::size_t size = Reader(size_bytes).u32();
    const std::size_t left = file.size() - at - frame_head_size;
    if (left < size + check_size) break;
    const ByteView body = file.subspan(at + frame_head_size, size);
    const Digest check = chained(size_check, body);
    if (!matches(file.subspan(at + frame_head_size + size, check_size), check)) {
      if (planted(Flaw::ignored_damage)) return log;
      return corrupt(at, "a damaged record");
    }
    auto record = decode_vote_record(body);
    if (!record.ok()) return corrupt(at, record.error().message.c_str());
    log.records.push_back(std::move(*record));
    log.check = check;
    at += frame_head_size + size + check_size;
    log.size = at;
  }
  return log;
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
