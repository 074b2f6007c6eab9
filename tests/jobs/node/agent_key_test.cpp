// Which key a node signs with: a validator, and a follower whose copy of the chain is fed by hand.
#include "jobs/node/agent_key.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "fabric/base/file.h"

namespace ufab::jobs {
namespace {

class AgentKeyTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ufab-agent-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    validator_home_ = Home(folder_ + "/chain");
    home_ = Home(folder_ + "/alpha");
    for (const char* name : {"chain", "alpha"}) ASSERT_TRUE(make_folders(folder_ + "/" + name, 0700).ok());
    HomeConfig config;
    config.organisation = "chain";
    config.listen_port = 4000;
    ASSERT_TRUE(KeyPair::generate().save(validator_home_.file("org.key")).ok());
    ASSERT_TRUE(found_chain(validator_home_, config, "test", ChainParams{}).ok());
    validator_ = Chain::open(validator_home_, config).value();
    file(owner_, Organisation{"alpha", "127.0.0.1:4001"});
    ASSERT_TRUE(owner_.save(home_.file("org.key")).ok());
    LedgerOptions options;
    options.folder = home_.chain_folder();
    ASSERT_TRUE(Ledger::join(options, validator_->ledger().block(0).value()).ok());
    config_.organisation = "alpha";
    config_.follow =
        JoinTicket{{{{"127.0.0.1", 4000}, validator_->key().public_key()}}, validator_->ledger().chain_id()};
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void file(const KeyPair& key, RecordBody body) {
    const auto filed = validator_->ledger().sign_and_submit(key, std::move(body));
    ASSERT_TRUE(filed.ok()) << filed.error().message;
  }
  void open() {
    chain_.reset();
    chain_ = Chain::open(home_, config_).value();
    follow();
  }
  void follow() {
    for (std::uint64_t height = 1; height <= validator_->ledger().head().height; ++height) {
      ASSERT_TRUE(chain_->ledger().import_block(validator_->ledger().block(height).value()).ok());
    }
  }
  NodeContext node(const Home& home, Chain& chain) {
    return {home, config_, &chain, nullptr, nullptr, {}, {}, {}};
  }
  // Enrols what the node of alpha offers.
  void enrol(MicroUnc allowance) {
    auto offer = offer_agent(node(home_, *chain_));
    ASSERT_TRUE(offer.ok()) << offer.error().message;
    offer->allowance = allowance;
    file(owner_, *offer);
    follow();
  }

