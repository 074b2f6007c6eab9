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
#include "jobs/batch/process_tree.h"
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

TEST_F(LocalBatchTest, AForgottenRunIsAsIfItHadNeverBeen) {
  const RunRequest run = request("gone", "echo ran; sleep 0.5\n");
  EXPECT_TRUE(batch_->forget("gone").ok()) << "nobody knows it";
  ASSERT_TRUE(batch_->start(run).ok());
  EXPECT_EQ(batch_->forget("gone").error().code, ErrorCode::conflict);
  wait_for("gone");
  ASSERT_TRUE(batch_->forget("gone").ok());
  EXPECT_EQ(batch_->status("gone").error().code, ErrorCode::not_found);
  EXPECT_TRUE(batch_->list().value().empty());
  ASSERT_TRUE(batch_->start(run).ok());
  EXPECT_EQ(wait_for("gone").result, RunResult::completed);
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

// --- as another user ---

class MappedBatchTest : public LocalBatchTest {
 protected:
  void SetUp() override {
    LocalBatchTest::SetUp();
    const auto user = find_run_user("daemon");
    if (::geteuid() != 0 || !user) GTEST_SKIP() << "needs root and an account 'daemon'";
    user_ = *user;
    ::chmod(folder_.c_str(), 0711);
  }
  // A folder of the user's, with a script in it.
  RunRequest mapped_request(const std::string& name, const std::string& body) {
    RunRequest run = request(name, body);
    ::chmod(run.script.c_str(), 0755);
    run.user = user_;
    run.folder = folder_ + "/" + name + "-run";
    std::filesystem::create_directory(run.folder);
    EXPECT_TRUE(hand_over(run.folder, user_).ok());
    run.output = run.error = run.folder + "/output";
    return run;
  }
  static std::string said(const RunRequest& run) {
    const auto text = read_text_file(run.output, 1 << 20);
    return text.ok() ? *text : text.error().message;
  }
  RunUser user_;
};

TEST_F(MappedBatchTest, AScriptIsItsUserInEveryRespect) {
  const RunRequest run = mapped_request("mapped",
                                        "id -un; id -G; umask; grep -c '^NoNewPrivs:.1' /proc/self/status\n"
                                        "grep '^Cap[EPI]' /proc/self/status | grep -vc 0000000000000000\n"
                                        "kill -0 $PPID 2>/dev/null && echo reached the supervisor\n");
  ASSERT_TRUE(batch_->start(run).ok());
  wait_for("mapped");
  std::string groups = said(run);
  EXPECT_TRUE(groups.starts_with("daemon\n" + std::to_string(user_.gid))) << groups;
  EXPECT_EQ(groups.find(" 0 "), std::string::npos) << groups;
  EXPECT_TRUE(groups.ends_with("\n0077\n1\n0\n")) << groups;
}

TEST_F(MappedBatchTest, CancelReachesItAndTheSupervisorsDeathEndsIt) {
  const RunRequest run = mapped_request("mapped",
                                        "setsid sleep 60 & trap 'echo term; exit' TERM; echo $$; "
                                        "for i in {1..600}; do sleep 0.1; done\n");
  ASSERT_TRUE(batch_->start(run).ok());
  wait_for_text(run.output, "\n");
  ASSERT_TRUE(batch_->cancel("mapped").ok());
  EXPECT_EQ(wait_for("mapped").result, RunResult::cancelled);
  EXPECT_NE(said(run).find("term"), std::string::npos);

  RunRequest lost = mapped_request("lost", "echo $$; exec sleep 60\n");
  ASSERT_TRUE(batch_->start(lost).ok());
  wait_for_text(lost.output, "\n");
  const pid_t script = std::stoi(said(lost));
  ASSERT_EQ(::kill(static_cast<pid_t>(load_status(folder_ + "/batch/lost")->shepherd.pid), SIGKILL), 0);
  EXPECT_EQ(wait_for("lost").result, RunResult::node_fail);
  for (int i = 0; i < 500 && !has_ended(script); ++i) std::this_thread::sleep_for(20ms);
  EXPECT_TRUE(has_ended(script));
}

TEST_F(MappedBatchTest, AUserThatCannotBeHadKeepsTheScriptFromRunning) {
  RunRequest gone = mapped_request("gone", "touch ran\n");
  gone.user->name = "no-such-user";
  RunRequest root = mapped_request("root", "touch ran\n");
  root.user->name = "root";
  RunRequest other = mapped_request("other", "touch ran\n");
  other.user->uid += 1;
  RunRequest shut = mapped_request("shut", "touch ran\n");
  ::chmod(shut.script.c_str(), 0700);
  for (const RunRequest* run : {&gone, &root, &other, &shut}) {
    ASSERT_TRUE(batch_->start(*run).ok());
    const RunStatus status = wait_for(run->name);
    EXPECT_EQ(status.result, RunResult::node_fail) << run->name;
    EXPECT_NE(status.reason, "") << run->name;
    EXPECT_FALSE(file_exists(run->folder + "/ran")) << run->name;
  }
}

TEST_F(MappedBatchTest, APlantedLinkIsNotWrittenThrough) {
  const RunRequest run = mapped_request("planted", "echo written\n");
  std::ofstream(folder_ + "/precious") << "precious";
  ::chmod((folder_ + "/precious").c_str(), 0666);  // even where the user could
  std::filesystem::create_symlink(folder_ + "/precious", run.output);
  ASSERT_TRUE(batch_->start(run).ok());
  EXPECT_EQ(wait_for("planted").result, RunResult::node_fail);
  EXPECT_EQ(read_text_file(folder_ + "/precious", 100).value(), "precious");
}

// --- behind bubblewrap ---

class SandboxedBatchTest : public LocalBatchTest {
 protected:
  void SetUp() override {
    LocalBatchTest::SetUp();
    sandbox_.own_writable = {folder_};
    if (const Status tried = try_sandbox(sandbox_, folder_); !tried.ok())
      GTEST_SKIP() << tried.error().message;
  }
  RunRequest walled(const std::string& name, const std::string& body) {
    RunRequest run = request(name, body);
    run.sandbox = sandbox_;
    return run;
  }
  Sandbox sandbox_;
};

TEST_F(SandboxedBatchTest, AScriptSeesNoOtherProcessAndWritesNowhereElse) {
  ASSERT_TRUE(batch_
                  ->start(walled(
                      "walled",
                      "echo $$; ls /proc | grep -c '^[0-9]'; ls -d /root /home 2>/dev/null | wc -l\n"
                      "kill -0 " +
                          std::to_string(::getpid()) +
                          " 2>/dev/null && echo signalled; touch /usr/x /etc/x /x 2>/dev/null && echo wrote\n"
                          "touch /tmp/x /dev/shm/x here && echo fine\n"))
                  .ok());
  EXPECT_EQ(wait_for("walled").result, RunResult::completed);
  std::string out = output_of("walled");
  EXPECT_TRUE(out.starts_with("2\n")) << out;
  EXPECT_TRUE(out.ends_with("\n0\nfine\n")) << out;
  EXPECT_TRUE(file_exists(folder_ + "/here"));
}

TEST_F(SandboxedBatchTest, TheWarningReachesTheShellAndTheLimitGivesItsGrace) {
  RunRequest run = walled(
      "long",
      "trap 'echo warned' USR1; trap 'echo term' TERM; sleep 60 & for i in {1..200}; do sleep 0.05; done\n");
  run.time_limit_s = 2;
  run.warn_signal = SIGUSR1;
  run.warn_before_s = 1;
  run.warn_shell_only = true;
  ASSERT_TRUE(batch_->start(run).ok());
  const RunStatus status = wait_for("long");
  EXPECT_EQ(status.result, RunResult::timeout);
  EXPECT_NE(output_of("long").find("warned\n"), std::string::npos);
  EXPECT_NE(output_of("long").find("term\n"), std::string::npos);
  EXPECT_GE(status.end_us - status.start_us, 2'900'000);
}

TEST_F(SandboxedBatchTest, CancelEndsWhatLeftTheSessionAndAsksFirst) {
  ASSERT_TRUE(batch_
                  ->start(walled("stray",
                                 "setsid sleep 60 & trap 'echo term; exit 0' TERM; echo ready; "
                                 "for i in {1..600}; do sleep 0.1; done\n"))
                  .ok());
  wait_for_text(folder_ + "/stray.out", "ready");
  ASSERT_TRUE(batch_->cancel("stray").ok());
  EXPECT_EQ(wait_for("stray").result, RunResult::cancelled);
  EXPECT_NE(output_of("stray").find("term"), std::string::npos);
}

TEST_F(SandboxedBatchTest, TimeAndMemoryAreThoseOfEverythingInside) {
  RunRequest run = walled("busy", "(i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done) & wait; exit 7\n");
  ASSERT_TRUE(batch_->start(run).ok());
  const RunStatus status = wait_for("busy");
  EXPECT_EQ(status.exit_code, 7);
  EXPECT_GT(status.cpu_us, 50'000U);
  RunRequest hungry = walled("hungry", "x=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 10\n");
  hungry.memory_limit_mib = 64;
  ASSERT_TRUE(batch_->start(hungry).ok());
  EXPECT_EQ(wait_for("hungry").result, RunResult::out_of_memory);
}

TEST_F(SandboxedBatchTest, ASignalIsReportedAsShellsDo) {
  ASSERT_TRUE(batch_->start(walled("killed", "kill -USR1 $$\n")).ok());
  const RunStatus status = wait_for("killed");
  EXPECT_EQ(status.result, RunResult::failed);
  EXPECT_EQ(status.exit_code, 128 + SIGUSR1);
}

TEST_F(SandboxedBatchTest, TheSupervisorsDeathEndsEverythingInside) {
  ASSERT_TRUE(batch_->start(walled("lost", "setsid sleep 4711 & echo started; sleep 60\n")).ok());
  wait_for_text(folder_ + "/lost.out", "started");
  const pid_t supervisor = static_cast<pid_t>(load_status(folder_ + "/batch/lost")->shepherd.pid);
  std::vector<pid_t> inside;
  for (const ProcessSample& sample : descendants_of(supervisor)) inside.push_back(sample.pid);
  ASSERT_GE(inside.size(), 4U);  // bwrap, its reaper, the shell, sleep
  ASSERT_EQ(::kill(supervisor, SIGKILL), 0);
  EXPECT_EQ(wait_for("lost").result, RunResult::node_fail);
  for (const pid_t process : inside) {
    for (int i = 0; i < 500 && !has_ended(process); ++i) std::this_thread::sleep_for(20ms);
    EXPECT_TRUE(has_ended(process)) << process;
  }
}

TEST_F(SandboxedBatchTest, ASandboxThatCannotBeMadeKeepsTheScriptFromRunning) {
  RunRequest run = walled("shut", "touch ran\n");
  run.sandbox->own_readable = {folder_ + "/not-there"};
  ASSERT_TRUE(batch_->start(run).ok());
  const RunStatus status = wait_for("shut");
  EXPECT_EQ(status.result, RunResult::node_fail);
  EXPECT_NE(status.reason.find("bubblewrap makes no sandbox here"), std::string::npos) << status.reason;
  EXPECT_FALSE(file_exists(folder_ + "/ran"));
}

}  // namespace
}  // namespace ufab::jobs
