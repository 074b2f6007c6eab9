#include "jobs/cli/isolation.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "fabric/base/file.h"
#include "jobs/cli/verbs.h"
#include "jobs/node/run_place.h"

namespace ufab::jobs {

namespace {

namespace fs = std::filesystem;

std::string absolute(const std::string& path) {
  std::error_code error;
  std::string text = fs::absolute(path, error).lexically_normal().string();
  if (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

// The first folder on the way that the user cannot pass; empty when it reaches the path.
std::string obstacle(const RunUser& user, const std::string& path) {
  fs::path so_far;
  for (const fs::path& part : fs::path(path)) {
    so_far /= part;
    if (!may_access(user, so_far.string(), X_OK)) return so_far.string();
  }
  return {};
}

void check_user(const std::string& name, const std::string& runs, const std::vector<std::string>& programs,
                std::vector<Finding>& findings) {
  const auto user = find_run_user(name);
  if (!user) {
    findings.push_back({false, user.error().message, "name another with `ufab provider init --run-as`"});
    return;
  }
  findings.push_back({true, "user " + user->name + " (" + std::to_string(user->uid) + ") for scripts", ""});
  if (!check_may_become_others().ok()) return;  // said once, and nothing can be tried
  const std::string before_runs = obstacle(*user, runs);
  findings.push_back(
      {before_runs.empty(),
       before_runs.empty() ? user->name + " reaches the folder of runs, " + runs
                           : user->name + " cannot enter " + before_runs + " on the way to " + runs,
       "name a folder that it can reach with `ufab provider init --run-folder DIR`, or open that one "
       "with chmod o+x"});
  for (const std::string& program : programs) {
    const bool good = may_access(*user, program, R_OK | X_OK);
    if (!good)
      findings.push_back(
          {false, user->name + " cannot run " + program, "install ufab where every user may read it"});
  }
}

}  // namespace

void IsolationOptions::declare(CommandLine& line) {
  line.list(
      "--run-as", run_as,
      "local user for scripts: USER for everybody, ORG=USER for one organisation's, ORG= to take that back, "
      "none for all; needs a node that runs as root",
      false);
  line.text("--run-folder", run_folder,
            "where isolated runs live (at first: this home's path with -runs behind)");
  line.text(
      "--isolation", walls,
      "bubblewrap: scripts of the local batch system see the system read-only, their own folder and nothing "
      "else; none (at first)");
  line.text(
      "--isolation-network", network,
      "with bubblewrap, for ordinary scripts: shared (at first), or none; training always has the network");
  line.list("--isolation-read", readable,
            "with bubblewrap: a further folder that scripts may read; none for none", false);
}

Status IsolationOptions::apply(const CommandLine& line, const Home& home, ProviderConfig& provider) const {
  IsolationConfig& isolation = provider.isolation;
  const auto one_of = [&](const char* option, const std::string& text, const char* yes, const char* no,
                          bool& into) -> Status {
    if (!line.given(option)) return {};
    if (text != yes && text != no)
      return Error{ErrorCode::usage,
                   std::string(option) + ": '" + text + "' is neither " + yes + " nor " + no};
    into = text == yes;
    return {};
  };
  UFAB_TRY(one_of("--isolation", walls, "bubblewrap", "none", isolation.bubblewrap));
  UFAB_TRY(one_of("--isolation-network", network, "shared", "none", isolation.script_network));
  for (const std::string& text : run_as) UFAB_TRY(apply_run_as(text, isolation));
  for (const std::string& path : readable) {
    if (path == "none") {
      isolation.readable.clear();
      continue;
    }
    const std::string folder = absolute(path);
    if (folder == "/") return Error{ErrorCode::usage, "--isolation-read: / would show everything"};
    if (!file_exists(folder)) return Error{ErrorCode::usage, "--isolation-read: there is no " + folder};
    isolation.readable.push_back(folder);
  }
  if (line.given("--run-folder")) {
    isolation.run_folder = absolute(run_folder);
    const std::string inside = home.path() + "/";
    if (isolation.run_folder == home.path() || isolation.run_folder.starts_with(inside) ||
        home.path().starts_with(isolation.run_folder + "/")) {
      return Error{ErrorCode::usage,
                   "--run-folder: neither inside this home nor around it: scripts must not reach it"};
    }
  }
  if (isolation.bubblewrap && provider.batch != "local") {
    return Error{ErrorCode::usage,
                 "--isolation bubblewrap: for the local batch system; under Slurm, map users with --run-as"};
  }
  for (const std::string& name : isolation.all_users()) UFAB_TRY(find_run_user(name));
  if (isolation.maps_users() || isolation.bubblewrap)
    UFAB_TRY(make_folders(isolation.runs_root(home.path()), 0711));
  return {};
}

std::vector<Finding> isolation_findings(const Home& home, const ProviderConfig& provider,
                                        const std::string& trainer) {
  const IsolationConfig& isolation = provider.isolation;
  const bool privileged = check_may_become_others().ok();
  std::vector<Finding> findings;
  if (!isolation.maps_users() && !isolation.bubblewrap) {
    findings.push_back(
        {true, "scripts run as the node's own user, who owns its keys",
         privileged ? "map users with `ufab provider init --run-as USER`, add `--isolation bubblewrap`"
                    : "run `ufab provider init --isolation bubblewrap`, or the node as root with "
                      "`--run-as USER`",
         true});
    return findings;
  }
  const std::string runs = isolation.runs_root(home.path());
  struct stat info {};
  const bool folder_good = ::lstat(runs.c_str(), &info) == 0 && S_ISDIR(info.st_mode) &&
                           info.st_uid == ::geteuid() && (info.st_mode & 022) == 0;
  findings.push_back({folder_good,
                      folder_good ? "the folder of runs " + runs
                                  : runs + " is no folder of the node's own that nobody else may write to",
                      "make it, chown it to the node's user, chmod 711"});
  const std::string program = program_beside("ufab");
  std::vector<std::optional<RunUser>> users;
  if (isolation.maps_users()) {
    if (const Status status = check_may_become_others(); !status.ok())
      findings.push_back(
          {false, "this user may not start scripts as another: no script of a mapped organisation runs",
           "run the node as root, or take the mapping back with `ufab provider init --run-as none`"});
    for (const std::string& name : isolation.all_users()) {
      check_user(name, runs, {program, trainer}, findings);
      if (auto user = find_run_user(name); user.ok() && privileged) users.emplace_back(*std::move(user));
    }
    if (isolation.default_user.empty())
      findings.push_back({true, "organisations without a user of their own run as the node's",
                          "give them one with `ufab provider init --run-as USER`", true});
  }
  if (!isolation.bubblewrap) return findings;
  if (isolation.default_user.empty()) users.emplace_back(std::nullopt);
  const std::string program_folder = fs::path(program).parent_path().string();
  Sandbox sandbox = sandbox_of_any_run(isolation, home.path(), program_folder, trainer);
  for (const auto& user : users) {
    const Status tried = try_sandbox_as(user, sandbox, "/tmp");
    const std::string who = user ? " for " + user->name : "";
    findings.push_back(
        {tried.ok(), tried.ok() ? "bubblewrap works" + who : tried.error().message + who,
         "install bubblewrap (Debian: bubblewrap) and allow user namespaces (sysctl "
         "user.max_user_namespaces, and kernel.unprivileged_userns_clone where it exists); until then "
         "no script runs"});
  }
  return findings;
}

}  // namespace ufab::jobs
