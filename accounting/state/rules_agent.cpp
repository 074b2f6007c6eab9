#include <fmt/format.h>

#include "accounting/state/transition.h"

namespace ufab {

namespace {

Error no_agent(const OrgEntry& org) {
  return {ErrorCode::conflict, fmt::format("{} has no agent enrolled", org.name)};
}

Error too_large(const OrgEntry& org) {
  return {ErrorCode::limit,
          fmt::format("allowance: with the {} in escrow for orders of {}'s agent it does not fit in 64 bits",
                      format_amount(org.agent->escrowed), org.name)};
}

}  // namespace

Status Transition::check_agent_may(const OrgEntry& org, RecordType type) const {
  if (!record_needs_owner(type)) return {};
  return Error{ErrorCode::denied,
               fmt::format("{} of {}: it needs the organisation's key, an agent's does not do",
                           record_type_name(type), org.name)};
}

Status Transition::on(const AgentEnrol& body, OrgId org) {
  const OrgEntry& entry = *s_.organisation(org);
  if (s_.seats_.empty() && org == founder) {
    return Error{ErrorCode::denied, fmt::format("{} is the validator: its node signs blocks with the "
                                                "organisation's key, an agent's would not do",
                                                entry.name)};
  }
  if (entry.agent) {
    return Error{ErrorCode::conflict, fmt::format("{} has an agent enrolled: revoke it first", entry.name)};
  }
  if (!body.key.is_acceptable()) {
    return Error{ErrorCode::invalid, "agent key: not an acceptable Ed25519 key"};
  }
  if (s_.keys_.contains(body.key)) {
    return Error{ErrorCode::conflict,
                 "agent key: it is or was a key of an organisation, an agent or a validator"};
  }
  const Digest digest = agent_enrol_digest(s_.chain_id_, record_->signer, body.key);
  if (!verify(body.key, digest.view(), body.proof)) {
    return Error{ErrorCode::invalid, "agent key: the proof of its possession is wrong"};
  }
  AgentEntry agent;
  agent.key = body.key;
  agent.allowance = body.allowance;
  org_mutable(org).agent = agent;
  take_key(body.key, org, KeyRole::agent);
  return {};
}

Status Transition::on(const AgentAllowance& body, OrgId org) {
  const OrgEntry& entry = *s_.organisation(org);
  if (!entry.agent) return no_agent(entry);
  // So that every refund fits.
  if (!checked_add(body.allowance, entry.agent->escrowed)) return too_large(entry);
  org_mutable(org).agent->allowance = body.allowance;
  return {};
}

Status Transition::on(const AgentRevoke&, OrgId org) {
  const OrgEntry& entry = *s_.organisation(org);
  if (!entry.agent) return no_agent(entry);
  org_mutable(org).agent.reset();
  return {};
}

Status Transition::check_allowance(const OrgEntry& org, MicroUnc budget) const {
  if (budget <= org.agent->allowance) return {};
  return Error{ErrorCode::conflict,
               fmt::format("agent of {}: allowance left {}, the order needs {}", org.name,
                           format_amount(org.agent->allowance), format_amount(budget))};
}

// Precondition: check_allowance().
void Transition::take_allowance(AgentEntry& agent, JobEntry& job) {
  job.agent = agent.key;
  agent.allowance -= job.order.budget;
  agent.escrowed += job.order.budget;  // no more than is minted
}

// Of a job that settles: what was not spent comes back to the agent that ordered it, if it still is one.
void Transition::settle_allowance(OrgEntry& owner, const JobEntry& job, MicroUnc budget, MicroUnc refund) {
  if (!owner.agent || owner.agent->key != job.agent) return;
  AgentEntry& agent = *owner.agent;
  UFAB_ASSERT(refund <= budget && agent.escrowed >= budget);
  agent.escrowed -= budget;
  const auto left = checked_add(agent.allowance, refund);
  UFAB_ASSERT(left.has_value());
  agent.allowance = *left;
  agent.spent = checked_add(agent.spent, budget - refund).value_or(UINT64_MAX);
}

}  // namespace ufab
