// init, up, down, status.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <thread>

#include "fabric/base/file.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"
#include "jobs/node/chain.h"
#include "jobs/rpc/client.h"

extern char** environ;

namespace ufab::jobs {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

Result<std::uint16_t> choose_port(const std::string& host) {
  UFAB_ASSIGN(const Listener listener, Listener::bind({host, 0}));
  return listener.endpoint().port;
}

Result<std::string> default_organisation() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return Error{ErrorCode::usage, "give --org NAME"};
  std::string text;
  for (const char* c = name; *c != '\0' && *c != '.'; ++c) {
    const auto lower = static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
    text.push_back(std::isalnum(static_cast<unsigned char>(lower)) != 0 ? lower : '-');
  }
  if (!check_organisation_name(text).ok())
    return Error{ErrorCode::usage, "give --org NAME: this host's name is no good one"};
  return text;
}

// Waits until the node of a home answers, or its process has ended.
Status wait_until_up(const Home& home, pid_t child) {
  for (int i = 0; i < 600; ++i) {
    if (auto client = RpcClient::connect_home(home.socket()); client.ok()) {
      if (client->call({"node.status", {}, {}}, 5s).ok()) return {};
    }
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) {
      const auto log = read_text_file(home.file("node.log"), 64u << 20);
      std::string last = "see " + home.file("node.log");
      if (log) {
        std::string_view text = *log;
        while (text.ends_with('\n')) text.remove_suffix(1);
        last = std::string(text.substr(text.rfind('\n') + 1));
      }
      return Error{ErrorCode::unavailable, "the node did not start: " + last};
    }
    std::this_thread::sleep_for(50ms);
  }
  return Error{ErrorCode::timeout, "the node did not answer within 30 s; see " + home.file("node.log")};
}

}  // namespace

VerbResult verb_init(const Invocation& invocation, Words words) {
  HomeConfig config;
  bool solo = false;
  std::string ticket;
  std::string listen = "127.0.0.1";
  const std::string default_chain_name = "utility";
  std::string chain_name = default_chain_name;
  ChainParams params;
  std::string supply;
  std::vector<std::string> chain_params;
  CommandLine line(
      "init [--org NAME] (--solo | --join TICKET)",
      "Makes a home: a key, a configuration, and a chain of one validator (--solo) or a place on the chain "
      "that a ticket names (`ufab status` of any of its nodes prints it; the nodes that it names are tried "
      "in "
      "turn).");
  line.text("--org", config.organisation, "the organisation's name (default: this host's)");
  line.flag("--solo", solo, "found a chain with this node as its only validator");
  line.text("--join", ticket, "join the chain of this ticket");
  bool no_snapshot = false;
  line.flag(
      "--no-snapshot", no_snapshot,
      "with --join: begin with block 0 and replay every block, not with a checked snapshot of the state");
  line.text("--listen", listen,
            "HOST or HOST:PORT for other organisations (default 127.0.0.1 and a free port)");
  line.text("--chain-name", chain_name, "with --solo: the chain's name");
  line.number("--block-interval-ms", params.block_interval_ms,
              "with --solo: an empty block is due after this long");
  line.number("--epoch-blocks", params.epoch_blocks, "with --solo: blocks of an epoch");
  line.list("--param", chain_params,
            "with --solo: NAME=NUMBER, any parameter of the chain by the name that it has in genesis "
            "(`bench_epochs=1440`: providers need a benchmark not older than so many epochs)",
            false);
  line.text("--emission", supply, "with --solo: UNC minted per epoch for verified work");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (solo == !ticket.empty()) return Error{ErrorCode::usage, "give either --solo or --join TICKET"};
  if (solo && no_snapshot) return Error{ErrorCode::usage, "--no-snapshot belongs to --join"};
  config.snapshot = !no_snapshot;
  UFAB_ASSIGN(const Home home, invocation.home());
  if (home.exists()) return Error{ErrorCode::conflict, home.path() + " is a home already"};
  // A key without a configuration is a home that lost a file, not an empty one: the key may own money.
  for (const std::string& precious :
       {home.file("org.key"), home.file("agent.key"), home.file("validator.key"), home.chain_folder()}) {
    if (!file_exists(precious)) continue;
    return Error{ErrorCode::conflict, precious +
                                          " exists but config.toml does not; restore config.toml, or "
                                          "name another home"};
  }
  if (config.organisation.empty()) {
    UFAB_ASSIGN(config.organisation, default_organisation());
  }
  if (Status status = check_organisation_name(config.organisation); !status.ok()) {
    return Error{ErrorCode::usage, status.error().message};
  }
  if (!supply.empty()) {
    auto amount = parse_amount(supply);
    if (!amount) return Error{ErrorCode::usage, "--emission: " + amount.error().message};
    params.emission_per_epoch = *amount;
  }
  for (const std::string& param : chain_params) {
    const std::size_t equals = param.find('=');
    if (equals == std::string::npos)
      return Error{ErrorCode::usage, "--param: '" + param + "' is no NAME=NUMBER"};
    UFAB_TRY(set_param(params, std::string_view(param).substr(0, equals),
                       std::string_view(param).substr(equals + 1)));
  }
  if (const Status sound = check_params(params); !sound.ok())
    return Error{ErrorCode::usage, sound.error().message};
  if (!solo && (chain_name != default_chain_name || params != ChainParams{})) {
    return Error{
        ErrorCode::usage,
        "--chain-name, --block-interval-ms, --epoch-blocks, --emission and --param belong to --solo: a chain "
        "that is joined has its own"};
  }
  config.listen_host = listen;
  if (const auto endpoint = Endpoint::parse(listen); endpoint.ok()) {
    config.listen_host = endpoint->host;
    config.listen_port = endpoint->port;
  } else {
    auto port = choose_port(config.listen_host);
    if (!port) return Error{ErrorCode::usage, "--listen: " + port.error().message};
    config.listen_port = *port;
  }
  if (config.listen_host == "0.0.0.0" || config.listen_host == "::") {
    return Error{ErrorCode::usage,
                 "--listen: give the address by which other organisations reach this node; " +
                     config.listen_host + " would go into the ledger as it is"};
  }
  if (!ticket.empty()) {
    auto parsed = JoinTicket::parse(ticket);
    if (!parsed) return Error{ErrorCode::usage, parsed.error().message};
    config.follow = *parsed;
  }
  const bool existed = file_exists(home.path());
  UFAB_TRY(make_folders(home.path(), 0700));
  const auto make = [&]() -> Status {
    UFAB_TRY(KeyPair::generate().save(home.file("org.key")));
    if (solo) {
      UFAB_TRY(found_chain(home, config, chain_name, params));
    } else {
      UFAB_TRY(join_chain(home, config));
    }
    return home.save_config(config);  // last: with it the home exists
  };
  if (const Status status = make(); !status.ok()) {
    std::error_code error;
    if (existed) {  // only what was made here: neither was there before
      fs::remove_all(home.chain_folder(), error);
      fs::remove(home.file("org.key"), error);
    } else {
      fs::remove_all(home.path(), error);
    }
    return status.error();
  }
  std::printf("organisation %s %s in %s\n", config.organisation.c_str(),
              solo ? "founded a chain" : "joined the chain", home.path().c_str());
  return 0;
}

