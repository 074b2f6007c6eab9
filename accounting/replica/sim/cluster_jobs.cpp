// The organisations' jobs in a simulated cluster, and the books that are kept of them.
#include <fmt/format.h>

#include "accounting/replica/sim/cluster.h"

namespace ufab::sim {

// The last organisation of the founding is the cheat; it has no validator.
void Cluster::begin_jobs() {
  for (const Bytes& encoded : founding_.log) {
    const auto block = decode_block(encoded);
    UFAB_ASSERT(block.ok());
    books_.add(*block);
  }
  if (!options_.jobs) return;
  WorkloadOptions workload;
  workload.seed = report_.seed;
  for (std::size_t member = 0; member < options_.validators; ++member) {
    if (member != liar_) workload.honest.push_back(static_cast<OrgId>(member + 1));
  }
  workload.cheat = static_cast<OrgId>(options_.validators + 1);
  workload_.emplace(std::move(workload));
}

// What the node's organisation owes its jobs by the newest block. It waits until what it filed before is on
// the ledger or can no longer be; a node that was killed does not remember what it filed.
void Cluster::do_jobs(std::size_t node) {
  if (!workload_ || nodes_[node]->replica().out_of_office()) return;
  const Chain& chain = nodes_[node]->chain();
  Work& work = work_[node];
  if (work.life != nodes_[node]->life()) work = {nodes_[node]->life(), 0, 0};
  if (work.height == chain.head().height) return;
  const std::size_t member = member_of_[node];
  const PublicKey key = founding_.owners[member].public_key();
  if (chain.state().next_sequence(key) <= work.sequence) return;
  work.height = chain.head().height;
  for (RecordBody& body : workload_->due(static_cast<OrgId>(member + 1), chain.state(), closing_)) {
    const std::uint64_t next = nodes_[node]->replica().next_sequence(key);
    if (const auto filed = file(node, member, next, std::move(body))) work.sequence = *filed;
  }
}

// Through any node that is up; now and then with a number that it may have used at another one.
void Cluster::handle(const Cheating&) {
  schedule(rng_.between(100'000, 500'000), Cheating{});
  const std::size_t at = rng_.below(nodes_.size());
  Node& node = *nodes_[at];
  if (!honest(at) || !node.is_up() || node.replica().out_of_office()) return;
  const std::size_t member = options_.validators;
  const PublicKey key = founding_.owners[member].public_key();
  const bool afresh = rng_.one_in(2);
  std::uint64_t next = node.chain().state().next_sequence(key);
  for (RecordBody& body : workload_->cheat(node.chain().state())) {
    if (!afresh) next = node.replica().next_sequence(key);
    static_cast<void>(file(at, member, next++, std::move(body)));
  }
  after_call(at);
}

void Cluster::keep_books(std::size_t node, const Block& block, const Chain& chain) {
  books_.add(block);
  books_.compare(chain.state().accounts());
  if (!books_.finding().empty()) violate(node, books_.finding());
  for (const Bytes& encoding : block.records) {
    const auto record = decode_record(encoding);
    if (!record.ok()) continue;
    if (workload_ && record->type() == RecordType::evidence &&
        record->signer != founding_.owners[options_.validators].public_key())
      workload_->overhear(record->body);
    const auto* slash = std::get_if<Slash>(&record->body);
    if (slash != nullptr && slash->organisation <= options_.validators)
      violate(node, fmt::format("organisation {}, which is honest, was slashed", slash->organisation));
  }
}

}  // namespace ufab::sim
