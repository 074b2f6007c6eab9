#include "jobs/node/run_place.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "fabric/base/file.h"

namespace ufab::jobs {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_input_bytes = std::uint64_t{1} << 42;

Error failed(const std::string& what) {
  return {ErrorCode::io, what + ": " + std::strerror(errno)};
}

Status remove_tree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return Error{ErrorCode::io, path + ": " + error.message()};
  return {};
}

// The parent of all runs must be the node's alone: whoever may write there could put another folder in a
// run's place.
Status check_runs_root(const std::string& path) {
  UFAB_TRY(make_folders(path, 0711));
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return failed(path);
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 022) != 0)
    return Error{ErrorCode::denied,
                 path + ": must be a folder of the node's own user that nobody else may write to"};
  return {};
}

Status make_folder(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 || ::chmod(path.c_str(), mode) != 0) return failed(path);
  return {};
}

Status copy_input(const std::string& folder, const std::string& name, const std::string& to, mode_t mode) {
  UFAB_ASSIGN(const ForeignFile file, ForeignFile::open(folder, name));
  return file.copy_to(to, mode, max_input_bytes);
}

// The corpus is large and shared: a second name where the file system allows, readable for all who reach it,
// which the folders above it decide.
Status share_corpus(const std::string& from, const std::string& to) {
  if (::chmod(from.c_str(), 0444) != 0) return failed(from);
  return link_or_copy(from, to);
}

// What an earlier attempt has said goes on in this one's file; a run that put something else in its place
// loses it. Nobody but the node writes where the file lands, so that what is looked at there stays what it
// is.
Status take_output(const std::string& earlier, const std::string& name, const RunPlace& place) {
  const std::string path = place.folder + "/" + name;
  struct stat info {};
  const auto present = [&] { return ::lstat(path.c_str(), &info) == 0; };
  if (!present() && !earlier.empty()) ::rename((earlier + "/" + name).c_str(), path.c_str());
  if (present() && (!S_ISREG(info.st_mode) || info.st_nlink != 1)) UFAB_TRY(remove_tree(path));
  UFAB_ASSIGN(const AppendFile file, AppendFile::open(path, 0600));
  if (::lchown(path.c_str(), ::geteuid(), ::getegid()) != 0 || ::chmod(path.c_str(), 0600) != 0)
    return failed(path);
  return {};
}

Status make_link(const std::string& target, const std::string& link) {
  const std::string temporary = link + ".tmp";
  ::unlink(temporary.c_str());
  if (::symlink(target.c_str(), temporary.c_str()) != 0) return failed(temporary);
  return rename_durable(temporary, link);
}

Status put_inputs(const JobFolder& folder, std::uint32_t attempt, const RunPlace& place,
                  const std::optional<TrainingInputs>& training) {
  UFAB_TRY(make_folder(place.folder + "/input", 0755));
  UFAB_TRY(copy_input(folder.path(), "script", place.script(), 0555));
  if (!training) return {};
  UFAB_TRY(copy_input(folder.path(), "definition.toml", place.definition(), 0444));
  UFAB_TRY(share_corpus(folder.corpus(), place.corpus()));
  UFAB_TRY(copy_input(folder.attempt(attempt), "bridge.key", place.bridge_key(), 0400));
  Gang gang = training->gang;
  gang.bridge_secret = place.bridge_key();
  if (training->resume) {
    UFAB_TRY(copy_input(training->resume->folder, training->resume->name, place.resume(), 0444));
    gang.resume = place.resume();
  }
  return write_file_atomic(place.gang(), as_bytes(gang_json(gang) + "\n"), 0444);
}

}  // namespace

Result<RunPlace> prepare_run_place(const NodeContext& node, JobId job, std::uint32_t attempt,
                                   const std::optional<RunUser>& user,
                                   const std::optional<TrainingInputs>& training) {
  const JobFolder folder(node.home, job);
  const std::string link = folder.attempt(attempt) + "/run";
  if (folder.run(attempt) != folder.attempt(attempt)) return RunPlace{folder.run(attempt)};
  const std::string root = node.config.provider->isolation.runs_root(node.home.path());
  UFAB_TRY(check_runs_root(root));
  const RunPlace place{root + "/job-" + std::to_string(job) + "-" + std::to_string(attempt)};
  if (file_exists(place.folder)) {
    // Begun by a node that died; the earlier attempt's output may have been taken along already.
    if (::lchown(place.folder.c_str(), ::geteuid(), ::getegid()) != 0) return failed(place.folder);
    for (const char* name : {"/input", "/out"}) UFAB_TRY(remove_tree(place.folder + name));
  } else {
    UFAB_TRY(make_folder(place.folder, 0700));
  }
  UFAB_TRY(make_folder(place.out(), 0700));
  UFAB_TRY(put_inputs(folder, attempt, place, training));
  const std::string earlier = attempt > 1 ? folder.run() : std::string();
  for (const char* name : {"output", "error"}) UFAB_TRY(take_output(earlier, name, place));
  if (user) {
    std::vector<std::string> given{place.output(), place.error(), place.out()};
    if (training) given.push_back(place.bridge_key());
    given.push_back(place.folder);  // last: from here on it is not ours
    for (const std::string& path : given) UFAB_TRY(hand_over(path, *user));
  }
  UFAB_TRY(make_folders(folder.attempt(attempt), 0700));
  UFAB_TRY(make_link(place.folder, folder.path() + "/run"));
  UFAB_TRY(make_link(place.folder, link));
  return place;
}

void move_environment(std::map<std::string, std::string>& environment, const RunPlace& place,
                      const std::optional<RunUser>& user, bool sandboxed, bool own_job) {
  const auto move = [&](const char* name, const std::string& path) {
    if (const auto found = environment.find(name); found != environment.end()) found->second = path;
  };
  move("UFAB_DEFINITION", place.definition());
  move("UFAB_DATA", place.corpus());
  move("UFAB_GANG", place.gang());
  move("UFAB_OUT", place.out());
  if (!own_job) environment["SLURM_SUBMIT_DIR"] = place.folder;
  if (user) {
    environment["HOME"] = user->home;
    environment["USER"] = environment["LOGNAME"] = user->name;
    environment["SHELL"] = user->shell;
    environment.erase("TMPDIR");  // the node's, which is not its user's
  }
  if (sandboxed) {
    environment["HOME"] = place.folder;  // the account's is not seen in there
    environment["TMPDIR"] = "/tmp";
  }
}

Sandbox sandbox_of_any_run(const IsolationConfig& isolation, const std::string& home,
                           const std::string& program_folder, const std::string& trainer) {
  Sandbox sandbox;
  sandbox.readable = isolation.readable;
  sandbox.hidden = {home, isolation.runs_root(home)};
  sandbox.own_readable = {program_folder};
  if (const std::string folder = fs::path(trainer).parent_path().string(); folder != program_folder)
    sandbox.own_readable.push_back(folder);
  return sandbox;
}

Sandbox sandbox_of(const NodeContext& node, const RunPlace& place, const std::string& folder, bool training) {
  const IsolationConfig& isolation = node.config.provider->isolation;
  Sandbox sandbox = sandbox_of_any_run(isolation, node.home.path(), node.program_folder, node.trainer);
  if (folder != place.folder) sandbox.writable.push_back(folder);
  sandbox.own_writable = {place.folder};
  sandbox.own_readable.push_back(place.folder + "/input");
  sandbox.network = training || isolation.script_network;
  return sandbox;
}

}  // namespace ufab::jobs
