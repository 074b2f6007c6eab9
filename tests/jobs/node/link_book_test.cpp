// Whom to measure next, what counts of what was measured, and when it is worth a record.
#include "jobs/node/link_book.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace ufab::jobs {
namespace {

constexpr std::int64_t hour_ms = 3'600'000;

// A provider with peers 2, 3 and so on, and a clock.
struct Desk {
  explicit Desk(OrgId providers) {
    look.interval_ms = hour_ms;
    look.self = 1;
    look.providers.resize(providers);
    std::iota(look.providers.begin(), look.providers.end(), 1U);
    look.epoch = 7;
    look.ledger_us = 1'000'000'000'000;
  }
  LinkMoves step() { return link_step(book, look); }
  // Until there is something to measure, or `within_ms` are over.
  std::optional<OrgId> next(std::int64_t within_ms = 2 * hour_ms) {
    for (const std::int64_t end = look.now_ms + within_ms; look.now_ms <= end; look.now_ms += 1000) {
      if (const auto measure = step().measure) return measure;
    }
    return std::nullopt;
  }
  void ends(std::optional<LinkSample> sample, std::int64_t took_ms = 20) {
    look.now_ms += took_ms;
    link_step(book, {look.now_ms, took_ms, look.interval_ms, look.self, sample, sample ? "" : "no answer"});
  }
  // Measures every peer once.
  void round(const LinkSample& sample) {
    std::set<OrgId> seen;
    while (seen.size() + 1 < look.providers.size()) {
      const auto peer = next();
      ASSERT_TRUE(peer.has_value());
      ends(sample);
      seen.insert(*peer);
    }
  }
  void file(const LinkReport& report) { look.filed = LinksEntry{look.epoch, look.ledger_us, report.peers}; }

