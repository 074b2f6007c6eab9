#include "jobs/script/consistency.h"

#include <algorithm>

#include "jobs/script/file_name.h"
#include "jobs/script/spellings.h"

namespace ufab::jobs {

namespace {

bool has(const SubmitOptions& o, const char* name) {
  return o.in_force.contains(name);
}
std::uint64_t number_of(const SubmitOptions& o, const char* name) {
  const auto found = o.in_force.find(name);
  const auto number =
      found == o.in_force.end() ? Result<std::uint64_t>(0) : parse_count(found->second.value, 0, 0xffffffff);
  return number ? *number : 0;
}

Error exclude(const char* one, const char* other) {
  return {ErrorCode::invalid, std::string("options --") + one + " and --" + other + " exclude each other"};
}
Error option(const char* name, const std::string& reason) {
  return {ErrorCode::invalid, std::string("option --") + name + ": " + reason};
}

struct Pair {
  const char* one;
  const char* other;
};
constexpr Pair exclusive_pairs[] = {{"mem", "mem-per-cpu"},
                                    {"mem", "mem-per-gpu"},
                                    {"mem-per-cpu", "mem-per-gpu"},
                                    {"core-spec", "thread-spec"},
                                    {"cpus-per-task", "cpus-per-gpu"},
                                    {"gpus-per-task", "ntasks-per-gpu"}};

Status check_times(const SubmitOptions& o, const Reading& reading) {
  if (has(o, "time") && o.time_min_minutes && o.time_limit_minutes &&
      *o.time_min_minutes > *o.time_limit_minutes)
    return option("time-min", "more than --time");
  if (o.deadline && *o.deadline <= reading.now_s) return option("deadline", "that time is past");
  return {};
}

Status check_gpus(const SubmitOptions& o) {
  const std::uint64_t per_node = std::max(count_of(o.gpus_per_node, "gpu"), count_of(o.gres, "gpu"));
  const bool any = per_node != 0 || !o.gpus.empty() || !o.gpus_per_task.empty() || !o.gpus_per_socket.empty();
  if (!o.gpus.empty() && per_node > count_of(o.gpus, "gpu"))
    return option("gpus", "fewer than the GPUs of one node");
  if (!o.gpus_per_task.empty() && o.gpus.empty() && !o.tasks_given && !o.nodes && !o.tasks_per_node)
    return option("gpus-per-task", "needs --ntasks or --gpus");
  if (!o.gpus_per_socket.empty() && !has(o, "sockets-per-node") && !has(o, "extra-node-info"))
    return option("gpus-per-socket", "needs --sockets-per-node");
  if (has(o, "mem-per-gpu") && !any) return option("mem-per-gpu", "no GPU is asked for");
  if (has(o, "ntasks-per-gpu") && !any && !o.tasks_given && !o.nodes)
    return option("ntasks-per-gpu", "needs GPUs, tasks or nodes");
  return {};
}

// How many hosts a list of numbers and ranges such as "3-5,7" stands for.
std::uint64_t count_numbers(std::string_view list) {
  std::uint64_t hosts = 0;
  for (const std::string& item : split(list, ',')) {
    const std::size_t dash = item.find('-');
    const auto first = parse_count(item.substr(0, dash), 0, 0x7fffffff);
    const auto last = dash == std::string::npos ? first : parse_count(item.substr(dash + 1), 0, 0x7fffffff);
    hosts += first && last && *last > *first ? *last - *first + 1 : 1;
  }
  return hosts;
}

// How many hosts "cn1,cn[3-5,7]" names.
std::uint64_t count_hosts(std::string_view list) {
  std::uint64_t hosts = 1;
  for (std::size_t at = 0; at < list.size(); ++at) {
    if (list[at] == ',') ++hosts;
    if (list[at] != '[') continue;
    const std::size_t end = std::min(list.find(']', at), list.size());
    hosts += count_numbers(list.substr(at + 1, end - at - 1)) - 1;
    at = end;
  }
  return hosts;
}

std::uint64_t derived_nodes(const SubmitOptions& o) {
  if (o.nodes) return o.nodes->min;
  if (const auto list = o.in_force.find("nodelist"); list != o.in_force.end())
    return count_hosts(list->second.value);
  const std::uint64_t per_node = std::max(count_of(o.gpus_per_node, "gpu"), count_of(o.gres, "gpu"));
  const std::uint64_t gpus = count_of(o.gpus, "gpu");
  return per_node != 0 && gpus > per_node ? (gpus + per_node - 1) / per_node : 1;
}

// The number of ranks, in 64 bits: from what was said, as Slurm's controller concludes it.
std::uint64_t derived_tasks(const SubmitOptions& o) {
  const std::uint64_t nodes = derived_nodes(o);
  if (o.tasks_per_node) return nodes * *o.tasks_per_node;
  const std::uint64_t per_gpu = std::max(number_of(o, "ntasks-per-gpu"), number_of(o, "ntasks-per-tres"));
  const std::uint64_t gpus = count_of(o.gpus, "gpu");
  if (per_gpu != 0 && gpus != 0) return gpus * per_gpu;
  const std::uint64_t per_task = count_of(o.gpus_per_task, "gpu");
  if (per_task != 0 && gpus >= per_task) return gpus / per_task;
  if (const auto info = o.in_force.find("extra-node-info"); info != o.in_force.end()) {
    std::uint64_t processors = 1;
    for (const std::string& part : split(info->second.value, ':')) {
      const auto count = parse_count(part, 1, 65535);
      if (count) processors *= *count;
    }
    return nodes * processors;
  }
  return nodes;
}

Status derive_counts(SubmitOptions& o) {
  if (!o.tasks_given) {
    constexpr std::uint64_t bound = 0x7fffffff;
    o.tasks = static_cast<std::uint32_t>(std::min(derived_tasks(o), bound));
  } else if (o.nodes) {
    // Fewer ranks than nodes: sbatch takes as many nodes as ranks and says so.
    o.nodes->max = std::min(o.nodes->max, o.tasks);
    o.nodes->min = std::min(o.nodes->min, o.tasks);
    o.in_force["nodes"].value = format_nodes(*o.nodes);
  }
  return {};
}

// Options that are two names of one setting show its last value under both.
void share_value(SubmitOptions& o, const char* one, const char* other, const std::string& value) {
  for (const char* name : {one, other}) {
    if (const auto found = o.in_force.find(name); found != o.in_force.end()) found->second.value = value;
  }
}

// sbatch reads file names from the folder that the job runs in.
void complete_paths(SubmitOptions& o, const Reading& reading) {
  if (reading.folder.empty()) return;
  std::string folder = reading.folder;
  if (const auto chdir = o.in_force.find("chdir"); chdir != o.in_force.end()) {
    std::string& value = chdir->second.value;
    if (!value.starts_with('/')) value = reading.folder + "/" + value;
    folder = value;
  }
  for (const char* name : {"output", "error", "input"}) {
    const auto found = o.in_force.find(name);
    if (found == o.in_force.end()) continue;
    std::string& value = found->second.value;
    if (!value.starts_with('/')) value = folder + (folder.ends_with('/') ? "" : "/") + value;
  }
}

}  // namespace

Status conclude(SubmitOptions& o, const Reading& reading) {
  for (const Pair& pair : exclusive_pairs) {
    if (has(o, pair.one) && has(o, pair.other)) return exclude(pair.one, pair.other);
  }
  UFAB_TRY(check_times(o, reading));
  UFAB_TRY(check_gpus(o));
  if (const auto found = o.in_force.find("distribution");
      found != o.in_force.end() && found->second.value.starts_with("arbitrary") && !has(o, "nodelist"))
    return option("distribution", "arbitrary needs --nodelist");
  UFAB_TRY(derive_counts(o));
  if (has(o, "ntasks-per-core") || has(o, "threads-per-core") || has(o, "extra-node-info"))
    o.in_force.erase("hint");
  share_value(o, "requeue", "no-requeue", o.requeue ? "requeue" : "no-requeue");
  if (o.array && !has(o, "output")) o.output = default_output(true);
  complete_paths(o, reading);
  return {};
}

}  // namespace ufab::jobs
