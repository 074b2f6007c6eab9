// Contributions from a hostile provider: decoded ones encode to the very same bytes, anything else is an
// error.
#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "fabric/train/contributions.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ufab::ByteView input(data, size);
  const auto contributions = ufab::decode_contributions(input);
  if (!contributions.ok()) return contributions.error().message.empty() ? std::abort(), 1 : 0;
  const ufab::Bytes encoded = ufab::encode_contributions(*contributions);
  if (!std::equal(encoded.begin(), encoded.end(), input.begin(), input.end())) std::abort();
  (void)contributions->root();
  return 0;
}
