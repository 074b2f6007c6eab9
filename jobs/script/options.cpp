#include "jobs/script/options.h"

#include <algorithm>
#include <array>

#include "jobs/script/consistency.h"
#include "jobs/script/option_table.h"
#include "jobs/script/spellings.h"

namespace ufab::jobs {

namespace {

struct ParsedOption {
  const OptionEntry* entry = nullptr;
  std::string argument;
};

struct ParsedWords {
  std::vector<ParsedOption> options;
  std::size_t taken = 0;  // words that were options; what follows them is not
};

std::string shown(const OptionEntry& entry) {
  return std::string("--") + entry.name;
}

// getopt_long's reading: "--name value", "--name=value", "-n4", "-n 4", "-Hv"; "--" ends the options, as does
// the first word that is none.
Result<ParsedWords> parse_words(std::span<const std::string> words, Place place) {
  ParsedWords parsed;
  std::size_t at = 0;
  const auto take_argument = [&](const OptionEntry& entry) -> Result<std::string> {
    if (at + 1 >= words.size()) return Error{ErrorCode::invalid, "option " + shown(entry) + " needs a value"};
    return words[++at];
  };
  for (; at < words.size(); ++at) {
    const std::string& word = words[at];
    if (word == "--") {
      ++at;
      break;
    }
    if (word.starts_with("--")) {
      const std::size_t equals = word.find('=');
      const std::string_view name =
          std::string_view(word).substr(2, equals == std::string::npos ? std::string::npos : equals - 2);
      UFAB_ASSIGN(const OptionEntry* entry, find_option(name, place));
      ParsedOption option{entry, {}};
      if (equals != std::string::npos) {
        if (entry->argument == ArgumentKind::none)
          return Error{ErrorCode::invalid, "option " + shown(*entry) + " takes no value"};
        option.argument = word.substr(equals + 1);
      } else if (entry->argument == ArgumentKind::required) {
        UFAB_ASSIGN(option.argument, take_argument(*entry));
      }
      parsed.options.push_back(std::move(option));
    } else if (word.size() > 1 && word[0] == '-') {
      for (std::size_t i = 1; i < word.size(); ++i) {
        const OptionEntry* entry = find_option(word[i]);
        if (entry == nullptr) return Error{ErrorCode::invalid, std::string("unknown option -") + word[i]};
        ParsedOption option{entry, {}};
        if (entry->argument == ArgumentKind::none) {
          parsed.options.push_back(std::move(option));
          continue;
        }
        option.argument = word.substr(i + 1);
        if (option.argument.empty() && entry->argument == ArgumentKind::required) {
          UFAB_ASSIGN(option.argument, take_argument(*entry));
        }
        parsed.options.push_back(std::move(option));
        break;
      }
    } else {
      break;
    }
  }
  parsed.taken = at;
  return parsed;
}

// Options of a component that its successor in a heterogeneous job does not inherit, as in Slurm.
constexpr std::array<std::string_view, 44> own_of_each_component{"bb",
                                                                 "constraint",
                                                                 "contiguous",
                                                                 "core-spec",
                                                                 "cores-per-socket",
                                                                 "cpu-freq",
                                                                 "cpus-per-gpu",
                                                                 "cpus-per-task",
                                                                 "distribution",
                                                                 "exclusive",
                                                                 "extra-node-info",
                                                                 "gpu-bind",
                                                                 "gpu-freq",
                                                                 "gpus",
                                                                 "gpus-per-node",
                                                                 "gpus-per-task",
                                                                 "gpus-per-socket",
                                                                 "gres",
                                                                 "gres-flags",
                                                                 "licenses",
                                                                 "mail-type",
                                                                 "mail-user",
                                                                 "mem-per-cpu",
                                                                 "mem-per-gpu",
                                                                 "mem-bind",
                                                                 "mincpus",
                                                                 "network",
                                                                 "nodelist",
                                                                 "nodes",
                                                                 "ntasks",
                                                                 "ntasks-per-core",
                                                                 "ntasks-per-gpu",
                                                                 "ntasks-per-node",
                                                                 "ntasks-per-socket",
                                                                 "overcommit",
                                                                 "oversubscribe",
                                                                 "partition",
                                                                 "power",
                                                                 "sockets-per-node",
                                                                 "spread-job",
                                                                 "switches",
                                                                 "thread-spec",
                                                                 "threads-per-core",
                                                                 "tmp"};

enum class Source { script, environment, line };

bool is_memory(std::string_view name) {
  return name == "mem" || name == "mem-per-cpu" || name == "mem-per-gpu";
}

// Builds the options of one component, source after source.
class Builder {
 public:
  explicit Builder(const Reading& reading) : reading_(reading) {}

