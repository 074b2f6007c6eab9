// The journal of submissions: nothing acknowledged is lost to kill -9 at any write, or to a power failure
// that takes what was not synced.
#include "jobs/node/submission_journal.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "fabric/base/file.h"
#include "jobs/node/job_files.h"
#include "tests/accounting/support/crash.h"
#include "tests/accounting/support/folder.h"

namespace ufab::jobs {
namespace {

namespace fs = std::filesystem;
using test::Folder;

Submission submission_of(const std::string& key) {
  Submission submission;
  submission.key = key;
  submission.held = key.size() % 2 == 0;
  submission.specification = "{\"name\":\"" + key + "\"}\n";
  const std::string script = "#!/bin/sh\necho " + key + "\n";
  submission.script.assign(script.begin(), script.end());
  return submission;
}

struct Place {
  explicit Place(const Folder& folder, const std::string& name = "outbox")
      : outbox(folder.path(name)), jobs(folder.path("jobs")) {
    fs::create_directories(jobs);
  }
  [[nodiscard]] std::unique_ptr<SubmissionJournal> open() const {
    auto journal =
        SubmissionJournal::open(outbox, jobs, [this](const std::string& line) { lines.push_back(line); });
    EXPECT_TRUE(journal.ok()) << journal.error().message;
    return std::move(journal).value();
  }
  // What a machine that lost its power right now would find.
  [[nodiscard]] std::set<std::string> pending_after_a_crash(const Folder& folder) const {
    const std::string copy = folder.path("crashed");
    fs::remove_all(copy);
    fs::copy(outbox, copy, fs::copy_options::recursive);
    const auto journal = SubmissionJournal::open(copy, jobs, {});
    EXPECT_TRUE(journal.ok()) << journal.error().message;
    std::set<std::string> keys;
    for (const auto& submission : (*journal)->pending()) {
      keys.insert(submission->key);
      Submission expected = submission_of(submission->key);
      expected.time_us = submission->time_us;
      EXPECT_EQ(*submission, expected);
    }
    return keys;
  }
  std::string outbox, jobs;
  mutable std::vector<std::string> lines;
};

std::size_t generations(const std::string& outbox) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(outbox), fs::directory_iterator{}));
}

TEST(SubmissionJournal, WhatWasAddedIsPendingAfterACrashUntilItsFilesAreDurable) {
  const Folder folder;
  const Place place(folder);
  const auto journal = place.open();
  ASSERT_TRUE(journal->add(submission_of("a")).ok());
  ASSERT_TRUE(journal->add(submission_of("bb")).ok());
  EXPECT_EQ(place.pending_after_a_crash(folder), (std::set<std::string>{"a", "bb"}));
  EXPECT_NE(journal->pending("a"), nullptr);
  journal->placed("a");
  EXPECT_EQ(journal->pending("a"), nullptr);
  EXPECT_EQ(place.pending_after_a_crash(folder), (std::set<std::string>{"a", "bb"}))
      << "nothing was synced yet";
  ASSERT_TRUE(journal->checkpoint().ok());
  EXPECT_EQ(place.pending_after_a_crash(folder), (std::set<std::string>{"bb"}));
  EXPECT_EQ(generations(place.outbox), 1U);
  journal->withdraw("bb");
  EXPECT_EQ(place.pending_after_a_crash(folder), std::set<std::string>{});
  EXPECT_TRUE(place.lines.empty());
}

TEST(SubmissionJournal, ItsOwnThreadLetsGoWhatWasPlacedAMomentAfterTheLast) {
  const Folder folder;
  const Place place(folder);
  const auto journal = place.open();
  ASSERT_TRUE(journal->add(submission_of("a")).ok());
  journal->placed("a");
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!place.pending_after_a_crash(folder).empty() && std::chrono::steady_clock::now() < give_up)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(place.pending_after_a_crash(folder).empty());
}

