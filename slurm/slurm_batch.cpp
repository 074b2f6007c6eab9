#include "slurm/slurm_batch.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "fabric/base/file.h"
#include "jobs/batch/run_files.h"
#include "slurm/record_file.h"

namespace ufab::slurm {

namespace {

namespace fs = std::filesystem;
using jobs::RunRequest;
using jobs::RunState;
using jobs::RunStatus;

constexpr std::int64_t late_interval_us = 30'000'000;

std::int64_t system_now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// For sh: everything but a quote is itself between quotes.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out.push_back(c);
    }
  }
  return out + "'";
}

class SlurmBatch final : public jobs::BatchSystem {
 public:
  SlurmBatch(SlurmBatchConfig config, std::unique_ptr<Controller> controller)
      : config_(std::move(config)), controller_(std::move(controller)) {}

  ~SlurmBatch() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (worker_.joinable()) worker_.join();
  }
  SlurmBatch(const SlurmBatch&) = delete;
  SlurmBatch& operator=(const SlurmBatch&) = delete;

  // Finds the runs of an earlier node, and begins.
  Status open() {
    UFAB_TRY(make_folders(config_.folder, 0700));
    jobs::remove_forgotten(config_.folder);
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(config_.folder, error)) {
      const std::string name = entry.path().filename().string();
      if (!jobs::check_run_name(name).ok() || !file_exists(folder_of(name) + "/request.json")) continue;
      UFAB_ASSIGN(RunRecord record, record_of(name));
      if (record.phase != RunPhase::ended || lacks_usage(record)) {
        UFAB_ASSIGN(const RunRequest request, jobs::load_request(folder_of(name)));
        note_user(name, request);
      }
      if (lacks_usage(record)) late_.emplace(name, record);
      if (record.phase != RunPhase::ended) active_.emplace(name, std::move(record));
    }
    if (error) return Error{ErrorCode::io, config_.folder + ": " + error.message()};
    worker_ = std::thread([this] { work(); });
    return {};
  }

  Status start(const RunRequest& request) override {
    UFAB_TRY(jobs::check_run_name(request.name));
    const std::lock_guard lock(mutex_);
    if (active_.contains(request.name)) return {};
    const std::string folder = folder_of(request.name);
    if (!file_exists(folder + "/request.json")) {
      for (const std::string* path : {&request.input, &request.output, &request.error, &request.folder}) {
        // sbatch takes a backslash for a word of its own, and a line break for the end of a header.
        if (path->find_first_of("\\\n") != std::string::npos)
          return Error{ErrorCode::invalid, *path + ": a path with a backslash or a line break"};
      }
      if (request.sandbox) return Error{ErrorCode::invalid, "bubblewrap is for the local batch system"};
      if (request.user) UFAB_TRY(prepare_launch(request));
      UFAB_TRY(make_folders(folder, 0700));
      UFAB_TRY(jobs::save_request(folder, request));
    }
    UFAB_ASSIGN(RunRecord record, record_of(request.name));
    note_user(request.name, request);
    if (record.phase != RunPhase::ended) active_.emplace(request.name, std::move(record));
    wake_now();
    return {};
  }

  Result<RunStatus> status(const std::string& name) override {
    UFAB_TRY(jobs::check_run_name(name));
    {
      const std::lock_guard lock(mutex_);
      const auto found = active_.find(name);
      if (found != active_.end()) {
        RunStatus status = found->second.status;
        if (!trouble_.empty()) status.reason = trouble_;
        return status;
      }
    }
    const auto record = load_record(folder_of(name));
    if (record.ok()) return record->status;
    if (record.error().code == ErrorCode::not_found)
      return Error{ErrorCode::not_found, "no run '" + name + "'"};
    return record.error();
  }

  Status cancel(const std::string& name) override {
    UFAB_TRY(jobs::check_run_name(name));
    std::unique_lock lock(mutex_);
    const auto found = active_.find(name);
    if (found == active_.end()) {
      lock.unlock();
      const auto known = status(name);
      return known.ok() ? Status{} : Status(known.error());
    }
    if (found->second.cancel_wanted) return {};
    // The worker may hold this run's record while it talks to Slurm: it takes the wish from here.
    cancels_.push_back(name);
    wake_now();
    return {};
  }

  Result<std::vector<std::string>> list() override {
    std::vector<std::pair<fs::file_time_type, std::string>> found;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(config_.folder, error)) {
      if (!jobs::check_run_name(entry.path().filename().string()).ok()) continue;
      const auto time = fs::last_write_time(entry.path() / "request.json", error);
      if (!error) found.emplace_back(time, entry.path().filename().string());
    }
    std::sort(found.begin(), found.end());
    std::vector<std::string> names;
    names.reserve(found.size());
    for (auto& [time, name] : found) names.push_back(std::move(name));
    return names;
  }

  Status forget(const std::string& name) override {
    const auto known = status(name);
    if (!known.ok()) return known.error().code == ErrorCode::not_found ? Status{} : known.error();
    if (known->state != RunState::ended)
      return Error{ErrorCode::conflict, "run '" + name + "' has not ended"};
    return jobs::forget_run_folder(folder_of(name));
  }

  void set_slots(std::uint32_t) override {}
  [[nodiscard]] bool sets_slurm_variables() const override { return true; }
  [[nodiscard]] bool keeps_accounts() const override { return true; }
  void tick() override {}

 private:
  [[nodiscard]] std::string folder_of(const std::string& name) const { return config_.folder + "/" + name; }

  // The request's copy for a launcher that runs as another user.
  Status prepare_launch(const RunRequest& request) {
    if (request.launch_folder.empty())
      return Error{ErrorCode::invalid, "a run of another user, and no folder for it"};
    UFAB_TRY(make_folders(request.launch_folder, 0700));
    UFAB_TRY(jobs::save_request(request.launch_folder, request));
    UFAB_TRY(jobs::hand_over(request.launch_folder + "/request.json", *request.user));
    return jobs::hand_over(request.launch_folder, *request.user);
  }

  // What is needed of the requests of runs of other users.
  struct Mapped {
    std::string user;
    std::string launch_folder;
  };
  void note_user(const std::string& name, const RunRequest& request) {
    if (request.user) mapped_[name] = {request.user->name, request.launch_folder};
  }
  [[nodiscard]] std::optional<Mapped> mapped(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = mapped_.find(name);
    return found == mapped_.end() ? std::nullopt : std::optional(found->second);
  }
  // Where a run and its launcher speak.
  [[nodiscard]] std::string claim_folder(const std::string& name) {
    const auto other = mapped(name);
    return other ? other->launch_folder : folder_of(name);
  }
  // Jobs with a run's tag that are not its user's are somebody's attempt to be taken for it.
  void keep_own(const std::string& name, std::vector<SlurmJob>& jobs) {
    const auto other = mapped(name);
    if (other) std::erase_if(jobs, [&](const SlurmJob& job) { return job.user != other->user; });
  }
  // The launcher's word, as far as it is to be believed: see the header.
  [[nodiscard]] std::optional<Claimed> claim_of(const RunRecord& record) {
    const std::string folder = claim_folder(record.name);
    const Claim claim = read_claim(folder);
    if (claim.job == 0) return std::nullopt;
    const bool known = record.job == claim.job ||
                       std::find(record.twins.begin(), record.twins.end(), claim.job) != record.twins.end();
    if (mapped(record.name) && !claim.own && !known) return std::nullopt;
    return Claimed{claim.job, launched_again(folder)};
  }
  void hear_claim(const std::string& name) {
    RunRecord record;
    {
      const std::lock_guard lock(mutex_);
      const auto found = active_.find(name);
      if (found == active_.end()) return;
      record = found->second;
    }
    if (const auto claimed = claim_of(record)) hear(name, *claimed);
  }

  void wake_now() {
    news_ = true;
    wake_.notify_all();
  }

  // The record on disk, or a fresh one beside a request that a dying node left alone.
  Result<RunRecord> record_of(const std::string& name) {
    auto known = load_record(folder_of(name));
    if (known.ok() || known.error().code != ErrorCode::not_found) return known;
    UFAB_ASSIGN(const Digest digest, sha256_file(folder_of(name) + "/request.json"));
    RunRecord record;
    record.name = name;
    record.tag = run_tag(config_.chain, name, digest);
    record.created_us = system_now_us();
    UFAB_TRY(save_record(folder_of(name), record));
    return record;
  }

  void work() {
    while (true) {
      {
        std::unique_lock lock(mutex_);
        const auto pause = active_.empty() ? std::chrono::microseconds(60'000'000)
                                           : std::chrono::microseconds(config_.poll_us);
        wake_.wait_for(lock, pause, [&] { return stopping_ || news_; });
        if (stopping_) return;
        news_ = false;
      }
      turn();
    }
  }

  [[nodiscard]] std::vector<std::string> active_names() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    names.reserve(active_.size());
    for (const auto& [name, record] : active_) names.push_back(name);
    return names;
  }
  [[nodiscard]] bool is_stopping() {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  void turn() {
    std::vector<std::string> cancels;
    {
      const std::lock_guard lock(mutex_);
      cancels.swap(cancels_);
    }
    for (const std::string& name : cancels) hear(name, CancelAsked{});
    for (const std::string& name : active_names()) {
      if (is_stopping()) return;
      hear_claim(name);
      hear(name, Tick{});
    }
    ask_queue();
    ask_accounts();
  }

  void ask_queue() {
    const std::vector<std::string> names = active_names();
    if (names.empty()) return;
    const std::int64_t asked_us = system_now_us();
    std::set<std::string> others;
    {
      const std::lock_guard lock(mutex_);
      for (const std::string& name : names) {
        if (const auto found = mapped_.find(name); found != mapped_.end()) others.insert(found->second.user);
      }
    }
    auto jobs = controller_->queue(others);
    note_trouble(jobs.ok() ? "" : jobs.error().message);
    if (!jobs) return;
    std::map<std::string, std::vector<SlurmJob>> by_tag;
    const std::string ours = "ufab:" + config_.chain + ":";
    for (SlurmJob& job : *jobs) {
      if (job.tag.starts_with(ours)) by_tag[job.tag].push_back(std::move(job));
    }
    for (const std::string& name : names) {
      const std::string tag = tag_of(name);
      const auto found = by_tag.find(tag);
      if (found != by_tag.end()) keep_own(name, found->second);
      hear(name, InQueue{asked_us, found == by_tag.end() ? std::vector<SlurmJob>{} : found->second});
      if (found != by_tag.end()) by_tag.erase(found);
    }
    // Late twins of runs that have ended. A tag whose run is not in this folder belongs to another home.
    for (auto& [tag, twins] : by_tag) {
      const bool all_ended = std::all_of(twins.begin(), twins.end(),
                                         [](const SlurmJob& job) { return is_ended_state(job.state); });
      const std::size_t end = tag.find(':', ours.size());
      if (all_ended || end == std::string::npos) continue;
      const std::string name = tag.substr(ours.size(), end - ours.size());
      if (!jobs::check_run_name(name).ok()) continue;
      auto record = load_record(folder_of(name));
      const auto request = jobs::load_request(folder_of(name));
      if (!record.ok() || record->tag != tag || !request.ok()) continue;
      if (request->user)
        std::erase_if(twins, [&](const SlurmJob& job) { return job.user != request->user->name; });
      act(*record, step(*record, InQueue{asked_us, twins}, system_now_us(), config_.limits));
    }
  }

  void ask_accounts() {
    std::vector<std::string> names;
    std::vector<std::string> tags;
    std::int64_t since_us = std::numeric_limits<std::int64_t>::max();
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [name, record] : active_) {
        if (!wants_accounts(record)) continue;
        names.push_back(name);
        tags.push_back(record.tag);
        since_us = std::min(since_us, record.created_us);
      }
    }
    const std::size_t waiting = names.size();
    if (system_now_us() >= ask_late_us_) {
      ask_late_us_ = system_now_us() + late_interval_us;
      for (const auto& [name, record] : late_) {
        names.push_back(name);
        tags.push_back(record.tag);
        since_us = std::min(since_us, record.created_us);
      }
    }
    if (names.empty()) return;
    const std::int64_t asked_us = system_now_us();
    const auto jobs = controller_->accounts(tags, since_us);
    if (!jobs) {
      note_accounts_trouble(jobs.error().message);
      // The end that squeue has seen does not wait for a database that is away: see StepLimits::accounts_us.
      return;
    }
    note_accounts_trouble("");
    for (std::size_t i = 0; i < names.size(); ++i) {
      std::vector<SlurmJob> mine;
      std::copy_if(jobs->begin(), jobs->end(), std::back_inserter(mine),
                   [&](const SlurmJob& job) { return job.tag == tags[i]; });
      keep_own(names[i], mine);
      if (i < waiting) {
        hear(names[i], InAccounts{asked_us, std::move(mine)});
      } else {
        add_usage(names[i], InAccounts{asked_us, std::move(mine)});
      }
    }
  }

  void add_usage(const std::string& name, const InAccounts& accounts) {
    RunRecord record = late_.at(name);
    static_cast<void>(step(record, accounts, system_now_us(), config_.limits));
    if (lacks_usage(record)) return;
    if (const Status saved = save_record(folder_of(name), record); !saved.ok())
      return complain(name, saved.error());
    late_.erase(name);
  }

  [[nodiscard]] std::string tag_of(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = active_.find(name);
    return found == active_.end() ? std::string() : found->second.tag;
  }

  // One event for one run: step, make durable, act. Only the worker changes records.
  void hear(const std::string& name, const Event& event) {
    RunRecord record;
    {
      const std::lock_guard lock(mutex_);
      const auto found = active_.find(name);
      if (found == active_.end()) return;
      record = found->second;
    }
    const RunRecord before = record;
    std::vector<Action> actions = step(record, event, system_now_us(), config_.limits);
    const std::string claims = claim_folder(name);
    if (record.phase == RunPhase::ended && claimed_by(claims) == 0) {
      // Nobody may start it from here on; a launcher that was faster has the last word.
      const Status closed = claim_run(claims, closed_claim);
      if (!closed.ok()) {
        record = before;
        if (closed.error().code != ErrorCode::conflict) return complain(name, closed.error());
        const auto claimed = claim_of(record);
        if (!claimed) return;  // not to be believed yet: the queue will say
        actions = step(record, *claimed, system_now_us(), config_.limits);
      }
    }
    if (record != before) {
      if (const Status saved = save_record(folder_of(name), record); !saved.ok())
        return complain(name, saved.error());
      const std::lock_guard lock(mutex_);
      if (record.phase == RunPhase::ended) {
        active_.erase(name);
        if (lacks_usage(record)) late_.emplace(name, record);
      } else {
        active_[name] = record;
      }
    }
    act(record, actions);
  }

  void act(const RunRecord& record, const std::vector<Action>& actions) {
    for (const Action& action : actions) {
      if (const auto* cancel = std::get_if<CancelJob>(&action)) {
        if (const Status status = controller_->cancel(cancel->job); !status.ok())
          complain(record.name, status.error());
        continue;
      }
      const auto request = jobs::load_request(folder_of(record.name));
      if (!request) {
        hear(record.name, Refused{request.error().message});
        continue;
      }
      const std::string script =
          "#!/bin/sh\nexec " + quoted(config_.launcher) + " " + quoted(claim_folder(record.name)) + "\n";
      const SubmitOutcome outcome = controller_->submit(*request, record.tag, script);
      std::visit([&](const auto& event) { hear(record.name, event); }, outcome);
      if (const auto* refused = std::get_if<Refused>(&outcome))
        config_.log("run " + record.name + ": " + refused->reason);
    }
  }

  void complain(const std::string& name, const Error& error) {
    config_.log("run " + name + ": " + error.message);
  }
  void note_trouble(const std::string& line) {
    bool changed = false;
    {
      const std::lock_guard lock(mutex_);
      changed = std::exchange(trouble_, line) != line;
    }
    if (changed) config_.log(line.empty() ? "Slurm answers again" : "Slurm: " + line);
  }
  void note_accounts_trouble(const std::string& line) {
    if (std::exchange(accounts_trouble_, line) != line && !line.empty())
      config_.log("Slurm accounting: " + line);
  }

  const SlurmBatchConfig config_;
  const std::unique_ptr<Controller> controller_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, RunRecord>
      active_;                            // not ended; guarded by mutex_, changed by the worker and start()
  std::map<std::string, Mapped> mapped_;  // runs of other users; guarded by mutex_
  std::vector<std::string> cancels_;      // guarded by mutex_
  std::string trouble_;                   // why slurmctld did not answer; guarded by mutex_
  bool news_ = false;                     // guarded by mutex_
  bool stopping_ = false;                 // guarded by mutex_
  // The worker's own.
  std::map<std::string, RunRecord> late_;  // ended, and accounting has not said what they used
  std::int64_t ask_late_us_ = 0;
  std::string accounts_trouble_;
  std::thread worker_;
};

}  // namespace

std::string run_tag(const std::string& chain, const std::string& run, const Digest& request) {
  return "ufab:" + chain + ":" + run + ":" + request.hex().substr(0, 16);
}

Result<std::unique_ptr<jobs::BatchSystem>> make_slurm_batch(SlurmBatchConfig config,
                                                            std::unique_ptr<Controller> controller) {
  auto batch = std::make_unique<SlurmBatch>(std::move(config), std::move(controller));
  UFAB_TRY(batch->open());
  return std::unique_ptr<jobs::BatchSystem>(std::move(batch));
}

}  // namespace ufab::slurm
