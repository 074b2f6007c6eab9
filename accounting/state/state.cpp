#include "accounting/state/state.h"

#include <algorithm>

#include "accounting/hpos/sample.h"
#include "accounting/records/codec.h"
#include "accounting/state/transition.h"

namespace ufab {

const char* provider_status_name(ProviderStatus status) {
  switch (status) {
    case ProviderStatus::active: return "active";
    case ProviderStatus::draining: return "draining";
    case ProviderStatus::left: return "left";
  }
  return "?";
}

const char* benchmark_state_name(BenchmarkState state) {
  switch (state) {
    case BenchmarkState::drawing: return "drawing";
    case BenchmarkState::waiting: return "waiting";
    case BenchmarkState::good: return "good";
    case BenchmarkState::unchecked: return "unchecked";
    case BenchmarkState::refuted: return "refuted";
    case BenchmarkState::withdrawn: return "withdrawn";
  }
  return "?";
}

const char* job_phase_name(JobPhase phase) {
  switch (phase) {
    case JobPhase::ordered: return "ordered";
    case JobPhase::leasing: return "leasing";
    case JobPhase::running: return "running";
    case JobPhase::validating: return "validating";
    case JobPhase::requeue: return "requeue";
    case JobPhase::settled: return "settled";
  }
  return "?";
}

std::uint64_t JobEntry::windows_total() const {
  if (order.kind == JobKind::batch) return 0;
  return (order.steps - 1) / order.window_steps + 1;
}

std::uint64_t JobEntry::steps_of(std::uint64_t window) const {
  UFAB_ASSERT(window < windows_total());
  return std::min<std::uint64_t>(order.window_steps, order.steps - window * order.window_steps);
}

const AttemptEntry* JobEntry::attempt(std::uint32_t number) const {
  if (number == 0 || number > attempts.size()) return nullptr;
  return &attempts[number - 1];
}

bool AttemptEntry::all_leased() const {
  return std::all_of(members.begin(), members.end(), [](const MemberEntry& member) { return member.leased; });
}

std::uint64_t AttemptEntry::running_us() const {
  std::uint64_t last = 0;
  for (const MemberEntry& member : members) last = std::max(last, member.leased_us);
  return all_leased() ? last : 0;
}

std::optional<std::size_t> JobEntry::member_of(const AttemptEntry& attempt, OrgId organisation) {
  for (std::size_t i = 0; i < attempt.members.size(); ++i) {
    if (attempt.members[i].share.organisation == organisation) return i;
  }
  return std::nullopt;
}

Result<Applied> State::apply_genesis(const Record& genesis, const BlockContext& context) {
  return Transition(*this).genesis(genesis, context);
}

Applied State::begin_block(const BlockContext& context) {
  return Transition(*this).begin_block(context);
}
Status State::admissible(const Record& record) const {
  return Transition::admissible(*this, record);
}
Result<Applied> State::apply(const Record& record) {
  return Transition(*this).apply(record);
}
Applied State::refuse(const Record& record, const RecordId& id, const Error& why) {
  return Transition(*this).refuse(record, id, why);
}

const OrgEntry* State::organisation(OrgId id) const {
  const auto found = organisations_.find(id);
  return found == organisations_.end() ? nullptr : &found->second;
}

const OrgEntry* State::organisation_by_name(std::string_view name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : organisation(found->second);
}

std::optional<KeyHolder> State::key_holder(const PublicKey& key) const {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return std::nullopt;
  const auto& [id, role] = found->second;
  const OrgEntry* entry = organisation(id);
  if (!entry->has_key(key)) return std::nullopt;
  return KeyHolder{entry, role};
}

State::Producer State::producer(std::uint64_t view) const {
  if (seats_.empty()) return {founder, organisation(founder)->key};
  if (!by_vote()) return {seats_[0].organisation, seats_[0].key};
  std::vector<std::uint64_t> weights;
  weights.reserve(seats_.size());
  for (const Seat& seat : seats_) weights.push_back(seat.weight_ppm);
  const Seat& leader = seats_[hpos::weighted_pick(epoch_seed_, view, weights)];
  return {leader.organisation, leader.key};
}

const Seat* State::seat_of(OrgId id) const {
  const auto found =
      std::find_if(seats_.begin(), seats_.end(), [id](const Seat& seat) { return seat.organisation == id; });
  return found == seats_.end() ? nullptr : &*found;
}

bool State::in_office(OrgId id) const {
  return seats_.empty() ? id == founder : seat_of(id) != nullptr;
}

std::uint64_t State::seed_share_last() const {
  return epoch_ * params_.epoch_blocks + params_.epoch_blocks / 2;
}

OrgId State::organisation_of_any_key(const PublicKey& key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? 0 : found->second.first;
}

KeyRole State::role_of_any_key(const PublicKey& key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? KeyRole::owner : found->second.second;
}

const JobEntry* State::job(JobId id) const {
  const auto found = jobs_.find(id);
  return found == jobs_.end() ? nullptr : &found->second;
}

std::optional<JobId> State::job_by_idempotency_key(OrgId owner, const std::string& key) const {
  const auto found = idempotency_.find({owner, key});
  if (found == idempotency_.end()) return std::nullopt;
  return found->second;
}

std::uint64_t State::next_sequence(const PublicKey& key) const {
  const auto holder = key_holder(key);
  if (!holder) return 1;
  const OrgEntry& org = *holder->organisation;
  return (holder->role == KeyRole::owner ? org.sequence : org.agent->sequence) + 1;
}

namespace {

void encode_amounts(Writer& writer, const std::vector<EpochAmount>& amounts) {
  writer.u32(static_cast<std::uint32_t>(amounts.size()));
  for (const EpochAmount& item : amounts) {
    writer.u64(item.epoch);
    writer.u64(item.amount);
  }
}

void encode_ids(Writer& writer, const std::vector<OrgId>& ids) {
  writer.u32(static_cast<std::uint32_t>(ids.size()));
  for (const OrgId id : ids) writer.u32(id);
}

template <class T>
void encode_into(Writer& writer, const T& value) {
  EncodeVisitor visitor(writer);
  T::fields(visitor, value);
}

void encode_standing(Writer& writer, const Standing& standing) {
  writer.u8(static_cast<std::uint8_t>(standing.status));
  for (const std::uint64_t value :
       {standing.points, std::uint64_t{standing.step}, standing.until_epoch, standing.calm_epochs}) {
    writer.u64(value);
  }
  writer.u32(static_cast<std::uint32_t>(standing.recent.size()));
  for (const FaultEntry& fault : standing.recent) {
    writer.u8(static_cast<std::uint8_t>(fault.kind));
    writer.u64(fault.job);
    writer.u32(fault.by);
    for (const std::uint64_t value : {fault.height, fault.epoch, fault.points}) writer.u64(value);
  }
}

void encode_benchmark(Writer& writer, const BenchmarkEntry& benchmark) {
  writer.u64(benchmark.challenge_height);
  writer.raw(benchmark.challenge.view());
  writer.u32(benchmark.semantics_version);
  writer.u32(benchmark.repeats);
  writer.raw(benchmark.lanes_digest.view());
  writer.u32(benchmark.lanes_count);
  for (const std::uint64_t value :
       {benchmark.mflops, benchmark.epoch_filed, benchmark.epoch_end, benchmark.deadline_height}) {
    writer.u64(value);
  }
  writer.u8(static_cast<std::uint8_t>(benchmark.check));
  writer.u32(benchmark.verifier);
  writer.u32(benchmark.lane);
  writer.u32(benchmark.rounds);
  writer.flag(benchmark.on_proof);
}

void encode_links(Writer& writer, const LinksEntry& links) {
  writer.u64(links.epoch);
  writer.u64(links.filed_us);
  writer.u32(static_cast<std::uint32_t>(links.peers.size()));
  for (const ReportedLink& link : links.peers) encode_into(writer, link);
}

void encode_organisation(Writer& writer, const OrgEntry& org) {
  writer.u32(org.id);
  writer.text(org.name);
  writer.text(org.endpoint);
  writer.raw(org.key.view());
  writer.u64(org.sequence);
  writer.flag(org.agent.has_value());
  if (org.agent) {
    writer.raw(org.agent->key.view());
    writer.u64(org.agent->sequence);
    writer.u32(org.agent->refusals);
    for (const MicroUnc amount : {org.agent->allowance, org.agent->escrowed, org.agent->spent}) {
      writer.u64(amount);
    }
  }
  writer.flag(org.provider.has_value());
  if (org.provider) {
    encode_into(writer, org.provider->offer);
    writer.u8(static_cast<std::uint8_t>(org.provider->status));
    writer.u32(org.provider->leases_open);
    writer.u64(org.provider->freed_us);
  }
  writer.flag(org.candidacy.has_value());
  if (org.candidacy) {
    writer.raw(org.candidacy->key.view());
    writer.raw(org.candidacy->vrf_key.view());
    writer.u32(org.candidacy->protocol);
    writer.u64(org.candidacy->height);
  }
  writer.u64(org.score);
  encode_amounts(writer, org.unbonding);
  encode_amounts(writer, org.power);
  for (const std::uint64_t value :
       {org.verified_mflop, org.blocks_produced, org.slots_missed, org.duties_done, org.duties_missed,
        org.receipts_good, org.receipts_bad}) {
    writer.u64(value);
  }
  writer.u32(org.refusals);
  encode_standing(writer, org.standing);
  writer.flag(org.benchmark.has_value());
  if (org.benchmark) encode_benchmark(writer, *org.benchmark);
  writer.flag(org.links.has_value());
  if (org.links) encode_links(writer, *org.links);
  writer.u32(static_cast<std::uint32_t>(org.used.size()));
  for (const PeriodUse& use : org.used) {
    writer.u64(use.period);
    writer.u64(use.slot_s);
  }
  writer.u64(org.escrowed);
  writer.u64(org.spent);
}

void encode_job(Writer& writer, const JobEntry& job) {
  writer.u64(job.id);
  writer.u32(job.owner);
  encode_into(writer, job.order);
  writer.raw(job.agent.view());
  writer.u8(static_cast<std::uint8_t>(job.phase));
  writer.u32(static_cast<std::uint32_t>(job.attempts.size()));
  for (const AttemptEntry& attempt : job.attempts) {
    writer.u32(attempt.number);
    writer.u64(attempt.window_first);
    writer.u64(attempt.asked_us);
    writer.flag(attempt.blamed);
    writer.u32(static_cast<std::uint32_t>(attempt.members.size()));
    for (const MemberEntry& member : attempt.members) {
      encode_into(writer, member.share);
      writer.flag(member.leased);
      if (member.leased) encode_into(writer, member.lease);
      writer.u64(member.leased_us);
    }
    writer.u64(attempt.ended_us);
  }
  writer.u64(job.windows_complete);
  encode_ids(writer, job.excluded);
  encode_ids(writer, job.verifiers_late);
  writer.u64(job.deadline);
  writer.u32(job.validation_round);
  writer.flag(job.usage.has_value());
  if (job.usage) {
    encode_into(writer, job.usage->receipt);
    writer.u32(job.usage->provider);
    writer.u64(job.usage->filed_height);
  }
  writer.flag(job.cancelled.has_value());
  if (job.cancelled) encode_into(writer, *job.cancelled);
  writer.flag(job.settlement.has_value());
  if (job.settlement) encode_into(writer, *job.settlement);
  writer.u64(job.order_height);
  writer.u64(job.order_us);
  writer.u64(job.settled_height);
}

void encode_committee(Writer& writer, const Committee& committee) {
  writer.flag(committee.stayed);
  writer.u32(static_cast<std::uint32_t>(committee.members.size()));
  for (const Committee::Member& member : committee.members) {
    writer.u32(member.organisation);
    writer.raw(member.key.view());
    writer.flag(member.convicted);
  }
}

void encode_window(Writer& writer, const WindowEntry& window) {
  writer.u64(window.window);
  writer.u32(window.attempt);
  writer.flag(window.complete);
  writer.u8(static_cast<std::uint8_t>(window.check));
  writer.u32(window.verifier);
  writer.u64(window.first_us);
  writer.u32(static_cast<std::uint32_t>(window.receipts.size()));
  for (const MemberReceipt& receipt : window.receipts) {
    writer.flag(receipt.filed);
    writer.raw(receipt.digest.view());
    writer.u64(receipt.countersigned);
  }
}

}  // namespace

const WindowEntry* State::find_window(const StateKey& key, WindowCursor& cursor) const {
  const JobEntry* entry = job(key.a);
  if (entry == nullptr) return nullptr;
  const auto& windows = entry->windows;
  const bool beside = cursor.job == key.a && cursor.at != windows.end();
  if (beside) ++cursor.at;
  if (!beside || cursor.at == windows.end() || cursor.at->first != key.b) {
    cursor = {key.a, windows.find(key.b)};
  }
  return cursor.at == windows.end() ? nullptr : &cursor.at->second;
}

bool State::encode_slot(const StateKey& key, Writer& writer, WindowCursor& cursor) const {
  switch (static_cast<Slot>(key.slot)) {
    case Slot::account: {
      const MicroUnc balance = accounts_.balance({static_cast<AccountKind>(key.a), key.b});
      if (balance == 0) return false;
      writer.u64(balance);
      return true;
    }
    case Slot::organisation: {
      const OrgEntry* org = organisation(static_cast<OrgId>(key.a));
      if (org == nullptr) return false;
      encode_organisation(writer, *org);
      return true;
    }
    case Slot::job: {
      const JobEntry* entry = job(key.a);
      if (entry == nullptr) return false;
      encode_job(writer, *entry);
      return true;
    }
    case Slot::window: {
      const WindowEntry* window = find_window(key, cursor);
      if (window == nullptr) return false;
      encode_window(writer, *window);
      return true;
    }
    case Slot::usage_import: {
      const UsageImportEntry* import =
          usage_.find({key.a, static_cast<std::uint32_t>(key.b >> 32), static_cast<OrgId>(key.b)});
      if (import == nullptr) return false;
      writer.raw(import->record.view());
      return true;
    }
    case Slot::committee: {
      const auto found = committees_.find(key.a);
      if (found == committees_.end()) return false;
      encode_committee(writer, found->second);
      return true;
    }
    case Slot::seed_share: {
      const auto found = seed_shares_.find(static_cast<OrgId>(key.a));
      if (found == seed_shares_.end()) return false;
      writer.raw(found->second.view());
      return true;
    }
    case Slot::global: break;
  }
  encode_global(writer);
  return true;
}

void State::encode_global(Writer& writer) const {
  writer.raw(chain_id_.view());
  writer.u64(context_.height);
  writer.u64(epoch_);
  writer.raw(epoch_seed_.view());
  writer.u32(static_cast<std::uint32_t>(seats_.size()));
  for (const Seat& seat : seats_) encode_into(writer, seat);
  encode_ids(writer, kicked_);
  writer.u64(derived_sequence_);
  writer.u64(accounts_.minted());
  writer.u64(accounts_.burned());
  writer.u64(job_last_);
}

void State::note_progress(JobId id) {
  const JobEntry* entry = job(id);
  const bool in_progress =
      entry != nullptr && entry->phase != JobPhase::ordered && entry->phase != JobPhase::settled;
  if (in_progress) {
    in_progress_.insert(id);
  } else {
    in_progress_.erase(id);
  }
}

Digest State::end_block() {
  dirty_.push_back(StateKey{static_cast<std::uint8_t>(Slot::global), 0, 0});
  std::sort(dirty_.begin(), dirty_.end());
  dirty_.erase(std::unique(dirty_.begin(), dirty_.end()), dirty_.end());
  Writer writer;
  WindowCursor cursor;
  for (const StateKey& key : dirty_) {
    if (static_cast<Slot>(key.slot) == Slot::job) note_progress(key.a);
    writer.clear();
    if (encode_slot(key, writer, cursor)) {
      tree_.update(key, writer.bytes());
    } else {
      tree_.remove(key);
    }
  }
  dirty_.clear();
  return tree_.root();
}

}  // namespace ufab
