// Where a verb gets sacct's text from: a file that somebody made, or sacct itself.
#pragma once

#include "accounting/audit/reconcile/sacct_run.h"
#include "jobs/node/home.h"

namespace ufab::jobs {

// What config.toml of the home says in [provider.slurm] (slurm/ reads the same section); empty without one.
struct SlurmSection {
  std::string conf, partition, account, telemetry;
};
[[nodiscard]] Result<SlurmSection> read_slurm_section(const Home& home);

// "-" is standard input. The error names the file.
[[nodiscard]] Result<SacctCounts> read_sacct_file(const std::string& path, const SacctReader::Sink& sink);

// On standard error, when lines were passed over.
void warn_of_bad_lines(const char* what, std::uint64_t count, const std::string& first);

}  // namespace ufab::jobs
