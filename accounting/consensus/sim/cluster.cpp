#include "accounting/consensus/sim/cluster.h"

#include <algorithm>

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

namespace {
constexpr std::uint64_t us_per_ms = 1000, us_per_s = 1'000'000;
constexpr std::uint64_t calm_us_max =
    3600 * us_per_s;  // by then blocks must have come; most runs need minutes
constexpr std::uint64_t new_blocks = 3;
constexpr std::uint64_t late_s_max = 300;
constexpr std::uint64_t memory_checked_every = 32;  // messages
constexpr std::size_t events_max = 1U << 20;        // under way at one time
}  // namespace

Cluster::Cluster(std::uint64_t seed, const SimulationOptions& options)
    : seed_(seed),
      options_(options),
      world_({seed, options.real_signatures}),
      checks_(world_.scheme(), world_.chain_id(), World::genesis_height),
      rng_(seed * 5 + 2) {
  selves_of_.resize(world_.size());
  cut_until_us_.assign(world_.size(), std::vector<std::uint64_t>(world_.size(), 0));
  for (std::size_t number = 0; number < world_.size(); ++number) add_member(number);
}

void Cluster::add_member(std::size_t number) {
  if (!world_.dishonest(number)) {
    if (!world_.lies(number)) checks_.declare_honest(world_.key(number));
    return add_self(number, ~0ULL, {});
  }
  const Vices vices = draw_vices(rng_);
  const std::uint64_t mask = vices.second_self ? rng_.next() : ~0ULL;
  add_self(number, mask, vices);
  if (vices.second_self) add_self(number, ~mask, vices);
  meddlers_[number] = std::make_unique<Meddler>(world_, number, rng_.next(), vices,
                                                [this, number](std::size_t to, const Message& m) {
                                                  transmit(number, to, Delivery{number, to, m});
                                                });
}

void Cluster::add_self(std::size_t number, std::uint64_t mask, const Vices& vices) {
  const std::size_t self = selves_.size();
  Surroundings around;
  around.send = [this, self, number](std::size_t to, const Message& message) {
    const Self& sender = selves_[self];
    const bool masked = !world_.dishonest(to) && (sender.mask >> to & 1) == 0;
    if (masked) return;
    if (sender.withheld > 0 && rng_.percent(sender.withheld)) {
      if (!sender.late) return;
      ++late_;
      return schedule(rng_.between(1, late_s_max) * us_per_s, Delivery{number, to, message});
    }
    transmit(number, to, Delivery{number, to, message});
  };
  around.wake = [this, self](std::uint64_t after_us, Member::Alarm alarm, std::uint64_t token) {
    schedule(after_us, AlarmEvent{self, selves_[self].member->life(), alarm, token});
  };
  around.request_chain = [this, number](std::size_t to, std::uint64_t epoch, View after_view) {
    transmit(number, to, ChainRequest{number, to, epoch, after_view});
  };
  around.stopped = [this, self] {
    ++crashes_;
    selves_[self].member->set_disk_full(false);  // somebody makes room
    schedule(rng_.between(1, 60) * us_per_s, Restart{self});
  };
  around.checks = world_.dishonest(number) ? nullptr : &checks_;
  selves_of_[number].push_back(self);
  selves_.push_back({std::make_unique<Member>(world_, number, rng_.next(), std::move(around)), mask,
                     vices.withheld, vices.late});
}

void Cluster::schedule(std::uint64_t after_us, What what) {
  std::size_t place = events_.size();
  if (free_.empty()) {
    UFAB_ASSERT(events_.size() < events_max);
    events_.push_back(std::move(what));
  } else {
    place = free_.back();
    free_.pop_back();
    events_[place] = std::move(what);
  }
  due_.push({now_us_ + after_us, order_++, place});
}

void Cluster::transmit(std::size_t from, std::size_t to, What what) {
  if (cut_until_us_[from][to] > now_us_ || rng_.percent(network_.loss_percent)) return;
  // Mostly near the lower end, now and then far out: messages overtake each other.
  const std::uint64_t spread = network_.delay_max_us - network_.delay_min_us;
  const auto delay = [&] {
    return network_.delay_min_us + (rng_.one_in(10) ? rng_.below(spread + 1) : rng_.below(spread / 8 + 1));
  };
  if (rng_.percent(network_.duplicate_percent)) schedule(delay(), what);
  schedule(delay(), std::move(what));
}

