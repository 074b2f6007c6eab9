// What a batch system says about one of its jobs after the job's end, in the units of this project. Part of
// usage imports and of corrections (accounting/records/bodies.h). The words are Slurm's.
//
// Key: (cluster, external_id, submit_us). Slurm begins to count its job ids anew, so the id alone names
// several. Units: _us microseconds (times since 1970), _bytes bytes, _j joules, _s seconds. Zero: "nothing",
// and for memory, energy, gpu_us and billing_s also "not measured": Slurm does not tell the two apart either.
#pragma once

#include <string>

#include "accounting/records/types.h"

namespace ufab {

// The largest number that every reader of JSON keeps: 2^53 - 1. No value may be above it.
inline constexpr std::uint64_t usage_number_max = (std::uint64_t{1} << 53) - 1;
inline constexpr std::size_t usage_state_size_max = 4;

struct UsageValues {
  std::string cluster;
  std::uint64_t external_id = 0;  // of the job at the batch system; 1 or more
  std::uint64_t submit_us = 0;
  std::uint64_t start_us = 0;  // 0: it never started
  std::uint64_t end_us = 0;
  std::uint64_t elapsed_us = 0;  // of that, time suspended excluded
  std::uint64_t cpu_us = 0;      // user and system, over all steps
  std::uint32_t processors = 0;  // allocated
  std::uint32_t nodes = 0;       // allocated
  std::uint64_t memory_peak_bytes = 0;
  std::uint32_t gpus = 0;       // allocated
  std::uint64_t gpu_us = 0;     // allocated GPUs times elapsed time, unless the batch system measures better
  std::uint64_t energy_j = 0;   // consumed
  std::uint64_t billing_s = 0;  // TRES-weighted: Slurm's "billing" times the elapsed seconds
  std::string state;            // how it ended, as Slurm's code: see usage_state_known()
  std::uint32_t exit_code = 0;
  std::uint32_t signal = 0;  // that ended it, 0: none
  std::string user;          // the local user that the job ran as
  std::string partition;     // or queue; may be empty
  friend bool operator==(const UsageValues&, const UsageValues&) = default;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("cluster", s.cluster, name_size_max);
    v("external_id", s.external_id);
    v("submit_us", s.submit_us);
    v("start_us", s.start_us);
    v("end_us", s.end_us);
    v("elapsed_us", s.elapsed_us);
    v("cpu_us", s.cpu_us);
    v("processors", s.processors);
    v("nodes", s.nodes);
    v("memory_peak_bytes", s.memory_peak_bytes);
    v("gpus", s.gpus);
    v("gpu_us", s.gpu_us);
    v("energy_j", s.energy_j);
    v("billing_s", s.billing_s);
    v("state", s.state, usage_state_size_max);
    v("exit_code", s.exit_code);
    v("signal", s.signal);
    v("user", s.user, name_size_max);
    v("partition", s.partition, name_size_max);
  }
};

// The states in which a run of Slurm ends: BF CA CD DL F NF OOM PR TO (its two-letter codes, and OOM).
[[nodiscard]] bool usage_state_known(std::string_view state);

// What the ledger accepts. Every rule here is one that a right batch system cannot break: the names and the
// state are there, the run has ended, submit <= start <= end, elapsed is at most end - start (and a second,
// as batch systems round), what never started used nothing, no GPU time without GPUs, exit code and signal as
// from wait(2). Processor time is not bounded by processors: without confinement Slurm does report more.
[[nodiscard]] Status check_usage_values(const UsageValues& usage);

// The text with every byte that the ledger cannot hold replaced by '?', cut to name_size_max bytes.
[[nodiscard]] std::string usage_name(std::string_view text);

}  // namespace ufab
