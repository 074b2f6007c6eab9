// What the commands named after Slurm's share (build/bin/slurm/): they speak to `ufab`, which stands one
// folder above, through its --json answers alone, and know no more of the fabric than that and the owner's
// home.
//
// Exit status as Slurm's: 0, or 1 after one line on standard error. sbatch: 255 for a command line or script
// that cannot be read.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "jobs/node/job_spec.h"

namespace ufab::jobs::slurm_commands {

using Arguments = std::vector<std::string>;

// "squeue: error: MESSAGE" on standard error; answers 1.
int fail(const std::string& command, const std::string& message);

// Runs `ufab WORDS…`, whose standard error goes where this program's goes. `line` gets each line of its
// standard output as it comes. The exit status, 1 when it was ended by a signal.
[[nodiscard]] Result<int> run_ufab(const Arguments& words,
                                   const std::function<void(const std::string&)>& line);
// The JSON object that `ufab WORDS…` prints. Error: ufab has said why, and the message is empty.
[[nodiscard]] Result<boost::json::object> ask_ufab(const Arguments& words);

// One job as the commands show it.
struct Job {
  std::uint64_t number = 0;
  std::string name;
  std::string owner;  // the organisation: the fabric's users
  bool own = false;
  std::string state;  // PENDING …
  std::string code;   // PD …
  std::string reason;
  std::vector<std::string> providers;
  std::int64_t submit_s = 0;  // seconds since 1970; 0: unknown (of others' jobs)
  std::int64_t start_s = 0;
  std::int64_t end_s = 0;
  std::uint64_t cpu_us = 0;
  std::uint64_t wall_us = 0;
  std::uint64_t memory_peak_bytes = 0;
  std::uint64_t exit_code = 0;
  std::uint64_t signal = 0;
  std::optional<JobSpec> spec;  // of own jobs

  [[nodiscard]] bool ended() const;
  [[nodiscard]] std::uint64_t array_number() const;  // of no array: its own
  [[nodiscard]] std::string shown_number() const;    // "7", "7_3"
  [[nodiscard]] std::int64_t elapsed_s(std::int64_t now_s) const;
  [[nodiscard]] std::string kept(
      const char* option) const;                    // an option without effect here; empty: not given
  [[nodiscard]] std::string provider_list() const;  // "alpha,beta"
  [[nodiscard]] std::uint64_t processors() const;
};

// Every job that the node has in memory, by number.
[[nodiscard]] Result<std::vector<Job>> load_jobs();
// This home's organisation.
[[nodiscard]] std::string own_organisation();

// Which jobs are meant; an empty set means any.
struct Selection {
  std::set<std::string> numbers;  // "7", "7_3", "7_[1-3]"
  std::set<std::string> users;
  std::set<std::string> names;
  std::set<std::string> states;  // names or codes, in capitals
  std::set<std::string> partitions;
  std::set<std::string> accounts;

  [[nodiscard]] bool has(const Job& job) const;
};
// Adds "a,b" to a set.
void add_list(std::set<std::string>& set, const std::string& list);

// Options of one command line, as getopt_long reads them: Slurm's commands share their habits.
struct Option {
  char letter;       // 0: none
  const char* name;  // long
  enum { none, required } argument;
  std::function<void(const std::string&)> take;
};
// What is no option, in order; an Error names what cannot be read.
[[nodiscard]] Result<Arguments> parse_options(const Arguments& words, const std::vector<Option>& options);

// The rows of a listing. A column shows one of the command's fields, cut or filled to its width (0: as wide
// as it is).
struct Column {
  std::string before;     // what stands in front of it
  std::size_t field = 0;  // an index into the command's fields
  std::size_t width = 0;
  bool right = false;
};
struct RowFormat {
  std::vector<Column> columns;
  std::string behind;  // the last one
};
// "%.18i %j|": a letter, in front of it a dot for right-aligned and the width; everything else is kept as it
// is, as Slurm does. `field_of` answers what a letter shows. An error names the letter that is none: "Invalid
// WHAT format specification".
[[nodiscard]] Result<RowFormat> parse_format(const std::string& format, const char* what,
                                             const std::function<std::optional<std::size_t>(char)>& field_of);
[[nodiscard]] std::string format_row(const RowFormat& format,
                                     const std::function<std::string(std::size_t field)>& text);

[[nodiscard]] std::string format_elapsed(std::int64_t seconds);  // squeue's: "1:05", "2:03:04", "1-02:03:04"
[[nodiscard]] std::string moment_or(std::int64_t moment_s, const char* otherwise);
[[nodiscard]] std::string to_capitals(std::string text);

// The commands. `words` without the program's name.
int sbatch(const Arguments& words);
int squeue(const Arguments& words);
int sacct(const Arguments& words);
int scancel(const Arguments& words);
int sinfo(const Arguments& words);

}  // namespace ufab::jobs::slurm_commands