  // What the component before this one hands on.
  Status inherit(const Builder& before) {
    for (const ParsedOption& option : before.applied_) {
      const auto& own = own_of_each_component;
      if (std::find(own.begin(), own.end(), option.entry->name) != own.end()) continue;
      UFAB_TRY(apply(option, Source::script));
    }
    return {};
  }

  Status apply(const ParsedOption& option, Source source) {
    const OptionEntry& entry = *option.entry;
    auto value = entry.set(options_, option.argument, reading_);
    if (!value) return value.error().within("option " + shown(entry));
    applied_.push_back(option);
    const std::string_view name = entry.name;
    if (is_memory(name) && source != Source::environment) memory_said_ = true;
    if (name == "verbose" || name == "quiet" || name == "parsable" || name == "wrap") return {};
    OptionInForce in_force{*std::move(value), entry.kind, entry.has_effect};
    if (entry.scope == Scope::fabric) {
      options_.fabric_in_force[std::string(name)] = std::move(in_force);
      return {};
    }
    if (name == "exclusive" || name == "oversubscribe") {  // one setting under two names
      for (const char* twin : {"exclusive", "oversubscribe"}) {
        const auto found = options_.in_force.find(twin);
        if (found != options_.in_force.end()) found->second.value = in_force.value;
      }
    }
    options_.in_force[name == "tasks-per-node" ? "ntasks-per-node" : std::string(name)] = std::move(in_force);
    return {};
  }

  Status apply_directive(const Directive& directive) {
    const bool ufab = directive.family == DirectiveFamily::ufab;
    auto parsed = parse_words(directive.arguments, ufab ? Place::ufab_line : Place::sbatch_line);
    if (!parsed) return told_where_it_belongs(directive, parsed.error());
    if (parsed->taken < directive.arguments.size()) {
      return Error{ErrorCode::invalid, "'" + directive.arguments[parsed->taken] +
                                           "' is not an option; options begin with - or --"};
    }
    for (const ParsedOption& option : parsed->options) {
      const std::string_view name = option.entry->name;
      if (ufab && option.entry->scope != Scope::fabric)  // a short option
        return Error{ErrorCode::invalid, "option " + shown(*option.entry) + " belongs on a #SBATCH line"};
      if (name == "wrap") continue;  // sbatch reads it and has a script already
      if (name == "help" || name == "usage" || name == "version")
        return Error{ErrorCode::invalid, "option " + shown(*option.entry) + " belongs on the command line"};
      UFAB_TRY(apply(option, Source::script));
    }
    return {};
  }

  Status apply_environment(const std::map<std::string, std::string>& environment, bool memory_on_line);
  Status apply_line(std::span<const std::string> words) {
    auto parsed = parse_words(words, Place::command_line);
    if (!parsed) return Error{ErrorCode::usage, parsed.error().message};
    for (const ParsedOption& option : parsed->options) {
      if (Status status = apply(option, Source::line); !status.ok())
        return Error{ErrorCode::usage, status.error().message};
    }
    return {};
  }

  SubmitOptions& options() { return options_; }

