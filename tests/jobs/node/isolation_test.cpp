// Settings of isolation, and the folder that an isolated run is given.
#include "jobs/node/isolation.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fabric/base/file.h"
#include "jobs/node/run_place.h"

namespace ufab::jobs {
namespace {

namespace fs = std::filesystem;

TEST(RunAs, NamesADefaultAndOrganisationsOfTheirOwn) {
  IsolationConfig config;
  EXPECT_EQ(config.user_for("alice-lab"), "");
  ASSERT_TRUE(apply_run_as("fabric", config).ok());
  ASSERT_TRUE(apply_run_as("alice-lab=alice", config).ok());
  EXPECT_EQ(config.user_for("alice-lab"), "alice");
  EXPECT_EQ(config.user_for("bob-lab"), "fabric");
  EXPECT_EQ(config.all_users(), (std::vector<std::string>{"fabric", "alice"}));
  ASSERT_TRUE(apply_run_as("alice-lab=", config).ok());
  EXPECT_EQ(config.user_for("alice-lab"), "fabric");
  ASSERT_TRUE(apply_run_as("none", config).ok());
  EXPECT_EQ(config, IsolationConfig{});
  for (const char* wrong : {"", "=alice", "Alice Lab=alice", "-x=alice"}) {
    const Status status = apply_run_as(wrong, config);
    ASSERT_FALSE(status.ok()) << wrong;
    EXPECT_EQ(status.error().code, ErrorCode::usage) << wrong;
  }
  EXPECT_EQ(config, IsolationConfig{});
}

TEST(RunAs, AnOrganisationWithoutAUserIsTheNodesOwnAndAWrongUserIsNever) {
  IsolationConfig config;
  EXPECT_FALSE(run_user_for(config, "alice-lab").value().has_value());
  config.users["alice-lab"] = "root";
  EXPECT_FALSE(run_user_for(config, "alice-lab").ok());
  config.users["alice-lab"] = "no-such-user";
  EXPECT_FALSE(run_user_for(config, "alice-lab").ok());
  EXPECT_FALSE(run_user_for(config, "bob-lab").value().has_value());
}

class RunPlaceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ufab-place-XXXXXX";
    base_ = ::mkdtemp(pattern.data());
    context_.emplace(NodeContext{Home(base_ + "/home"),
                                 {},
                                 nullptr,
                                 nullptr,
                                 nullptr,
                                 "/opt/ufab/bin/ufab-train",
                                 "/opt/ufab/bin",
                                 {}});
    context_->config.provider.emplace().isolation.bubblewrap = true;
    fs::create_directories(folder().path() + "/attempt-1");
    fs::create_directories(folder().path() + "/attempt-2");
    write(folder().script(), "#!/bin/sh\n");
  }
  void TearDown() override { fs::remove_all(base_); }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  [[nodiscard]] JobFolder folder() const { return JobFolder(context_->home, 7); }
  [[nodiscard]] RunPlace prepare(std::uint32_t attempt) {
    return prepare_run_place(*context_, 7, attempt, std::nullopt, std::nullopt).value();
  }
  [[nodiscard]] static std::string text_of(const JobFile& file) {
    const auto text = read_foreign_text(file.folder, file.name, 1000);
    return text.ok() ? *text : error_code_name(text.error().code);
  }
  std::string base_;
  std::optional<NodeContext> context_;
};