void Cluster::handle(const Delivery& event) {
  if (cut_until_us_[event.from][event.to] > now_us_) return;
  ++messages_;
  Message message = event.message;
  if (rng_.one_in(64)) {
    // As it would come over a wire.
    auto decoded = decode_message(encode_message(message));
    if (!decoded.ok()) checks_.violate("a message does not survive its encoding: " + decoded.error().message);
    if (decoded.ok()) message = std::move(*decoded);
  }
  for (const std::size_t self : selves_of_[event.to]) {
    selves_[self].member->receive(event.from, message);
    if (messages_ % memory_checked_every == 0) selves_[self].member->check_memory();
  }
  const auto meddler = meddlers_.find(event.to);
  if (meddler == meddlers_.end() || world_.dishonest(event.from)) return;
  const Member& self = *selves_[selves_of_[event.to].front()].member;
  if (self.is_up()) meddler->second->on_message(message, self.state());
}

void Cluster::handle(const ChainRequest& event) {
  const Member& asked = *selves_[selves_of_[event.to].front()].member;
  if (!asked.is_up()) return;
  auto [blocks, certificate] = asked.chain_after(event.epoch, event.after_view);
  if (!certificate) return;
  if (world_.dishonest(event.to)) {
    const std::uint64_t what = rng_.below(4);
    if (what == 0) blocks.erase(blocks.begin());
    if (what == 1) {
      // Nothing but the leader's signature is not covered by the certificate.
      Proposal changed = *blocks[rng_.below(blocks.size())];
      changed.signature.bytes[rng_.below(changed.signature.bytes.size())] ^= 1;
      const auto place = std::find_if(blocks.begin(), blocks.end(), [&](const ProposalPtr& block) {
        return block->digest == changed.digest;
      });
      *place = std::make_shared<const Proposal>(std::move(changed));
    }
  }
  transmit(event.to, event.from,
           ChainAnswer{event.to, event.from, std::move(blocks), std::move(certificate)});
}

void Cluster::handle(const ChainAnswer& event) {
  for (const std::size_t self : selves_of_[event.to])
    selves_[self].member->receive_chain(event.from, event.blocks, event.certificate);
}

void Cluster::handle(const AlarmEvent& event) {
  selves_[event.self].member->alarm(event.life, event.alarm, event.token);
}

void Cluster::handle(const Restart& event) {
  if (!selves_[event.self].member->is_up()) selves_[event.self].member->start();
}

void Cluster::crash(std::size_t self, std::uint64_t down_us_max) {
  Member& member = *selves_[self].member;
  if (!member.is_up() || world_.dishonest(member.number())) return;
  ++crashes_;
  member.crash();
  spoil_disk(member);
  schedule(rng_.between(us_per_ms, down_us_max), Restart{self});
}

// Once in a run, the forgetful member's; where blocks need not come, now and then anybody's.
void Cluster::spoil_disk(Member& member) {
  DiskFault fault = DiskFault::none;
  if (member.number() == world_.forgetful()) {
    if (disk_fault_done_ || !rng_.one_in(4)) return;
    fault = world_.disk_fault();
  } else if (!world_.live() && rng_.one_in(20)) {
    const DiskFault any[] = {DiskFault::log_gone, DiskFault::log_rot, DiskFault::disk_gone};
    fault = any[rng_.below(3)];
  }
  if (fault == DiskFault::none || fault == DiskFault::lying || fault == DiskFault::misdirected) return;
  if (member.number() == world_.forgetful()) disk_fault_done_ = true;
  ++logs_lost_;
  member.spoil_disk(fault);
}

void Cluster::misdirect_a_write() {
  const std::size_t number = world_.forgetful();
  if (world_.disk_fault() != DiskFault::misdirected || number >= world_.size() || disk_fault_done_) return;
  Member& member = *selves_[selves_of_[number].front()].member;
  if (!member.is_up()) return;
  disk_fault_done_ = true;
  member.misdirect_next_write();
}

void Cluster::partition() {
  ++partitions_;
  const std::uint64_t until = now_us_ + rng_.between(2, 90) * us_per_s;
  const std::uint64_t side = rng_.next();
  const std::uint64_t kind = rng_.below(3);
  for (std::size_t from = 0; from < world_.size(); ++from) {
    for (std::size_t to = 0; to < world_.size(); ++to) {
      const bool across = ((side >> from) & 1) != ((side >> to) & 1);
      const bool cut = kind == 0 ? across : kind == 1 ? across && ((side >> from) & 1) != 0 : rng_.one_in(3);
      if (cut) cut_until_us_[from][to] = until;
    }
  }
}

