// squeue: jobs that wait or run, in Slurm's columns.
#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <cstdio>
#include <ctime>
#include <map>

#include "jobs/script/spellings.h"
#include "jobs/slurm_commands/support.h"

namespace ufab::jobs::slurm_commands {

namespace json = boost::json;

namespace {

std::int64_t now_s() {
  return static_cast<std::int64_t>(std::time(nullptr));
}

std::string or_null(const std::string& text) {
  return text.empty() ? "(null)" : text;
}

std::string nodes_or_reason(const Job& job) {
  if (job.code == "PD" || job.providers.empty())
    return "(" + (job.reason.empty() ? "None" : job.reason) + ")";
  return job.provider_list();
}

const SubmitOptions* options_of(const Job& job) {
  return job.spec ? &job.spec->options : nullptr;
}

std::string time_limit(const Job& job) {
  const SubmitOptions* o = options_of(job);
  if (o == nullptr) return "N/A";
  return o->time_limit_minutes ? format_elapsed(std::int64_t{*o->time_limit_minutes} * 60) : "UNLIMITED";
}

std::string time_left(const Job& job) {
  const SubmitOptions* o = options_of(job);
  if (o == nullptr) return "N/A";
  if (!o->time_limit_minutes) return "UNLIMITED";
  return format_elapsed(std::int64_t{*o->time_limit_minutes} * 60 - job.elapsed_s(now_s()));
}

std::string memory(const Job& job) {
  const SubmitOptions* o = options_of(job);
  return o == nullptr || o->memory_mib == 0
             ? "0"
             : format_memory(o->memory_mib) + (o->memory_mib % 1024 ? "M" : "");
}

std::string partition(const Job& job) {
  const std::string kept = job.kept("partition");
  return kept.empty() ? "ufab" : kept;
}

std::string priority(const Job& job) {
  const SubmitOptions* o = options_of(job);
  return std::to_string(o != nullptr && o->priority ? *o->priority : 0);
}

std::string dependency(const Job& job) {
  const SubmitOptions* o = options_of(job);
  return o == nullptr || job.code != "PD" ? "(null)" : or_null(format_dependency(o->dependencies));
}

std::string work_folder(const Job& job) {
  if (!job.spec) return "(null)";
  return job.spec->options.working_folder.empty() ? job.spec->submit_folder
                                                  : job.spec->options.working_folder;
}

std::string array_index(const Job& job) {
  return job.spec && job.spec->array_task ? std::to_string(*job.spec->array_task) : "N/A";
}

struct Field {
  char letter;            // of --format
  const char* long_name;  // of --Format; null: none
  const char* title;
  std::string (*value)(const Job&);
};
constexpr Field fields[] = {
    {'i', "jobarrayid", "JOBID", [](const Job& job) { return job.shown_number(); }},
    {'A', "jobid", "JOBID", [](const Job& job) { return std::to_string(job.number); }},
    {'F', "arrayjobid", "ARRAY_JOB_ID", [](const Job& job) { return std::to_string(job.array_number()); }},
    {'K', "arraytaskid", "ARRAY_TASK_ID", array_index},
    {'P', "partition", "PARTITION", partition},
    {'j', "name", "NAME", [](const Job& job) { return job.name; }},
    {'u', "username", "USER", [](const Job& job) { return job.owner; }},
    {'t', "statecompact", "ST", [](const Job& job) { return job.code; }},
    {'T', "state", "STATE", [](const Job& job) { return job.state; }},
    {'M', "timeused", "TIME", [](const Job& job) { return format_elapsed(job.elapsed_s(now_s())); }},
    {'l', "timelimit", "TIME_LIMIT", time_limit},
    {'L', "timeleft", "TIME_LEFT", time_left},
    {'D', "numnodes", "NODES",
     [](const Job& job) { return std::to_string(std::max<std::size_t>(job.providers.size(), 1)); }},
    {'C', "numcpus", "CPUS", [](const Job& job) { return std::to_string(job.processors()); }},
    {'m', "minmemory", "MIN_MEMORY", memory},
    {'R', "reasonlist", "NODELIST(REASON)", nodes_or_reason},
    {'r', "reason", "REASON",
     [](const Job& job) { return job.reason.empty() ? std::string("None") : job.reason; }},
    {'N', "nodelist", "NODELIST", [](const Job& job) { return job.provider_list(); }},
    {'B', "batchhost", "EXEC_HOST",
     [](const Job& job) { return job.providers.empty() ? std::string("n/a") : job.providers.front(); }},
    {'V', "submittime", "SUBMIT_TIME", [](const Job& job) { return moment_or(job.submit_s, "N/A"); }},
    {'S', "starttime", "START_TIME", [](const Job& job) { return moment_or(job.start_s, "N/A"); }},
    {'e', "endtime", "END_TIME", [](const Job& job) { return moment_or(job.end_s, "N/A"); }},
    {'Q', "prioritylong", "PRIORITY", priority},
    {'p', "priority", "PRIORITY", priority},
    {'y', "nice", "NICE",
     [](const Job& job) { return std::to_string(job.spec ? job.spec->options.nice : 0); }},
    {'a', "account", "ACCOUNT", [](const Job& job) { return or_null(job.kept("account")); }},
    {'q', "qos", "QOS", [](const Job& job) { return or_null(job.kept("qos")); }},
    {'f', "feature", "FEATURES", [](const Job& job) { return or_null(job.kept("constraint")); }},
    {'w', "wckey", "WCKEY", [](const Job& job) { return or_null(job.kept("wckey")); }},
    {'k', "comment", "COMMENT",
     [](const Job& job) { return or_null(job.spec ? job.spec->options.comment : ""); }},
    {'E', "dependency", "DEPENDENCY", dependency},
    {'Z', "workdir", "WORK_DIR", work_folder},
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::optional<std::size_t> field_of(char letter) {
  const auto* found = std::find_if(std::begin(fields), std::end(fields),
                                   [&](const Field& field) { return field.letter == letter; });
  if (found == std::end(fields)) return std::nullopt;
  return static_cast<std::size_t>(found - std::begin(fields));
}

// --Format's "JobID:10,Name:.20,State": twenty wide where nothing is said, and nothing between.
Result<RowFormat> parse_long_format(const std::string& list) {
  constexpr std::size_t width_at_first = 20;
  RowFormat rows;
  for (const std::string& item : split(list, ',')) {
    const std::size_t colon = item.find(':');
    const std::string name = lower(item.substr(0, colon));
    const auto* found = std::find_if(std::begin(fields), std::end(fields), [&](const Field& field) {
      return field.long_name != nullptr && name == field.long_name;
    });
    if (found == std::end(fields))
      return Error{ErrorCode::usage, "Invalid job format specification: " + item};
    Column column{"", static_cast<std::size_t>(found - std::begin(fields)), width_at_first, false};
    std::string_view width =
        colon == std::string::npos ? std::string_view() : std::string_view(item).substr(colon + 1);
    if (width.starts_with('.')) {
      column.right = true;
      width.remove_prefix(1);
    }
    if (const auto number = parse_count(width, 1, 10'000)) column.width = *number;
    rows.columns.push_back(std::move(column));
  }
  return rows;
}

// --sort's "-i,u": by these fields in turn, - backwards; numbers as numbers.
Status sort_jobs(std::vector<Job>& jobs, const std::string& keys) {
  const std::vector<std::string> list = split(keys, ',');
  for (auto key = list.rbegin(); key != list.rend(); ++key) {  // stable, so the last key first
    const bool backwards = key->starts_with('-');
    const char letter = key->empty() ? '\0' : key->back();
    const auto field = field_of(letter);
    if (!field || key->size() > (backwards || key->starts_with('+') ? 2U : 1U))
      return Error{ErrorCode::usage, "Invalid sort specification: " + *key};
    std::stable_sort(jobs.begin(), jobs.end(), [&](const Job& first, const Job& second) {
      const std::string a = fields[*field].value(backwards ? second : first);
      const std::string b = fields[*field].value(backwards ? first : second);
      const auto number_a = parse_count(a, 0, UINT64_MAX);
      const auto number_b = parse_count(b, 0, UINT64_MAX);
      return number_a && number_b ? *number_a < *number_b : a < b;
    });
  }
  return {};
}

// Waiting tasks of one array with one reason stand in one line, "7_[3-9%2]", unless -r says otherwise. Those
// that have none yet, because the queue has not looked at them, go with the first that has.
struct Line {
  Job job;
  std::string number;
};
std::vector<Line> lines_of(const std::vector<Job>& jobs, bool expand) {
  const auto collects = [&](const Job& job) {
    return job.spec && job.spec->array_task && job.code == "PD" && !expand;
  };
  std::map<std::uint64_t, std::string> first_reasons;  // by array
  for (const Job& job : jobs) {
    if (collects(job) && !job.reason.empty()) first_reasons.try_emplace(job.array_number(), job.reason);
  }
  std::vector<Line> lines;
  std::map<std::pair<std::uint64_t, std::string>, std::size_t> collected;
  std::map<std::size_t, ArrayRequest> arrays;
  for (const Job& job : jobs) {
    if (!collects(job)) {
      lines.push_back({job, job.shown_number()});
      continue;
    }
    const std::string& reason = job.reason.empty() ? first_reasons[job.array_number()] : job.reason;
    const auto [place, fresh] = collected.try_emplace({job.array_number(), reason}, lines.size());
    if (fresh) {
      lines.push_back({job, ""});
      lines.back().job.reason = reason;
    }
    ArrayRequest& array = arrays[place->second];
    array.tasks.push_back(*job.spec->array_task);
    if (job.spec->options.array) array.throttle = job.spec->options.array->throttle;
  }
  for (auto& [index, array] : arrays) {
    std::sort(array.tasks.begin(), array.tasks.end());
    lines[index].number = std::to_string(lines[index].job.array_number()) + "_[" + format_array(array) + "]";
  }
  return lines;
}

void print_as_json(const std::vector<Job>& jobs) {
  json::array list;
  for (const Job& job : jobs) {
    json::object shown{{"job_id", job.number},
                       {"array_job_id", job.spec && job.spec->array_task ? job.array_number() : 0},
                       {"array_task_id", nullptr},
                       {"name", job.name},
                       {"user_name", job.owner},
                       {"account", job.kept("account")},
                       {"partition", partition(job)},
                       {"job_state", job.state},
                       {"state_reason", job.reason},
                       {"nodes", job.provider_list()},
                       {"cpus", job.processors()},
                       {"submit_time", job.submit_s},
                       {"start_time", job.start_s},
                       {"end_time", job.end_s},
                       {"time_limit", nullptr}};
    if (job.spec && job.spec->array_task) shown["array_task_id"] = *job.spec->array_task;
    if (job.spec && job.spec->options.time_limit_minutes)
      shown["time_limit"] = *job.spec->options.time_limit_minutes;
    list.push_back(std::move(shown));
  }
  std::puts(
      json::serialize(
          json::object{{"schema", "ufab.squeue/1"}, {"jobs", std::move(list)}, {"errors", json::array{}}})
          .c_str());
}

}  // namespace

int squeue(const Arguments& words) {
  Selection selection;
  std::string format;
  std::string long_format;
  std::string sort_keys;
  bool header = true;
  bool expand = false;
  bool as_json = false;
  bool wide = false;
  bool numbered = false;
  const auto ignore = [](const std::string&) {};
  const auto into = [](std::set<std::string>& set) {
    return [&set](const std::string& list) { add_list(set, list); };
  };
  const auto user = [&](const std::string& list) {
    const char* login = std::getenv("USER");
    for (const std::string& name : split(list, ','))
      selection.users.insert(login != nullptr && name == login ? own_organisation() : name);
  };
  const std::vector<Option> options{
      {'u', "user", Option::required, user},
      {0, "users", Option::required, user},
      {0, "me", Option::none, [&](const std::string&) { selection.users.insert(own_organisation()); }},
      {'j', "jobs", Option::required,
       [&](const std::string& list) {
         numbered = true;
         add_list(selection.numbers, list);
       }},
      {'t', "states", Option::required,
       [&](const std::string& list) { add_list(selection.states, to_capitals(list)); }},
      {'n', "name", Option::required, into(selection.names)},
      {'p', "partition", Option::required, into(selection.partitions)},
      {'A', "account", Option::required, into(selection.accounts)},
      {'o', "format", Option::required, [&](const std::string& text) { format = text; }},
      {'O', "Format", Option::required, [&](const std::string& text) { long_format = text; }},
      {'h', "noheader", Option::none, [&](const std::string&) { header = false; }},
      {'r', "array", Option::none, [&](const std::string&) { expand = true; }},
      {'l', "long", Option::none, [&](const std::string&) { wide = true; }},
      {0, "json", Option::none, [&](const std::string&) { as_json = true; }},
      {'a', "all", Option::none, ignore},
      {'S', "sort", Option::required, [&](const std::string& keys) { sort_keys = keys; }},
      {0, "start", Option::none,
       [&](const std::string&) {
         format = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %R";
         selection.states = {"PD"};
       }},
      {'v', "verbose", Option::none, ignore}};
  const auto rest = parse_options(words, options);
  if (!rest) return fail("squeue", rest.error().message);
  if (!rest->empty()) return fail("squeue", "unrecognized argument '" + rest->front() + "'");
  if (const char* set = std::getenv("SQUEUE_FORMAT"); format.empty() && set != nullptr) format = set;
  if (format.empty())
    format =
        wide ? "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R" : "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R";
  const auto rows =
      long_format.empty() ? parse_format(format, "job", field_of) : parse_long_format(long_format);
  if (!rows) return fail("squeue", rows.error().message);
  auto jobs = load_jobs();
  if (!jobs) return fail("squeue", jobs.error().message);
  std::erase_if(*jobs, [&](const Job& job) {
    return (selection.states.empty() && job.ended()) || !selection.has(job);
  });
  if (numbered && selection.states.empty() && jobs->empty())
    return fail("squeue", "Invalid job id specified");
  if (!sort_keys.empty()) {
    if (const Status sorted = sort_jobs(*jobs, sort_keys); !sorted.ok())
      return fail("squeue", sorted.error().message);
  }
  if (as_json) {
    print_as_json(*jobs);
    return 0;
  }
  if (wide && header) {
    const std::time_t now = std::time(nullptr);
    std::fputs(std::ctime(&now), stdout);
  }
  if (header)
    std::puts(format_row(*rows, [](std::size_t field) { return std::string(fields[field].title); }).c_str());
  for (const Line& line : lines_of(*jobs, expand)) {
    std::puts(format_row(*rows, [&](std::size_t field) {
                return fields[field].letter == 'i' ? line.number : fields[field].value(line.job);
              }).c_str());
  }
  return 0;
}

}  // namespace ufab::jobs::slurm_commands
