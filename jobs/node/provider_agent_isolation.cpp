// The provider agent's part that keeps a run apart as [provider.isolation] wants it: whether it can, and how.
#include "jobs/node/provider_agent.h"

namespace ufab::jobs {

// Where the run works, reads and writes, as whom, and what of the machine it sees.
Status ProviderAgent::isolate(const JobView& view, const AttemptEntry& attempt,
                              const std::optional<TrainingInputs>& training, bool own_job, RunRequest& run) {
  const IsolationConfig& isolation = node_.config.provider->isolation;
  UFAB_ASSIGN(run.user, run_user_for(isolation, view.organisations.at(view.job.owner).name));
  UFAB_ASSIGN(const RunPlace place,
              prepare_run_place(node_, view.job.id, attempt.number, run.user, training));
  if (!own_job) run.folder = place.folder;
  if (isolation.bubblewrap && run.folder == "/")
    return Error{ErrorCode::invalid, "declined: with bubblewrap no job is run in /"};
  run.script = place.script();
  run.error = run.error == run.output ? place.output() : place.error();
  run.output = place.output();
  move_environment(run.environment, place, run.user, isolation.bubblewrap, own_job);
  if (isolation.bubblewrap) run.sandbox = sandbox_of(node_, place, run.folder, training.has_value());
  if (run.user) run.launch_folder = place.launch();
  return {};
}

// An error where a job of this owner could not be isolated as the operator wants it: it is not leased then.
Status ProviderAgent::check_isolation(const JobView& view) const {
  const ProviderConfig& provider = *node_.config.provider;
  const auto user = run_user_for(provider.isolation, view.organisations.at(view.job.owner).name);
  if (!user) return user.error().within("declined");
  if (!provider.isolation.bubblewrap) return {};
  if (provider.batch != "local")
    return Error{ErrorCode::conflict,
                 "declined: bubblewrap is for the local batch system, this provider has " + provider.batch};
  const auto program = find_bubblewrap();
  return program.ok() ? Status{} : program.error().within("declined");
}

}  // namespace ufab::jobs
