// Fuzz target: checkpoint files. Whatever decodes must encode to the same bytes, and following it never crashes.
#include "accounting/audit/checkpoint.h"

#include <cstdlib>

#include "accounting/audit/light.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ufab::ByteView input(data, size);
  const auto checkpoint = ufab::decode_checkpoint(input);
  if (!checkpoint.ok()) return 0;
  const ufab::Bytes again = ufab::encode_checkpoint(*checkpoint);
  if (!std::equal(again.begin(), again.end(), input.begin(), input.end())) std::abort();
  const auto chain = ufab::LightChain::follow(*checkpoint);
  if (chain.ok() && !chain->check(checkpoint->head).ok()) std::abort();
  return 0;
}
