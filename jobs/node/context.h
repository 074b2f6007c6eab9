// What the parts of a node share. Every member outlives the parts and is thread-safe.
#pragma once

#include <functional>
#include <string>
#include <variant>

#include "jobs/batch/batch_system.h"
#include "jobs/node/chain.h"
#include "jobs/node/home.h"
#include "jobs/rpc/client.h"

namespace ufab::jobs {

class LeaseDesk;

struct NodeContext {
  Home home;
  HomeConfig config;
  Chain* chain = nullptr;
  PeerPool* peers = nullptr;
  BatchSystem* batch = nullptr;
  std::string trainer;         // path of ufab-train
  std::string program_folder;  // where ufab itself is, for the scripts' PATH
  // One line into node.log, with the time in front.
  std::function<void(const std::string&)> log;
  LeaseDesk* desk = nullptr;  // what this provider says to asks; none on a node without agents
};

// A job as the state has it, copied so that no lock is held while acting on it.
struct JobView {
  JobEntry job;
  std::map<OrgId, OrgEntry> organisations;  // the owner, members of every attempt, verifiers
};

// Copies of the jobs in progress (State::jobs_in_progress) for which `wanted` holds: the agents look at these
// several times a second, and at none of the thousands that wait or have ended.
[[nodiscard]] std::vector<JobView> view_jobs_in_progress(const Chain& chain,
                                                         const std::function<bool(const JobEntry&)>& wanted);
// A page of jobs numbered `from` and up for which `wanted` holds: at most `page_jobs_max`, members of gangs
// counted in, from at most `page_scan_max` jobs, so that the ledger's lock is held for milliseconds however
// many jobs there are. Of a job without an attempt, which most are when there are many, only what a listing
// shows.
inline constexpr std::size_t page_jobs_max = 2000;
inline constexpr std::size_t page_scan_max = 20'000;
struct OrderedJob {
  JobId id = 0;
  std::string name;
  std::string owner;
  JobKind kind = JobKind::batch;
  MicroUnc budget = 0;
  std::uint64_t steps = 0;
  std::uint64_t windows = 0;
};
struct JobPage {
  std::vector<std::variant<OrderedJob, JobView>> jobs;
  JobId next = 0;  // where the next page begins; 0 behind the last
};
[[nodiscard]] JobPage view_page(const Chain& chain, JobId from,
                                const std::function<bool(const JobEntry&)>& wanted);
[[nodiscard]] std::optional<JobView> view_job(const Chain& chain, JobId job);

// A request to the node of an organisation.
[[nodiscard]] Result<Answer> call_organisation(const NodeContext& node, const OrgEntry& organisation,
                                               const Request& request, std::chrono::milliseconds timeout);

}  // namespace ufab::jobs
