#include "jobs/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "jobs/script/values.h"

namespace ufab::jobs {

namespace {

// CLI11 itself takes -5 for a large number and one that does not fit for the largest.
std::string whole_number(const std::string& text) {
  return parse_count(text, 0, 999'999'999'999'999'999).ok() ? std::string()
                                                            : "'" + text + "' is not a whole number";
}

}  // namespace

struct CommandLine::State {
  CLI::App app;
  std::string usage;
  std::string about;
};

CommandLine::CommandLine(const std::string& usage, const std::string& about)
    : state_(std::make_unique<State>()) {
  state_->usage = usage;
  state_->about = about;
  state_->app.set_help_flag("-h,--help", "show this text");
}
CommandLine::~CommandLine() = default;

void CommandLine::text(const std::string& names, std::string& target, const std::string& help) {
  state_->app.add_option(names, target, help);
}
void CommandLine::number(const std::string& names, std::uint64_t& target, const std::string& help) {
  state_->app.add_option(names, target, help)->check(whole_number);
}
void CommandLine::decimal(const std::string& names, double& target, const std::string& help) {
  state_->app.add_option(names, target, help);
}
void CommandLine::flag(const std::string& names, bool& target, const std::string& help) {
  state_->app.add_flag(names, target, help);
}
void CommandLine::required(const std::string& name, std::string& target, const std::string& help) {
  state_->app.add_option(name, target, help)->required();
}
void CommandLine::optional(const std::string& name, std::string& target, const std::string& help) {
  state_->app.add_option(name, target, help);
}
void CommandLine::list(const std::string& name, std::vector<std::string>& target, const std::string& help,
                       bool at_least_one) {
  auto* option = state_->app.add_option(name, target, help);
  if (at_least_one) option->required();
}

Result<CommandLine::Outcome> CommandLine::parse(std::span<const std::string> words) {
  std::vector<std::string> reversed(words.rbegin(), words.rend());  // the order that CLI11 takes
  try {
    state_->app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    // CLI11's own "Usage:" line cannot say which options exclude each other; ours stands in its place.
    const auto formatter = state_->app.get_formatter();
    std::printf("usage: ufab %s\n\n%s\n%s%s", state_->usage.c_str(), state_->about.c_str(),
                std::dynamic_pointer_cast<CLI::Formatter>(formatter)->make_positionals(&state_->app).c_str(),
                std::dynamic_pointer_cast<CLI::Formatter>(formatter)
                    ->make_groups(&state_->app, CLI::AppFormatMode::Normal)
                    .c_str());
    return Outcome::help_shown;
  } catch (const CLI::ParseError& error) {
    std::string line = error.what();
    std::replace(line.begin(), line.end(), '\n', ' ');
    return Error{ErrorCode::usage, line + " (usage: ufab " + state_->usage + ")"};
  }
  return Outcome::go_on;
}

bool CommandLine::given(const std::string& name) const {
  return state_->app.count(name) > 0;
}

}  // namespace ufab::jobs
