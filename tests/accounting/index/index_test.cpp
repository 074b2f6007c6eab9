// The index alone: the rows of a receipt batch, however many of them go into one statement.
#include "accounting/index/index.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "tests/accounting/support/folder.h"
#include "tests/accounting/support/usage.h"

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

TEST(Index, AnIndexOfAnEarlierVersionIsUpgradedInPlaceAndKeepsItsRows) {
  for (const int version : {1, 2, 3, 4}) {
    const Folder folder;
    const std::string path = folder.path("index.sqlite");
    {
      auto index = Index::open(path, sha256("chain"));
      ASSERT_TRUE(index.ok());
      ASSERT_TRUE((*index)->add(BlockHeader{}, sha256("block"), {}, {}).ok());
      ASSERT_TRUE((*index)->flush().ok());
    }
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
    std::string sql = "DROP TABLE validator; DROP TABLE seat; DROP TABLE seed_share; DROP TABLE conviction; ";
    if (version < 4) sql += "DROP TABLE link_report; DROP TABLE agent; ALTER TABLE job DROP COLUMN agent; ";
    if (version < 3) sql += "DROP TABLE benchmark; DROP TABLE fault; DROP TABLE standing; ";
    if (version == 1) sql += "DROP TABLE usage_import; DROP TABLE usage_correction; ";
    sql += fmt::format("UPDATE meta SET value='{} {}';", version, sha256("chain").hex());
    ASSERT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
    EXPECT_FALSE(Index::open(path, sha256("another chain")).ok());
    auto index = Index::open(path, sha256("chain"));
    ASSERT_TRUE(index.ok()) << index.error().message;
    EXPECT_EQ((*index)->height(), 0U);
    const auto dump = (*index)->dump();
    ASSERT_TRUE(dump.ok());
    for (const char* table : {"[usage_correction]", "[benchmark]", "[fault]", "[standing]", "[link_report]",
                              "[agent]", "[validator]", "[seat]", "[seed_share]", "[conviction]"}) {
      EXPECT_NE(dump->find(table), std::string::npos) << table;
    }
    EXPECT_NE(dump->find("5 " + sha256("chain").hex()), std::string::npos);
  }
}

TEST(Index, ValidatorsHaveTheirRows) {
  const Folder folder;
  auto index = Index::open(folder.path("index.sqlite"), sha256("chain"));
  ASSERT_TRUE(index.ok());
  const auto key = [](std::uint8_t number) {
    PublicKey made;
    made.bytes.fill(number);
    return made;
  };
  std::vector<Record> records(5);
  records[0].body = ValidatorStand{key(1), {}, key(2), {}, 1};
  records[1].body = ValidatorStand{key(3), {}, key(4), {}, 1};  // replaces the first
  records[2].body = SeedShareRecord{7, {}};
  Epoch epoch;
  epoch.epoch = 8;
  epoch.seats = {Seat{2, key(3), key(4), true, 500, 60, 1'000'000}};
  records[3].body = epoch;
  records[4].body = Conviction{2, key(3), 8, 5, 300, 200, 9, 25, 475};
  std::vector<IndexedRecord> items;
  for (const Record& record : records) items.push_back({&record, record_id(record), 2, nullptr});
  BlockHeader header;
  ASSERT_TRUE((*index)->add(header, sha256("block"), {}, {}).ok());
  header.height = 1;
  ASSERT_TRUE((*index)->add(header, sha256("block"), items, {}).ok());
  const auto dump = (*index)->dump();
  ASSERT_TRUE(dump.ok());
  EXPECT_NE(dump->find("[validator]\n" + key(1).hex() + "|2|" + key(2).hex() + "|1|1|0|1\n" + key(3).hex() +
                       "|2|" + key(4).hex() + "|1|1|1|1\n"),
            std::string::npos)
      << *dump;
  EXPECT_NE(dump->find("[seat]\n8|2|" + key(3).hex() + "|500|60|1000000\n"), std::string::npos);
  EXPECT_NE(dump->find("[seed_share]\n7|2|1|2\n"), std::string::npos);
  EXPECT_NE(dump->find("[conviction]\n" + key(3).hex() + "|2|8|5|9|500|25|475|1|4\n"), std::string::npos);
}

