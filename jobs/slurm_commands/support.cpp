#include "jobs/slurm_commands/support.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "jobs/node/home.h"
#include "jobs/script/spellings.h"

namespace ufab::jobs::slurm_commands {

namespace json = boost::json;

namespace {

std::string text_of(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}
std::uint64_t number_of(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_number() ? value->to_number<std::uint64_t>() : 0;
}

std::string ufab_program() {
  std::error_code error;
  return (std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "ufab").string();
}

Job job_of(const json::object& shown, const Home& home, const std::string& self) {
  Job job;
  job.number = number_of(shown, "job");
  job.name = text_of(shown, "name");
  job.owner = text_of(shown, "owner");
  job.own = job.owner == self;
  job.state = text_of(shown, "state");
  job.code = text_of(shown, "code");
  job.reason = text_of(shown, "reason");
  job.start_s = static_cast<std::int64_t>(number_of(shown, "start_us") / 1'000'000);
  job.end_s = static_cast<std::int64_t>(number_of(shown, "end_us") / 1'000'000);
  if (const json::value* members = shown.if_contains("members")) {
    for (const json::value& member : members->as_array())
      job.providers.push_back(text_of(member.as_object(), "organisation"));
  }
  if (const json::value* value = shown.if_contains("usage")) {
    const json::object& usage = value->as_object();
    job.cpu_us = number_of(usage, "cpu_us");
    job.wall_us = number_of(usage, "wall_us");
    job.memory_peak_bytes = number_of(usage, "memory_peak_bytes");
    job.exit_code = number_of(usage, "exit_code");
    job.signal = number_of(usage, "signal");
  }
  if (!job.own) return job;
  const std::string path = home.job_folder(job.number) + "/spec.json";
  if (auto spec = load_job_spec(path)) {
    job.name = spec->name;  // whole, as it was written
    job.spec = *std::move(spec);
  }
  struct ::stat status {};
  if (::stat(path.c_str(), &status) == 0) job.submit_s = status.st_mtime;  // written once, before the order
  return job;
}

}  // namespace

int fail(const std::string& command, const std::string& message) {
  if (!message.empty()) std::fprintf(stderr, "%s: error: %s\n", command.c_str(), message.c_str());
  return 1;
}

Result<int> run_ufab(const Arguments& words, const std::function<void(const std::string&)>& line) {
  std::array<int, 2> pipe_ends{};
  if (::pipe(pipe_ends.data()) != 0) return Error{ErrorCode::io, "no pipe"};
  std::string program = ufab_program();
  std::vector<std::string> copy = words;
  std::vector<char*> argv{program.data()};
  for (std::string& word : copy) argv.push_back(word.data());
  argv.push_back(nullptr);
  const ::pid_t child = ::fork();
  if (child < 0) return Error{ErrorCode::io, "no process"};
  if (child == 0) {
    ::dup2(pipe_ends[1], STDOUT_FILENO);
    ::close(pipe_ends[0]);
    ::close(pipe_ends[1]);
    ::execv(program.c_str(), argv.data());
    std::fprintf(stderr, "%s: cannot be run\n", program.c_str());
    ::_exit(1);
  }
  ::close(pipe_ends[1]);
  std::FILE* output = ::fdopen(pipe_ends[0], "r");
  char* buffer = nullptr;
  std::size_t size = 0;
  for (::ssize_t length = 0; output != nullptr && (length = ::getline(&buffer, &size, output)) > 0;) {
    std::string text(buffer, static_cast<std::size_t>(length));
    if (text.ends_with('\n')) text.pop_back();
    line(text);
  }
  std::free(buffer);
  if (output != nullptr) std::fclose(output);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

Result<json::object> ask_ufab(const Arguments& words) {
  std::string text;
  UFAB_ASSIGN(const int status, run_ufab(words, [&](const std::string& line) { text += line; }));
  if (status != 0) return Error{ErrorCode::unavailable, ""};
  json::error_code error;
  json::parse_options options;
  options.allow_invalid_utf8 = true;
  json::value value = json::parse(text, error, {}, options);
  if (error || !value.is_object()) return Error{ErrorCode::corrupt, "ufab's answer is no JSON object"};
  return std::move(value.get_object());
}

std::string own_organisation() {
  const auto home = Home::locate("");
  if (!home) return {};
  const auto config = home->load_config();
  return config ? config->organisation : std::string();
}

Result<std::vector<Job>> load_jobs() {
  UFAB_ASSIGN(const Home home, Home::locate(""));
  UFAB_ASSIGN(const json::object answer, ask_ufab({"queue", "--all", "--json"}));
  const std::string self = own_organisation();
  std::vector<Job> jobs;
  for (const json::value& entry : answer.at("jobs").as_array())
    jobs.push_back(job_of(entry.as_object(), home, self));
  std::sort(jobs.begin(), jobs.end(), [](const Job& a, const Job& b) { return a.number < b.number; });
  return jobs;
}

bool Job::ended() const {
  static const std::set<std::string> codes{"CD", "F", "CA", "TO", "OOM", "NF", "PR", "DL", "BF"};
  return codes.contains(code);
}

std::uint64_t Job::array_number() const {
  return spec && spec->array_task && spec->array_job != 0 ? spec->array_job : number;
}

std::string Job::shown_number() const {
  if (!spec || !spec->array_task) return std::to_string(number);
  return std::to_string(array_number()) + "_" + std::to_string(*spec->array_task);
}

std::int64_t Job::elapsed_s(std::int64_t now_s) const {
  if (ended() && wall_us != 0) return static_cast<std::int64_t>(wall_us / 1'000'000);
  if (start_s == 0) return 0;
  return std::max<std::int64_t>((end_s != 0 ? end_s : now_s) - start_s, 0);
}

std::string Job::kept(const char* option) const {
  if (!spec) return {};
  const auto found = spec->options.in_force.find(option);
  return found == spec->options.in_force.end() ? std::string() : found->second.value;
}

std::string Job::provider_list() const {
  std::string list;
  for (const std::string& provider : providers) list += (list.empty() ? "" : ",") + provider;
  return list;
}

std::uint64_t Job::processors() const {
  const std::uint64_t each = spec ? std::uint64_t{spec->options.tasks} * spec->options.cpus_per_task : 1;
  return each * std::max<std::size_t>(providers.size(), 1);
}

bool Selection::has(const Job& job) const {
  const auto allows = [](const std::set<std::string>& set, const std::string& value) {
    return set.empty() || set.contains(value);
  };
  if (!states.empty() && !states.contains("ALL") && !states.contains(job.state) && !states.contains(job.code))
    return false;
  if (!allows(users, job.owner) || !allows(names, job.name)) return false;
  if (!partitions.empty() && !partitions.contains(job.kept("partition"))) return false;
  if (!accounts.empty() && !accounts.contains(job.kept("account"))) return false;
  return numbers.empty() || numbers.contains(std::to_string(job.number)) ||
         numbers.contains(std::to_string(job.array_number())) || numbers.contains(job.shown_number());
}

void add_list(std::set<std::string>& set, const std::string& list) {
  for (const std::string& item : split(list, ',')) {
    if (!item.empty()) set.insert(item);
  }
}

Result<Arguments> parse_options(const Arguments& words, const std::vector<Option>& options) {
  Arguments rest;
  for (std::size_t at = 0; at < words.size(); ++at) {
    const std::string& word = words[at];
    if (word == "--") {
      rest.insert(rest.end(), words.begin() + static_cast<std::ptrdiff_t>(at) + 1, words.end());
      break;
    }
    if (word.size() < 2 || word[0] != '-') {
      rest.push_back(word);
      continue;
    }
    const bool is_long = word[1] == '-';
    const std::size_t equals = is_long ? word.find('=') : std::string::npos;
    const std::string name = is_long ? word.substr(2, equals == std::string::npos ? equals : equals - 2) : "";
    for (std::size_t letter = 1; letter < word.size(); ++letter) {
      const Option* found = nullptr;
      std::size_t fitting = 0;
      for (const Option& option : options) {
        const std::string_view own = option.name == nullptr ? "" : option.name;
        if (is_long ? own == name : option.letter != 0 && option.letter == word[letter]) {
          found = &option;
          fitting = 1;
          break;
        }
        if (is_long && !own.empty() && own.starts_with(name)) {
          found = &option;
          ++fitting;
        }
      }
      if (fitting != 1) {
        return Error{ErrorCode::usage, fitting == 0 ? "unrecognized option '" + word + "'"
                                                    : "option '" + word + "' is ambiguous"};
      }
      if (found->argument == Option::none) {
        if (equals != std::string::npos)
          return Error{ErrorCode::usage, "option '" + word + "' takes no value"};
        found->take("");
        if (is_long) break;
        continue;
      }
      const bool attached = is_long ? equals != std::string::npos : letter + 1 < word.size();
      if (!attached && at + 1 >= words.size())
        return Error{ErrorCode::usage, "option '" + word + "' requires an argument"};
      const std::string argument = !attached ? words[++at]
                                   : is_long ? word.substr(equals + 1)
                                             : word.substr(letter + 1);
      found->take(argument);
      break;
    }
  }
  return rest;
}

Result<RowFormat> parse_format(const std::string& format, const char* what,
                               const std::function<std::optional<std::size_t>(char)>& field_of) {
  constexpr std::size_t width_max = 10'000;
  RowFormat rows;
  for (std::size_t at = 0; at < format.size(); ++at) {
    if (format[at] != '%') {
      rows.behind.push_back(format[at]);
      continue;
    }
    Column column;
    ++at;
    if (at < format.size() && format[at] == '.') {
      column.right = true;
      ++at;
    }
    for (; at < format.size() && format[at] >= '0' && format[at] <= '9' && column.width < width_max; ++at)
      column.width = column.width * 10 + static_cast<std::size_t>(format[at] - '0');
    const char letter = at < format.size() ? format[at] : '\0';
    const auto field = field_of(letter);
    if (!field) {
      return Error{ErrorCode::usage,
                   std::string("Invalid ") + what + " format specification: " + std::string(1, letter)};
    }
    column.field = *field;
    column.before = std::exchange(rows.behind, {});
    rows.columns.push_back(std::move(column));
  }
  return rows;
}

std::string format_row(const RowFormat& format, const std::function<std::string(std::size_t field)>& text) {
  std::string row;
  for (const Column& column : format.columns) {
    std::string cell = text(column.field);
    if (column.width != 0 && cell.size() > column.width) cell.resize(column.width);
    const std::string padding(column.width > cell.size() ? column.width - cell.size() : 0, ' ');
    row += column.before + (column.right ? padding + cell : cell + padding);
  }
  return row + format.behind;
}

std::string format_elapsed(std::int64_t seconds) {
  const std::string whole = format_seconds(static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0)));
  if (whole.find('-') != std::string::npos) return whole;
  if (whole.starts_with("00:")) return whole[3] == '0' ? whole.substr(4) : whole.substr(3);
  return whole[0] == '0' ? whole.substr(1) : whole;
}

std::string moment_or(std::int64_t moment_s, const char* otherwise) {
  return moment_s == 0 ? otherwise : format_moment(moment_s);
}

std::string to_capitals(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

}  // namespace ufab::jobs::slurm_commands
