// The index alone: the rows of a receipt batch, however many of them go into one statement.
#include "accounting/index/index.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/accounting/support/folder.h"

namespace ufab::test {
namespace {

Receipt receipt(std::uint64_t window, std::uint64_t cpu_us) {
  Receipt r;
  r.job = 1;
  r.attempt = 1;
  r.provider = 2;
  r.window = window;
  r.start_digest = sha256(fmt::format("start {}", window));
  r.end_digest = sha256(fmt::format("end {}", window));
  r.contribution_root = sha256(fmt::format("root {}", window));
  r.work_flop = 3;
  r.cpu_us = cpu_us;
  r.wall_us = UINT64_MAX;  // stored as 2^63 - 1
  r.memory_peak_bytes = 6;
  return r;
}

std::string row(const Receipt& r, std::uint64_t height, std::uint64_t position) {
  return fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}\n", r.job, r.attempt, r.window, r.provider,
                     r.start_digest.hex(), r.end_digest.hex(), r.contribution_root.hex(), r.work_flop,
                     r.cpu_us, INT64_MAX, r.memory_peak_bytes, height, position);
}

std::string receipts_of(const Index& index) {
  const auto dump = index.dump();
  EXPECT_TRUE(dump.ok());
  const std::size_t from = dump->find("[receipt]\n") + 10;
  return dump->substr(from, dump->find("[countersignature]") - from);
}

TEST(Index, ABatchOfAnySizeBecomesARowEachAndALaterReceiptReplaces) {
  for (const std::uint64_t count : {1U, 49U, 50U, 51U, 123U}) {
    const Folder folder;
    auto index = Index::open(folder.path("index.sqlite"), sha256("chain"));
    ASSERT_TRUE(index.ok());
    std::vector<std::string> rows;
    // Block 1 files the windows from 30 on again.
    for (std::uint64_t height = 0; height < 2; ++height) {
      ReceiptBatch batch;
      for (std::uint64_t window = 30 * height; window < count; ++window) {
        batch.receipts.push_back(receipt(window, 10 + height));
        rows.resize(count);
        rows[window] = row(batch.receipts.back(), height, 0);
      }
      Record record;
      record.body = batch;
      BlockHeader header;
      header.height = height;
      const IndexedRecord item{&record, sha256(fmt::format("record {}", height)), 2, nullptr};
      ASSERT_TRUE((*index)->add(header, sha256("block"), {item}, {}).ok());
    }
    std::string expected;
    for (const std::string& text : rows) expected += text;
    EXPECT_EQ(receipts_of(**index), expected) << count;
  }
}

}  // namespace
}  // namespace ufab::test
