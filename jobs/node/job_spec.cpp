#include "jobs/node/job_spec.h"

#include <boost/json.hpp>

#include "fabric/base/file.h"

namespace ufab::jobs {

namespace json = boost::json;

namespace {

json::object map_to_json(const std::map<std::string, std::string>& map) {
  json::object object;
  for (const auto& [key, value] : map) object[key] = value;
  return object;
}

std::map<std::string, std::string> map_from_json(const json::value& value) {
  std::map<std::string, std::string> map;
  for (const auto& [key, entry] : value.as_object()) map[std::string(key)] = std::string(entry.as_string());
  return map;
}

json::array resources_to_json(const GenericResources& resources) {
  json::array list;
  for (const GenericResource& resource : resources)
    list.push_back(json::object{{"name", resource.name}, {"type", resource.type}, {"count", resource.count}});
  return list;
}

GenericResources resources_from_json(const json::object& object, const char* key) {
  GenericResources resources;
  const json::value* list = object.if_contains(key);
  if (list == nullptr) return resources;
  for (const json::value& entry : list->as_array()) {
    const json::object& fields = entry.as_object();
    resources.push_back({std::string(fields.at("name").as_string()),
                         std::string(fields.at("type").as_string()),
                         fields.at("count").to_number<std::uint64_t>()});
  }
  return resources;
}

// When the job may start, and what a provider's batch system may want to know. Absent: not asked for.
void scheduling_to_json(const SubmitOptions& o, json::object& object) {
  if (o.array) {
    object["array"] = json::object{{"tasks", json::array(o.array->tasks.begin(), o.array->tasks.end())},
                                   {"throttle", o.array->throttle},
                                   {"step", o.array->step}};
  }
  if (!o.dependencies.empty()) object["dependency"] = format_dependency(o.dependencies);
  if (o.kill_on_invalid_dependency) object["kill_on_invalid_dependency"] = *o.kill_on_invalid_dependency;
  if (o.begin) object["begin_s"] = *o.begin;
  if (o.deadline) object["deadline_s"] = *o.deadline;
  if (o.priority) object["priority"] = *o.priority;
  if (o.nice != 0) object["nice"] = o.nice;
  if (o.nodes) {
    object["nodes_min"] = o.nodes->min;
    object["nodes_max"] = o.nodes->max;
  }
  if (o.tasks_per_node) object["tasks_per_node"] = *o.tasks_per_node;
  if (o.time_min_minutes) object["time_min_minutes"] = *o.time_min_minutes;
  if (o.temporary_disk_mib != 0) object["temporary_disk_mib"] = o.temporary_disk_mib;
  if (o.memory_per_gpu_mib != 0) object["memory_per_gpu_mib"] = o.memory_per_gpu_mib;
  const std::pair<const char*, const GenericResources*> all[] = {{"gres", &o.gres},
                                                                 {"gpus", &o.gpus},
                                                                 {"gpus_per_node", &o.gpus_per_node},
                                                                 {"gpus_per_task", &o.gpus_per_task},
                                                                 {"gpus_per_socket", &o.gpus_per_socket}};
  for (const auto& [key, resources] : all) {
    if (!resources->empty()) object[key] = resources_to_json(*resources);
  }
  // What only a batch system can use, under sbatch's own names.
  json::object kept;
  for (const auto& [name, option] : o.in_force) {
    if (!option.has_effect && name != "mail-user") kept[name] = option.value;
  }
  if (!kept.empty()) object["kept"] = std::move(kept);
}

Status scheduling_from_json(const json::object& object, SubmitOptions& o) {
  const auto number = [&](const char* key) -> std::optional<std::uint32_t> {
    const json::value* value = object.if_contains(key);
    return value == nullptr ? std::nullopt : std::optional(value->to_number<std::uint32_t>());
  };
  const auto mib = [&](const char* key) -> std::uint64_t {
    const json::value* value = object.if_contains(key);
    return value == nullptr ? 0 : value->to_number<std::uint64_t>();
  };
  const auto moment = [&](const char* key) -> std::optional<std::int64_t> {
    const json::value* value = object.if_contains(key);
    return value == nullptr ? std::nullopt : std::optional(value->to_number<std::int64_t>());
  };
  if (const json::value* value = object.if_contains("array")) {
    const json::object& fields = value->as_object();
    ArrayRequest array;
    for (const json::value& task : fields.at("tasks").as_array())
      array.tasks.push_back(task.to_number<std::uint32_t>());
    array.throttle = fields.at("throttle").to_number<std::uint32_t>();
    array.step = fields.at("step").to_number<std::uint32_t>();
    if (array.tasks.empty() || array.tasks.size() > max_array_size)
      return Error{ErrorCode::invalid, "an array without tasks or with too many"};
    o.array = std::move(array);
  }
  if (const json::value* value = object.if_contains("dependency")) {
    UFAB_ASSIGN(o.dependencies, parse_dependency(value->as_string()));
  }
  if (const json::value* value = object.if_contains("kill_on_invalid_dependency"))
    o.kill_on_invalid_dependency = value->as_bool();
  o.begin = moment("begin_s");
  o.deadline = moment("deadline_s");
  o.priority = number("priority");
  if (const json::value* value = object.if_contains("nice")) o.nice = value->to_number<std::int32_t>();
  if (const auto min = number("nodes_min"), max = number("nodes_max"); min && max)
    o.nodes = CountRange{*min, *max};
  o.tasks_per_node = number("tasks_per_node");
  o.time_min_minutes = number("time_min_minutes");
  o.temporary_disk_mib = mib("temporary_disk_mib");
  o.memory_per_gpu_mib = mib("memory_per_gpu_mib");
  o.gres = resources_from_json(object, "gres");
  o.gpus = resources_from_json(object, "gpus");
  o.gpus_per_node = resources_from_json(object, "gpus_per_node");
  o.gpus_per_task = resources_from_json(object, "gpus_per_task");
  o.gpus_per_socket = resources_from_json(object, "gpus_per_socket");
  if (const json::value* value = object.if_contains("kept")) {
    for (const auto& [name, text] : value->as_object())
      o.in_force[std::string(name)] = {std::string(text.as_string()), ValueKind::text, false};
  }
  return {};
}

json::object options_to_json(const SubmitOptions& o) {
  json::object object{{"output", o.output},
                      {"error", o.error},
                      {"input", o.input},
                      {"working_folder", o.working_folder},
                      {"comment", o.comment},
                      {"tasks", o.tasks},
                      {"cpus_per_task", o.cpus_per_task},
                      {"memory_limit_mib", o.memory_limit_mib()},
                      {"requeue", o.requeue},
                      {"hold", o.hold},
                      {"append_output", o.append_output},
                      {"providers_min", o.providers.min},
                      {"providers_max", o.providers.max},
                      {"budget_micro", o.budget_micro},
                      {"max_price_micro", o.max_price_micro},
                      {"verify_rate_ppm", o.verify.none ? 0U : o.verify.rate_ppm},
                      {"prefer", json::array(o.prefer.begin(), o.prefer.end())},
                      {"shares", json::array(o.shares.begin(), o.shares.end())}};
  if (o.time_limit_minutes) object["time_limit_minutes"] = *o.time_limit_minutes;
  if (o.signal) {
    object["signal"] = json::object{{"number", o.signal->number},
                                    {"seconds_before_end", o.signal->seconds_before_end},
                                    {"batch_shell_only", o.signal->batch_shell_only}};
  }
  scheduling_to_json(o, object);
  return object;
}

Result<SubmitOptions> options_from_json(const json::object& object) {
  SubmitOptions o;
  const auto text = [&](const char* key) { return std::string(object.at(key).as_string()); };
  const auto number = [&](const char* key) { return object.at(key).to_number<std::uint64_t>(); };
  const auto small = [&](const char* key) { return object.at(key).to_number<std::uint32_t>(); };
  o.output = text("output");
  o.error = text("error");
  o.input = text("input");
  o.working_folder = text("working_folder");
  o.comment = text("comment");
  o.tasks = small("tasks");
  o.cpus_per_task = small("cpus_per_task");
  o.memory_mib = number("memory_limit_mib");
  o.requeue = object.at("requeue").as_bool();
  o.hold = object.at("hold").as_bool();
  o.append_output = object.at("append_output").as_bool();
  o.providers = {small("providers_min"), small("providers_max")};
  o.budget_micro = number("budget_micro");
  o.max_price_micro = number("max_price_micro");
  o.verify.rate_ppm = small("verify_rate_ppm");
  o.verify.none = o.verify.rate_ppm == 0;
  for (const json::value& name : object.at("prefer").as_array()) o.prefer.emplace_back(name.as_string());
  for (const json::value& share : object.at("shares").as_array())
    o.shares.push_back(share.to_number<std::uint32_t>());
  o.time_limit_minutes.reset();
  if (const json::value* limit = object.if_contains("time_limit_minutes")) {
    o.time_limit_minutes = limit->to_number<std::uint32_t>();
  }
  if (const json::value* signal = object.if_contains("signal")) {
    const json::object& fields = signal->as_object();
    o.signal = SignalRequest{fields.at("number").to_number<int>(),
                             fields.at("seconds_before_end").to_number<std::uint32_t>(),
                             fields.at("batch_shell_only").as_bool(), false};
  }
  UFAB_TRY(scheduling_from_json(object, o));
  return o;
}

}  // namespace

json::object job_spec_to_json(const JobSpec& spec, bool for_others) {
  json::object object{{"schema", "ufab.job-spec/1"},
                      {"name", spec.name},
                      {"idempotency_key", spec.idempotency_key},
                      {"training", spec.training},
                      {"options", options_to_json(spec.options)},
                      {"arguments", json::array(spec.arguments.begin(), spec.arguments.end())},
                      {"submit_folder", spec.submit_folder},
                      {"exported", map_to_json(spec.exported)},
                      {"environment", for_others ? json::object{} : map_to_json(spec.environment)},
                      {"script", spec.script.str()},
                      {"definition", spec.definition.str()},
                      {"data", spec.data.str()}};
  if (spec.array_task) {
    object["array_task"] = *spec.array_task;
    object["array_job"] = spec.array_job;
  }
  if (spec.exchange_bytes != 0 && !for_others) object["exchange_bytes"] = spec.exchange_bytes;
  return object;
}

namespace {

// `whole`: with arguments and environment.
Result<JobSpec> spec_from_json(const json::value& value, bool whole) {
  try {
    const json::object& object = value.as_object();
    if (object.at("schema").as_string() != "ufab.job-spec/1") {
      return Error{ErrorCode::invalid, "a job specification of another version"};
    }
    JobSpec spec;
    spec.name = std::string(object.at("name").as_string());
    spec.idempotency_key = std::string(object.at("idempotency_key").as_string());
    spec.training = object.at("training").as_bool();
    UFAB_ASSIGN(spec.options, options_from_json(object.at("options").as_object()));
    spec.options.job_name = spec.name;
    spec.submit_folder = std::string(object.at("submit_folder").as_string());
    if (whole) {
      for (const json::value& word : object.at("arguments").as_array())
        spec.arguments.emplace_back(word.as_string());
      spec.exported = map_from_json(object.at("exported"));
      spec.environment = map_from_json(object.at("environment"));
    }
    if (const json::value* task = object.if_contains("array_task")) {
      spec.array_task = task->to_number<std::uint32_t>();
      spec.array_job = object.at("array_job").to_number<std::uint64_t>();
    }
    if (const json::value* bytes = object.if_contains("exchange_bytes"))
      spec.exchange_bytes = bytes->to_number<std::uint64_t>();
    UFAB_ASSIGN(spec.script, Digest::parse(object.at("script").as_string()));
    UFAB_ASSIGN(spec.definition, Digest::parse(object.at("definition").as_string()));
    UFAB_ASSIGN(spec.data, Digest::parse(object.at("data").as_string()));
    return spec;
  } catch (const std::exception& error) {
    return Error{ErrorCode::invalid, std::string("a malformed job specification: ") + error.what()};
  }
}

Result<JobSpec> spec_from_text(std::string_view text, bool whole) {
  json::error_code error;
  json::parse_options options;
  options.allow_invalid_utf8 = true;  // environment, arguments and paths are bytes
  json::monotonic_resource memory;    // freed as one: a restarted node reads every waiting job's
  const json::value value = json::parse(text, error, &memory, options);
  if (error) return Error{ErrorCode::corrupt, "not JSON"};
  return spec_from_json(value, whole);
}

Result<JobSpec> load_spec(const std::string& path, bool whole) {
  UFAB_ASSIGN(const std::string text, read_text_file(path, 4u << 20));
  auto spec = spec_from_text(text, whole);
  if (!spec) return spec.error().within(path);
  return spec;
}

}  // namespace

std::string job_spec_text(const JobSpec& spec) {
  return json::serialize(job_spec_to_json(spec, false)) + "\n";
}

Result<JobSpec> job_spec_from_text(std::string_view text) {
  return spec_from_text(text, true);
}

Result<JobSpec> job_spec_from_json(const json::value& value) {
  return spec_from_json(value, true);
}

Result<JobSpec> load_job_spec(const std::string& path) {
  return load_spec(path, true);
}

Result<JobSpec> queue_spec_from_text(std::string_view text) {
  return spec_from_text(text, false);
}

Result<JobSpec> load_queue_spec(const std::string& path) {
  return load_spec(path, false);
}

void select_environment(const std::map<std::string, std::string>& variables, JobSpec& spec) {
  for (const std::string& entry : spec.options.export_names) {
    if (entry == "NONE") continue;
    if (entry == "ALL") {
      for (const auto& [key, value] : variables) {
        if (!key.starts_with("SLURM_") && !key.starts_with("UFAB_") && !key.starts_with("SBATCH_")) {
          spec.environment[key] = value;
        }
      }
      continue;
    }
    const std::size_t equals = entry.find('=');
    const std::string name = entry.substr(0, equals);
    if (equals != std::string::npos) {
      spec.exported[name] = entry.substr(equals + 1);
    } else if (const auto found = variables.find(name); found != variables.end()) {
      spec.exported[name] = found->second;
    }
  }
}

std::map<std::string, std::string> parse_environment_block(std::string_view block) {
  std::map<std::string, std::string> variables;
  while (!block.empty()) {
    const std::size_t end = block.find('\0');
    const std::string_view entry = block.substr(0, end);
    block.remove_prefix(end == std::string_view::npos ? block.size() : end + 1);
    const std::size_t equals = entry.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    variables[std::string(entry.substr(0, equals))] = entry.substr(equals + 1);
  }
  return variables;
}

std::string array_task_key(const std::string& array_key, std::uint32_t task) {
  return array_key + "/" + std::to_string(task);
}

std::string array_key_of(const std::string& task_key, std::uint32_t task) {
  const std::string own = "/" + std::to_string(task);
  return task_key.ends_with(own) ? task_key.substr(0, task_key.size() - own.size()) : task_key;
}

NameValues job_name_values(const JobSpec& spec, std::uint64_t job) {
  NameValues values;
  values.job = job;
  values.job_name = spec.name;
  if (spec.array_task) {
    values.array_job = spec.array_job == 0 ? job : spec.array_job;
    values.array_task = spec.array_task;
  }
  return values;
}

}  // namespace ufab::jobs
