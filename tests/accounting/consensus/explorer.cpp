#include "tests/accounting/consensus/explorer.h"

#include <algorithm>
#include <deque>
#include <unordered_set>

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

namespace {

constexpr std::size_t local_bits = 21;  // three of them in a word
constexpr std::size_t no_crash = ~std::size_t{0};

std::string text_of(const Digest& digest) {
  return {digest.bytes.begin(), digest.bytes.begin() + 8};
}

View view_of(const Message& message) {
  if (const auto* vote = std::get_if<Vote>(&message)) return vote->view;
  return std::get<ProposalPtr>(message)->header.view;
}

}  // namespace

Explorer::Explorer(ExploreOptions options) : options_(std::move(options)) {
  auto epoch = make_epoch(options_.weights, options_.stakes);
  epoch->leader = [leaders = options_.leaders](View view) {
    return view - 1 < leaders.size() ? leaders[view - 1] : leaders[0];
  };
  epoch_ = epoch;
  for (View view = 1; view <= options_.leaders.size(); ++view) {
    if (view < options_.leaders.size())
      dishonest_.set(intern(make_vote(*epoch_, options_.dishonest, VoteKind::skip, view)));
    if (epoch_->leader(view) != options_.dishonest) continue;
    intern_block(dishonest_block(view, epoch_->anchor, "x"));
    intern_block(dishonest_block(view, epoch_->anchor, "y"));
  }
}

ProposalPtr Explorer::dishonest_block(View view, const BlockRef& parent, const char* payload) const {
  return make_block(*epoch_, view, parent, payload);
}

std::size_t Explorer::intern(const Message& message) {
  const Bytes bytes = encode_message(message);
  const auto [entry, added] = message_numbers_.emplace(std::string(as_text(bytes)), messages_.size());
  if (added) {
    UFAB_ASSERT(messages_.size() < Soup().size());
    messages_.push_back(message);
  }
  return entry->second;
}

// A block is known: the dishonest validator may vote for it, and as a later leader extend it.
void Explorer::intern_block(const ProposalPtr& block) {
  const std::size_t number = intern(block);
  if (!blocks_.emplace(block->digest, block).second) return;
  const View view = block->header.view;
  if (epoch_->leader(view) == options_.dishonest) dishonest_.set(number);
  for (const VoteKind kind : {VoteKind::notarise, VoteKind::finalise})
    dishonest_.set(intern(make_vote(*epoch_, options_.dishonest, kind, view, block->digest)));
  for (View later = view + 1; later <= options_.leaders.size(); ++later) {
    if (epoch_->leader(later) == options_.dishonest) intern_block(dishonest_block(later, ref_of(block), "x"));
  }
}

Config Explorer::config(Seat seat) const {
  Config config;
  config.scheme = &cheap_scheme();
  config.signer = &signer(seat);
  return config;
}

// What a node's future depends on. Of single votes only the dishonest one's are, for the evidence in them:
// those of a group are always given together.
std::string Explorer::key_of(const Local& local) const {
  const State& s = local.state;
  Writer writer;
  writer.u16(local.seat);
  writer.flag(local.crashed);
  writer.u64(s.view);
  writer.u64(s.certified);
  writer.flag(s.observer);
  writer.flag(s.halted);
  writer.text(text_of(s.tip.digest));
  writer.u64(s.pending ? s.pending->view : 0);
  if (s.pending) writer.text(text_of(s.pending->block));
  for (const auto& [view, slot] : s.slots) {
    writer.u64(view);
    writer.flag(slot.skipped != nullptr);
    writer.text(slot.notarised ? text_of(slot.notarised->block) : "");
    for (const auto& own : slot.own) writer.text(own ? text_of(own->block) : "");
    for (const Candidate& candidate : slot.candidates) {
      writer.text(text_of(candidate.proposal->digest));
      writer.u8(static_cast<std::uint8_t>(candidate.validity));
    }
  }
  std::set<std::tuple<View, VoteKind, Digest>> log;
  for (const VoteRecord& record : local.log)
    log.insert({record.vote.view, record.vote.kind, record.vote.block});
  for (const auto& [view, kind, block] : log) {
    writer.u64(view);
    writer.u8(static_cast<std::uint8_t>(kind));
    writer.text(text_of(block));
  }
  for (const ProposalPtr& block : local.delivered) writer.text(text_of(block->digest));
  writer.text(local.sent.to_string());
  return std::string(as_text(writer.bytes()));
}

