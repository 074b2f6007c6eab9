// submit: sbatch's surface.
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>

#include "accounting/amount.h"
#include "fabric/base/file.h"
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
  std::printf("  cost %s, in escrow %s, expected to take %s of computing\n",
              amount(offer, "cost_micro").c_str(), amount(offer, "escrow_micro").c_str(),
              format_duration(offer.at("expected_s").to_number<std::uint64_t>()).c_str());
}

// Slurm's options that this fabric has no use for are no error, but nobody should have to guess that.
void tell_ignored(const SubmitOptions& options) {
  if (options.quiet || options.without_effect.empty()) return;
  std::string names;
  for (const auto& [name, value] : options.without_effect) names += (names.empty() ? "--" : ", --") + name;
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

}  // namespace

VerbResult verb_submit(const Invocation& invocation, Words words) {
  if (!words.empty() && (words[0] == "--help" || words[0] == "-h")) {
    print_usage();
    return 0;
  }
  UFAB_ASSIGN(const CommandLineWords line, split_command_line(words));
  SubmitOptions from_line;
  UFAB_TRY(apply_command_line(line.option_words, from_line));
  std::string script;
  std::string script_name;
  JobSpec spec;
  if (!from_line.wrap.empty()) {
    if (!line.rest.empty()) return Error{ErrorCode::usage, "--wrap takes the place of a script"};
    script = "#!/bin/sh\n# This script was made by ufab submit --wrap.\n" + from_line.wrap + "\n";
    script_name = "wrap";
  } else {
    if (line.rest.empty())
      return Error{ErrorCode::usage, "which script? usage: ufab submit [OPTION…] SCRIPT [ARGUMENT…]"};
    auto text = read_text_file(line.rest[0], max_script_bytes);
    if (!text) return Error{ErrorCode::usage, text.error().message};
    script = *std::move(text);
    script_name = fs::path(line.rest[0]).filename().string();
    spec.arguments.assign(line.rest.begin() + 1, line.rest.end());
  }
  const auto environment = environment_map();
  auto options = resolve_options(script, environment, line.option_words);
  if (!options) {
    return options.error().code == ErrorCode::usage ? options.error() : options.error().within(script_name);
  }
  spec.options = *std::move(options);
  spec.name = spec.options.job_name.empty() ? script_name : spec.options.job_name;
  spec.options.job_name = spec.name;
  spec.idempotency_key = spec.options.idempotency_key;
  std::error_code error;
  spec.submit_folder = fs::current_path(error).string();
  spec.options.memory_mib = spec.options.memory_limit_mib();
  select_environment(environment, spec);
  const auto absolute = [&](const std::string& path) {
    return path.empty() ? std::string() : fs::absolute(path, error).lexically_normal().string();
  };
  spec.options.working_folder = absolute(spec.options.working_folder);  // the node runs in another folder
  const SubmitOptions& o = spec.options;
  tell_ignored(o);
  const json::object params{{"spec", job_spec_to_json(spec, false)},
                            {"train", absolute(o.train)},
                            {"data", absolute(o.data)},
                            {"test_only", o.test_only}};
  const std::string_view text = script;
  UFAB_ASSIGN(const Answer answer, ask_node(invocation, "submit", params,
                                            Bytes(as_bytes(text).begin(), as_bytes(text).end()), 120));
  if (o.json) {
    json::object shown = answer.result;
    shown["schema"] = "ufab.submit/1";
    print_json(shown);
  } else if (answer.result.contains("offer") && !o.parsable && !o.quiet) {
    print_offer(answer.result);
  }
  if (o.test_only) return 0;
  const auto job = answer.result.at("job").to_number<std::uint64_t>();
  if (!o.json && o.parsable) std::printf("%llu\n", static_cast<unsigned long long>(job));
  if (!o.json && !o.parsable && !o.quiet) {
    std::printf("Submitted batch job %llu\n", static_cast<unsigned long long>(job));
  }
  std::fflush(stdout);
  return o.wait ? follow_job(invocation, job, o.quiet || o.json || o.parsable) : 0;
}

}  // namespace ufab::jobs
