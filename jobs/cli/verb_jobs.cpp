// queue, show, logs, wait, cancel, hold, release, requeue, sacct.
#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iterator>
#include <optional>
#include <thread>

#include "accounting/amount.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"
#include "jobs/rpc/client.h"

namespace ufab::jobs {

namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

std::string text_of(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}
std::uint64_t number_of(const json::object& object, const char* key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_number() ? value->to_number<std::uint64_t>() : 0;
}
unsigned long long printable(std::uint64_t value) {
  return value;
}

Result<json::object> fetch_job(const Invocation& invocation, std::uint64_t job) {
  UFAB_ASSIGN(Answer answer, ask_node(invocation, "job", {{"job", job}}));
  return std::move(answer.result);
}

// Calls `take` with every page of the listing, over one link.
Status for_each_page(const Invocation& invocation, bool all, const char* form,
                     const std::function<void(Answer&)>& take) {
  UFAB_ASSIGN(const Home home, invocation.home());
  if (!home.exists())
    return Error{ErrorCode::not_found, home.path() + " is no home yet; `ufab init` makes one"};
  UFAB_ASSIGN(RpcClient client, RpcClient::connect_home(home.socket()));
  std::uint64_t from = 0;
  do {
    const Request request{"jobs", {{"all", all}, {"from", from}, {"form", form}}, {}};
    UFAB_ASSIGN(Answer answer, client.call(request, 30s));
    from = number_of(answer.result, "next");
    take(answer);
  } while (from != 0);
  return {};
}

struct Progress {
  std::uint64_t step = 0;
  std::string loss;
  double tokens_per_s = 0;
};

// The gang runs in lock-step, so the member that reported last is the truth for all.
Progress progress_of(const json::object& job) {
  Progress best;
  for (const json::value& entry : job.at("members").as_array()) {
    const json::object& member = entry.as_object();
    if (number_of(member, "step") < best.step) continue;
    best.step = number_of(member, "step");
    best.loss = text_of(member, "loss");
    const json::value* speed = member.if_contains("tokens_per_s");
    best.tokens_per_s = speed != nullptr && speed->is_number() ? speed->to_number<double>() : 0;
  }
  return best;
}

class ProgressLine {
 public:
  explicit ProgressLine(bool quiet) : quiet_(quiet), terminal_(::isatty(1) == 1) {}
  ~ProgressLine() { end(); }

  void show(const json::object& job) {
    if (quiet_) return;
    const std::string line = describe(job);
    if (terminal_) {
      std::printf("\r\033[K%s", line.c_str());
      std::fflush(stdout);
      open_ = true;
      return;
    }
    // Not a terminal: a line when the phase changes, and every five seconds while training.
    const std::string phase = text_of(job, "phase");
    const auto now = std::chrono::steady_clock::now();
    if (line == line_ || (phase == phase_ && phase == "running" && now - printed_ < 5s)) return;
    phase_ = phase;
    printed_ = now;
    line_ = line;
    std::puts(line.c_str());
    std::fflush(stdout);
  }
  void end() {
    if (open_) std::puts("");
    open_ = false;
  }

 private:
  std::string describe(const json::object& job) {
    const std::string phase = text_of(job, "phase");
    char line[256];
    if (phase == "running" && text_of(job, "kind") == "training") {
      const Progress progress = progress_of(job);
      const std::uint64_t steps = number_of(job, "steps");
      const auto now = std::chrono::steady_clock::now();
      if (progress.step != 0 && first_step_ == 0) {
        first_step_ = progress.step;
        first_time_ = now;
      }
      std::string left = "—";
      const double seconds = std::chrono::duration<double>(now - first_time_).count();
      if (progress.step > first_step_ && first_step_ != 0 && steps >= progress.step) {
        const double rate = static_cast<double>(progress.step - first_step_) / seconds;
        left = format_duration(static_cast<std::uint64_t>(static_cast<double>(steps - progress.step) / rate));
      }
      std::snprintf(line, sizeof line, "job %llu  step %llu/%llu  loss %s  %.0f tokens/s  %s left",
                    printable(number_of(job, "job")), printable(progress.step), printable(steps),
                    progress.loss.empty() ? "—" : progress.loss.substr(0, 6).c_str(), progress.tokens_per_s,
                    left.c_str());
      return line;
    }
    std::string detail = text_of(job, "reason");
    if (phase == "validating" && job.contains("windows")) {
      const json::object& windows = job.at("windows").as_object();
      detail = std::to_string(number_of(windows, "assigned")) + " windows being re-executed, " +
               std::to_string(number_of(windows, "verified")) + " verified";
    }
    std::snprintf(line, sizeof line, "job %llu  %s%s%s", printable(number_of(job, "job")), phase.c_str(),
                  detail.empty() ? "" : ": ", detail.substr(0, 180).c_str());
    return line;
  }

