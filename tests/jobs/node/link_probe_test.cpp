// What a measurement finds of links of every kind, and what the other side lets through.
#include "jobs/node/link_probe.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ufab::jobs {
namespace {

// A link with a round trip and a rate in each direction; time passes in it alone.
struct FakeLink {
  std::int64_t rtt_us = 0;
  double bytes_per_us = 0;  // MB/s
  std::int64_t now_us = 1'000'000;
  std::size_t sent = 0;
  std::size_t echoes = 0;
  std::size_t fails_at = 0;  // this echo; 0: none
  ErrorCode failure = ErrorCode::unavailable;

  Result<LinkSample> measure(bool small = false) {
    const Echo echo = [this](std::size_t bytes, std::chrono::microseconds timeout) -> Status {
      if (++echoes == fails_at) return Error{failure, "broken"};
      sent += bytes;
      const auto us = rtt_us + static_cast<std::int64_t>(2.0 * static_cast<double>(bytes) / bytes_per_us);
      now_us += std::min<std::int64_t>(us, timeout.count());
      if (us > timeout.count()) return Error{ErrorCode::timeout, "no answer"};
      return {};
    };
    return measure_link(
        echo, [this] { return now_us; }, small);
  }
};

TEST(LinkProbe, FindsRoundTripAndThroughputOfAnyLink) {
  EXPECT_TRUE(rc::check("found", [] {
    const auto rtt_us = *rc::gen::inRange<std::int64_t>(50, 150'000);
    const double rate = *rc::gen::element(0.3, 1.0, 12.5, 125.0, 1250.0);
    FakeLink link{rtt_us, rate};
    const LinkSample sample = link.measure().value();
    RC_ASSERT(sample.rtt_us == rtt_us);
    // Where the round trip is all that there is to see of a chunk, less than the link has, and never more.
    const double found = sample.kbyte_per_s / 1000.0;
    RC_ASSERT(found <= rate * 1.01 + 0.001);
    const double seen_most = 2.0 * (2 << 20) / (static_cast<double>(rtt_us) / 3);
    RC_ASSERT(found >= std::min(rate, seen_most) * 0.98);
  }));
}

TEST(LinkProbe, TakesAboutASecondAndFewBytesAtMost) {
  for (const double rate : {0.001, 0.02, 0.1, 1.0, 10.0, 1000.0}) {
    FakeLink link{400, rate};
    const std::int64_t began = link.now_us;
    const LinkSample sample = link.measure().value();
    EXPECT_LE(link.now_us - began, probe_transfer_us + 10 * link.rtt_us) << rate;
    EXPECT_LE(link.sent, 4u << 20) << rate;
    if (rate < 0.03) continue;
    EXPECT_NEAR(sample.kbyte_per_s, rate * 1000, rate * 20 + 1);
  }
  FakeLink far{900'000, 10.0};
  const std::int64_t began = far.now_us;
  EXPECT_EQ(far.measure()->rtt_us, 900'000U);
  EXPECT_LE(far.now_us - began, 5'000'000) << "two echoes are enough where each takes long";
}

TEST(LinkProbe, ALinkTooSlowForTheFirstChunkIsReportedAsSlowAsThatShows) {
  FakeLink link{400, 0.001};  // 1 kB/s: 16 KiB both ways would take half a minute
  EXPECT_LE(link.measure()->kbyte_per_s, 33U);
}

TEST(LinkProbe, ASmallMeasurementSendsLittle) {
  FakeLink link{400, 100.0};
  ASSERT_TRUE(link.measure(true).ok());
  EXPECT_LE(link.sent, 340u << 10);
}

TEST(LinkProbe, WithoutAnEchoThereIsNoSampleAndWithSomeWhatTheyShowed) {
  FakeLink dead{400, 100.0};
  dead.fails_at = 1;
  EXPECT_EQ(dead.measure().error().message, "broken");
  FakeLink refused{400, 100.0};
  refused.fails_at = 6;  // the first chunk
  refused.failure = ErrorCode::limit;
  EXPECT_EQ(refused.measure().error().code, ErrorCode::limit);
  FakeLink later{400, 100.0};
  later.fails_at = 9;
  later.failure = ErrorCode::limit;
  EXPECT_NEAR(later.measure()->kbyte_per_s, 100'000, 2000);
}

TEST(EchoGate, AdmitsTwoMeasurementsAtOnceAndAMegabyteASecond) {
  EchoGate gate;
  const std::size_t chunk = 1u << 20;
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(gate.admit(2, chunk, 5'000)) << i;
  EXPECT_FALSE(gate.admit(2, chunk, 5'000));
  EXPECT_TRUE(gate.admit(3, chunk, 5'000)) << "everybody has his own";
  EXPECT_FALSE(gate.admit(2, chunk, 5'900));
  EXPECT_TRUE(gate.admit(2, chunk, 6'100));
  EXPECT_FALSE(gate.admit(2, chunk, 6'200));
  for (int i = 0; i < 8; ++i)
    EXPECT_TRUE(gate.admit(2, chunk, 100'000'000)) << "no more than a burst is saved";
  EXPECT_FALSE(gate.admit(2, chunk, 100'000'000));
}

TEST(EchoGate, EmptyEchoesAreNotForNothing) {
  EchoGate gate;
  int admitted = 0;
  while (admitted < 100'000 && gate.admit(2, 0, 0)) ++admitted;
  EXPECT_EQ(admitted, EchoGate::burst_bytes / EchoGate::least_bytes);
}

}  // namespace
}  // namespace ufab::jobs
