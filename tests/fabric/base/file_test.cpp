#include "fabric/base/file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

namespace ufab {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ufab-file-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST_F(FileTest, AFileOverItsBoundIsRefusedNotTruncated) {
  ASSERT_TRUE(write_file_atomic(folder_ + "/a", as_bytes("12345")).ok());
  EXPECT_TRUE(read_file(folder_ + "/a", 5).ok());
  const auto result = read_file(folder_ + "/a", 4);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::limit);
}

TEST_F(FileTest, ANewFileIsThereOnceFinishedAndLeavesNothingBefore) {
  {
    auto dropped = NewFile::create(folder_ + "/a");
    ASSERT_TRUE(dropped.ok());
    ASSERT_TRUE(dropped->append(as_bytes("half")).ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  auto file = NewFile::create(folder_ + "/a", 0600);
  ASSERT_TRUE(file.ok());
  NewFile moved = std::move(*file);
  ASSERT_TRUE(moved.append(as_bytes("in ")).ok());
  EXPECT_FALSE(file_exists(folder_ + "/a"));
  ASSERT_TRUE(moved.append(as_bytes("pieces")).ok());
  ASSERT_TRUE(moved.finish().ok());
  EXPECT_EQ(*read_text_file(folder_ + "/a", 100), "in pieces");
  EXPECT_EQ(NewFile::create(folder_ + "/absent/a").error().code, ErrorCode::not_found);
}

TEST_F(FileTest, ASecondLockIsRefused) {
  const auto first = FileLock::acquire(folder_ + "/lock");
  ASSERT_TRUE(first.ok());
  const auto second = FileLock::acquire(folder_ + "/lock");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
}

// Dies at every durable operation of an atomic replacement in turn; a reader sees the old or the new content.
TEST_F(FileTest, KillAtEveryOperationOfAReplacementLeavesOldOrNewContent) {
  const std::string path = folder_ + "/value";
  const std::string old_content(1000, 'o');
  const std::string new_content(2000, 'n');
  ASSERT_TRUE(write_file_atomic(path, as_bytes(old_content)).ok());
  int killed = 0;
  for (int point = 1; point < 20; ++point) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      arm_fault(static_cast<std::uint64_t>(point));
      const bool ok = write_file_atomic(path, as_bytes(new_content)).ok();
      ::_exit(ok ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    const std::string content = read_text_file(path, 1 << 20).value();
    EXPECT_TRUE(content == old_content || content == new_content) << point;
    if (WIFEXITED(status)) {
      EXPECT_EQ(WEXITSTATUS(status), 0);
      EXPECT_EQ(content, new_content);
      break;
    }
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    ++killed;
    ASSERT_TRUE(write_file_atomic(path, as_bytes(old_content)).ok());
  }
  EXPECT_EQ(killed, 4);  // write, sync, rename, sync of the folder
}

}  // namespace
}  // namespace ufab
