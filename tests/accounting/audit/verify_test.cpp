// What an auditor finds in a log that somebody changed.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "accounting/audit/audit.h"
#include "accounting/ledger.h"
#include "accounting/log/segment_log.h"
#include "fabric/base/merkle.h"
#include "tests/accounting/support/folder.h"
#include "tests/accounting/support/golden.h"
#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

// Writes blocks as a ledger's log, frames and hash chain all right.
void write_log(const std::string& folder, const std::vector<Bytes>& blocks) {
  ASSERT_TRUE(make_folders(folder + "/log").ok());
  auto log = SegmentLog::open(folder + "/log", 1 << 20, block_size_max,
                              [](std::uint64_t, ByteView) { return Status{}; });
  ASSERT_TRUE(log.ok());
  for (const Bytes& block : blocks) ASSERT_TRUE(log->append(block).ok());
}

std::string verify_error(const std::string& folder) {
  const auto result = audit_verify(folder);
  return result.ok() ? "" : result.error().message;
}

World small_world() {
  World world;
  world.add_organisation("alpha");
  world.add_organisation("beta");
  EXPECT_NE(world.refused(3, Transfer{2, 9'999 * micro_per_unc, ""}), "");
  world.must(2, Transfer{3, 5, "thanks"});
  return world;
}

// A block signed anew by the validator: what a dishonest validator, or a thief of its key, could do.
Bytes resigned(Block block) {
  block.header.record_count = static_cast<std::uint32_t>(block.records.size());
  block.header.record_root = merkle::root(record_leaves(block.records));
  block.header.signature = key_of(1).sign(header_signing_digest(block.header).view());
  return encode_block(block);
}

TEST(AuditVerify, AnHonestLogPassesAndIsCounted) {
  const World world = small_world();
  const Folder folder;
  write_log(folder.path("l"), world.blocks());
  const auto summary = audit_verify(folder.path("l"), world.state().chain_id());
  ASSERT_TRUE(summary.ok()) << summary.error().message;
  EXPECT_EQ(summary->blocks, world.blocks().size());
  EXPECT_EQ(summary->minted, world.state().params().supply_initial);
  EXPECT_EQ(summary->minted - summary->burned, summary->balances);
  EXPECT_FALSE(summary->torn_tail);
  EXPECT_NE(verify_error(folder.path("missing")), "");
  const auto other = audit_verify(folder.path("l"), digest_of("another chain"));
  ASSERT_FALSE(other.ok());
  EXPECT_TRUE(other.error().message.starts_with("block 0 record 0 (genesis): "));
}

TEST(AuditVerify, EveryFlippedByteIsNamedWithItsBlockAndRecord) {
  World world;
  world.add_organisation("alpha");
  const Folder folder;
  write_log(folder.path("l"), world.blocks());
  const std::string segment = folder.path("l/log/0000000000000000.seg");
  const auto original = read_file(segment, 1 << 20);
  ASSERT_TRUE(original.ok());
  // What the error must start with, byte by byte: the block, and inside a record's encoding the record too.
  std::vector<std::string> expected(52, "block 0 ");
  for (std::size_t n = 0; n < world.blocks().size(); ++n) {
    const auto block = decode_block(world.blocks()[n]);
    const std::string name = "block " + std::to_string(n);
    expected.resize(expected.size() + 40 + 4 + encode_header(block->header).size(), name);
    for (std::size_t r = 0; r < block->records.size(); ++r) {
      expected.resize(expected.size() + 4, name);
      expected.resize(expected.size() + block->records[r].size(),
                      name + " record " + std::to_string(r) + " (");
    }
  }
  ASSERT_EQ(expected.size(), original->size());
  for (std::size_t i = 0; i < original->size(); ++i) {
    Bytes damaged = *original;
    damaged[i] ^= static_cast<std::uint8_t>(1U << (i % 8));
    std::ofstream(segment, std::ios::binary)
        .write(reinterpret_cast<const char*>(damaged.data()), static_cast<std::streamsize>(damaged.size()));
    const std::string error = verify_error(folder.path("l"));
    EXPECT_TRUE(error.starts_with(expected[i])) << "byte " << i << ": " << error;
  }
}

TEST(AuditVerify, AFlippedByteInARecordNamesThatRecord) {
  World world = small_world();
  const Folder folder;
  std::vector<Bytes> blocks = world.blocks();
  // The last block holds one transfer; its memo is "thanks".
  const std::string text(as_text(blocks.back()));
  const std::size_t at = text.find("thanks");
  ASSERT_NE(at, std::string::npos);
  blocks.back()[at] ^= 1;
  write_log(folder.path("l"), blocks);
  EXPECT_EQ(verify_error(folder.path("l")),
            "block " + std::to_string(blocks.size() - 1) + " record 0 (transfer): the signature is wrong");
}

TEST(AuditVerify, ARemovedBlockIsNoticedInTheMiddle) {
  const World world = small_world();
  const Folder folder;
  std::vector<Bytes> blocks = world.blocks();
  blocks.erase(blocks.begin() + 3);
  write_log(folder.path("l"), blocks);
  EXPECT_EQ(verify_error(folder.path("l")), "block 3: its header says block 4");
}

TEST(AuditVerify, ARemovedEndIsNoticedByTheIndex) {
  const Folder folder;
  LedgerOptions options;
  options.folder = folder.path("l");
  {
    const auto ledger = Ledger::create(options, key_of(1), genesis_of());
    ASSERT_TRUE((*ledger)->sign_and_submit(key_of(2), Organisation{"alpha", ""}).ok());
  }
  EXPECT_EQ(verify_error(folder.path("l")), "");
  const auto genesis_end = [&] {
    const auto ledger = Ledger::open(options);
    return 52 + 40 + (*ledger)->block(0)->size();
  }();
  std::filesystem::resize_file(folder.path("l/log/0000000000000000.seg"), genesis_end);
  EXPECT_EQ(verify_error(folder.path("l")),
            "block 1 record 0 (missing): the log ends at block 0, but the index knows block 1");
  EXPECT_FALSE(Ledger::open(options).ok());
}

TEST(AuditVerify, AReplayedRecordIsNamedEvenUnderTheValidatorsSignature) {
  World world = small_world();
  const Folder folder;
  std::vector<Bytes> blocks = world.blocks();
  auto block = decode_block(blocks.back());
  block->records.push_back(block->records.back());
  blocks.back() = resigned(*block);
  write_log(folder.path("l"), blocks);
  const std::string error = verify_error(folder.path("l"));
  EXPECT_EQ(error, "block " + std::to_string(blocks.size() - 1) +
                       " record 1 (transfer): sequence 4 was used already, expected 5 (a replayed record?)");
}

TEST(AuditVerify, ARemovedRefusalIsNamedEvenUnderTheValidatorsSignature) {
  World world = small_world();
  const Folder folder;
  std::vector<Bytes> blocks = world.blocks();
  blocks.pop_back();
  auto block = decode_block(blocks.back());
  ASSERT_EQ(block->records.size(), 2U);
  block->records.pop_back();
  blocks.back() = resigned(*block);
  write_log(folder.path("l"), blocks);
  EXPECT_EQ(verify_error(folder.path("l")),
            "block " + std::to_string(blocks.size() - 1) +
                " record 1 (refusal): it is missing: the rules derive it here");
}

TEST(AuditVerify, ReorderedRecordsAreNoticedEvenUnderTheValidatorsSignature) {
  World world;
  world.add_organisation("alpha");
  world.add_organisation("beta");
  const Record first = world.sign(2, Transfer{3, 5, ""});
  const Record second = sign_record(world.state().chain_id(), world.key(2), first.sequence + 1, 1, Stake{7});
  world.make({first, second});
  const Folder folder;
  std::vector<Bytes> blocks = world.blocks();
  auto block = decode_block(blocks.back());
  std::swap(block->records[0], block->records[1]);
  blocks.back() = resigned(*block);
  write_log(folder.path("l"), blocks);
  EXPECT_EQ(verify_error(folder.path("l")),
            "block " + std::to_string(blocks.size() - 1) + " record 0 (stake): sequence 5, expected 4");
}

TEST(AuditProve, AProofChecksWithoutTheLogAndShowsAcceptanceOrRefusal) {
  const World world = small_world();
  const Folder folder;
  write_log(folder.path("l"), world.blocks());
  const std::string last = std::to_string(world.blocks().size() - 1);
  const auto proof = audit_prove(folder.path("l"), last + "/0");
  ASSERT_TRUE(proof.ok()) << proof.error().message;
  const auto facts = audit_check(*proof, {world.state().chain_id(), {}, 0});
  ASSERT_TRUE(facts.ok()) << facts.error().message;
  EXPECT_EQ(facts->proven->record.type(), RecordType::transfer);
  EXPECT_NE(facts->text.find("accepted"), std::string::npos);
  const std::string before = std::to_string(world.blocks().size() - 2);
  const auto refused = audit_check(*audit_prove(folder.path("l"), before + "/0"));
  ASSERT_TRUE(refused.ok());
  EXPECT_NE(refused->text.find("REFUSED: transfer of 9999 UNC: the balance is"), std::string::npos);
  // By id, and references that fit nothing.
  const std::string id = record_id(facts->proven->record).hex();
  EXPECT_EQ(*audit_prove(folder.path("l"), id.substr(0, 12)), *proof);
  EXPECT_EQ(audit_prove(folder.path("l"), "999/0").error().code, ErrorCode::not_found);
  EXPECT_EQ(audit_prove(folder.path("l"), "job/x").error().code, ErrorCode::usage);
  EXPECT_FALSE(audit_check(*proof, {digest_of("another chain"), {}, 0}).ok());
}

TEST(AuditProve, AProofHasItsGoldenBytes) {
  const World world = small_world();
  const Folder folder;
  write_log(folder.path("l"), world.blocks());
  const auto proof = audit_prove(folder.path("l"), std::to_string(world.blocks().size() - 2) + "/0");
  ASSERT_TRUE(proof.ok());
  expect_golden(UFAB_GOLDEN "/proof/transfer.hex", *proof);
}

TEST(AuditProve, EveryChangedByteOfAProofIsRefused) {
  const World world = small_world();
  const Folder folder;
  write_log(folder.path("l"), world.blocks());
  const auto proof = audit_prove(folder.path("l"), std::to_string(world.blocks().size() - 2) + "/0");
  ASSERT_TRUE(proof.ok());
  for (std::size_t i = 0; i < proof->size(); ++i) {
    Bytes damaged = *proof;
    damaged[i] ^= static_cast<std::uint8_t>(1U << (i % 8));
    EXPECT_FALSE(audit_check(damaged, {world.state().chain_id(), {}, 0}).ok()) << "byte " << i;
    EXPECT_FALSE(audit_check(ByteView(*proof).first(i)).ok()) << "cut at " << i;
  }
}

TEST(AuditProve, AProofFollowsTheValidatorsKeyChanges) {
  World world = small_world();
  const KeyPair next = key_of(77);
  const Digest digest =
      key_change_digest(world.state().chain_id(), world.key(1).public_key(), next.public_key());
  world.must(1, KeyChange{next.public_key(), next.sign(digest.view())});
  world.replace_key(1, next.copy());
  world.must(2, Transfer{3, 6, "after"});
  const Folder folder;
  write_log(folder.path("l"), world.blocks());
  EXPECT_EQ(verify_error(folder.path("l")), "");
  const std::string last = std::to_string(world.blocks().size() - 1);
  auto bytes = audit_prove(folder.path("l"), last + "/0");
  ASSERT_TRUE(bytes.ok());
  ASSERT_TRUE(audit_check(*bytes).ok()) << audit_check(*bytes).error().message;
}

}  // namespace
}  // namespace ufab::test
