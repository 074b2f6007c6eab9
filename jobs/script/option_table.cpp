#include "jobs/script/option_table.h"

#include <array>

namespace ufab::jobs {

namespace {

constexpr std::uint64_t micro = 1'000'000;

// "12" or "12.5" UNC in micro-UNC: at most six decimals.
Result<std::uint64_t> parse_unc(std::string_view text) {
  const Error malformed{ErrorCode::invalid,
                        "'" + std::string(text) + "' is not an amount in UNC such as 25 or 0.5"};
  const std::size_t point = text.find('.');
  const auto whole = parse_count(text.substr(0, point), 0, 1'000'000'000'000);
  if (!whole) return malformed;
  std::uint64_t amount = *whole * micro;
  if (point != std::string_view::npos) {
    const std::string_view decimals = text.substr(point + 1);
    if (decimals.empty() || decimals.size() > 6) return malformed;
    const auto fraction =
        parse_count(std::string(decimals) + std::string(6 - decimals.size(), '0'), 0, micro - 1);
    if (!fraction) return malformed;
    amount += *fraction;
  }
  return amount;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

Status set_text(std::string& field, std::string_view argument) {
  if (argument.empty()) return Error{ErrorCode::invalid, "needs a value"};
  if (argument.size() > 4096) return Error{ErrorCode::limit, "longer than 4096 characters"};
  field = argument;
  return {};
}

Status set_count(std::uint32_t& field, std::string_view argument, std::uint64_t high) {
  UFAB_ASSIGN(const std::uint64_t value, parse_count(argument, 1, high));
  field = static_cast<std::uint32_t>(value);
  return {};
}

Status set_verify(SubmitOptions& o, std::string_view a) {
  if (a == "none") {
    o.verify = {.none = true, .rate_ppm = 0};
    return {};
  }
  if (a == "exact") {
    o.verify = {};
    return {};
  }
  if (!a.starts_with("exact:")) {
    return Error{ErrorCode::invalid, "'" + std::string(a) + "' is not none, exact or exact:PERCENT%"};
  }
  UFAB_ASSIGN(o.verify.rate_ppm, parse_percent_ppm(a.substr(6)));
  o.verify.none = o.verify.rate_ppm == 0;
  return {};
}

Status set_sync(SubmitOptions&, std::string_view a) {
  if (a == "1") return {};
  UFAB_ASSIGN(const std::uint64_t steps, parse_count(a, 1, 1'000'000));
  return Error{ErrorCode::conflict, "this version synchronises providers every step only; --sync=" +
                                        std::to_string(steps) + " needs a later one"};
}

Status set_shares(SubmitOptions& o, std::string_view a) {
  o.shares.clear();
  for (const std::string& part : split(a, ':')) {
    UFAB_ASSIGN(const std::uint64_t share, parse_count(part, 1, 1'000'000));
    o.shares.push_back(static_cast<std::uint32_t>(share));
  }
  return {};
}

using O = SubmitOptions;
using A = std::string_view;
constexpr auto none = ArgumentKind::none;
constexpr auto required = ArgumentKind::required;
constexpr auto optional_argument = ArgumentKind::optional;

// clang-format off
const OptionEntry table[] = {
  // Honoured.
  {"chdir", 'D', required, Scope::slurm, [](O& o, A a) { return set_text(o.working_folder, a); }, "DIR        run in this folder (on another's provider: in the job's)"},
  {"comment", 0, required, Scope::slurm, [](O& o, A a) { return set_text(o.comment, a); }, "TEXT       kept with the job"},
  {"cpus-per-task", 'c', required, Scope::slurm, [](O& o, A a) { return set_count(o.cpus_per_task, a, 4096); }, "N          threads of each rank"},
  {"error", 'e', required, Scope::slurm, [](O& o, A a) { return set_text(o.error, a); }, "FILE       standard error (%j job, %x name)"},
  {"export", 0, required, Scope::slurm, [](O& o, A a) { o.export_names = split(a, ','); return Status{}; }, "ALL|NONE|LIST  environment of the job"},
  {"hold", 'H', none, Scope::slurm, [](O& o, A) { o.hold = true; return Status{}; }, "           submit held; ufab release starts it"},
  {"input", 'i', required, Scope::slurm, [](O& o, A a) { return set_text(o.input, a); }, "FILE       standard input (on another's provider: none)"},
  {"job-name", 'J', required, Scope::slurm, [](O& o, A a) { return set_text(o.job_name, a); }, "NAME       the job's name"},
  {"mem", 0, required, Scope::slurm, [](O& o, A a) -> Status { UFAB_ASSIGN(o.memory_mib, parse_memory_mib(a)); return {}; }, "N[KMGT]    memory limit on each provider"},
  {"mem-per-cpu", 0, required, Scope::slurm, [](O& o, A a) -> Status { UFAB_ASSIGN(o.memory_per_cpu_mib, parse_memory_mib(a)); return {}; }, "N[KMGT]  memory limit by thread"},
  {"no-requeue", 0, none, Scope::slurm, [](O& o, A) { o.requeue = false; return Status{}; }, "           a failed attempt ends the job"},
  {"ntasks", 'n', required, Scope::slurm, [](O& o, A a) { return set_count(o.tasks, a, 4096); }, "N          ranks on each provider"},
  {"open-mode", 0, required, Scope::slurm, [](O& o, A a) -> Status { if (a != "append" && a != "truncate") return Error{ErrorCode::invalid, "write append or truncate"}; o.append_output = a == "append"; return {}; }, "append|truncate  of the output files"},
  {"output", 'o', required, Scope::slurm, [](O& o, A a) { return set_text(o.output, a); }, "FILE       standard output (default slurm-%j.out)"},
  {"requeue", 0, none, Scope::slurm, [](O& o, A) { o.requeue = true; return Status{}; }, "           a failed attempt is run again (default)"},
  {"signal", 0, required, Scope::slurm, [](O& o, A a) -> Status { UFAB_ASSIGN(o.signal, parse_signal(a)); return {}; }, "[B:]SIG[@S]  signal before the time limit"},
  {"time", 't', required, Scope::slurm, [](O& o, A a) -> Status { UFAB_ASSIGN(o.time_limit_minutes, parse_time_limit(a)); return {}; }, "TIME       limit: M, M:S, H:M:S, D-H[:M[:S]] (default 60; UNLIMITED: while the escrow pays)"},
  // The fabric's own.
  {"budget", 0, required, Scope::fabric, [](O& o, A a) -> Status { UFAB_ASSIGN(o.budget_micro, parse_unc(a)); return {}; }, "UNC        at most this is put in escrow"},
  {"data", 0, required, Scope::fabric, [](O& o, A a) { return set_text(o.data, a); }, "FILE       corpus, in place of the definition's"},
  {"max-price", 0, required, Scope::fabric, [](O& o, A a) -> Status { UFAB_ASSIGN(o.max_price_micro, parse_unc(a)); return {}; }, "UNC        per TFLOP, no provider above it"},
  {"prefer", 0, required, Scope::fabric, [](O& o, A a) { o.prefer = split(a, ','); return Status{}; }, "ORG,…      these providers first"},
  {"providers", 0, required, Scope::fabric, [](O& o, A a) -> Status { UFAB_ASSIGN(o.providers, parse_range(a, "..")); return {}; }, "N|N..M     how many train it together"},
  {"shares", 0, required, Scope::fabric, set_shares, "1:5:2      relative shares (default: by measured speed)"},
  {"sync", 0, required, Scope::fabric, set_sync, "1          synchronise every step"},
  {"train", 0, required, Scope::fabric, [](O& o, A a) { return set_text(o.train, a); }, "FILE       job definition (TOML): a training job"},
  {"verify", 0, required, Scope::fabric, set_verify, "exact:5%   windows re-executed by others (or none)"},
  {"idempotency-key", 0, required, Scope::fabric, [](O& o, A a) { return set_text(o.idempotency_key, a); }, "KEY        the same key never submits twice"},
  // Of the command line.
  {"json", 0, none, Scope::command_line, [](O& o, A) { o.json = true; return Status{}; }, "           the answer as JSON"},
  {"parsable", 0, none, Scope::command_line, [](O& o, A) { o.parsable = true; return Status{}; }, "           print the job's number only"},
  {"quiet", 'Q', none, Scope::command_line, [](O& o, A) { o.quiet = true; return Status{}; }, "           say less"},
  {"test-only", 0, none, Scope::command_line, [](O& o, A) { o.test_only = true; return Status{}; }, "           price the job and print the offer; submit nothing"},
  {"wait", 'W', none, Scope::command_line, [](O& o, A) { o.wait = true; return Status{}; }, "           return when the job has ended: 0 when it completed, 1 otherwise"},
  {"wrap", 0, required, Scope::command_line, [](O& o, A a) { return set_text(o.wrap, a); }, "COMMAND    run this command in place of a script"},
  // Known to Slurm and not honoured by this version: doing something else in silence would be worse.
  {"array", 'a', required, Scope::slurm, nullptr, nullptr, true},
  {"begin", 'b', required, Scope::slurm, nullptr, nullptr, true},
  {"dependency", 'd', required, Scope::slurm, nullptr, nullptr, true},
  {"deadline", 0, required, Scope::slurm, nullptr, nullptr, true},
  {"gres", 0, required, Scope::slurm, nullptr, nullptr, true},
  {"gpus", 'G', required, Scope::slurm, nullptr, nullptr, true},
  {"gpus-per-node", 0, required, Scope::slurm, nullptr, nullptr, true},
  {"gpus-per-socket", 0, required, Scope::slurm, nullptr, nullptr, true},
  {"gpus-per-task", 0, required, Scope::slurm, nullptr, nullptr, true},
  {"mem-per-gpu", 0, required, Scope::slurm, nullptr, nullptr, true},
  {"container", 0, required, Scope::slurm, nullptr, nullptr, true},
  {"uid", 0, required, Scope::slurm, nullptr, nullptr, true},
  {"gid", 0, required, Scope::slurm, nullptr, nullptr, true},
  // Accepted; a fabric of local clusters has nothing that they could change.
  {"account", 'A', required, Scope::slurm, nullptr, nullptr},
  {"acctg-freq", 0, required, Scope::slurm, nullptr, nullptr},
  {"bb", 0, required, Scope::slurm, nullptr, nullptr},
  {"bbf", 0, required, Scope::slurm, nullptr, nullptr},
  {"cluster-constraint", 0, required, Scope::slurm, nullptr, nullptr},
  {"clusters", 'M', required, Scope::slurm, nullptr, nullptr},
  {"constraint", 'C', required, Scope::slurm, nullptr, nullptr},
  {"contiguous", 0, none, Scope::slurm, nullptr, nullptr},
  {"core-spec", 'S', required, Scope::slurm, nullptr, nullptr},
  {"cores-per-socket", 0, required, Scope::slurm, nullptr, nullptr},
  {"cpu-freq", 0, required, Scope::slurm, nullptr, nullptr},
  {"delay-boot", 0, required, Scope::slurm, nullptr, nullptr},
  {"distribution", 'm', required, Scope::slurm, nullptr, nullptr},
  {"exclude", 'x', required, Scope::slurm, nullptr, nullptr},
  {"exclusive", 0, optional_argument, Scope::slurm, nullptr, nullptr},
  {"export-file", 0, required, Scope::slurm, nullptr, nullptr},
  {"extra-node-info", 'B', required, Scope::slurm, nullptr, nullptr},
  {"get-user-env", 0, optional_argument, Scope::slurm, nullptr, nullptr},
  {"gpu-bind", 0, required, Scope::slurm, nullptr, nullptr},
  {"gpu-freq", 0, required, Scope::slurm, nullptr, nullptr},
  {"gres-flags", 0, required, Scope::slurm, nullptr, nullptr},
  {"hint", 0, required, Scope::slurm, nullptr, nullptr},
  {"ignore-pbs", 0, none, Scope::slurm, nullptr, nullptr},
  {"kill-on-invalid-dep", 0, required, Scope::slurm, nullptr, nullptr},
  {"licenses", 'L', required, Scope::slurm, nullptr, nullptr},
  {"mail-type", 0, required, Scope::slurm, nullptr, nullptr},
  {"mail-user", 0, required, Scope::slurm, nullptr, nullptr},
  {"mcs-label", 0, required, Scope::slurm, nullptr, nullptr},
  {"mem-bind", 0, required, Scope::slurm, nullptr, nullptr},
  {"mincpus", 0, required, Scope::slurm, nullptr, nullptr},
  {"network", 0, required, Scope::slurm, nullptr, nullptr},
  {"nice", 0, optional_argument, Scope::slurm, nullptr, nullptr},
  {"no-kill", 'k', optional_argument, Scope::slurm, nullptr, nullptr},
  {"nodefile", 'F', required, Scope::slurm, nullptr, nullptr},
  {"nodelist", 'w', required, Scope::slurm, nullptr, nullptr},
  {"nodes", 'N', required, Scope::slurm, nullptr, nullptr},
  {"ntasks-per-core", 0, required, Scope::slurm, nullptr, nullptr},
  {"ntasks-per-gpu", 0, required, Scope::slurm, nullptr, nullptr},
  {"ntasks-per-node", 0, required, Scope::slurm, nullptr, nullptr},
  {"ntasks-per-socket", 0, required, Scope::slurm, nullptr, nullptr},
  {"overcommit", 'O', none, Scope::slurm, nullptr, nullptr},
  {"oversubscribe", 's', none, Scope::slurm, nullptr, nullptr},
  {"partition", 'p', required, Scope::slurm, nullptr, nullptr},
  {"power", 0, required, Scope::slurm, nullptr, nullptr},
  {"priority", 0, required, Scope::slurm, nullptr, nullptr},
  {"profile", 0, required, Scope::slurm, nullptr, nullptr},
  {"propagate", 0, optional_argument, Scope::slurm, nullptr, nullptr},
  {"qos", 'q', required, Scope::slurm, nullptr, nullptr},
  {"reboot", 0, none, Scope::slurm, nullptr, nullptr},
  {"reservation", 0, required, Scope::slurm, nullptr, nullptr},
  {"sockets-per-node", 0, required, Scope::slurm, nullptr, nullptr},
  {"spread-job", 0, none, Scope::slurm, nullptr, nullptr},
  {"switches", 0, required, Scope::slurm, nullptr, nullptr},
  {"thread-spec", 0, required, Scope::slurm, nullptr, nullptr},
  {"threads-per-core", 0, required, Scope::slurm, nullptr, nullptr},
  {"time-min", 0, required, Scope::slurm, nullptr, nullptr},
  {"tmp", 0, required, Scope::slurm, nullptr, nullptr},
  {"use-min-nodes", 0, none, Scope::slurm, nullptr, nullptr},
  {"verbose", 'v', none, Scope::slurm, nullptr, nullptr},
  {"wait-all-nodes", 0, required, Scope::slurm, nullptr, nullptr},
  {"wckey", 0, required, Scope::slurm, nullptr, nullptr},
};
// clang-format on

}  // namespace

std::span<const OptionEntry> all_options() {
  return table;
}

Result<const OptionEntry*> find_option(std::string_view long_name) {
  const OptionEntry* completion = nullptr;
  std::string candidates;
  for (const OptionEntry& entry : table) {
    const std::string_view name = entry.name;
    if (name == long_name) return &entry;
    if (name.starts_with(long_name)) {
      completion = &entry;
      candidates += (candidates.empty() ? "--" : ", --") + std::string(name);
    }
  }
  if (completion == nullptr) {
    return Error{ErrorCode::invalid, "unknown option --" + std::string(long_name)};
  }
  if (candidates.find(',') != std::string::npos) {
    return Error{ErrorCode::invalid, "option --" + std::string(long_name) + " is ambiguous: " + candidates};
  }
  return completion;
}

const OptionEntry* find_option(char letter) {
  for (const OptionEntry& entry : table) {
    if (entry.letter == letter && letter != 0) return &entry;
  }
  return nullptr;
}

}  // namespace ufab::jobs
