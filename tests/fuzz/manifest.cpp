// Fuzz target: a snapshot's manifest. Whatever decodes must encode to the same bytes, and checking it, from
// the chain's id to the block that the state is of, never crashes.
#include "accounting/snapshot/manifest.h"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ufab::ByteView input(data, size);
  const auto manifest = ufab::decode_manifest(input);
  if (!manifest.ok()) return 0;
  const ufab::Bytes again = ufab::encode_manifest(*manifest);
  if (!std::equal(again.begin(), again.end(), input.begin(), input.end())) std::abort();
  const auto base = ufab::check_manifest(*manifest, ufab::record_id(manifest->checkpoint.genesis));
  if (base.ok() && base->context.height != manifest->checkpoint.head.block().height) std::abort();
  return 0;
}
