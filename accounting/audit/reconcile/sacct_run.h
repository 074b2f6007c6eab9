// Runs sacct(1) and reads what it prints while it prints it: arguments as a list, no shell, bounded time.
#pragma once

#include <string>
#include <vector>

#include "accounting/audit/reconcile/sacct.h"

namespace ufab {

struct SacctQuery {
  std::string program = "sacct";    // looked up on PATH unless it has a slash
  std::string slurm_conf;           // SLURM_CONF for sacct; empty: as the environment has it
  std::string cluster;              // --clusters; empty: the one of slurm.conf
  std::uint64_t from_us = 0;        // jobs in any state from then …
  std::uint64_t to_us = 0;          // … to then; 0: no bound (from: 1970; to: now)
  std::vector<std::uint64_t> jobs;  // only these ids; then the times are left out
  std::vector<std::string> names;   // only jobs with these names (without commas)
  std::uint64_t timeout_ms = 120'000;
};

// The argument list without the program's name. `delimiter` must not occur in what users may choose.
[[nodiscard]] std::vector<std::string> sacct_arguments(const SacctQuery& query, const std::string& delimiter);

// All users' jobs with their steps and duplicates (recycled and requeued ids). Takes a fresh random
// delimiter. Errors: not_found when there is no such program, timeout, io with the last line of sacct's
// standard error when it exits with another status than 0, and what SacctReader or the sink return.
// Thread-safe.
[[nodiscard]] Result<SacctCounts> sacct_run(const SacctQuery& query, const SacctReader::Sink& sink);

}  // namespace ufab