  std::string folder_;
  Home validator_home_{""}, home_{""};
  HomeConfig config_;
  std::unique_ptr<Chain> validator_, chain_;
  KeyPair owner_ = KeyPair::generate();
};

TEST_F(AgentKeyTest, TheOwnersKeySignsUntilTheAgentsIsEnrolledAndThenWhatOnlyItMay) {
  open();
  EXPECT_EQ(chain_->role(), KeyRole::owner);
  EXPECT_FALSE(chain_->allowance());
  ASSERT_TRUE(offer_agent(node(home_, *chain_)).ok());
  EXPECT_EQ(chain_->role(), KeyRole::owner) << "an offer is not an enrolment";
  enrol(70);
  EXPECT_EQ(chain_->role(), KeyRole::agent);
  EXPECT_EQ(chain_->allowance(), 70U);
  EXPECT_TRUE(chain_->may_sign(RecordType::transfer).ok()) << "org.key is here";
  EXPECT_EQ(chain_->key().public_key(), owner_.public_key()) << "links show what they were opened with";
  EXPECT_EQ(offer_agent(node(home_, *chain_)).error().message,
            "alpha has an agent enrolled; `ufab agent revoke` ends it");
  open();
  EXPECT_NE(chain_->key().public_key(), owner_.public_key());
  EXPECT_EQ(chain_->self(), 2U);
}

TEST_F(AgentKeyTest, WithoutTheOwnersKeyItSignsWhatAnAgentMayAndNothingOnceItIsRevoked) {
  open();
  enrol(70);
  std::filesystem::rename(home_.file("org.key"), folder_ + "/away.key");
  open();
  EXPECT_EQ(chain_->role(), KeyRole::agent);
  EXPECT_TRUE(chain_->may_sign(RecordType::job_order).ok());
  EXPECT_EQ(
      chain_->may_sign(RecordType::transfer).error().message,
      "transfer: it needs the organisation's key, and this home has no org.key; name it with --key FILE");
  EXPECT_FALSE(agent_record(node(home_, *chain_), "agent_enroll", {{"allowance_micro", 1}}).ok());
  const PublicKey first = chain_->key().public_key();
  file(owner_, AgentRevoke{"lost"});
  follow();
  EXPECT_FALSE(chain_->role());
  EXPECT_FALSE(chain_->allowance());
  EXPECT_NE(chain_->may_sign(RecordType::lease).error().message.find("not enrolled or was revoked"),
            std::string::npos);
  EXPECT_EQ(chain_->self(), 2U) << "it still knows whose node it is";
  enrol(5);
  EXPECT_EQ(chain_->role(), KeyRole::agent);
  open();
  EXPECT_NE(chain_->key().public_key(), first) << "a revoked key is replaced";
}

TEST_F(AgentKeyTest, AnOfferedKeyIsKeptUntilTheChainHasSeenIt) {
  open();
  const AgentEnrol offer = offer_agent(node(home_, *chain_)).value();
  EXPECT_EQ(offer_agent(node(home_, *chain_)).value().key, offer.key);
  std::filesystem::permissions(home_.file("agent.key"), std::filesystem::perms(0644));
  EXPECT_NE(offer_agent(node(home_, *chain_)).error().message.find("others may read this key"),
            std::string::npos);
}

TEST_F(AgentKeyTest, TheValidatorsNodeTakesNoAgentAndDoesNotStartWithoutItsOwnKey) {
  const auto offer = offer_agent(node(validator_home_, *validator_));
  EXPECT_EQ(offer.error().code, ErrorCode::denied);
  EXPECT_FALSE(file_exists(validator_home_.file("agent.key")));
  HomeConfig config;
  config.organisation = "chain";
  validator_.reset();
  ASSERT_TRUE(KeyPair::generate().save(validator_home_.file("agent.key")).ok());
  std::filesystem::remove(validator_home_.file("org.key"));
  const auto opened = Chain::open(validator_home_, config);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find("the validator's node signs blocks with it"), std::string::npos);
  std::filesystem::remove(validator_home_.file("agent.key"));
  EXPECT_EQ(validator_home_.load_keys().error().code, ErrorCode::not_found);
}

TEST_F(AgentKeyTest, OnlyAnOrganisationsOwnPresentKeySignsElsewhere) {
  const NodeContext here = node(validator_home_, *validator_);
  const auto facts = owner_facts(here, owner_.public_key());
  ASSERT_TRUE(facts.ok()) << facts.error().message;
  EXPECT_EQ(facts->result.at("organisation").as_string(), "alpha");
  EXPECT_EQ(facts->result.at("sequence").to_number<std::uint64_t>(), 2U);
  open();
  enrol(5);
  EXPECT_EQ(owner_facts(here, KeyPair::generate().public_key()).error().code, ErrorCode::denied);
  const KeyPair agent = KeyPair::load(home_.file("agent.key")).value();
  EXPECT_EQ(owner_facts(here, agent.public_key()).error().code, ErrorCode::denied);
  const Record record = sign_record(validator_->ledger().chain_id(), owner_, 3, 1, AgentAllowance{9});
  EXPECT_TRUE(validator_->submit_signed(encode_record(record)).ok());
  EXPECT_FALSE(validator_
                   ->submit_signed(encode_record(
                       sign_record(validator_->ledger().chain_id(), agent, 1, 1, AgentRevoke{""})))
                   .ok());
  follow();
  EXPECT_EQ(chain_->allowance(), 9U);
}

}  // namespace
}  // namespace ufab::jobs
