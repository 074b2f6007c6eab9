// Agents for tests: a key beside an organisation's own, in a World.
#pragma once

#include "tests/accounting/support/world.h"

namespace ufab::test {

inline Record sign_with(World& world, const KeyPair& key, RecordBody body) {
  return sign_record(world.state().chain_id(), key, world.state().next_sequence(key.public_key()),
                     world.now_us(), std::move(body));
}

inline AgentEnrol enrol_of(const World& world, OrgId org, const KeyPair& agent, MicroUnc allowance) {
  const Digest digest =
      agent_enrol_digest(world.state().chain_id(), world.key(org).public_key(), agent.public_key());
  return {agent.public_key(), agent.sign(digest.view()), allowance};
}

inline const AgentEntry& agent_of(const World& world, OrgId org) {
  return *world.state().organisation(org)->agent;
}

// The error with which a record that `key` signs ends; empty when it is accepted.
inline std::string error_of(World& world, const KeyPair& key, RecordBody body) {
  const RecordOutcome outcome = world.submit(sign_with(world, key, std::move(body)));
  return outcome.status.ok() ? "" : outcome.status.error().message;
}

inline JobOrder batch_order(MicroUnc budget) {
  JobOrder order;
  order.kind = JobKind::batch;
  order.name = "script";
  order.script_digest = digest_of("script");
  order.price_max_per_cpu_hour = 1'000'000;
  order.budget = budget;
  return order;
}

}  // namespace ufab::test
