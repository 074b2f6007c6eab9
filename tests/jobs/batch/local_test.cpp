// Drives the real supervisor program with real scripts.
#include "jobs/batch/local.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "fabric/base/file.h"
#include "jobs/batch/run_files.h"

namespace ufab::jobs {
namespace {

using namespace std::chrono_literals;

class LocalBatchTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ufab-batch-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    batch_ = make_local_batch(config()).value();
  }
  void TearDown() override {
    const auto names = batch_->list();
    for (const std::string& name : names.value()) {
      EXPECT_TRUE(batch_->cancel(name).ok());
      wait_for(name);
    }
    std::filesystem::remove_all(folder_);
  }

  [[nodiscard]] LocalBatchConfig config() const { return {folder_ + "/batch", UFAB_SHEPHERD, 2}; }

  RunRequest request(const std::string& name, const std::string& body) {
    RunRequest request;
    request.name = name;
    request.script = folder_ + "/" + name + ".sh";
    std::ofstream(request.script) << "#!/bin/bash\n" << body;
    ::chmod(request.script.c_str(), 0700);
    request.folder = folder_;
    request.input = "/dev/null";
    request.output = request.error = folder_ + "/" + name + ".out";
    request.environment = {{"PATH", "/usr/bin:/bin"}, {"COLOUR", "blue green"}};
    request.grace_s = 1;
    return request;
  }

  RunStatus wait_for(const std::string& name) {
    const auto give_up = std::chrono::steady_clock::now() + 20s;
    for (;;) {
      batch_->tick();
      const RunStatus status = batch_->status(name).value();
      if (status.state == RunState::ended) return status;
      if (std::chrono::steady_clock::now() > give_up) {
        ADD_FAILURE() << name << " did not end";
        return status;
      }
      std::this_thread::sleep_for(20ms);
    }
  }

  void wait_for_text(const std::string& path, const std::string& text) {
    for (int i = 0; i < 500; ++i) {
      const auto content = read_text_file(path, 1 << 20);
      if (content.ok() && content->find(text) != std::string::npos) return;
      std::this_thread::sleep_for(20ms);
    }
    ADD_FAILURE() << path << " never held " << text;
  }

  std::string output_of(const std::string& name) {
    return read_text_file(folder_ + "/" + name + ".out", 1 << 20).value();
  }

  std::string folder_;
  std::unique_ptr<BatchSystem> batch_;
};

TEST_F(LocalBatchTest, AScriptThatIsNotTheSignedOneDoesNotRun) {
  RunRequest changed = request("changed", "touch ran-changed\n");
  changed.script_digest = sha256_file(changed.script).value();
  std::ofstream(changed.script, std::ios::app) << "# one line more\n";
  ASSERT_TRUE(batch_->start(changed).ok());
  const RunStatus status = wait_for("changed");
  EXPECT_EQ(status.result, RunResult::failed);
  EXPECT_EQ(status.exit_code, 126);
  EXPECT_FALSE(file_exists(folder_ + "/ran-changed"));

  RunRequest signed_one = request("signed", "touch ran-signed\n");
  signed_one.script_digest = sha256_file(signed_one.script).value();
  ASSERT_TRUE(batch_->start(signed_one).ok());
  EXPECT_EQ(wait_for("signed").result, RunResult::completed);
  EXPECT_TRUE(file_exists(folder_ + "/ran-signed"));
}

TEST_F(LocalBatchTest, AScriptRunsWithItsEnvironmentArgumentsAndFiles) {
  RunRequest run = request("hello", "echo \"$COLOUR $1 ${HOME-unset}\"; pwd; exit 0\n");
  run.arguments = {"first word"};
  ASSERT_TRUE(batch_->start(run).ok());
  const RunStatus status = wait_for("hello");
  EXPECT_EQ(status.result, RunResult::completed);
  EXPECT_EQ(output_of("hello"), "blue green first word unset\n" + folder_ + "\n");
  EXPECT_GE(status.end_us, status.start_us);
}

TEST_F(LocalBatchTest, ExitCodeAndSignalAreRecorded) {
  ASSERT_TRUE(batch_->start(request("seven", "exit 7\n")).ok());
  ASSERT_TRUE(batch_->start(request("killed", "kill -USR1 $$\n")).ok());
  const RunStatus seven = wait_for("seven");
  EXPECT_EQ(seven.result, RunResult::failed);
  EXPECT_EQ(seven.exit_code, 7);
  const RunStatus killed = wait_for("killed");
  EXPECT_EQ(killed.result, RunResult::failed);
  EXPECT_EQ(killed.signal, SIGUSR1);
  EXPECT_EQ(killed.reason, "ended by SIGUSR1");
}

TEST_F(LocalBatchTest, AScriptStartsWithEverySignalAtItsDefault) {
  ::signal(SIGPIPE, SIG_IGN);  // as a node does
  ASSERT_TRUE(
      batch_
          ->start(request("signals",
                          "trap 'echo hup' HUP; kill -HUP $$; yes | head -n 1; echo ${PIPESTATUS[0]}\n"))
          .ok());
  EXPECT_EQ(wait_for("signals").result, RunResult::completed);
  ::signal(SIGPIPE, SIG_DFL);
  EXPECT_EQ(output_of("signals"), "hup\ny\n" + std::to_string(128 + SIGPIPE) + "\n");
}

