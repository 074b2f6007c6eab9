#include "fabric/base/foreign_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fabric/base/file.h"

namespace ufab {
namespace {

namespace fs = std::filesystem;

class ForeignFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ufab-foreign-XXXXXX";
    base_ = ::mkdtemp(pattern.data());
    folder_ = base_ + "/run";
    fs::create_directories(folder_ + "/out");
    write(base_ + "/secret", "secret");
  }
  void TearDown() override { fs::remove_all(base_); }
  static void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  [[nodiscard]] ErrorCode code_of(const std::string& name) const {
    const auto text = read_foreign_text(folder_, name, 1000);
    return text.ok() ? ErrorCode::usage : text.error().code;  // usage: it was read
  }
  std::string base_;
  std::string folder_;
};

TEST_F(ForeignFileTest, ARegularFileIsRead) {
  write(folder_ + "/output", "hello");
  write(folder_ + "/out/log.jsonl", "line");
  EXPECT_EQ(read_foreign_text(folder_, "output", 5).value(), "hello");
  EXPECT_EQ(read_foreign_text(folder_, "out/log.jsonl", 1000).value(), "line");
  EXPECT_EQ(code_of("absent"), ErrorCode::not_found);
  EXPECT_EQ(code_of("absent/file"), ErrorCode::not_found);
  const auto file = ForeignFile::open(folder_, "output").value();
  EXPECT_EQ(as_text(file.read(1, 3).value()), "ell");
  EXPECT_EQ(as_text(file.read(4, 30).value()), "o");
  EXPECT_TRUE(file.read(5, 30).value().empty());
}

TEST_F(ForeignFileTest, ASymbolicLinkIsNeverFollowedWhereverItStands) {
  fs::create_symlink(base_ + "/secret", folder_ + "/output");
  fs::create_symlink(base_, folder_ + "/up");
  fs::create_symlink("../secret", folder_ + "/relative");
  fs::create_symlink(folder_, base_ + "/other");
  write(folder_ + "/plain", "plain");
  for (const char* name : {"output", "up/secret", "relative"}) {
    EXPECT_EQ(code_of(name), ErrorCode::denied) << name;
    EXPECT_FALSE(foreign_file_exists(folder_, name)) << name;
  }
  EXPECT_EQ(read_foreign_text(base_ + "/other", "plain", 10).error().code, ErrorCode::denied);
}

TEST_F(ForeignFileTest, ANameThatLeavesItsFolderIsRefused) {
  for (const char* name : {"../secret", "out/../../secret", "/etc/passwd", "", ".", "out/./x", "out//x"}) {
    EXPECT_EQ(code_of(name), ErrorCode::invalid) << name;
  }
}

TEST_F(ForeignFileTest, AFifoASocketAFolderAndADeviceAreRefusedWithoutWaiting) {
  ASSERT_EQ(::mkfifo((folder_ + "/fifo").c_str(), 0600), 0);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (folder_ + "/socket").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  for (const char* name : {"fifo", "socket", "out", "fifo/x"}) {
    EXPECT_EQ(code_of(name), ErrorCode::denied) << name;
  }
  EXPECT_EQ(read_foreign_text("/dev", "null", 10).error().code, ErrorCode::denied);
}

TEST_F(ForeignFileTest, AFileOfAThirdUserIsRefusedUnderAnyName) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give files away";
  write(folder_ + "/mine", "mine");
  write(folder_ + "/theirs", "theirs");
  ASSERT_EQ(::chown(folder_.c_str(), 60001, 60001), 0);
  ASSERT_EQ(::chown((folder_ + "/mine").c_str(), 60001, 60001), 0);
  ASSERT_EQ(::chown((folder_ + "/theirs").c_str(), 60002, 60002), 0);
  EXPECT_EQ(read_foreign_text(folder_, "mine", 10).value(), "mine");
  EXPECT_EQ(code_of("theirs"), ErrorCode::denied);
  // Not even this process's own: a second name for a secret of it would be read for the stranger.
  fs::create_hard_link(base_ + "/secret", folder_ + "/linked");
  EXPECT_EQ(code_of("linked"), ErrorCode::denied);
}

TEST_F(ForeignFileTest, EveryReaderHasItsBound) {
  write(folder_ + "/output", "123456");
  EXPECT_EQ(read_foreign_text(folder_, "output", 6).value(), "123456");
  EXPECT_EQ(read_foreign_text(folder_, "output", 5).error().code, ErrorCode::limit);
  const auto file = ForeignFile::open(folder_, "output").value();
  EXPECT_EQ(file.copy_to(base_ + "/copy", 0600, 5).error().code, ErrorCode::limit);
  EXPECT_FALSE(file_exists(base_ + "/copy"));
  // It may grow after the look at its size.
  std::ofstream(folder_ + "/output", std::ios::app) << "789";
  EXPECT_EQ(file.read_all(7).error().code, ErrorCode::limit);
  EXPECT_EQ(file.copy_to(base_ + "/copy", 0600, 7).error().code, ErrorCode::limit);
  EXPECT_FALSE(file_exists(base_ + "/copy"));
  // A file full of holes is as large as it says.
  ASSERT_EQ(::truncate((folder_ + "/output").c_str(), off_t{1} << 40), 0);
  EXPECT_EQ(code_of("output"), ErrorCode::limit);
}

TEST_F(ForeignFileTest, ACopyIsOursAndIndependentOfWhatItCameFrom) {
  write(folder_ + "/output", "first");
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(folder_.c_str(), 60001, 60001), 0);
    ASSERT_EQ(::chown((folder_ + "/output").c_str(), 60001, 60001), 0);
  }
  const auto file = ForeignFile::open(folder_, "output").value();
  ASSERT_TRUE(file.copy_to(base_ + "/copy", 0600, 100).ok());
  ASSERT_TRUE(file.keep_as(base_ + "/kept", 100).ok());
  write(folder_ + "/output", "other");
  EXPECT_EQ(read_text_file(base_ + "/copy", 100).value(), "first");
  struct stat kept {};
  ASSERT_EQ(::stat((base_ + "/kept").c_str(), &kept), 0);
  EXPECT_EQ(kept.st_uid, ::geteuid());
  // Its own file a process need not copy.
  if (::geteuid() == 0) {
    EXPECT_EQ(read_text_file(base_ + "/kept", 100).value(), "first");
  }
}

}  // namespace
}  // namespace ufab
