// A block is checked in pieces: what they say together is what is wrong first.
#include "accounting/chain/preparation.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/accounting/support/world.h"

namespace ufab {
namespace {

constexpr std::size_t count = 200;  // records: several pieces

class Preparation : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    Chain chain;
    const KeyPair key = test::key_of(1);
    ASSERT_TRUE(Chain::make_genesis(chain, key, {"test", "founder", "", {}}, 1).ok());
    std::vector<Record> records;
    for (std::size_t i = 0; i < count; ++i)
      records.push_back(sign_record(chain.state().chain_id(), test::key_of(static_cast<std::uint8_t>(2 + i)),
                                    1, 1, Organisation{"org" + std::to_string(i), ""}));
    made = chain.make(records, key, 2).block;
    ASSERT_EQ(made.records.size(), count);
  }
  // Worked on from the last piece to the first.
  static PreparedBlock prepared(const std::function<void(Block&)>& change = {},
                                Signatures signatures = Signatures::check) {
    Block block = made;
    if (change) change(block);
    BlockPreparation preparation(std::move(block), signatures);
    EXPECT_GE(preparation.pieces(), 3u);
    for (std::size_t piece = preparation.pieces(); piece-- > 0;) preparation.work(piece);
    return std::move(preparation).finish();
  }
  static void damage(Block& block, std::size_t record) { block.records[record].back() ^= 1; }
  static inline Block made;
};

TEST_F(Preparation, AGoodBlockHasAllItsRecordsInOrderAndItsRoot) {
  const PreparedBlock done = prepared();
  ASSERT_TRUE(done.status.ok()) << done.status.error().message;
  EXPECT_EQ(done.record_root, made.header.record_root);
  ASSERT_EQ(done.records.size(), count);
  for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(encode_record(done.records[i]), made.records[i]);
  EXPECT_EQ(encode_block(done.block), encode_block(made));
}

TEST_F(Preparation, OfSeveralWrongRecordsTheFirstIsNamed) {
  for (const std::size_t first :
       {std::size_t{0}, std::size_t{63}, std::size_t{64}, std::size_t{130}, count - 1}) {
    const PreparedBlock done = prepared([&](Block& block) {
      damage(block, first);
      if (first != count - 1) damage(block, count - 1);
    });
    ASSERT_FALSE(done.status.ok());
    EXPECT_EQ(done.status.error().message.rfind("block 1 record " + std::to_string(first) + " (", 0), 0u)
        << done.status.error().message;
  }
}

TEST_F(Preparation, TheMakersSignatureComesBeforeAnyRecord) {
  const PreparedBlock done = prepared([](Block& block) {
    damage(block, 0);
    block.header.signature.bytes[3] ^= 1;
  });
  ASSERT_FALSE(done.status.ok());
  EXPECT_EQ(done.status.error().message, "block 1: its signature is wrong");
}

TEST_F(Preparation, SignaturesThatWereCheckedAreNotCheckedAgain) {
  EXPECT_TRUE(prepared([](Block& block) { damage(block, 70); }, Signatures::checked).status.ok());
}

TEST_F(Preparation, AnEmptyBlockHasOnePiece) {
  Block block = made;
  block.records.clear();
  BlockPreparation preparation(std::move(block), Signatures::checked);
  ASSERT_EQ(preparation.pieces(), 1u);
  preparation.work(0);
  EXPECT_TRUE(std::move(preparation).finish().status.ok());
}

}  // namespace
}  // namespace ufab
