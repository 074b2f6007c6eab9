// Records about an organisation's agent. An organisation has two keys: its own, which owns the money and may
// be kept off the node, and at most one agent's, which lives on the node and signs what the node does every
// day (record_needs_owner() in types.h says what it cannot sign). All three are signed by the organisation's
// key. Layout as in bodies.h.
//
// The allowance is what the agent's orders may still take from the organisation's balance: an order's budget
// leaves it when the order is filed, and what the settlement refunds comes back to it. It moves no money.
#pragma once

#include <string>

#include "accounting/records/types.h"

namespace ufab {

// `proof` is the agent key's signature over agent_enrol_digest(chain, organisation's key, agent's key):
// nobody can take another's key for his agent. The agent's records are numbered from 1.
struct AgentEnrol {
  static constexpr RecordType type = RecordType::agent_enrol;
  PublicKey key;
  Signature proof;
  MicroUnc allowance = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("key", s.key);
    v("proof", s.proof);
    v("allowance_micro", s.allowance);
  }
};

// What is left from now on, whatever was left before. Refunds of orders under way still come on top.
struct AgentAllowance {
  static constexpr RecordType type = RecordType::agent_allowance;
  MicroUnc allowance = 0;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("allowance_micro", s.allowance);
  }
};

// The agent's key signs nothing any more, and is never taken again. Its orders go on.
struct AgentRevoke {
  static constexpr RecordType type = RecordType::agent_revoke;
  std::string reason;
  template <class V, class S>
  static void fields(V& v, S& s) {
    v("reason", s.reason, text_size_max);
  }
};

}  // namespace ufab