 private:
  // An unknown option of one family that the other knows: say where it belongs.
  static Error told_where_it_belongs(const Directive& directive, const Error& error) {
    const std::string prefix = "unknown option --";
    if (!error.message.starts_with(prefix)) return error;
    const bool ufab = directive.family == DirectiveFamily::ufab;
    const auto other =
        find_option(error.message.substr(prefix.size()), ufab ? Place::sbatch_line : Place::ufab_line);
    if (!other) return error;
    return {error.code,
            error.message + (ufab ? "; write it on a #SBATCH line" : "; write it on a #UFAB line")};
  }

  const Reading& reading_;
  SubmitOptions options_;
  std::vector<ParsedOption> applied_;
  bool memory_said_ = false;  // by script or command line: then the environment does not say it
};

struct Variable {
  const char* name;
  const char* option;
};
// sbatch(1), INPUT ENVIRONMENT VARIABLES, of version 22.05; of two names for one option the later wins.
constexpr Variable variables[] = {
    {"SBATCH_ACCOUNT", "account"},
    {"SBATCH_ACCTG_FREQ", "acctg-freq"},
    {"SBATCH_ARRAY_INX", "array"},
    {"SBATCH_BATCH", "batch"},
    {"SLURM_CLUSTERS", "clusters"},
    {"SBATCH_CLUSTERS", "clusters"},
    {"SBATCH_CONSTRAINT", "constraint"},
    {"SBATCH_CONTAINER", "container"},
    {"SBATCH_CORE_SPEC", "core-spec"},
    {"SBATCH_CPU_FREQ_REQ", "cpu-freq"},
    {"SBATCH_CPUS_PER_GPU", "cpus-per-gpu"},
    {"SBATCH_DELAY_BOOT", "delay-boot"},
    {"SBATCH_DISTRIBUTION", "distribution"},
    {"SBATCH_ERROR", "error"},
    {"SBATCH_EXCLUSIVE", "exclusive"},
    {"SBATCH_EXPORT", "export"},
    {"SBATCH_GET_USER_ENV", "get-user-env"},
    {"SBATCH_GPU_BIND", "gpu-bind"},
    {"SBATCH_GPU_FREQ", "gpu-freq"},
    {"SBATCH_GPUS", "gpus"},
    {"SBATCH_GPUS_PER_NODE", "gpus-per-node"},
    {"SBATCH_GPUS_PER_TASK", "gpus-per-task"},
    {"SBATCH_GRES", "gres"},
    {"SBATCH_GRES_FLAGS", "gres-flags"},
    {"SLURM_HINT", "hint"},
    {"SBATCH_HINT", "hint"},
    {"SBATCH_IGNORE_PBS", "ignore-pbs"},
    {"SBATCH_INPUT", "input"},
    {"SBATCH_JOB_NAME", "job-name"},
    {"SBATCH_MEM_BIND", "mem-bind"},
    {"SBATCH_MEM_PER_CPU", "mem-per-cpu"},
    {"SBATCH_MEM_PER_GPU", "mem-per-gpu"},
    {"SBATCH_MEM_PER_NODE", "mem"},
    {"SBATCH_NETWORK", "network"},
    {"SBATCH_NO_KILL", "no-kill"},
    {"SBATCH_NO_REQUEUE", "no-requeue"},
    {"SBATCH_OPEN_MODE", "open-mode"},
    {"SBATCH_OUTPUT", "output"},
    {"SBATCH_OVERCOMMIT", "overcommit"},
    {"SBATCH_PARTITION", "partition"},
    {"SBATCH_POWER", "power"},
    {"SBATCH_PROFILE", "profile"},
    {"SBATCH_QOS", "qos"},
    {"SBATCH_REQUEUE", "requeue"},
    {"SBATCH_RESERVATION", "reservation"},
    {"SBATCH_SIGNAL", "signal"},
    {"SBATCH_SPREAD_JOB", "spread-job"},
    {"SBATCH_THREAD_SPEC", "thread-spec"},
    {"SBATCH_THREADS_PER_CORE", "threads-per-core"},
    {"SBATCH_TIMELIMIT", "time"},
    {"SBATCH_USE_MIN_NODES", "use-min-nodes"},
    {"SBATCH_WAIT", "wait"},
    {"SBATCH_WAIT_ALL_NODES", "wait-all-nodes"},
    {"SBATCH_WCKEY", "wckey"},
    {"UFAB_PROVIDERS", "providers"},
    {"UFAB_BUDGET", "budget"},
    {"UFAB_VERIFY", "verify"},
    {"UFAB_SYNC", "sync"},
    {"UFAB_MAX_PRICE", "max-price"},
    {"UFAB_PREFER", "prefer"},
    {"UFAB_SHARES", "shares"},
    {"UFAB_TRAIN", "train"},
    {"UFAB_DATA", "data"},
};

// sbatch's reading of a flag's variable: empty, yes, y and a number other than 0 set it; the rest does not.
bool sets_flag(const std::string& value) {
  if (value.empty() || equals_ignoring_case(value, "yes") || equals_ignoring_case(value, "y")) return true;
  const auto number = parse_count(value, 0, 0x7fffffff);
  return number && *number != 0;
}

bool mentions_memory(std::span<const std::string> words) {
  const auto parsed = parse_words(words, Place::command_line);
  return parsed && std::any_of(parsed->options.begin(), parsed->options.end(),
                               [](const ParsedOption& option) { return is_memory(option.entry->name); });
}

Status Builder::apply_environment(const std::map<std::string, std::string>& environment,
                                  bool memory_on_line) {
  // Inside a job UFAB_PROVIDERS and UFAB_DATA say what that job has, not what the next one wants.
  const bool inside_a_job = environment.contains("UFAB_JOB_ID");
  for (const Variable& variable : variables) {
    const auto found = environment.find(variable.name);
    if (found == environment.end()) continue;
    const bool ufab = std::string_view(variable.name).starts_with("UFAB_");
    if (inside_a_job && ufab) continue;
    if (is_memory(variable.option) && (memory_said_ || memory_on_line)) continue;
    UFAB_ASSIGN(const OptionEntry* entry,
                find_option(variable.option, ufab ? Place::ufab_line : Place::sbatch_line));
    if (entry->argument == ArgumentKind::none && !sets_flag(found->second)) continue;
    const std::string argument = entry->argument == ArgumentKind::none ? std::string() : found->second;
    if (Status status = apply({entry, argument}, Source::environment); !status.ok())
      return status.error().within(std::string("variable ") + variable.name);
  }
  return {};
}

Status check_fabric(const SubmitOptions& o) {
  if (o.providers.max > 1 && o.train.empty()) {
    return Error{ErrorCode::invalid,
                 "option --providers: an ordinary batch script runs on one provider; a training "
                 "job names its definition with #UFAB --train=FILE"};
  }
  if (!o.shares.empty() && (o.shares.size() < o.providers.min || o.shares.size() > o.providers.max))
    return Error{ErrorCode::invalid, "option --shares: one number for each provider"};
  if (o.array && !o.components.empty())
    return Error{ErrorCode::invalid, "option --array: a heterogeneous job has no array"};
  return {};
}

}  // namespace

Result<CommandLineWords> split_command_line(std::span<const std::string> words) {
  CommandLineWords line;
  std::size_t at = 0;
  for (;;) {
    auto parsed = parse_words(words.subspan(at), Place::command_line);
    if (!parsed) return Error{ErrorCode::usage, parsed.error().message};
    const auto first = words.begin() + static_cast<std::ptrdiff_t>(at);
    line.component_words.back().assign(first, first + static_cast<std::ptrdiff_t>(parsed->taken));
    at += parsed->taken;
    if (at == words.size() || words[at] != ":") break;
    ++at;
    line.component_words.emplace_back();
    if (line.component_words.size() > max_components)
      return Error{ErrorCode::usage, "more than " + std::to_string(max_components) + " components"};
  }
  line.rest.assign(words.begin() + static_cast<std::ptrdiff_t>(at), words.end());
  return line;
}

Result<SubmitOptions> command_line_options(std::span<const std::string> option_words,
                                           const Reading& reading) {
  Builder builder(reading);
  UFAB_TRY(builder.apply_line(option_words));
  return std::move(builder.options());
}

Result<SubmitOptions> resolve_options(std::string_view script,
                                      const std::map<std::string, std::string>& environment,
                                      const CommandLineWords& line, const Reading& reading) {
  UFAB_ASSIGN(const ScriptDirectives read, parse_directives(script));
  const std::size_t components = std::max(read.components, line.component_words.size());
  std::vector<Builder> builders;
  builders.reserve(components);
  for (std::size_t component = 0; component < components; ++component) {
    Builder builder(reading);
    if (component != 0) UFAB_TRY(builder.inherit(builders.back()));
    for (const Directive& directive : read.directives) {
      if (directive.component != component) continue;
      if (Status status = builder.apply_directive(directive); !status.ok())
        return status.error().within("line " + std::to_string(directive.line));
    }
    const std::span<const std::string> words =
        component < line.component_words.size()
            ? std::span<const std::string>(line.component_words[component])
            : std::span<const std::string>();
    UFAB_TRY(builder.apply_environment(environment, mentions_memory(words)));
    UFAB_TRY(builder.apply_line(words));
    UFAB_TRY(conclude(builder.options(), reading));
    builders.push_back(std::move(builder));
  }
  SubmitOptions options = std::move(builders.front().options());
  for (std::size_t i = 1; i < components; ++i) options.components.push_back(std::move(builders[i].options()));
  UFAB_TRY(check_fabric(options));
  return options;
}

std::vector<std::string> without_effect(const SubmitOptions& options) {
  std::vector<std::string> names;
  for (const auto& [name, option] : options.in_force) {
    if (!option.has_effect) names.push_back(name);
  }
  return names;
}

std::optional<std::string> beyond_the_fabric(const SubmitOptions& options) {
  if (!options.components.empty()) {
    return "a heterogeneous job of " + std::to_string(options.components.size() + 1) +
           " components: the fabric runs a script on one set of equal ranks; submit the components as jobs "
           "of "
           "their own";
  }
  const auto value = [&](const char* name) { return options.in_force.find(name); };
  if (const auto found = value("container"); found != options.in_force.end() && !found->second.value.empty())
    return "option --container: the fabric starts no containers; start it in the script";
  for (const char* name : {"uid", "gid"}) {
    if (options.in_force.contains(name))
      return std::string("option --") + name + ": the provider chooses the user that a script runs as";
  }
  return std::nullopt;
}

std::string options_help() {
  std::string text;
  const auto section = [&](const char* title, Scope scope) {
    text += std::string(title) + "\n";
    for (const OptionEntry& entry : all_options()) {
      if (entry.help == nullptr || entry.scope != scope) continue;
      text += std::string("  ") + (entry.letter != 0 ? std::string("-") + entry.letter + ", " : "    ") +
              "--" + entry.name + std::string(entry.argument == ArgumentKind::required ? " " : "  ") +
              entry.help + "\n";
    }
  };
  section("On #SBATCH lines and the command line, as sbatch reads them:", Scope::slurm);
  section("On #UFAB lines and the command line:", Scope::fabric);
  section("On the command line:", Scope::command_line);
  std::string list = "Checked and kept, without effect on the fabric itself:";
  for (const OptionEntry& entry : all_options()) {
    if (entry.has_effect) continue;
    const std::string name = std::string(" --") + entry.name;
    if (list.size() + name.size() > 100) {
      text += list + "\n";
      list = "   ";
    }
    list += name;
  }
  return text + list +
         "\nRead, and refused at submission: --container, --uid, --gid, components of a "
         "heterogeneous job.\n";
}

}  // namespace ufab::jobs
