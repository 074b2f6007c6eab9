#include "jobs/node/vote_file.h"

#include <charconv>

namespace ufab::jobs {

namespace {

constexpr std::size_t votes_size_max = std::size_t{1} << 30;
constexpr mode_t private_mode = 0600;

std::string floor_path(const std::string& path) {
  return path.substr(0, path.rfind('.')) + ".floor";
}

}  // namespace

Status VoteFile::create(const std::string& path) {
  return create_file_exclusive(path, {}, private_mode);
}

Result<std::uint64_t> VoteFile::floor(const std::string& path) {
  const std::string place = floor_path(path);
  if (!file_exists(place)) return std::uint64_t{0};
  UFAB_ASSIGN(const std::string text, read_text_file(place, 32));
  std::uint64_t height = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), height);
  if (error != std::errc() || end == text.data()) return Error{ErrorCode::corrupt, place + ": not a height"};
  return height;
}

Result<VoteFile> VoteFile::open(const std::string& path) {
  VoteFile votes(path);
  if (!file_exists(path)) {
    votes.why_lost_ = path + " is missing";
    return votes;
  }
  UFAB_ASSIGN(const Bytes bytes, read_file(path, votes_size_max));
  auto log = consensus::read_vote_log(bytes);
  if (!log.ok()) {
    votes.why_lost_ = path + " is damaged: " + log.error().message;
    return votes;
  }
  UFAB_ASSIGN(votes.file_, AppendFile::open(path, private_mode));
  UFAB_TRY(votes.file_.truncate(log->size));
  if (log->size > 0) votes.writer_ = consensus::VoteLogWriter(log->check);
  votes.records_ = std::move(log->records);
  return votes;
}

Status VoteFile::append(const consensus::VoteRecord& record) {
  UFAB_ASSERT(records_.has_value());
  return file_.append(writer_.append(record));
}

Status VoteFile::sync() {
  return file_.sync();
}

Status VoteFile::renew(const std::vector<consensus::VoteRecord>& records, std::uint64_t height) {
  UFAB_ASSERT(records_.has_value());
  // First the floor: what it promises holds while the old votes are still there too.
  const std::string floor = std::to_string(height) + "\n";
  UFAB_TRY(write_file_atomic(floor_path(path_), as_bytes(floor), private_mode));
  writer_ = consensus::VoteLogWriter();
  Bytes all;
  for (const consensus::VoteRecord& record : records) {
    const Bytes bytes = writer_.append(record);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  UFAB_TRY(write_file_atomic(path_, all, private_mode));
  UFAB_ASSIGN(file_, AppendFile::open(path_, private_mode));
  return {};
}

}  // namespace ufab::jobs
