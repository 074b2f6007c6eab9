// Usage records of the ledger in the formats that accounting systems take. Pure functions, runs → text; one
// file for each format, whose header comment says where the format is specified and what each value is made
// of.
//
// Corrections. The ledger never replaces a usage import; a correction is a record beside it. An export shows
// each run once, as it stands, never the old and the new values side by side, and says so in the format's own
// way:
//   apel, apel-summary, gpu, car   records that an APEL database replaces by their key (REPLACE INTO). Where
//   a
//                 correction changes the key itself (the end time, a summary's group), the record of the old
//                 key is published again with zero use, or it would count twice.
//   auditor       a record cannot be changed there, except for its stop time. The corrected values are a new
//   record
//                 that names the one that it supersedes; format auditor-update gives the updates that take
//                 away the run time of those superseded.
//   sacct, csv    a column says what corrected the row.
// Runs that never started (cancelled while they waited) used nothing: only sacct and csv have them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "accounting/audit/export/runs.h"

namespace ufab {

enum class ApelVersion { v0_3, v0_4 };

// A processor's or GPU's speed on a benchmark, per core or per GPU.
struct Benchmark {
  std::string type;                         // HEPscore23, HEPSPEC, Si2k
  std::uint64_t thousandths = 0;            // of its value
  [[nodiscard]] std::string value() const;  // "15.3"
};

// What the ledger does not know. The defaults claim nothing: what is empty is left out, or the format's own
// word for "unknown" stands for it.
struct ExportOptions {
  std::string site;                           // empty: the provider's name on the ledger
  std::string submit_host;                    // empty: the cluster's name
  std::string vo, vo_group, vo_role, fqan;    // empty: none
  std::string global_user;                    // empty: the name of the organisation that ordered the job
  std::string infrastructure_type = "local";  // APEL counts "grid" as grid jobs
  std::string infrastructure = "UFAB-SLURM";  // description
  std::optional<Benchmark> benchmark;         // per core
  std::optional<Benchmark> gpu_benchmark;     // per GPU
  std::string gpu_model;                      // empty: left out
  ApelVersion apel_version = ApelVersion::v0_3;
  bool normalised = false;  // apel-summary 0.4: the normalised summary; 0.3 is one anyway
};
// From a file in TOML with these names: site, submit_host, vo, vo_group, vo_role, fqan, global_user,
// infrastructure_type, infrastructure, benchmark = "TYPE=VALUE", gpu_benchmark, gpu_model. Values that are
// not in the file stay as they are. `where` names the file in errors; an unknown name is one.
[[nodiscard]] Status read_export_options(std::string_view toml, const std::string& where,
                                         ExportOptions& options);
// "HEPscore23=15.3": up to three decimals.
[[nodiscard]] Result<Benchmark> parse_benchmark(std::string_view text);
// One line of printable text without "%%" (which ends an APEL record).
[[nodiscard]] Status check_export_options(const ExportOptions& options);

struct ExportInput {
  Digest chain_id;
  std::vector<UsageRun> runs;  // of the providers wanted, in the order of the ledger
  Period period;
  ExportOptions options;
};

// Each text ends with a line end. An Error is something that the format needs and the options lack.
[[nodiscard]] Result<std::string> export_apel(const ExportInput& input);
[[nodiscard]] Result<std::string> export_apel_summary(const ExportInput& input);
[[nodiscard]] Result<std::string> export_car(const ExportInput& input);
[[nodiscard]] Result<std::string> export_gpu(const ExportInput& input);
[[nodiscard]] Result<std::string> export_auditor(const ExportInput& input);
[[nodiscard]] Result<std::string> export_auditor_update(const ExportInput& input);
[[nodiscard]] Result<std::string> export_sacct(const ExportInput& input);
[[nodiscard]] Result<std::string> export_csv(const ExportInput& input);

struct ExportFormat {
  const char* name;
  Result<std::string> (*write)(const ExportInput&);
  const char* help;
};
[[nodiscard]] std::span<const ExportFormat> export_formats();

// Shared by the formats.
// "4711.north": the batch system's id and its cluster. APEL tells jobs of a site apart by this and the end
// time, and two clusters of one site may well use the same number.
[[nodiscard]] std::string local_job_id(const UsageValues& usage);
[[nodiscard]] std::string export_site(const ExportInput& input, const UsageRun& run);
[[nodiscard]] std::string export_global_user(const ExportInput& input, const UsageRun& run);
[[nodiscard]] std::string export_submit_host(const ExportInput& input, const UsageValues& usage);

// A record for a format whose readers replace by key: the run as it stands, or an old key of it without any
// use.
struct KeyedRecord {
  const UsageRun* run = nullptr;
  UsageValues usage;  // of a withdrawn key: those of then, use and elapsed time set to zero, start = end
  bool withdrawn = false;
};
// The runs of the period that started, each after its withdrawn keys. `key` tells which values make up the
// key beside the run itself (LocalJobId): for individual jobs the end in seconds.
[[nodiscard]] std::vector<KeyedRecord> keyed_records(const ExportInput& input,
                                                     std::uint64_t (*key)(const UsageValues&));

}  // namespace ufab
