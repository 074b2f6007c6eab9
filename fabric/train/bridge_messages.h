// What the members of a bridge say to each other, apart from the sums themselves: fabric/train/bridge.h has
// the conversations. Decoding refuses whatever encoding would not have written.
#pragma once

#include "fabric/base/digest.h"
#include "fabric/net/link.h"
#include "fabric/train/bridge.h"

namespace ufab {

enum BridgeFrame : std::uint16_t { kHello = 1, kStep = 2, kState = 3, kSums = 4, kFailure = 9 };

struct BridgeHello {
  std::uint64_t job = 0;
  std::uint32_t attempt = 0, member = 0;
  Digest definition;
};

[[nodiscard]] Bytes encode_report(const StepReport& report);
[[nodiscard]] Result<StepReport> decode_report(ByteView bytes);
[[nodiscard]] Bytes encode_hello(const BridgeHello& hello);
[[nodiscard]] Result<BridgeHello> decode_hello(ByteView bytes);
[[nodiscard]] Bytes encode_state(std::uint64_t step, const Digest& digest);
[[nodiscard]] Frame failure_frame(std::uint64_t id, const Error& error);

// The payload of a frame of the expected type and exchange; or the failure that the peer told.
[[nodiscard]] Result<Bytes> expect_frame(Link& link, BridgeFrame type, std::uint64_t id, Deadline deadline);

}  // namespace ufab
