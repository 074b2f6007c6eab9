#include "jobs/script/directives.h"

#include <algorithm>

namespace ufab::jobs {

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

// Reads one argument from text at `at`, which stands on its first character.
Result<std::string> take_argument(std::string_view text, std::size_t& at) {
  std::string argument;
  char quote = '\0';
  bool escaped = false;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (quote == '\0' && is_space(c)) break;
    if (escaped) {
      escaped = false;
      argument.push_back(c);
    } else if (c == '\\') {
      escaped = true;
    } else if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        argument.push_back(c);
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '#') {
      at = text.size();
      break;
    } else {
      argument.push_back(c);
    }
  }
  if (quote != '\0') return Error{ErrorCode::invalid, std::string("a ") + quote + " is not closed"};
  return argument;
}

Result<std::vector<std::string>> split_arguments(std::string_view text) {
  std::vector<std::string> arguments;
  std::size_t at = 0;
  for (;;) {
    while (at < text.size() && is_space(text[at])) ++at;
    if (at == text.size()) return arguments;
    if (text[at] == ':') {
      return Error{ErrorCode::invalid,
                   "an argument begins with a colon; \"#SBATCH hetjob\" separates components"};
    }
    UFAB_ASSIGN(std::string argument, take_argument(text, at));
    if (argument.empty()) return arguments;
    arguments.push_back(std::move(argument));
  }
}

// What makes the whole text unfit; empty: nothing.
std::string unfit(std::string_view script) {
  const auto line_of = [&](std::size_t at) {
    return std::to_string(1 +
                          std::count(script.begin(), script.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
  };
  if (!script.starts_with("#!"))
    return "line 1: not a batch script; it must start with #! and an interpreter";
  if (const std::size_t nul = script.find('\0'); nul != std::string_view::npos)
    return "line " + line_of(nul) + ": not a batch script; it contains a NUL byte";
  if (const std::size_t dos = script.find("\r\n"); dos != std::string_view::npos)
    return "line " + line_of(dos) + ": DOS line break (\\r\\n); convert the script with dos2unix";
  return {};
}

}  // namespace

Result<ScriptDirectives> parse_directives(std::string_view script) {
  if (script.size() > max_script_bytes) return Error{ErrorCode::limit, "the script is larger than 4 MiB"};
  if (std::string reason = unfit(script); !reason.empty())
    return Error{ErrorCode::invalid, std::move(reason)};
  ScriptDirectives found;
  int number = 0;
  while (!script.empty()) {
    const std::size_t end = script.find('\n');
    std::string_view line = script.substr(0, end);
    script.remove_prefix(end == std::string_view::npos ? script.size() : end + 1);
    ++number;
    const std::string where = "line " + std::to_string(number) + ": ";
    Directive directive{number, DirectiveFamily::sbatch, found.components - 1, {}};
    if (line.starts_with("#SBATCH")) {
      line.remove_prefix(7);
    } else if (line.starts_with("#UFAB")) {
      directive.family = DirectiveFamily::ufab;
      directive.component = 0;  // what the fabric is asked for is asked for the whole job
      line.remove_prefix(5);
    } else {
      const auto first = std::find_if_not(line.begin(), line.end(), is_space);
      if (first == line.end() || *first == '#') continue;
      break;
    }
    auto arguments = split_arguments(line);
    if (!arguments) return Error{ErrorCode::invalid, where + arguments.error().message};
    if (arguments->empty()) continue;
    if (directive.family == DirectiveFamily::sbatch &&
        (arguments->front() == "hetjob" || arguments->front() == "packjob")) {
      if (++found.components > max_components)
        return Error{ErrorCode::limit, where + "more than " + std::to_string(max_components) + " components"};
      continue;
    }
    directive.arguments = *std::move(arguments);
    found.directives.push_back(std::move(directive));
  }
  return found;
}

}  // namespace ufab::jobs
