#include "jobs/node/home.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "fabric/base/file.h"

namespace ufab::jobs {
namespace {

class HomeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ufab-home-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST(JoinTicket, IsReadBackExactly) {
  const JoinTicket ticket{"127.0.0.1", 4000, KeyPair::generate().public_key(), sha256("genesis")};
  const JoinTicket again = JoinTicket::parse(ticket.str()).value();
  EXPECT_EQ(again.host, ticket.host);
  EXPECT_EQ(again.port, ticket.port);
  EXPECT_EQ(again.validator, ticket.validator);
  EXPECT_EQ(again.genesis, ticket.genesis);
}

TEST(JoinTicket, EveryTruncationIsRefused) {
  const std::string text = JoinTicket{"host", 1, KeyPair::generate().public_key(), sha256("genesis")}.str();
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(JoinTicket::parse(text.substr(0, size)).ok()) << size;
  }
}

TEST_F(HomeTest, TheConfigurationIsReadBackExactly) {
  const Home home(folder_);
  HomeConfig config;
  config.organisation = "alpha";
  config.listen_port = 4711;
  config.follow = JoinTicket{"::1", 4000, KeyPair::generate().public_key(), sha256("genesis")};
  config.provider =
      ProviderConfig{3, 4096, 7, 8, "/opt/ufab-train", "slurm", {{"conf", "/etc/slurm.conf"}}, {}, 7, 3, 11};
  config.provider->isolation = {
      "fabric", {{"alice-lab", "alice"}, {"bob", "7"}}, "/var/lib/runs", true, false, {"/a b"}};
  config.snapshot = false;
  config.queue = {5, 16, 9'000'000, 90'000'000};
  ASSERT_TRUE(home.save_config(config).ok());
  const HomeConfig again = home.load_config().value();
  EXPECT_EQ(again.organisation, "alpha");
  EXPECT_EQ(again.listen_port, 4711);
  EXPECT_EQ(again.follow->str(), config.follow->str());
  EXPECT_FALSE(again.snapshot);
  EXPECT_EQ(again.provider->slots, 3U);
  EXPECT_EQ(again.provider->memory_mib, 4096U);
  EXPECT_EQ(again.provider->price_micro_per_tflop, 7U);
  EXPECT_EQ(again.provider->price_micro_per_cpu_hour, 8U);
  EXPECT_EQ(again.provider->trainer, "/opt/ufab-train");
  EXPECT_EQ(again.provider->capacity_check_s, 7U);
  EXPECT_EQ(again.provider->keep_days, 3U);
  EXPECT_EQ(again.provider->link_check_s, 11U);
  EXPECT_EQ(again.provider->isolation, config.provider->isolation);
  EXPECT_EQ(again.queue.jobs_max, 5U);
  EXPECT_EQ(again.queue.slots_max, 16U);
  EXPECT_EQ(again.queue.escrow_max_micro, 9'000'000U);
  EXPECT_EQ(again.queue.budget_max_micro, 90'000'000U);
}

TEST_F(HomeTest, AMalformedConfigurationNamesFileAndLine) {
  const Home home(folder_);
  ASSERT_TRUE(
      write_file_atomic(home.file("config.toml"), as_bytes("organisation = \"alpha\"\nlisten = [\n")).ok());
  const auto config = home.load_config();
  ASSERT_FALSE(config.ok());
  EXPECT_TRUE(config.error().message.starts_with(home.file("config.toml") + ":")) << config.error().message;
}

TEST_F(HomeTest, ANumberOutOfItsRangeIsNamedWithItsLine) {
  const Home home(folder_);
  const auto message_of = [&](const std::string& section) -> std::string {
    EXPECT_TRUE(
        write_file_atomic(home.file("config.toml"), as_bytes("organisation = \"a\"\n" + section)).ok());
    const auto config = home.load_config();
    return config.ok() ? "accepted" : config.error().message.substr(home.file("config.toml").size());
  };
  EXPECT_EQ(message_of("[provider]\nslots = -1\n"), ": line 3: slots is not a whole number from 1 to 65536");
  EXPECT_EQ(message_of("[provider.isolation]\nbubblewrap = \"yes\"\n"),
            ": line 3: bubblewrap is neither true nor false");
  EXPECT_EQ(message_of("[provider.isolation]\nbublewrap = true\n"),
            ": line 3: bublewrap is no setting of [provider.isolation]");
  EXPECT_EQ(message_of("[provider.isolation]\nrun_as = 7\n"), ": line 3: run_as is not a text in quotes");
  EXPECT_EQ(message_of("[provider.isolation]\nrun_folder = \"runs\"\n"),
            ": line 3: run_folder is no absolute path of a folder");
  EXPECT_EQ(message_of("[provider.isolation]\nreadable = \"/a\"\n"),
            ": line 3: readable is no setting of [provider.isolation]");
  EXPECT_EQ(message_of("[provider.isolation]\n[provider.isolation.users]\nx = 1\n"),
            ": line 4: x is not a text in quotes");
  EXPECT_EQ(message_of("[provider]\nisolation = 1\n"), ": [provider.isolation] is no section");
  EXPECT_EQ(message_of("[provider]\nslots = \"8\"\n"),
            ": line 3: slots is not a whole number from 1 to 65536");
  EXPECT_EQ(message_of("[listen]\nport = 70000\n"), ": line 3: port is not a whole number from 0 to 65535");
  EXPECT_EQ(message_of("[provider]\nslots = 8\n"), "accepted");
}

TEST(OrganisationName, OneFormIsAccepted) {
  for (const char* good : {"a", "alpha", "a1-b"}) EXPECT_TRUE(check_organisation_name(good).ok()) << good;
  for (const char* bad : {"", "Alpha", "1a", "-a", "a_b", "a b", "abcdefghijklmnopqrstuvwxyz0123456"}) {
    EXPECT_FALSE(check_organisation_name(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace ufab::jobs
