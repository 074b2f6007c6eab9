// Fuzz target: proof files. Whatever decodes must encode to the same bytes, and checking never crashes.
#include "accounting/audit/proof.h"

#include <cstdlib>

#include "accounting/audit/audit.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ufab::ByteView input(data, size);
  if (const auto proof = ufab::decode_proof(input); proof.ok()) {
    const ufab::Bytes again = ufab::encode_proof(*proof);
    if (!std::equal(again.begin(), again.end(), input.begin(), input.end())) std::abort();
  }
  if (const auto facts = ufab::audit_check(input); facts.ok() && facts->text.empty()) std::abort();
  return 0;
}
