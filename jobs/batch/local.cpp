#include "jobs/batch/local.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <set>

#include "fabric/base/file.h"
#include "jobs/batch/run_files.h"

extern char** environ;

namespace ufab::jobs {

namespace {

namespace fs = std::filesystem;

class LocalBatch final : public BatchSystem {
 public:
  explicit LocalBatch(LocalBatchConfig config) : config_(std::move(config)) {}

  Status start(const RunRequest& request) override {
    const std::lock_guard lock(mutex_);
    UFAB_TRY(check_run_name(request.name));
    if (request.slots > config_.slots) {
      return Error{ErrorCode::limit, "needs " + std::to_string(request.slots) +
                                         " processors; this provider has " + std::to_string(config_.slots)};
    }
    const std::string folder = folder_of(request.name);
    if (file_exists(folder + "/request.json")) return {};
    UFAB_TRY(make_folders(folder, 0700));
    UFAB_TRY(save_request(folder, request));
    start_waiting();
    return {};
  }

  Result<RunStatus> status(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    return status_of(name);
  }

  Status cancel(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    UFAB_ASSIGN(const RunStatus status, status_of(name));
    if (status.state == RunState::ended) return {};
    if (status.state == RunState::pending) {
      RunFile file;
      file.status.state = RunState::ended;
      file.status.result = RunResult::cancelled;
      file.status.reason = "cancelled before it started";
      return save_status(folder_of(name), file);
    }
    return write_file_atomic(cancel_path(folder_of(name)), {}, 0600);
  }

  Result<std::vector<std::string>> list() override {
    const std::lock_guard lock(mutex_);
    return names(true);
  }

  Status forget(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    const auto status = status_of(name);
    if (!status.ok()) return status.error().code == ErrorCode::not_found ? Status{} : status.error();
    if (status->state != RunState::ended)
      return Error{ErrorCode::conflict, "run '" + name + "' has not ended"};
    UFAB_TRY(forget_run_folder(folder_of(name)));
    ended_.erase(name);
    return {};
  }

  void set_slots(std::uint32_t slots) override {
    const std::lock_guard lock(mutex_);
    config_.slots = slots;
  }

  [[nodiscard]] bool sets_slurm_variables() const override { return false; }
  [[nodiscard]] bool keeps_accounts() const override { return false; }

  void tick() override {
    const std::lock_guard lock(mutex_);
    start_waiting();
  }

 private:
  [[nodiscard]] std::string folder_of(const std::string& name) const { return config_.folder + "/" + name; }

  // Every run, the oldest first; those that are known to have ended only on request: they pile up over the
  // years, and this is asked several times a second.
  std::vector<std::string> names(bool with_ended) {
    std::vector<std::pair<fs::file_time_type, std::string>> found;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(config_.folder, error)) {
      if (!with_ended && ended_.contains(entry.path().filename().string())) continue;
      if (!check_run_name(entry.path().filename().string()).ok()) continue;
      const fs::path request = entry.path() / "request.json";
      const auto time = fs::last_write_time(request, error);
      if (!error) found.emplace_back(time, entry.path().filename().string());
    }
    std::sort(found.begin(), found.end());
    std::vector<std::string> names;
    names.reserve(found.size());
    for (auto& [time, name] : found) names.push_back(std::move(name));
    return names;
  }

  Result<RunStatus> status_of(const std::string& name) {
    UFAB_TRY(check_run_name(name));
    const std::string folder = folder_of(name);
    if (!file_exists(folder + "/request.json")) return Error{ErrorCode::not_found, "no run '" + name + "'"};
    auto file = load_status(folder);
    if (!file) {
      if (file.error().code == ErrorCode::not_found) return RunStatus{};
      return file.error();
    }
    if (file->status.state == RunState::running && !file->shepherd.is_alive()) {
      // It may have ended between the two looks.
      UFAB_ASSIGN(RunFile again, load_status(folder));
      if (again.status.state == RunState::running) {
        again.status.state = RunState::ended;
        again.status.result = RunResult::node_fail;
        again.status.reason = "the run's supervisor vanished";
        UFAB_TRY(save_status(folder, again));
      }
      return again.status;
    }
    return file->status;
  }

  void start_waiting() {
    std::uint32_t used = 0;
    std::vector<RunRequest> waiting;
    for (const std::string& name : names(false)) {
      const auto status = status_of(name);
      if (status.ok() && status->state == RunState::ended) ended_.insert(name);  // it stays so
      if (!status || status->state == RunState::ended) continue;
      auto request = load_request(folder_of(name));
      if (!request) continue;
      if (status->state == RunState::running) {
        used += request->slots;
      } else {
        waiting.push_back(*std::move(request));
      }
    }
    for (const RunRequest& request : waiting) {
      if (used + request.slots > config_.slots) return;  // first come first served: nobody overtakes
      used += request.slots;
      if (Status status = launch(request.name); !status.ok()) {
        RunFile file;
        file.status.state = RunState::ended;
        file.status.result = RunResult::node_fail;
        file.status.reason = status.error().message;
        static_cast<void>(save_status(folder_of(request.name), file));
      }
    }
  }

  Status launch(const std::string& name) {
    std::string program = config_.shepherd;
    std::string verb = "shepherd";
    std::string folder = folder_of(name);
    char* argv[] = {program.data(), verb.data(), folder.data(), nullptr};
    pid_t child = -1;
    if (const int error = ::posix_spawn(&child, program.c_str(), nullptr, nullptr, argv, environ);
        error != 0) {
      return Error{ErrorCode::io, program + ": " + std::strerror(error)};
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
      if (errno != EINTR) return Error{ErrorCode::io, std::string("waitpid: ") + std::strerror(errno)};
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      return Error{ErrorCode::io, "the supervisor of run '" + name + "' did not start"};
    }
    return {};
  }

  LocalBatchConfig config_;
  std::set<std::string> ended_;  // names of runs that nothing more can happen to
  std::mutex mutex_;
};

}  // namespace

Result<std::unique_ptr<BatchSystem>> make_local_batch(const LocalBatchConfig& config) {
  UFAB_TRY(make_folders(config.folder, 0700));
  remove_forgotten(config.folder);
  return std::unique_ptr<BatchSystem>(std::make_unique<LocalBatch>(config));
}

}  // namespace ufab::jobs
