// The façade that the node uses: durability, group commit, replicas.
#include "accounting/ledger.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "accounting/audit/audit.h"
#include "accounting/index/index.h"
#include "tests/accounting/support/folder.h"
#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

LedgerOptions options_in(const std::string& folder) {
  LedgerOptions options;
  options.folder = folder;
  return options;
}

std::unique_ptr<Ledger> found(const std::string& folder, LedgerOptions options) {
  options.folder = folder;
  auto ledger = Ledger::create(std::move(options), key_of(1), genesis_of());
  EXPECT_TRUE(ledger.ok()) << ledger.error().message;
  return std::move(ledger).value();
}
std::unique_ptr<Ledger> found(const std::string& folder) {
  return found(folder, {});
}

TEST(Ledger, ASubmittedRecordIsThereAfterReopening) {
  const Folder folder;
  RecordId id;
  {
    const auto ledger = found(folder.path("l"));
    const auto outcome = ledger->sign_and_submit(key_of(2), Organisation{"alpha", ""});
    ASSERT_TRUE(outcome.ok()) << outcome.error().message;
    id = outcome->id;
    EXPECT_EQ(outcome->height, 1U);
  }
  const KeyPair key = key_of(1);
  const auto ledger = Ledger::open(options_in(folder.path("l")), &key);
  ASSERT_TRUE(ledger.ok()) << ledger.error().message;
  (*ledger)->with_state([](const State& state) {
    ASSERT_NE(state.organisation_by_name("alpha"), nullptr);
    EXPECT_EQ(state.organisation_by_name("alpha")->key, key_of(2).public_key());
  });
  EXPECT_EQ((*ledger)->next_sequence(key_of(2).public_key()), 2U);
  EXPECT_EQ((*ledger)->head().height, 1U);
}

TEST(Ledger, OthersSeeTheIndexGrowWhileBlocksKeepComing) {
  const Folder folder;
  const auto ledger = found(folder.path("l"));
  ASSERT_TRUE(ledger->sign_and_submit(key_of(2), Organisation{"alpha", ""}).ok());
  // Never a pause as long as that after which the index is committed anyway.
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::optional<std::uint64_t> seen;
  while ((!seen || *seen == 0) && std::chrono::steady_clock::now() < give_up) {
    ASSERT_TRUE(ledger->sign_and_submit(key_of(1), Transfer{2, 1, ""}).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    seen = Index::peek_height(folder.path("l") + "/index.sqlite");
  }
  ASSERT_TRUE(seen.has_value());
  EXPECT_GT(*seen, 0U);
}

TEST(Ledger, SubmittingARecordTwiceGivesTheFirstOutcome) {
  const Folder folder;
  const auto ledger = found(folder.path("l"));
  const Record record = sign_record(ledger->chain_id(), key_of(2), 1, 1, Organisation{"alpha", ""});
  const auto first = ledger->submit(record);
  ASSERT_TRUE(first.ok());
  const auto second = ledger->submit(record);
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(second->id, first->id);
  EXPECT_EQ(second->height, first->height);
  EXPECT_EQ(ledger->head().height, first->height);
}

TEST(Ledger, ARepeatedRecordOfARevokedAgentGivesItsFirstOutcomeAndANewOneNone) {
  const Folder folder;
  const auto ledger = found(folder.path("l"));
  const KeyPair owner = key_of(2);
  const KeyPair agent = key_of(3);
  ASSERT_TRUE(ledger->sign_and_submit(owner, Organisation{"alpha", ""}).ok());
  const Digest proof = agent_enrol_digest(ledger->chain_id(), owner.public_key(), agent.public_key());
  ASSERT_TRUE(
      ledger->sign_and_submit(owner, AgentEnrol{agent.public_key(), agent.sign(proof.view()), 0}).ok());
  const Record record =
      sign_record(ledger->chain_id(), agent, 1, 1, Correction{sha256("record"), "a remark", {}});
  const auto first = ledger->submit(record);
  ASSERT_TRUE(first.ok()) << first.error().message;
  ASSERT_TRUE(ledger->sign_and_submit(owner, AgentRevoke{"lost"}).ok());
  const auto second = ledger->submit(record);
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(second->height, first->height);
  EXPECT_EQ(ledger->sign_and_submit(agent, Correction{sha256("record"), "another", {}}).error().code,
            ErrorCode::denied);
}

TEST(Ledger, ARefusedRecordStaysRefusedAndItsReasonIsOnTheLedger) {
  const Folder folder;
  const auto ledger = found(folder.path("l"));
  ASSERT_TRUE(ledger->sign_and_submit(key_of(2), Organisation{"alpha", ""}).ok());
  const Record record = sign_record(ledger->chain_id(), key_of(2), 2, 1, Stake{5});
  const auto first = ledger->submit(record);
  ASSERT_FALSE(first.ok());
  EXPECT_EQ(first.error().message, "stake of 0.000005 UNC: the balance is 0 UNC");
  const auto second = ledger->submit(record);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().message, first.error().message);
  EXPECT_EQ(ledger->next_sequence(key_of(2).public_key()), 3U);
}

