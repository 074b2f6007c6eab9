// What consensus costs and how fast it is with many validators: the production code of accounting/consensus/
// without faults, over a network with a fixed delay and a bounded upload. A pure function of its options.
//
// The network: a message reaches its receiver delay_us after its last bit has left the sender, plus a jitter
// drawn from the seed; messages between two nodes stay in order. A sender has one upload, which takes one
// copy after another; a broadcast begins with the next seat. Downloads are not a bottleneck. Sizes are those
// of encode_message(): what TLS, TCP and IP add is not counted.
// The nodes: equal weights, leaders in turn. A vote waits sync_us for the disk. Each signature that is
// checked takes verify_ns, and a node does one thing at a time. Making and checking a block's content takes
// no time here.
// The load: payload_per_s bytes arrive evenly over all validators, each of which passes its part on to all
// others: that reduces every upload by (n - 1) / n of it, and a leader has a record delay_us after it came. A
// leader proposes what no block before has, at the latest after Timing::fill_ms, and earlier once a block is
// full.
#pragma once

#include "accounting/consensus/simplex.h"

namespace ufab::consensus {

struct ScaleOptions {
  std::uint64_t seed = 1;
  std::size_t validators = 4;  // 1 to validators_max
  std::uint64_t delay_us = 50'000;
  std::uint64_t jitter_ppm = 50'000;             // of the delay, at most that much comes on top
  std::uint64_t upload_bit_per_s = 100'000'000;  // 0: no bound
  std::uint64_t sync_us = 1000;
  std::uint64_t verify_ns = 50'000;
  std::uint64_t payload_base = 0;   // bytes that each block has in any case
  std::uint64_t payload_per_s = 0;  // bytes offered
  std::uint64_t simulated_ms = 180'000;
  std::uint64_t blocks_max = 0;  // ends once that many are final everywhere; 0: when the time is over
  Limits limits;
  Timing timing;
};

struct Quantiles {
  std::uint64_t p50_us = 0, p99_us = 0;
};

struct ScaleReport {
  std::uint64_t simulated_us = 0;
  std::uint64_t blocks = 0;    // final at the first validator
  std::uint64_t views = 0;     // that it has been through
  std::uint64_t messages = 0;  // sent, by all
  std::uint64_t bytes = 0;     // of these
  std::uint64_t bytes_proposals = 0, bytes_votes = 0, bytes_certificates = 0;
  std::uint64_t bytes_forwarded = 0;       // of records on their way to the leaders, by all
  std::uint64_t signatures_checked = 0;    // by all
  std::uint64_t certificate_size_max = 0;  // bytes
  std::uint64_t disk_bytes = 0;            // blocks with their certificates, at the first validator
  std::uint64_t payload_bytes = 0;         // of final blocks
  bool saturated = false;  // less than three quarters of the records that came became final
  Quantiles proposal_to_final;             // over all blocks and validators
  Quantiles arrival_to_final;              // of a byte of records, over all validators; zero without load
};
// Precondition: options within their bounds, timing.view_ms > timing.fill_ms.
[[nodiscard]] ScaleReport run_scale(const ScaleOptions& options);

// Why finality takes longer than its messages' delays.
enum class Cause : std::uint8_t { none, proposals, votes, verification };
[[nodiscard]] const char* cause_text(Cause cause);   // what it is
[[nodiscard]] const char* remedy_text(Cause cause);  // what would be done then

// Where finality, from the proposal and in the median, first takes twice as long as at the start.
struct Bend {
  std::uint64_t at = 0;  // validators or bytes per second; 0: not up to `searched`
  std::uint64_t searched = 0;
  std::uint64_t start_us = 0, bent_us = 0;
  Cause cause = Cause::none;  // what, taken away, makes it fastest again
};
// Over the number of validators, from 4 to at most `validators_up_to`, within an eighth.
[[nodiscard]] Bend bend_by_validators(ScaleOptions options, std::size_t validators_up_to);
// Over the offered load, from nothing, within an eighth: up to where the payload per block reaches its bound.
[[nodiscard]] Bend bend_by_payload(ScaleOptions options);

}  // namespace ufab::consensus
