// The pure parts of isolation: bwrap's command line and the request that carries it; and who may be run as.
#include "jobs/batch/sandbox.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "jobs/batch/run_files.h"

namespace ufab::jobs {
namespace {

using Words = std::vector<std::string>;

// Where these words stand one behind the other; -1: nowhere.
std::ptrdiff_t position(const Words& words, const Words& some) {
  const auto found = std::search(words.begin(), words.end(), some.begin(), some.end());
  return found == words.end() ? -1 : found - words.begin();
}

class SandboxWords : public testing::Test {
 protected:
  [[nodiscard]] Words words(const std::string& folder = "/runs/job-7-1") const {
    return sandbox_words(sandbox_, host_, folder);
  }
  SandboxHost host_{{"/usr", "/etc/passwd"}, {{"/bin", "usr/bin"}}, {"/dev/nvidia0"}, false};
  Sandbox sandbox_{
      {},  {}, {"/home/ada/.ufab", "/runs"}, {"/runs/job-7-1"}, {"/opt/ufab/bin", "/runs/job-7-1/input"},
      true};
};

TEST_F(SandboxWords, ShowTheSystemReadOnlyAndNothingElseOfTheMachine) {
  const Words all = words();
  EXPECT_EQ(all.front(), "bwrap");
  EXPECT_EQ(all.back(), "--");
  for (const char* word :
       {"--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc", "--unshare-user"})
    EXPECT_GE(position(all, {word}), 0) << word;
  for (const Words& some :
       {Words{"--ro-bind", "/usr", "/usr"}, Words{"--symlink", "usr/bin", "/bin"}, Words{"--cap-drop", "ALL"},
        Words{"--dev-bind-try", "/dev/nvidia0", "/dev/nvidia0"}, Words{"--tmpfs", "/tmp"},
        Words{"--proc", "/proc"}, Words{"--dev", "/dev"}})
    EXPECT_GE(position(all, some), 0) << some[1];
  EXPECT_EQ(position(all, {"--remount-ro", "/", "--chdir", "/runs/job-7-1", "--"}),
            static_cast<std::ptrdiff_t>(all.size()) - 5);
  // The only thing that it may write to.
  EXPECT_EQ(std::count(all.begin(), all.end(), "--bind"), 1);
  EXPECT_GE(position(all, {"--bind", "/runs/job-7-1", "/runs/job-7-1"}), 0);
}

TEST_F(SandboxWords, AskForNoUserNamespaceAsRoot) {
  host_.root = true;
  EXPECT_EQ(position(words(), {"--unshare-user"}), -1);
  EXPECT_GE(position(words(), {"--cap-drop", "ALL"}), 0);
}

TEST_F(SandboxWords, CutTheNetworkOnlyWhereTold) {
  EXPECT_EQ(position(words(), {"--unshare-net"}), -1);
  sandbox_.network = false;
  EXPECT_GE(position(words(), {"--unshare-net"}), 0);
}

TEST_F(SandboxWords, LayTheInputsOverTheFolderThatMayBeWritten) {
  const Words all = words();
  EXPECT_LT(position(all, {"--bind", "/runs/job-7-1"}), position(all, {"--ro-bind", "/runs/job-7-1/input"}));
}

TEST_F(SandboxWords, HideWhatAFolderOfTheSubmitterWouldUncover) {
  EXPECT_EQ(position(words(), {"--tmpfs", "/home/ada/.ufab"}), -1);  // not seen anyway
  sandbox_.writable = {"/home/ada"};
  const Words all = words("/home/ada");
  const auto shown = position(all, {"--bind", "/home/ada", "/home/ada"});
  const auto hidden = position(all, {"--tmpfs", "/home/ada/.ufab"});
  EXPECT_GE(shown, 0);
  EXPECT_GT(hidden, shown);
  EXPECT_EQ(position(all, {"--tmpfs", "/runs"}), -1);
  EXPECT_GE(position(all, {"--chdir", "/home/ada", "--"}), 0);
  EXPECT_GT(position(all, {"--remount-ro", "/home/ada/.ufab"}), hidden);
  // Neither by its beginning alone.
  sandbox_.writable = {"/home/ada/.ufa"};
  EXPECT_EQ(position(words(), {"--tmpfs", "/home/ada/.ufab"}), -1);
}

TEST_F(SandboxWords, BringTheRunsOwnFolderBackBehindTheHiding) {
  sandbox_.readable = {"/runs"};
  const Words all = words();
  EXPECT_LT(position(all, {"--ro-bind", "/runs", "/runs"}), position(all, {"--tmpfs", "/runs"}));
  EXPECT_LT(position(all, {"--tmpfs", "/runs"}), position(all, {"--bind", "/runs/job-7-1"}));
}

TEST(SandboxHostTest, NamesNoFolderWithSecrets) {
  const SandboxHost host = look_at_host();
  for (const char* secret :
       {"/etc", "/root", "/home", "/var", "/run", "/", "/etc/shadow", "/etc/ssh", "/etc/munge"})
    EXPECT_EQ(std::count(host.shown.begin(), host.shown.end(), secret), 0) << secret;
  EXPECT_GE(std::count(host.shown.begin(), host.shown.end(), "/usr"), 1);
}

TEST(RunRequestTest, CarriesUserAndSandboxExactly) {
  std::string folder = testing::TempDir() + "ufab-request-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  RunRequest request;
  request.name = "job-7-1";
  request.user = RunUser{"fabric", 990, 991, "/home/fabric", "/bin/sh"};
  request.sandbox = Sandbox{{"/apps"}, {"/home/ada"}, {"/h", "/runs"}, {"/runs/job-7-1"}, {"/opt"}, false};
  request.launch_folder = "/runs/job-7-1.launch";
  ASSERT_TRUE(save_request(folder, request).ok());
  const RunRequest again = load_request(folder).value();
  ASSERT_TRUE(again.user && again.sandbox);
  EXPECT_EQ(again.user->name, "fabric");
  EXPECT_EQ(again.user->uid, 990U);
  EXPECT_EQ(again.user->gid, 991U);
  EXPECT_EQ(again.user->home, "/home/fabric");
  EXPECT_EQ(again.user->shell, "/bin/sh");
  EXPECT_EQ(*again.sandbox, *request.sandbox);
  EXPECT_EQ(again.launch_folder, request.launch_folder);
  request.user.reset();
  request.sandbox.reset();
  ASSERT_TRUE(save_request(folder, request).ok());
  EXPECT_FALSE(load_request(folder)->user || load_request(folder)->sandbox);
  std::filesystem::remove_all(folder);
}

TEST(RunUserTest, RootTheNodeItselfAndTheUnknownAreRefusedInALine) {
  const auto message = [](const std::string& name) {
    const auto user = find_run_user(name);
    return user.ok() ? "accepted" : user.error().message;
  };
  EXPECT_EQ(message("no-such-user"), "run-as: there is no local user 'no-such-user' here");
  EXPECT_EQ(message("root"), "run-as: 'root' is root; name a user without rights of its own");
  EXPECT_EQ(message("0"), "run-as: '0' is root; name a user without rights of its own");
  for (const char* name : {"", "-1", "99999999999", "4294967295", "4294967296", "root:root", "../root"})
    EXPECT_TRUE(message(name).starts_with("run-as: there is no local user")) << name << ": " << message(name);
  if (::geteuid() != 0) {
    EXPECT_TRUE(
        message(std::to_string(::geteuid())).ends_with("is the user of the node itself, who owns its keys"));
  }
}

TEST(RunUserTest, AnAccountIsFoundByNameAndByNumber) {
  const auto daemon = find_run_user("daemon");
  if (!daemon) GTEST_SKIP() << "no account 'daemon' here";
  EXPECT_NE(daemon->uid, 0U);
  EXPECT_EQ(find_run_user(std::to_string(daemon->uid))->name, "daemon");
}

}  // namespace
}  // namespace ufab::jobs
