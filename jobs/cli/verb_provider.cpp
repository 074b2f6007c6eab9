// provider init|check|bench|enroll|drain|resume|leave; status has a file of its own.
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <thread>

#include "accounting/amount.h"
#include "fabric/base/file.h"
#include "fabric/net/http.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/isolation.h"
#include "jobs/cli/verbs.h"
#include "jobs/node/slurm_capacity.h"
#include "jobs/node/speed.h"

namespace ufab::jobs {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

std::uint64_t machine_memory_mib() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) >> 20;
}

bool on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    if (::access((std::string(rest.substr(0, colon)) + "/" + program).c_str(), X_OK) == 0) return true;
    rest = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
  }
  return false;
}

std::string speed_path(const Home& home) {
  return home.file("speed.json");
}

Result<std::uint64_t> measured_mflops(const Home& home) {
  const auto text = read_text_file(speed_path(home), 65536);
  if (!text) return Error{ErrorCode::conflict, "no measured speed yet; `ufab provider bench` measures it"};
  json::error_code error;
  const json::value value = json::parse(*text, error);
  if (error || !value.is_object()) return Error{ErrorCode::corrupt, speed_path(home) + ": not a measurement"};
  return json_number(value.get_object(), "mflops");
}

// `--batch NAME --slurm KEY=VALUE…`: the settings, and what the cluster has to offer.
Status choose_batch(const std::string& batch, const std::vector<std::string>& settings,
                    ProviderConfig& provider) {
  if (batch != "local" && batch != "slurm")
    return Error{ErrorCode::usage, "--batch: '" + batch + "' is neither local nor slurm"};
  if (provider.batch != batch) provider.batch_settings.clear();
  provider.batch = batch;
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    const std::string key = setting.substr(0, equals);
    if (equals == std::string::npos || batch != "slurm")
      return Error{ErrorCode::usage, "--slurm: '" + setting + "' is no KEY=VALUE of slurm"};
    std::string value = setting.substr(equals + 1);
    std::error_code error;
    if (key == "conf" || key == "telemetry" || key == "rest-token")
      value = fs::absolute(value, error).lexically_normal().string();
    provider.batch_settings[key] = value;
  }
  if (batch == "local") return {};
  // The node may be started from another shell.
  if (const char* conf = std::getenv("SLURM_CONF");
      conf != nullptr && !provider.batch_settings.contains("conf"))
    provider.batch_settings["conf"] = conf;
  UFAB_ASSIGN(const ClusterCapacity capacity, slurm_capacity(provider.batch_settings));
  provider.slots = std::min(capacity.processors, provider_slots_max);
  provider.memory_mib = std::min(capacity.memory_mib, provider_memory_mib_max);
  return {};
}

