// A node that joins the chain of several validators over real links, some of whom lie about the snapshot that
// they hand out: it begins with the right state all the same, or with block 0 when all of them lie.
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <mutex>

#include "fabric/base/file.h"
#include "jobs/node/block_feed.h"
#include "jobs/node/chain.h"
#include "jobs/rpc/server.h"
#include "tests/accounting/support/committee.h"
#include "tests/accounting/support/folder.h"
#include "tests/accounting/support/snapshot_offer.h"

namespace ufab::jobs {
namespace {

using namespace std::chrono_literals;
using test::Folder;
using test::World;

constexpr std::uint64_t epoch_blocks = 20;
constexpr std::uint64_t base_min = 160;

using Lie = std::function<void(const Request& request, Result<Answer>& answer)>;

// One of the validators' nodes: the answers are those that all of them would give, changed by its lie.
struct Validator {
  std::string endpoint;
  Listener listener = Listener::bind({"127.0.0.1", 0}).value();
  std::mutex mutex;
  Lie lie;  // guarded by mutex
  std::optional<RpcServer> server;
};

// The chain of four validators, their nodes, and what they hand out. Made once: it takes a while until a
// snapshot of a block that is late enough is there.
class Federation {
 public:
  Federation() {
    for (auto& validator : validators_) validator.endpoint = validator.listener.endpoint().str();
    world_.add_organisation("alpha", validators_[0].endpoint);
    world_.add_organisation("beta", validators_[1].endpoint);
    world_.add_organisation("gamma", validators_[2].endpoint);
    world_.add_organisation("delta", validators_[3].endpoint);
    for (const OrgId org : {test::alpha, test::beta, test::gamma, test::delta}) world_.stand(org);
    while (!world_.state().by_vote()) world_.next_epoch();
    LedgerOptions options;
    options.folder = folder_.path("ledger");
    ledger_ = test::joined(options, world_.blocks(), world_.blocks().size());
    keeper_.emplace(*ledger_, folder_.path("snapshots"), [](const std::string&) {});
    // The keeper rests after each snapshot.
    for (int i = 0; i < 200 && base() < base_min; ++i) {
      world_.must(test::delta, Transfer{test::alpha, 1, "pay"});
      world_.next_epoch();
      import();
      std::this_thread::sleep_for(20ms);
    }
    // The head has a certificate.
    do world_.empty_blocks(1);
    while (world_.state().height() % 3 != 1);
    import();
    for (std::size_t i = 0; i < validators_.size(); ++i) {
      Validator& validator = validators_[i];
      validator.server.emplace(
          Credentials::create(world_.key(static_cast<OrgId>(i) + test::alpha)).value(),
          [](const PublicKey&) { return true; },
          [this, &validator](const Caller&, const Request& request) { return answer(validator, request); });
      validator.server->serve(std::move(validator.listener));
    }
  }
  static Federation& get() {
    static Federation federation;
    return federation;
  }
  [[nodiscard]] const World& world() const { return world_; }
  [[nodiscard]] const Ledger& ledger() const { return *ledger_; }
  [[nodiscard]] Validator& validator(OrgId org) { return validators_.at(org - test::alpha); }
  [[nodiscard]] std::uint64_t base() const {
    const auto newest = keeper_->manifest({"chain.snapshot", {{"offset", 0}}, {}});
    return newest.ok() ? json_number(newest->result, "height").value() : 0;
  }
  void lie(OrgId org, Lie lie) {
    Validator& validator = this->validator(org);
    const std::lock_guard guard(validator.mutex);
    validator.lie = std::move(lie);
  }
  void all_are_honest() {
    for (const OrgId org : {test::alpha, test::beta, test::gamma, test::delta}) lie(org, {});
  }

