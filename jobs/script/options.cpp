#include "jobs/script/options.h"

#include "jobs/script/option_table.h"

namespace ufab::jobs {

namespace {

struct ParsedOption {
  const OptionEntry* entry = nullptr;
  std::string argument;
};

struct ParsedWords {
  std::vector<ParsedOption> options;
  std::vector<std::string> option_words;
  std::vector<std::string> rest;
};

std::string shown(const OptionEntry& entry) {
  return std::string("--") + entry.name;
}

// getopt_long's reading: "--name value", "--name=value", "-n4", "-n 4", "-Hv"; "--" ends the options, as does
// the first word that is none.
Result<ParsedWords> parse_words(std::span<const std::string> words) {
  ParsedWords parsed;
  std::size_t at = 0;
  const auto take_argument = [&](const OptionEntry& entry) -> Result<std::string> {
    if (at + 1 >= words.size()) return Error{ErrorCode::invalid, "option " + shown(entry) + " needs a value"};
    return words[++at];
  };
  for (; at < words.size(); ++at) {
    const std::string& word = words[at];
    const std::size_t first = at;
    if (word == "--") {
      ++at;
      break;
    }
    if (word.starts_with("--")) {
      const std::size_t equals = word.find('=');
      UFAB_ASSIGN(const OptionEntry* entry,
                  find_option(std::string_view(word).substr(
                      2, equals == std::string::npos ? std::string::npos : equals - 2)));
      ParsedOption option{entry, {}};
      if (equals != std::string::npos) {
        if (entry->argument == ArgumentKind::none) {
          return Error{ErrorCode::invalid, "option " + shown(*entry) + " takes no value"};
        }
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
        const std::string attached = word.substr(i + 1);
        if (entry->argument == ArgumentKind::none) {
          parsed.options.push_back(std::move(option));
          continue;
        }
        if (!attached.empty()) {
          option.argument = attached;
        } else if (entry->argument == ArgumentKind::required) {
          UFAB_ASSIGN(option.argument, take_argument(*entry));
        }
        parsed.options.push_back(std::move(option));
        break;
      }
    } else {
      break;
    }
    for (std::size_t i = first; i <= at; ++i) parsed.option_words.push_back(words[i]);
  }
  for (; at < words.size(); ++at) parsed.rest.push_back(words[at]);
  return parsed;
}

Status apply(const ParsedOption& option, SubmitOptions& options) {
  const OptionEntry& entry = *option.entry;
  if (entry.refused) {
    return Error{ErrorCode::conflict, "option " + shown(entry) + " is not supported by this version of ufab"};
  }
  if (entry.set == nullptr) {
    options.without_effect[entry.name] = option.argument;
    return {};
  }
  if (Status status = entry.set(options, option.argument); !status.ok()) {
    return status.error().within("option " + shown(entry));
  }
  return {};
}

Status apply_family(const Directive& directive, SubmitOptions& options) {
  UFAB_ASSIGN(const ParsedWords parsed, parse_words(directive.arguments));
  if (!parsed.rest.empty()) {
    return Error{ErrorCode::invalid,
                 "'" + parsed.rest.front() + "' is not an option; options begin with - or --"};
  }
  for (const ParsedOption& option : parsed.options) {
    const OptionEntry& entry = *option.entry;
    const bool fits = directive.family == DirectiveFamily::ufab ? entry.scope == Scope::fabric
                                                                : entry.scope == Scope::slurm;
    if (!fits && entry.scope == Scope::command_line) {
      if (directive.family == DirectiveFamily::sbatch && entry.name != std::string_view("wrap")) {
        UFAB_TRY(apply(option, options));  // sbatch takes --wait, --parsable … from scripts too
        continue;
      }
      return Error{ErrorCode::invalid, "option " + shown(entry) + " belongs on the command line"};
    }
    if (!fits) {
      return Error{ErrorCode::invalid, "unknown option " + shown(entry) +
                                           (entry.scope == Scope::fabric ? "; write it on a #UFAB line"
                                                                         : "; write it on a #SBATCH line")};
    }
    UFAB_TRY(apply(option, options));
  }
  return {};
}

struct Variable {
  const char* name;
  const char* option;
};
// sbatch(1), INPUT ENVIRONMENT VARIABLES, for the options that have an effect here or are refused.
constexpr Variable variables[] = {
    {"SBATCH_JOB_NAME", "job-name"},
    {"SBATCH_TIMELIMIT", "time"},
    {"SBATCH_MEM_PER_NODE", "mem"},
    {"SBATCH_MEM_PER_CPU", "mem-per-cpu"},
    {"SBATCH_SIGNAL", "signal"},
    {"SBATCH_OPEN_MODE", "open-mode"},
    {"SBATCH_EXPORT", "export"},
    {"SBATCH_OUTPUT", "output"},
    {"SBATCH_ERROR", "error"},
    {"SBATCH_INPUT", "input"},
    {"SBATCH_ACCOUNT", "account"},
    {"SBATCH_PARTITION", "partition"},
    {"SBATCH_QOS", "qos"},
    {"SBATCH_CONSTRAINT", "constraint"},
    {"UFAB_PROVIDERS", "providers"},
    {"UFAB_BUDGET", "budget"},
    {"UFAB_VERIFY", "verify"},
    {"UFAB_SYNC", "sync"},
    {"UFAB_MAX_PRICE", "max-price"},
    {"UFAB_PREFER", "prefer"},
    {"UFAB_SHARES", "shares"},
    {"UFAB_TRAIN", "train"},
    {"UFAB_DATA", "data"},
    {"SBATCH_ARRAY_INX", "array"},
    {"SBATCH_GPUS", "gpus"},
    {"SBATCH_GPUS_PER_NODE", "gpus-per-node"},
    {"SBATCH_GRES", "gres"},
    {"SBATCH_GPUS_PER_TASK", "gpus-per-task"},
    {"SBATCH_CONTAINER", "container"},
};

}  // namespace

Status apply_directives(std::span<const Directive> directives, SubmitOptions& options) {
  for (const Directive& directive : directives) {
    if (Status status = apply_family(directive, options); !status.ok()) {
      return status.error().within("line " + std::to_string(directive.line));
    }
  }
  return {};
}

Status apply_environment(const std::map<std::string, std::string>& environment, SubmitOptions& options) {
  // Inside a job UFAB_PROVIDERS and UFAB_DATA say what that job has, not what the next one wants.
  const bool inside_a_job = environment.contains("UFAB_JOB_ID");
  for (const Variable& variable : variables) {
    const auto found = environment.find(variable.name);
    if (found == environment.end()) continue;
    if (inside_a_job && std::string_view(variable.name).starts_with("UFAB_")) continue;
    UFAB_ASSIGN(const OptionEntry* entry, find_option(variable.option));
    if (Status status = apply({entry, found->second}, options); !status.ok()) {
      return status.error().within(std::string("variable ") + variable.name);
    }
  }
  // These are flags: set means yes.
  if (environment.contains("SBATCH_REQUEUE")) options.requeue = true;
  if (environment.contains("SBATCH_NO_REQUEUE")) options.requeue = false;
  if (environment.contains("SBATCH_WAIT")) options.wait = true;
  return {};
}

Result<CommandLineWords> split_command_line(std::span<const std::string> words) {
  auto parsed = parse_words(words);
  if (!parsed) return Error{ErrorCode::usage, parsed.error().message};
  return CommandLineWords{std::move(parsed->option_words), std::move(parsed->rest)};
}

Status apply_command_line(std::span<const std::string> option_words, SubmitOptions& options) {
  auto parsed = parse_words(option_words);
  if (!parsed) return Error{ErrorCode::usage, parsed.error().message};
  for (const ParsedOption& option : parsed->options) {
    if (Status status = apply(option, options); !status.ok()) {
      return Error{ErrorCode::usage, status.error().message};
    }
  }
  return {};
}

Result<SubmitOptions> resolve_options(std::string_view script,
                                      const std::map<std::string, std::string>& environment,
                                      std::span<const std::string> option_words) {
  SubmitOptions options;
  UFAB_ASSIGN(const std::vector<Directive> directives, parse_directives(script));
  UFAB_TRY(apply_directives(directives, options));
  UFAB_TRY(apply_environment(environment, options));
  UFAB_TRY(apply_command_line(option_words, options));
  if (options.providers.max > 1 && options.train.empty()) {
    return Error{ErrorCode::invalid,
                 "option --providers: an ordinary batch script runs on one provider; a training "
                 "job names its definition with #UFAB --train=FILE"};
  }
  if (!options.shares.empty() &&
      (options.shares.size() < options.providers.min || options.shares.size() > options.providers.max)) {
    return Error{ErrorCode::invalid, "option --shares: one number for each provider"};
  }
  return options;
}

std::string options_help() {
  std::string text;
  const auto section = [&](const char* title, Scope scope) {
    text += std::string(title) + "\n";
    for (const OptionEntry& entry : all_options()) {
      if (entry.help == nullptr || entry.scope != scope) continue;
      text += std::string("  ") + (entry.letter != 0 ? std::string("-") + entry.letter + ", " : "    ") +
              "--" + entry.name + std::string(entry.argument == ArgumentKind::none ? "  " : " ") +
              entry.help + "\n";
    }
  };
  section("On #SBATCH lines and the command line, as sbatch reads them:", Scope::slurm);
  section("On #UFAB lines and the command line:", Scope::fabric);
  section("On the command line:", Scope::command_line);
  const auto list = [&](const char* title, bool refused) {
    std::string line = title;
    for (const OptionEntry& entry : all_options()) {
      if (entry.set != nullptr || entry.refused != refused) continue;
      const std::string word = std::string(" --") + entry.name;
      if (line.size() + word.size() > 100) {
        text += line + "\n";
        line = "   ";
      }
      line += word;
    }
    text += line + "\n";
  };
  list("Accepted without effect:", false);
  list("Refused by this version:", true);
  return text;
}

}  // namespace ufab::jobs
