// What Slurm's accounting says, read from the text of sacct(1) as it comes: any size, any split, bounded
// memory. Needs nothing of the ledger (library ufab_sacct, on ufab_base alone), so that everyone who asks
// sacct shares it.
//
// The text is that of `sacct --parsable2 --format=<sacct_columns> --delimiter=<any>` with its header line,
// from which the reader learns the delimiter and the columns: more columns may stand between them, in any
// order, as long as Cluster and JobIDRaw come first and JobName last. sacct prints names as users chose them,
// delimiter and line ends included: JobName is the last column, so a delimiter in it is harmless, and
// sacct_run.h takes an unguessable delimiter for each call, so that no name can pass for a row. Times are
// whole seconds since 1970 (SLURM_TIME_FORMAT=%s) or YYYY-MM-DDTHH:MM:SS, taken as UTC (TZ=UTC).
//
// Rows (Slurm 22.05, sacct(1)): a job's row is followed by those of its steps (ID.batch, ID.extern,
// ID.interactive, ID.0, …). One SacctJob comes of them:
//   cpu_us     TotalCPU, the job's or the sum of its steps', whichever is more (either may be purged or late)
//   memory     the largest MaxRSS of any step; energy the job's, or else the sum of its steps'
//   gpus       of AllocTRES, gres/gpu, or else the sum of gres/gpu:TYPE; gpu_us = gpus × elapsed
//   billing_s  of AllocTRES, billing × elapsed: Slurm has applied the TRES weights
// A job that has not started has "Unknown" or "None" for times: they are 0. A recycled id, or a requeued job,
// comes as several jobs with different submit times (sacct --duplicates). A step without its job's row before
// it (purged, filtered) and a line that is no row are skipped and counted.
//
// Bounds: a line of more than line_size_max bytes is skipped and counted. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/result.h"

namespace ufab {

inline constexpr const char* sacct_columns =
    "Cluster,JobIDRaw,JobID,User,Account,Partition,Submit,Start,End,ElapsedRaw,State,ExitCode,AllocCPUS,"
    "NNodes,"
    "AllocTRES,ReqTRES,TotalCPU,MaxRSS,ConsumedEnergyRaw,JobName";

struct SacctJob {
  std::string cluster;
  std::uint64_t id = 0;  // JobIDRaw: of an array's task its own
  std::string id_shown;  // JobID: 7, 7_3, 7+1
  std::string name;
  std::string user;
  std::string account;
  std::string partition;
  std::uint64_t submit_us = 0;
  std::uint64_t start_us = 0;  // 0: not started
  std::uint64_t end_us = 0;    // 0: not ended
  std::uint64_t elapsed_us = 0;
  std::string state;  // Slurm's code: PD R CD F CA TO OOM NF …; "?" for a word that is none
  std::uint32_t exit_code = 0;
  std::uint32_t signal = 0;
  std::uint32_t processors = 0;
  std::uint32_t nodes = 0;
  std::uint32_t gpus = 0;
  std::uint64_t gpu_us = 0;
  std::uint64_t cpu_us = 0;
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t energy_j = 0;
  std::uint64_t billing_s = 0;
  std::uint32_t steps = 0;

  [[nodiscard]] bool ended() const { return end_us != 0 && sacct_state_final(state); }
  // Whether a run in this state (a code) is over for good.
  [[nodiscard]] static bool sacct_state_final(std::string_view code);
  friend bool operator==(const SacctJob&, const SacctJob&) = default;
};

struct SacctCounts {
  std::uint64_t lines = 0;         // header included
  std::uint64_t jobs = 0;          // handed out
  std::uint64_t steps = 0;         // that went into them
  std::uint64_t steps_orphan = 0;  // without their job
  std::uint64_t lines_bad = 0;     // no row: too few columns, a number that is none, too long
  std::string first_bad;           // "line 7: …", for people
};

class SacctReader {
 public:
  static constexpr std::size_t line_size_max = 64 << 10;
  // Called for every job once its steps are known, in the order of the text. An error ends the reading.
  using Sink = std::function<Status(const SacctJob&)>;

  explicit SacctReader(Sink sink) : sink_(std::move(sink)) {}
  // The next part of the text. An Error: no header with all of sacct_columns, or what the sink returned.
  [[nodiscard]] Status feed(std::string_view text);
  // The end of the text; without a header it is an Error, as sacct prints one even when there is no job.
  [[nodiscard]] Status finish();
  [[nodiscard]] const SacctCounts& counts() const { return counts_; }

 private:
  [[nodiscard]] Status take_line(std::string_view line);
  [[nodiscard]] Status take_header(std::string_view line);
  [[nodiscard]] Status flush_job();
  void bad_line(const std::string& why);

  Sink sink_;
  SacctCounts counts_;
  std::string delimiter_;  // empty before the header
  std::vector<std::size_t>
      places_;             // of the columns in the text → of sacct_columns, or one past them: not wanted
  std::string line_;       // begun, not ended
  bool too_long_ = false;  // the line that is going on
  std::optional<SacctJob> job_;
  std::uint64_t steps_cpu_us_ = 0;
  std::uint64_t steps_energy_j_ = 0;
};

// Pieces of the format, each empty when the text is none.
// "COMPLETED" → "CD", "CANCELLED by 1000" → "CA", "CD" → "CD"; "?" for an unknown word.
[[nodiscard]] std::string sacct_state_code(std::string_view word);
// The long word of a code ("CD" → "COMPLETED"); the text itself when it is no code.
[[nodiscard]] std::string sacct_state_word(std::string_view code);
// "[D-[HH:]]MM:SS[.fff]" or "D-HH" in microseconds.
[[nodiscard]] std::optional<std::uint64_t> sacct_duration_us(std::string_view text);
// Seconds since 1970 or YYYY-MM-DDTHH:MM:SS (UTC) in microseconds; 0 for Unknown, None and nothing.
[[nodiscard]] std::optional<std::uint64_t> sacct_time_us(std::string_view text);
// "1536", "12K", "1.5G" in bytes; a plain number is bytes, nothing is 0. K is 1024.
[[nodiscard]] std::optional<std::uint64_t> sacct_size_bytes(std::string_view text);
// The count of one resource in "cpu=2,gres/gpu=1,mem=2G", for plain numbers; 0 when it is not there.
[[nodiscard]] std::uint64_t sacct_tres(std::string_view list, std::string_view name);
// gres/gpu, or else the sum of gres/gpu:TYPE.
[[nodiscard]] std::uint64_t sacct_gpus(std::string_view tres);

}  // namespace ufab
