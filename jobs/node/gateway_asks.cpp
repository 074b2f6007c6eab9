// Attempts that ask their providers: who waits for a turn, who is silent, and how a job is planned again.
#include <algorithm>

#include "jobs/node/gateway.h"

namespace ufab::jobs {

namespace {

using namespace std::chrono_literals;
constexpr auto lease_patience = 20s;
constexpr auto ask_again_after = 1s;  // a provider that has room leases before it needs to be asked why not

}  // namespace

std::vector<std::string> Gateway::excluded_names(const JobView& view) {
  std::vector<std::string> names;
  for (const OrgId id : view.job.excluded) names.push_back(view.organisations.at(id).name);
  return names;
}

std::vector<std::string> Gateway::avoided_names(JobId job) const {
  std::vector<std::string> names;
  for (const auto& [name, since] : watch_of(job).avoid) {
    if (Clock::now() - since < JobQueue::avoid_duration) names.push_back(name);
  }
  return names;
}

void Gateway::plan_again(const JobView& view, const std::string& reason) {
  queue_.plan_again(view.job.id, static_cast<std::uint32_t>(view.job.attempts.size()), reason,
                    excluded_names(view), avoided_names(view.job.id));
}

// Members that wait for their turn say so; one that has said nothing for lease_patience is silent.
void Gateway::drive_leasing(const JobView& view, Watch& watch) {
  const JobEntry& job = view.job;
  if (watch.requeue_asked) return plan_again(view, "requeued by its owner");
  if (Clock::now() - watch.attempt_seen < ask_again_after) return;
  ask_members(view, watch);
  std::string silent;
  std::string told;
  for (const MemberEntry& member : job.attempts.back().members) {
    if (member.leased) continue;
    const std::string& name = view.organisations.at(member.share.organisation).name;
    const auto said = std::find_if(watch.progress.begin(), watch.progress.end(),
                                   [&](const MemberProgress& m) { return m.organisation == name; });
    const std::string state = said == watch.progress.end() ? "" : said->state;
    if (state == "asked") {
      watch.heard[name] = watch.asked;
      if (told.empty() || told == reason_name(Reason::priority)) told = said->reason;
    }
    const auto last = watch.heard.find(name);
    const auto since = last == watch.heard.end() ? watch.attempt_seen : last->second;
    if (state != "declined" && Clock::now() - since <= lease_patience) continue;
    watch.avoid[name] = Clock::now();
    silent += " " + name;
  }
  if (!told.empty()) queue_.told(job.id, told);
  if (silent.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    watches_[job.id].avoid = watch.avoid;
  }
  plan_again(view, "no lease from" + silent);
}

}  // namespace ufab::jobs
