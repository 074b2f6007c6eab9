// scancel: `ufab cancel` for the jobs that are named or selected.
#include <cstdio>

#include "jobs/slurm_commands/support.h"

namespace ufab::jobs::slurm_commands {

namespace {

// A selected job that has ended meanwhile is no failure.
int cancel(const std::string& job) {
  const auto status = run_ufab({"cancel", job}, [](const std::string&) {});
  return status && *status == 0 ? 0 : 1;
}

}  // namespace

int scancel(const Arguments& words) {
  Selection selection;
  bool selected = false;
  std::string signal;
  const auto select = [&](std::set<std::string>& set) {
    return [&selected, &set](const std::string& list) {
      add_list(set, list);
      selected = true;
    };
  };
  const auto ignore = [](const std::string&) {};
  const std::vector<Option> options{
      {'u', "user", Option::required,
       [&](const std::string& user) {
         selected = true;
         const char* login = std::getenv("USER");
         selection.users.insert(login != nullptr && user == login ? own_organisation() : user);
       }},
      {0, "me", Option::none,
       [&](const std::string&) {
         selected = true;
         selection.users.insert(own_organisation());
       }},
      {'n', "name", Option::required, select(selection.names)},
      {0, "jobname", Option::required, select(selection.names)},
      {'p', "partition", Option::required, select(selection.partitions)},
      {'A', "account", Option::required, select(selection.accounts)},
      {'t', "state", Option::required,
       [&](const std::string& list) {
         selected = true;
         add_list(selection.states, to_capitals(list));
       }},
      {'s', "signal", Option::required, [&](const std::string& name) { signal = to_capitals(name); }},
      {'b', "batch", Option::none, ignore},
      {'f', "full", Option::none, ignore},
      {'Q', "quiet", Option::none, ignore},
      {'v', "verbose", Option::none, ignore}};
  const auto jobs = parse_options(words, options);
  if (!jobs) return fail("scancel", jobs.error().message);
  if (signal.starts_with("SIG")) signal = signal.substr(3);
  if (!signal.empty() && signal != "KILL" && signal != "TERM" && signal != "9" && signal != "15") {
    return fail("scancel", "signal " + signal +
                               ": the fabric ends a job with TERM and KILL; a script gets other "
                               "signals by --signal at submission");
  }
  if (jobs->empty() && !selected) return fail("scancel", "No job identification provided");
  int worst = 0;
  if (!selected) {
    for (const std::string& job : *jobs) worst |= cancel(job);
    return worst;
  }
  selection.numbers.insert(jobs->begin(), jobs->end());
  const auto all = load_jobs();
  if (!all) return fail("scancel", all.error().message);
  for (const Job& job : *all) {
    if (!job.own || job.ended() || !selection.has(job)) continue;
    const bool task = job.spec && job.spec->array_task;
    worst |= cancel(task ? job.shown_number() : std::to_string(job.number));
  }
  return worst;
}

}  // namespace ufab::jobs::slurm_commands