 private:
  void import() {
    std::vector<Bytes> blocks(
        world_.blocks().begin() + static_cast<std::ptrdiff_t>(ledger_->head().height) + 1,
        world_.blocks().end());
    ASSERT_TRUE(ledger_->import_blocks(blocks).ok());
  }
  Result<Answer> answer(Validator& validator, const Request& request) {
    if (request.method == "chain.blocks") return few_blocks(request);
    Result<Answer> answer =
        request.method == "chain.snapshot" ? keeper_->manifest(request) : keeper_->chunk(request);
    Lie lie;
    {
      const std::lock_guard guard(validator.mutex);
      lie = validator.lie;
    }
    if (lie && request.method == "chain.chunk") lie(request, answer);
    return answer;
  }
  // A few at a time, so that a node learns who the validators are when it is still far behind.
  [[nodiscard]] Result<Answer> few_blocks(const Request& request) const {
    UFAB_ASSIGN(const std::uint64_t from, json_number(request.params, "from"));
    const std::uint64_t head = ledger_->head().height;
    if (from > head) return answer_blocks(*ledger_, {"", {{"from", from}, {"wait_ms", 50}}, {}});
    Writer writer;
    for (std::uint64_t at = from; at < from + 5 && at <= head; ++at) {
      UFAB_ASSIGN(const Bytes block, ledger_->block(at));
      writer.blob(block);
    }
    return Answer{{{"head", head}}, writer.take()};
  }

  const Folder folder_;
  World world_{params()};
  std::unique_ptr<Ledger> ledger_;
  std::optional<SnapshotKeeper> keeper_;
  std::array<Validator, 4> validators_;

  static ChainParams params() {
    ChainParams params = World::small_params();
    params.epoch_blocks = epoch_blocks;
    return params;
  }
};

class SnapshotLiarsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_GE(federation_.base(), base_min);
    for (const Seat& seat : federation_.world().state().seats()) order_.push_back(seat.organisation);
    ASSERT_EQ(order_.size(), 4U);
  }
  void TearDown() override {
    joined_.reset();
    federation_.all_are_honest();
  }
  // A ticket of that organisation's node.
  void join(OrgId org) {
    const Home home(folder_.path("late"));
    ASSERT_TRUE(make_folders(home.path(), 0700).ok());
    ASSERT_TRUE(KeyPair::generate().save(home.file("org.key")).ok());
    ASSERT_TRUE(Ledger::join(chain_options(home), federation_.world().blocks()[0]).ok());
    HomeConfig config;
    config.organisation = "late";
    config.follow =
        JoinTicket{{{Endpoint::parse(endpoint_of(org)).value(), federation_.world().key(org).public_key()}},
                   federation_.world().state().chain_id()};
    joined_ = Chain::open(home, config, [this](const std::string& line) {
                const std::lock_guard guard(mutex_);
                log_ += line + "\n";
              }).value();
    joined_->start();
  }
  [[nodiscard]] std::string endpoint_of(OrgId org) { return federation_.validator(org).endpoint; }
  [[nodiscard]] std::string log() {
    const std::lock_guard guard(mutex_);
    return log_;
  }
  [[nodiscard]] bool said(const std::string& what) { return log().find(what) != std::string::npos; }
  [[nodiscard]] bool said_of(OrgId org, const std::string& what) {
    return said(endpoint_of(org) + ": " + what);
  }
  template <class Condition>
  [[nodiscard]] bool wait_until(const Condition& condition) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!condition() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(10ms);
    return condition();
  }
  [[nodiscard]] bool at_head() { return joined_->ledger().head().hash == federation_.ledger().head().hash; }
  [[nodiscard]] static Digest root_of(const Ledger& ledger) {
    std::optional<State> state;
    ledger.with_state([&](const State& now) { state = now; });
    return StateTree::root_of(StateSnapshot::take(*state)->index.buckets);
  }
  // With a snapshot, and what it has is the state of everybody else.
  void expect_begun() {
    ASSERT_TRUE(wait_until([&] { return at_head(); })) << log();
    EXPECT_TRUE(said("begins with the state after block " + std::to_string(federation_.base()))) << log();
    EXPECT_EQ(root_of(joined_->ledger()), root_of(federation_.ledger()));
  }

  Federation& federation_ = Federation::get();
  const Folder folder_;
  std::vector<OrgId> order_;  // in which a node asks the validators
  std::unique_ptr<Chain> joined_;
  std::mutex mutex_;
  std::string log_;
};

