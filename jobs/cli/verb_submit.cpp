// submit: sbatch's surface.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <random>

#include "accounting/amount.h"
#include "fabric/base/file.h"
#include "jobs/cli/submit_report.h"
#include "jobs/cli/verbs.h"
#include "jobs/node/job_spec.h"

extern char** environ;

namespace ufab::jobs {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

std::map<std::string, std::string> environment_map() {
  std::map<std::string, std::string> map;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view pair = *entry;
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos) map.emplace(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return map;
}

void print_offer(const json::object& answer) {
  const json::object& offer = answer.at("offer").as_object();
  const auto amount = [&](const json::object& from, const char* key) {
    return format_amount(from.at(key).to_number<std::uint64_t>());
  };
  if (answer.contains("work_flop")) {
    std::printf("offer: %.3f TFLOP of training, %llu parameters, %llu steps\n",
                static_cast<double>(answer.at("work_flop").to_number<std::uint64_t>()) / 1e12,
                static_cast<unsigned long long>(answer.at("parameters").to_number<std::uint64_t>()),
                static_cast<unsigned long long>(answer.at("steps").to_number<std::uint64_t>()));
  } else {
    std::puts("offer: an ordinary batch script, priced by its time limit and paid by measured use");
  }
  for (const json::value& entry : offer.at("members").as_array()) {
    const json::object& member = entry.as_object();
    const auto count = member.at("micro_batches").to_number<std::uint64_t>();
    std::printf("  %-16s %s  %s\n", std::string(member.at("organisation").as_string()).c_str(),
                count == 0 ? "whole job" : (std::to_string(count) + " micro-batches a step").c_str(),
                amount(member, "cost_micro").c_str());
  }
  if (const json::value* slowest = offer.if_contains("slowest_link")) {
    const auto of = [&](const char* key) { return slowest->at(key).to_number<double>() / 1000; };
    std::printf("  slowest link %s to %s: %.1f ms, %.1f MB/s%s\n",
                slowest->at("between").at(0).as_string().c_str(),
                slowest->at("between").at(1).as_string().c_str(), of("rtt_us"), of("kbyte_per_s"),
                slowest->at("measured").as_bool() ? "" : ", assumed: nobody has measured it lately");
  }
  std::printf("  cost %s, in escrow %s, expected to take %s of computing\n",
              amount(offer, "cost_micro").c_str(), amount(offer, "escrow_micro").c_str(),
              format_duration(offer.at("expected_s").to_number<std::uint64_t>()).c_str());
}

// Slurm's options that this fabric has no use for are no error, but nobody should have to guess that.
void tell_ignored(const SubmitOptions& options) {
  const std::vector<std::string> ignored = without_effect(options);
  if (options.quiet || options.json || ignored.empty()) return;  // JSON has them
  std::string names;
  for (const std::string& name : ignored) names += (names.empty() ? "--" : ", --") + name;
  std::fprintf(stderr, "ufab: accepted without effect: %s\n", names.c_str());
}

void print_usage() {
  std::printf(
      "usage: ufab submit [OPTION…] SCRIPT [ARGUMENT…]\n\n"
      "Submits a batch script as sbatch does. A training job names its definition with #UFAB --train=FILE "
      "and starts\n"
      "the trainer with `ufab train`; every other script runs on one provider and is paid by measured "
      "use.\n\n%s",
      options_help().c_str());
}

struct Script {
  std::string text;
  std::string name;
  std::vector<std::string> arguments;
};

// The script is a file, --wrap's command, or, as with sbatch, standard input.
Result<Script> read_script(const std::string& wrap, std::vector<std::string> rest) {
  if (!wrap.empty()) {
    if (!rest.empty()) return Error{ErrorCode::usage, "--wrap takes the place of a script"};
    return Script{"#!/bin/sh\n# This script was made by ufab submit --wrap.\n" + wrap + "\n", "wrap", {}};
  }
  if (rest.empty()) {
    if (::isatty(STDIN_FILENO) == 1)
      return Error{ErrorCode::usage, "which script? usage: ufab submit [OPTION…] SCRIPT [ARGUMENT…]"};
    auto text = read_text_file("/dev/stdin", max_script_bytes);
    if (!text) return Error{ErrorCode::usage, text.error().message};
    if (text->empty()) return Error{ErrorCode::usage, "the script on standard input is empty"};
    return Script{*std::move(text), "sbatch", {}};
  }
  auto text = read_text_file(rest[0], max_script_bytes);
  if (!text) return Error{ErrorCode::usage, text.error().message};
  return Script{*std::move(text), fs::path(rest[0]).filename().string(), {rest.begin() + 1, rest.end()}};
}

// --export-file: a file, or a number of an open descriptor.
Result<std::map<std::string, std::string>> exported_by_file(const std::string& name) {
  const bool descriptor = parse_count(name, 0, 65535).ok();
  auto text = read_text_file(descriptor ? "/proc/self/fd/" + name : name, 1u << 20);
  if (!text) return Error{ErrorCode::usage, "option --export-file: " + text.error().message};
  return parse_environment_block(*text);
}

// --get-user-env: what a login shell of this user has, at most ten seconds and 1 MiB of it.
Result<std::map<std::string, std::string>> login_environment(
    const std::map<std::string, std::string>& environment) {
  std::string command = "exec timeout 10 env -i TERM=dumb";
  for (const char* name : {"HOME", "USER", "LOGNAME", "SHELL"}) {
    const auto found = environment.find(name);
    if (found != environment.end()) command += std::string(" ") + name + "=\"$" + name + "\"";
  }
  command += " \"${SHELL:-/bin/sh}\" -l -c 'exec env -0' 2>/dev/null";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return Error{ErrorCode::io, "option --get-user-env: no shell could be started"};
  std::string block;
  std::array<char, 4096> piece{};
  std::size_t count = 0;
  while (block.size() <= (1u << 20) && (count = std::fread(piece.data(), 1, piece.size(), pipe)) > 0)
    block.append(piece.data(), count);
  const int status = ::pclose(pipe);
  if (status != 0 || block.empty() || block.size() > (1u << 20))
    return Error{ErrorCode::conflict, "option --get-user-env: the login shell gave no environment"};
  return parse_environment_block(block);
}

// The variables that the script will have, by --export, --export-file and --get-user-env.
Status choose_environment(const std::map<std::string, std::string>& environment, JobSpec& spec) {
  const SubmitOptions& options = spec.options;
  if (options.user_environment) {
    UFAB_ASSIGN(const auto login, login_environment(environment));
    select_environment(login, spec);
  } else {
    select_environment(environment, spec);
  }
  if (options.export_file.empty()) return {};
  UFAB_ASSIGN(const auto more, exported_by_file(options.export_file));
  for (const auto& [name, value] : more) spec.exported[name] = value;
  return {};
}

std::string absolute(const std::string& path) {
  std::error_code error;
  return path.empty() ? std::string() : fs::absolute(path, error).lexically_normal().string();
}

// The submission as the node takes it: "submit"'s parameters.
Result<json::object> submission(const SubmitOptions& options, const Script& script, bool in_full,
                                const std::map<std::string, std::string>& environment) {
  JobSpec spec;
  spec.options = options;
  spec.name = options.job_name.empty() ? script.name : options.job_name;
  spec.options.job_name = spec.name;
  spec.arguments = script.arguments;
  spec.idempotency_key = options.idempotency_key;
  std::error_code error;
  spec.submit_folder = fs::current_path(error).string();
  spec.options.memory_mib = options.memory_limit_mib();
  if (in_full) UFAB_TRY(choose_environment(environment, spec));
  spec.options.working_folder = absolute(options.working_folder);  // the node runs in another folder
  return json::object{{"spec", job_spec_to_json(spec, false)},
                      {"train", absolute(options.train)},
                      {"data", absolute(options.data)},
                      {"test_only", options.test_only}};
}

// An array whose submission may be cut off needs a key of its own by which it is completed.
std::string random_key() {
  std::random_device device;
  char text[32];
  std::snprintf(text, sizeof text, "auto-%08x%08x%08x", device(), device(), device());
  return text;
}

// --test-only --json: what was read is shown whether or not anybody would run it.
VerbResult report_test(const Invocation& invocation, const SubmitOptions& options, const json::object& params,
                       const Bytes& body) {
  json::object shown = report_submission(options);
  const auto beyond = beyond_the_fabric(options);
  const Result<Answer> answer = beyond ? Result<Answer>(Error{ErrorCode::conflict, *beyond})
                                       : ask_node(invocation, "submit", params, body, 120);
  if (answer.ok()) {
    for (const auto& [key, value] : answer->result) shown[key] = value;
  } else {
    shown["offer"] = nullptr;
    shown["offer_reason"] = answer.error().message;
  }
  print_json(shown);
  return 0;
}

VerbResult wait_for_all(const Invocation& invocation, const json::object& answer, bool quiet) {
  std::vector<std::uint64_t> jobs{answer.at("job").to_number<std::uint64_t>()};
  if (const json::value* tasks = answer.if_contains("task_jobs")) {
    jobs.clear();
    for (const json::value& task : tasks->as_array()) jobs.push_back(task.to_number<std::uint64_t>());
  }
  int worst = 0;
  for (const std::uint64_t job : jobs) {
    UFAB_ASSIGN(const int status, follow_job(invocation, job, quiet));
    worst = std::max(worst, status);
  }
  return worst;
}

}  // namespace