void Cluster::handle(const Mischance&) {
  if (!chaos_) return;
  switch (rng_.below(10)) {
    case 0:
    case 1: partition(); break;
    case 2:
    case 3: crash(rng_.below(selves_.size()), 60 * us_per_s); break;
    case 4:
      // The power fails everywhere.
      if (rng_.one_in(2)) {
        for (std::size_t self = 0; self < selves_.size(); ++self) crash(self, 20 * us_per_s);
      }
      break;
    case 5:
      network_.loss_percent = rng_.below(40);
      network_.duplicate_percent = rng_.below(20);
      network_.delay_max_us = rng_.between(50, 4000) * us_per_ms;
      break;
    case 6:
      for (Self& self : selves_) self.member->set_clock(rng_.between(70, 140));
      break;
    case 7: network_ = {}; break;
    case 8: misdirect_a_write(); break;
    case 9: {
      Member& member = *selves_[rng_.below(selves_.size())].member;
      if (!world_.dishonest(member.number())) member.set_disk_full(true);
      break;
    }
  }
  schedule(rng_.between(2, 60) * us_per_s, Mischance{});
}

void Cluster::run_until(std::uint64_t time_us) {
  while (!due_.empty() && due_.top().time_us <= time_us && checks_.violation().empty()) {
    const Due due = due_.top();
    due_.pop();
    now_us_ = due.time_us;
    const What what = std::move(events_[due.place]);
    free_.push_back(due.place);
    std::visit([this](const auto& event) { handle(event); }, what);
  }
  if (checks_.violation().empty()) now_us_ = time_us;
}

void Cluster::calm_down() {
  chaos_ = false;
  network_ = {};
  for (auto& row : cut_until_us_) std::fill(row.begin(), row.end(), 0);
  for (Self& self : selves_) {
    self.member->set_disk_full(false);
    if (!self.member->is_up()) self.member->start();
  }
}

bool Cluster::all_have(std::uint64_t height) const {
  return std::all_of(selves_.begin(), selves_.end(), [&](const Self& self) {
    return world_.dishonest(self.member->number()) || self.member->height() >= height;
  });
}

SimulationReport Cluster::run() {
  for (Self& self : selves_) self.member->start();
  schedule(rng_.between(1, 30) * us_per_s, Mischance{});
  run_until(options_.chaos_ms * us_per_ms);
  calm_down();
  std::uint64_t highest = 0;
  for (const Self& self : selves_) highest = std::max(highest, self.member->height());
  const std::uint64_t calm_since_us = now_us_;
  while (world_.live() && checks_.violation().empty() && !all_have(highest + new_blocks)) {
    if (now_us_ - calm_since_us >= calm_us_max) {
      checks_.violate("no progress: after an hour of calm not every node has finalised " +
                      std::to_string(new_blocks) + " new blocks");
      break;
    }
    run_until(now_us_ + 10 * us_per_s);
  }
  return report();
}

SimulationReport Cluster::report() const {
  SimulationReport report;
  report.seed = seed_;
  if (!checks_.violation().empty())
    report.violation = checks_.violation() + ", after " + std::to_string(now_us_ / us_per_ms) + " ms";
  report.simulated_ms = now_us_ / us_per_ms;
  report.validators = world_.size();
  report.blocks = checks_.blocks();
  report.messages = messages_;
  report.crashes = crashes_;
  report.partitions = partitions_;
  report.logs_lost = logs_lost_;
  report.evidence = checks_.evidence();
  report.late = late_;
  for (const Self& self : selves_) {
    const Member::DiskCounts& counts = self.member->disk_counts();
    report.logs_damaged += counts.logs_damaged;
    report.disks_lost += counts.disks_lost;
    report.disks_full += counts.disks_full;
    report.syncs_denied += counts.syncs_denied;
  }
  for (const auto& [number, meddler] : meddlers_) {
    report.stale_lists += meddler->counts().stale_lists;
    report.forgeries += meddler->counts().forgeries;
    report.spam += meddler->counts().spam;
  }
  Sha256 hash;
  hash.update_u64(now_us_).update_u64(messages_).update_u64(order_);
  for (const Self& self : selves_) {
    const Member& member = *self.member;
    hash.update_u64(member.height());
    if (!member.is_up()) continue;
    hash.update(member.state().tip.digest.view());
    report.epochs = std::max(report.epochs, member.state().epoch->number);
  }
  for (std::size_t i = 0; i < world_.size(); ++i) report.dishonest += world_.dishonest(i);
  const Digest digest = hash.finish();
  for (std::size_t i = 0; i < 8; ++i) report.fingerprint = report.fingerprint << 8 | digest.bytes[i];
  return report;
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
