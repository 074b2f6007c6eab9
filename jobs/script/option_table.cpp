#include "jobs/script/option_table.h"

#include <grp.h>
#include <pwd.h>

#include <algorithm>

#include "jobs/script/spellings.h"

namespace ufab::jobs {

namespace {

using O = SubmitOptions;
using A = std::string_view;
using R = Reading;
using Spelled = Result<std::string>;

constexpr std::uint64_t micro = 1'000'000;
constexpr std::size_t max_text = 4096;
constexpr std::uint64_t int_max = 0x7fffffff;

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

// Options that are kept as they stand.
Spelled keep(O&, A a, const R&) {
  if (a.size() > max_text) return Error{ErrorCode::limit, "longer than 4096 characters"};
  return std::string(a);
}
Spelled keep_filled(O& o, A a, const R& r) {
  if (a.empty()) return Error{ErrorCode::invalid, "needs a value"};
  return keep(o, a, r);
}
Spelled flag(O&, A, const R&) {
  return std::string("set");
}
template <auto Field>
Spelled text(O& o, A a, const R& r) {
  UFAB_ASSIGN(o.*Field, keep(o, a, r));
  return o.*Field;
}
template <auto Field>
Spelled filled_text(O& o, A a, const R& r) {
  UFAB_ASSIGN(o.*Field, keep_filled(o, a, r));
  return o.*Field;
}
template <auto Field>
Spelled yes(O& o, A, const R&) {
  o.*Field = true;
  return std::string("set");
}
template <std::uint64_t Low = 1, std::uint64_t High = int_max>
Spelled count(O&, A a, const R&) {
  UFAB_ASSIGN(const std::uint64_t value, parse_slurm_count(a, Low, High));
  return std::to_string(value);
}
template <auto Field>
Spelled positive(O& o, A a, const R&) {
  UFAB_ASSIGN(const std::uint64_t value, parse_slurm_count(a, 1, int_max));
  o.*Field = static_cast<std::uint32_t>(value);
  return std::to_string(value);
}
template <auto Field>
Spelled memory(O& o, A a, const R&) {
  UFAB_ASSIGN(o.*Field, parse_memory_mib(a));
  return format_memory(o.*Field);
}
template <auto Field>
Spelled moment(O& o, A a, const R& r) {
  UFAB_ASSIGN(const std::int64_t value, parse_moment(a, r.now_s));
  o.*Field = value;
  return format_moment(value);
}
template <auto Field>
Spelled gpu_list(O& o, A a, const R&) {
  (o.*Field).clear();
  if (!a.empty()) {
    UFAB_ASSIGN(o.*Field, parse_gpus(a));
  }
  return std::string(a);
}
template <auto Spelling>
Spelled spelled(O&, A a, const R&) {
  return Spelling(a);
}
// sbatch's word for no file.
template <auto Field>
Spelled file(O& o, A a, const R& r) {
  return text<Field>(o, equals_ignoring_case(a, "none") ? A("/dev/null") : a, r);
}

Spelled set_array(O& o, A a, const R&) {
  o.array.reset();
  if (!a.empty()) {
    UFAB_ASSIGN(o.array, parse_array(a));
  }
  return std::string(a);
}
Spelled set_dependency(O& o, A a, const R&) {
  o.dependencies = {};
  if (!a.empty()) {
    UFAB_ASSIGN(o.dependencies, parse_dependency(a));
  }
  return std::string(a);
}
Spelled set_kill(O& o, A a, const R&) {
  const bool yes = equals_ignoring_case(a, "yes");
  if (!yes && !equals_ignoring_case(a, "no")) return Error{ErrorCode::invalid, "write yes or no"};
  o.kill_on_invalid_dependency = yes;
  return std::string(yes ? "yes" : "no");
}
Spelled set_gres(O& o, A a, const R&) {
  UFAB_ASSIGN(o.gres, parse_gres(a));
  if (o.gres.empty()) return std::string(a);
  std::string shown;
  for (const std::string& item : split(a, ','))
    shown += (shown.empty() ? "" : ",") + std::string(item.starts_with("gres:") ? "" : "gres:") + item;
  return shown;
}
// Digits in front count and what stands behind them is dropped, as sbatch does for --nice and --priority.
std::int64_t leading_number(A a) {
  while (a.starts_with(' ')) a.remove_prefix(1);
  const bool negative = a.starts_with('-');
  if (negative || a.starts_with('+')) a.remove_prefix(1);
  std::int64_t value = 0;
  for (const char c : a) {
    if (c < '0' || c > '9' || value > 1'000'000'000'000) break;
    value = value * 10 + (c - '0');
  }
  return negative ? -value : value;
}
Spelled set_nice(O& o, A a, const R&) {
  constexpr std::int64_t bound = 0x7fffffff - 2;
  const std::int64_t value = a.empty() ? 100 : leading_number(a);
  if (value > bound || value < -bound)
    return Error{ErrorCode::invalid, "'" + std::string(a) + "' is beyond " + std::to_string(bound)};
  o.nice = static_cast<std::int32_t>(value);
  return std::to_string(value);
}
Spelled set_priority(O& o, A a, const R&) {
  constexpr std::int64_t bound = 0xfffffffe;
  if (equals_ignoring_case(a, "TOP")) {
    o.priority = static_cast<std::uint32_t>(bound - 1);
    return std::string("-3");  // sbatch's own mark for the top
  }
  const std::int64_t value = leading_number(a);
  if (value < 0 || value >= bound) {
    return Error{ErrorCode::invalid,
                 "'" + std::string(a) + "' is neither TOP nor from 0 to " + std::to_string(bound - 1)};
  }
  o.priority = static_cast<std::uint32_t>(value);
  return std::to_string(value);
}
Spelled set_tasks(O& o, A a, const R& r) {
  o.tasks_given = true;
  return positive<&O::tasks>(o, a, r);
}
Spelled set_nodes(O& o, A a, const R&) {
  UFAB_ASSIGN(const CountRange nodes, parse_nodes(a));
  o.nodes = nodes;
  return format_nodes(nodes);
}
Spelled set_open_mode(O& o, A a, const R&) {
  const bool append = a.starts_with('a') || a.starts_with('A');
  if (!append && !a.starts_with('t') && !a.starts_with('T'))
    return Error{ErrorCode::invalid, "write append or truncate"};
  o.append_output = append;
  return std::string(append ? "a" : "t");
}
template <bool Value>
Spelled set_requeue(O& o, A, const R&) {
  o.requeue = Value;
  return std::string(Value ? "requeue" : "no-requeue");
}
Spelled set_signal(O& o, A a, const R&) {
  UFAB_ASSIGN(const SignalRequest request, parse_signal(a));
  o.signal = request;
  return format_signal(request);
}
Spelled set_time(O& o, A a, const R&) {
  UFAB_ASSIGN(o.time_limit_minutes, parse_time_limit(a));
  return format_time_limit(o.time_limit_minutes);
}
Spelled set_time_min(O& o, A a, const R&) {
  UFAB_ASSIGN(o.time_min_minutes, parse_time_limit(a));
  return format_time_limit(o.time_min_minutes);
}
Spelled delay_boot(O&, A a, const R&) {
  UFAB_ASSIGN(const std::optional<std::uint64_t> seconds, parse_duration_s(a));
  if (!seconds) return Error{ErrorCode::invalid, "'" + std::string(a) + "' has no end"};
  return format_seconds(*seconds);
}
Spelled licenses(O&, A a, const R&) {
  for (const std::string& item : split(a, ',')) {
    const std::size_t colon = item.find(':');
    if (colon != std::string::npos && !parse_count(A(item).substr(colon + 1), 1, int_max).ok())
      return Error{ErrorCode::invalid, "'" + std::string(a) + "' is not a list such as matlab:2"};
  }
  return std::string(a);
}
Spelled oversubscribe(O&, A, const R&) {
  return std::string("oversubscribe");
}
Spelled set_user_environment(O& o, A a, const R&) {
  o.user_environment = true;
  return spell_user_environment(a);
}
Spelled set_export(O& o, A a, const R&) {
  o.export_names = split(a, ',');
  return std::string(a);
}
Spelled user(O&, A a, const R&) {
  if (const auto number = parse_count(a, 0, 0xfffffffd)) return std::to_string(*number);
  const ::passwd* entry = ::getpwnam(std::string(a).c_str());
  if (entry == nullptr) return Error{ErrorCode::invalid, "no user '" + std::string(a) + "'"};
  return std::to_string(entry->pw_uid);
}
Spelled group(O&, A a, const R&) {
  if (const auto number = parse_count(a, 0, 0xfffffffd)) return std::to_string(*number);
  const ::group* entry = ::getgrnam(std::string(a).c_str());
  if (entry == nullptr) return Error{ErrorCode::invalid, "no group '" + std::string(a) + "'"};
  return std::to_string(entry->gr_gid);
}

Spelled set_verify(O& o, A a, const R&) {
  if (a == "none") {
    o.verify = {.none = true, .rate_ppm = 0};
    return std::string(a);
  }
  if (a == "exact") {
    o.verify = {};
    return std::string(a);
  }
  if (!a.starts_with("exact:"))
    return Error{ErrorCode::invalid, "'" + std::string(a) + "' is not none, exact or exact:PERCENT%"};
  UFAB_ASSIGN(o.verify.rate_ppm, parse_percent_ppm(a.substr(6)));
  o.verify.none = o.verify.rate_ppm == 0;
  return std::string(a);
}
Spelled set_sync(O&, A a, const R&) {
  if (a == "1") return std::string(a);
  UFAB_ASSIGN(const std::uint64_t steps, parse_count(a, 1, 1'000'000));
  return Error{ErrorCode::conflict, "this version synchronises providers every step only; --sync=" +
                                        std::to_string(steps) + " needs a later one"};
}
Spelled set_shares(O& o, A a, const R&) {
  o.shares.clear();
  for (const std::string& part : split(a, ':')) {
    UFAB_ASSIGN(const std::uint64_t share, parse_count(part, 1, 1'000'000));
    o.shares.push_back(static_cast<std::uint32_t>(share));
  }
  return std::string(a);
}
template <auto Field>
Spelled amount(O& o, A a, const R&) {
  UFAB_ASSIGN(o.*Field, parse_unc(a));
  return std::string(a);
}
Spelled set_prefer(O& o, A a, const R&) {
  o.prefer = split(a, ',');
  return std::string(a);
}
Spelled set_providers(O& o, A a, const R&) {
  UFAB_ASSIGN(o.providers, parse_range(a, ".."));
  return std::string(a);
}

constexpr auto no = ArgumentKind::none;
constexpr auto required = ArgumentKind::required;
constexpr auto maybe = ArgumentKind::optional;
constexpr auto slurm = Scope::slurm;
constexpr auto fabric = Scope::fabric;
constexpr auto line = Scope::command_line;
constexpr auto word = ValueKind::text;
constexpr auto number = ValueKind::number;
constexpr auto mark = ValueKind::flag;

// clang-format off
const OptionEntry table[] = {
  // Honoured.
  {"array", 'a', required, slurm, word, true, set_array, "LIST       tasks, for example 0-15 or 1-9:2%3; each is a job of its own"},
  {"begin", 'b', required, slurm, word, true, moment<&O::begin>, "TIME       not before: now+2hours, 16:00, tomorrow, MM/DD, YYYY-MM-DD[THH:MM]"},
  {"chdir", 'D', required, slurm, word, true, text<&O::working_folder>, "DIR        run in this folder (on another's provider: in the job's)"},
  {"comment", 0, required, slurm, word, true, text<&O::comment>, "TEXT       kept with the job"},
  {"cpus-per-task", 'c', required, slurm, number, true, positive<&O::cpus_per_task>, "N          threads of each rank"},
  {"deadline", 0, required, slurm, word, true, moment<&O::deadline>, "TIME       a job that could not end by then is removed"},
  {"dependency", 'd', required, slurm, word, true, set_dependency, "LIST       afterok:7:8, after:7+10, afterany, afternotok, aftercorr, singleton; , all ? any"},
  {"error", 'e', required, slurm, word, true, file<&O::error>, "FILE       standard error (%j job, %A_%a array and task, %x name)"},
  {"export", 0, required, slurm, word, true, set_export, "ALL|NONE|LIST  environment of the job"},
  {"export-file", 0, required, slurm, word, true, text<&O::export_file>, "FILE  more of it: NAME=VALUE, each ended by a NUL byte"},
  {"get-user-env", 0, maybe, slurm, word, true, set_user_environment, "     a login shell's environment instead of this one's"},
  {"gpus", 'G', required, slurm, word, true, gpu_list<&O::gpus>, "[TYPE:]N   GPUs in all"},
  {"gpus-per-node", 0, required, slurm, word, true, gpu_list<&O::gpus_per_node>, "[TYPE:]N  GPUs on each node"},
  {"gpus-per-socket", 0, required, slurm, word, true, gpu_list<&O::gpus_per_socket>, "[TYPE:]N  GPUs of each socket"},
  {"gpus-per-task", 0, required, slurm, word, true, gpu_list<&O::gpus_per_task>, "[TYPE:]N  GPUs of each rank"},
  {"gres", 0, required, slurm, word, true, set_gres, "NAME[:TYPE][:N],…  generic resources on each node"},
  {"hold", 'H', no, slurm, mark, true, yes<&O::hold>, "           submit held; ufab release starts it"},
  {"input", 'i', required, slurm, word, true, file<&O::input>, "FILE       standard input (on another's provider: none)"},
  {"job-name", 'J', required, slurm, word, true, text<&O::job_name>, "NAME       the job's name"},
  {"kill-on-invalid-dep", 0, required, slurm, word, true, set_kill, "yes|no  a dependency that can never hold ends the job"},
  {"mem", 0, required, slurm, word, true, memory<&O::memory_mib>, "N[KMGT]    memory limit on each provider"},
  {"mem-per-cpu", 0, required, slurm, word, true, memory<&O::memory_per_cpu_mib>, "N[KMGT]  memory limit by thread"},
  {"mem-per-gpu", 0, required, slurm, word, true, memory<&O::memory_per_gpu_mib>, "N[KMGT]  memory limit by GPU"},
  {"nice", 0, maybe, slurm, number, true, set_nice, "[=N]           among this organisation's jobs: lower the priority by N (100)"},
  {"no-requeue", 0, no, slurm, word, true, set_requeue<false>, "           a failed attempt ends the job"},
  {"nodes", 'N', required, slurm, number, true, set_nodes, "N[-M]      nodes of the provider's batch system; one rank on each unless said"},
  {"ntasks", 'n', required, slurm, number, true, set_tasks, "N          ranks on each provider"},
  {"ntasks-per-node", 0, required, slurm, number, true, positive<&O::tasks_per_node>, "N  ranks on each node"},
  {"open-mode", 0, required, slurm, word, true, set_open_mode, "append|truncate  of the output files"},
  {"output", 'o', required, slurm, word, true, file<&O::output>, "FILE       standard output (default slurm-%j.out)"},
  {"priority", 0, required, slurm, number, true, set_priority, "N|TOP      among this organisation's jobs"},
  {"requeue", 0, no, slurm, word, true, set_requeue<true>, "           a failed attempt is run again (default)"},
  {"signal", 0, required, slurm, word, true, set_signal, "[B:]SIG[@S]  signal before the time limit"},
  {"time", 't', required, slurm, word, true, set_time, "TIME       limit: M, M:S, H:M:S, D-H[:M[:S]] (default 60; UNLIMITED: while the escrow pays)"},
  // The fabric's own.
  {"budget", 0, required, fabric, word, true, amount<&O::budget_micro>, "UNC        at most this is put in escrow"},
  {"data", 0, required, fabric, word, true, filled_text<&O::data>, "FILE       corpus, in place of the definition's"},
  {"max-price", 0, required, fabric, word, true, amount<&O::max_price_micro>, "UNC        per TFLOP, no provider above it"},
  {"prefer", 0, required, fabric, word, true, set_prefer, "ORG,…      these providers first"},
  {"providers", 0, required, fabric, word, true, set_providers, "N|N..M     how many train it together"},
  {"shares", 0, required, fabric, word, true, set_shares, "1:5:2      relative shares (default: by measured speed)"},
  {"sync", 0, required, fabric, word, true, set_sync, "1          synchronise every step"},
  {"train", 0, required, fabric, word, true, filled_text<&O::train>, "FILE       job definition (TOML): a training job"},
  {"verify", 0, required, fabric, word, true, set_verify, "exact:5%   windows re-executed by others (or none)"},
  {"idempotency-key", 0, required, fabric, word, true, filled_text<&O::idempotency_key>, "KEY        the same key never submits twice"},
  {"json", 0, no, fabric, mark, true, yes<&O::json>, "           the answer as JSON"},
  // Of the command line.
  {"parsable", 0, no, line, mark, true, yes<&O::parsable>, "           print the job's number only"},
  {"quiet", 'Q', no, line, mark, true, yes<&O::quiet>, "           say less"},
  {"test-only", 0, no, line, mark, true, yes<&O::test_only>, "           price the job and print the offer; submit nothing"},
  {"wait", 'W', no, line, mark, true, yes<&O::wait>, "           return when the job has ended: 0 when it completed, 1 otherwise"},
  {"wrap", 0, required, line, word, true, text<&O::wrap>, "COMMAND    run this command in place of a script"},
  {"help", 'h', no, line, mark, true, flag, nullptr},
  {"usage", 0, no, line, mark, true, flag, nullptr},
  {"verbose", 'v', no, line, mark, true, flag, nullptr},
  {"version", 'V', no, line, mark, true, flag, nullptr},
  // Checked and kept; a provider's batch system may use them, the fabric has nothing that they could change.
  {"account", 'A', required, slurm, word, false, keep, nullptr},
  {"acctg-freq", 0, required, slurm, word, false, spelled<spell_accounting_frequency>, nullptr},
  {"batch", 0, required, slurm, word, false, keep, nullptr},
  {"bb", 0, required, slurm, word, false, keep, nullptr},
  {"bbf", 0, required, slurm, word, false, keep_filled, nullptr},
  {"cluster", 0, required, slurm, word, false, keep_filled, nullptr},
  {"cluster-constraint", 0, required, slurm, word, false, keep, nullptr},
  {"clusters", 'M', required, slurm, word, false, keep_filled, nullptr},
  {"constraint", 'C', required, slurm, word, false, keep, nullptr},
  {"container", 0, required, slurm, word, true, keep, nullptr},
  {"context", 0, required, slurm, word, false, keep, nullptr},
  {"contiguous", 0, no, slurm, mark, false, flag, nullptr},
  {"core-spec", 'S', required, slurm, number, false, count<0>, nullptr},
  {"cores-per-socket", 0, required, slurm, number, false, count<>, nullptr},
  {"cpu-freq", 0, required, slurm, word, false, spelled<spell_cpu_frequency>, nullptr},
  {"cpus-per-gpu", 0, required, slurm, number, false, count<>, nullptr},
  {"delay-boot", 0, required, slurm, word, false, delay_boot, nullptr},
  {"distribution", 'm', required, slurm, word, false, spelled<spell_distribution>, nullptr},
  {"exclude", 'x', required, slurm, word, false, keep, nullptr},
  {"exclusive", 0, maybe, slurm, word, false, spelled<spell_exclusive>, nullptr},
  {"extra-node-info", 'B', required, slurm, word, false, spelled<spell_extra_node_info>, nullptr},
  {"gid", 0, required, slurm, number, true, group, nullptr},
  {"gpu-bind", 0, required, slurm, word, false, spelled<spell_gpu_bind>, nullptr},
  {"gpu-freq", 0, required, slurm, word, false, spelled<spell_gpu_frequency>, nullptr},
  {"gres-flags", 0, required, slurm, word, false, spelled<spell_gres_flags>, nullptr},
  {"hint", 0, required, slurm, word, false, spelled<spell_hint>, nullptr},
  {"ignore-pbs", 0, no, slurm, mark, false, flag, nullptr},
  {"licenses", 'L', required, slurm, word, false, licenses, nullptr},
  {"mail-type", 0, required, slurm, word, false, spelled<spell_mail_type>, nullptr},
  {"mail-user", 0, required, slurm, word, false, keep, nullptr},
  {"mcs-label", 0, required, slurm, word, false, keep, nullptr},
  {"mem-bind", 0, required, slurm, word, false, spelled<spell_memory_bind>, nullptr},
  {"mincpus", 0, required, slurm, number, false, count<>, nullptr},
  {"network", 0, required, slurm, word, false, keep, nullptr},
  {"no-kill", 'k', maybe, slurm, word, false, spelled<spell_no_kill>, nullptr},
  {"nodefile", 'F', required, slurm, word, false, keep_filled, nullptr},
  {"nodelist", 'w', required, slurm, word, false, keep_filled, nullptr},
  {"ntasks-per-core", 0, required, slurm, number, false, count<>, nullptr},
  {"ntasks-per-gpu", 0, required, slurm, number, false, count<>, nullptr},
  {"ntasks-per-socket", 0, required, slurm, number, false, count<>, nullptr},
  {"ntasks-per-tres", 0, required, slurm, number, false, count<>, nullptr},
  {"overcommit", 'O', no, slurm, mark, false, flag, nullptr},
  {"oversubscribe", 's', no, slurm, word, false, oversubscribe, nullptr},
  {"partition", 'p', required, slurm, word, false, keep_filled, nullptr},
  {"power", 0, required, slurm, word, false, spelled<spell_power>, nullptr},
  {"prefer", 0, required, slurm, word, false, keep, nullptr},
  {"profile", 0, required, slurm, word, false, spelled<spell_profile>, nullptr},
  {"propagate", 0, maybe, slurm, word, false, spelled<spell_propagate>, nullptr},
  {"qos", 'q', required, slurm, word, false, keep, nullptr},
  {"reboot", 0, no, slurm, mark, false, flag, nullptr},
  {"reservation", 0, required, slurm, word, false, keep, nullptr},
  {"sockets-per-node", 0, required, slurm, number, false, count<>, nullptr},
  {"spread-job", 0, no, slurm, mark, false, flag, nullptr},
  {"switches", 0, required, slurm, word, false, spelled<spell_switches>, nullptr},
  {"tasks-per-node", 0, required, slurm, number, true, positive<&O::tasks_per_node>, nullptr},
  {"thread-spec", 0, required, slurm, number, false, count<>, nullptr},
  {"threads-per-core", 0, required, slurm, number, false, count<>, nullptr},
  {"time-min", 0, required, slurm, word, false, set_time_min, nullptr},
  {"tmp", 0, required, slurm, word, false, memory<&O::temporary_disk_mib>, nullptr},
  {"uid", 0, required, slurm, number, true, user, nullptr},
  {"use-min-nodes", 0, no, slurm, mark, false, flag, nullptr},
  {"wait-all-nodes", 0, required, slurm, number, false, count<0, 1>, nullptr},
  {"wckey", 0, required, slurm, word, false, keep, nullptr},
};
// clang-format on

bool stands_at(const OptionEntry& entry, Place place) {
  switch (place) {
    case Place::sbatch_line: return entry.scope != Scope::fabric;
    case Place::ufab_line: return entry.scope == Scope::fabric && entry.name != std::string_view("json");
    case Place::command_line: return true;
  }
  return false;
}

}  // namespace

std::span<const OptionEntry> all_options() {
  return table;
}

Result<const OptionEntry*> find_option(std::string_view long_name, Place place) {
  std::vector<const OptionEntry*> completions;
  for (const OptionEntry& entry : table) {
    if (!stands_at(entry, place)) continue;
    if (entry.name == long_name) return &entry;  // the fabric's stand first in the table
    if (std::string_view(entry.name).starts_with(long_name)) completions.push_back(&entry);
  }
  // What sbatch completes is completed the same way here, whatever the fabric adds.
  if (place == Place::command_line && completions.size() > 1) {
    const auto own = std::count_if(completions.begin(), completions.end(),
                                   [](const OptionEntry* entry) { return entry->scope != Scope::fabric; });
    if (own > 0)
      std::erase_if(completions, [](const OptionEntry* entry) { return entry->scope == Scope::fabric; });
  }
  if (completions.empty()) return Error{ErrorCode::invalid, "unknown option --" + std::string(long_name)};
  if (completions.size() == 1) return completions.front();
  std::string names;
  for (const OptionEntry* entry : completions)
    names += (names.empty() ? "--" : ", --") + std::string(entry->name);
  return Error{ErrorCode::invalid, "option --" + std::string(long_name) + " is ambiguous: " + names};
}

const OptionEntry* find_option(char letter) {
  const auto found = std::find_if(std::begin(table), std::end(table), [&](const OptionEntry& entry) {
    return entry.letter == letter && letter != 0;
  });
  return found == std::end(table) ? nullptr : found;
}

}  // namespace ufab::jobs