VerbResult verb_submit(const Invocation& invocation, Words words) {
  UFAB_ASSIGN(CommandLineWords line, split_command_line(words));
  std::error_code error;
  const Reading reading{static_cast<std::int64_t>(std::time(nullptr)), fs::current_path(error).string()};
  UFAB_ASSIGN(const SubmitOptions from_line, command_line_options(line.component_words.front(), reading));
  if (from_line.in_force.contains("help") || from_line.in_force.contains("usage")) {
    print_usage();
    return 0;
  }
  if (from_line.in_force.contains("version")) {
    std::puts("ufab 0.1.0 (options as sbatch's of Slurm 22.05)");
    return 0;
  }
  UFAB_ASSIGN(const Script script, read_script(from_line.wrap, std::move(line.rest)));
  const auto environment = environment_map();
  auto resolved = resolve_options(script.text, environment, line, reading);
  if (!resolved) {
    const Error& reason = resolved.error();
    return reason.code == ErrorCode::usage ? reason : reason.within(script.name);
  }
  SubmitOptions o = *std::move(resolved);
  const std::string_view text = script.text;
  const Bytes body(as_bytes(text).begin(), as_bytes(text).end());
  tell_ignored(o);
  if (o.test_only && o.json) {
    UFAB_ASSIGN(const json::object params, submission(o, script, false, environment));
    return report_test(invocation, o, params, body);
  }
  if (const auto reason = beyond_the_fabric(o)) return Error{ErrorCode::conflict, *reason};
  if (o.array && o.idempotency_key.empty()) o.idempotency_key = random_key();
  UFAB_ASSIGN(const json::object params, submission(o, script, true, environment));
  const auto answered = ask_node(invocation, "submit", params, body, o.array ? 600 : 120);
  if (!answered) {
    const Error& reason = answered.error();
    if (!o.array || o.test_only || reason.exit_status() != 3) return reason;
    return Error{reason.code, reason.message +
                                  "; if the node was cut off, the same submission with "
                                  "--idempotency-key=" +
                                  o.idempotency_key + " completes the array"};
  }
  const json::object& answer = answered->result;
  if (o.json) {
    json::object shown = answer;
    shown["schema"] = "ufab.submit/1";
    const std::vector<std::string> ignored = without_effect(o);
    shown["without_effect"] = json::array(ignored.begin(), ignored.end());
    print_json(shown);
  } else if (answer.contains("offer") && !o.parsable && !o.quiet) {
    print_offer(answer);
  }
  if (o.test_only) return 0;
  const auto job = answer.at("job").to_number<std::uint64_t>();
  if (!o.json && o.parsable) std::printf("%llu\n", static_cast<unsigned long long>(job));
  if (!o.json && !o.parsable && !o.quiet)
    std::printf("Submitted batch job %llu\n", static_cast<unsigned long long>(job));
  std::fflush(stdout);
  return o.wait ? wait_for_all(invocation, answer, o.quiet || o.json || o.parsable) : 0;
}

}  // namespace ufab::jobs
