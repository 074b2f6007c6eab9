// What happens to one run under Slurm: a pure function of what is known of it and what was heard about it. No
// clock, process or file inside, so that a simulator can lose every answer, kill the node at every point and
// keep Slurm away for hours (tests/slurm/run_step_test.cpp).
//
//   intended ──submit──▶ attempted ──accepted, or found by its tag──▶ submitted ──▶ ended
//       ▲                    │ refused ─────────────────────────────────────────────▶ ▲
//       └── surely not there ┘
//
// The tag is Slurm's job name and is unique to the run and to what it asks for. What must hold whatever is
// lost:
//   1. `attempted` is durable before sbatch is called, so that a run is never submitted twice because an
//   answer
//      was lost: in doubt, squeue and sacct are asked for the tag first, and both must have answered, at
//      least `settle_us` after the attempt, before it counts as not there. A message that reaches slurmctld
//      later still makes a second job; the launcher's claim (slurm/launch/) lets only one of them run the
//      script, and the others are cancelled here.
//      slurmctld saves what it has acknowledged some seconds later: killed in between it loses jobs, and
//      gives their ids to others. One that both have answered not to know for settle_us is submitted again,
//      unless its script has started.
//   2. No answer is no news: while slurmctld is away a run keeps its state, for however long.
//   3. `ended` is final. The accounting database's figures come with it where they are there in time, and are
//      added later where not (lacks_usage).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "jobs/batch/batch_system.h"

namespace ufab::slurm {

enum class RunPhase { intended, attempted, submitted, ended };

struct RunRecord {
  std::string name;  // the run's
  std::string tag;   // Slurm's job name for it
  RunPhase phase = RunPhase::intended;
  std::int64_t created_us = 0;
  std::int64_t attempted_us = 0;  // of the newest attempt
  std::uint32_t attempts = 0;
  std::uint64_t job = 0;             // Slurm's id; 0: not known
  std::vector<std::uint64_t> twins;  // jobs of this run that were cancelled here because another one runs it
  bool cancel_wanted = false;
  std::int64_t cancelled_us = 0;      // when Slurm was last told
  bool claimed = false;               // the script has been started
  bool launched_again = false;        // how its job ended is the refusal's word, not the script's
  std::int64_t missing_since_us = 0;  // squeue answers and does not list it
  std::int64_t unknown_since_us = 0;  // and the database answers too and has no end of it
  std::int64_t finished_us = 0;       // squeue says that it has ended; accounting has not said so yet
  jobs::RunStatus status;

  friend bool operator==(const RunRecord&, const RunRecord&) = default;
};

// One job as squeue or sacct describes it. Times are microseconds since 1970, 0: not yet.
struct SlurmJob {
  std::uint64_t id = 0;
  std::string tag;
  std::string state;   // PENDING, RUNNING, CANCELLED …
  std::string reason;  // why it waits or how it ended
  int exit_code = 0;
  int signal = 0;
  std::int64_t submit_us = 0, start_us = 0, end_us = 0;
  // From accounting only.
  std::int64_t elapsed_us = 0;
  std::uint64_t cpu_us = 0;
  std::uint64_t max_rss_kib = 0;
  std::uint32_t nodes = 0, processors = 0, gpus = 0;
  std::uint64_t gpu_us = 0, energy_j = 0, billing_s = 0;
  std::string cluster, user, partition;
};

[[nodiscard]] bool is_ended_state(std::string_view slurm_state);

// --- what is heard ---
struct Tick {};  // time passes
struct Accepted {
  std::uint64_t job = 0;
};
struct Refused {  // slurmctld answered: no, and it is not there
  std::string reason;
};
struct Unanswered {  // nobody knows whether it was taken
  std::string reason;
};
struct InQueue {              // slurmctld's answer: every job of ours with this tag that it remembers
  std::int64_t asked_us = 0;  // when the question was put
  std::vector<SlurmJob> jobs;
};
struct InAccounts {  // slurmdbd's answer
  std::int64_t asked_us = 0;
  std::vector<SlurmJob> jobs;
};
struct Claimed {  // the launcher's word: this job runs the script
  std::uint64_t job = 0;
  bool launched_again = false;  // and Slurm has launched that job once more, which was refused
};
inline constexpr int launch_refused = 75;  // exit status of a launcher that may not start the script
// In place of a job's id: the run ended without having started, and no job may start it any more. Written
// before the end itself, so a node that died in between finds it.
inline constexpr std::uint64_t closed_claim = ~std::uint64_t{0};
struct CancelAsked {};
using Event = std::variant<Tick, Accepted, Refused, Unanswered, InQueue, InAccounts, Claimed, CancelAsked>;

// --- what is to be done; the record is made durable before any of it ---
struct Submit {};
struct CancelJob {
  std::uint64_t job = 0;
};
using Action = std::variant<Submit, CancelJob>;

struct StepLimits {
  std::int64_t settle_us = 30'000'000;      // after this a message to slurmctld has arrived or is lost
  std::int64_t accounts_us = 60'000'000;    // so long accounting may lag behind an end that squeue has seen
  std::int64_t forgotten_us = 180'000'000;  // a script that started, and nobody knows how it ended: node_fail
  std::int64_t cancel_again_us = 10'000'000;
  std::uint32_t attempts = 20;  // submissions that vanished, then the run has failed
};

[[nodiscard]] std::vector<Action> step(RunRecord& record, const Event& event, std::int64_t now_us,
                                       const StepLimits& limits = {});

// Ended, and the accounting database has not said yet what it used: InAccounts adds that and nothing else.
[[nodiscard]] bool lacks_usage(const RunRecord& record);

// Whether the accounting database should be asked about this run now.
[[nodiscard]] bool wants_accounts(const RunRecord& record);

}  // namespace ufab::slurm
