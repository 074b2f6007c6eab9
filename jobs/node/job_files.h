// The files of a job in a home, and how one node fetches them from another.
//
//   jobs/N/spec.json  script  definition.toml          from the owner
//   jobs/N/held                                        the owner's: the job is held
//   jobs/N/corpus.h5                                   link to blobs/DIGEST
//   jobs/N/output     error                            of the present attempt's script, truncated on each
//   jobs/N/attempt-A/gang.json  bridge.key  out/…      what the trainer reads and writes (fabric/train/)
//   jobs/N/verify-A-W/…                                a verifier's re-execution
//   jobs/N/run  attempt-A/run                          links to where an isolated run lives, which holds
//   output, error
//                                                      and out/ in place of this folder
//                                                      (jobs/node/run_place.h)
//   jobs/N/result/…                                    the owner's: final checkpoint and outputs
//   jobs/N/finished                                    the owner's: everything is home; of an ordinary script
//                                                      {"result", "reason"} of its run
//
// A node hands out a file by its public name (below), never by a path: "spec", "script", "definition",
// "corpus", "output", "error", "log:A", "windows:A", "contributions:A:W", "checkpoint:A:STEP". A checkpoint
// asked of attempt A may come from an earlier one that led to it; the receiver checks its digest.
//
// What a run writes is a stranger's: it is named by JobFile, never opened by its path.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "fabric/base/foreign_file.h"
#include "jobs/node/context.h"

namespace ufab::jobs {

// A file below a folder that the node vouches for; read through fabric/base/foreign_file.h.
struct JobFile {
  std::string folder;
  std::string name;
  [[nodiscard]] bool exists() const { return foreign_file_exists(folder, name); }
};

class JobFolder {
 public:
  JobFolder(const Home& home, JobId job) : path_(home.job_folder(job)) {}
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string spec() const { return path_ + "/spec.json"; }
  [[nodiscard]] std::string script() const { return path_ + "/script"; }
  [[nodiscard]] std::string definition() const { return path_ + "/definition.toml"; }
  [[nodiscard]] std::string corpus() const { return path_ + "/corpus.h5"; }
  [[nodiscard]] std::string held() const { return path_ + "/held"; }
  // Where the newest attempt's run, or that of one attempt, writes.
  [[nodiscard]] std::string run() const { return run_behind(path_ + "/run", path_); }
  [[nodiscard]] std::string run(std::uint32_t number) const {
    return run_behind(attempt(number) + "/run", attempt(number));
  }
  [[nodiscard]] JobFile output() const { return {run(), "output"}; }
  [[nodiscard]] JobFile error() const { return {run(), "error"}; }
  [[nodiscard]] JobFile written(std::uint32_t number, const std::string& name) const {
    return {run(number), "out/" + name};
  }
  [[nodiscard]] std::string result() const { return path_ + "/result"; }
  [[nodiscard]] std::string finished() const { return path_ + "/finished"; }
  [[nodiscard]] std::string attempt(std::uint32_t number) const {
    return path_ + "/attempt-" + std::to_string(number);
  }
  // The trainer's output folder of a run that is not isolated, and where checkpoints of others are fetched
  // to.
  [[nodiscard]] std::string out(std::uint32_t number) const { return attempt(number) + "/out"; }
  [[nodiscard]] std::string verification(std::uint32_t attempt, std::uint64_t window) const {
    return path_ + "/verify-" + std::to_string(attempt) + "-" + std::to_string(window);
  }

 private:
  static std::string run_behind(const std::string& link, const std::string& otherwise) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(link, error);
    return error ? otherwise : target.string();
  }
  std::string path_;
};

// The file behind a public name; not_found when this node does not have it.
[[nodiscard]] Result<JobFile> resolve_job_file(const Home& home, JobId job, std::string_view name);

// Answers "job.file" {job, name, offset}: at most piece_bytes from there and the whole size.
inline constexpr std::size_t piece_bytes = 4u << 20;
[[nodiscard]] Result<Answer> read_job_file(const JobFile& file, std::uint64_t offset);

// Fetches a file into `destination` (temporary name, sync, rename), going on where an earlier try stopped.
// With a digest the file must have it. Files over max_bytes are refused.
[[nodiscard]] Status fetch_job_file(const NodeContext& node, const OrgEntry& from, JobId job,
                                    const std::string& name, const std::string& destination,
                                    const Digest* digest, std::uint64_t max_bytes);

// Whether the blob is there; if so it counts as used just now (housekeeping.h).
[[nodiscard]] bool use_blob(const std::string& path);
// A second name for a file, or a copy of it where file systems differ.
[[nodiscard]] Status link_or_copy(const std::string& from, const std::string& to);

}  // namespace ufab::jobs
