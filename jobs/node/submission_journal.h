// Where a submission is durable before its order exists, and until its job's folder is.
//
// An order must never stand on the ledger without the files that its job needs. Their place is the job's
// folder, whose number the ledger gives only with the order, and making each of them durable there costs half
// a dozen syncs, which is most of what a submission takes. So a submission is one entry of a journal, and one
// sync:
//   add()        the entry is durable, the submission is pending; its order may be filed
//   withdraw()   the order was refused for good: nobody needs the entry
//   placed()     the caller has written the files into the job's folder, unsynced (place_submission)
// and a thread of the journal's own makes what was placed durable, all at once (syncfs), and only then lets
// the entries go: `quiet` after the last, or when `gathered_max` bytes have come together. Whatever a node
// that died, or whose power failed, had not let go is pending again when the journal is opened: the owner
// looks for its order and places it once more, which writes only what is missing or torn. What has an effect
// that placing would undo (a job's release) must wait for checkpoint().
//
// On disk: FOLDER/G, G = %016x, each generation a log as accounting/log/segment_log.h has it; a checkpoint
// starts the next one with what is pending and removes those before. An entry, in the canonical encoding of
// fabric/base/codec.h:
//   u8 kind      0 begins a generation, 1 a submission, 2 withdrawn
//   u64 time_us  microseconds since 1970
//   text key     the order's idempotency key, at most 64 bytes; empty for kind 0
//   of kind 1 alone: flag held, blob specification, blob script, blob definition
// A later entry of a key replaces an earlier one. An entry that has been pending for `pending_age_max` is let
// go: its order would have come by then.
//
// Thread-safe. One process at a time (the home's lock).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "accounting/log/segment_log.h"

namespace ufab::jobs {

class JobFolder;

struct Submission {
  std::uint64_t time_us = 0;  // set by add()
  std::string key;
  bool held = false;
  std::string specification;  // spec.json's text
  Bytes script;
  Bytes definition;  // definition.toml's bytes; empty for an ordinary script
  friend bool operator==(const Submission&, const Submission&) = default;
};

struct JournalEntry {
  enum class Kind : std::uint8_t { begin = 0, submission = 1, withdrawn = 2 };
  Kind kind = Kind::begin;
  Submission submission;  // of the other kinds time_us and key alone
};
[[nodiscard]] Bytes encode_journal_entry(const JournalEntry& entry);
// Refuses what encode_journal_entry would not produce.
[[nodiscard]] Result<JournalEntry> decode_journal_entry(ByteView bytes);

class SubmissionJournal {
 public:
  using SubmissionPtr = std::shared_ptr<const Submission>;
  using Log = std::function<void(const std::string&)>;
  static constexpr std::chrono::milliseconds quiet{1000};
  static constexpr std::uint64_t gathered_max = 8u << 20;
  static constexpr std::size_t pending_max = 4096;
  static constexpr std::chrono::hours pending_age_max{24 * 30};

  // `files`: a folder of the file system that the jobs' folders are on. `log` gets a line when something is
  // wrong with the disk. An entry that is damaged, and those behind it in its generation, are lost; a line
  // says so.
  [[nodiscard]] static Result<std::unique_ptr<SubmissionJournal>> open(const std::string& folder,
                                                                       const std::string& files, Log log);
  ~SubmissionJournal();
  SubmissionJournal(const SubmissionJournal&) = delete;
  SubmissionJournal& operator=(const SubmissionJournal&) = delete;

  // Durable when it returns. limit: pending_max submissions wait for their orders.
  [[nodiscard]] Status add(Submission submission);
  void withdraw(const std::string& key);
  void placed(const std::string& key);
  [[nodiscard]] SubmissionPtr pending(const std::string& key) const;  // null: none
  [[nodiscard]] std::vector<SubmissionPtr> pending() const;
  struct Backlog {
    std::size_t pending = 0;
    std::chrono::steady_clock::time_point last;  // when the newest came or was placed
  };
  [[nodiscard]] Backlog backlog() const;
  // Everything placed so far is durable in its folder and will not be pending again.
  [[nodiscard]] Status checkpoint();

 private:
  using Clock = std::chrono::steady_clock;
  SubmissionJournal(std::string folder, std::string files, Log log);
  Status read_generations();
  Status turn(bool first);
  Status append(const JournalEntry& entry);
  void work();

  const std::string folder_;
  const std::string files_;  // a folder of the jobs' file system
  const Log log_line_;

  std::mutex checkpoint_mutex_;  // one checkpoint at a time; before mutex_
  mutable std::mutex mutex_;     // guards what follows
  std::condition_variable wake_;
  std::map<std::string, SubmissionPtr> pending_;
  std::vector<std::string> generations_;  // folders, oldest first
  std::uint64_t next_generation_ = 0;
  SegmentLog log_;
  bool broken_ = false;  // an append failed: log_ takes no more
  bool dirty_ = false;   // something was placed or withdrawn since the last checkpoint
  std::uint64_t gathered_ = 0;
  Clock::time_point last_;  // add or placed
  bool stopping_ = false;
  std::thread thread_;
};

// Writes what a job's folder lacks of the submission: script (0700), definition.toml, held, and at last
// spec.json, each under a temporary name and renamed, none synced. A file that has other bytes is replaced.
[[nodiscard]] Status place_submission(const Submission& submission, const JobFolder& folder);

}  // namespace ufab::jobs
