// Fuzz target: what validators send each other, evidence, and the vote log. Whatever decodes must encode to
// the same bytes.
#include <algorithm>
#include <cstdlib>

#include "accounting/consensus/vote_log.h"

namespace {

using namespace ufab;

void expect_same(const Bytes& again, ByteView input) {
  if (!std::equal(again.begin(), again.end(), input.begin(), input.end())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  if (const auto message = consensus::decode_message(input); message.ok())
    expect_same(consensus::encode_message(*message), input);
  if (const auto evidence = consensus::decode_evidence(input); evidence.ok())
    expect_same(consensus::encode_evidence(*evidence), input);
  if (const auto record = consensus::decode_vote_record(input); record.ok())
    expect_same(consensus::encode_vote_record(*record), input);
  if (const auto log = consensus::read_vote_log(input); log.ok() && !log->records.empty()) {
    consensus::VoteLogWriter writer;
    Bytes again;
    for (const consensus::VoteRecord& record : log->records) {
      const Bytes bytes = writer.append(record);
      again.insert(again.end(), bytes.begin(), bytes.end());
    }
    expect_same(again, input.first(log->size));
  }
  return 0;
}