VerbResult verb_up(const Invocation& invocation, Words words) {
  CommandLine line("up", "Starts the node of this home in the background; its log is node.log in the home.");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(const HomeConfig config, home.load_config());
  if (RpcClient::connect_home(home.socket()).ok()) {
    std::printf("node of %s runs already\n", config.organisation.c_str());
    return 0;
  }
  const std::string log = home.file("node.log");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn_file_actions_addclosefrom_np(&actions,
                                           3);  // a lock or a pipe of the caller's is not the node's
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::string program = program_beside("ufabd");
  std::string option = "--home";
  std::string path = home.path();
  char* argv[] = {program.data(), option.data(), path.data(), nullptr};
  pid_t child = -1;
  const int error = ::posix_spawn(&child, program.c_str(), &actions, &attributes, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return Error{ErrorCode::io, program + ": " + std::strerror(error)};
  UFAB_TRY(wait_until_up(home, child));
  std::printf("node of %s is up on %s\n", config.organisation.c_str(),
              Endpoint{config.listen_host, config.listen_port}.str().c_str());
  return 0;
}

VerbResult verb_down(const Invocation& invocation, Words words) {
  bool jobs = false;
  CommandLine line("down [--jobs]",
                   "Stops the node of this home. Batch runs go on; the next `ufab up` finds them again.");
  line.flag("--jobs", jobs, "end this machine's batch runs as well");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Home home, invocation.home());
  const auto stopped = ask_node(invocation, "node.stop", {{"end_runs", jobs}});
  if (!stopped) {
    if (stopped.error().code == ErrorCode::unavailable && home.exists()) {
      if (jobs) {
        return Error{ErrorCode::unavailable,
                     "the node does not run, and only it can end its batch runs; `ufab up`, then this again"};
      }
      std::puts("the node does not run");
      return 0;
    }
    return stopped.error();
  }
  for (int i = 0; i < 600; ++i) {
    if (FileLock::acquire(home.file("node.lock")).ok()) {
      std::puts("the node is down");
      return 0;
    }
    std::this_thread::sleep_for(50ms);
  }
  return Error{ErrorCode::timeout, "the node did not stop within 30 s"};
}

VerbResult verb_status(const Invocation& invocation, Words words) {
  bool as_json = false;
  CommandLine line("status [--json]",
                   "The node of this home, its chain, and the ticket with which others join.");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Answer answer, ask_node(invocation, "node.status", {}));
  const auto& r = answer.result;
  if (as_json) {
    print_json(r);
    return 0;
  }
  const auto text = [&](const char* key) { return std::string(r.at(key).as_string()); };
  const auto number = [&](const char* key) { return r.at(key).to_number<std::uint64_t>(); };
  std::printf("organisation  %s (number %llu)\n", text("organisation").c_str(),
              static_cast<unsigned long long>(number("number")));
  std::printf("chain         %s, height %llu, epoch %llu, %llu organisations, %llu jobs\n",
              text("chain_name").c_str(), static_cast<unsigned long long>(number("height")),
              static_cast<unsigned long long>(number("epoch")),
              static_cast<unsigned long long>(number("organisations")),
              static_cast<unsigned long long>(number("jobs")));
  std::printf("role          %s\n", r.at("validator").as_bool() ? "validator"
                                    : r.at("validator_reachable").as_bool()
                                        ? "follows the validator"
                                        : "follows the validator, which does not answer");
  std::printf("listens on    %s\n", text("listen").c_str());
  if (!text("trouble").empty()) std::printf("trouble       %s\n", text("trouble").c_str());
  std::printf("ticket        %s\n", text("ticket").c_str());
  return 0;
}

}  // namespace ufab::jobs
