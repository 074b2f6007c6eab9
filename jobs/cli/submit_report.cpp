#include "jobs/cli/submit_report.h"

#include <boost/json.hpp>

namespace ufab::jobs {

namespace json = boost::json;

namespace {

json::array resources(const GenericResources& list) {
  json::array shown;
  for (const GenericResource& resource : list)
    shown.push_back(
        json::object{{"name", resource.name}, {"type", resource.type}, {"count", resource.count}});
  return shown;
}

json::object dependency(const DependencyRequest& request) {
  json::array terms;
  for (const Dependency& term : request.terms) {
    json::object shown{{"kind", std::string(dependency_kind_name(term.kind))}};
    if (term.job != 0) shown["job"] = term.job;
    if (term.task) shown["task"] = *term.task;
    if (term.delay_minutes != 0) shown["delay_minutes"] = term.delay_minutes;
    terms.push_back(std::move(shown));
  }
  return {{"any_of", request.any_of}, {"terms", std::move(terms)}};
}

json::value value_of(const OptionInForce& option) {
  if (option.kind == ValueKind::flag) return true;
  if (option.kind == ValueKind::number) {
    const bool negative = option.value.starts_with('-');
    const auto digits = parse_count(std::string_view(option.value).substr(negative ? 1 : 0), 0, 0xffffffff);
    if (digits) return negative ? -static_cast<std::int64_t>(*digits) : static_cast<std::int64_t>(*digits);
  }
  return json::value(option.value);  // "2-4" nodes are no number
}

}  // namespace

json::object report_options(const std::map<std::string, OptionInForce>& in_force) {
  json::object shown;
  for (const auto& [name, option] : in_force) shown[name] = value_of(option);
  return shown;
}

json::object report_parsed(const SubmitOptions& o) {
  json::object shown{{"job_name", o.job_name},
                     {"output", o.output},
                     {"error", o.error},
                     {"input", o.input},
                     {"working_folder", o.working_folder},
                     {"comment", o.comment},
                     {"export", json::array(o.export_names.begin(), o.export_names.end())},
                     {"time_limit_minutes", nullptr},
                     {"tasks", o.tasks},
                     {"cpus_per_task", o.cpus_per_task},
                     {"memory_limit_mib", o.memory_limit_mib()},
                     {"requeue", o.requeue},
                     {"hold", o.hold},
                     {"append_output", o.append_output},
                     {"nice", o.nice}};
  if (o.time_limit_minutes) shown["time_limit_minutes"] = *o.time_limit_minutes;
  const auto put = [&](const char* name, const auto& optional) {
    if (optional) shown[name] = *optional;
  };
  put("time_min_minutes", o.time_min_minutes);
  put("begin_s", o.begin);
  put("deadline_s", o.deadline);
  put("priority", o.priority);
  put("tasks_per_node", o.tasks_per_node);
  put("kill_on_invalid_dependency", o.kill_on_invalid_dependency);
  if (o.nodes) {
    shown["nodes_min"] = o.nodes->min;
    shown["nodes_max"] = o.nodes->max;
  }
  const std::pair<const char*, std::uint64_t> amounts[] = {{"memory_mib", o.memory_mib},
                                                           {"memory_per_cpu_mib", o.memory_per_cpu_mib},
                                                           {"memory_per_gpu_mib", o.memory_per_gpu_mib},
                                                           {"temporary_disk_mib", o.temporary_disk_mib}};
  for (const auto& [name, mib] : amounts) {
    if (mib != 0) shown[name] = mib;
  }
  const std::pair<const char*, const GenericResources*> lists[] = {{"gres", &o.gres},
                                                                   {"gpus", &o.gpus},
                                                                   {"gpus_per_node", &o.gpus_per_node},
                                                                   {"gpus_per_task", &o.gpus_per_task},
                                                                   {"gpus_per_socket", &o.gpus_per_socket}};
  for (const auto& [name, list] : lists) {
    if (!list->empty()) shown[name] = resources(*list);
  }
  if (o.array) {
    shown["array"] = json::object{{"tasks", json::array(o.array->tasks.begin(), o.array->tasks.end())},
                                  {"throttle", o.array->throttle},
                                  {"step", o.array->step}};
  }
  if (!o.dependencies.empty()) shown["dependency"] = dependency(o.dependencies);
  if (o.signal) {
    shown["signal"] = json::object{{"number", o.signal->number},
                                   {"name", signal_name(o.signal->number)},
                                   {"seconds_before_end", o.signal->seconds_before_end},
                                   {"batch_shell_only", o.signal->batch_shell_only}};
  }
  return shown;
}

json::object report_submission(const SubmitOptions& options) {
  json::object shown{{"schema", "ufab.submit-test/1"},
                     {"options", report_options(options.in_force)},
                     {"fabric_options", report_options(options.fabric_in_force)},
                     {"parsed", report_parsed(options)}};
  if (!options.components.empty()) {
    json::array components;
    for (const SubmitOptions& component : options.components) {
      components.push_back(json::object{{"options", report_options(component.in_force)},
                                        {"parsed", report_parsed(component)}});
    }
    shown["components"] = std::move(components);
  }
  return shown;
}

}  // namespace ufab::jobs
