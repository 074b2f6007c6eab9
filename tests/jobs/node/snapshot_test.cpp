// A node that joins a long chain, over real links: it begins with a snapshot, finds out who lies about it,
// and has every block in the end.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <set>

#include "accounting/audit/audit.h"
#include "fabric/base/codec.h"
#include "fabric/base/file.h"
#include "jobs/node/chain.h"
#include "jobs/rpc/server.h"

namespace ufab::jobs {
namespace {

using namespace std::chrono_literals;

class SnapshotTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ufab-snapshot-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    const Home home(folder_ + "/chain");
    ASSERT_TRUE(make_folders(home.path(), 0700).ok());
    HomeConfig config;
    config.organisation = "chain";
    config.listen_port = 4000;
    ASSERT_TRUE(KeyPair::generate().save(home.file("org.key")).ok());
    ChainParams params;
    params.epoch_blocks = 60;
    ASSERT_TRUE(found_chain(home, config, "test", params).ok());
    validator_ = Chain::open(home, config).value();
    owner_ = home.load_key().value();
    file(*owner_, Stake{1'000'000});
    file(KeyPair::generate(), Organisation{"other", ""});
    // One is begun only when the last took a twentieth of the time since.
    for (int i = 0; i < 5000 && base() < 120; ++i) file(*owner_, Transfer{2, 1, "pay"});
    ASSERT_GE(base(), 120U);
    Listener listener = Listener::bind({"127.0.0.1", 0}).value();
    port_ = listener.endpoint().port;
    server_.emplace(
        Credentials::create(validator_->key()).value(), [](const PublicKey&) { return true; },
        [this](const Caller&, const Request& request) { return answer(request); });
    server_->serve(std::move(listener));
  }
  void TearDown() override {
    joined_.reset();
    server_.reset();
    validator_.reset();
    std::filesystem::remove_all(folder_);
  }
  void file(const KeyPair& key, RecordBody body) {
    const auto filed = validator_->ledger().sign_and_submit(key, std::move(body));
    ASSERT_TRUE(filed.ok()) << filed.error().message;
  }
  [[nodiscard]] std::set<std::uint64_t> snapshots() const {
    std::set<std::uint64_t> heights;
    std::error_code error;
    for (std::filesystem::directory_iterator it(folder_ + "/chain/chain/snapshots", error), end;
         !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (name.find('.') == std::string::npos) heights.insert(std::stoull(name));
    }
    return heights;
  }
  [[nodiscard]] std::uint64_t base() const {
    const auto all = snapshots();
    return all.empty() ? 0 : *all.rbegin();
  }
  // Blocks come four at a time, so that there is a while without the old ones.
  Result<Answer> answer(const Request& request) {
    Ledger& ledger = validator_->ledger();
    if (request.method == "chain.snapshot") return validator_->snapshots().manifest(request);
    if (request.method == "chain.chunk") {
      auto chunk = validator_->snapshots().chunk(request);
      if (chunk.ok() && lies_) chunk->body.at(chunk->body.size() / 2) ^= 1;
      return chunk;
    }
    UFAB_ASSIGN(const std::uint64_t from, json_number(request.params, "from"));
    UFAB_ASSIGN(const std::uint64_t wait_ms, json_number(request.params, "wait_ms"));
    // Who fills in old blocks does not wait for them.
    if (wait_ms == 0 && withheld_) return Error{ErrorCode::unavailable, "not now"};
    if (wait_ms != 0) static_cast<void>(ledger.wait_for_block(from - 1, 50));
    Writer writer;
    for (std::uint64_t at = from; at < from + 4 && at <= ledger.head().height; ++at) {
      UFAB_ASSIGN(const Bytes block, ledger.block(at));
      writer.blob(block);
    }
    return Answer{{{"head", ledger.head().height}}, writer.take()};
  }
  void join(bool snapshot = true) {
    const Home home(folder_ + "/late");
    ASSERT_TRUE(make_folders(home.path(), 0700).ok());
    const KeyPair key = KeyPair::generate();
    ASSERT_TRUE(key.save(home.file("org.key")).ok());
    LedgerOptions options;
    options.folder = home.chain_folder();
    ASSERT_TRUE(Ledger::join(options, validator_->ledger().block(0).value()).ok());
    HomeConfig config;
    config.organisation = "late";
    config.snapshot = snapshot;
    config.follow =
        JoinTicket{{{{"127.0.0.1", port_}, validator_->key().public_key()}}, validator_->ledger().chain_id()};
    joined_ = Chain::open(home, config, [this](const std::string& line) {
                const std::lock_guard guard(mutex_);
                log_ += line + "\n";
              }).value();
    joined_->start();
  }
  std::string log() {
    const std::lock_guard guard(mutex_);
    return log_;
  }
  template <class Condition>
  [[nodiscard]] bool wait_until(const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (!condition() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(10ms);
    return condition();
  }
  [[nodiscard]] bool at_head() { return joined_->ledger().head().hash == validator_->ledger().head().hash; }

  std::string folder_;
  std::unique_ptr<Chain> validator_, joined_;
  std::optional<KeyPair> owner_;
  std::uint16_t port_ = 0;
  std::optional<RpcServer> server_;
  std::atomic<bool> lies_{false}, withheld_{false};
  std::mutex mutex_;
  std::string log_;
};

TEST_F(SnapshotTest, ANewNodeTakesPartBeforeItHasTheOldBlocksAndIsWholeInTheEnd) {
  withheld_ = true;
  join();
  ASSERT_TRUE(wait_until([&] { return at_head(); })) << log();
  ASSERT_TRUE(joined_->history().has_value());
  EXPECT_GE(joined_->history()->base, 120U);
  EXPECT_EQ(joined_->history()->filled, 0U);
  EXPECT_NE(log().find("begins with the state after block "), std::string::npos) << log();
  EXPECT_EQ(joined_->ledger().block(60).error().code, ErrorCode::unavailable);
  EXPECT_FALSE(audit_verify(folder_ + "/late/chain").ok());
  file(*owner_, Transfer{2, 5, "later"});
  ASSERT_TRUE(wait_until([&] { return at_head(); })) << log();
  withheld_ = false;
  ASSERT_TRUE(wait_until([&] { return !joined_->history(); })) << log();
  file(*owner_, Transfer{2, 6, "later still"});
  ASSERT_TRUE(wait_until([&] { return at_head(); })) << log();
  EXPECT_EQ(*joined_->ledger().block(60), *validator_->ledger().block(60));
  const std::uint64_t height = joined_->ledger().head().height;
  joined_.reset();
  const auto audited = audit_verify(folder_ + "/late/chain", validator_->ledger().chain_id());
  ASSERT_TRUE(audited.ok()) << audited.error().message;
  EXPECT_EQ(audited->head_height, height);
}

TEST_F(SnapshotTest, AWrongChunkIsFoundOutAndTheBlocksComeInstead) {
  lies_ = true;
  join();
  ASSERT_TRUE(wait_until([&] { return at_head(); })) << log();
  EXPECT_FALSE(joined_->history().has_value());
  EXPECT_NE(log().find("snapshot: chunk 0: "), std::string::npos) << log();
  EXPECT_EQ(log().find("begins with the state"), std::string::npos) << log();
  EXPECT_TRUE(joined_->ledger().block(60).ok());
}

TEST_F(SnapshotTest, WhoWantsNoneBeginsWithBlockZero) {
  join(false);
  ASSERT_TRUE(wait_until([&] { return at_head(); })) << log();
  EXPECT_TRUE(joined_->ledger().block(60).ok());
  EXPECT_EQ(log(), "");
}

TEST_F(SnapshotTest, ANodeKeepsTheLastTwo) {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 5000 && seen.size() < 4; ++i) {
    file(*owner_, Transfer{2, 1, "pay"});
    seen.merge(snapshots());
  }
  ASSERT_EQ(seen.size(), 4U);
  ASSERT_TRUE(wait_until([&] { return snapshots().size() == 2; }));
  EXPECT_EQ(base(), *seen.rbegin());
}

}  // namespace
}  // namespace ufab::jobs
