// What may be asked of a node, and by whom.
//
//   anyone with an acceptable key   chain.blocks, chain.submit, chain.next_sequence
//   active, staked providers        link.echo
//   parties of the job              job.file, job.progress
//   the owner, on the local socket  node.status, node.stop, submit, jobs, job, job.cancel, job.hold,
//                                   job.release, job.requeue, job.output, account, record, provider.bench,
//                                   provider.links, node.consensus, node.peers, validator.offer,
//                                   validator.status
//
// Parties are owner, members, verifiers, and the first node that this home's ticket names.
#pragma once

#include <functional>

#include "jobs/node/context.h"
#include "jobs/node/gateway.h"
#include "jobs/node/link_watch.h"
#include "jobs/rpc/server.h"

namespace ufab::jobs {

struct MethodContext {
  NodeContext* node = nullptr;
  Gateway* gateway = nullptr;
  LinkWatch* links = nullptr;
  std::function<void()> stop;
  std::function<void()> bench;  // run a benchmark for the ledger as soon as the provider is idle
};

// Thread-safe.
[[nodiscard]] Result<Answer> answer_request(const MethodContext& context, const Caller& caller,
                                            const Request& request);

}  // namespace ufab::jobs