  bool quiet_;
  bool terminal_;
  bool open_ = false;
  std::string phase_;
  std::string line_;
  std::chrono::steady_clock::time_point printed_;
  std::uint64_t first_step_ = 0;
  std::chrono::steady_clock::time_point first_time_;
};

void print_settlement(const json::object& job) {
  const json::value* value = job.if_contains("settlement");
  if (value == nullptr) return;
  const json::object& settlement = value->as_object();
  if (text_of(job, "kind") == "training") {
    std::printf("settled: %s, %llu windows paid, %llu re-executed with equal digests\n",
                text_of(settlement, "result").c_str(), printable(number_of(settlement, "windows_paid")),
                printable(number_of(settlement, "windows_verified")));
  } else {
    std::printf("settled: %s, paid by measured use\n", text_of(settlement, "result").c_str());
  }
  for (const json::value& entry : settlement.at("payments").as_array()) {
    const json::object& payment = entry.as_object();
    std::printf("  %-16s %s\n", text_of(payment, "organisation").c_str(),
                format_amount(number_of(payment, "amount_micro")).c_str());
  }
  std::printf(
      "  fee %s, refund %s\n",
      format_amount(number_of(settlement, "fee_burned_micro") + number_of(settlement, "fee_treasury_micro"))
          .c_str(),
      format_amount(number_of(settlement, "refund_micro")).c_str());
}

// A verb of one job, an array or tasks of one, that only asks the node.
VerbResult simple_verb(const Invocation& invocation, Words words, const char* verb, const char* method,
                       const char* about, const char* done) {
  std::string number;
  CommandLine line(std::string(verb) + " JOB", about);
  line.required("job", number, "the job's number, an array's, or tasks of one (7_3, 7_[1-3])");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const std::vector<std::uint64_t> jobs, resolve_jobs(invocation, number));
  std::optional<Error> failed;
  for (const std::uint64_t job : jobs) {
    const auto answer = ask_node(invocation, method, {{"job", job}});
    if (!answer) {  // the others of an array still get their turn
      const std::string where = "job " + std::to_string(job);
      if (!failed) failed = jobs.size() == 1 ? answer.error() : answer.error().within(where);
      continue;
    }
    std::printf("job %llu %s\n", printable(job), done);
  }
  return failed ? VerbResult(*failed) : VerbResult(0);
}

}  // namespace

VerbResult follow_job(const Invocation& invocation, std::uint64_t job, bool quiet) {
  ProgressLine progress(quiet);
  int silent = 0;
  for (;;) {
    const auto fields = fetch_job(invocation, job);
    if (!fields) {
      // A node that is being restarted answers again; one that stays away ends the waiting.
      if (fields.error().exit_status() != 3 || ++silent > 60) return fields.error();
      std::this_thread::sleep_for(500ms);
      continue;
    }
    silent = 0;
    progress.show(*fields);
    if (text_of(*fields, "phase") == "settled" && fields->at("finished").as_bool()) {
      progress.end();
      if (!quiet) print_settlement(*fields);
      return text_of(*fields, "code") == "CD" ? 0 : 1;
    }
    std::this_thread::sleep_for(250ms);
  }
}

namespace {

// A row as the node gives it (jobs/node/job_json.h) in columns; `row` without its line end.
void print_queue_row(std::string_view row, bool parsable) {
  std::array<std::string_view, 9> field;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const std::size_t end = i + 1 < field.size() ? std::min(row.find('|'), row.size()) : row.size();
    field[i] = row.substr(0, end);
    row.remove_prefix(std::min(end + 1, row.size()));
  }
  const auto& [job, name, owner, state, code, step, steps, providers, reason] = field;
  const auto put = [](std::string_view text, std::size_t size_max = SIZE_MAX) {
    return std::pair<int, const char*>(static_cast<int>(std::min(text.size(), size_max)), text.data());
  };
  const auto cell = [&](std::string_view text, int width, bool left, std::size_t size_max) {
    const auto [size, data] = put(text, size_max);
    std::printf(left ? "%-*.*s" : "%*.*s", width, size, data);
  };
  if (parsable) {
    for (const std::string_view text : {job, name, owner, state, step, steps, providers}) {
      std::fwrite(text.data(), 1, text.size(), stdout);
      std::putchar('|');
    }
    std::fwrite(reason.data(), 1, reason.size(), stdout);
    std::putchar('\n');
    return;
  }
  const std::string progress = steps == "0" ? "" : std::string(step) + "/" + std::string(steps);
  cell(job, 7, false, 20);
  std::putchar(' ');
  cell(name, 20, true, 20);
  std::putchar(' ');
  cell(owner, 10, true, 10);
  std::putchar(' ');
  cell(code, 2, true, 3);
  std::putchar(' ');
  cell(progress, 13, false, 40);
  std::putchar(' ');
  cell(providers, 24, true, 24);
  std::putchar(' ');
  std::fwrite(reason.data(), 1, reason.size(), stdout);
  std::putchar('\n');
}

}  // namespace