VerbResult provider_init(const Invocation& invocation, Words words) {
  std::uint64_t slots = 0;
  std::uint64_t memory = 0;
  std::string per_tflop;
  std::string per_hour;
  std::uint64_t capacity_check = 0;
  std::uint64_t keep_days = 0;
  std::uint64_t link_check = 0;
  std::string trainer;
  std::string batch;
  std::vector<std::string> slurm;
  CommandLine line(
      "provider init [--slots N] [--memory MIB] [--price-tflop UNC] [--price-cpu-hour UNC] [--trainer FILE] "
      "[--batch local|slurm] [--slurm KEY=VALUE…] [--run-as [ORG=]USER…] [--run-folder DIR] "
      "[--isolation bubblewrap|none] [--isolation-network shared|none] [--isolation-read DIR…] "
      "[--capacity-check S] [--link-check S] [--keep-days N]",
      "Writes the provider section of this home's config.toml. Scripts run under the local batch system on "
      "this "
      "machine, or under Slurm, which is then asked what it has. What is not given stays as it is in the "
      "section. Scripts run as the node's own user unless --run-as or --isolation say otherwise.");
  line.number("--slots", slots, "processors to offer (at first: all)");
  line.number("--memory", memory, "MiB to offer (at first: all)");
  line.text("--price-tflop", per_tflop, "UNC for 10^12 operations of training (at first: 0.002)");
  line.text("--price-cpu-hour", per_hour, "UNC for a processor hour of ordinary scripts (at first: 0.05)");
  line.text("--trainer", trainer, "path of ufab-train (at first: beside ufab)");
  line.text("--batch", batch, "who runs scripts: local (at first), or slurm");
  line.list("--slurm", slurm,
            "settings of slurm: conf=FILE (its slurm.conf), partition=, account=, qos=, reservation=, "
            "telemetry=DIR (the hooks' spool), rest=unix:PATH or HOST:PORT of this machine (submit through "
            "slurmrestd), "
            "rest-token=FILE (a JWT for it)",
            false);
  line.number(
      "--capacity-check", capacity_check,
      "seconds between two looks of the node whether the machines still have what is offered: what is "
      "gone is offered no more until it is back; 0: never (at first: 60)");
  line.number("--keep-days", keep_days,
              "days for which other organisations' jobs are kept on this disk after they have ended; 0: for "
              "ever (at first: 14)");
  line.number("--link-check", link_check,
              "seconds between two measurements of the link to another provider, which are reported on the "
              "ledger for the choice of gangs; 0: none is measured (at first: 3600)");
  IsolationOptions isolation;
  isolation.declare(line);
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(HomeConfig config, home.load_config());
  ProviderConfig fresh;
  fresh.slots = std::max(1U, std::thread::hardware_concurrency());
  fresh.memory_mib = machine_memory_mib();
  ProviderConfig provider = config.provider.value_or(fresh);
  if (!slurm.empty() && batch.empty()) batch = "slurm";
  if (!batch.empty()) UFAB_TRY(choose_batch(batch, slurm, provider));
  UFAB_TRY(isolation.apply(line, home, provider));
  if (line.given("--slots")) {
    if (slots < 1 || slots > provider_slots_max)
      return Error{ErrorCode::usage, "--slots: from 1 to " + std::to_string(provider_slots_max)};
    provider.slots = static_cast<std::uint32_t>(slots);
  }
  if (line.given("--memory")) {
    if (memory < 1 || memory > provider_memory_mib_max)
      return Error{ErrorCode::usage, "--memory: from 1 to " + std::to_string(provider_memory_mib_max)};
    provider.memory_mib = memory;
  }
  if (line.given("--capacity-check")) {
    if (capacity_check > 86400) return Error{ErrorCode::usage, "--capacity-check: from 0 to 86400"};
    provider.capacity_check_s = static_cast<std::uint32_t>(capacity_check);
  }
  if (line.given("--keep-days")) {
    if (keep_days > keep_days_max)
      return Error{ErrorCode::usage, "--keep-days: from 0 to " + std::to_string(keep_days_max)};
    provider.keep_days = static_cast<std::uint32_t>(keep_days);
  }
  if (line.given("--link-check")) {
    if (link_check > 86400) return Error{ErrorCode::usage, "--link-check: from 0 to 86400"};
    provider.link_check_s = static_cast<std::uint32_t>(link_check);
  }
  if (line.given("--trainer")) {
    std::error_code error;
    provider.trainer = fs::absolute(trainer, error).lexically_normal().string();
  }
  const auto price = [&](const char* option, const std::string& text, std::uint64_t& field) -> Status {
    if (!line.given(option)) return {};
    auto amount = parse_amount(text);
    if (!amount) return Error{ErrorCode::usage, std::string(option) + ": " + amount.error().message};
    field = *amount;
    return {};
  };
  UFAB_TRY(price("--price-tflop", per_tflop, provider.price_micro_per_tflop));
  UFAB_TRY(price("--price-cpu-hour", per_hour, provider.price_micro_per_cpu_hour));
  config.provider = provider;
  UFAB_TRY(home.save_config(config));
  std::printf("provider of %s: %u processors, %llu MiB, %s per TFLOP, %s per processor hour\n",
              config.organisation.c_str(), provider.slots,
              static_cast<unsigned long long>(provider.memory_mib),
              format_amount(provider.price_micro_per_tflop).c_str(),
              format_amount(provider.price_micro_per_cpu_hour).c_str());
  return 0;
}

using Check = std::function<void(bool good, std::string what, std::string cure)>;

