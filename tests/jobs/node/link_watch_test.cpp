// The watch on a chain of its own: what it measures comes to the ledger and from there to the broker; and
// whom it answers.
#include "jobs/node/link_watch.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "jobs/node/known_links.h"
#include "tests/jobs/node/own_chain.h"

namespace ufab::jobs {
namespace {

namespace json = boost::json;

// alpha is this node, beta and gamma are providers, delta has an organisation alone.
class LinkWatchTest : public OwnChainTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(OwnChainTest::SetUp());
    context_->config.provider.emplace();
    context_->config.provider->link_check_s = 1;
    ASSERT_NO_FATAL_FAILURE(enrol());
    file(beta_, Organisation{"beta", "127.0.0.1:4001"});
    file(gamma_, Organisation{"gamma", "127.0.0.1:4002"});
    file(delta_, Organisation{"delta", "127.0.0.1:4003"});
    for (const auto& [id, org] : {std::pair<OrgId, const KeyPair*>{2, &beta_}, {3, &gamma_}}) {
      ASSERT_TRUE(chain_->submit(Transfer{id, 500 * micro_per_unc, ""}).ok());
      file(*org, Stake{200 * micro_per_unc});
      file(*org, ProviderEnrol{{"cluster", 4, 1, 1u << 30, 1000, 1, 1}});
    }
  }

