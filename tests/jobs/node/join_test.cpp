// Joining a chain with a ticket that names several nodes: any that is there and is who it should be will do.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "jobs/node/block_feed.h"
#include "jobs/rpc/server.h"
#include "tests/jobs/node/own_chain.h"

namespace ufab::jobs {
namespace {

// What a node answers; it has the fixture's chain unless it says otherwise.
using Answering = std::function<Result<Answer>(const Request& request)>;

class JoinTest : public OwnChainTest {
 protected:
  void SetUp() override {
    OwnChainTest::SetUp();
    ticket_.genesis = chain_->ledger().chain_id();
    home_.emplace(folder_ + "/late");
    ASSERT_TRUE(make_folders(home_->path(), 0700).ok());
    key_ = KeyPair::generate();
    ASSERT_TRUE(key_->save(home_->file("org.key")).ok());
  }
  Result<Answer> answer(const Request& request) {
    if (request.method == "chain.blocks") return answer_blocks(chain_->ledger(), request);
    if (request.method != "chain.submit") return Error{ErrorCode::not_found, request.method};
    UFAB_ASSIGN(const FiledRecord filed, chain_->take_record(request.body, false));
    return Answer{{{"id", filed.id.str()}, {"height", filed.height}}, {}};
  }
  // One more node of the ticket.
  void add_node(const Answering& answering) {
    const KeyPair key = KeyPair::generate();
    Listener listener = Listener::bind({"127.0.0.1", 0}).value();
    ticket_.nodes.push_back({listener.endpoint(), key.public_key()});
    servers_.push_back(std::make_unique<RpcServer>(
        Credentials::create(key).value(), [](const PublicKey&) { return true; },
        [this, answering, at = servers_.size()](const Caller&, const Request& request) {
          {
            const std::lock_guard guard(mutex_);
            asked_[at] += request.method + " ";
          }
          return answering(request);
        }));
    servers_.back()->serve(std::move(listener));
  }
  void add_honest() {
    add_node([this](const Request& request) { return answer(request); });
  }
  // Nobody listens there.
  void add_absent() {
    const Listener listener = Listener::bind({"127.0.0.1", 0}).value();
    ticket_.nodes.push_back({listener.endpoint(), KeyPair::generate().public_key()});
  }
  Status join() {
    HomeConfig config;
    config.organisation = "late";
    config.listen_port = 4001;
    config.follow = ticket_;
    return join_chain(*home_, config);
  }
  [[nodiscard]] bool registered() {
    return chain_->read([&](const State& state) {
      const OrgEntry* org = state.organisation_by_name("late");
      return org != nullptr && org->key == key_->public_key();
    });
  }
  [[nodiscard]] std::string at(std::size_t node) const { return ticket_.nodes.at(node).endpoint.str(); }