TEST_F(LocalBatchTest, TheTimeLimitIsTermThenKill) {
  RunRequest run = request(
      "long", "trap 'echo warned' USR1; trap 'echo term' TERM; for i in {1..200}; do sleep 0.05; done\n");
  run.time_limit_s = 2;
  run.warn_signal = SIGUSR1;
  run.warn_before_s = 1;
  run.warn_shell_only = true;
  ASSERT_TRUE(batch_->start(run).ok());
  const RunStatus status = wait_for("long");
  EXPECT_EQ(status.result, RunResult::timeout);
  EXPECT_EQ(status.signal, SIGKILL);
  EXPECT_NE(output_of("long").find("warned\n"), std::string::npos);
  EXPECT_NE(output_of("long").find("term\n"), std::string::npos);
  EXPECT_GE(status.end_us - status.start_us, 2'900'000);
}

TEST_F(LocalBatchTest, TheMemoryLimitEndsTheRun) {
  RunRequest run = request("hungry", "x=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 10\n");
  run.memory_limit_mib = 64;
  ASSERT_TRUE(batch_->start(run).ok());
  const RunStatus status = wait_for("hungry");
  EXPECT_EQ(status.result, RunResult::out_of_memory);
  EXPECT_GT(status.max_rss_kib, 64U * 1024);
}

TEST_F(LocalBatchTest, CancelEndsDescendantsThatLeftTheSession) {
  const std::string pid_file = folder_ + "/stray.pid";
  ASSERT_TRUE(
      batch_->start(request("stray", "setsid sleep 60 & echo $! > " + pid_file + "; echo ready; wait\n"))
          .ok());
  wait_for_text(folder_ + "/stray.out", "ready");
  ASSERT_TRUE(batch_->cancel("stray").ok());
  EXPECT_EQ(wait_for("stray").result, RunResult::cancelled);
  const pid_t stray = std::stoi(read_text_file(pid_file, 64).value());
  EXPECT_NE(::kill(stray, 0), 0);
}

TEST_F(LocalBatchTest, WhatAScriptLeavesRunningIsEndedAndItsTimeCounted) {
  ASSERT_TRUE(batch_->start(request("orphan", "(while :; do :; done) & sleep 0.3; exit 0\n")).ok());
  const RunStatus status = wait_for("orphan");
  EXPECT_EQ(status.result, RunResult::completed);
  EXPECT_GT(status.cpu_us, 50'000U);
}

TEST_F(LocalBatchTest, TheLimitOfAScriptThatHasEndedIsNoFailure) {
  // The straggler ignores TERM, so the time limit passes while it is being ended.
  RunRequest run = request("straggler", "(trap '' TERM; exec sleep 60) & sleep 0.2; exit 0\n");
  run.time_limit_s = 1;
  run.grace_s = 2;
  ASSERT_TRUE(batch_->start(run).ok());
  const RunStatus status = wait_for("straggler");
  EXPECT_EQ(status.result, RunResult::completed);
  EXPECT_EQ(status.reason, "");
}

TEST_F(LocalBatchTest, StartingANameTwiceRunsItOnce) {
  const RunRequest run = request("once", "echo ran\n");
  ASSERT_TRUE(batch_->start(run).ok());
  ASSERT_TRUE(batch_->start(run).ok());
  wait_for("once");
  ASSERT_TRUE(batch_->start(run).ok());
  EXPECT_EQ(output_of("once"), "ran\n");
}

TEST_F(LocalBatchTest, RunsWaitForFreeSlotsInOrder) {
  RunRequest wide = request("wide", "sleep 0.3; date +%s%N\n");
  wide.slots = 2;
  RunRequest next = request("next", "date +%s%N\n");
  ASSERT_TRUE(batch_->start(wide).ok());
  ASSERT_TRUE(batch_->start(next).ok());
  EXPECT_EQ(batch_->status("next").value().state, RunState::pending);
  wait_for("next");
  EXPECT_LT(output_of("wide"), output_of("next"));
  RunRequest too_wide = request("toowide", "true\n");
  too_wide.slots = 3;
  EXPECT_EQ(batch_->start(too_wide).error().code, ErrorCode::limit);
}

TEST_F(LocalBatchTest, AnotherProcessAdoptsARunByItsName) {
  ASSERT_TRUE(batch_->start(request("kept", "sleep 0.4; echo done\n")).ok());
  batch_ = make_local_batch(config()).value();  // what a restarted node does
  EXPECT_EQ(batch_->status("kept").value().state, RunState::running);
  EXPECT_EQ(wait_for("kept").result, RunResult::completed);
}

// Gone, or a zombie that nobody has collected yet.
bool has_ended(pid_t process) {
  const auto stat = read_text_file("/proc/" + std::to_string(process) + "/stat", 4096);
  return !stat.ok() || stat->find(") Z ") != std::string::npos;
}

TEST_F(LocalBatchTest, AVanishedSupervisorIsReportedAndTakesItsScriptAlong) {
  ASSERT_TRUE(batch_->start(request("lost", "echo $$; sleep 60\n")).ok());
  wait_for_text(folder_ + "/lost.out", "\n");
  const auto file = load_status(folder_ + "/batch/lost").value();
  const pid_t script = std::stoi(output_of("lost"));
  ASSERT_EQ(::kill(static_cast<pid_t>(file.shepherd.pid), SIGKILL), 0);
  const RunStatus status = wait_for("lost");
  EXPECT_EQ(status.result, RunResult::node_fail);
  for (int i = 0; i < 500 && !has_ended(script); ++i) std::this_thread::sleep_for(20ms);
  EXPECT_TRUE(has_ended(script));
  ::kill(-script, SIGKILL);  // the rest of its process group has no supervisor any more
}

}  // namespace
}  // namespace ufab::jobs
