#include "jobs/node/submission_journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "accounting/records/types.h"
#include "fabric/base/clock.h"
#include "fabric/base/codec.h"
#include "fabric/base/file.h"
#include "jobs/node/job_files.h"
#include "jobs/rpc/message.h"

namespace ufab::jobs {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t definition_max = 1u << 20;
constexpr std::size_t entry_max = max_message_bytes + definition_max + 1024;
constexpr std::uint64_t segment_max = 64u << 20;
constexpr std::chrono::seconds retry_after{5};

std::string generation_path(const std::string& folder, std::uint64_t number) {
  return fmt::format("{}/{:016x}", folder, number);
}

// Writes the file unless it has these bytes.
Status provide_file(const std::string& path, ByteView content, mode_t mode) {
  const auto present = read_file(path, content.size());
  if (present.ok() && std::equal(present->begin(), present->end(), content.begin(), content.end())) return {};
  return write_file_unsynced(path, content, mode);
}

}  // namespace

Bytes encode_journal_entry(const JournalEntry& entry) {
  const Submission& submission = entry.submission;
  Writer writer;
  writer.reserve(submission.specification.size() + submission.script.size() + submission.definition.size() +
                 128);
  writer.u8(static_cast<std::uint8_t>(entry.kind));
  writer.u64(submission.time_us);
  writer.text(submission.key);
  if (entry.kind == JournalEntry::Kind::submission) {
    writer.flag(submission.held);
    writer.text(submission.specification);
    writer.blob(submission.script);
    writer.blob(submission.definition);
  }
  return writer.take();
}

Result<JournalEntry> decode_journal_entry(ByteView bytes) {
  Reader reader(bytes);
  JournalEntry entry;
  const std::uint8_t kind = reader.u8();
  if (kind > static_cast<std::uint8_t>(JournalEntry::Kind::withdrawn)) reader.fail("an unknown kind");
  entry.kind = static_cast<JournalEntry::Kind>(kind);
  Submission& submission = entry.submission;
  submission.time_us = reader.u64();
  submission.key = reader.text(name_size_max);
  if (submission.key.empty() != (entry.kind == JournalEntry::Kind::begin)) reader.fail("a wrong key");
  if (entry.kind == JournalEntry::Kind::submission) {
    submission.held = reader.flag();
    submission.specification = reader.text(max_json_bytes);
    const ByteView script = reader.blob(max_body_bytes);
    submission.script.assign(script.begin(), script.end());
    const ByteView definition = reader.blob(definition_max);
    submission.definition.assign(definition.begin(), definition.end());
  }
  UFAB_TRY(reader.finish("an entry of the submission journal"));
  return entry;
}

Status place_submission(const Submission& submission, const JobFolder& folder) {
  UFAB_TRY(make_folders(folder.path(), 0700));
  UFAB_TRY(provide_file(folder.script(), submission.script, 0700));
  if (!submission.definition.empty())
    UFAB_TRY(provide_file(folder.definition(), submission.definition, 0644));
  if (submission.held) UFAB_TRY(provide_file(folder.held(), {}, 0600));
  return provide_file(folder.spec(), as_bytes(submission.specification), 0600);
}

SubmissionJournal::SubmissionJournal(std::string folder, std::string files, Log log)
    : folder_(std::move(folder)), files_(std::move(files)), log_line_(std::move(log)), last_(Clock::now()) {}

Result<std::unique_ptr<SubmissionJournal>> SubmissionJournal::open(const std::string& folder,
                                                                   const std::string& files, Log log) {
  UFAB_TRY(make_folders(folder, 0700));
  std::unique_ptr<SubmissionJournal> journal(new SubmissionJournal(folder, files, std::move(log)));
  UFAB_TRY(journal->read_generations());
  const bool left = !journal->generations_.empty();
  UFAB_TRY(journal->turn(true));
  journal->dirty_ = left;
  journal->thread_ = std::thread([raw = journal.get()] { raw->work(); });
  return journal;
}

SubmissionJournal::~SubmissionJournal() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  static_cast<void>(checkpoint());
}

Status SubmissionJournal::read_generations() {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() && name.size() == 16 &&
        name.find_first_not_of("0123456789abcdef") == std::string::npos)
      found.push_back(entry.path().string());
  }
  if (error) return Error{ErrorCode::io, folder_ + ": " + error.message()};
  std::sort(found.begin(), found.end());
  for (const std::string& generation : found) {
    std::uint64_t read = 0;
    const auto take = [&](std::uint64_t, ByteView bytes) -> Status {
      UFAB_ASSIGN(JournalEntry entry, decode_journal_entry(bytes));
      ++read;
      const std::string key = entry.submission.key;
      if (entry.kind == JournalEntry::Kind::withdrawn) pending_.erase(key);
      if (entry.kind == JournalEntry::Kind::submission)
        pending_[key] = std::make_shared<const Submission>(std::move(entry.submission));
      return {};
    };
    const auto log = SegmentLog::open(generation, segment_max, entry_max, take);
    if (!log && log_line_)
      log_line_(generation + ": " + log.error().message + "; " + std::to_string(read) +
                " entries before it were read, what follows is lost");
    generations_.push_back(generation);
    next_generation_ = std::stoull(fs::path(generation).filename().string(), nullptr, 16) + 1;
  }
  return {};
}

