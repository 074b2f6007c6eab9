// What goes wrong in a simulated cluster's network, disks and clocks.
#include <algorithm>
#include <array>

#include "accounting/replica/sim/cluster.h"

namespace ufab::sim {

namespace {

constexpr std::uint64_t second_us = 1'000'000;
// Two clocks that are off by as much in both directions still take each other's blocks.
constexpr std::uint64_t skew_max_us = 4 * second_us;

}  // namespace

void Cluster::handle(const Mischance&) {
  if (!chaos_) return;
  schedule(rng_.between(second_us / 5, 6 * second_us), Mischance{});
  const std::size_t victim = rng_.below(nodes_.size());
  Node& node = *nodes_[victim];
  switch (rng_.below(10)) {
    case 0:
    case 1: return cut_network();
    case 2:
      loss_percent_ = rng_.below(25);
      duplicate_percent_ = rng_.below(10);
      return;
    case 3: return spare(victim);
    case 4: return damage_ledger(victim);
    case 5: node.fill_disk(true); return schedule(rng_.between(second_us, 15 * second_us), Room{victim});
    case 6:
      if (victim != spared_)
        skew_us_[victim] =
            static_cast<std::int64_t>(rng_.below(2 * skew_max_us)) - static_cast<std::int64_t>(skew_max_us);
      return;
    default:
      if (node.is_up()) node.crash_soon(rng_.below(60));
      return;
  }
}

void Cluster::handle(const Room& event) {
  nodes_[event.node]->fill_disk(false);
}

// Between two sides, or from one to the other.
void Cluster::cut_network() {
  ++report_.partitions;
  const std::uint64_t until = time_us_ + rng_.between(second_us / 2, 15 * second_us);
  const std::uint64_t side = rng_.below(1ULL << options_.validators);
  const bool one_way = rng_.one_in(3);
  for (std::size_t a = 0; a < options_.validators; ++a) {
    for (std::size_t b = 0; b < options_.validators; ++b) {
      if ((side >> a & 1) == (side >> b & 1)) continue;
      if (!one_way || (side >> a & 1) == 1) cut_until_us_[a][b] = std::max(cut_until_us_[a][b], until);
    }
  }
}

// Once a run, if a quorum can do without that node: the whole disk or the vote log goes, and its key must
// never vote again; or its clock runs so far off that nobody takes its blocks, or it nobody's; or its disk
// writes something to the wrong place, which it finds when it starts again.
void Cluster::spare(std::size_t victim) {
  Node& node = *nodes_[victim];
  if (options_.misfortune == Misfortune::none || liar_ != SIZE_MAX || spared_ != SIZE_MAX || !is_mended() ||
      !node.is_up())
    return;
  if (node.chain().epoch() == nullptr || !quorum_without(member_of_[victim], *node.chain().epoch())) return;
  spared_ = victim;
  Misfortune what = options_.misfortune;
  if (what == Misfortune::any) {
    constexpr std::array all{Misfortune::clock, Misfortune::votes, Misfortune::disk, Misfortune::misdirected};
    what = all[rng_.below(all.size())];
  }
  if (what == Misfortune::clock) {
    const auto off = static_cast<std::int64_t>(rng_.between(15 * second_us, 60 * second_us));
    skew_us_[victim] = rng_.one_in(2) ? off : -off;
    ++report_.clocks_off;
    return;
  }
  if (what == Misfortune::misdirected) {
    node.misdirect_next(rng_.one_in(2) ? DiskFile::votes : DiskFile::ledger);
    return node.crash_soon(rng_.between(20, 400));
  }
  node.crash();
  ++report_.crashes;
  if (what == Misfortune::votes && node.spoil_votes()) {
    ++report_.votes_damaged;
  } else {
    node.lose_disk(founding_.log);
    ++report_.disks_lost;
  }
  schedule(rng_.between(second_us, 10 * second_us), Restart{victim});
}

// The last ledger that was damaged has its blocks again.
bool Cluster::is_mended() const {
  if (!damaged_) return true;
  const Node& node = *nodes_[damaged_->first];
  return node.is_up() && node.chain().head().height >= damaged_->second;
}

// Of one node at a time, while another has all of its blocks: then nothing that was final is lost to all.
void Cluster::damage_ledger(std::size_t victim) {
  Node& node = *nodes_[victim];
  if (!is_mended() || !honest(victim) || victim == spared_ || !node.is_up()) return;
  const std::uint64_t height = node.chain().head().height;
  bool elsewhere = false;
  for (std::size_t other = 0; other < nodes_.size(); ++other)
    elsewhere = elsewhere || (other != victim && other != spared_ && honest(other) &&
                              nodes_[other]->is_up() && nodes_[other]->chain().head().height >= height);
  if (!elsewhere) return;
  node.crash();
  ++report_.crashes;
  if (rng_.one_in(2) ? node.spoil_block() : node.lose_blocks()) {
    ++report_.ledgers_damaged;
    damaged_ = {victim, height};
  }
  schedule(rng_.between(second_us / 10, 5 * second_us), Restart{victim});
}

// One that lacks blocks that its vote log has forgotten gets them from others before it votes.
void Cluster::handle(const Restart& event) {
  Node& node = *nodes_[event.node];
  if (node.is_up()) return;
  node.start(now_us(event.node));
  if (node.is_behind()) {
    const Node* farthest = nullptr;
    for (std::size_t other = 0; other < nodes_.size(); ++other) {
      if (!honest(other) || !nodes_[other]->is_up() || nodes_[other]->hides_damage()) continue;
      if (farthest == nullptr || farthest->log().size() < nodes_[other]->log().size())
        farthest = nodes_[other].get();
    }
    if (farthest != nullptr) node.catch_up(farthest->log());
    return schedule(second_us, Restart{event.node});
  }
  if (!node.is_up()) return;
  if (chaos_ && rng_.one_in(8)) node.crash_soon(rng_.below(40));
  after_call(event.node);
}

void Cluster::end_faults() {
  loss_percent_ = duplicate_percent_ = 0;
  for (auto& row : cut_until_us_) std::fill(row.begin(), row.end(), 0);
  if (spared_ != SIZE_MAX) skew_us_[spared_] = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i]->fill_disk(false);
    handle(Restart{i});
  }
}

bool Cluster::quorum_without(std::size_t member, const consensus::Epoch& epoch) const {
  consensus::Tally tally(epoch.validators);
  for (std::size_t i = 0; i < founding_.validators.size(); ++i) {
    const auto seat = epoch.validators.find(founding_.validators[i].public_key());
    if (i != member && seat) tally.add(*seat);
  }
  return tally.is_quorum();
}

}  // namespace ufab::sim
