#include "jobs/node/housekeeping.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <filesystem>

#include "fabric/base/file.h"

namespace ufab::jobs {

namespace {

namespace fs = std::filesystem;

constexpr const char* mark_name = "/foreign";
constexpr const char* gone_suffix = ".gone";  // of a job's folder that is being removed

std::uint32_t keep_days_of(const NodeContext& node) {
  return node.config.provider.value_or(ProviderConfig{}).keep_days;
}

std::string runs_root_of(const NodeContext& node) {
  return node.config.provider.value_or(ProviderConfig{}).isolation.runs_root(node.home.path());
}

std::optional<JobId> number_of(std::string_view text) {
  JobId number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The job in "job-N-…" and "verify-N-…".
std::optional<JobId> job_in(std::string_view name) {
  for (const std::string_view prefix : {"job-", "verify-"}) {
    if (!name.starts_with(prefix)) continue;
    name.remove_prefix(prefix.size());
    return number_of(name.substr(0, name.find('-')));
  }
  return std::nullopt;
}

std::int64_t changed_s(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? std::int64_t{info.st_mtim.tv_sec} : 0;
}

Status remove_tree(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return Error{ErrorCode::io, path + ": " + error.message()};
  return {};
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  return names;
}

}  // namespace

Status mark_foreign(const JobFolder& folder, const std::string& owner) {
  const std::string path = folder.path() + mark_name;
  if (file_exists(path)) return {};
  UFAB_TRY(make_folders(folder.path(), 0700));
  return write_file_atomic(path, as_bytes(owner + "\n"), 0600);
}

std::vector<JobId> outdated(const std::vector<KeptJob>& kept, std::int64_t now_s, std::uint32_t keep_days) {
  std::vector<JobId> jobs;
  if (keep_days == 0) return jobs;
  const std::int64_t before = now_s - std::int64_t{keep_days} * 86400;
  for (const KeptJob& job : kept) {
    if (job.foreign && job.over && job.changed_s < before) jobs.push_back(job.job);
  }
  return jobs;
}

std::vector<KeptJob> Housekeeping::look() const {
  std::vector<KeptJob> kept;
  for (const std::string& name : names_in(node_.home.file("jobs"))) {
    const bool begun = name.ends_with(gone_suffix);
    const auto number = number_of(std::string_view(name).substr(0, name.size() - (begun ? 5 : 0)));
    if (!number) continue;
    const std::string path = node_.home.file("jobs/" + name);
    if (!file_exists(path + mark_name)) continue;
    KeptJob& job = kept.emplace_back();
    job.job = *number;
    job.foreign = true;
    if (begun) continue;  // its age does not count any more
    job.changed_s = changed_s(path);
    for (const std::string& part : names_in(path)) {
      job.changed_s = std::max(job.changed_s, changed_s(path + "/" + part));
      std::error_code error;
      if (const fs::path run = fs::read_symlink(path + "/" + part + "/run", error); !error)
        job.changed_s = std::max({job.changed_s, changed_s(run), changed_s(run.string() + "/out")});
    }
  }
  node_.chain->read([&](const State& state) {
    for (KeptJob& job : kept) {
      const JobEntry* entry = state.job(job.job);
      job.over = entry == nullptr ? job.job <= state.job_last() : entry->phase == JobPhase::settled;
    }
    return 0;
  });
  return kept;
}

// The folder's mark is the last thing of it to go.
Status Housekeeping::remove(JobId job) {
  UFAB_ASSIGN(const std::vector<std::string> runs, node_.batch->list());
  for (const std::string& run : runs) {
    if (job_in(run) == job) UFAB_TRY(node_.batch->forget(run));
  }
  const std::string root = runs_root_of(node_);
  for (const std::string& name : names_in(root)) {
    if (name.starts_with("job-") && job_in(name) == job) UFAB_TRY(remove_tree(root + "/" + name));
  }
  const std::string folder = node_.home.job_folder(job);
  const std::string gone = folder + gone_suffix;
  if (file_exists(folder) && !file_exists(gone)) UFAB_TRY(rename_durable(folder, gone));
  for (const std::string& name : names_in(gone)) {
    if ("/" + name != mark_name) UFAB_TRY(remove_tree(gone + "/" + name));
  }
  return remove_tree(gone);
}

void Housekeeping::remove_unshared_corpora(std::int64_t now_s, std::uint32_t keep_days) {
  const std::int64_t before = now_s - std::int64_t{keep_days} * 86400;
  for (const std::string& name : names_in(node_.home.file("blobs"))) {
    const std::string path = node_.home.file("blobs/" + name);
    undisturbed_([&] {
      struct stat info {};
      if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return;
      if (info.st_nlink == 1 && info.st_mtim.tv_sec < before) static_cast<void>(::unlink(path.c_str()));
    });
  }
}

void Housekeeping::begin(std::int64_t now_s) {
  const std::uint32_t keep_days = keep_days_of(node_);
  if (keep_days == 0) return;
  removing_ = outdated(look(), now_s, keep_days);
  remove_unshared_corpora(now_s, keep_days);
}

void Housekeeping::remove_some(std::size_t most) {
  for (; most > 0 && !removing_.empty(); --most) {
    const JobId job = removing_.back();
    removing_.pop_back();
    if (const Status status = remove(job); !status.ok())
      node_.log("job " + std::to_string(job) + ": its files cannot be removed: " + status.error().message);
  }
}

void Housekeeping::pass(std::int64_t now_s) {
  begin(now_s);
  remove_some(removing_.size());
  if (const std::uint32_t keep_days = keep_days_of(node_); keep_days != 0)
    remove_unshared_corpora(now_s, keep_days);
}

void Housekeeping::tick() {
  remove_some(removed_max);
  if (Clock::now() < next_) return;
  next_ = Clock::now() + interval;
  begin(std::time(nullptr));
}

}  // namespace ufab::jobs
