// Random lives of agents: whatever happens, an agent never has more than it was granted.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/accounting/support/agent.h"

namespace ufab::test {
namespace {

constexpr MicroUnc unc = micro_per_unc;

// What the ledger should know of alpha's agent, from the records alone.
class Model {
 public:
  explicit Model(World& world) : world_(world) {}

  void enrol() {
    const MicroUnc allowance = *rc::gen::inRange<MicroUnc>(0, 60 * unc);
    keys_.push_back(key_of(static_cast<std::uint8_t>(90 + keys_.size())));
    world_.must(alpha, enrol_of(world_, alpha, keys_.back(), allowance));
    enrolled_ = true;
    granted_ = allowance;
  }
  void set_allowance() {
    const MicroUnc allowance = *rc::gen::inRange<MicroUnc>(0, 60 * unc);
    const MicroUnc left = entry().allowance;
    world_.must(alpha, AgentAllowance{allowance});
    // Events of the block's own start may have refunded before the record came.
    granted_ += allowance;
    granted_ -= left + refunded_in_last_block();
  }
  void revoke() {
    world_.must(alpha, AgentRevoke{"a new one comes"});
    enrolled_ = false;
  }
  void order(bool by_agent) {
    const MicroUnc budget = *rc::gen::inRange<MicroUnc>(1, 30 * unc);
    const MicroUnc left = by_agent ? entry().allowance : 0;
    const RecordOutcome outcome = submit(by_agent ? sign_with(world_, key(), batch_order(budget))
                                                  : world_.sign(alpha, batch_order(budget)));
    const std::string why = outcome.status.ok() ? "" : outcome.status.error().message;
    if (by_agent && budget > left + refunded_in_last_block()) {
      RC_ASSERT(why.starts_with("agent of alpha: allowance left "));
    } else {
      RC_ASSERT(why.empty() || why.find("above the balance") != std::string::npos);
    }
  }
  // Leased by beta and used, so that a part of the budget is spent when the deadline comes.
  void run(JobId job) {
    const KeyPair& owner = enrolled_ ? key() : world_.key(alpha);
    if (!submit(sign_with(world_, owner, JobAttempt{job, 1, 0, {{beta, 0, 0}}, ""})).status.ok()) return;
    if (!world_.submit(beta, world_.lease(job, {beta, 0, 0})).status.ok()) return;
    UsageReceipt usage;
    usage.job = job;
    usage.attempt = 1;
    usage.wall_us = *rc::gen::inRange<std::uint64_t>(0, 1'000'000'000'000);
    usage.cpu_us = usage.wall_us;
    world_.must(beta, usage);
  }
  void cancel(JobId job) {
    const KeyPair& owner = enrolled_ ? key() : world_.key(alpha);
    (void)submit(sign_with(world_, owner, Cancel{job, JobResult::cancelled, ""}));
  }
  // What an agent must never get through.
  void overreach() {
    const RecordBody bodies[] = {
        Transfer{beta, 1, ""}, Stake{1},      Unstake{1},
        AgentAllowance{unc},   AgentRevoke{}, enrol_of(world_, alpha, key_of(200), 1)};
    const RecordBody body = bodies[*rc::gen::inRange<std::size_t>(0, std::size(bodies))];
    RC_ASSERT(!world_.submit(sign_with(world_, key(), body)).status.ok());
  }
  // A record that went through, or one of a key that is no agent's any more.
  void replay() {
    if (!accepted_.empty()) {
      RC_ASSERT(!world_.submit(accepted_[*rc::gen::inRange<std::size_t>(0, accepted_.size())]).on_chain);
    }
    const std::size_t old = *rc::gen::inRange<std::size_t>(0, keys_.size());
    if (enrolled_ && old + 1 == keys_.size()) return;
    RC_ASSERT(!world_.submit(sign_with(world_, keys_[old], batch_order(1))).on_chain);
  }