  JoinTicket ticket_;
  std::optional<Home> home_;
  std::optional<KeyPair> key_;
  std::mutex mutex_;
  std::map<std::size_t, std::string> asked_;  // of each server, in the order in which they were added
  std::vector<std::unique_ptr<RpcServer>> servers_;
};

TEST_F(JoinTest, TheFirstNodeDoesWhenItIsThere) {
  add_honest();
  add_honest();
  const Status joined = join();
  ASSERT_TRUE(joined.ok()) << joined.error().message;
  EXPECT_TRUE(registered());
  EXPECT_EQ(asked_[0], "chain.blocks chain.submit ");
  EXPECT_EQ(asked_[1], "");
}

TEST_F(JoinTest, ANodeThatIsDownKeepsNobodyOut) {
  add_absent();
  add_honest();
  const Status joined = join();
  ASSERT_TRUE(joined.ok()) << joined.error().message;
  EXPECT_TRUE(registered());
  EXPECT_EQ(asked_[0], "chain.blocks chain.submit ");
}

TEST_F(JoinTest, ANodeWithAnotherKeyIsNotSpokenTo) {
  add_honest();
  add_honest();
  ticket_.nodes[0].key = KeyPair::generate().public_key();
  ASSERT_TRUE(join().ok());
  EXPECT_TRUE(registered());
  EXPECT_EQ(asked_[0], "");
  EXPECT_EQ(asked_[1], "chain.blocks chain.submit ");
}

TEST_F(JoinTest, ANodeOfAnotherChainOrOfNoneIsPassedOver) {
  const Home elsewhere(folder_ + "/elsewhere");
  ASSERT_TRUE(make_folders(elsewhere.path(), 0700).ok());
  ASSERT_TRUE(KeyPair::generate().save(elsewhere.file("org.key")).ok());
  ASSERT_TRUE(found_chain(elsewhere, context_->config, "test", ChainParams{}).ok());
  const auto other = Chain::open(elsewhere, context_->config).value();
  add_node([&](const Request& request) { return answer_blocks(other->ledger(), request); });
  add_node([](const Request&) { return Answer{{}, {1, 2, 3}}; });
  add_node([this](const Request& request) {
    // A header that its producer did not sign.
    Result<Answer> changed = answer(request);
    if (request.method == "chain.blocks") changed->body.at(60) ^= 1;
    return changed;
  });
  add_node([](const Request&) { return Error{ErrorCode::invalid, "no\nline"}; });
  const Status none = join();
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().message.find('\n'), std::string::npos);
  for (const std::string& part :
       {at(0) + ": it has another chain (" + other->ledger().chain_id().str() + ") than the ticket names",
        at(1) + ": it sent no first block", at(2) + ": it sent no first block", at(3) + ": no?line"})
    EXPECT_NE(none.error().message.find(part), std::string::npos) << none.error().message;
  EXPECT_FALSE(file_exists(home_->chain_folder()));
  add_honest();
  const Status joined = join();
  ASSERT_TRUE(joined.ok()) << joined.error().message;
  EXPECT_TRUE(registered());
}

TEST_F(JoinTest, WhoHandsOutBlocksButTakesNoRecordIsPassedOverToo) {
  add_node([this](const Request& request) -> Result<Answer> {
    if (request.method == "chain.submit") return Error{ErrorCode::denied, "this node makes no blocks"};
    return answer(request);
  });
  add_honest();
  ASSERT_TRUE(join().ok());
  EXPECT_TRUE(registered());
  EXPECT_EQ(asked_[0], "chain.blocks chain.submit ");
  EXPECT_EQ(asked_[1], "chain.submit ");
}

TEST_F(JoinTest, ARuleOfTheChainIsAnAnswerForAllNodes) {
  ASSERT_TRUE(
      chain_->ledger().sign_and_submit(KeyPair::generate(), Organisation{"late", "127.0.0.1:4002"}).ok());
  add_honest();
  add_honest();
  const Status joined = join();
  ASSERT_FALSE(joined.ok());
  EXPECT_EQ(joined.error().message.substr(0, 14), "registration: ");
  EXPECT_NE(joined.error().message.find("late"), std::string::npos) << joined.error().message;
  EXPECT_EQ(asked_[1], "");
}

TEST_F(JoinTest, WhenNoNodeIsThereTheErrorNamesEach) {
  add_absent();
  add_absent();
  const Status joined = join();
  ASSERT_FALSE(joined.ok());
  EXPECT_EQ(joined.error().exit_status(), 3);
  EXPECT_NE(joined.error().message.find("no node of the ticket will do: " + at(0) + ": "), std::string::npos);
  EXPECT_NE(joined.error().message.find("; " + at(1) + ": "), std::string::npos) << joined.error().message;
}

TEST_F(JoinTest, ANodeFollowsByWayOfAnotherNodeOfItsTicketWhenTheFirstIsDown) {
  add_absent();
  add_honest();
  ASSERT_TRUE(join().ok());
  HomeConfig config;
  config.organisation = "late";
  config.follow = ticket_;
  const auto late = Chain::open(*home_, config).value();
  EXPECT_EQ(late->ticket().nodes.size(), 1U);
  EXPECT_EQ(late->ticket().nodes[0], ticket_.nodes[0]);
  late->start();
  const Digest head = chain_->ledger().head().hash;
  for (int i = 0; i < 1000 && late->ledger().head().hash != head; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(late->ledger().head().hash, head) << late->trouble();
}

}  // namespace
}  // namespace ufab::jobs
