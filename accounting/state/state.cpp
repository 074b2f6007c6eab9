#include "accounting/state/state.h"

#include <algorithm>

#include "accounting/hpos/sample.h"
#include "accounting/state/entry_codec.h"
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
  const auto put = [&writer](const auto* entry) {
    if (entry != nullptr) encode_entry(writer, *entry);
    return entry != nullptr;
  };
  const auto found_in = [](const auto& map, const auto& at) {
    const auto found = map.find(at);
    return found == map.end() ? nullptr : &found->second;
  };
  switch (static_cast<Slot>(key.slot)) {
    case Slot::global: break;
    case Slot::account: {
      const MicroUnc balance = accounts_.balance({static_cast<AccountKind>(key.a), key.b});
      if (balance == 0) return false;
      writer.u64(balance);
      return true;
    }
    case Slot::organisation: return put(organisation(static_cast<OrgId>(key.a)));
    case Slot::job: return put(job(key.a));
    case Slot::window: return put(find_window(key, cursor));
    case Slot::usage_import:
      return put(usage_.find({key.a, static_cast<std::uint32_t>(key.b >> 32), static_cast<OrgId>(key.b)}));
    case Slot::committee: return put(found_in(committees_, key.a));
    case Slot::seed_share: {
      const vrf::Output* share = found_in(seed_shares_, static_cast<OrgId>(key.a));
      if (share != nullptr) writer.raw(share->view());
      return share != nullptr;
    }
    case Slot::key: {
      const PublicKey& taken = keys_taken_.at(key.a);
      const auto& [org, role] = keys_.at(taken);
      encode_entry(writer, TakenKey{taken, org, role});
      return true;
    }
    case Slot::past_job: return put(found_in(usage_.past_jobs(), key.a));
  }
  encode_entry(writer, GlobalEntry{chain_id_, context_.height, epoch_, epoch_seed_, seats_, kicked_,
                                   derived_sequence_, accounts_.minted(), accounts_.burned(), job_last_});
  return true;
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
