#include "jobs/node/run_environment.h"

#include <unistd.h>

#include <cstdlib>

namespace ufab::jobs {

std::string short_host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "localhost";
  const std::string full = name;
  return full.substr(0, full.find('.'));
}

NameValues name_values(const JobSpec& spec, JobId job) {
  const char* user = std::getenv("USER");
  NameValues values = job_name_values(spec, job);
  values.user = user == nullptr ? "" : user;
  values.node = short_host_name();
  return values;
}

// SLURM_ARRAY_* of a task.
static void set_array_variables(const JobSpec& spec, JobId job, std::map<std::string, std::string>& e) {
  if (!spec.array_task || !spec.options.array) return;
  const ArrayRequest& array = *spec.options.array;
  e["SLURM_ARRAY_JOB_ID"] = std::to_string(spec.array_job == 0 ? job : spec.array_job);
  e["SLURM_ARRAY_TASK_ID"] = std::to_string(*spec.array_task);
  e["SLURM_ARRAY_TASK_COUNT"] = std::to_string(array.tasks.size());
  e["SLURM_ARRAY_TASK_MIN"] = std::to_string(array.first());
  e["SLURM_ARRAY_TASK_MAX"] = std::to_string(array.last());
  e["SLURM_ARRAY_TASK_STEP"] = std::to_string(array.step);
}

std::map<std::string, std::string> run_environment(const NodeContext& node, const JobSpec& spec, JobId job,
                                                   const AttemptEntry& attempt, bool own_job) {
  std::map<std::string, std::string> e;
  if (own_job) e = spec.environment;
  for (const char* name : {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TMPDIR"}) {
    if (e.contains(name)) continue;
    if (const char* value = std::getenv(name); value != nullptr) e[name] = value;
  }
  for (const auto& [name, value] : spec.exported) e[name] = value;
  if (!e.contains("PATH")) e["PATH"] = "/usr/local/bin:/usr/bin:/bin";
  e["PATH"] = node.program_folder + ":" + e["PATH"];

  const SubmitOptions& options = spec.options;
  const JobFolder folder(node.home, job);
  const std::string number = std::to_string(job);
  const std::string host = short_host_name();
  // What describes the submission. What describes the allocation is the batch system's to say, if it does.
  e["SLURM_JOB_NAME"] = spec.name;
  e["SLURM_SUBMIT_DIR"] = own_job ? spec.submit_folder : folder.path();
  e["SLURM_RESTART_COUNT"] = std::to_string(attempt.number - 1);
  if (node.batch == nullptr || !node.batch->sets_slurm_variables()) {
    e["SLURM_JOB_ID"] = e["SLURM_JOBID"] = number;
    e["SLURM_CLUSTER_NAME"] = node.config.organisation;
    e["SLURM_NTASKS"] = e["SLURM_NPROCS"] = std::to_string(options.tasks);
    e["SLURM_TASKS_PER_NODE"] = std::to_string(options.tasks);
    e["SLURM_CPUS_PER_TASK"] = std::to_string(options.cpus_per_task);
    const std::string processors = std::to_string(std::uint64_t{options.tasks} * options.cpus_per_task);
    e["SLURM_CPUS_ON_NODE"] = e["SLURM_JOB_CPUS_PER_NODE"] = processors;
    e["SLURM_JOB_NUM_NODES"] = e["SLURM_NNODES"] = "1";
    e["SLURM_JOB_NODELIST"] = e["SLURM_NODELIST"] = host;
    e["SLURMD_NODENAME"] = host;
    e["SLURM_SUBMIT_HOST"] = host;
    e["SLURM_PROCID"] = e["SLURM_NODEID"] = e["SLURM_LOCALID"] = "0";
    // What sacct and squeue show as well.
    const auto asked = [&](const char* option, const char* otherwise) {
      const auto found = options.in_force.find(option);
      return found == options.in_force.end() ? std::string(otherwise) : found->second.value;
    };
    const std::string partitions = asked("partition", "ufab");
    e["SLURM_JOB_PARTITION"] = partitions.substr(0, partitions.find(','));
    e["SLURM_JOB_QOS"] = asked("qos", "normal");
    if (const std::string account = asked("account", ""); !account.empty()) e["SLURM_JOB_ACCOUNT"] = account;
    if (options.memory_mib != 0) e["SLURM_MEM_PER_NODE"] = std::to_string(options.memory_mib);

    // Open MPI takes SLURM_* for a sign that slurmd runs here; under the local batch system none does.
    for (const char* component : {"OMPI_MCA_ras", "OMPI_MCA_plm", "OMPI_MCA_ess"}) e[component] = "^slurm";
  }

  set_array_variables(spec, job, e);
  e["UFAB_JOB_ID"] = number;
  e["UFAB_ATTEMPT"] = std::to_string(attempt.number);
  e["UFAB_PROVIDER"] = node.config.organisation;
  e["UFAB_PROVIDERS"] = std::to_string(attempt.members.size());
  e["UFAB_RANKS"] = std::to_string(options.tasks);
  e["UFAB_THREADS"] = std::to_string(options.cpus_per_task);
  e["UFAB_TRAINER"] = node.trainer;
  if (spec.training) {
    e["UFAB_DEFINITION"] = folder.definition();
    e["UFAB_DATA"] = folder.corpus();
    e["UFAB_GANG"] = folder.attempt(attempt.number) + "/gang.json";
    e["UFAB_OUT"] = folder.out(attempt.number);
  }
  return e;
}

}  // namespace ufab::jobs
