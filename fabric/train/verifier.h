// Re-execution of one window: does what each member of the gang claimed follow from the start checkpoint?
//
// Every member's micro-batches of every step are computed again, by the same arithmetic on any ranks and
// threads, and compared with the member's contributions: first the digest of its sum, then, where that
// differs, the fingerprints, to name the micro-batch. Members are judged step by step up to the first step at
// which any of them differs: later steps of honest members started from a state that the wrong one spoiled. A
// member whose sums are all right is still wrong when its claim of start or end digest, root or counted work
// is. The verdict, verdict.json:
//   {"schema":"ufab.verdict/1","window":3,"start_digest":"sha256:...","end_digest":"sha256:...","matches":false,
//    "members":[{"name":"beta","ok":false,"reason":"gradient","first_bad_step":301,"micro_batch":2}, ...]}
// with the digests that the verifier computed; reason is "gradient", "start_digest", "end_digest", "range",
// "contributions" (missing, malformed or not under the claimed root) or "work"; step and micro-batch
// where known.
#pragma once

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "fabric/train/gang.h"
#include "fabric/train/group.h"
#include "fabric/train/trainer.h"

namespace ufab {

struct VerifyOptions {
  JobDefinition definition;
  std::string corpus;
  std::uint64_t window = 0;
  std::string start;  // checkpoint at the window's start; empty: window 0, which the definition starts
  std::string init;   // for that start; see first_state.h
  Gang gang;
  std::string claims;  // folder with one sub-folder per member: windows.jsonl and contributions/
  std::string out;     // folder for verdict.json
  int threads = 0;
  kernels::BackendKind backend = kernels::BackendKind::cpu;
  bool recompute = false;  // as TrainOptions
};

struct MemberVerdict {
  std::string name;
  bool ok = true;
  std::string reason;
  std::optional<std::uint64_t> first_bad_step;
  std::optional<std::uint32_t> micro_batch;
};

struct WindowVerdict {
  std::uint64_t window = 0;
  Digest start_digest, end_digest;
  std::vector<MemberVerdict> members;

  [[nodiscard]] bool matches() const;
};

[[nodiscard]] std::string verdict_json(const WindowVerdict& verdict);
[[nodiscard]] Result<WindowVerdict> parse_verdict(std::string_view json);

// Collective; writes verdict.json on the leader. An Error means that no verdict could be reached (a wrong
// corpus, an unreadable start checkpoint, ErrorCode::unavailable when stopped).
[[nodiscard]] Result<WindowVerdict> verify_window(const Group& group, const VerifyOptions& options,
                                                  const volatile std::sig_atomic_t& stop);

}  // namespace ufab