std::uint32_t Explorer::intern(Local local) {
  // They must not outlive the step: another history with the same key heard others. A proposal that did not
  // lead to a vote may come again when it does.
  for (auto& [view, slot] : local.state.slots) {
    for (std::size_t seat = 0; seat < slot.ballots.size(); ++seat) {
      if (seat != local.seat) slot.ballots[seat] = {};
    }
    std::erase_if(slot.candidates, [&, &block_slot = slot](const Candidate& candidate) {
      const Digest& digest = candidate.proposal->digest;
      const auto& own = block_slot.own[1];
      const bool kept =
          (own && own->block == digest) || (block_slot.notarised && block_slot.notarised->block == digest);
      if (!kept) local.state.held_size -= candidate.proposal->payload.size();
      return !kept;
    });
  }
  const auto [entry, added] =
      local_numbers_.emplace(key_of(local), static_cast<std::uint32_t>(locals_.size()));
  if (!added) return entry->second;
  UFAB_ASSERT(locals_.size() < std::size_t{1} << local_bits);
  check_evidence(local);
  locals_.push_back(std::move(local));
  reach_.emplace_back();
  steps_.emplace_back();
  return entry->second;
}

// In each state that a node can be in, two conflicting votes that come in are reported.
void Explorer::check_evidence(const Local& local) {
  if (local.state.halted) return;
  for (View view = local.state.tip.view + 1; view <= options_.leaders.size(); ++view) {
    const Digest one = sha256("one"), two = sha256("two");
    for (const VoteKind kind : {VoteKind::notarise, VoteKind::finalise}) {
      const Vote first = make_vote(*epoch_, options_.dishonest, kind, view, one);
      const Vote other = kind == VoteKind::notarise
                             ? make_vote(*epoch_, options_.dishonest, kind, view, two)
                             : make_vote(*epoch_, options_.dishonest, VoteKind::skip, view);
      State state = local.state;
      const Peer from = signer(options_.dishonest).public_key();
      (void)step(state, MessageReceived{from, first});
      const Actions actions = step(state, MessageReceived{from, other});
      const bool reported = std::any_of(actions.begin(), actions.end(), [](const Action& action) {
        return std::holds_alternative<ReportEvidence>(action);
      });
      if (!reported) violate("an equivocation was seen and not reported");
    }
  }
}

// Does what the driver would do with one action; the application answers at once, in `next`.
void Explorer::perform(Local& local, const Action& action, std::vector<Event>& next) {
  const auto sent = [&](const Message& message) {
    const auto* block = std::get_if<ProposalPtr>(&message);
    if (block == nullptr && !std::holds_alternative<Vote>(message)) return;  // certificates follow from votes
    if (view_of(message) > options_.leaders.size()) return;
    if (block != nullptr) intern_block(*block);
    check_sent(local, message);
    local.sent.set(intern(message));
  };
  if (const auto* persist = std::get_if<PersistVote>(&action)) {
    local.log.push_back(persist->record);
  } else if (const auto* broadcast = std::get_if<Broadcast>(&action)) {
    sent(broadcast->message);
  } else if (const auto* deliver = std::get_if<Deliver>(&action)) {
    if (!truly_certified(epoch_->chain_id, epoch_->validators.all(), *deliver->certificate, cheap_scheme()))
      violate("a block was finalised by less than a quorum");
    local.delivered.push_back(deliver->block);
  } else if (const auto* build = std::get_if<BuildPayload>(&action)) {
    next.emplace_back(PayloadReady{build->view, {static_cast<std::uint8_t>('a' + build->view)}});
  } else if (const auto* validate = std::get_if<ValidateBlock>(&action)) {
    next.emplace_back(BlockValidated{validate->block->header.view, validate->block->digest, true});
  } else if (const auto* report = std::get_if<ReportEvidence>(&action)) {
    if (report->evidence.key != signer(options_.dishonest).public_key())
      violate("evidence against an honest key");
    if (!verify_evidence(report->evidence, cheap_scheme()).ok()) violate("evidence that does not verify");
  } else if (std::holds_alternative<ReportFork>(action)) {
    violate("a node saw two conflicting finalised blocks");
  } else if (std::holds_alternative<RetireKey>(action)) {
    violate("a key was retired whose log is whole");
  }
}

void Explorer::check_sent(const Local& local, const Message& message) {
  const auto* vote = std::get_if<Vote>(&message);
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    if (!local.sent.test(i)) continue;
    const auto* other = std::get_if<Vote>(&messages_[i]);
    const bool votes = vote != nullptr && other != nullptr && vote->view == other->view &&
                       votes_conflict(vote->kind, vote->block, other->kind, other->block);
    const auto* block = std::get_if<ProposalPtr>(&message);
    const auto* earlier = std::get_if<ProposalPtr>(&messages_[i]);
    const bool blocks = block != nullptr && earlier != nullptr && view_of(message) == view_of(messages_[i]) &&
                        (*block)->digest != (*earlier)->digest;
    if (votes || blocks) violate("an honest validator signed two conflicting votes");
  }
}