TEST_F(RunPlaceTest, LiesOutsideTheHomeAndIsFoundThroughIt) {
  EXPECT_EQ(folder().run(1), folder().attempt(1));
  EXPECT_EQ(folder().run(), folder().path());
  const RunPlace place = prepare(1);
  EXPECT_EQ(place.folder, base_ + "/home-runs/job-7-1");
  EXPECT_EQ(folder().run(), place.folder);
  EXPECT_EQ(folder().run(1), place.folder);
  EXPECT_EQ(folder().run(2), folder().attempt(2));
  write(place.output(), "said");
  write(place.out() + "/log.jsonl", "line");
  EXPECT_EQ(text_of(folder().output()), "said");
  EXPECT_EQ(text_of(folder().written(1, "log.jsonl")), "line");
  struct stat info {};
  ASSERT_EQ(::stat((base_ + "/home-runs").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0711U);
  ASSERT_EQ(::stat(place.folder.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700U);
}

TEST_F(RunPlaceTest, IsMadeOnceAndMadeAnewWhenItWasOnlyBegun) {
  const RunPlace place = prepare(1);
  write(place.out() + "/log.jsonl", "line");
  EXPECT_EQ(prepare(1).folder, place.folder);
  EXPECT_EQ(text_of(folder().written(1, "log.jsonl")), "line");
  // A node that died before it made the link: nothing has been started.
  fs::remove(folder().attempt(1) + "/run");
  write(place.output(), "taken from an earlier attempt");
  EXPECT_EQ(prepare(1).folder, place.folder);
  EXPECT_FALSE(file_exists(place.out() + "/log.jsonl"));
  EXPECT_EQ(text_of(folder().output()), "taken from an earlier attempt");
}

TEST_F(RunPlaceTest, TheOutputOfAnEarlierAttemptGoesOn) {
  write(prepare(1).output(), "first");
  const RunPlace second = prepare(2);
  EXPECT_EQ(text_of(folder().output()), "first");
  EXPECT_EQ(folder().run(), second.folder);
}

TEST_F(RunPlaceTest, WhatAnEarlierAttemptPlantedIsNotTakenOver) {
  write(base_ + "/secret", "secret");
  const RunPlace first = prepare(1);
  fs::remove(first.output());
  fs::create_symlink(base_ + "/secret", first.output());
  fs::remove(first.error());
  ASSERT_EQ(::mkfifo(first.error().c_str(), 0600), 0);
  EXPECT_EQ(text_of(folder().output()), "denied");
  EXPECT_EQ(text_of(folder().error()), "denied");
  const RunPlace second = prepare(2);
  EXPECT_EQ(text_of(folder().output()), "");
  EXPECT_EQ(text_of(folder().error()), "");
  EXPECT_EQ(read_text_file(base_ + "/secret", 100).value(), "secret");
}

TEST_F(RunPlaceTest, AHardLinkToAFileOfTheNodeIsNotGivenAway) {
  write(base_ + "/secret", "secret");
  const RunPlace first = prepare(1);
  fs::remove(first.output());
  fs::create_hard_link(base_ + "/secret", first.output());
  EXPECT_NE(prepare(2).folder, first.folder);
  EXPECT_EQ(text_of(folder().output()), "");
  EXPECT_EQ(read_text_file(base_ + "/secret", 100).value(), "secret");
}

TEST_F(RunPlaceTest, NoPublicNameLeadsThroughWhatWasPlanted) {
  const RunPlace place = prepare(1);
  fs::create_directories(base_ + "/elsewhere/checkpoints");
  write(base_ + "/elsewhere/log.jsonl", "secret");
  write(base_ + "/elsewhere/windows.jsonl", "secret");
  write(base_ + "/elsewhere/checkpoints/step-00000010.h5", "secret");
  fs::remove_all(place.out());
  fs::create_symlink(base_ + "/elsewhere", place.out());
  for (const char* name : {"log:1", "windows:1", "checkpoint:1:10", "contributions:1:0"})
    EXPECT_FALSE(resolve_job_file(context_->home, 7, name).ok()) << name;
}

TEST_F(RunPlaceTest, AFolderOfRunsThatOthersMayWriteToIsRefused) {
  fs::create_directory(base_ + "/open");
  ASSERT_EQ(::chmod((base_ + "/open").c_str(), 0777), 0);
  context_->config.provider->isolation.run_folder = base_ + "/open";
  const auto place = prepare_run_place(*context_, 7, 1, std::nullopt, std::nullopt);
  ASSERT_FALSE(place.ok());
  EXPECT_EQ(place.error().code, ErrorCode::denied);
}

TEST_F(RunPlaceTest, ARunOfAnotherUserOwnsItsFolderAndNotItsScript) {
  const auto user = find_run_user("daemon");
  if (::geteuid() != 0 || !user) GTEST_SKIP() << "needs root and an account 'daemon'";
  const RunPlace place = prepare_run_place(*context_, 7, 1, *user, std::nullopt).value();
  struct stat info {};
  for (const std::string& path : {place.folder, place.output(), place.error(), place.out()}) {
    ASSERT_EQ(::lstat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, user->uid) << path;
  }
  ASSERT_EQ(::lstat(place.script().c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0U);
  EXPECT_EQ(info.st_mode & 0777, 0555U);
}

TEST(MoveEnvironment, LeavesNothingOfTheNodesUser) {
  std::map<std::string, std::string> e{{"UFAB_OUT", "/h/jobs/7/attempt-1/out"},
                                       {"HOME", "/root"},
                                       {"USER", "root"},
                                       {"LOGNAME", "root"},
                                       {"SHELL", "/bin/zsh"},
                                       {"TMPDIR", "/root/tmp"}};
  const RunPlace place{"/runs/job-7-1"};
  auto mapped = e;
  move_environment(mapped, place, RunUser{"fabric", 990, 990, "/home/fabric", "/bin/sh"}, false, false);
  EXPECT_EQ(mapped.at("UFAB_OUT"), "/runs/job-7-1/out");
  EXPECT_FALSE(mapped.contains("UFAB_DATA"));  // an ordinary script has no corpus
  EXPECT_EQ(mapped.at("HOME"), "/home/fabric");
  EXPECT_EQ(mapped.at("USER") + mapped.at("LOGNAME") + mapped.at("SHELL"), "fabricfabric/bin/sh");
  EXPECT_FALSE(mapped.contains("TMPDIR"));
  EXPECT_EQ(mapped.at("SLURM_SUBMIT_DIR"), "/runs/job-7-1");
  auto walled = e;
  move_environment(walled, place, std::nullopt, true, true);
  EXPECT_EQ(walled.at("HOME"), "/runs/job-7-1");
  EXPECT_EQ(walled.at("TMPDIR"), "/tmp");
  EXPECT_EQ(walled.at("USER"), "root");
  EXPECT_FALSE(walled.contains("SLURM_SUBMIT_DIR"));  // the submitter's stays
}

}  // namespace
}  // namespace ufab::jobs