TEST(SubmissionJournal, ALaterEntryOfAKeyReplacesTheEarlier) {
  const Folder folder;
  const Place place(folder);
  {
    const auto journal = place.open();
    ASSERT_TRUE(journal->add(submission_of("a")).ok());
    Submission second = submission_of("a");
    second.specification = "{}";
    ASSERT_TRUE(journal->add(second).ok());
  }
  const auto journal = place.open();
  ASSERT_EQ(journal->pending().size(), 1U);
  EXPECT_EQ(journal->pending("a")->specification, "{}");
}

// Any mixture of calls and crashes against a model of what may be lost: only what was placed or withdrawn.
RC_GTEST_PROP(SubmissionJournal, NothingIsLostThatWasNotPlacedOrWithdrawn, ()) {
  const Folder folder(test::memory_folder());
  const Place place(folder);
  auto journal = place.open();
  std::set<std::string> must, may;
  const auto check = [&] {
    const auto pending = place.pending_after_a_crash(folder);
    for (const std::string& key : must) RC_ASSERT(pending.contains(key));
    for (const std::string& key : pending) RC_ASSERT(must.contains(key) || may.contains(key));
  };
  const auto steps = *rc::gen::resize(
      25, rc::gen::container<std::vector<std::uint8_t>>(rc::gen::inRange<std::uint8_t>(0, 25)));
  for (const std::uint8_t step : steps) {
    const std::string key(1 + step / 5u, static_cast<char>('a' + step / 5));
    switch (step % 5) {
      case 0:
        RC_ASSERT(journal->add(submission_of(key)).ok());
        must.insert(key);
        break;
      case 1:
        if (must.erase(key) != 0) may.insert(key);
        journal->placed(key);
        break;
      case 2:
        must.erase(key);
        journal->withdraw(key);
        break;
      case 3:
        RC_ASSERT(journal->checkpoint().ok());
        may.clear();
        break;
      default:
        check();
        journal.reset();
        journal = place.open();
        break;
    }
  }
  check();
}

// Adds, places, withdraws; a byte into `pipe` for each submission that was acknowledged.
void work(const Place& place, int pipe) {
  const auto journal = SubmissionJournal::open(place.outbox, place.jobs, {});
  if (!journal.ok()) return;
  for (char name = 'a'; name < 'g'; ++name) {
    if (!(*journal)->add(submission_of(std::string(1, name))).ok()) return;
    if (::write(pipe, &name, 1) != 1) return;
    if (name == 'b') (*journal)->withdraw("b");
    if (name == 'c' && !(*journal)->checkpoint().ok()) return;
    if (name == 'd') {
      (*journal)->placed("a");
      if (!(*journal)->checkpoint().ok()) return;
    }
  }
}

TEST(SubmissionJournal, KillingItAtAnyOfItsWritesLosesNothingAcknowledged) {
  bool finished = false;
  int deaths = 0;
  for (std::uint64_t at = 1; !finished && at < 300; ++at) {
    const Folder folder(test::memory_folder());
    const Place place(folder);
    const test::CrashRun run = test::crash_at(at, [&](int pipe) { work(place, pipe); });
    finished = run.finished;
    if (!finished) ++deaths;
    const auto journal = place.open();
    for (const char name : run.acknowledged) {
      const std::string key(1, name);
      if (key == "a" && run.acknowledged.find('d') != std::string::npos) continue;  // may have been let go
      if (key == "b") continue;                                                     // was withdrawn
      EXPECT_NE(journal->pending(key), nullptr) << key << " at write " << at;
    }
    EXPECT_TRUE(journal->add(submission_of("later")).ok()) << "at write " << at;
  }
  EXPECT_TRUE(finished);
  EXPECT_GT(deaths, 15);
}