TEST(Index, EnrolmentHasItsRows) {
  const Folder folder;
  auto index = Index::open(folder.path("index.sqlite"), sha256("chain"));
  ASSERT_TRUE(index.ok());
  std::vector<Record> records(6);
  records[0].body = ProviderBenchmark{7, 3, 40, {sha256("a"), sha256("b")}};
  records[1].body = BenchmarkCredit{2, 7, 9'000'000, 96, 5};
  records[2].body = BenchmarkDuty{2, 7, 3, 1, 30};
  records[3].body = BenchmarkCheck{2, 7, sha256("b")};
  records[4].body = Fault{2, FaultKind::lease_missed, 4, 3, 10, 30};
  records[5].body = StandingChange{2, StandingStatus::suspended, 1, 20, 12};
  std::vector<IndexedRecord> items;
  for (const Record& record : records) items.push_back({&record, record_id(record), 2, nullptr});
  ASSERT_TRUE((*index)->add(BlockHeader{}, sha256("block"), items, {}).ok());
  const auto dump = (*index)->dump();
  ASSERT_TRUE(dump.ok());
  EXPECT_NE(dump->find("[benchmark]\n2|7|2|40|9000000|96|5|3|1|0|0|0\n"), std::string::npos) << *dump;
  EXPECT_NE(dump->find("[fault]\n0|4|2|lease_missed|4|3|10|30\n"), std::string::npos);
  EXPECT_NE(dump->find("[standing]\n0|5|2|suspended|1|20|12\n"), std::string::npos);
}

TEST(Index, AReportOfLinksIsARowForEachPeer) {
  const Folder folder;
  auto index = Index::open(folder.path("index.sqlite"), sha256("chain"));
  ASSERT_TRUE(index.ok());
  Record record;
  record.body = LinkReport{{{3, 250, 110'000}, {5, 41'000, 800}}};
  ASSERT_TRUE(
      (*index)->add(BlockHeader{}, sha256("block"), {{&record, record_id(record), 2, nullptr}}, {}).ok());
  const auto dump = (*index)->dump();
  ASSERT_TRUE(dump.ok());
  EXPECT_NE(dump->find("[link_report]\n0|0|2|3|250|110000\n0|0|2|5|41000|800\n"), std::string::npos) << *dump;
}

TEST(Index, AnAgentIsARowAndItsOrdersNameIt) {
  const Folder folder;
  auto index = Index::open(folder.path("index.sqlite"), sha256("chain"));
  ASSERT_TRUE(index.ok());
  const PublicKey agent = KeyPair::from_seed({1}).public_key();
  const PublicKey owner = KeyPair::from_seed({2}).public_key();
  std::vector<Record> records(5);
  records[0].body = AgentEnrol{agent, {}, 70};
  records[1].body = JobOrder{};
  records[1].signer = agent;
  records[2].body = JobOrder{};
  records[2].signer = owner;
  records[3].body = AgentAllowance{50};
  records[4].body = AgentRevoke{"stolen"};
  std::vector<IndexedRecord> items;
  for (const Record& record : records) items.push_back({&record, record_id(record), 2, nullptr});
  ASSERT_TRUE((*index)->add(BlockHeader{}, sha256("block"), items, {}).ok());
  const auto dump = (*index)->dump();
  ASSERT_TRUE(dump.ok());
  EXPECT_NE(dump->find("[agent]\n" + agent.hex() + "|2|50|0|0|0|0|stolen\n"), std::string::npos) << *dump;
  EXPECT_NE(dump->find("[job]\n1|2|training||0|0|0|1|||||" + agent.hex() + "\n2|2|training||0|0|0|2|||||\n"),
            std::string::npos)
      << *dump;
}

TEST(Index, AnImportAndItsCorrectionAreARowEach) {
  const Folder folder;
  auto index = Index::open(folder.path("index.sqlite"), sha256("chain"));
  ASSERT_TRUE(index.ok());
  Record import;
  import.body = UsageImport{3, 1, usage_values()};
  Record correction;
  UsageValues right = usage_values();
  right.cpu_us = 5;
  correction.body = Correction{record_id(import), "a step was missing", {right}};
  Record remark;
  remark.body = Correction{record_id(import), "only a remark", {}};
  ASSERT_TRUE((*index)
                  ->add(BlockHeader{}, sha256("block"),
                        {{&import, record_id(import), 2, nullptr},
                         {&correction, record_id(correction), 2, nullptr},
                         {&remark, record_id(remark), 2, nullptr}},
                        {})
                  .ok());
  const auto dump = (*index)->dump();
  ASSERT_TRUE(dump.ok());
  const std::string id = record_id(import).hex();
  EXPECT_NE(
      dump->find("[usage_import]\n3|1|2|" + id +
                 "|north|4711|1800000000000000|1800000005000000|1800000105000000|90000000|170000000|2|1|"
                 "314572800|1|90000000|12345|180|CD|0|0|ufab-alice|batch|0|0\n[usage_correction]\n" +
                 id +
                 "|2|a step was missing|1800000005000000|1800000105000000|90000000|5|2|1|314572800|1|"
                 "90000000|12345|180|CD|0|0|ufab-alice|batch|0|1\n"),
      std::string::npos)
      << *dump;
}

}  // namespace
}  // namespace ufab::test
