// What a provider's hooks in Slurm (jobcomp/script, epilog) said of jobs at the moment they ended: the third
// source of the reconciliation, beside the ledger and slurmdbd's accounting.
//
// Format "ufab.completion/1": text of JSON objects, one a line, UTF-8, appended by the hooks and never
// changed. A file, or a folder whose files *.jsonl are read in the order of their names. One line is one
// completed job, or a part of what is known of it: lines with the same (cluster, job_id, submit_s) are taken
// together, and of two that say different things about a field the later one counts.
//   always      schema "ufab.completion/1", cluster, job_id, submit_s (seconds since 1970, as Slurm knows it)
//   if known    start_s, end_s, state (a word or code of Slurm), exit_code, signal, name, user, account,
//   partition,
//               processors, nodes, elapsed_s, cpu_us, memory_peak_bytes, gpus, gpu_us, energy_j, billing_s
// Fields that are absent are not compared; names that are not listed here are ignored, so that hooks may say
// more. A last line without its line end is one that is being written: it is left out. A line that cannot be
// read is skipped and counted, as is one of more than 64 KiB.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "accounting/records/usage_values.h"

namespace ufab {

struct TelemetryJob {
  std::string cluster;
  std::uint64_t id = 0;
  std::uint64_t submit_us = 0;
  std::string name, account;
  std::optional<std::string> state, user, partition;
  std::optional<std::uint64_t> start_us, end_us, elapsed_us, cpu_us, memory_peak_bytes, gpu_us, energy_j,
      billing_s;
  std::optional<std::uint64_t> exit_code, signal, processors, nodes, gpus;
  friend bool operator==(const TelemetryJob&, const TelemetryJob&) = default;
};

struct Telemetry {
  std::vector<TelemetryJob> jobs;  // by cluster, id and submit time
  std::uint64_t lines = 0;
  std::uint64_t lines_bad = 0;
  std::string first_bad;  // "FILE line 7: …"
};

// Adds the lines of one file's text. `where` names it.
class TelemetryReader {
 public:
  void add(std::string_view text, const std::string& where);
  [[nodiscard]] Telemetry take();

 private:
  std::vector<TelemetryJob> parts_;  // in the order of the lines
  Telemetry result_;
};
// At most 1 GiB of text in all.
[[nodiscard]] Result<Telemetry> read_telemetry(const std::string& file_or_folder);

}  // namespace ufab
