// Reports of links on the ledger: what is taken, what is refused, what the state keeps.
#include <gtest/gtest.h>

#include "tests/accounting/support/world.h"

namespace ufab::test {
namespace {

class LinkRules : public ::testing::Test {
 protected:
  void SetUp() override {
    world.add_organisations();
    to_next_epoch();
  }
  // So that what follows happens within one epoch.
  void to_next_epoch() {
    const std::uint64_t epoch = world.state().epoch();
    while (world.state().epoch() == epoch) world.empty_blocks(1);
  }
  const OrgEntry& org(OrgId id) { return *world.state().organisation(id); }
  World world;
};

TEST_F(LinkRules, AReportReplacesTheWholeOneBeforeIt) {
  EXPECT_FALSE(org(alpha).links.has_value());
  world.must(alpha, LinkReport{{{beta, 300, 100'000}, {gamma, 40'000, 900}}});
  ASSERT_TRUE(org(alpha).links.has_value());
  EXPECT_EQ(org(alpha).links->epoch, world.state().epoch());
  EXPECT_EQ(org(alpha).links->filed_us, world.state().time_us());
  to_next_epoch();
  const LinkReport next{{{gamma, 20'000, 1'000}}};
  world.must(alpha, next);
  EXPECT_EQ(org(alpha).links->peers, next.peers) << "nothing of beta is left";
  EXPECT_FALSE(org(beta).links.has_value()) << "each says what it measured itself";
  (void)world.replica();
}

TEST_F(LinkRules, ThereIsOneAnEpoch) {
  world.must(alpha, LinkReport{{{beta, 300, 100'000}}});
  EXPECT_EQ(world.refused(alpha, LinkReport{{{beta, 300, 1}}}),
            "link report of alpha: there is one in this epoch already");
  world.must(beta, LinkReport{{{alpha, 300, 100'000}}});
  to_next_epoch();
  world.must(alpha, LinkReport{{{beta, 300, 1}}});
}

TEST_F(LinkRules, RefusesWhatIsNoReport) {
  const auto refused = [&](std::vector<ReportedLink> peers) {
    return world.refused(alpha, LinkReport{std::move(peers)});
  };
  EXPECT_EQ(refused({{gamma, 1, 1}, {beta, 1, 1}}),
            "link report of alpha: its peers are not in ascending order, each once");
  EXPECT_EQ(refused({{gamma, 1, 1}, {gamma, 1, 1}}),
            "link report of alpha: its peers are not in ascending order, each once");
  EXPECT_EQ(refused({{0, 1, 1}}), "link report of alpha: its peers are not in ascending order, each once");
  EXPECT_EQ(refused({{alpha, 1, 1}}), "link report of alpha: a link to itself");
  EXPECT_EQ(refused({{beta, 1, 0}}), "link report of alpha: the link to beta has no throughput");
  EXPECT_EQ(refused({{99, 1, 1}}), "link report of alpha: there is no organisation 99");
  EXPECT_EQ(world.refused(chain_org, LinkReport{{{beta, 1, 1}}}),
            "link report of chain: it has no provider enrolled");
  world.must(delta, ProviderActionRecord{ProviderAction::leave, "gone"});
  EXPECT_EQ(world.refused(delta, LinkReport{{{beta, 1, 1}}}),
            "link report of delta: it has no provider enrolled");
  EXPECT_FALSE(org(alpha).links.has_value());
}

TEST_F(LinkRules, AReportHasABoundedNumberOfPeers) {
  Record record = world.sign(alpha, LinkReport{std::vector<ReportedLink>(links_max, {beta, 1, 1})});
  EXPECT_TRUE(decode_record(encode_record(record)).ok());
  record = world.sign(alpha, LinkReport{std::vector<ReportedLink>(links_max + 1, {beta, 1, 1})});
  EXPECT_FALSE(decode_record(encode_record(record)).ok());
}

TEST_F(LinkRules, TheStateRootCoversWhatIsKept) {
  World other;
  other.add_organisations();
  while (other.state().height() < world.state().height()) other.empty_blocks(1);
  const auto root = [](const World& of) { return decode_block(of.blocks().back())->header.state_root; };
  ASSERT_EQ(root(world), root(other));
  world.must(alpha, LinkReport{{{beta, 300, 100'000}}});
  other.must(alpha, LinkReport{{{beta, 300, 100'001}}});
  EXPECT_NE(root(world), root(other));
}

}  // namespace
}  // namespace ufab::test
