#include "jobs/script/directives.h"

namespace ufab::jobs {

namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

Result<std::vector<std::string>> split_arguments(std::string_view text) {
  std::vector<std::string> arguments;
  std::size_t at = 0;
  for (;;) {
    while (at < text.size() && is_space(text[at])) ++at;
    if (at == text.size() || text[at] == '#') return arguments;
    std::string argument;
    char quote = '\0';
    for (; at < text.size(); ++at) {
      const char c = text[at];
      if (c == '\\' && quote != '\'') {
        if (at + 1 == text.size()) return Error{ErrorCode::invalid, "a backslash at the end of the line"};
        argument.push_back(text[++at]);
      } else if (quote != '\0') {
        if (c == quote) {
          quote = '\0';
        } else {
          argument.push_back(c);
        }
      } else if (c == '\'' || c == '"') {
        quote = c;
      } else if (is_space(c)) {
        break;
      } else {
        argument.push_back(c);
      }
    }
    if (quote != '\0') return Error{ErrorCode::invalid, std::string("a ") + quote + " is not closed"};
    arguments.push_back(std::move(argument));
  }
}

}  // namespace

Result<std::vector<Directive>> parse_directives(std::string_view script) {
  if (script.size() > max_script_bytes) return Error{ErrorCode::limit, "the script is larger than 4 MiB"};
  if (!script.starts_with("#!")) {
    return Error{ErrorCode::invalid, "line 1: not a batch script; it must start with #! and an interpreter"};
  }
  if (script.find('\0') != std::string_view::npos) {
    return Error{ErrorCode::invalid, "line 1: not a batch script; it contains a NUL byte"};
  }
  std::vector<Directive> directives;
  int number = 0;
  while (!script.empty()) {
    const std::size_t end = script.find('\n');
    std::string_view line = script.substr(0, end);
    script.remove_prefix(end == std::string_view::npos ? script.size() : end + 1);
    ++number;
    const std::string where = "line " + std::to_string(number) + ": ";
    if (line.ends_with('\r')) {
      return Error{ErrorCode::invalid, where + "DOS line break (\\r\\n); convert the script with dos2unix"};
    }
    Directive directive{number, DirectiveFamily::sbatch, {}};
    if (line.starts_with("#SBATCH")) {
      line.remove_prefix(7);
    } else if (line.starts_with("#UFAB")) {
      directive.family = DirectiveFamily::ufab;
      line.remove_prefix(5);
    } else {
      std::size_t first = 0;
      while (first < line.size() && is_space(line[first])) ++first;
      if (first == line.size() || line[first] == '#') continue;
      break;
    }
    auto arguments = split_arguments(line);
    if (!arguments) return Error{ErrorCode::invalid, where + arguments.error().message};
    directive.arguments = *std::move(arguments);
    if (!directive.arguments.empty()) directives.push_back(std::move(directive));
  }
  return directives;
}

}  // namespace ufab::jobs
