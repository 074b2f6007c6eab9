// What the owner asked for, beyond what the ledger's order says: the batch options with which every provider
// runs the script. jobs/N/spec.json in the owner's home, and in each provider's home a copy that it fetched
// from the owner. Resource limits are the owner's wish; what is paid and what is run is bound by the signed
// order.
#pragma once

#include <boost/json/object.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/digest.h"
#include "jobs/script/file_name.h"
#include "jobs/script/options.h"

namespace ufab::jobs {

struct JobSpec {
  std::string name;
  std::string idempotency_key;
  bool training = false;
  SubmitOptions options;
  std::vector<std::string> arguments;              // of the script
  std::string submit_folder;                       // absolute, on the owner's machine
  std::map<std::string, std::string> exported;     // named by --export: goes to every provider
  std::map<std::string, std::string> environment;  // --export=ALL: only for the owner's own provider
  std::uint64_t array_job = 0;                     // of a task: the array's number, 0 for its first task
  std::optional<std::uint32_t> array_task;         // options.array is the whole array's
  Digest script;                                   // of the files' bytes
  Digest definition;                               // zero for ordinary scripts
  Digest data;
  std::uint64_t exchange_bytes = 0;  // training: TrainingPlan's; for the owner's choice of providers only
};

// With `for_others` the owner's environment is left out: it may hold secrets and never leaves the
// organisation.
[[nodiscard]] boost::json::object job_spec_to_json(const JobSpec& spec, bool for_others);
[[nodiscard]] Result<JobSpec> job_spec_from_json(const boost::json::value& value);

// spec.json's text.
[[nodiscard]] std::string job_spec_text(const JobSpec& spec);
[[nodiscard]] Result<JobSpec> job_spec_from_text(std::string_view text);
[[nodiscard]] Result<JobSpec> load_job_spec(const std::string& path);
// What the queue wants to know of it: without arguments and environments, which are most of it.
[[nodiscard]] Result<JobSpec> load_queue_spec(const std::string& path);
[[nodiscard]] Result<JobSpec> queue_spec_from_text(std::string_view text);

// What --export selects of the submitter's variables: LIST's NAME and NAME=VALUE into `exported`, and with
// ALL the rest into `environment`.
void select_environment(const std::map<std::string, std::string>& variables, JobSpec& spec);
// "NAME=VALUE" entries, each ended by a NUL byte, as env -0 and --export-file have them. Entries without = or
// with an empty name are passed over.
[[nodiscard]] std::map<std::string, std::string> parse_environment_block(std::string_view block);

// The idempotency key of an array's task: "KEY/INDEX"; and the array's KEY of it.
[[nodiscard]] std::string array_task_key(const std::string& array_key, std::uint32_t task);
[[nodiscard]] std::string array_key_of(const std::string& task_key, std::uint32_t task);
// What %-patterns in the file names of this job stand for, apart from user and node.
[[nodiscard]] NameValues job_name_values(const JobSpec& spec, std::uint64_t job);

}  // namespace ufab::jobs
