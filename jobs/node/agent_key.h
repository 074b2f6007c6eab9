// The agent's key of a home, and what the owner's commands need from the node: records about the agent, and
// facts for records that the owner signs with a key that is not on the node. Thread-safe.
#pragma once

#include <boost/json/object.hpp>

#include "jobs/node/context.h"

namespace ufab::jobs {

// The record that enrols the agent's key of this home, with an allowance of zero. Makes agent.key; one that
// the chain has never seen is kept, one that was revoked is replaced. Errors: denied on the validator's node,
// conflict while the organisation has an agent.
[[nodiscard]] Result<AgentEnrol> offer_agent(const NodeContext& node);

// The body of a record of the kind agent_enroll {allowance_micro}, agent_allowance {allowance_micro} or
// agent_revoke {reason}.
[[nodiscard]] Result<RecordBody> agent_record(const NodeContext& node, const std::string& kind,
                                              const boost::json::object& params);

// {chain_id, sequence, organisation, number} for the next record of an organisation's own key. denied when it
// is none.
[[nodiscard]] Result<Answer> owner_facts(const NodeContext& node, const PublicKey& key);

}  // namespace ufab::jobs
