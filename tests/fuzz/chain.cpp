// Fuzz target: blocks as another node sends them, u32-prefixed and from block 0 on, into a chain that takes
// every signature for good: what the rules see of a block by somebody who has all keys. No block breaks them,
// and what decodes must encode to the same bytes.
#include "accounting/chain/chain.h"

#include <algorithm>
#include <cstdlib>

#include "fabric/base/codec.h"

namespace {

using namespace ufab;

class AnySignature final : public consensus::SignatureScheme {
 public:
  bool verify(const PublicKey&, ByteView, const Signature&) const override { return true; }
};

Status take(Chain& chain, ByteView encoded) {
  UFAB_ASSIGN(Block block, decode_block(encoded));
  const Bytes again = encode_block(block);
  if (!std::equal(again.begin(), again.end(), encoded.begin(), encoded.end())) std::abort();
  if (!chain.empty()) {
    consensus::BlockRef place = chain.place();
    UFAB_TRY(chain.check_finality(block, place, AnySignature()));
  }
  UFAB_TRY(chain.import(std::move(block), Signatures::checked));
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader reader(ByteView(data, size));
  Chain chain;
  bool going = true;
  while (going && reader.remaining() > 0) {
    const ByteView block = reader.blob(block_size_max);
    going = !reader.failed() && take(chain, block).ok();
  }
  return 0;
}
