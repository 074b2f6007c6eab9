// What this provider answers to the attempts that ask for it: the arbiter's decision (jobs/queue/arbiter.h)
// on the ledger as this node has it, and what only this node knows, that it cannot serve an ask at all or not
// at present. Such an ask is set aside, so that an owner whose node hands out no script, or who asks for more
// than was ordered, keeps nobody else waiting.
//
// Owners are told why they wait: note() is answered to whoever may ask for the job's progress, so that an ask
// that waits for its turn is not taken for one that nobody hears.
//
// Thread-safe: look(), set_aside() and the answers belong to the thread that drives the agents, note() to
// any.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "jobs/node/chain.h"
#include "jobs/queue/arbiter.h"

namespace ufab::jobs {

class LeaseDesk {
 public:
  using Clock = std::chrono::steady_clock;

  // Decides anew, under the ledger's lock for the facts alone. `now` is for what is set aside.
  void look(const Chain& chain, OrgId self, Clock::time_point now);
  [[nodiscard]] AskAnswer answer(JobId job, std::uint32_t attempt) const;
  // Slurm's word for why the ask waits.
  [[nodiscard]] std::string reason(JobId job, std::uint32_t attempt) const;

  // The ask could not be served: it is looked at again after a while, twice as long each time, up to
  // `aside_max`; or never, when `for_good`.
  static constexpr std::chrono::seconds aside_first{5};
  static constexpr std::chrono::seconds aside_max{600};
  void set_aside(JobId job, std::uint32_t attempt, const std::string& why, bool for_good,
                 Clock::time_point now);

  // Of an ask that is not leased; empty when this provider knows of none.
  struct Note {
    bool declined = false;  // for good: another provider should be asked
    std::string reason;
  };
  [[nodiscard]] std::optional<Note> note(JobId job, std::uint32_t attempt) const;

 private:
  using Key = std::pair<JobId, std::uint32_t>;
  struct Aside {
    Clock::time_point until;
    Clock::duration pause{};
    std::string why;
    bool for_good = false;
  };
  std::map<Key, Aside> aside_;  // of asks that still stand

  mutable std::mutex mutex_;
  std::map<Key, AskDecision> decisions_;  // guarded by mutex_
  std::map<Key, Note> notes_;             // guarded by mutex_
};

}  // namespace ufab::jobs
