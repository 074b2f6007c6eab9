// Fuzz target: records and blocks. Whatever decodes must encode to the same bytes.
#include <cstdlib>

#include "accounting/chain/block.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ufab::ByteView input(data, size);
  if (const auto record = ufab::decode_record(input); record.ok()) {
    const ufab::Bytes again = ufab::encode_record(*record);
    if (!std::equal(again.begin(), again.end(), input.begin(), input.end())) std::abort();
    if (ufab::record_json(*record).empty()) std::abort();
  }
  if (const auto block = ufab::decode_block(input); block.ok()) {
    const ufab::Bytes again = ufab::encode_block(*block);
    if (!std::equal(again.begin(), again.end(), input.begin(), input.end())) std::abort();
  }
  return 0;
}