// Where submissions go through slurmrestd. Whether the token is right is seen by the first of them only.
void check_slurmrestd(const std::map<std::string, std::string>& settings, const Check& check) {
  const auto server = settings.find("rest");
  if (server == settings.end()) return;
  const auto answer = http_request(server->second, {"GET", "/slurm/v0.0.38/ping", {}, {}},
                                   deadline_in(std::chrono::seconds(20)));
  check(answer.ok(), answer.ok() ? "slurmrestd answers on " + server->second : answer.error().message,
        "start slurmrestd there, or name it with `ufab provider init --slurm rest=unix:PATH`");
  const auto token = settings.find("rest-token");
  if (token == settings.end()) return;
  struct stat info {};
  const bool there = ::stat(token->second.c_str(), &info) == 0 && info.st_size > 0;
  check(there && (info.st_mode & 077u) == 0,
        token->second + (there ? ", the token for slurmrestd, is the node's alone to read"
                               : ", the token for slurmrestd, is not there"),
        "write it with `scontrol token lifespan=SECONDS`, again before it ends, and chmod 600");
}

// What the ledger says of a provider that is enrolled.
void check_enrolled(const json::object& organisation, const Check& check) {
  const json::object& standing = organisation.at("standing").as_object();
  const std::string status(standing.at("status").as_string());
  const std::string points = std::to_string(standing.at("points").to_number<std::uint64_t>());
  check(status == "good", "standing " + status + ", " + points + " points of faults",
        status == "expelled"
            ? "enrol again from epoch " +
                  std::to_string(standing.at("until_epoch").to_number<std::uint64_t>()) + " on"
            : "`ufab provider status ORGANISATION` lists the faults; points wear off with every epoch "
              "without one");
  const std::string obstacle(organisation.at("provider").at("obstacle").as_string());
  const bool benchmark = obstacle.find("benchmark") != std::string::npos;
  check(obstacle.empty(), obstacle.empty() ? "leases may come" : "no leases: the provider " + obstacle,
        benchmark ? "leave the node up and idle: it runs one by itself; node.log says what keeps it from that"
                  : "see the findings above; `ufab provider resume` ends a drain");
}

// Peers that this node could not measure its link to: no fault of this provider alone, so a note.
void check_links(const json::object& links, std::vector<Finding>& findings) {
  for (const json::value& entry : links.at("measured").as_array()) {
    const json::object& link = entry.as_object();
    const auto failures = link.at("failures").to_number<std::uint64_t>();
    if (failures == 0) continue;
    const std::string peer(link.at("organisation").as_string());
    const std::string endpoint(link.at("endpoint").as_string());
    const std::string trouble(link.at("trouble").as_string());
    findings.push_back(
        {true,
         "link to " + peer + " cannot be measured, failures in a row: " + std::to_string(failures) + " (" +
             trouble + ")",
         "let this machine connect to " + endpoint + "; if others cannot either, the node of " + peer +
             " is down or its port is closed, which its operator has to mend",
         true});
  }
}

