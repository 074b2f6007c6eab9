// A chain with a record of nearly every type: made by the founder alone at first, then by four validators, of
// whom one leaves and another one comes. Blocks without a certificate of their own, seals, skipped views.
//
// Delta pledges more than all others, and weights are capped: alpha, beta and gamma are a quorum by weight
// and none by pledge, alpha and delta one by pledge and none by weight.
#pragma once

#include "tests/accounting/support/agent.h"
#include "tests/accounting/support/committee.h"
#include "tests/accounting/support/usage.h"

namespace ufab::test {

inline ChainParams history_params() {
  ChainParams params = World::small_params();
  params.epoch_blocks = 20;
  params.burn_to_earn = 1000;
  params.burn_sunset_epoch = 1'000'000;
  params.unbonding_epochs = 2;
  params.evidence_epochs = 1;
  params.weight_cap_ppm = 300'000;
  params.enrolment.bench_epochs = 100;
  params.enrolment.bench_ms_min = 5000;
  return params;
}

inline Digest history_lane(const Digest& challenge, std::uint32_t number) {
  return digest_of("lane " + benchmark_lane_seed(challenge, number).hex());
}

inline void file_benchmark(World& world, OrgId org, bool honest) {
  const std::uint64_t height = world.state().height();
  world.empty_blocks(6);
  ProviderBenchmark body{height, 3, 100, {}};
  const Digest challenge = benchmark_challenge(world.state().block_mark(height)->hash, org);
  for (std::uint32_t i = 0; i < 2; ++i) body.lanes.push_back(history_lane(challenge, i));
  world.must(org, body);
  world.empty_blocks(1);
  const BenchmarkEntry entry = *world.state().organisation(org)->benchmark;
  const Digest lane = honest ? history_lane(entry.challenge, entry.lane) : digest_of("other");
  world.must(entry.verifier, BenchmarkCheck{org, entry.challenge_height, lane});
}

inline void run_jobs(World& world) {
  const std::vector<Share> three{{alpha, 0, 1}, {beta, 1, 3}, {gamma, 4, 2}};
  const JobId good = world.start_job(alpha, three);
  for (std::uint64_t window = 0; window < 5; ++window) world.file_window(good, window);
  world.vote_all_good(good);
  const Record import = world.sign(beta, UsageImport{good, 1, usage_values()});
  EXPECT_TRUE(world.submit(import).status.ok());
  UsageValues corrected = usage_values();
  ++corrected.cpu_us;
  world.must(beta, Correction{record_id(import), "a typing error", {corrected}});
  JobOrder order = World::order();
  order.verify_rate_ppm = 1'000'000;
  const JobId bad = world.start_job(alpha, three, order);
  for (std::uint64_t window = 0; window < 5; ++window) world.file_window(bad, window);
  Vote vote = world.honest_vote(bad, 2);
  vote.end_digest = digest_of("the right parameters");
  vote.findings[1] = {beta, true, 5, 2};
  world.must(world.job(bad).windows.at(2).verifier, vote);
  world.vote_all_good(bad);
  world.must(alpha, Cancel{bad, JobResult::cancelled, "enough"});
  world.must(alpha, batch_order(10 * micro_per_unc));
  const JobId script = world.state().job_last();
  world.must(alpha, JobAttempt{script, 1, 0, {{gamma, 0, 0}}, ""});
  world.submit(gamma, LeaseReturn{script, 1, "no room"});
  world.must(alpha, batch_order(10 * micro_per_unc));
  const JobId second = world.state().job_last();
  world.attempt(alpha, second, {{gamma, 0, 0}});
  UsageReceipt usage;
  usage.job = second;
  usage.attempt = 1;
  usage.cpu_us = usage.wall_us = 1'000'000;
  world.must(gamma, usage);
}

inline World make_history() {
  World world(history_params());
  world.add_organisations();
  for (const OrgId org : {alpha, beta, gamma}) file_benchmark(world, org, true);
  world.must(delta, Stake{900 * micro_per_unc});
  for (const OrgId org : {alpha, beta, gamma, delta}) world.stand(org);
  while (!world.state().by_vote()) world.empty_blocks(1);
  const KeyPair agent = key_of(90);
  world.must(alpha, enrol_of(world, alpha, agent, 5 * micro_per_unc));
  world.must(alpha, AgentAllowance{6 * micro_per_unc});
  world.must(alpha, AgentRevoke{"lost"});
  world.must(beta, LinkReport{{{gamma, 300, 100'000}}});
  world.must(gamma, ProviderUpdate{world.state().organisation(gamma)->provider->offer});
  run_jobs(world);
  world.must(gamma, Unstake{50 * micro_per_unc});
  world.must(gamma, ProviderActionRecord{ProviderAction::drain, "repair"});
  EXPECT_NE(world.refused(beta, Transfer{3, 9'999 * micro_per_unc, ""}), "");
  const KeyPair next = key_of(99);
  const Digest change =
      key_change_digest(world.state().chain_id(), world.key(gamma).public_key(), next.public_key());
  world.must(gamma, KeyChange{next.public_key(), next.sign(change.view())});
  world.replace_key(gamma, next.copy());
  world.must(1, Stake{300 * micro_per_unc});
  world.stand(1);
  world.must(alpha, ValidatorLeave{});
  file_benchmark(world, delta, false);
  const std::uint64_t epoch = world.state().epoch();
  while (world.state().epoch() < epoch + 2) world.empty_blocks(1);
  share_seed(world);
  for (std::uint64_t i = 0; i < 3; ++i) world.must(delta, Transfer{2, 100 + i, "pay"});
  const PublicKey liar = world.state().seat_of(gamma)->key;
  world.must(beta, double_vote(world, world.validator(liar), world.state().epoch()));
  while (world.state().height() % 3 != 1) world.empty_blocks(1);  // its head has a certificate
  return world;
}

}  // namespace ufab::test
