// The segment log alone: rolling, torn tails, corruption.
#include "accounting/log/segment_log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/accounting/support/folder.h"

namespace ufab::test {
namespace {

Status nothing(std::uint64_t, ByteView) {
  return {};
}

Bytes entry(std::size_t n) {
  return Bytes(10 + n * 7, static_cast<std::uint8_t>(n));
}

void fill(const std::string& folder, std::size_t count, std::uint64_t segment_size) {
  auto log = SegmentLog::open(folder, segment_size, 4096, nothing);
  ASSERT_TRUE(log.ok());
  for (std::size_t n = log->size(); n < count; ++n) ASSERT_TRUE(log->append(entry(n)).ok());
}

std::vector<std::string> segments(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& item : std::filesystem::directory_iterator(folder)) paths.push_back(item.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST(SegmentLog, EntriesComeBackInOrderAcrossSegments) {
  const Folder folder;
  fill(folder.path("log"), 30, 400);
  EXPECT_GT(segments(folder.path("log")).size(), 5U);
  std::vector<Bytes> seen;
  const auto log = SegmentLog::open(folder.path("log"), 400, 4096, [&](std::uint64_t n, ByteView bytes) {
    EXPECT_EQ(n, seen.size());
    seen.emplace_back(bytes.begin(), bytes.end());
    return Status{};
  });
  ASSERT_TRUE(log.ok()) << log.error().message;
  ASSERT_EQ(seen.size(), 30U);
  for (std::size_t n = 0; n < 30; ++n) {
    EXPECT_EQ(seen[n], entry(n));
    EXPECT_EQ(*log->read(n), entry(n));
  }
  EXPECT_EQ(log->read(30).error().code, ErrorCode::not_found);
}

TEST(SegmentLog, ATornTailIsCutAtEveryLengthAndTheLogGoesOn) {
  const Folder folder;
  fill(folder.path("log"), 3, 1 << 20);
  const std::string path = segments(folder.path("log"))[0];
  const auto whole = read_file(path, 1 << 20);
  const std::size_t last_frame = whole->size() - 40 - entry(2).size();
  for (std::size_t size = 0; size < whole->size(); ++size) {
    std::filesystem::resize_file(path, size);
    auto log = SegmentLog::open(folder.path("log"), 1 << 20, 4096, nothing);
    ASSERT_TRUE(log.ok()) << size << ": " << log.error().message;
    if (size >= last_frame) {
      EXPECT_EQ(log->size(), 2U);
    }
    ASSERT_TRUE(log->append(entry(9)).ok());
    const std::uint64_t entries = log->size();
    log = SegmentLog::open(folder.path("log"), 1 << 20, 4096, nothing);
    ASSERT_TRUE(log.ok()) << size << ": " << log.error().message;
    EXPECT_EQ(log->size(), entries);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(whole->data()), static_cast<std::streamsize>(whole->size()));
  }
}

TEST(SegmentLog, AnOpenLogHasRoomThatIsCutOffWhenItIsOpenedAgain) {
  const Folder folder;
  const std::string path = folder.path("log") + "/0000000000000000.seg";
  std::uintmax_t exact = 52;
  {
    auto log = SegmentLog::open(folder.path("log"), 1 << 20, 4096, nothing);
    ASSERT_TRUE(log.ok());
    for (std::size_t n = 0; n < 3; ++n) {
      ASSERT_TRUE(log->append(entry(n)).ok());
      exact += 40 + entry(n).size();
    }
    EXPECT_GT(std::filesystem::file_size(path), exact + 100'000);
    SegmentLog::Scan scan;
    ASSERT_TRUE(SegmentLog::scan(folder.path("log"), 4096, nothing, scan).ok()) << "an auditor may look";
    EXPECT_EQ(scan.entries, 3U);
    EXPECT_FALSE(scan.torn);
    std::filesystem::copy(folder.path("log"), folder.path("crashed"));
  }
  EXPECT_EQ(std::filesystem::file_size(path), exact) << "room is given back";
  auto log = SegmentLog::open(folder.path("crashed"), 1 << 20, 4096, nothing);
  ASSERT_TRUE(log.ok()) << log.error().message;
  EXPECT_EQ(log->size(), 3U);
  EXPECT_EQ(std::filesystem::file_size(folder.path("crashed") + "/0000000000000000.seg"), exact);
  ASSERT_TRUE(log->append(entry(3)).ok());
  EXPECT_EQ(*log->read(3), entry(3));
}

TEST(SegmentLog, OnlyTheLastSegmentHasRoom) {
  const Folder folder;
  auto log = SegmentLog::open(folder.path("log"), 2000, 4096, nothing);
  ASSERT_TRUE(log.ok());
  for (std::size_t n = 0; n < 30; ++n) ASSERT_TRUE(log->append(entry(n)).ok());
  std::filesystem::copy(folder.path("log"), folder.path("crashed"));
  const auto again = SegmentLog::open(folder.path("crashed"), 2000, 4096, nothing);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(again->size(), 30U);
}

// The file of a log with two entries and `room` zeros, and where its second frame lies.
struct Image {
  Image(const Folder& folder, std::size_t first, std::size_t second) : path(folder.path("log")) {
    std::filesystem::remove_all(path);
    auto log = SegmentLog::open(path, 1 << 20, 1 << 16, nothing);
    path += "/0000000000000000.seg";
    EXPECT_TRUE(log.ok());
    EXPECT_TRUE(log->append(Bytes(first, 0xa5)).ok());
    EXPECT_TRUE(log->append(Bytes(second, 0x5a)).ok());
    whole = *read_file(path, 1 << 20);
    begin = 52 + 40 + first;
    end = begin + 40 + second;
  }
  void write(const Bytes& bytes) const {
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  std::string path;
  Bytes whole;
  std::size_t begin = 0;
  std::size_t end = 0;
};

TEST(SegmentLog, AFrameWhoseSectorsWereNotAllWrittenIsTorn) {
  const Folder folder;
  // Within one sector; its header across two; payload of several; beginning with a sector.
  for (const auto& [first, second] : std::vector<std::pair<std::size_t, std::size_t>>{
           {10, 50}, {400, 300}, {395, 1000}, {420, 5}, {512 - 92, 1800}, {700, 2500}}) {
    const Image image(folder, first, second);
    const std::size_t first_sector = image.begin / 512;
    const std::size_t sectors = (image.end - 1) / 512 - first_sector + 1;
    for (std::size_t written = 0; written < std::size_t{1} << sectors; ++written) {
      Bytes bytes = image.whole;
      for (std::size_t i = image.begin; i < image.end; ++i) {
        if ((written >> (i / 512 - first_sector) & 1) == 0) bytes[i] = 0;
      }
      image.write(bytes);
      const auto log = SegmentLog::open(folder.path("log"), 1 << 20, 1 << 16, nothing);
      ASSERT_TRUE(log.ok()) << first << " " << second << " " << written << ": " << log.error().message;
      EXPECT_EQ(log->size(), written + 1 == std::size_t{1} << sectors ? 2U : 1U);
    }
  }
}

TEST(SegmentLog, AChangedByteOfTheLastFrameIsCorruptionAlthoughRoomFollows) {
  const Folder folder;
  const Image image(folder, 395, 1000);
  for (std::size_t i = image.begin; i < image.end; ++i) {
    Bytes bytes = image.whole;
    bytes[i] ^= 0x10;
    image.write(bytes);
    const auto log = SegmentLog::open(folder.path("log"), 1 << 20, 1 << 16, nothing);
    ASSERT_FALSE(log.ok()) << i;
    EXPECT_EQ(log.error().code, ErrorCode::corrupt) << i;
  }
}

TEST(SegmentLog, AnUnwrittenSectorBeforeOtherEntriesIsCorruption) {
  const Folder folder;
  const Image image(folder, 2000, 100);
  Bytes bytes = image.whole;
  std::fill_n(bytes.begin() + 512, 512, std::uint8_t{0});
  image.write(bytes);
  EXPECT_EQ(SegmentLog::open(folder.path("log"), 1 << 20, 1 << 16, nothing).error().code, ErrorCode::corrupt);
}

TEST(SegmentLog, AChangedLengthIsCorruptionAndNotATornTail) {
  const Folder folder;
  fill(folder.path("log"), 3, 1 << 20);
  const std::string path = segments(folder.path("log"))[0];
  auto bytes = read_file(path, 1 << 20);
  // The high byte of the second frame's length: it now seems to reach past the end of the file.
  (*bytes)[52 + 40 + entry(0).size() + 3] = 0x7f;
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes->data()), static_cast<std::streamsize>(bytes->size()));
  const auto log = SegmentLog::open(folder.path("log"), 1 << 20, 4096, nothing);
  ASSERT_FALSE(log.ok());
  EXPECT_EQ(log.error().code, ErrorCode::corrupt);
  EXPECT_EQ(log.error().message,
            "0000000000000000.seg: entry 1: the frame's header does not match its checksum");
}

TEST(SegmentLog, WhatChangesUnderAnOpenLogIsNotReadAsWhatWasAppended) {
  const Folder folder;
  fill(folder.path("log"), 20, 400);
  const auto log = SegmentLog::open(folder.path("log"), 400, 4096, nothing);
  ASSERT_TRUE(log.ok());
  // In a segment of several, so that one of them follows its head and the others a frame.
  const std::string path = segments(folder.path("log"))[0];
  const Bytes whole = *read_file(path, 1 << 20);
  std::size_t at = 52;
  for (std::size_t n = 0; n < 3; ++n) {
    for (std::size_t end = at + 40 + entry(n).size(); at < end; ++at) {
      Bytes bytes = whole;
      bytes[at] ^= 0x10;
      std::ofstream(path, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
      ASSERT_FALSE(log->read(n).ok()) << "entry " << n << ", byte " << at;
      EXPECT_EQ(log->read(n).error().code, ErrorCode::corrupt);
      EXPECT_EQ(*log->read(8), entry(8)) << "in another segment";
    }
  }
}

TEST(SegmentLog, AMissingOrShortenedSegmentInTheMiddleIsCorruption) {
  const Folder folder;
  fill(folder.path("log"), 12, 400);
  const std::vector<std::string> paths = segments(folder.path("log"));
  std::filesystem::rename(paths[1], folder.path("kept"));
  EXPECT_EQ(SegmentLog::open(folder.path("log"), 400, 4096, nothing).error().code, ErrorCode::corrupt);
  std::filesystem::rename(folder.path("kept"), paths[1]);
  EXPECT_TRUE(SegmentLog::open(folder.path("log"), 400, 4096, nothing).ok());
  std::filesystem::resize_file(paths[1], std::filesystem::file_size(paths[1]) - 1);
  EXPECT_EQ(SegmentLog::open(folder.path("log"), 400, 4096, nothing).error().code, ErrorCode::corrupt);
}

TEST(SegmentLog, Crc32cIsTheOneOfRfc3720) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xE3069283U);
  EXPECT_EQ(crc32c(Bytes(32, 0)), 0x8A9136AAU);
  EXPECT_EQ(crc32c(Bytes(32, 0xff)), 0x62A8AB43U);
}

}  // namespace
}  // namespace ufab::test