// Makes a generation that takes what comes from now on. The first one of an open journal leaves those before
// it as they are; a later one takes over what is pending, and they go once what was placed is durable. Under
// checkpoint_mutex_.
Status SubmissionJournal::turn(bool first) {
  const std::string path = generation_path(folder_, next_generation_++);
  UFAB_ASSIGN(SegmentLog fresh, SegmentLog::open(path, segment_max, entry_max, {}));
  JournalEntry begin;
  begin.submission.time_us = now_us();
  UFAB_TRY(fresh.append(encode_journal_entry(begin)));  // its segment exists before anybody waits for it
  UFAB_TRY(sync_folder_of(path));
  std::vector<std::string> old;
  {
    const std::lock_guard lock(mutex_);
    if (!first) {
      const auto age_max = static_cast<std::uint64_t>(std::chrono::microseconds(pending_age_max).count());
      std::erase_if(pending_, [&](const auto& item) {
        return item.second->time_us < begin.submission.time_us &&
               begin.submission.time_us - item.second->time_us > age_max;
      });
      for (const auto& [key, submission] : pending_)
        UFAB_TRY(fresh.put(encode_journal_entry({JournalEntry::Kind::submission, *submission})));
      UFAB_TRY(fresh.sync());
      old = std::exchange(generations_, {});
    }
    generations_.push_back(path);
    log_ = std::move(fresh);
    broken_ = dirty_ = false;
    gathered_ = 0;
  }
  if (old.empty()) return {};
  if (Status status = sync_file_system_of(files_); !status.ok()) {
    const std::lock_guard lock(mutex_);
    generations_.insert(generations_.begin(), old.begin(), old.end());
    dirty_ = true;
    return status;
  }
  std::error_code error;
  for (const std::string& generation : old) fs::remove_all(generation, error);
  return {};
}

Status SubmissionJournal::checkpoint() {
  const std::lock_guard one(checkpoint_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (!dirty_ && !broken_) return {};
  }
  return turn(false);
}

void SubmissionJournal::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!dirty_) {
      wake_.wait(lock, [&] { return stopping_ || dirty_; });
      continue;
    }
    const auto due = last_ + quiet;
    if (gathered_ < gathered_max && Clock::now() < due) {
      wake_.wait_until(lock, due);
      continue;
    }
    lock.unlock();
    const Status status = checkpoint();
    if (!status.ok() && log_line_) log_line_("the journal of submissions: " + status.error().message);
    lock.lock();
    if (!status.ok()) wake_.wait_for(lock, retry_after, [&] { return stopping_; });
  }
}

// Under mutex_.
Status SubmissionJournal::append(const JournalEntry& entry) {
  const Bytes bytes = encode_journal_entry(entry);
  Status status = log_.append(bytes);
  broken_ = !status.ok() && status.error().code != ErrorCode::limit;
  if (status.ok()) gathered_ += bytes.size();
  return status;
}

Status SubmissionJournal::add(Submission submission) {
  bool broken = false;
  {
    const std::lock_guard lock(mutex_);
    broken = broken_;
  }
  if (broken) UFAB_TRY(checkpoint());  // the disk may have room again
  if (submission.specification.size() > max_json_bytes || submission.script.size() > max_body_bytes ||
      submission.definition.size() > definition_max)
    return Error{ErrorCode::limit, "the submission is too large"};
  submission.time_us = now_us();
  const std::lock_guard lock(mutex_);
  if (broken_) return Error{ErrorCode::io, "the journal of submissions cannot be written"};
  if (pending_.size() >= pending_max && !pending_.contains(submission.key)) {
    return Error{ErrorCode::limit,
                 std::to_string(pending_.size()) +
                     " submissions wait for their orders to reach the ledger; try again later"};
  }
  JournalEntry entry{JournalEntry::Kind::submission, std::move(submission)};
  UFAB_TRY(append(entry));
  std::string key = entry.submission.key;
  pending_[std::move(key)] = std::make_shared<const Submission>(std::move(entry.submission));
  last_ = Clock::now();
  return {};
}

void SubmissionJournal::withdraw(const std::string& key) {
  const std::lock_guard lock(mutex_);
  if (pending_.erase(key) == 0 || broken_) return;
  JournalEntry entry;
  entry.kind = JournalEntry::Kind::withdrawn;
  entry.submission.time_us = now_us();
  entry.submission.key = key;
  static_cast<void>(append(entry));  // if it is lost the submission waits for an order that never comes
  dirty_ = true;
  wake_.notify_all();
}

void SubmissionJournal::placed(const std::string& key) {
  {
    const std::lock_guard lock(mutex_);
    if (pending_.erase(key) == 0) return;
    dirty_ = true;
    last_ = Clock::now();
  }
  wake_.notify_all();
}

SubmissionJournal::SubmissionPtr SubmissionJournal::pending(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(key);
  return found == pending_.end() ? nullptr : found->second;
}

SubmissionJournal::Backlog SubmissionJournal::backlog() const {
  const std::lock_guard lock(mutex_);
  return {pending_.size(), last_};
}

std::vector<SubmissionJournal::SubmissionPtr> SubmissionJournal::pending() const {
  const std::lock_guard lock(mutex_);
  std::vector<SubmissionPtr> all;
  all.reserve(pending_.size());
  for (const auto& [key, submission] : pending_) all.push_back(submission);
  return all;
}

}  // namespace ufab::jobs
