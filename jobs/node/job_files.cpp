#include "jobs/node/job_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <vector>

#include "fabric/base/file.h"
#include "fabric/train/checkpoint.h"
#include "fabric/train/contributions.h"
#include "jobs/script/values.h"

namespace ufab::jobs {

namespace {

using namespace std::chrono_literals;
constexpr auto piece_wait = 20s;

}  // namespace

Result<JobFile> resolve_job_file(const Home& home, JobId job, std::string_view name) {
  const JobFolder folder(home, job);
  const Error unknown{ErrorCode::not_found,
                      "no file '" + std::string(name) + "' of job " + std::to_string(job)};
  const auto existing = [&](JobFile file) -> Result<JobFile> {
    if (!file.exists()) return unknown;
    return file;
  };
  if (name == "spec") return existing({folder.path(), "spec.json"});
  if (name == "script") return existing({folder.path(), "script"});
  if (name == "definition") return existing({folder.path(), "definition.toml"});
  if (name == "corpus") return existing({folder.path(), "corpus.h5"});
  if (name == "output") return existing(folder.output());
  if (name == "error") return existing(folder.error());

  std::vector<std::uint64_t> numbers;
  const std::size_t colon = name.find(':');
  const std::string_view kind = name.substr(0, colon);
  for (std::string_view rest = colon == std::string_view::npos ? "" : name.substr(colon + 1);
       !rest.empty();) {
    const std::size_t end = rest.find(':');
    const auto number = parse_count(rest.substr(0, end), 0, 1'000'000'000);
    if (!number || numbers.size() == 2) return unknown;
    numbers.push_back(*number);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  if (numbers.empty()) return unknown;
  const auto attempt = static_cast<std::uint32_t>(numbers[0]);
  if (kind == "log" && numbers.size() == 1) return existing(folder.written(attempt, "log.jsonl"));
  if (kind == "windows" && numbers.size() == 1) return existing(folder.written(attempt, "windows.jsonl"));
  if (kind == "contributions" && numbers.size() == 2) {
    return existing({folder.run(attempt), contributions_path("out", numbers[1])});
  }
  if (kind == "checkpoint" && numbers.size() == 2) {
    for (std::uint32_t from = attempt; from >= 1; --from) {
      // What the run wrote, and what was fetched from others for it.
      for (const std::string& place : {folder.run(from), folder.attempt(from)}) {
        JobFile file{place, checkpoint_path("out", numbers[1])};
        if (file.exists()) return file;
      }
    }
  }
  return unknown;
}

Result<Answer> read_job_file(const JobFile& file, std::uint64_t offset) {
  UFAB_ASSIGN(const ForeignFile opened, ForeignFile::open(file.folder, file.name));
  Answer answer;
  UFAB_ASSIGN(answer.body, opened.read(offset, piece_bytes));
  answer.result["size"] = opened.size();
  return answer;
}

Status fetch_job_file(const NodeContext& node, const OrgEntry& from, JobId job, const std::string& name,
                      const std::string& destination, const Digest* digest, std::uint64_t max_bytes) {
  const std::string part = destination + ".part";
  UFAB_ASSIGN(AppendFile file, AppendFile::open(part, 0600));
  for (;;) {
    const Request request{"job.file", {{"job", job}, {"name", name}, {"offset", file.size()}}, {}};
    UFAB_ASSIGN(const Answer answer, call_organisation(node, from, request, piece_wait));
    UFAB_ASSIGN(const std::uint64_t size, json_number(answer.result, "size"));
    if (size > max_bytes) {
      return Error{ErrorCode::limit,
                   "file '" + name + "' of " + from.name + " has " + std::to_string(size) + " bytes"};
    }
    if (file.size() > size || (answer.body.empty() && file.size() < size)) {
      UFAB_TRY(file.truncate(0));  // it changed at the other end, or what we kept is another file's
      return Error{ErrorCode::conflict,
                   "file '" + name + "' of " + from.name + " changed while it was fetched"};
    }
    UFAB_TRY(file.append(answer.body));
    if (file.size() >= size) break;
  }
  UFAB_TRY(file.sync());
  if (digest != nullptr) {
    UFAB_ASSIGN(const Digest actual, sha256_file(part));
    if (actual != *digest) {
      UFAB_TRY(file.truncate(0));
      return Error{ErrorCode::corrupt, "file '" + name + "' of " + from.name + " is " + actual.str() +
                                           ", the order names " + digest->str()};
    }
  }
  return rename_durable(part, destination);
}

bool use_blob(const std::string& path) {
  return ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0) == 0;
}

Status link_or_copy(const std::string& from, const std::string& to) {
  std::error_code error;
  std::filesystem::create_hard_link(from, to, error);
  if (error) {
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing, error);
  }
  if (error) return Error{ErrorCode::io, to + ": " + error.message()};
  return {};
}

}  // namespace ufab::jobs