void Explorer::restart(Local& local, std::vector<Action>& actions) const {
  local.crashed = true;
  BlockRef tip = epoch_->anchor;
  CertificatePtr proof;
  if (!local.delivered.empty()) {
    tip = ref_of(local.delivered.back());
    proof = make_certificate(*epoch_, {0, 1, 2, 3}, VoteKind::finalise, tip.view, tip.digest);
  }
  Started started = start(config(local.seat), {epoch_, tip, tip, proof, local.log});
  local.state = std::move(started.state);
  actions = std::move(started.actions);
}

std::vector<Event> Explorer::events_of(const Local& local, const Input& input) const {
  std::vector<Event> events;
  if (input.time_out) events.emplace_back(TimerFired{Timer::view, local.state.view});
  if (input.standstill) events.emplace_back(TimerFired{Timer::standstill, 0});
  if (input.chain) {
    std::vector<ProposalPtr> chain;
    const CertificatePtr& pending = local.state.pending;
    for (Digest digest = pending->block; digest != local.state.tip.digest;) {
      const auto block = blocks_.find(digest);
      if (block == blocks_.end() || chain.size() > options_.leaders.size()) return {};
      chain.insert(chain.begin(), block->second);
      digest = block->second->header.parent;
    }
    events.emplace_back(ChainReceived{signer(options_.dishonest).public_key(), chain, pending});
  }
  for (const std::size_t number : input.messages) {
    const auto* vote = std::get_if<Vote>(&messages_[number]);
    const Seat from = vote != nullptr ? vote->seat : options_.dishonest;
    events.emplace_back(MessageReceived{signer(from).public_key(), messages_[number]});
  }
  return events;
}

Explorer::Outcome Explorer::give(const Local& before, const Input& input, std::size_t crash_after) {
  Outcome outcome{before, 0, false};
  Local& local = outcome.local;
  std::vector<Event> next;
  std::deque<Event> events;
  const auto perform_all = [&](const std::vector<Action>& actions) {
    for (const Action& action : actions) {
      if (outcome.cut) return;
      perform(local, action, next);
      if (++outcome.actions == crash_after) outcome.cut = true;
    }
    for (Event& event : next) events.push_front(std::move(event));
    next.clear();
  };
  if (input.restart) {
    std::vector<Action> actions;
    restart(local, actions);
    perform_all(actions);
  }
  if (input.standstill) {
    // As if nothing had become final since the last tick.
    local.state.tip_at_tick = {epoch_->number, local.state.tip.view};
    local.state.cursor = 0;
  }
  for (Event& event : events_of(before, input)) events.push_back(std::move(event));
  while (!events.empty() && !outcome.cut) {
    const Event event = std::move(events.front());
    events.pop_front();
    // Nothing past the last view that is explored.
    if (std::holds_alternative<PayloadReady>(event) && local.state.view > options_.leaders.size()) continue;
    const Actions actions = step(local.state, event);
    perform_all(actions);
  }
  return outcome;
}

std::vector<Explorer::Input> Explorer::inputs(const Soup& soup) const {
  std::vector<Input> inputs;
  std::map<std::tuple<View, VoteKind, Digest>, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    if (!soup.test(i)) continue;
    if (const auto* vote = std::get_if<Vote>(&messages_[i])) {
      groups[{vote->view, vote->kind, vote->block}].push_back(i);
    } else {
      inputs.push_back({{i}, false, false, false});
    }
  }
  for (auto& [name, group] : groups) inputs.push_back({std::move(group), false, false, false});
  return inputs;
}

// What one input makes of a local state: whole, and cut short after each action with what was durable by
// then.
const std::vector<std::uint32_t>& Explorer::outcomes(std::uint32_t number, const Input& input) {
  Writer name;
  name.flag(input.time_out);
  name.flag(input.chain);
  name.flag(input.restart);
  name.flag(input.standstill);
  for (const std::size_t message : input.messages) name.u16(static_cast<std::uint16_t>(message));
  const std::string key(as_text(name.bytes()));
  const auto known = steps_[number].find(key);
  if (known != steps_[number].end()) return known->second;
  std::vector<std::uint32_t> to;
  const Local before = locals_[number];
  Outcome whole = give(before, input, no_crash);
  const std::uint32_t after = intern(std::move(whole.local));
  if (after != number) {
    to.push_back(after);
    for (std::size_t cut = 1; options_.crashes && !before.crashed && cut < whole.actions; ++cut) {
      Outcome part = give(before, input, cut);
      to.push_back(intern(give(part.local, {{}, false, false, true}, no_crash).local));
    }
  }
  return steps_[number].emplace(key, std::move(to)).first->second;
}

