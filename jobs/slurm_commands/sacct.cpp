// sacct: what jobs used, in Slurm's columns, of jobs that the node still has in memory (the ledger has all:
// `ufab audit`). A job that has run has a line of its own and one of its batch step, as in Slurm; -X leaves
// the steps out.
#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <ctime>

#include "jobs/script/spellings.h"
#include "jobs/slurm_commands/support.h"

namespace ufab::jobs::slurm_commands {

namespace json = boost::json;

namespace {

struct Row {
  const Job& job;
  bool step = false;  // the batch step
};

std::int64_t now_s() {
  return static_cast<std::int64_t>(std::time(nullptr));
}

const SubmitOptions* options_of(const Row& row) {
  return row.job.spec && !row.step ? &row.job.spec->options : nullptr;
}

std::string exit_code(const Row& row) {
  return std::to_string(row.job.exit_code) + ":" + std::to_string(row.job.signal);
}

std::string elapsed(const Row& row) {
  return format_seconds(static_cast<std::uint64_t>(row.job.elapsed_s(now_s())));
}

std::string time_limit(const Row& row) {
  const SubmitOptions* o = options_of(row);
  return o == nullptr ? "" : format_time_limit(o->time_limit_minutes);
}

std::string required_memory(const Row& row) {
  const SubmitOptions* o = options_of(row);
  if (o == nullptr || o->memory_mib == 0) return "";
  return format_memory(o->memory_mib) + (o->memory_mib % 1024 != 0 ? "M" : "");
}

// "00:00.250", "01:02:03": user and system time together.
std::string processor_time(const Row& row) {
  const std::uint64_t seconds = row.job.cpu_us / 1'000'000;
  if (seconds >= 3600) return format_seconds(seconds);
  char text[32];
  std::snprintf(text, sizeof text, "%02u:%02u.%03u", static_cast<unsigned>(seconds / 60),
                static_cast<unsigned>(seconds % 60), static_cast<unsigned>(row.job.cpu_us / 1000 % 1000));
  return text;
}

std::uint64_t allocated_seconds(const Row& row) {
  return row.job.processors() * static_cast<std::uint64_t>(row.job.elapsed_s(now_s()));
}

std::string end_time(const Row& row) {
  if (!row.job.ended()) return "Unknown";
  if (row.job.end_s != 0) return format_moment(row.job.end_s);
  return "Unknown";
}

struct Field {
  const char* name;
  std::size_t width;
  bool right;
  std::string (*value)(const Row&);
};
constexpr Field fields[] = {
    {"Account", 10, true, [](const Row& row) { return row.job.kept("account"); }},
    {"AllocCPUS", 10, true, [](const Row& row) { return std::to_string(row.job.processors()); }},
    {"AllocNodes", 10, true, [](const Row& row) { return std::to_string(row.job.providers.size()); }},
    {"Cluster", 10, true, [](const Row&) { return std::string("ufab"); }},
    {"Comment", 14, true,
     [](const Row& row) { return options_of(row) == nullptr ? std::string() : options_of(row)->comment; }},
    {"CPUTime", 10, true, [](const Row& row) { return format_seconds(allocated_seconds(row)); }},
    {"CPUTimeRAW", 10, true, [](const Row& row) { return std::to_string(allocated_seconds(row)); }},
    {"DerivedExitCode", 15, true, [](const Row& row) { return row.step ? std::string() : exit_code(row); }},
    {"Elapsed", 10, true, elapsed},
    {"ElapsedRaw", 10, true, [](const Row& row) { return std::to_string(row.job.elapsed_s(now_s())); }},
    {"End", 19, true, end_time},
    {"ExitCode", 8, true, exit_code},
    {"JobID", 12, false, [](const Row& row) { return row.job.shown_number() + (row.step ? ".batch" : ""); }},
    {"JobIDRaw", 12, false,
     [](const Row& row) { return std::to_string(row.job.number) + (row.step ? ".batch" : ""); }},
    {"JobName", 10, true, [](const Row& row) { return row.step ? std::string("batch") : row.job.name; }},
    {"MaxRSS", 10, true,
     [](const Row& row) {
       return row.step ? std::to_string(row.job.memory_peak_bytes >> 10) + "K" : std::string();
     }},
    {"NCPUS", 10, true, [](const Row& row) { return std::to_string(row.job.processors()); }},
    {"NNodes", 8, true, [](const Row& row) { return std::to_string(row.job.providers.size()); }},
    {"NodeList", 15, true,
     [](const Row& row) {
       return row.job.providers.empty() ? std::string("None assigned") : row.job.provider_list();
     }},
    {"NTasks", 8, true, [](const Row& row) { return row.step ? std::string("1") : std::string(); }},
    {"Partition", 10, true,
     [](const Row& row) {
       const std::string kept = row.job.kept("partition");
       return row.step ? std::string() : kept.empty() ? std::string("ufab") : kept;
     }},
    {"QOS", 10, true, [](const Row& row) { return row.job.kept("qos"); }},
    {"Reason", 22, true,
     [](const Row& row) { return row.job.reason.empty() ? std::string("None") : row.job.reason; }},
    {"ReqCPUS", 8, true, [](const Row& row) { return std::to_string(row.job.processors()); }},
    {"ReqMem", 10, true, required_memory},
    {"Start", 19, true, [](const Row& row) { return moment_or(row.job.start_s, "Unknown"); }},
    {"State", 10, true, [](const Row& row) { return row.job.state; }},
    {"Submit", 19, true, [](const Row& row) { return moment_or(row.job.submit_s, "Unknown"); }},
    {"Timelimit", 10, true, time_limit},
    {"TotalCPU", 10, true, processor_time},
    {"User", 9, true, [](const Row& row) { return row.step ? std::string() : row.job.owner; }},
    {"WorkDir", 20, true,
     [](const Row& row) { return row.job.spec && !row.step ? row.job.spec->submit_folder : std::string(); }},
};

struct Chosen {
  const Field* field;
  std::size_t width;
  bool right;
};

// "JobID,State%20,JobName%-30".
Result<std::vector<Chosen>> choose(const std::string& format) {
  std::vector<Chosen> chosen;
  for (const std::string& item : split(format, ',')) {
    const std::size_t percent = item.find('%');
    const std::string name = item.substr(0, percent);
    const auto* found = std::find_if(std::begin(fields), std::end(fields), [&](const Field& field) {
      return equals_ignoring_case(field.name, name);
    });
    if (found == std::end(fields))
      return Error{ErrorCode::usage, "Invalid field requested: \"" + name + "\""};
    Chosen column{found, found->width, found->right};
    if (percent != std::string::npos) {
      std::string_view width = std::string_view(item).substr(percent + 1);
      column.right = !width.starts_with('-');
      if (!column.right) width.remove_prefix(1);
      if (const auto number = parse_count(width, 1, 10'000)) column.width = *number;
    }
    chosen.push_back(column);
  }
  return chosen;
}

// A cell of a table: cut ones end in +, as in Slurm.
std::string cell(const std::string& text, const Chosen& column) {
  std::string shown = text;
  if (shown.size() > column.width) shown = shown.substr(0, column.width - 1) + "+";
  const std::string padding(column.width - shown.size(), ' ');
  return column.right ? padding + shown : shown + padding;
}

enum class Manner { table, ended_by_bars, between_bars };

std::string join(const std::vector<Chosen>& columns, Manner manner, const std::string& bar,
                 const std::function<std::string(const Chosen&)>& text) {
  std::string line;
  for (const Chosen& column : columns) {
    if (manner == Manner::between_bars) line += &column == &columns.front() ? "" : bar;
    line += manner == Manner::table ? cell(text(column), column) + " " : text(column);
    if (manner == Manner::ended_by_bars) line += bar;
  }
  return line;
}

}  // namespace

int sacct(const Arguments& words) {
  Selection selection;
  std::string format = "JobID,JobName,Partition,Account,AllocCPUS,State,ExitCode";
  Manner manner = Manner::table;
  bool header = true;
  bool steps = true;
  bool as_json = false;
  std::string bar = "|";
  std::string from;
  std::string until;
  const auto ignore = [](const std::string&) {};
  const auto into = [](std::set<std::string>& set) {
    return [&set](const std::string& list) { add_list(set, list); };
  };
  const std::vector<Option> options{
      {'j', "jobs", Option::required, into(selection.numbers)},
      {'u', "user", Option::required,
       [&](const std::string& list) {
         const char* login = std::getenv("USER");
         for (const std::string& name : split(list, ','))
           selection.users.insert(login != nullptr && name == login ? own_organisation() : name);
       }},
      {0, "name", Option::required, into(selection.names)},
      {'A', "accounts", Option::required, into(selection.accounts)},
      {'r', "partition", Option::required, into(selection.partitions)},
      {'s', "state", Option::required,
       [&](const std::string& list) { add_list(selection.states, to_capitals(list)); }},
      {'o', "format", Option::required, [&](const std::string& text) { format = text; }},
      {'X', "allocations", Option::none, [&](const std::string&) { steps = false; }},
      {'n', "noheader", Option::none, [&](const std::string&) { header = false; }},
      {'p', "parsable", Option::none, [&](const std::string&) { manner = Manner::ended_by_bars; }},
      {'P', "parsable2", Option::none, [&](const std::string&) { manner = Manner::between_bars; }},
      {'S', "starttime", Option::required, [&](const std::string& text) { from = text; }},
      {'E', "endtime", Option::required, [&](const std::string& text) { until = text; }},
      {0, "delimiter", Option::required, [&](const std::string& text) { bar = text; }},
      {0, "units", Option::required, ignore},
      {0, "noconvert", Option::none, ignore},
      {'T', "truncate", Option::none, ignore},
      {0, "json", Option::none, [&](const std::string&) { as_json = true; }},
      {'b', "brief", Option::none, [&](const std::string&) { format = "JobID,State,ExitCode"; }},
      {'a', "allusers", Option::none, ignore},
      {'D', "duplicates", Option::none, ignore},
      {'L', "allclusters", Option::none, ignore},
      {'e', "helpformat", Option::none, [&](const std::string&) { format.clear(); }}};
  const auto rest = parse_options(words, options);
  if (!rest) return fail("sacct", rest.error().message);
  if (!rest->empty()) return fail("sacct", "unrecognized argument '" + rest->front() + "'");
  if (format.empty()) {
    for (const Field& field : fields) std::puts(field.name);
    return 0;
  }
  const auto columns = choose(format);
  if (!columns) return fail("sacct", columns.error().message);
  // Slurm's window: with -j all of time, otherwise today.
  const std::int64_t now = now_s();
  std::int64_t first = 0;
  std::int64_t last = now;
  if (from.empty() && selection.numbers.empty()) from = "today";
  for (const auto& [text, moment] : {std::pair{&from, &first}, std::pair{&until, &last}}) {
    if (text->empty()) continue;
    // A time of day alone is today's here, past or to come; whatever has a date of its own keeps it.
    auto parsed = parse_moment("today " + *text, now);
    if (!parsed) parsed = parse_moment(*text, now);
    if (!parsed) return fail("sacct", "Invalid time specification: " + *text);
    *moment = *parsed;
  }
  auto jobs = load_jobs();
  if (!jobs) return fail("sacct", jobs.error().message);
  std::vector<Row> rows;
  for (const Job& job : *jobs) {
    // A job that never ran has no end of its own: its submission stands for it.
    const std::int64_t over_s = job.end_s != 0 ? job.end_s : job.submit_s;
    const bool before = job.ended() && over_s != 0 && over_s < first;
    if (!selection.has(job) || before || (job.submit_s != 0 && job.submit_s > last)) continue;
    rows.push_back({job, false});
    if (steps && job.ended() && job.wall_us != 0) rows.push_back({job, true});
  }
  if (as_json) {
    json::array list;
    for (const Row& row : rows) {
      json::object shown;
      for (const Field& field : fields) shown[field.name] = field.value(row);
      list.push_back(std::move(shown));
    }
    std::puts(
        json::serialize(json::object{{"schema", "ufab.slurm-sacct/1"}, {"jobs", std::move(list)}}).c_str());
    return 0;
  }
  if (header) {
    std::puts(join(*columns, manner, bar, [](const Chosen& column) {
                return std::string(column.field->name);
              }).c_str());
    if (manner == Manner::table)
      std::puts(join(*columns, manner, bar, [](const Chosen& column) {
                  return std::string(column.width, '-');
                }).c_str());
  }
  for (const Row& row : rows)
    std::puts(
        join(*columns, manner, bar, [&](const Chosen& column) { return column.field->value(row); }).c_str());
  return 0;
}

}  // namespace ufab::jobs::slurm_commands
