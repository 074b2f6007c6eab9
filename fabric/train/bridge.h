// The bridge: how the leaders of one job's providers add their integer gradient sums, every step.
//
// A star. One member is the hub; it listens at its address of the gang, every other member connects, both
// sides prove their bridge key of the gang by TLS 1.3 (fabric/net/tls.h). Integer addition is exact and
// commutative, so the star's order decides nothing. Conversations, all started by the members (frames of
// fabric/net/frame.h, id = number of the exchange, payload in the canonical encoding):
//   type 1 hello   text "ufab.bridge/2", u64 job, u32 attempt, u32 member, 32 bytes definition digest
//        answered by the same type with an empty payload once every member has said hello
//   type 2 step    u64: the newest step that the member can start from; answered by the lowest of all
//   type 3 state   u64 step, 32 bytes state digest; answered empty when all are equal
//   type 4 sums    StepReport (u64 step, u32 attempt, u8 flags, u64 loss, u32 tensors, per tensor u64 peak),
//   then
//                  raw: the member's sums in chunks of 262144 values (1 MiB in memory), each packed as
//                  fabric/train/sum_pack.h says; answered by the combined report, then raw: the total's
//                  chunks. Both directions stream at once: the hub sends a chunk's total as soon as it has
//                  every member's.
//   type 9 failure u8 1 when another try may help, text of one line; whoever gets it ends with this line
// A peer that closes its link, sends anything else, is silent for longer than the timeout, or carries less
// than kSlowestLink over the whole exchange, ends it with one Error (unavailable or timeout when another try
// may help, invalid otherwise).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "fabric/base/digest.h"
#include "fabric/net/tls.h"
#include "fabric/train/gang.h"

namespace ufab {

struct StepReport {
  std::uint64_t step = 0;
  std::uint32_t attempt = 0;  // of this step, after overflows
  bool non_finite = false, stop = false;
  std::uint64_t loss = 0;  // sum over micro-batches, fixed point; modulo 2^64
  std::vector<std::uint64_t>
      peaks;  // per tensor, added up over micro-batches (kernels/gradient.h); modulo 2^64

  friend bool operator==(const StepReport&, const StepReport&) = default;
};

// Bytes per second, of unpacked sums, that a link has to carry for each member besides the hub.
constexpr std::size_t kSlowestLink = std::size_t{1} << 20;

// Memory of a bridge beside its callers': a chunk each that comes, goes and is added.
constexpr std::size_t kBridgeBytes = std::size_t{3} << 20;

class Bridge {
 public:
  // Called with each 1 MiB chunk of this side's sums before it becomes part of the total.
  using ChunkSeen = std::function<void(std::uint64_t chunk, ByteView bytes)>;

  // Blocks until every member of the gang has joined, at most gang.join_timeout_ms. The gang has two members
  // or more.
  [[nodiscard]] static Result<std::unique_ptr<Bridge>> join(const Gang& gang, const Digest& definition);
  virtual ~Bridge() = default;
  Bridge() = default;
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;

  [[nodiscard]] virtual Result<std::uint64_t> lowest_step(std::uint64_t mine) = 0;
  [[nodiscard]] virtual Status check_state(std::uint64_t step, const Digest& digest) = 0;
  // Replaces `sums` by the total over all members and returns the combined report (flags or-ed, losses and
  // peaks added). `patience` is added to the gang's timeout: members compute at different speeds.
  [[nodiscard]] virtual Result<StepReport> exchange(const StepReport& mine, std::span<std::int32_t> sums,
                                                    const ChunkSeen& seen,
                                                    std::chrono::milliseconds patience) = 0;
};

}  // namespace ufab