TEST(SubmissionJournal, ADamagedEntryIsReportedAndThoseBeforeItAreKept) {
  const Folder folder;
  const Place place(folder);
  std::string segment;
  {
    const auto journal = place.open();
    ASSERT_TRUE(journal->add(submission_of("a")).ok());
    ASSERT_TRUE(journal->add(submission_of("b")).ok());
    for (const auto& file : fs::recursive_directory_iterator(place.outbox))
      if (file.is_regular_file()) segment = file.path().string();
  }
  const auto size = fs::file_size(segment);
  std::fstream(segment, std::ios::in | std::ios::out | std::ios::binary)
      .seekp(static_cast<std::streamoff>(size) - 5)
      .put('!');
  const auto journal = place.open();
  EXPECT_NE(journal->pending("a"), nullptr);
  EXPECT_EQ(journal->pending("b"), nullptr);
  ASSERT_EQ(place.lines.size(), 1U);
  EXPECT_NE(place.lines[0].find("2 entries before it"), std::string::npos) << place.lines[0];
}

TEST(SubmissionJournal, TooMuchAtOnceIsRefused) {
  const Folder folder;
  const Place place(folder);
  const auto journal = place.open();
  Submission large = submission_of("a");
  large.script.resize((8u << 20) + 1);
  EXPECT_EQ(journal->add(large).error().code, ErrorCode::limit);
  EXPECT_EQ(journal->pending("a"), nullptr);
}

JobFolder job_folder(const Folder& folder) {
  return {Home(folder.path("home")), 7};
}

std::string content_of(const std::string& path) {
  return read_text_file(path, 1 << 20).value();
}

TEST(PlaceSubmission, WritesWhatAJobNeedsAndRepairsWhatAPowerFailureTook) {
  const Folder folder;
  const JobFolder job = job_folder(folder);
  Submission submission = submission_of("ab");
  submission.definition = {'x', '\n'};
  const auto check = [&] {
    EXPECT_EQ(content_of(job.spec()), submission.specification);
    EXPECT_EQ(as_bytes(content_of(job.script())).size(), submission.script.size());
    EXPECT_EQ(content_of(job.definition()), "x\n");
    EXPECT_EQ(content_of(job.held()), "");
    struct stat info {};
    ASSERT_EQ(::stat(job.script().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777u, 0700u);
    ASSERT_EQ(::stat(job.spec().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777u, 0600u) << "it holds the submitter's environment";
  };
  ASSERT_TRUE(place_submission(submission, job).ok());
  check();
  std::ofstream(job.spec(), std::ios::trunc).flush();
  std::ofstream(job.script(), std::ios::trunc) << "half";
  fs::remove(job.held());
  ASSERT_TRUE(place_submission(submission, job).ok());
  check();
  // What is right is left as it is.
  const auto written = fs::last_write_time(job.spec());
  ASSERT_TRUE(place_submission(submission, job).ok());
  EXPECT_EQ(fs::last_write_time(job.spec()), written);
}

TEST(JournalEntry, HasItsGoldenBytesAndRefusesOthers) {
  JournalEntry entry{JournalEntry::Kind::submission, submission_of("key-1")};
  entry.submission.time_us = 1'800'000'000'000'000;
  entry.submission.held = true;
  const Bytes bytes = encode_journal_entry(entry);
  const std::string golden = content_of(UFAB_GOLDEN "/submission.hex");
  EXPECT_EQ(to_hex(bytes) + "\n", golden);
  const auto decoded = decode_journal_entry(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->submission, entry.submission);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_journal_entry(ByteView(bytes).first(size)).ok()) << size;
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(decode_journal_entry(longer).ok());
  Bytes unknown = bytes;
  unknown[0] = 3;
  EXPECT_FALSE(decode_journal_entry(unknown).ok());
  JournalEntry nameless;
  nameless.kind = JournalEntry::Kind::withdrawn;
  EXPECT_FALSE(decode_journal_entry(encode_journal_entry(nameless)).ok());
}

}  // namespace
}  // namespace ufab::jobs
