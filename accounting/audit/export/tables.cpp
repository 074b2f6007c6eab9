// Tables: sacct's own columns, and CSV with everything.
//
// sacct: what `TZ=UTC sacct --parsable2 --noconvert --format=<sacct_columns>,AdminComment` prints for the job
// rows (Slurm 22.05, sacct(1)), so that programs made for sacct read it: this project's own reader does
// (accounting/audit/reconcile/sacct.h; AdminComment comes before JobName, which must be last, see there).
// JobName is the job's name on the ledger, Account the organisation that ordered it. Times are whole seconds,
// UTC. AdminComment is "corrected by RECORD: reason" for a corrected row; '|' in names is written as '_'.
//
// CSV: RFC 4180 with a header line; times and durations in microseconds. One row a run, as it stands.
#include <fmt/format.h>

#include "accounting/audit/export/export.h"
#include "accounting/audit/export/text.h"
#include "accounting/audit/reconcile/sacct.h"

namespace ufab {

namespace {

std::string cell(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c == '|') c = '_';
  }
  return result;
}

// D-HH:MM:SS.mmm, or less where the front is zero, as sacct writes TotalCPU.
std::string slurm_duration(std::uint64_t us) {
  const std::uint64_t ms = us / 1000 % 1000, s = us / 1'000'000;
  const std::string tail = ms == 0 ? "" : fmt::format(".{:03}", ms);
  if (s >= 86400) {
    return fmt::format("{}-{:02}:{:02}:{:02}{}", s / 86400, s / 3600 % 24, s / 60 % 60, s % 60, tail);
  }
  return s >= 3600 ? fmt::format("{:02}:{:02}:{:02}{}", s / 3600, s / 60 % 60, s % 60, tail)
                   : fmt::format("{:02}:{:02}{}", s / 60, s % 60, tail);
}

std::string slurm_time(std::uint64_t us) {
  return us == 0 ? "Unknown" : iso_time(us).substr(0, 19);
}

std::string comment(const UsageRun& run) {
  if (!run.corrected()) return "";
  const RunCorrection& last = run.corrections.back();
  return fmt::format("corrected by {}: {}", last.record.str(), last.reason);
}

// billing=…,cpu=…: the weight per second is what times elapsed gave the seconds, rounded to the nearest.
std::string tres(const UsageValues& u) {
  if (u.start_us == 0) return "";
  const std::uint64_t elapsed_s = whole_seconds(u.elapsed_us);
  std::string text;
  if (elapsed_s != 0 && u.billing_s != 0)
    text = fmt::format("billing={},", (u.billing_s + elapsed_s / 2) / elapsed_s);
  text += fmt::format("cpu={}", u.processors);
  if (u.gpus != 0) text += fmt::format(",gres/gpu={}", u.gpus);
  return text + fmt::format(",node={}", u.nodes);
}

}  // namespace

Result<std::string> export_sacct(const ExportInput& input) {
  std::string text;
  for (const char c : std::string_view(sacct_columns)) text += c == ',' ? '|' : c;
  const std::size_t last = text.rfind('|');
  text.insert(last, "|AdminComment");
  text += '\n';
  for (const UsageRun& run : input.runs) {
    if (!input.period.has(run)) continue;
    const UsageValues& u = run.usage();
    // A job that never started has sacct's start = end.
    text += fmt::format("{}|{}|{}|{}|{}|{}|", cell(u.cluster), u.external_id, u.external_id, cell(u.user),
                        cell(run.owner), cell(u.partition));
    text += fmt::format("{}|{}|{}|{}|{}|{}:{}|{}|{}|{}||", slurm_time(u.submit_us),
                        slurm_time(u.start_us == 0 ? u.end_us : u.start_us), slurm_time(u.end_us),
                        whole_seconds(u.elapsed_us), sacct_state_word(u.state), u.exit_code, u.signal,
                        u.processors, u.nodes, tres(u));
    text += fmt::format("{}|{}|{}|{}|{}\n", slurm_duration(u.cpu_us),
                        u.memory_peak_bytes == 0 ? "" : std::to_string(u.memory_peak_bytes),
                        u.energy_j == 0 ? "" : std::to_string(u.energy_j), cell(comment(run)),
                        cell(run.job_name));
  }
  return text;
}

Result<std::string> export_csv(const ExportInput& input) {
  std::string text =
      "job,attempt,provider,owner,job_name,cluster,external_id,submit_us,start_us,end_us,elapsed_us,cpu_us,"
      "processors,nodes,memory_peak_bytes,gpus,gpu_us,energy_j,billing_s,state,exit_code,signal,user,"
      "partition,"
      "import_record,corrections,correction_record,correction_reason\r\n";
  for (const UsageRun& run : input.runs) {
    if (!input.period.has(run)) continue;
    const UsageValues& u = run.usage();
    text += fmt::format("{},{},{},{},{},{},{},", run.job, run.attempt, csv_field(run.provider),
                        csv_field(run.owner), csv_field(run.job_name), csv_field(u.cluster), u.external_id);
    text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},", u.submit_us, u.start_us, u.end_us,
                        u.elapsed_us, u.cpu_us, u.processors, u.nodes, u.memory_peak_bytes, u.gpus, u.gpu_us,
                        u.energy_j, u.billing_s);
    text += fmt::format("{},{},{},{},{},{},{},", u.state, u.exit_code, u.signal, csv_field(u.user),
                        csv_field(u.partition), run.import.hex(), run.corrections.size());
    if (run.corrected()) {
      text += run.corrections.back().record.hex() + "," + csv_field(run.corrections.back().reason);
    } else {
      text += ",";
    }
    text += "\r\n";
  }
  return text;
}

}  // namespace ufab