void flip(const Request&, Result<Answer>& answer) {
  answer->body.at(answer->body.size() / 2) ^= 1;
}

TEST_F(SnapshotLiarsTest, WhoseTicketsNodeIsHonestBeginsAtOnce) {
  join(order_[2]);
  expect_begun();
  EXPECT_TRUE(said("bytes from " + endpoint_of(order_[2]) + ",")) << log();
  EXPECT_FALSE(said("manifest")) << log();
}

TEST_F(SnapshotLiarsTest, OneHonestValidatorIsEnough) {
  std::promise<void> over;
  federation_.lie(order_[0], flip);
  federation_.lie(order_[1], [](const Request&, Result<Answer>& answer) {
    answer->result["size"] = answer->body.size() - 1;
    answer->body.pop_back();
  });
  federation_.lie(order_[2],
                  [end = over.get_future().share()](const Request&, Result<Answer>&) { end.wait(); });
  join(order_[0]);
  expect_begun();
  over.set_value();
  EXPECT_TRUE(said_of(order_[0], "snapshot: chunk 0: ")) << log();
  EXPECT_TRUE(said_of(order_[1], "snapshot: chunk 0: the chunk")) << log();
  EXPECT_TRUE(said_of(order_[2], "snapshot: chunk 0: timed out")) << log();
  EXPECT_TRUE(said(endpoint_of(order_[3]) + ", ")) << log();
  EXPECT_FALSE(said_of(order_[3], "")) << log();
}

TEST_F(SnapshotLiarsTest, AnAnswerThatIsLargerThanAnyMayBeIsNotTakenIn) {
  federation_.lie(order_[0], [](const Request&, Result<Answer>& answer) { answer->body.resize(13 << 20); });
  federation_.lie(order_[1], [](const Request&, Result<Answer>& answer) { answer->body.resize(7 << 20); });
  federation_.lie(order_[2],
                  [](const Request&, Result<Answer>& answer) { answer->result["size"] = 1 << 30; });
  join(order_[0]);
  expect_begun();
  EXPECT_TRUE(said_of(order_[0], "snapshot: chunk 0: the peer announced a frame of ")) << log();
  EXPECT_TRUE(said_of(order_[1], "snapshot: chunk 0: its pieces")) << log();
  EXPECT_TRUE(said_of(order_[2], "snapshot: chunk 0: its pieces")) << log();
}

TEST_F(SnapshotLiarsTest, WhatALiarCallsItsErrorIsOneLineOfTheLog) {
  federation_.lie(order_[0], [](const Request&, Result<Answer>& answer) {
    answer = Error{ErrorCode::invalid, "no\nthis node begins with \x1b[2J" + std::string(60'000, 'x')};
  });
  join(order_[0]);
  expect_begun();
  EXPECT_TRUE(said_of(order_[0], "snapshot: chunk 0: no?this node begins with ?[2Jxxx")) << log();
  EXPECT_LT(log().size(), 10'000U);
}

TEST_F(SnapshotLiarsTest, WhenAllOfThemLieTheBlocksComeInstead) {
  for (const OrgId org : order_) federation_.lie(org, flip);
  join(order_[0]);
  ASSERT_TRUE(wait_until([&] { return at_head(); })) << log();
  EXPECT_FALSE(said("begins with the state")) << log();
  EXPECT_FALSE(joined_->history().has_value());
  EXPECT_TRUE(joined_->ledger().block(60).ok());
  EXPECT_EQ(root_of(joined_->ledger()), root_of(federation_.ledger()));
  for (const OrgId org : order_) EXPECT_TRUE(said_of(org, "snapshot: chunk 0: ")) << log();
}

}  // namespace
}  // namespace ufab::jobs
