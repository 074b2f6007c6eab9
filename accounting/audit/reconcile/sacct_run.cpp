#include "accounting/audit/reconcile/sacct_run.h"

#include <unistd.h>

#include <array>
#include <ctime>
#include <random>

#include "fabric/base/command.h"

namespace ufab {

namespace {

// The environment with what sacct must find in it.
std::map<std::string, std::string> environment(const SacctQuery& query) {
  std::map<std::string, std::string> variables;
  for (char** item = environ; *item != nullptr; ++item) {
    const std::string_view text(*item);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || text.starts_with("SACCT_") || text.starts_with("SLURM_CLUSTERS="))
      continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  variables["TZ"] = "UTC";
  variables["LC_ALL"] = "C";
  variables["SLURM_TIME_FORMAT"] = "%s";
  if (!query.slurm_conf.empty()) variables["SLURM_CONF"] = query.slurm_conf;
  return variables;
}

std::string random_delimiter() {
  constexpr std::string_view letters = "abcdefghijklmnop";
  std::random_device device;
  std::string text = "|";
  for (int i = 0; i < 4; ++i) {
    for (std::uint32_t word = device(), n = 0; n < 8; ++n, word >>= 4) text += letters[word & 15];
  }
  return text + "|";
}

// YYYY-MM-DDTHH:MM:SS in UTC, as sacct takes it.
std::string time_argument(std::uint64_t us) {
  const std::time_t seconds = static_cast<std::time_t>(us / 1'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return {text.data(), size};
}

}  // namespace

std::vector<std::string> sacct_arguments(const SacctQuery& query, const std::string& delimiter) {
  std::vector<std::string> arguments{"--allusers",
                                     "--duplicates",
                                     "--noconvert",
                                     "--parsable2",
                                     "--delimiter=" + delimiter,
                                     "--format=" + std::string(sacct_columns)};
  if (!query.cluster.empty()) arguments.push_back("--clusters=" + query.cluster);
  if (!query.jobs.empty()) {
    std::string list;
    for (const std::uint64_t id : query.jobs) list += (list.empty() ? "" : ",") + std::to_string(id);
    arguments.push_back("--jobs=" + list);
    return arguments;
  }
  if (!query.names.empty()) {
    std::string list;
    for (const std::string& name : query.names) list += (list.empty() ? "" : ",") + name;
    arguments.push_back("--name=" + list);
  }
  arguments.push_back("--starttime=" + time_argument(query.from_us));
  if (query.to_us != 0) arguments.push_back("--endtime=" + time_argument(query.to_us));
  return arguments;
}

Result<SacctCounts> sacct_run(const SacctQuery& query, const SacctReader::Sink& sink) {
  SacctReader reader(sink);
  Command command;
  command.words = sacct_arguments(query, random_delimiter());
  command.words.insert(command.words.begin(), query.program);
  command.environment = environment(query);
  command.timeout = std::chrono::milliseconds(query.timeout_ms);
  command.on_output = [&](std::string_view text) { return reader.feed(text); };
  const auto result = run_command(command);
  if (!result) return result.error();
  if (result->timed_out) {
    return Error{ErrorCode::timeout,
                 query.program + ": no end within " + std::to_string(query.timeout_ms / 1000) + " s"};
  }
  if (result->exit_code != 0) {
    const std::string line = result->last_error_line();
    return Error{ErrorCode::io, query.program + ": exit status " + std::to_string(result->exit_code) +
                                    (line.empty() ? "" : ": " + line)};
  }
  UFAB_TRY(reader.finish());
  return reader.counts();
}

}  // namespace ufab