VerbResult provider_check(const Invocation& invocation, Words words) {
  bool as_json = false;
  CommandLine line("provider check [--json]",
                   "Looks at everything that a job will need here, and says how to mend what lacks.");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(const HomeConfig config, home.load_config());
  std::vector<Finding> findings;
  const Check check = [&](bool good, std::string what, std::string cure) {
    findings.push_back({good, std::move(what), std::move(cure), false});
  };
  check(config.provider.has_value(), "provider section in config.toml", "run `ufab provider init`");
  const ProviderConfig provider = config.provider.value_or(ProviderConfig{});
  const std::string trainer = provider.trainer.empty() ? program_beside("ufab-train") : provider.trainer;
  check(::access(trainer.c_str(), X_OK) == 0, "trainer " + trainer,
        "build it, or name it with `ufab provider init --trainer`");
  if (provider.batch == "slurm") {
    const auto capacity = slurm_capacity(provider.batch_settings);
    check(capacity.ok(),
          capacity.ok() ? "Slurm answers: " + std::to_string(capacity->processors) + " processors, " +
                              std::to_string(capacity->memory_mib) + " MiB on " +
                              std::to_string(capacity->nodes) + " nodes"
                        : capacity.error().message,
          "see that slurmctld runs, and name its slurm.conf with `ufab provider init --slurm conf=FILE`");
    check(::access(program_beside("ufab-slurm-launch").c_str(), X_OK) == 0, "the launcher beside ufab",
          "install ufab-slurm-launch and ufab-batch-slurm.so where ufab is, at one path on every node");
    if (capacity.ok()) {
      check(provider.slots <= capacity->processors,
            std::to_string(provider.slots) + " processors offered, the partition has " +
                std::to_string(capacity->processors),
            "lower `slots`, or run `ufab provider init --batch slurm` again");
    }
    check_slurmrestd(provider.batch_settings, check);
  }
  for (Finding& finding : isolation_findings(home, provider, trainer)) findings.push_back(std::move(finding));
  check(on_path("mpirun"), "mpirun on PATH", "install Open MPI (Debian: openmpi-bin)");
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  if (provider.batch == "local")
    check(provider.slots <= cores,
          std::to_string(provider.slots) + " processors offered, the machine has " + std::to_string(cores),
          "lower `slots` in config.toml, or accept that ranks share processors");
  if (provider.batch == "local")
    check(provider.memory_mib <= machine_memory_mib(),
          std::to_string(provider.memory_mib) + " MiB offered, the machine has " +
              std::to_string(machine_memory_mib()),
          "lower `memory_mib`");
  struct statvfs disk {};
  const bool disk_known = ::statvfs(home.path().c_str(), &disk) == 0;
  const std::uint64_t free_mib = disk_known ? disk.f_bavail * disk.f_frsize >> 20 : 0;
  check(free_mib > 1024, std::to_string(free_mib) + " MiB free for checkpoints in " + home.path(),
        "free at least 1 GiB");
  const auto status = ask_node(invocation, "node.status", {});
  check(status.ok(), "the node of this home runs", "run `ufab up`");
  if (status.ok()) {
    check(status->result.at("number").to_number<std::uint64_t>() != 0, "the organisation is on the chain",
          "wait for the next block");
    const auto account = ask_node(invocation, "account", {});
    if (account.ok()) {
      const std::uint64_t least = account->result.at("stake_min_micro").to_number<std::uint64_t>();
      std::uint64_t stake = 0;
      const json::object* enrolled = nullptr;
      for (const json::value& entry : account->result.at("accounts").as_array()) {
        if (entry.at("organisation").as_string() != config.organisation) continue;
        stake = entry.at("stake_micro").to_number<std::uint64_t>();
        if (entry.as_object().contains("provider")) enrolled = &entry.as_object();
      }
      check(stake >= least,
            "stake " + format_amount(stake) + ", at least " + format_amount(least) + " is needed",
            "run `ufab account stake AMOUNT`");
      if (enrolled != nullptr) {
        check_enrolled(*enrolled, check);
        const auto links = ask_node(invocation, "provider.links", {{"organisation", config.organisation}});
        if (links.ok()) check_links(links->result, findings);
      }
    }
  }
  bool all_good = true;
  json::array list;
  for (const Finding& finding : findings) {
    all_good = all_good && finding.good;
    const bool has_cure = !finding.good || finding.advice;
    list.push_back(
        json::object{{"ok", finding.good}, {"what", finding.what}, {"cure", has_cure ? finding.cure : ""}});
    if (as_json) continue;
    std::printf("%s  %s%s\n",
                !finding.good    ? "FAIL"
                : finding.advice ? "note"
                                 : "ok  ",
                finding.what.c_str(), has_cure ? (" — " + finding.cure).c_str() : "");
  }
  if (as_json) print_json({{"schema", "ufab.provider-check/1"}, {"ok", all_good}, {"findings", list}});
  return all_good ? 0 : 1;
}

