#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "accounting/audit/reconcile/sacct_run.h"
#include "fabric/base/command.h"
#include "jobs/script/values.h"
#include "slurm/controller.h"

namespace ufab::slurm {

namespace {

using jobs::RunRequest;

// Fixed columns: names and reasons may hold any character that could separate.
struct Column {
  const char* name;
  std::size_t width;
};
constexpr std::array<Column, 9> columns{{{"JobID", 20},
                                         {"State", 24},
                                         {"Reason", 160},
                                         {"SubmitTime", 24},
                                         {"StartTime", 24},
                                         {"EndTime", 24},
                                         {"exit_code", 12},
                                         {"UserName", 64},
                                         {"Name", 128}}};
std::string queue_columns() {
  std::string text;
  for (const Column& column : columns) {
    text += (text.empty() ? "" : ",") + std::string(column.name) + ":" + std::to_string(column.width);
  }
  return text;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Seconds since 1970 (SLURM_TIME_FORMAT=%s); "N/A" and "Unknown" are 0.
std::int64_t time_us(std::string_view text) {
  const std::uint64_t seconds = number(text);
  return seconds > 9'000'000'000'000 ? 0 : static_cast<std::int64_t>(seconds) * 1'000'000;
}

// PATH without the folder of the fabric's own commands of Slurm's names, which an operator may have put
// first: they would submit back to the fabric.
std::string without_our_own(const std::string& path) {
  std::string kept;
  std::istringstream folders(path);
  std::string folder;
  while (std::getline(folders, folder, ':')) {
    std::error_code error;
    const auto program = std::filesystem::canonical(std::filesystem::path(folder) / "sbatch", error);
    if (!error && program.filename() == "ufab-slurm") continue;
    kept += (kept.empty() ? "" : ":") + folder;
  }
  return kept;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

class CommandController final : public Controller {
 public:
  explicit CommandController(SlurmSettings settings) : settings_(std::move(settings)) {
    // Nothing of the node's own environment reaches sbatch: SBATCH_* variables would be options.
    for (const char* name : {"PATH", "HOME", "USER", "LOGNAME", "TZ"}) {
      if (const char* value = std::getenv(name); value != nullptr) environment_[name] = value;
    }
    environment_["PATH"] = without_our_own(environment_["PATH"]);
    environment_["LC_ALL"] = "C";
    environment_["SLURM_TIME_FORMAT"] = "%s";
    if (!settings_.conf.empty()) environment_["SLURM_CONF"] = settings_.conf;
  }

  SubmitOutcome submit(const RunRequest& request, const std::string& tag,
                       const std::string& launcher) override {
    Command command = to_run(sbatch_words(settings_, request, tag), std::chrono::seconds(120));
    command.input = launcher;
    const auto result = run_command(command);
    if (!result) {
      const bool absent = result.error().code == ErrorCode::not_found;
      if (absent) return Refused{result.error().message};
      return Unanswered{result.error().message};
    }
    return sbatch_outcome(result->exit_code, result->timed_out, result->output, result->error);
  }

  Result<std::vector<SlurmJob>> queue(const std::set<std::string>& others) override {
    std::string whose = "--me";
    if (!others.empty()) {
      whose = "--user=" + std::to_string(::geteuid());
      for (const std::string& user : others) whose += "," + user;
    }
    UFAB_ASSIGN(const std::string output,
                output_of({"squeue", "--noheader", whose, "--states=all", "--Format", queue_columns()}));
    return parse_queue(output);
  }

  Result<std::vector<SlurmJob>> accounts(std::span<const std::string> tags, std::int64_t since_us) override;

  Status cancel(std::uint64_t job) override {
    const auto result = run_command(to_run({"scancel", std::to_string(job)}, std::chrono::seconds(60)));
    if (!result) return result.error();
    // A job that has ended meanwhile is as good as cancelled.
    if (result->exit_code == 0 || contains(result->error, "already complet")) return {};
    return Error{ErrorCode::unavailable, "scancel: " + result->first_error_line()};
  }

 private:
  [[nodiscard]] Command to_run(std::vector<std::string> words, std::chrono::milliseconds timeout) const {
    Command command;
    command.words = std::move(words);
    command.environment = environment_;
    command.timeout = timeout;
    return command;
  }
  [[nodiscard]] Result<std::string> output_of(std::vector<std::string> words) const {
    const std::string program = words[0];
    auto result = run_command(to_run(std::move(words), std::chrono::seconds(60)));
    if (!result) return result.error();
    if (result->timed_out) return Error{ErrorCode::timeout, program + " does not answer"};
    if (result->exit_code != 0)
      return Error{ErrorCode::unavailable, program + ": " + result->first_error_line()};
    return std::move(result->output);
  }

  SlurmSettings settings_;
  std::map<std::string, std::string> environment_;
};

SlurmJob job_of(const SacctJob& row) {
  const auto time = [](std::uint64_t us) { return static_cast<std::int64_t>(us); };
  SlurmJob job;
  job.id = row.id;
  job.tag = row.name;
  job.state = sacct_state_word(row.state);
  job.exit_code = static_cast<int>(row.exit_code);
  job.signal = static_cast<int>(row.signal);
  job.submit_us = time(row.submit_us);
  job.start_us = time(row.start_us);
  job.end_us = time(row.end_us);
  job.elapsed_us = time(row.elapsed_us);
  job.cpu_us = row.cpu_us;
  job.max_rss_kib = row.memory_peak_bytes / 1024;
  job.nodes = row.nodes;
  job.processors = row.processors;
  job.gpus = row.gpus;
  job.gpu_us = row.gpu_us;
  job.energy_j = row.energy_j;
  job.billing_s = row.billing_s;
  job.cluster = row.cluster;
  job.user = row.user;
  job.partition = row.partition;
  return job;
}

Result<std::vector<SlurmJob>> CommandController::accounts(std::span<const std::string> tags,
                                                          std::int64_t since_us) {
  constexpr std::size_t tags_at_once = 500;  // a command line has an end
  constexpr std::int64_t clock_slack_us = 86'400'000'000;
  std::vector<SlurmJob> jobs;
  while (!tags.empty()) {
    const auto some = tags.subspan(0, std::min(tags.size(), tags_at_once));
    tags = tags.subspan(some.size());
    SacctQuery query;
    query.slurm_conf = settings_.conf;
    query.names.assign(some.begin(), some.end());
    query.from_us = static_cast<std::uint64_t>(std::max<std::int64_t>(0, since_us - clock_slack_us));
    query.timeout_ms = 60'000;
    UFAB_TRY(sacct_run(query, [&](const SacctJob& row) {
      jobs.push_back(job_of(row));
      return Status{};
    }));
  }
  return jobs;
}

}  // namespace

std::string plain_path(const std::string& path) {
  std::string text;
  for (const char c : path) {
    text.push_back(c);
    if (c == '%') text.push_back('%');
  }
  return text;
}

std::string job_comment(const RunRequest& request) {
  std::string comment = request.job_name.empty() ? request.name : request.job_name;
  for (char& c : comment) {
    if (static_cast<unsigned char>(c) < 0x20 || c == '|') c = ' ';
  }
  return comment.substr(0, 200);
}

std::uint64_t memory_per_processor_mib(const RunRequest& request) {
  const std::uint64_t processors =
      std::max<std::uint64_t>(1, std::uint64_t{request.tasks} * request.cpus_per_task);
  return (request.memory_limit_mib + processors - 1) / processors;
}

std::string warn_signal(const RunRequest& request) {
  return std::string(request.warn_shell_only ? "B:" : "") + std::to_string(request.warn_signal) + "@" +
         std::to_string(std::min<std::uint64_t>(request.warn_before_s, 65535));
}

std::vector<std::string> sbatch_words(const SlurmSettings& settings, const RunRequest& request,
                                      const std::string& tag) {
  // The script is ours, so whatever the user's own #SBATCH lines ask of her home cluster has no hold here.
  std::vector<std::string> words{"sbatch", "--parsable", "--job-name=" + tag, "--no-requeue"};
  const auto add = [&](const char* option, const std::string& value) {
    words.push_back(std::string("--") + option + "=" + value);
  };
  const auto add_if = [&](const char* option, const std::string& value) {
    if (!value.empty()) add(option, value);
  };
  add_if("partition", settings.partition);
  add_if("account", settings.account);
  add_if("qos", settings.qos);
  add_if("reservation", settings.reservation);
  add("comment", job_comment(request));
  // No variable travels on a command line or in Slurm's records: the launcher reads them from a file of 0600.
  // One name is exported because NONE would make Slurm look for the user's login environment.
  add("export", "UFAB_RUN=" + request.name);
  add("ntasks", std::to_string(request.tasks));
  add("cpus-per-task", std::to_string(request.cpus_per_task));
  if (request.nodes != 0) add("nodes", std::to_string(request.nodes));
  if (request.gpus != 0) add("gpus", std::to_string(request.gpus));
  if (request.memory_limit_mib != 0)
    add("mem-per-cpu", std::to_string(memory_per_processor_mib(request)) + "M");
  if (request.time_limit_s != 0) add("time", std::to_string((request.time_limit_s + 59) / 60));
  if (request.warn_signal != 0) add("signal", warn_signal(request));
  if (request.user) {
    // Needs root or SlurmUser; slurmstepd then opens the output and starts the launcher as that user.
    add("uid", std::to_string(request.user->uid));
    add("gid", std::to_string(request.user->gid));
  }
  add("chdir", request.folder);
  add("input", plain_path(request.input));
  add("output", plain_path(request.output));
  add("error", plain_path(request.error));
  add("open-mode", request.append_output ? "append" : "truncate");
  return words;
}

SubmitOutcome sbatch_outcome(int exit_code, bool timed_out, std::string_view output, std::string_view error) {
  if (timed_out) return Unanswered{"sbatch does not answer"};
  if (exit_code != 0) {
    return error.empty() ? Unanswered{"sbatch ended with " + std::to_string(exit_code)}
                         : submit_error_outcome(error);
  }
  // "123", or "123;cluster".
  const std::uint64_t job = number(output);
  if (job != 0) return Accepted{job};
  return Unanswered{"sbatch printed no job id"};
}

SubmitOutcome submit_error_outcome(std::string_view error) {
  const std::string line(error.substr(0, std::min<std::size_t>(error.find('\n'), 300)));
  // slurmctld's own refusals are errors that it returned; everything about sockets, timeouts and its absence
  // leaves open whether the message arrived. Unknown words are taken for the latter: asking again is safe,
  // giving up is not.
  constexpr std::array<std::string_view, 10> refusals{
      "nvalid ", "is invalid", "not available", "denied",     "not permitted",
      "xceed",   "violates",   "not valid",     "ot allowed", "unrecognized option"};
  constexpr std::array<std::string_view, 6> doubts{"Unable to contact", "Socket timed out", "onnection",
                                                   "emporarily",        "try again",        "uthentication"};
  const auto mentions = [&](std::string_view part) { return contains(error, part); };
  if (std::any_of(doubts.begin(), doubts.end(), mentions)) return Unanswered{line};
  if (std::any_of(refusals.begin(), refusals.end(), mentions)) return Refused{line};
  return Unanswered{line};
}

std::vector<SlurmJob> parse_queue(std::string_view output) {
  std::vector<SlurmJob> jobs;
  std::size_t width = 0;
  for (const Column& column : columns) width += column.width;
  while (!output.empty()) {
    const std::size_t end = output.find('\n');
    std::string_view line = output.substr(0, end);
    output.remove_prefix(end == std::string_view::npos ? output.size() : end + 1);
    if (line.size() < width - columns.back().width) continue;
    std::array<std::string_view, columns.size()> fields;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      fields[i] = trimmed(line.substr(0, columns[i].width));
      line.remove_prefix(std::min(line.size(), columns[i].width));
    }
    SlurmJob job;
    job.id = number(fields[0]);
    if (job.id == 0) continue;
    job.state = fields[1];
    job.reason = fields[2];
    job.submit_us = time_us(fields[3]);
    job.start_us = time_us(fields[4]);
    job.end_us = time_us(fields[5]);
    const std::uint64_t status = number(fields[6]);  // as wait(2) gives it
    job.signal = static_cast<int>(status & 0x7f);
    job.exit_code = job.signal == 0 ? static_cast<int>(status >> 8 & 0xff) : 0;
    job.user = fields[7];
    job.tag = fields[8];
    // A job that waits has an estimate for its start.
    if (job.state == "PENDING" || job.state == "CONFIGURING") job.start_us = 0;
    jobs.push_back(std::move(job));
  }
  return jobs;
}

std::unique_ptr<Controller> make_command_controller(SlurmSettings settings) {
  return std::make_unique<CommandController>(std::move(settings));
}

}  // namespace ufab::slurm
