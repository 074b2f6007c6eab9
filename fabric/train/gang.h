// The gang of one job: which provider computes which micro-batches, and how their leaders meet. A node writes
// it as gang.json and starts the trainer with it:
//   {"schema":"ufab.gang/1","job":7,"attempt":1,"self":0,"hub":0,
//    "members":[{"name":"alpha","bridge_key":"64 hex digits","host":"127.0.0.1","port":4001,
//                "first_micro_batch":0,"micro_batches":2}, ...],
//    "bridge_secret":"/path/to/key file","peer_timeout_ms":30000,"join_timeout_ms":60000,"resume":"latest"}
// Members' ranges are contiguous, ascending, and cover the step's micro-batches exactly once. bridge_secret
// may be left out by a gang of one and by a verifier; the timeouts and resume ("latest", "none" or a path)
// may be too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/sign.h"

namespace ufab {

struct GangMember {
  std::string name;  // letters, digits, '-', '_', '.'; 1 to 64; unique in the gang
  PublicKey bridge_key;
  std::string host;
  std::uint16_t port = 0;
  std::uint32_t first_micro_batch = 0;
  std::uint32_t micro_batches = 0;
};

struct Gang {
  std::uint64_t job = 0;
  std::uint32_t attempt = 1;
  std::uint32_t self = 0;  // indices into members
  std::uint32_t hub = 0;
  std::vector<GangMember> members;  // 1 to kGangMax
  std::string bridge_secret;
  std::int64_t peer_timeout_ms = 30'000;  // silence of a peer, beyond the time that this side's steps take
  std::int64_t join_timeout_ms = 60'000;  // until every member has joined
  std::string resume = "latest";

  [[nodiscard]] const GangMember& self_member() const { return members[self]; }
};

inline constexpr std::size_t kGangMax = 256;

[[nodiscard]] Result<Gang> parse_gang(std::string_view json, const std::string& name);
[[nodiscard]] Result<Gang> load_gang(const std::string& path);
[[nodiscard]] std::string gang_json(const Gang& gang);
// A gang of one that computes everything, for a trainer without a node.
[[nodiscard]] Gang gang_of_one(std::uint32_t micro_batches);
// An error unless the members' ranges cover exactly 0 .. micro_batches.
[[nodiscard]] Status check_cover(const Gang& gang, std::uint32_t micro_batches);

// Contiguous ranges in proportion to `weights` (not all zero), by largest remainder; ties to the lower
// index. The result sums to `total`.
[[nodiscard]] std::vector<std::uint32_t> divide_by_weight(std::uint32_t total,
                                                          const std::vector<std::uint64_t>& weights);

}  // namespace ufab
