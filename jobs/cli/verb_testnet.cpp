// testnet up|down|status: several real nodes on this machine, for whoever wants to try a chain that several
// validators make. Each has a home of its own below one folder and is an ordinary node: what is done here by
// running `ufab` can be done by hand.
#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <thread>

#include "fabric/base/command.h"
#include "fabric/base/file.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"

extern char** environ;

namespace ufab::jobs {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::uint64_t validators_max = 64;  // on one machine
constexpr auto command_wait = 60s;

// Below --home, or beside the user's own home.
Result<std::string> testnet_folder(const Invocation& invocation) {
  UFAB_ASSIGN(const Home home, invocation.home());
  return invocation.home_option.empty() ? home.path() + "-testnet" : home.path();
}

std::string node_home(const std::string& folder, std::uint64_t number) {
  return folder + "/node" + std::to_string(number);
}

std::map<std::string, std::string> own_environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos && equals > 0)
      variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  variables.erase("UFAB_HOME");
  return variables;
}

// `ufab --home HOME WORDS…`; its output. What it says on standard error becomes the Error.
Result<std::string> ufab(const std::string& home, std::vector<std::string> words) {
  Command command;
  command.words = {program_beside("ufab"), "--home", home};
  command.words.insert(command.words.end(), words.begin(), words.end());
  command.environment = own_environment();
  command.timeout = command_wait;
  UFAB_ASSIGN(const CommandResult result, run_command(command));
  if (result.exit_code == 0) return result.output;
  const std::string said = result.timed_out ? "it did not end" : result.last_error_line();
  return Error{result.exit_code == 3 ? ErrorCode::unavailable : ErrorCode::io,
               fs::path(home).filename().string() + ": ufab " + words[0] + ": " + said};
}

Result<json::object> ufab_json(const std::string& home, std::vector<std::string> words) {
  words.emplace_back("--json");
  UFAB_ASSIGN(const std::string output, ufab(home, std::move(words)));
  boost::system::error_code error;
  const json::value value = json::parse(output, error);
  if (error || !value.is_object()) return Error{ErrorCode::invalid, "an answer that is no JSON object"};
  return value.as_object();
}

std::uint64_t count_nodes(const std::string& folder) {
  std::uint64_t count = 0;
  while (count < validators_max && file_exists(node_home(folder, count + 1) + "/config.toml")) ++count;
  return count;
}

Status found(const std::string& folder, std::uint64_t validators, std::uint64_t interval_ms,
             std::uint64_t epoch_blocks) {
  const std::string first = node_home(folder, 1);
  UFAB_TRY(ufab(first, {"init", "--solo", "--org", "org1", "--chain-name", "testnet", "--block-interval-ms",
                        std::to_string(interval_ms), "--epoch-blocks", std::to_string(epoch_blocks),
                        "--param", "validators_min=" + std::to_string(validators)}));
  UFAB_TRY(ufab(first, {"up"}));
  UFAB_ASSIGN(const json::object status, ufab_json(first, {"status"}));
  const std::string ticket(status.at("ticket").as_string());
  for (std::uint64_t i = 2; i <= validators; ++i) {
    const std::string home = node_home(folder, i);
    UFAB_TRY(ufab(home, {"init", "--join", ticket, "--org", "org" + std::to_string(i)}));
    UFAB_TRY(ufab(home, {"up"}));
    UFAB_TRY(ufab(first, {"account", "transfer", "org" + std::to_string(i), "100000"}));
    std::printf("node %llu of %llu has joined\n", static_cast<unsigned long long>(i),
                static_cast<unsigned long long>(validators));
    std::fflush(stdout);
  }
  // Unequal pledges, as among real organisations.
  for (std::uint64_t i = 1; i <= validators; ++i) {
    const std::string home = node_home(folder, i);
    UFAB_TRY(ufab(home, {"account", "stake", std::to_string(1000 + 250 * (i % 4))}));
    UFAB_TRY(ufab(home, {"validator", "stand"}));
  }
  return {};
}

// Until the seats are in office, with one line on the way.
Status wait_for_seats(const std::string& folder, std::uint64_t validators) {
  std::puts("all stand; their seats are formed when the next epoch begins");
  std::fflush(stdout);
  for (int i = 0; i < 600; ++i) {
    const auto status = ufab_json(node_home(folder, validators), {"node", "status"});
    if (status.ok() && status->at("votes").as_bool()) return {};
    std::this_thread::sleep_for(200ms);
  }
  return Error{ErrorCode::timeout, "no seats after two minutes; `ufab testnet status` shows the nodes"};
}