VerbResult verb_queue(const Invocation& invocation, Words words) {
  bool as_json = false;
  bool all = false;
  bool parsable = false;
  CommandLine line(
      "queue [--all] [--json|--parsable]",
      "This organisation's jobs that have not ended. Why a job waits is Slurm's word for it:\n"
      "Resources: it is next, and waits for processors. Priority: other jobs come first, or other\n"
      "organisations, which have used less. Prolog: a provider makes ready for it.");
  line.flag("--all", all, "everybody's jobs, and those that ended lately");
  line.flag("--json", as_json, "one JSON object");
  line.flag("--parsable", parsable, "columns separated by |");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  // Printed when the last page is here: an error leaves no half of a listing.
  std::vector<Bytes> pages;
  UFAB_TRY(for_each_page(invocation, all, as_json ? "text" : "rows", [&](Answer& page) {
    if (!page.body.empty()) pages.push_back(std::move(page.body));
  }));
  if (as_json) {
    std::printf("{\"schema\":\"ufab.queue/1\",\"jobs\":[");
    for (const Bytes& page : pages) {
      if (&page != &pages.front()) std::putchar(',');
      std::fwrite(page.data(), 1, page.size(), stdout);
    }
    std::puts("]}");
    return 0;
  }
  if (parsable) {
    std::puts("JOBID|NAME|OWNER|STATE|STEP|STEPS|PROVIDERS|REASON");
  } else {
    std::printf("%7s %-20s %-10s %-2s %13s %-24s %s\n", "JOBID", "NAME", "OWNER", "ST", "STEP", "PROVIDERS",
                "REASON");
  }
  for (const Bytes& page : pages) {
    std::string_view text = as_text(page);
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      print_queue_row(text.substr(0, end), parsable);
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
  return 0;
}

VerbResult verb_show(const Invocation& invocation, Words words) {
  std::string number;
  bool as_json = false;
  CommandLine line("show JOB [--json]", "Everything about one job.");
  line.required("job", number, "the job's number");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const std::vector<std::uint64_t> jobs, resolve_jobs(invocation, number));
  const std::uint64_t number_value = jobs.front();
  UFAB_ASSIGN(const json::object job, fetch_job(invocation, number_value));
  if (as_json) {
    print_json(job);
    return 0;
  }
  std::printf("job         %llu %s (%s of %s)\n", printable(number_value), text_of(job, "name").c_str(),
              text_of(job, "kind").c_str(), text_of(job, "owner").c_str());
  if (job.contains("array_task")) {
    std::printf("array       task %llu of array %llu\n", printable(number_of(job, "array_task")),
                printable(number_of(job, "array_job")));
  }
  std::printf("state       %s%s%s\n", text_of(job, "state").c_str(),
              text_of(job, "reason").empty() ? "" : ", ", text_of(job, "reason").c_str());
  std::printf("escrow      %s\n", format_amount(number_of(job, "budget_micro")).c_str());
  std::printf("attempts    %llu\n", printable(number_of(job, "attempts")));
  if (job.contains("windows")) {
    const json::object& windows = job.at("windows").as_object();
    std::printf("windows     %llu of %llu complete, %llu verified\n",
                printable(number_of(windows, "complete")), printable(number_of(windows, "total")),
                printable(number_of(windows, "verified")));
    const Progress progress = progress_of(job);
    std::printf("step        %llu of %llu, loss %s\n", printable(progress.step),
                printable(number_of(job, "steps")), progress.loss.empty() ? "—" : progress.loss.c_str());
  }
  for (const json::value& entry : job.at("members").as_array()) {
    const json::object& member = entry.as_object();
    std::printf("provider    %-16s", text_of(member, "organisation").c_str());
    if (const std::uint64_t first = number_of(member, "first_micro_batch"),
        count = number_of(member, "micro_batches");
        count != 0)
      std::printf(" micro-batches %llu to %llu", printable(first), printable(first + count - 1));
    // Of a settled job the last that was heard is history, and may be of before its end.
    if (text_of(job, "phase") != "settled") {
      const std::string result = text_of(member, "result");
      std::printf(" %s%s%s", text_of(member, "run").c_str(), result == "none" ? "" : " ",
                  result == "none" ? "" : result.c_str());
    }
    std::puts("");
  }
  if (job.contains("usage")) {
    const json::object& usage = job.at("usage").as_object();
    std::printf("usage       %.2f s of processors, %.2f s, %llu MiB, exit code %llu, signal %llu\n",
                static_cast<double>(number_of(usage, "cpu_us")) / 1e6,
                static_cast<double>(number_of(usage, "wall_us")) / 1e6,
                printable(number_of(usage, "memory_peak_bytes") >> 20),
                printable(number_of(usage, "exit_code")), printable(number_of(usage, "signal")));
  }
  std::printf("files       %s\n", text_of(job, "folder").c_str());
  print_settlement(job);
  return 0;
}

