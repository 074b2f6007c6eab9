// Fuzz target: what replicas send each other beside votes: requests for blocks, answers with them, and
// records. A request that decodes must encode to the same bytes; every block of an answer is the one that its
// header names; records that are taken, of the chain whose id the input begins with, are the bytes that came.
#include "accounting/replica/chain_messages.h"

#include <algorithm>
#include <cstdlib>

#include "accounting/replica/replica.h"

namespace {

using namespace ufab;

void expect_same(const Bytes& again, ByteView input) {
  if (!std::equal(again.begin(), again.end(), input.begin(), input.end())) std::abort();
}

void try_chain(ByteView input) {
  const auto message = decode_chain_message(input);
  if (!message.ok()) return;
  if (const auto* request = std::get_if<ChainRequest>(&*message))
    return expect_same(encode_chain_request(*request), input);
  for (const consensus::ProposalPtr& block : std::get<ChainAnswer>(*message).blocks) {
    if (block->digest != consensus::header_digest(block->header)) std::abort();
    if (block->header.payload_hash != consensus::payload_hash(block->payload)) std::abort();
  }
}

void try_records(ByteView input) {
  if (input.size() < 32) return;
  const ByteView bytes = input.subspan(32);
  const auto records = decode_records(bytes, Digest::from(input.first(32)), 1);
  if (!records.ok()) return;
  std::vector<const PooledRecord*> all;
  for (const PooledRecord& record : *records) {
    expect_same(encode_record(record.record), record.encoding);
    all.push_back(&record);
  }
  expect_same(encode_records(all), bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  try_chain(input);
  try_records(input);
  return 0;
}