VerbResult up(const Invocation& invocation, Words words) {
  std::uint64_t validators = 4, interval_ms = 1000, epoch_blocks = 10;
  CommandLine line("testnet up [--validators N] [--home DIR]",
                   "Starts N nodes of N organisations on this machine, whose validators make one chain "
                   "together. Their homes are DIR/node1 …\n(default: ~/.ufab-testnet); "
                   "`ufab --home DIR/node2 status` and every other command work on them. A testnet that is "
                   "there already is started again as it is.");
  line.number("--validators", validators, "how many (default 4: one of them may fail)");
  line.number("--block-interval-ms", interval_ms, "an empty block is due after this long (default 1000)");
  line.number("--epoch-blocks", epoch_blocks, "blocks of an epoch (default 10)");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (validators < 2 || validators > validators_max) {
    return Error{ErrorCode::usage, "--validators must be 2 to " + std::to_string(validators_max)};
  }
  UFAB_ASSIGN(const std::string folder, testnet_folder(invocation));
  const std::uint64_t present = count_nodes(folder);
  if (present > 0) {
    if (line.given("--validators") && present != validators) {
      return Error{ErrorCode::conflict, folder + " has " + std::to_string(present) +
                                            " nodes; another number needs another --home"};
    }
    for (std::uint64_t i = 1; i <= present; ++i) UFAB_TRY(ufab(node_home(folder, i), {"up"}));
    std::printf("%llu nodes are up again in %s\n", static_cast<unsigned long long>(present), folder.c_str());
    return 0;
  }
  UFAB_TRY(make_folders(folder, 0700));
  UFAB_TRY(found(folder, validators, interval_ms, epoch_blocks));
  UFAB_TRY(wait_for_seats(folder, validators));
  std::printf("%llu validators make the chain, in %s; `ufab testnet status%s%s` shows them\n",
              static_cast<unsigned long long>(validators), folder.c_str(),
              invocation.home_option.empty() ? "" : " --home ", invocation.home_option.c_str());
  return 0;
}

VerbResult down(const Invocation& invocation, Words words) {
  CommandLine line("testnet down [--home DIR]",
                   "Stops the nodes of a testnet. Their homes stay: `ufab testnet up` starts them again, and "
                   "removing the folder removes them.");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const std::string folder, testnet_folder(invocation));
  const std::uint64_t present = count_nodes(folder);
  if (present == 0) return Error{ErrorCode::not_found, folder + ": no testnet is there"};
  for (std::uint64_t i = 1; i <= present; ++i) UFAB_TRY(ufab(node_home(folder, i), {"down"}));
  std::printf("%llu nodes are down\n", static_cast<unsigned long long>(present));
  return 0;
}

VerbResult status(const Invocation& invocation, Words words) {
  bool as_json = false;
  CommandLine line("testnet status [--json] [--home DIR]", "The nodes of a testnet, one line each.");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const std::string folder, testnet_folder(invocation));
  const std::uint64_t present = count_nodes(folder);
  if (present == 0) return Error{ErrorCode::not_found, folder + ": no testnet is there"};
  json::array nodes;
  bool all = true;
  if (!as_json)
    std::printf("%-8s %-7s %8s %7s %6s  %s\n", "NODE", "STATE", "HEIGHT", "EPOCH", "PEERS", "HOME");
  for (std::uint64_t i = 1; i <= present; ++i) {
    const std::string home = node_home(folder, i);
    const auto answer = ufab_json(home, {"node", "status"});
    json::object node = answer.ok() ? *answer : json::object{};
    const char* state = !answer.ok() ? "down" : node.at("votes").as_bool() ? "votes" : "follows";
    all = all && answer.ok();
    node["home"] = home;
    node["state"] = state;
    if (!as_json) {
      const auto number = [&](const char* key) {
        return answer.ok() ? std::to_string(node.at(key).to_number<std::uint64_t>()) : std::string("-");
      };
      std::printf("%-8s %-7s %8s %7s %6s  %s\n", ("node" + std::to_string(i)).c_str(), state,
                  number("height").c_str(), number("epoch").c_str(), number("peers_connected").c_str(),
                  home.c_str());
    }
    nodes.push_back(std::move(node));
  }
  if (as_json) print_json({{"schema", "ufab.testnet/1"}, {"nodes", std::move(nodes)}});
  return all ? 0 : 1;
}

}  // namespace

VerbResult verb_testnet(const Invocation& invocation, Words words) {
  const std::string what = words.empty() ? "" : words[0];
  if (what == "up") return up(invocation, words.subspan(1));
  if (what == "down") return down(invocation, words.subspan(1));
  if (what == "status") return status(invocation, words.subspan(1));
  const bool help = what == "--help" || what == "-h";
  std::fputs(
      "usage: ufab testnet up [--validators N] [--home DIR]\n"
      "       ufab testnet down [--home DIR]\n"
      "       ufab testnet status [--json] [--home DIR]\n\n"
      "Several real nodes on this machine whose validators make one chain together.\n",
      help ? stdout : stderr);
  return help ? 0 : 2;
}

}  // namespace ufab::jobs
