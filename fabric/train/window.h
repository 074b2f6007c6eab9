// One line of windows.jsonl: a provider's claim about one window, from which its node makes a receipt.
//   {"schema":"ufab.window/1","window":3,"first_step":301,"end_step":400,"start_digest":"sha256:...",
//    "end_digest":"sha256:...","contributions_root":"sha256:...","micro_batches":200,"tokens":153600,
//    "work_flop":987654321,"wall_us":1,"cpu_us":1,"max_rss_kib":1}
// Digests are state digests (fabric/train/state.h). micro_batches, tokens and work_flop are this provider's
// own share of the window and follow from the definition; wall, processor time and memory are measured on its
// ranks (processor time summed over ranks, max_rss_kib the largest rank's).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/digest.h"

namespace ufab {

struct WindowClaim {
  std::uint64_t window = 0;
  std::uint64_t first_step = 0, end_step = 0;  // both included
  Digest start_digest, end_digest, contributions_root;
  std::uint64_t micro_batches = 0, tokens = 0, work_flop = 0;
  std::uint64_t wall_us = 0, cpu_us = 0, max_rss_kib = 0;

  friend bool operator==(const WindowClaim&, const WindowClaim&) = default;
};

// Without a newline; parse_window_claim is its exact inverse.
[[nodiscard]] std::string window_claim_json(const WindowClaim& claim);
[[nodiscard]] Result<WindowClaim> parse_window_claim(std::string_view line);
inline constexpr std::size_t window_claims_bytes_max = std::size_t{1} << 28;
// The lines of a windows.jsonl, in order. A last line without a newline is one still being written, and left
// out. `path` is for messages.
[[nodiscard]] Result<std::vector<WindowClaim>> parse_window_claims(std::string_view text,
                                                                   const std::string& path);
// Those of FOLDER/windows.jsonl.
[[nodiscard]] Result<std::vector<WindowClaim>> load_window_claims(const std::string& folder);

}  // namespace ufab