VerbResult verb_logs(const Invocation& invocation, Words words) {
  std::string number;
  std::string provider;
  bool follow = false;
  CommandLine line("logs [-f] [--provider NAME] JOB", "What a job's script printed on its first provider.");
  line.flag("-f,--follow", follow, "go on until the job has ended");
  line.text("--provider", provider, "another member's output");
  line.required("job", number, "the job's number");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const std::vector<std::uint64_t> jobs, resolve_jobs(invocation, number));
  const std::uint64_t job = jobs.front();
  std::uint64_t offset = 0;
  for (;;) {
    const auto fields = fetch_job(invocation, job);
    if (!fields) return fields.error();
    const bool over = text_of(*fields, "phase") == "settled";
    for (;;) {
      const auto piece =
          ask_node(invocation, "job.output", {{"job", job}, {"offset", offset}, {"provider", provider}});
      if (!piece) {
        if (piece.error().code != ErrorCode::not_found || !follow || over) return piece.error();
        break;
      }
      if (piece->body.empty()) break;
      std::fwrite(piece->body.data(), 1, piece->body.size(), stdout);
      offset += piece->body.size();
    }
    std::fflush(stdout);
    if (!follow || over) return 0;
    std::this_thread::sleep_for(300ms);
  }
}

VerbResult verb_wait(const Invocation& invocation, Words words) {
  std::string number;
  bool quiet = false;
  CommandLine line("wait [--quiet] JOB",
                   "Waits until a job is settled. Exit status 0 when it completed, 1 otherwise.");
  line.required("job", number, "the job's number");
  line.flag("-q,--quiet", quiet, "no progress");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const std::vector<std::uint64_t> jobs, resolve_jobs(invocation, number));
  int worst = 0;
  for (const std::uint64_t job : jobs) {
    UFAB_ASSIGN(const int status, follow_job(invocation, job, quiet));
    worst = std::max(worst, status);
  }
  return worst;
}

VerbResult verb_cancel(const Invocation& invocation, Words words) {
  return simple_verb(invocation, words, "cancel", "job.cancel",
                     "Ends a job. Windows that are complete are still paid.", "is being cancelled");
}
VerbResult verb_hold(const Invocation& invocation, Words words) {
  return simple_verb(invocation, words, "hold", "job.hold", "Keeps a job that has not started from starting.",
                     "is held");
}
VerbResult verb_release(const Invocation& invocation, Words words) {
  return simple_verb(invocation, words, "release", "job.release", "Lets a held job start.", "is released");
}
VerbResult verb_requeue(const Invocation& invocation, Words words) {
  return simple_verb(invocation, words, "requeue", "job.requeue",
                     "Runs a job's open windows again, as a new attempt.", "is requeued");
}

namespace {

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    parts.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

// One job under sacct's columns.
struct SacctRow {
  const json::object& job;
  json::object usage;
  std::uint64_t cpu_us = 0;
  std::string providers;