VerbResult provider_bench(const Invocation& invocation, Words words) {
  double seconds = 2.0;
  bool file = false;
  bool as_json = false;
  CommandLine line(
      "provider bench [--seconds S] [--json] | --file",
      "Measures training speed with this project's exact kernels, on all offered processors at once, and "
      "keeps "
      "it for `ufab provider enroll`: a claim. What others can check is a benchmark on the ledger, seeded by "
      "the chain: where the chain asks for them (bench_epochs) the node files one by itself after enrolment "
      "and "
      "renews it before it expires, while it is idle; --file asks for one now. `ufab provider status` shows "
      "it, "
      "`ufab audit bench` re-executes it.");
  line.decimal("--seconds", seconds, "how long to measure (default 2)");
  line.flag("--file", file, "have the node run a benchmark for the ledger as soon as it is idle");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (file) {
    UFAB_TRY(ask_node(invocation, "provider.bench", {}));
    std::puts("the node runs a benchmark as soon as it is idle; `ufab provider status` shows it");
    return 0;
  }
  if (!(seconds >= 0.1 && seconds <= 600)) return Error{ErrorCode::usage, "--seconds: from 0.1 to 600"};
  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(const HomeConfig config, home.load_config());
  if (!config.provider)
    return Error{ErrorCode::conflict, "no provider here yet; `ufab provider init` makes one"};
  const SpeedMeasurement speed = measure_speed(config.provider->slots, seconds);
  const json::object result{{"schema", "ufab.provider-bench/1"},
                            {"mflops", speed.mflops},
                            {"tokens_per_s", speed.tokens_per_s},
                            {"backend", speed.backend},
                            {"threads", speed.threads}};
  UFAB_TRY(write_file_atomic(speed_path(home), as_bytes(json::serialize(result) + "\n")));
  if (as_json) {
    print_json(result);
  } else {
    std::printf("%.1f GFLOP/s exact float32 training on %u threads (%s), %llu tokens/s of the test model\n",
                static_cast<double>(speed.mflops) / 1000.0, speed.threads, speed.backend.c_str(),
                static_cast<unsigned long long>(speed.tokens_per_s));
  }
  return 0;
}

VerbResult provider_enroll(const Invocation& invocation, Words words) {
  CommandLine line("provider enroll",
                   "Puts this provider's offer on the ledger (or updates it), with its measured speed.");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(const HomeConfig config, home.load_config());
  if (!config.provider)
    return Error{ErrorCode::conflict, "no provider here yet; `ufab provider init` makes one"};
  UFAB_ASSIGN(const std::uint64_t mflops, measured_mflops(home));
  const ProviderConfig& provider = *config.provider;
  UFAB_ASSIGN(const Answer answer,
              ask_node(invocation, "record",
                       {{"kind", "enroll"},
                        {"slots", provider.slots},
                        {"memory_mib", provider.memory_mib},
                        {"mflops", mflops},
                        {"price_micro_per_tflop", provider.price_micro_per_tflop},
                        {"price_micro_per_cpu_hour", provider.price_micro_per_cpu_hour}}));
  std::printf("provider of %s enrolled, block %llu\n", config.organisation.c_str(),
              static_cast<unsigned long long>(answer.result.at("height").to_number<std::uint64_t>()));
  return 0;
}

VerbResult provider_action(const Invocation& invocation, const std::string& action, Words words) {
  std::string reason;
  CommandLine line("provider " + action + " [--reason TEXT]",
                   action == "drain"    ? "No new leases; what runs goes on."
                   : action == "resume" ? "Accept leases again."
                                        : "Leave the fabric; open leases must have ended.");
  line.text("--reason", reason, "kept on the ledger");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Answer answer, ask_node(invocation, "record", {{"kind", action}, {"reason", reason}}));
  std::printf("provider: %s, block %llu\n", action.c_str(),
              static_cast<unsigned long long>(answer.result.at("height").to_number<std::uint64_t>()));
  return 0;
}

}  // namespace

VerbResult verb_provider(const Invocation& invocation, Words words) {
  const std::string verb = words.empty() ? "" : words[0];
  const Words rest = words.empty() ? words : words.subspan(1);
  if (verb == "init") return provider_init(invocation, rest);
  if (verb == "check") return provider_check(invocation, rest);
  if (verb == "bench") return provider_bench(invocation, rest);
  if (verb == "enroll") return provider_enroll(invocation, rest);
  if (verb == "status") return provider_status(invocation, rest);
  if (verb == "drain" || verb == "resume" || verb == "leave") return provider_action(invocation, verb, rest);
  const char* usage = "usage: ufab provider init|check|bench|enroll|status|drain|resume|leave";
  if (verb == "--help" || verb == "-h") {
    std::puts(usage);
    return 0;
  }
  return Error{ErrorCode::usage, usage};
}

}  // namespace ufab::jobs
