#include "jobs/node/context.h"

namespace ufab::jobs {

namespace {

JobView view_of(const State& state, const JobEntry& job) {
  JobView view{job, {}};
  const auto add = [&](OrgId id) {
    if (const OrgEntry* entry = state.organisation(id); entry != nullptr)
      view.organisations.emplace(id, *entry);
  };
  add(job.owner);
  for (const AttemptEntry& attempt : job.attempts) {
    for (const MemberEntry& member : attempt.members) add(member.share.organisation);
  }
  for (const auto& [number, window] : job.windows) add(window.verifier);
  return view;
}

}  // namespace

std::vector<JobView> view_jobs_in_progress(const Chain& chain,
                                           const std::function<bool(const JobEntry&)>& wanted) {
  return chain.read([&](const State& state) {
    std::vector<JobView> views;
    for (const JobId id : state.jobs_in_progress()) {
      if (const JobEntry& job = *state.job(id); wanted(job)) views.push_back(view_of(state, job));
    }
    return views;
  });
}

JobPage view_page(const Chain& chain, JobId from, const std::function<bool(const JobEntry&)>& wanted) {
  return chain.read([&](const State& state) {
    JobPage page;
    std::size_t weight = 0;
    std::size_t scanned = 0;
    for (auto at = state.jobs().lower_bound(from); at != state.jobs().end(); ++at, ++scanned) {
      if (weight >= page_jobs_max || scanned >= page_scan_max) {
        page.next = at->first;
        return page;
      }
      if (!wanted(at->second)) continue;
      const JobEntry& job = at->second;
      ++weight;
      if (job.phase == JobPhase::ordered && job.attempts.empty() && !job.cancelled) {
        page.jobs.emplace_back(OrderedJob{job.id, job.order.name, state.organisation(job.owner)->name,
                                          job.order.kind, job.order.budget, job.order.steps,
                                          job.windows_total()});
        continue;
      }
      page.jobs.emplace_back(view_of(state, job));
      if (!job.attempts.empty()) weight += job.attempts.back().members.size();
    }
    return page;
  });
}

std::optional<JobView> view_job(const Chain& chain, JobId job) {
  return chain.read([&](const State& state) -> std::optional<JobView> {
    const JobEntry* entry = state.job(job);
    if (entry == nullptr) return std::nullopt;
    return view_of(state, *entry);
  });
}

Result<Answer> call_organisation(const NodeContext& node, const OrgEntry& organisation,
                                 const Request& request, std::chrono::milliseconds timeout) {
  auto endpoint = Endpoint::parse(organisation.endpoint);
  if (!endpoint) return endpoint.error().within("organisation " + organisation.name);
  auto answer = node.peers->call(*endpoint, organisation.keys(), request, timeout);
  if (!answer) return answer.error().within("node of " + organisation.name);
  return answer;
}

}  // namespace ufab::jobs