TEST(Ledger, ConcurrentCallersShareBlocks) {
  const Folder folder;
  const auto ledger = found(folder.path("l"));
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (std::uint8_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const KeyPair key = key_of(static_cast<std::uint8_t>(10 + t));
      good += ledger->sign_and_submit(key, Organisation{"org-" + std::to_string(t), ""}).ok() ? 1 : 0;
      for (int i = 0; i < 20; ++i) {
        good += ledger->sign_and_submit(key, Correction{digest_of("x"), "a remark", {}}).ok() ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 8 * 21);
  EXPECT_LE(ledger->head().height, 8U * 21U);
}

TEST(Ledger, AReplicaFollowsBlockByBlockAndRefusesToProduce) {
  const Folder folder;
  const auto ledger = found(folder.path("l"));
  ASSERT_TRUE(ledger->sign_and_submit(key_of(2), Organisation{"alpha", ""}).ok());
  ASSERT_TRUE(ledger->sign_and_submit(key_of(1), Transfer{2, 500, "grant"}).ok());
  const auto replica = Ledger::join(options_in(folder.path("r")), *ledger->block(0));
  ASSERT_TRUE(replica.ok()) << replica.error().message;
  EXPECT_EQ((*replica)->chain_id(), ledger->chain_id());
  EXPECT_EQ((*replica)->import_block(*ledger->block(2)).error().code, ErrorCode::not_found);
  EXPECT_TRUE((*replica)->import_block(*ledger->block(1)).ok());
  EXPECT_TRUE((*replica)->import_block(*ledger->block(2)).ok());
  EXPECT_TRUE((*replica)->import_block(*ledger->block(2)).ok());
  EXPECT_EQ((*replica)->head().hash, ledger->head().hash);
  EXPECT_EQ((*replica)->sign_and_submit(key_of(2), Stake{1}).error().code, ErrorCode::denied);
  EXPECT_EQ((*replica)->produce_if_due().error().code, ErrorCode::denied);
}

TEST(Ledger, AReplicaRefusesATamperedBlockAndGoesOnWithTheRightOne) {
  const Folder folder;
  const auto ledger = found(folder.path("l"));
  ASSERT_TRUE(ledger->sign_and_submit(key_of(2), Organisation{"alpha", ""}).ok());
  ASSERT_TRUE(ledger->sign_and_submit(key_of(1), Transfer{2, 500, "grant"}).ok());
  const auto replica = Ledger::join(options_in(folder.path("r")), *ledger->block(0));
  ASSERT_TRUE((*replica)->import_block(*ledger->block(1)).ok());
  const Bytes right = *ledger->block(2);
  // A wrong state root under a right signature: only a full re-execution can tell.
  auto block = decode_block(right);
  block->header.state_root.bytes[0] ^= 1;
  block->header.signature = key_of(1).sign(header_signing_digest(block->header).view());
  const Status status = (*replica)->import_block(encode_block(*block));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "block 2: its state root is not that of the state");
  EXPECT_TRUE((*replica)->import_block(right).ok());
  EXPECT_EQ((*replica)->head().hash, ledger->head().hash);
}

TEST(Ledger, AnEmptyBlockIsMadeOnlyWhenItIsDue) {
  const Folder folder;
  std::uint64_t now = 1'000'000'000;
  LedgerOptions options;
  options.now_us = [&now] { return now; };
  const auto ledger = found(folder.path("l"), options);
  EXPECT_FALSE(*ledger->produce_if_due());
  now += 2'000'000;
  EXPECT_TRUE(*ledger->produce_if_due());
  EXPECT_FALSE(*ledger->produce_if_due());
  EXPECT_EQ(ledger->head().height, 1U);
}

TEST(Ledger, TwoProcessesCannotOpenOneFolder) {
  const Folder folder;
  const auto ledger = found(folder.path("l"));
  EXPECT_EQ(Ledger::open(options_in(folder.path("l"))).error().code, ErrorCode::conflict);
  EXPECT_EQ(Ledger::create(options_in(folder.path("l")), key_of(1), genesis_of()).error().code,
            ErrorCode::conflict);
}

}  // namespace
}  // namespace ufab::test