  explicit SacctRow(const json::object& of) : job(of) {
    if (const json::value* known = job.if_contains("usage")) usage = known->as_object();
    cpu_us = number_of(usage, "cpu_us");
    const json::value* settlement = job.if_contains("settlement");
    if (usage.empty() && settlement != nullptr) {
      for (const json::value& payment : settlement->as_object().at("payments").as_array())
        cpu_us += number_of(payment.as_object(), "cpu_us");
    }
    for (const json::value& member : job.at("members").as_array())
      providers += (providers.empty() ? "" : ",") + text_of(member.as_object(), "organisation");
  }
};

struct SacctColumn {
  const char* name;
  std::string (*value)(const SacctRow& row);
};
constexpr SacctColumn sacct_columns[] = {
    {"JobID", [](const SacctRow& row) { return std::to_string(number_of(row.job, "job")); }},
    {"JobName", [](const SacctRow& row) { return text_of(row.job, "name"); }},
    {"Account", [](const SacctRow& row) { return text_of(row.job, "owner"); }},
    {"State", [](const SacctRow& row) { return text_of(row.job, "state"); }},
    {"ExitCode",
     [](const SacctRow& row) {
       return std::to_string(number_of(row.usage, "exit_code")) + ":" +
              std::to_string(number_of(row.usage, "signal"));
     }},
    {"CPUTimeRAW", [](const SacctRow& row) { return std::to_string(row.cpu_us / 1'000'000); }},
    {"ElapsedRaw",
     [](const SacctRow& row) { return std::to_string(number_of(row.usage, "wall_us") / 1'000'000); }},
    {"MaxRSS",
     [](const SacctRow& row) {
       return std::to_string(number_of(row.usage, "memory_peak_bytes") >> 10) + "K";
     }},
    {"NodeList", [](const SacctRow& row) { return row.providers; }},
};

// Slurm's names, in any case as Slurm takes them.
Result<std::vector<const SacctColumn*>> choose_columns(const std::string& format) {
  std::vector<const SacctColumn*> chosen;
  for (const std::string& wanted : split_list(format)) {
    const auto found =
        std::find_if(std::begin(sacct_columns), std::end(sacct_columns),
                     [&](const auto& column) { return ::strcasecmp(column.name, wanted.c_str()) == 0; });
    if (found == std::end(sacct_columns)) {
      std::string names;
      for (const SacctColumn& column : sacct_columns) names += std::string(" ") + column.name;
      return Error{ErrorCode::usage, "unknown column '" + wanted + "'; there are" + names};
    }
    chosen.push_back(found);
  }
  return chosen;
}

}  // namespace

VerbResult verb_sacct(const Invocation& invocation, Words words) {
  std::string wanted;
  std::string format = "JobID,JobName,Account,State,ExitCode,CPUTimeRAW,ElapsedRaw,MaxRSS";
  bool parsable = false;
  bool parsable2 = false;
  bool no_header = false;
  bool as_json = false;
  CommandLine line(
      "sacct [-j JOB,…] [--format COLUMN,…] [-n] [--parsable|--parsable2|--json]",
      "Slurm's accounting columns over ledger records, of jobs that this node still has in memory.");
  line.text("-j,--jobs", wanted, "only these jobs");
  line.text("-o,--format", format,
            "columns: JobID JobName Account State ExitCode CPUTimeRAW ElapsedRaw MaxRSS NodeList");
  line.flag("-n,--noheader", no_header, "no line of column names");
  line.flag("-p,--parsable", parsable, "columns ended by |");
  line.flag("-P,--parsable2", parsable2, "columns separated by |");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  std::vector<std::uint64_t> only;
  if (!wanted.empty()) {
    for (const std::string& number : split_list(wanted)) {
      UFAB_ASSIGN(const std::uint64_t job, parse_job_number(number));
      only.push_back(job);
    }
  }
  UFAB_ASSIGN(const std::vector<const SacctColumn*> columns, choose_columns(format));
  std::vector<std::vector<std::string>> rows;
  if (!no_header) {
    rows.emplace_back();
    for (const SacctColumn* column : columns) rows.back().emplace_back(column->name);
  }
  json::array list;
  const auto add = [&](const json::object& entry) {
    const std::uint64_t number = number_of(entry, "job");
    if (!only.empty() && std::find(only.begin(), only.end(), number) == only.end()) return;
    const SacctRow job(entry);
    rows.emplace_back();
    json::object fields;
    for (const SacctColumn* column : columns) {
      rows.back().push_back(column->value(job));
      fields[column->name] = rows.back().back();
    }
    list.push_back(std::move(fields));
  };
  UFAB_TRY(for_each_page(invocation, true, "objects", [&](Answer& page) {
    for (const json::value& job : page.result.at("jobs").as_array()) add(job.as_object());
  }));
  if (as_json) {
    print_json({{"schema", "ufab.sacct/1"}, {"jobs", list}});
    return 0;
  }
  for (const auto& row : rows) {
    std::string text;
    for (const std::string& cell : row) {
      if (parsable2) {
        text += (&cell == &row.front() ? "" : "|") + cell;
      } else {
        text += parsable ? cell + "|" : cell + std::string(cell.size() < 14 ? 14 - cell.size() : 1, ' ');
      }
    }
    while (!parsable && !parsable2 && text.ends_with(' ')) text.pop_back();
    std::puts(text.c_str());
  }
  return 0;
}

}  // namespace ufab::jobs
