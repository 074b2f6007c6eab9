// The validator's key of a home: made when it is needed, never offered twice, retired when its votes are
// lost.
#include "jobs/node/validator_key.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>

#include "tests/jobs/node/own_chain.h"

namespace ufab::jobs {
namespace {

class ValidatorKeyTest : public OwnChainTest {
 protected:
  // Stands with what the node makes; the key.
  PublicKey stand(bool new_key = false) {
    const auto body = validator_record(*context_, "validator_stand", {{"new_key", new_key}});
    EXPECT_TRUE(body.ok()) << body.error().message;
    const auto filed = chain_->submit(*body);
    EXPECT_TRUE(filed.ok()) << filed.error().message;
    return std::get<ValidatorStand>(*body).key;
  }
  bool is_here(const PublicKey& key) {
    const auto loaded = context_->home.load_validator_key(key);
    EXPECT_TRUE(loaded.ok());
    return loaded.ok() && loaded->has_value();
  }
  boost::json::object status() { return validator_status(*context_).value().result; }
};

TEST_F(ValidatorKeyTest, AStandMakesAKeyThatOnlyItsOwnerReadsAndIsSeenOnTheChain) {
  EXPECT_TRUE(status().at("candidacy").is_null());
  EXPECT_FALSE(status().at("has_key").as_bool());
  const PublicKey key = stand();
  const auto mode = std::filesystem::status(context_->home.file("validator.key")).permissions();
  EXPECT_EQ(mode, std::filesystem::perms(0600));
  EXPECT_TRUE(is_here(key));
  EXPECT_EQ(status().at("candidacy").at("key").as_string(), key.hex());
  EXPECT_TRUE(status().at("seat").is_null());
  EXPECT_TRUE(status().at("has_key").as_bool());
  EXPECT_EQ(status().at("standing").to_number<int>(), 0) << "nothing is staked";
  ASSERT_TRUE(chain_->submit(Stake{100 * micro_per_unc}).ok());
  EXPECT_EQ(status().at("standing").to_number<int>(), 1);
  EXPECT_EQ(offer_validator(*context_, false).error().message,
            "alpha stands already, with the key of this home; --new-key takes another");
}

TEST_F(ValidatorKeyTest, AnOfferThatWasNotFiledIsOfferedAgain) {
  const auto first = offer_validator(*context_, false);
  const auto second = offer_validator(*context_, false);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->key, second->key);
}

TEST_F(ValidatorKeyTest, AKeyThatTheChainHasSeenIsSetAsideAndStaysUsable) {
  const PublicKey first = stand();
  ASSERT_TRUE(chain_->submit(ValidatorLeave{}).ok());
  const PublicKey second = stand();
  EXPECT_NE(first, second);
  EXPECT_TRUE(is_here(first)) << "its seat may be in office until the epoch ends";
  EXPECT_TRUE(is_here(second));
}

TEST_F(ValidatorKeyTest, ARetiredKeyIsNeverLoadedAgain) {
  const PublicKey lost = stand();
  const PublicKey fresh = stand(true);
  EXPECT_NE(lost, fresh);
  EXPECT_FALSE(is_here(lost));
  EXPECT_TRUE(is_here(fresh));
  EXPECT_TRUE(
      std::filesystem::exists(context_->home.file("validator.key." + lost.hex().substr(0, 12) + ".retired")));
}

TEST_F(ValidatorKeyTest, AKeyThatOthersMayReadIsAnError) {
  const PublicKey key = stand();
  std::filesystem::permissions(context_->home.file("validator.key"), std::filesystem::perms(0644));
  EXPECT_FALSE(context_->home.load_validator_key(key).ok());
}

}  // namespace
}  // namespace ufab::jobs
