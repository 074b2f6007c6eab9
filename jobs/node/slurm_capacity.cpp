#include "jobs/node/slurm_capacity.h"

#include <charconv>
#include <cstdlib>
#include <set>
#include <sstream>

#include "fabric/base/command.h"

namespace ufab::jobs {

namespace {

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

ClusterCapacity parse_capacity(std::string_view output) {
  ClusterCapacity capacity;
  std::istringstream lines{std::string(output)};
  std::set<std::string> seen;  // a node of several partitions is listed for each
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string node;
    std::string state;
    std::string processors;
    std::string memory;
    std::string gres;
    if (!(fields >> node >> state >> processors >> memory >> gres) || !seen.insert(node).second) continue;
    const bool gone = state.starts_with("down") || state.starts_with("drain") || state.starts_with("fail") ||
                      state.ends_with("*");
    if (gone) continue;
    ++capacity.nodes;
    capacity.processors += static_cast<std::uint32_t>(number(processors));
    capacity.memory_mib += number(memory);
    // "gpu:a100:4(S:0)" or "gpu:4", several of them between commas.
    std::istringstream kinds(gres);
    std::string kind;
    while (std::getline(kinds, kind, ',')) {
      if (!kind.starts_with("gpu")) continue;
      kind = kind.substr(0, kind.find('('));
      capacity.gpus += static_cast<std::uint32_t>(number(std::string_view(kind).substr(kind.rfind(':') + 1)));
    }
  }
  return capacity;
}

Result<ClusterCapacity> slurm_capacity(const std::map<std::string, std::string>& settings) {
  const auto setting = [&](const char* key) {
    const auto found = settings.find(key);
    return found == settings.end() ? std::string() : found->second;
  };
  Command command;
  command.words = {"sinfo", "--noheader", "--Node", "--Format",
                   "NodeList:64 ,StateLong:24 ,CPUs:16 ,Memory:24 ,Gres:256"};
  if (const std::string partition = setting("partition"); !partition.empty())
    command.words.push_back("--partition=" + partition);
  for (const char* name : {"PATH", "HOME", "USER"}) {
    if (const char* value = std::getenv(name); value != nullptr) command.environment[name] = value;
  }
  command.environment["LC_ALL"] = "C";
  if (const std::string conf = setting("conf"); !conf.empty()) command.environment["SLURM_CONF"] = conf;
  const auto ran = run_command(command);
  if (!ran) return Error{ErrorCode::unavailable, "Slurm: " + ran.error().message};
  const CommandResult& result = *ran;
  if (result.timed_out) return Error{ErrorCode::unavailable, "Slurm: sinfo does not answer"};
  if (result.exit_code != 0) return Error{ErrorCode::unavailable, "Slurm: " + result.first_error_line()};
  const ClusterCapacity capacity = parse_capacity(result.output);
  if (capacity.nodes == 0) {
    return Error{
        ErrorCode::not_found,
        "Slurm: no node is up in " + (setting("partition").empty() ? std::string("any partition")
                                                                   : "partition " + setting("partition"))};
  }
  return capacity;
}

}  // namespace ufab::jobs