  void check() const {
    RC_ASSERT(world_.state().accounts().recount());
    RC_ASSERT(world_.state().organisation(alpha)->agent.has_value() == enrolled_);
    if (!enrolled_) return;
    MicroUnc escrowed = 0;
    MicroUnc spent = 0;
    for (const auto& [id, job] : world_.state().jobs()) {
      if (job.agent != key().public_key()) continue;
      if (job.settlement) {
        spent += job.order.budget - job.settlement->refund;
      } else {
        escrowed += job.order.budget;
      }
    }
    RC_ASSERT(entry().escrowed == escrowed);
    RC_ASSERT(entry().spent == spent);
    RC_ASSERT(entry().allowance + escrowed + spent == granted_);
  }
  [[nodiscard]] bool enrolled() const { return enrolled_; }

 private:
  [[nodiscard]] const AgentEntry& entry() const { return agent_of(world_, alpha); }
  [[nodiscard]] const KeyPair& key() const { return keys_.back(); }
  RecordOutcome submit(const Record& record) {
    RecordOutcome outcome = world_.submit(record);
    if (outcome.status.ok()) accepted_.push_back(record);
    return outcome;
  }
  // Settlements at the start of the newest block that came back to the present agent.
  [[nodiscard]] MicroUnc refunded_in_last_block() const {
    MicroUnc sum = 0;
    const auto block = decode_block(world_.blocks().back());
    for (const Bytes& bytes : block->records) {
      const auto record = decode_record(bytes);
      if (!record_type_derived(record->type())) break;
      const auto* body = std::get_if<Settlement>(&record->body);
      if (body != nullptr && world_.job(body->job).agent == key().public_key()) sum += body->refund;
    }
    return sum;
  }

  World& world_;
  std::vector<KeyPair> keys_;
  std::vector<Record> accepted_;
  bool enrolled_ = false;
  MicroUnc granted_ = 0;
};

TEST(AgentProperty, AllowanceEscrowAndSpendingAddUpToWhatWasGrantedAndReplicasAgree) {
  const bool good = rc::check("agents", [] {
    ChainParams params = World::small_params();
    params.refusals_per_epoch = 1000;
    params.countersign_deadline_blocks = 6;
    params.job_retention_blocks = 100'000;  // the model reads settlements from the state
    params.enrolment.bench_epochs = 0;
    World world(params);
    world.add_organisations();
    Model model(world);
    model.enrol();
    const int count = *rc::gen::inRange(10, 60);
    for (int i = 0; i < count; ++i) {
      const JobId job = *rc::gen::inRange<JobId>(1, world.state().job_last() + 2);
      const int what = *rc::gen::inRange(0, 16);
      if (!model.enrolled()) {
        if (what < 6)
          model.enrol();
        else if (what < 8)
          model.order(false);
        else if (what < 11)
          model.cancel(job);
        else
          model.replay();
      } else if (what < 5) {
        model.order(true);
      } else if (what < 6) {
        model.order(false);
      } else if (what < 9) {
        model.run(job);
      } else if (what < 11) {
        model.cancel(job);
      } else if (what < 12) {
        model.set_allowance();
      } else if (what < 13) {
        model.overreach();
      } else if (what < 14) {
        model.replay();
      } else if (what < 15) {
        world.empty_blocks(7);
      } else {
        model.revoke();
      }
      model.check();
    }
    Chain replica;
    for (const Bytes& bytes : world.blocks()) {
      auto block = decode_block(bytes);
      RC_ASSERT(block.ok());
      const auto imported = replica.import(std::move(*block));  // compares the root of the whole state
      if (!imported.ok()) RC_FAIL(imported.error().message);
    }
    const auto& mine = world.state().organisation(alpha)->agent;
    const auto& theirs = replica.state().organisation(alpha)->agent;
    RC_ASSERT(mine.has_value() == theirs.has_value());
    if (mine) {
      RC_ASSERT(mine->key == theirs->key && mine->sequence == theirs->sequence);
      RC_ASSERT(mine->allowance == theirs->allowance && mine->spent == theirs->spent);
    }
  });
  EXPECT_TRUE(good);
}

}  // namespace
}  // namespace ufab::test
