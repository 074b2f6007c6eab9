// A benchmark on the ranks of this MPI group, one lane each, all at once; and the file that says what came of
// it, for the node that ordered it.
//
// result.json: {"schema":"ufab.benchmark/1","semantics_version":…,"repeats":…,"elapsed_us":…,
//               "lanes":["sha256:…",…]}, lanes in rank order.
#pragma once

#include <csignal>
#include <string>
#include <vector>

#include "fabric/base/digest.h"
#include "fabric/train/group.h"
#include "kernels/backend.h"

namespace ufab {

struct BenchOptions {
  std::vector<Digest> seeds;  // of each rank's lane
  double seconds = 0;         // repeats until so long has passed, at least one …
  std::uint64_t repeats = 0;  // … or exactly so many, if not 0
  kernels::BackendKind backend = kernels::BackendKind::cpu;
  int threads = 1;  // of each lane
};
struct BenchResult {
  std::uint32_t semantics_version = 0;
  std::uint64_t repeats = 0;
  std::uint64_t elapsed_us = 0;  // by this machine's clock, for people
  std::vector<Digest> lanes;
};

// Collective: the same number of repeats on every rank, decided by the leader's clock after each. The result
// is the leader's. One seed for each rank (else ErrorCode::usage); unavailable when `stop` was set.
[[nodiscard]] Result<BenchResult> run_benchmark(const Group& group, const BenchOptions& options,
                                                const volatile std::sig_atomic_t& stop);

[[nodiscard]] std::string bench_result_json(const BenchResult& result);
// Exact inverse; ErrorCode::invalid for anything else.
[[nodiscard]] Result<BenchResult> parse_bench_result(const std::string& text);

}  // namespace ufab
