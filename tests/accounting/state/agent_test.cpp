// An organisation's two keys: what each may sign, the allowance of the agent's orders, and the end of an
// agent.
#include <gtest/gtest.h>

#include "tests/accounting/support/agent.h"

namespace ufab::test {
namespace {

const KeyPair agent_key = key_of(90);
const KeyPair next_key = key_of(91);
constexpr MicroUnc unc = micro_per_unc;

World agent_world(MicroUnc allowance, ChainParams params = World::small_params()) {
  World world(params);
  world.add_organisations();
  world.must(alpha, enrol_of(world, alpha, agent_key, allowance));
  return world;
}

// Alpha's order runs on beta, which says that it used so many processor seconds; it settles after the
// deadline.
void run_batch(World& world, const KeyPair& owner, JobId job, std::uint64_t cpu_s) {
  ASSERT_EQ(error_of(world, owner, JobAttempt{job, 1, 0, {{beta, 0, 0}}, ""}), "");
  world.must(beta, world.lease(job, {beta, 0, 0}));
  UsageReceipt usage;
  usage.job = job;
  usage.attempt = 1;
  usage.cpu_us = usage.wall_us = cpu_s * 1'000'000;
  world.must(beta, usage);
  world.empty_blocks(21);
  ASSERT_EQ(world.job(job).phase, JobPhase::settled);
}

template <std::size_t I = 0>
void each_type(const std::function<void(RecordBody)>& call) {
  if constexpr (I < std::variant_size_v<RecordBody>) {
    call(std::variant_alternative_t<I, RecordBody>{});
    each_type<I + 1>(call);
  }
}

TEST(Agent, SignsEveryRecordButThoseThatTheTableKeepsForTheOwner) {
  ChainParams params = World::small_params();
  params.refusals_per_epoch = 1000;
  World world = agent_world(0, params);
  std::size_t kept = 0;
  std::size_t free = 0;
  each_type([&](RecordBody body) {
    const RecordType type = type_of(body);
    const std::string error = error_of(world, agent_key, std::move(body));
    const std::string of_owner =
        std::string(record_type_name(type)) + " of alpha: it needs the organisation's key";
    if (record_type_derived(type) || type == RecordType::genesis || type == RecordType::organisation) {
      EXPECT_TRUE(record_needs_owner(type));
      EXPECT_NE(error, "") << record_type_name(type);
    } else if (record_needs_owner(type)) {
      ++kept;
      EXPECT_TRUE(error.starts_with(of_owner)) << record_type_name(type) << ": " << error;
    } else {
      ++free;
      EXPECT_EQ(error.find("needs the organisation's key"), std::string::npos) << record_type_name(type);
    }
  });
  EXPECT_EQ(kept, 9U);
  EXPECT_EQ(free, 19U);
  for (const RecordType type :
       {RecordType::transfer, RecordType::stake, RecordType::unstake, RecordType::key_change,
        RecordType::agent_enrol, RecordType::agent_allowance, RecordType::agent_revoke,
        RecordType::validator_stand, RecordType::validator_leave}) {
    EXPECT_TRUE(record_needs_owner(type)) << record_type_name(type);
  }
}

TEST(Agent, CannotMoveAMicroUncNorRaiseItsOwnAllowanceAndTheOwnerCan) {
  World world = agent_world(5 * unc);
  const MicroUnc balance = world.state().balance(alpha);
  EXPECT_EQ(error_of(world, agent_key, Transfer{beta, 1, ""}),
            "transfer of alpha: it needs the organisation's key, an agent's does not do");
  EXPECT_NE(error_of(world, agent_key, Unstake{1}), "");
  EXPECT_NE(error_of(world, agent_key, AgentAllowance{unc}), "");
  EXPECT_EQ(world.state().balance(alpha), balance);
  EXPECT_EQ(agent_of(world, alpha).allowance, 5 * unc);
  EXPECT_EQ(agent_of(world, alpha).refusals, 3U);
  EXPECT_EQ(world.state().organisation(alpha)->refusals, 0U);
  world.must(alpha, Transfer{beta, 1, ""});
  world.must(alpha, batch_order(unc));
  EXPECT_EQ(agent_of(world, alpha).allowance, 5 * unc) << "the owner's orders do not take from it";
  EXPECT_TRUE(world.job(world.state().job_last()).agent.is_zero());
  (void)world.replica();
}

TEST(Agent, AnOrderTakesItsBudgetFromTheAllowanceAndWhatIsRefundedComesBack) {
  World world = agent_world(12 * unc);
  ASSERT_EQ(error_of(world, agent_key, batch_order(10 * unc)), "");
  const JobId job = world.state().job_last();
  EXPECT_EQ(world.job(job).agent, agent_key.public_key());
  EXPECT_EQ(agent_of(world, alpha).allowance, 2 * unc);
  EXPECT_EQ(agent_of(world, alpha).escrowed, 10 * unc);
  EXPECT_EQ(error_of(world, agent_key, batch_order(2 * unc + 1)),
            "agent of alpha: allowance left 2 UNC, the order needs 2.000001 UNC");
  run_batch(world, agent_key, job, 36'000);  // ten hours at 0.1 UNC
  const Settlement& settlement = *world.job(job).settlement;
  EXPECT_EQ(settlement.payments.at(0).amount, unc);
  const MicroUnc cost = 10 * unc - settlement.refund;
  EXPECT_GT(cost, unc) << "the fee is spent too";
  EXPECT_EQ(agent_of(world, alpha).allowance, 12 * unc - cost);
  EXPECT_EQ(agent_of(world, alpha).escrowed, 0U);
  EXPECT_EQ(agent_of(world, alpha).spent, cost);
  (void)world.replica();
}

TEST(Agent, ASetAllowanceReplacesWhatIsLeftAndRefundsComeOnTop) {
  World world = agent_world(10 * unc);
  ASSERT_EQ(error_of(world, agent_key, batch_order(4 * unc)), "");
  world.must(alpha, AgentAllowance{0});
  EXPECT_EQ(error_of(world, agent_key, batch_order(1)),
            "agent of alpha: allowance left 0 UNC, the order needs 0.000001 UNC");
  EXPECT_EQ(world.refused(alpha, AgentAllowance{UINT64_MAX}),
            "allowance: with the 4 UNC in escrow for orders of alpha's agent it does not fit in 64 bits");
  ASSERT_EQ(error_of(world, agent_key, Cancel{world.state().job_last(), JobResult::cancelled, ""}), "");
  EXPECT_EQ(agent_of(world, alpha).allowance, 4 * unc);
  world.must(alpha, AgentAllowance{UINT64_MAX});
  ASSERT_EQ(error_of(world, agent_key, batch_order(4 * unc)), "");
  EXPECT_NE(error_of(world, agent_key, batch_order(5000 * unc)).find("above the balance"), std::string::npos);
}

TEST(Agent, ARevokedKeySignsNothingLeavesNoTraceAndGetsNoRefund) {
  World world = agent_world(10 * unc);
  ASSERT_EQ(error_of(world, agent_key, batch_order(4 * unc)), "");
  const JobId job = world.state().job_last();
  const Record late = sign_with(world, agent_key, ProviderActionRecord{ProviderAction::drain, ""});
  // In one block: what comes behind the revocation is too late.
  const AppliedBlock made = world.make({world.sign(alpha, AgentRevoke{"its node was stolen"}), late});
  EXPECT_TRUE(made.outcomes[0].status.ok());
  EXPECT_FALSE(made.outcomes[1].on_chain);
  EXPECT_EQ(made.outcomes[1].status.error().message, "signer " + agent_key.public_key().hex().substr(0, 12) +
                                                         "… is a key of alpha that was replaced or revoked");
  EXPECT_FALSE(world.state().organisation(alpha)->agent);
  EXPECT_FALSE(world.state().key_holder(agent_key.public_key()));
  EXPECT_EQ(world.state().organisation_of_any_key(agent_key.public_key()), alpha);
  EXPECT_EQ(world.state().role_of_any_key(agent_key.public_key()), KeyRole::agent);
  EXPECT_EQ(world.refused(alpha, AgentRevoke{""}), "alpha has no agent enrolled");
  EXPECT_EQ(world.refused(alpha, AgentAllowance{1}), "alpha has no agent enrolled");
  // The next agent has its own allowance: what the last one's job refunds is the organisation's.
  world.must(alpha, enrol_of(world, alpha, next_key, 3 * unc));
  const MicroUnc balance = world.state().balance(alpha);
  ASSERT_EQ(error_of(world, next_key, Cancel{job, JobResult::cancelled, ""}), "");
  EXPECT_EQ(world.state().balance(alpha), balance + 4 * unc);
  EXPECT_EQ(agent_of(world, alpha).allowance, 3 * unc);
  EXPECT_EQ(agent_of(world, alpha).escrowed, 0U);
  (void)world.replica();
}

TEST(Agent, AKeyIsNeverTakenAgainByAnybodyForAnything) {
  World world = agent_world(0);
  const std::string taken = "agent key: it is or was a key of an organisation, an agent or a validator";
  EXPECT_EQ(world.refused(beta, enrol_of(world, beta, agent_key, 0)), taken);
  EXPECT_EQ(world.refused(beta, enrol_of(world, beta, world.key(alpha), 0)), taken);
  EXPECT_EQ(world.refused(beta, enrol_of(world, beta, world.key(beta), 0)), taken);
  world.must(alpha, AgentRevoke{""});
  EXPECT_EQ(world.refused(alpha, enrol_of(world, alpha, agent_key, 0)), taken);
  const Digest digest =
      key_change_digest(world.state().chain_id(), world.key(alpha).public_key(), agent_key.public_key());
  EXPECT_EQ(world.refused(alpha, KeyChange{agent_key.public_key(), agent_key.sign(digest.view())}),
            "new key: it is or was a key of an organisation, an agent or a validator");
  EXPECT_EQ(error_of(world, agent_key, Organisation{"epsilon", ""}),
            "organisation 'epsilon': its key is registered already");
}

TEST(Agent, EnrolmentNeedsTheKeysOwnProofOneAtATimeAndNeverTheValidator) {
  World world = agent_world(0);
  EXPECT_EQ(world.refused(alpha, enrol_of(world, alpha, next_key, 0)),
            "alpha has an agent enrolled: revoke it first");
  AgentEnrol foreign = enrol_of(world, gamma, next_key, 0);  // a proof for another organisation
  EXPECT_EQ(world.refused(beta, foreign), "agent key: the proof of its possession is wrong");
  foreign.key = PublicKey{};
  EXPECT_EQ(world.refused(beta, foreign), "agent key: not an acceptable Ed25519 key");
  EXPECT_EQ(world.refused(chain_org, enrol_of(world, chain_org, next_key, 0)),
            "chain is the validator: its node signs blocks with the organisation's key, an agent's would not "
            "do");
}

TEST(Agent, EachKeyHasItsOwnSequenceAndNoRecordCountsTwice) {
  World world = agent_world(10 * unc);
  const std::uint64_t owner = world.state().organisation(alpha)->sequence;
  EXPECT_EQ(world.state().next_sequence(agent_key.public_key()), 1U);
  const Record record = sign_with(world, agent_key, batch_order(unc));
  EXPECT_TRUE(world.submit(record).status.ok());
  EXPECT_EQ(world.state().next_sequence(agent_key.public_key()), 2U);
  EXPECT_EQ(world.state().organisation(alpha)->sequence, owner);
  const RecordOutcome again = world.submit(record);
  EXPECT_FALSE(again.on_chain);
  EXPECT_EQ(again.status.error().message, "sequence 1 was used already, expected 2 (a replayed record?)");
  // A key change of the owner leaves the agent as it is.
  const KeyPair changed = key_of(77);
  const Digest digest =
      key_change_digest(world.state().chain_id(), world.key(alpha).public_key(), changed.public_key());
  world.must(alpha, KeyChange{changed.public_key(), changed.sign(digest.view())});
  world.replace_key(alpha, changed.copy());
  EXPECT_EQ(world.state().organisation(alpha)->sequence, owner + 1);
  EXPECT_EQ(error_of(world, agent_key, batch_order(unc)), "");
  world.must(alpha, AgentRevoke{""});
  EXPECT_FALSE(world.submit(record).on_chain);
  (void)world.replica();
}

TEST(Agent, AnAgentThatIsRefusedTooOftenDoesNotLockItsOwnerOut) {
  ChainParams params = World::small_params();
  params.refusals_per_epoch = 3;
  params.epoch_blocks = 1000;
  World world = agent_world(0, params);
  for (int i = 0; i < 3; ++i) EXPECT_NE(error_of(world, agent_key, Transfer{beta, 1, ""}), "");
  EXPECT_EQ(error_of(world, agent_key, Transfer{beta, 1, ""}),
            "the agent of alpha had 3 records refused in this epoch; wait for the next one");
  world.must(alpha, AgentRevoke{"it was stolen"});
}

}  // namespace
}  // namespace ufab::test
