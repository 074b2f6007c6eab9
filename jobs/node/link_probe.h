// How a link to another node is measured, and what the other node does about it.
//
// Whoever measures opens a link of its own (the calls of the node's other parts never wait behind it), asks
// for five empty echoes, whose median is the round trip, and then echoes of 16 KiB to 2 MiB, four times as
// many bytes each time, until the next would not end within probe_transfer_us. The last one that ended says
// the throughput: bytes both ways over the time beyond the round trip. At most 3.4 MiB each way. A small
// measurement, for when a job runs at either end, ends with 256 KiB; what it finds of a long and fast link is
// less than a whole one would.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>

#include "fabric/net/tls.h"
#include "jobs/node/link_book.h"
#include "jobs/rpc/message.h"

namespace ufab::jobs {

inline constexpr std::size_t echo_bytes_max = 2u << 20;
inline constexpr std::int64_t probe_transfer_us = 1'000'000;

// One echo of so many bytes; ErrorCode::timeout when it does not come back in time, after which no other one
// is asked for.
using Echo = std::function<Status(std::size_t bytes, std::chrono::microseconds timeout)>;
using MicroClock = std::function<std::int64_t()>;
// Error: why no echo came back.
[[nodiscard]] Result<LinkSample> measure_link(const Echo& echo, const MicroClock& now_us, bool small);

// Over a fresh TLS link to who has one of these keys. Takes about five seconds at most.
[[nodiscard]] Result<LinkSample> probe_link(const Endpoint& endpoint, const std::vector<PublicKey>& keys,
                                            const Credentials& credentials, bool small);

// The other side's bound: what one organisation may have echoed. At most burst_bytes at once and
// bytes_per_s in the long run; an echo counts for least_bytes at least. Thread-safe.
class EchoGate {
 public:
  static constexpr std::int64_t burst_bytes = 8 << 20;
  static constexpr std::int64_t bytes_per_s = 1 << 20;
  static constexpr std::int64_t least_bytes = 4096;
  [[nodiscard]] bool admit(OrgId organisation, std::size_t bytes, std::int64_t now_ms);

 private:
  struct Account {
    std::int64_t left = burst_bytes;
    std::int64_t filled_ms = 0;
  };
  std::mutex mutex_;
  std::map<OrgId, Account> accounts_;
};

}  // namespace ufab::jobs