  void file(const KeyPair& key, RecordBody body) {
    const auto done = chain_->ledger().sign_and_submit(key, std::move(body));
    ASSERT_TRUE(done.ok()) << done.error().message;
  }
  void next_epoch() {
    const auto epoch = [&] { return chain_->read([](const State& state) { return state.epoch(); }); };
    const std::uint64_t before = epoch();
    while (epoch() == before) ASSERT_TRUE(chain_->submit(Transfer{2, 1, ""}).ok());
  }
  std::optional<LinksEntry> reported() {
    return chain_->read([](const State& state) { return state.organisation(1)->links; });
  }
  static bool ticks_until(LinkWatch& watch, const std::function<bool()>& done) {
    for (int i = 0; i < 1000; ++i) {
      watch.tick();
      if (done()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  Result<Answer> ask(LinkWatch& watch, const KeyPair& key, std::size_t bytes) {
    return watch.echo(key.public_key(), {"link.echo", {}, Bytes(bytes, 7)});
  }

  const KeyPair beta_ = KeyPair::generate();
  const KeyPair gamma_ = KeyPair::generate();
  const KeyPair delta_ = KeyPair::generate();
};

TEST_F(LinkWatchTest, WhatItMeasuresComesToTheLedgerAndToTheBroker) {
  LinkWatch watch(*context_,
                  [](const Endpoint& endpoint, const std::vector<PublicKey>&, bool) -> Result<LinkSample> {
                    if (endpoint.port == 4002) return Error{ErrorCode::unavailable, "nobody listens there"};
                    return LinkSample{400, 80'000};
                  });
  ASSERT_TRUE(ticks_until(watch, [&] { return reported().has_value(); }));
  EXPECT_EQ(reported()->peers, (std::vector<ReportedLink>{{2, 400, 80'000}}));
  KnownLinks known;
  const auto now_s =
      static_cast<std::int64_t>(chain_->read([](const State& s) { return s.time_us(); }) / 1'000'000);
  EXPECT_EQ(known.look(*chain_).between("alpha", "beta", now_s).bytes_per_s, 80'000'000U);
  EXPECT_EQ(known.look(*chain_).between("alpha", "gamma", now_s).bytes_per_s, link_plain.bytes_per_s);
  // beta says otherwise, and later less.
  file(beta_, LinkReport{{{1, 300, 5'000}}});
  EXPECT_EQ(known.look(*chain_).between("alpha", "beta", now_s).bytes_per_s, 5'000'000U);
  const json::object shown = chain_->read(
      [](const State& state) { return reported_links(state, *state.organisation_by_name("alpha")); });
  const json::value& link = shown.at("links").at(0);
  EXPECT_EQ(link.at("organisation").as_string(), "beta");
  EXPECT_EQ(link.at("kbyte_per_s").to_number<int>(), 80'000);
  EXPECT_EQ(link.at("counts_kbyte_per_s").to_number<int>(), 5'000);
  EXPECT_EQ(link.at("counts_rtt_us").to_number<int>(), 400);
  next_epoch();
  file(beta_, LinkReport{{{3, 300, 5'000}}});
  EXPECT_EQ(known.look(*chain_).between("alpha", "beta", now_s).bytes_per_s, 80'000'000U);

  ASSERT_TRUE(ticks_until(
      watch, [&] { return watch.measured().at("measured").at(1).at("failures").to_number<int>() > 0; }));
  const json::object measured = watch.measured();
  EXPECT_EQ(measured.at("measured").at(0).at("kbyte_per_s").to_number<int>(), 80'000);
  EXPECT_EQ(measured.at("measured").at(1).at("organisation").as_string(), "gamma");
  EXPECT_EQ(measured.at("measured").at(1).at("endpoint").as_string(), "127.0.0.1:4002");
  EXPECT_EQ(measured.at("measured").at(1).at("trouble").as_string(), "nobody listens there");
}

TEST_F(LinkWatchTest, AMeasurementIsSmallWhileAJobIsAskedOfEitherEnd) {
  std::atomic<int> small{0};
  std::atomic<int> whole{0};
  LinkWatch watch(*context_, [&](const Endpoint& endpoint, const std::vector<PublicKey>&, bool is_small) {
    if (endpoint.port == 4001) ++(is_small ? small : whole);
    return Result<LinkSample>(LinkSample{400, 80'000});
  });
  JobOrder order;
  order.kind = JobKind::batch;
  order.name = "busy";
  order.script_digest = sha256("script");
  order.budget = 1000;
  order.price_max_per_cpu_hour = 1000;
  ASSERT_TRUE(chain_->submit(order).ok());
  JobAttempt attempt;
  attempt.job = 1;
  attempt.attempt = 1;
  attempt.shares = {{2, 0, 0}};
  ASSERT_TRUE(chain_->submit(attempt).ok());
  ASSERT_TRUE(ticks_until(watch, [&] { return small > 0; }));
  EXPECT_EQ(whole, 0);
  ASSERT_TRUE(chain_->submit(Cancel{1, JobResult::cancelled, "enough"}).ok());
  ASSERT_TRUE(ticks_until(watch, [&] { return whole > 0; }));
}

TEST_F(LinkWatchTest, NothingIsMeasuredWhereTheOperatorSaysSoOrTheProviderDrains) {
  std::atomic<int> probes{0};
  LinkWatch watch(*context_, [&](const Endpoint&, const std::vector<PublicKey>&, bool) {
    ++probes;
    return Result<LinkSample>(LinkSample{400, 80'000});
  });
  context_->config.provider->link_check_s = 0;
  const auto after = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
  const auto is_over = [&] { return std::chrono::steady_clock::now() > after; };
  ASSERT_TRUE(ticks_until(watch, is_over));
  EXPECT_EQ(probes, 0);
  context_->config.provider->link_check_s = 1;
  ASSERT_TRUE(chain_->submit(ProviderActionRecord{ProviderAction::drain, "maintenance"}).ok());
  for (int i = 0; i < 150; ++i) {
    watch.tick();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(probes, 0);
  EXPECT_FALSE(reported().has_value());
}

TEST_F(LinkWatchTest, AnswersOtherProvidersWithinBoundsAndNobodyElse) {
  LinkWatch watch(*context_, [](const Endpoint&, const std::vector<PublicKey>&, bool) {
    return Result<LinkSample>(LinkSample{400, 80'000});
  });
  const auto answer = ask(watch, beta_, 1000);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->body, Bytes(1000, 7));
  EXPECT_EQ(ask(watch, delta_, 0).error().code, ErrorCode::denied) << "no provider";
  EXPECT_EQ(ask(watch, KeyPair::generate(), 0).error().code, ErrorCode::denied);
  EXPECT_EQ(watch.echo(std::nullopt, {"link.echo", {}, {}}).error().code, ErrorCode::denied);
  EXPECT_EQ(ask(watch, beta_, echo_bytes_max + 1).error().message,
            "an echo has at most 2097152 bytes, not 2097153");
  int admitted = 0;
  while (admitted < 100 && ask(watch, beta_, echo_bytes_max).ok()) ++admitted;
  EXPECT_GE(admitted, 3);
  EXPECT_LE(admitted, 6);
  EXPECT_EQ(ask(watch, beta_, echo_bytes_max).error().code, ErrorCode::limit);
  EXPECT_TRUE(ask(watch, gamma_, echo_bytes_max).ok());
}

}  // namespace
}  // namespace ufab::jobs
