// Fuzz target: VRF proofs of others. Verification never crashes, and what it accepts has the output that the
// proof claims. Input: a byte whose lowest bit picks the suite, the key, the proof, the input.
#include "accounting/hpos/vrf.h"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ufab;
  const ByteView input(data, size);
  if (size < 113) return 0;
  const vrf::Suite suite = (data[0] & 1) == 0 ? vrf::Suite::ell2 : vrf::Suite::tai;
  PublicKey key;
  vrf::Proof proof;
  std::copy_n(input.begin() + 1, 32, key.bytes.begin());
  std::copy_n(input.begin() + 33, 80, proof.bytes.begin());
  const auto claimed = vrf::proof_to_hash(proof, suite);
  const auto output = vrf::verify(key, input.subspan(113), proof, suite);
  if (output.ok() && (!claimed.ok() || *claimed != *output)) std::abort();
  return 0;
}
