// A fixture for what a node's parts do: a home of "alpha" with a chain of its own, which it validates.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "fabric/base/file.h"
#include "jobs/node/chain.h"
#include "jobs/node/context.h"

namespace ufab::jobs {

class OwnChainTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ufab-node-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    const Home home(folder_ + "/home");
    ASSERT_TRUE(make_folders(home.path(), 0700).ok());
    context_ = std::make_unique<NodeContext>(NodeContext{home, {}, nullptr, nullptr, nullptr, {}, {}, {}});
    context_->log = [this](const std::string& line) { log_ += line + "\n"; };
    HomeConfig& config = context_->config;
    config.organisation = "alpha";
    config.listen_port = 4000;
    ASSERT_TRUE(KeyPair::generate().save(home.file("org.key")).ok());
    ASSERT_TRUE(found_chain(home, config, "test", ChainParams{}).ok());
    chain_ = Chain::open(home, config).value();
    context_->chain = chain_.get();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // alpha is a provider of four processors.
  void enrol() {
    ASSERT_TRUE(chain_->submit(Stake{200 * micro_per_unc}).ok());
    ASSERT_TRUE(chain_->submit(ProviderEnrol{{"alpha", 4, 1, 1u << 30, 1000, 1, 1}}).ok());
  }

  std::string folder_;
  std::string log_;  // what the node logged
  std::unique_ptr<NodeContext> context_;
  std::unique_ptr<Chain> chain_;
};

}  // namespace ufab::jobs
