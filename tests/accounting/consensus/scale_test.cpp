// What the simulation of scale says is held against what one works out by hand from the protocol and the
// layouts in the headers.
#include "accounting/consensus/sim/scale.h"

#include <gtest/gtest.h>

#include "accounting/consensus/sim/load.h"

namespace ufab::consensus {
namespace {

constexpr std::uint64_t delay_us = 50'000;

// Nothing takes time but the way.
ScaleOptions plain(std::size_t validators) {
  ScaleOptions options;
  options.validators = validators;
  options.delay_us = delay_us;
  options.jitter_ppm = 0;
  options.upload_bit_per_s = 0;
  options.sync_us = 0;
  options.verify_ns = 0;
  options.blocks_max = 10;
  return options;
}

std::uint64_t quorum(std::uint64_t validators) {
  return validators * 2 / 3 + 1;
}

// Layouts of accounting/consensus/messages.h, with the message's tag.
constexpr std::uint64_t vote_size = 1 + 8 + 8 + 1 + 32 + 2 + 64;
constexpr std::uint64_t proposal_size = 1 + (32 + 4 * 8 + 32 + 32 + 1) + 4 + 64;
std::uint64_t certificate_size(std::uint64_t validators) {
  return 1 + 8 + 8 + 1 + 32 + 2 + (validators + 7) / 8 + 64 * quorum(validators);
}

TEST(Scale, ABlockIsFinalThreeMessageDelaysAfterItsProposal) {
  for (const std::size_t validators : {4u, 7u}) {
    const ScaleReport report = run_scale(plain(validators));
    ASSERT_EQ(report.blocks, 10u);
    EXPECT_EQ(report.proposal_to_final.p50_us, 3 * delay_us);
    EXPECT_EQ(report.proposal_to_final.p99_us, 3 * delay_us);
  }
  EXPECT_EQ(run_scale(plain(1)).proposal_to_final.p99_us, 0u) << "one validator waits for nobody";
}

TEST(Scale, EachOfTheThreeVotesOnTheWayWaitsForItsDisk) {
  ScaleOptions options = plain(4);
  options.sync_us = 1'000;
  EXPECT_EQ(run_scale(options).proposal_to_final.p50_us, 3 * (delay_us + 1'000));
}

TEST(Scale, TheNextLeaderBeginsAfterTwoDelaysAndWaitsItsTime) {
  ScaleOptions options = plain(4);
  const ScaleReport report = run_scale(options);
  const std::uint64_t fill_us = options.timing.fill_ms * 1000;
  EXPECT_EQ(report.simulated_us, 9 * (fill_us + 2 * delay_us) + fill_us + 3 * delay_us);
}

TEST(Scale, ABlockTakesTheMessagesAndBytesOfTheProtocol) {
  for (const std::uint64_t validators : {4u, 7u}) {
    const ScaleReport report = run_scale(plain(validators));
    const std::uint64_t others = validators - 1;
    // A proposal; a vote to notarise and one to finalise by each; the notarisation by the next leader, the
    // certificate that finalises by this one.
    EXPECT_EQ(report.messages, 10 * others * (1 + 2 * validators + 2)) << validators;
    EXPECT_EQ(report.bytes_proposals, 10 * others * proposal_size);
    EXPECT_EQ(report.bytes_votes, 10 * others * 2 * validators * vote_size);
    EXPECT_EQ(report.bytes_certificates, 10 * others * 2 * certificate_size(validators));
    EXPECT_EQ(report.bytes, report.bytes_proposals + report.bytes_votes + report.bytes_certificates);
    EXPECT_EQ(report.certificate_size_max, certificate_size(validators) - 1);
    // A log's frame has 40 bytes besides.
    EXPECT_EQ(report.disk_bytes, 10 * (proposal_size - 1 + certificate_size(validators) - 1 + 40));
  }
}

TEST(Scale, OnlyTheLeadersUploadDelaysABlockThatIsLarge) {
  ScaleOptions options = plain(4);
  options.payload_base = 125'000;
  options.upload_bit_per_s = 100'000'000;
  const std::uint64_t copy_us = 10'000;  // of 125,000 bytes
  const ScaleReport report = run_scale(options);
  EXPECT_GT(report.proposal_to_final.p50_us, 3 * delay_us + copy_us);
  EXPECT_LT(report.proposal_to_final.p99_us, 3 * delay_us + 3 * copy_us + 1'000);
}

TEST(Scale, ASignatureCostsTheTimeThatItIsSaidTo) {
  ScaleOptions options = plain(4);
  options.verify_ns = 1'000'000;
  const ScaleReport report = run_scale(options);
  // The proposal; two others' votes to notarise; two to finalise. The third comes too late to be waited for.
  EXPECT_GE(report.proposal_to_final.p50_us, 3 * delay_us + 4'000);
  EXPECT_LE(report.proposal_to_final.p99_us, 3 * delay_us + 7'000);
}

TEST(Scale, ARecordWaitsForTheNextBlockAndThenForFinality) {
  ScaleOptions options = plain(4);
  options.payload_per_s = 100'000;
  const ScaleReport report = run_scale(options);
  // A block every 1.1 s, of the records up to one delay before; the first has those of 0.95 s.
  EXPECT_NEAR(static_cast<double>(report.payload_bytes), 95'000 + 9 * 110'000, 10);
  EXPECT_NEAR(static_cast<double>(report.arrival_to_final.p50_us), 550'000 + 4 * delay_us, 70'000);
  EXPECT_NEAR(static_cast<double>(report.arrival_to_final.p99_us), 1'100'000 + 4 * delay_us, 70'000);
  EXPECT_FALSE(report.saturated);
  options.limits.payload_size = 50'000;
  options.payload_per_s = 10'000'000;
  const ScaleReport full = run_scale(options);
  EXPECT_TRUE(full.saturated);
  EXPECT_EQ(full.payload_bytes, 10 * options.limits.payload_size);
}

TEST(Scale, OneSeedFixesEverything) {
  ScaleOptions options;
  options.blocks_max = 5;
  const ScaleReport first = run_scale(options), again = run_scale(options);
  EXPECT_EQ(first.proposal_to_final.p99_us, again.proposal_to_final.p99_us);
  options.seed = 2;
  EXPECT_NE(first.proposal_to_final.p99_us, run_scale(options).proposal_to_final.p99_us);
}

TEST(Scale, TheBendNamesItsCause) {
  ScaleOptions options = plain(4);
  options.upload_bit_per_s = 20'000'000;
  const Bend by_payload = bend_by_payload(options);
  EXPECT_GT(by_payload.at, 0u);
  EXPECT_GE(by_payload.bent_us, 2 * by_payload.start_us);
  EXPECT_EQ(by_payload.cause, Cause::proposals);
  options.upload_bit_per_s = 200'000;
  EXPECT_EQ(bend_by_validators(options, 32).cause, Cause::votes);
  options = plain(4);
  options.verify_ns = 10'000'000;
  EXPECT_EQ(bend_by_validators(options, 32).cause, Cause::verification);
  options.verify_ns = 0;
  EXPECT_EQ(bend_by_validators(options, 16).at, 0u);
}

TEST(Load, HasTheSizesOfTheRecordsEncodings) {
  const Load load = load_of(10'000);
  constexpr std::uint64_t envelope = 1 + 1 + 32 + 8 + 8 + 64, length = 4;
  constexpr std::uint64_t receipt = 8 + 4 + 4 + 8 + 3 * 32 + 4 * 8;
  ASSERT_GE(load.parts.size(), 2u);
  EXPECT_EQ(load.parts[0].record, "receipt_batch");
  EXPECT_EQ(load.parts[0].size, length + envelope + 32 + 4 + 2 * receipt);
  EXPECT_EQ(load.parts[0].per_hour, 10'000u * 60) << "an epoch of the default parameters takes a minute";
  EXPECT_EQ(load.parts[1].record, "countersignature");
  EXPECT_EQ(load.parts[1].size, length + envelope + 8 + 4 + 4 + 2 * (8 + 4 + 32));
  EXPECT_EQ(load_of(20'000).bytes_per_hour(), 2 * load.bytes_per_hour());
  EXPECT_LT(load.signed_per_hour(), load.records_per_hour()) << "derived ones are in it";
}

}  // namespace
}  // namespace ufab::consensus
