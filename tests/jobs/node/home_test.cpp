#include "jobs/node/home.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

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

JoinTicket::Node node_at(const std::string& host, std::uint16_t port) {
  return {{host, port}, KeyPair::generate().public_key()};
}

TEST(JoinTicket, OfOneNodeHasTheFormThatItAlwaysHad) {
  const JoinTicket ticket{{node_at("127.0.0.1", 4000)}, sha256("genesis")};
  EXPECT_EQ(ticket.str(),
            "ufab1:127.0.0.1:4000:" + ticket.nodes[0].key.hex() + ":" + sha256("genesis").hex());
}

RC_GTEST_PROP(JoinTicket, IsReadBackExactly, ()) {
  static const std::vector<std::string> hosts{"127.0.0.1", "::1", "fe80::1%eth0", "node-3.example", "a_b"};
  JoinTicket ticket;
  const auto count = *rc::gen::inRange<std::size_t>(1, ticket_nodes_max + 1);
  while (ticket.nodes.size() < count)
    ticket.nodes.push_back(node_at(*rc::gen::elementOf(hosts), *rc::gen::inRange<std::uint16_t>(1, 65535)));
  ticket.genesis = sha256("genesis " + std::to_string(count));
  const auto again = JoinTicket::parse(ticket.str());
  RC_ASSERT(again.ok());
  RC_ASSERT(*again == ticket);
}

RC_GTEST_PROP(JoinTicket, WhateverIsReadIsWhatTheTicketSays, ()) {
  // One character of a good ticket is another.
  JoinTicket ticket{{node_at("10.0.0.1", 4000), node_at("::1", 1)}, sha256("genesis")};
  std::string text = ticket.str();
  text.at(*rc::gen::inRange<std::size_t>(0, text.size())) = *rc::gen::inRange<char>(' ', '~');
  const auto read = JoinTicket::parse(text);
  RC_CLASSIFY(read.ok());
  if (read.ok()) RC_ASSERT(*JoinTicket::parse(read->str()) == *read);
}

TEST(JoinTicket, EveryTruncationIsRefusedButOneBetweenNodes) {
  const JoinTicket ticket{{node_at("host", 1), node_at("::1", 2), node_at("other", 3)}, sha256("genesis")};
  const std::string text = ticket.str();
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_EQ(JoinTicket::parse(text.substr(0, size)).ok(), text[size] == ',') << size;
}

TEST(JoinTicket, WhatIsWrongIsOneLineThatNamesTheNode) {
  JoinTicket ticket{{node_at("host", 1), node_at("other", 3)}, sha256("genesis")};
  const std::string good = ticket.str();
  const std::string key = ticket.nodes[0].key.hex();
  const auto message_of = [](const std::string& text) -> std::string {
    const auto read = JoinTicket::parse(text);
    if (read.ok()) return "accepted";
    EXPECT_EQ(read.error().message.find('\n'), std::string::npos);
    EXPECT_LT(read.error().message.size(), 200U);
    return read.error().message.substr(0, read.error().message.find(';'));
  };
  EXPECT_EQ(message_of(good), "accepted");
  EXPECT_EQ(message_of(""), "not a join ticket");
  EXPECT_EQ(message_of("rubbish"), "not a join ticket");
  EXPECT_EQ(message_of("ufab2" + good.substr(5)), "not a join ticket");
  EXPECT_EQ(message_of("ufab1:host:1:" + key), "not a join ticket: its node 1 is none");
  EXPECT_EQ(message_of(good + ","), "not a join ticket: its node 3 is none");
  EXPECT_EQ(message_of(good + ",third:70000:" + key), "not a join ticket: its node 3 is none");
  EXPECT_EQ(message_of(good + ",third:0:" + key), "not a join ticket: its node 3 is none");
  EXPECT_EQ(message_of(good + ",:7:" + key), "not a join ticket: its node 3 is none");
  EXPECT_EQ(message_of(good + ",th ird:7:" + key), "not a join ticket: its node 3 is none");
  EXPECT_EQ(message_of(good + ",third:7:" + key.substr(1)), "not a join ticket: its node 3 is none");
  EXPECT_EQ(message_of(good + ",third:7:" + key + " "), "not a join ticket: its node 3 is none");
  EXPECT_EQ(message_of(good + ",third:7:" + key), "accepted");
  while (ticket.nodes.size() < ticket_nodes_max) ticket.nodes.push_back(node_at("more", 7));
  EXPECT_EQ(message_of(ticket.str()), "accepted");
  EXPECT_EQ(message_of(ticket.str() + ",more:7:" + key), "not a join ticket: it names more than 32 nodes");
}

TEST_F(HomeTest, TheConfigurationIsReadBackExactly) {
  const Home home(folder_);
  HomeConfig config;
  config.organisation = "alpha";
  config.listen_port = 4711;
  config.follow = JoinTicket{{node_at("::1", 4000), node_at("node.example", 1)}, sha256("genesis")};
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
  EXPECT_EQ(again.follow, config.follow);
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