  LinkBook book;
  LinkLook look;
};

TEST(LinkBook, EveryPeerIsMeasuredSoonAndAgainAfterTheInterval) {
  Desk desk(4);
  std::vector<OrgId> first;
  for (int i = 0; i < 3; ++i) {
    first.push_back(*desk.next(LinkBook::first_within_ms + 2000));
    desk.ends(LinkSample{300, 90'000});
  }
  std::sort(first.begin(), first.end());
  EXPECT_EQ(first, (std::vector<OrgId>{2, 3, 4}));
  EXPECT_FALSE(desk.next(hour_ms / 2).has_value()) << "not before its time";
  EXPECT_TRUE(desk.next(hour_ms).has_value());
}

TEST(LinkBook, OneMeasurementAtATimeAndAPauseAfterALongOne) {
  Desk desk(4);
  ASSERT_TRUE(desk.next().has_value());
  EXPECT_FALSE(desk.next(hour_ms).has_value()) << "one is under way";
  const std::int64_t took_ms = 5000;
  desk.ends(LinkSample{300, 90'000}, took_ms);
  const std::int64_t ended_ms = desk.look.now_ms;
  ASSERT_TRUE(desk.next().has_value()) << "another peer is due";
  EXPECT_GE(desk.look.now_ms, ended_ms + 9 * took_ms);
}

TEST(LinkBook, ProvidersThatStartTogetherDoNotMeasureTogether) {
  std::set<std::int64_t> moments;
  for (OrgId self = 1; self <= 8; ++self) {
    Desk desk(9);
    desk.look.self = self;
    static_cast<void>(desk.step());
    moments.insert(desk.book.peers.at(9).due_ms);
  }
  EXPECT_GE(moments.size(), 7U);
}

TEST(LinkBook, APeerThatFailsIsTriedAgainLaterEachTimeAndNeverLaterThanTheInterval) {
  Desk desk(2);
  std::int64_t before_ms = 0;
  for (int i = 0; i < 12; ++i) {
    ASSERT_EQ(desk.next(), 2U);
    desk.ends(std::nullopt);
    const LinkPeer& peer = desk.book.peers.at(2);
    const std::int64_t pause_ms = peer.due_ms - desk.look.now_ms;
    EXPECT_EQ(pause_ms, std::min(hour_ms, LinkBook::backoff_first_ms << i));
    EXPECT_GE(pause_ms, before_ms);
    before_ms = pause_ms;
    EXPECT_EQ(peer.failures, static_cast<std::uint32_t>(i + 1));
    EXPECT_EQ(peer.trouble, "no answer");
  }
  ASSERT_TRUE(desk.next().has_value());
  desk.ends(LinkSample{300, 90'000});
  EXPECT_EQ(desk.book.peers.at(2).failures, 0U);
  EXPECT_EQ(desk.book.peers.at(2).trouble, "");
}

TEST(LinkBook, TheMedianOfTheLastFiveCountsAndTheWorseOfTwo) {
  EXPECT_EQ(smoothed({{300, 90'000}}), (LinkSample{300, 90'000}));
  EXPECT_EQ(smoothed({{300, 90'000}, {500, 60'000}}), (LinkSample{500, 60'000}));
  EXPECT_EQ(smoothed({{1, 9}, {9, 1}, {5, 5}}), (LinkSample{5, 5}));
  Desk desk(2);
  for (const std::uint32_t rate : {10U, 10U, 10U, 90'000U, 90'000U, 90'000U}) {
    ASSERT_TRUE(desk.next().has_value());
    desk.ends(LinkSample{300, rate});
  }
  EXPECT_EQ(desk.book.peers.at(2).samples.size(), LinkBook::samples_max);
  EXPECT_EQ(smoothed(desk.book.peers.at(2).samples).kbyte_per_s, 90'000U);
}

TEST(LinkBook, ASurpriseIsLookedAtAgainSoon) {
  Desk desk(2);
  ASSERT_TRUE(desk.next().has_value());
  desk.ends(LinkSample{300, 90'000});
  ASSERT_TRUE(desk.next().has_value());
  desk.ends(LinkSample{320, 95'000});
  EXPECT_GE(desk.book.peers.at(2).due_ms - desk.look.now_ms, hour_ms * 3 / 4);
  ASSERT_TRUE(desk.next().has_value());
  desk.ends(LinkSample{300, 40'000});
  EXPECT_EQ(desk.book.peers.at(2).due_ms - desk.look.now_ms, hour_ms / 8);
}

TEST(LinkBook, AReportWaitsUntilEveryPeerWasTriedAndNamesThoseThatAnswered) {
  Desk desk(4);
  std::set<OrgId> answered;
  for (int i = 0; i < 3; ++i) {
    const OrgId peer = desk.next().value();
    EXPECT_FALSE(desk.step().report.has_value()) << "somebody is still to be tried";
    if (i == 0) {
      desk.ends(std::nullopt);
    } else {
      desk.ends(LinkSample{300, 90'000});
      answered.insert(peer);
    }
  }
  const auto report = desk.step().report;
  ASSERT_TRUE(report.has_value());
  ASSERT_EQ(report->peers.size(), 2U);
  EXPECT_LT(report->peers[0].organisation, report->peers[1].organisation);
  for (const ReportedLink& link : report->peers) {
    EXPECT_TRUE(answered.contains(link.organisation));
    EXPECT_EQ(link.kbyte_per_s, 90'000U);
  }
}

TEST(LinkBook, NothingIsFiledAgainUnlessSomethingHasChangedByMoreThanAQuarter) {
  Desk desk(3);
  desk.round({2000, 80'000});
  desk.file(desk.step().report.value());
  ++desk.look.epoch;
  EXPECT_FALSE(desk.step().report.has_value());
  for (int i = 0; i < 5; ++i) desk.round({2500, 64'000});
  EXPECT_FALSE(desk.step().report.has_value()) << "exactly a quarter";
  for (int i = 0; i < 5; ++i) desk.round({2500, 63'999});
  const auto report = desk.step().report;
  ASSERT_TRUE(report.has_value());
  desk.file(*report);
  EXPECT_FALSE(desk.step().report.has_value());
}

TEST(LinkBook, NoSecondReportInAnEpoch) {
  Desk desk(2);
  desk.round({2000, 80'000});
  desk.file(desk.step().report.value());
  for (int i = 0; i < 5; ++i) desk.round({2000, 8'000});
  EXPECT_FALSE(desk.step().report.has_value());
  ++desk.look.epoch;
  EXPECT_TRUE(desk.step().report.has_value());
}

TEST(LinkBook, AnUnchangedReportIsRenewedBeforeItCountsNoMoreAndANewPeerIsNews) {
  Desk desk(3);
  desk.round({300, 80'000});
  desk.file(desk.step().report.value());
  ++desk.look.epoch;
  desk.look.ledger_us += LinkBook::renew_us;
  EXPECT_FALSE(desk.step().report.has_value());
  desk.look.ledger_us += 1;
  const auto renewed = desk.step().report;
  ASSERT_TRUE(renewed.has_value());
  desk.file(*renewed);
  ++desk.look.epoch;
  desk.look.providers.push_back(9);
  ASSERT_EQ(desk.next(LinkBook::first_within_ms + 2000), 9U);
  desk.ends(LinkSample{300, 80'000});
  ASSERT_TRUE(desk.step().report.has_value());
  EXPECT_EQ(desk.step().report->peers.size(), 3U);
}

TEST(LinkBook, ShortRoundTripsMayDoubleUnnoticed) {
  EXPECT_FALSE(link_differs({200, 1000}, {650, 1000}));
  EXPECT_TRUE(link_differs({200, 1000}, {701, 1000}));
  EXPECT_FALSE(link_differs({20'000, 1000}, {25'000, 1000}));
  EXPECT_TRUE(link_differs({20'000, 1000}, {25'001, 1000}));
  EXPECT_TRUE(link_differs({200, 1000}, {200, 799}));
  EXPECT_TRUE(link_differs({200, UINT32_MAX}, {200, 1}));
}

TEST(LinkBook, WhatWasMeasuredLongAgoIsNotSaid) {
  Desk desk(2);
  desk.round({300, 80'000});
  ASSERT_TRUE(desk.step().report.has_value());
  while (desk.look.now_ms < LinkBook::sample_valid_ms + hour_ms) {
    if (desk.next().has_value()) desk.ends(std::nullopt);
  }
  EXPECT_FALSE(desk.step().report.has_value());
  EXPECT_TRUE(desk.book.peers.at(2).samples.empty());
}

TEST(LinkBook, WhoeverLeavesIsForgottenEvenWhileBeingMeasured) {
  Desk desk(2);
  ASSERT_EQ(desk.next(), 2U);
  desk.look.providers = {1};
  EXPECT_FALSE(desk.step().measure.has_value());
  desk.ends(LinkSample{300, 80'000});
  EXPECT_TRUE(desk.book.peers.empty());
  desk.look.providers = {2};
  EXPECT_FALSE(desk.next().has_value()) << "no provider itself: nobody is measured";
}

TEST(LinkBook, AmongManyProvidersEveryPairIsMeasuredFromOneSideAtLeast) {
  EXPECT_TRUE(rc::check("pairs", [] {
    const auto ids = *rc::gen::unique<std::vector<OrgId>>(rc::gen::inRange<OrgId>(1, 1000));
    std::vector<OrgId> providers(ids.begin(),
                                 ids.begin() + static_cast<long>(std::min(ids.size(), 2 * links_max + 1)));
    std::sort(providers.begin(), providers.end());
    std::set<std::pair<OrgId, OrgId>> pairs;
    for (const OrgId self : providers) {
      const auto peers = link_peers(self, providers);
      RC_ASSERT(peers.size() == std::min(providers.size() - 1, links_max));
      for (const OrgId peer : peers) {
        RC_ASSERT(peer != self);
        pairs.insert(std::minmax(self, peer));
      }
    }
    RC_ASSERT(pairs.size() == providers.size() * (providers.size() - (providers.empty() ? 0 : 1)) / 2);
  }));
  std::vector<OrgId> all(2 * links_max + 1);
  std::iota(all.begin(), all.end(), 1U);
  EXPECT_EQ(link_peers(129, all).front(), 1U) << "round the end";
  EXPECT_EQ(link_peers(129, all).size(), links_max);
}

// Whatever happens, in any order: one measurement at a time, of peers that are there, and reports that the
// ledger takes.
TEST(LinkBook, AnyHistoryKeepsTheRules) {
  EXPECT_TRUE(rc::check("history", [] {
    Desk desk(*rc::gen::inRange<OrgId>(1, 6));
    desk.look.interval_ms = *rc::gen::inRange<std::int64_t>(1, 10'000);
    for (int i = 0; i < 60; ++i) {
      desk.look.now_ms += *rc::gen::inRange<std::int64_t>(0, 3000);
      if (*rc::gen::inRange(0, 8) == 0) ++desk.look.epoch;
      if (*rc::gen::inRange(0, 15) == 0) desk.look.providers.push_back(desk.look.providers.back() + 1);
      const bool under_way = desk.book.under_way.has_value();
      const LinkMoves moves = desk.step();
      if (moves.measure) {
        RC_ASSERT(!under_way);
        RC_ASSERT(desk.book.peers.contains(*moves.measure));
        RC_ASSERT(*moves.measure != desk.look.self);
      }
      if (moves.report) {
        RC_ASSERT(!desk.look.filed || desk.look.filed->epoch != desk.look.epoch);
        RC_ASSERT(!moves.report->peers.empty() && moves.report->peers.size() <= links_max);
        OrgId last = 0;
        for (const ReportedLink& link : moves.report->peers) {
          RC_ASSERT(link.organisation > last && link.kbyte_per_s > 0);
          last = link.organisation;
        }
        desk.file(*moves.report);
        RC_ASSERT(!desk.step().report.has_value());
      }
      if (desk.book.under_way && *rc::gen::inRange(0, 2) == 0) {
        const LinkSample sample{*rc::gen::arbitrary<std::uint32_t>(), *rc::gen::inRange(1U, UINT32_MAX)};
        desk.ends(*rc::gen::inRange(0, 3) == 0 ? std::nullopt : std::optional(sample),
                  *rc::gen::inRange<std::int64_t>(0, 500));
      }
    }
  }));
}

}  // namespace
}  // namespace ufab::jobs