const Explorer::Reach& Explorer::reach(std::uint32_t number, const Soup& soup) {
  const auto known = reach_[number].find(soup);
  if (known != reach_[number].end()) return known->second;
  Reach reach;
  const std::vector<Input> given = inputs(soup);
  std::unordered_set<std::uint32_t> quiet{number};
  std::vector<std::uint32_t> open{number};
  while (!open.empty()) {
    const std::uint32_t at = open.back();
    open.pop_back();
    if (!locals_[at].delivered.empty()) reach.delivering.push_back(at);
    std::vector<Input> all = given;
    // To skip the last view would lead to views that are not explored, and only forbid what may happen in
    // this one.
    if (locals_[at].state.view < options_.leaders.size()) all.push_back({{}, true, false, false});
    if (options_.standstill && locals_[at].state.view > 1) all.push_back({{}, false, false, false, true});
    if (locals_[at].state.pending) all.push_back({{}, false, true, false});
    if (options_.crashes && !locals_[at].crashed) all.push_back({{}, false, false, true});
    for (const Input& input : all) {
      for (const std::uint32_t to : outcomes(at, input)) {
        if (locals_[to].sent != locals_[at].sent) {
          reach.speaking.push_back(to);
        } else if (quiet.insert(to).second) {
          open.push_back(to);
        }
      }
    }
  }
  for (auto* list : {&reach.speaking, &reach.delivering}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  return reach_[number].emplace(soup, std::move(reach)).first->second;
}

// One's finalised chain is the beginning of the other's.
bool Explorer::agree(std::uint32_t a, std::uint32_t b) const {
  const auto& first = locals_[a].delivered;
  const auto& second = locals_[b].delivered;
  for (std::size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
    if (first[i]->digest != second[i]->digest) return false;
  }
  return true;
}

ExploreResult Explorer::run() {
  std::vector<std::uint32_t> initial;
  for (Seat seat = 0; seat < 4; ++seat) {
    if (seat == options_.dishonest) continue;
    Local local;
    local.seat = seat;
    std::vector<Action> actions;
    restart(local, actions);
    local.crashed = false;
    const std::uint32_t plain = intern(local);
    // The first leader builds at once.
    Local begun = locals_[plain];
    std::vector<Event> next;
    for (const Action& action : actions) perform(begun, action, next);
    while (!next.empty()) {
      const Event event = next.back();
      next.pop_back();
      for (const Action& action : step(begun.state, event)) perform(begun, action, next);
    }
    initial.push_back(intern(std::move(begun)));
  }
  const auto pack = [](const std::vector<std::uint32_t>& locals) {
    std::uint64_t word = 0;
    for (const std::uint32_t local : locals) word = word << local_bits | local;
    return word;
  };
  std::unordered_set<std::uint64_t> visited{pack(initial)};
  std::deque<std::vector<std::uint32_t>> open{initial};
  std::set<Digest> finalised;
  while (!open.empty() && result_.violation.empty()) {
    if (visited.size() >= options_.states_max) break;
    const std::vector<std::uint32_t> state = open.front();
    open.pop_front();
    Soup soup = dishonest_;
    for (const std::uint32_t local : state) soup |= locals_[local].sent;
    std::vector<std::uint32_t> delivering;
    for (std::size_t node = 0; node < state.size(); ++node) {
      const Reach& reached = reach(state[node], soup);
      delivering.insert(delivering.end(), reached.delivering.begin(), reached.delivering.end());
      for (const std::uint32_t to : reached.speaking) {
        std::vector<std::uint32_t> after = state;
        after[node] = to;
        if (visited.insert(pack(after)).second) open.push_back(std::move(after));
      }
    }
    for (std::size_t i = 1; i < delivering.size(); ++i) {
      if (!agree(delivering[0], delivering[i])) violate("two conflicting finalised blocks");
    }
  }
  result_.complete = open.empty() && result_.violation.empty();
  result_.states = visited.size();
  result_.locals = locals_.size();
  for (const Local& local : locals_) {
    for (const ProposalPtr& block : local.delivered) finalised.insert(block->digest);
  }
  result_.finalised = finalised.size();
  return result_;
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
