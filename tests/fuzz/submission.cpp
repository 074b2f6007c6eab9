// Fuzz target: entries of the submission journal. Whatever decodes must encode to the same bytes.
#include <algorithm>
#include <cstdlib>

#include "jobs/node/submission_journal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ufab::ByteView input(data, size);
  const auto entry = ufab::jobs::decode_journal_entry(input);
  if (!entry.ok()) return 0;
  const ufab::Bytes again = ufab::jobs::encode_journal_entry(*entry);
  if (!std::equal(again.begin(), again.end(), input.begin(), input.end())) std::abort();
  return 0;
}
