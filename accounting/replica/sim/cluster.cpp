#include "accounting/replica/sim/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "accounting/hpos/evidence.h"
#include "accounting/state/duties.h"

namespace ufab::sim {

namespace {

constexpr std::uint64_t second_us = 1'000'000;
constexpr std::uint64_t progress_max_us = 60 * second_us;
// What honest validators take (Workbench::Limits), and what their clocks may be ahead by.
constexpr std::uint64_t block_ahead_max_us = 14 * second_us;

ReplicaOptions options_for(const consensus::SignatureScheme& scheme, std::uint64_t gather_ms) {
  ReplicaOptions options;
  options.gather_ms = gather_ms;
  options.scheme = &scheme;
  options.timing = {500, 1200, 6, 4000};
  options.votes_size_max = 64 << 10;
  options.chain_answer_size = 32 << 10;
  return options;
}

FoundingOptions founding_for(std::uint64_t seed, const ClusterOptions& options) {
  FoundingOptions founding;
  founding.seed = seed;
  founding.validators = options.validators;
  founding.organisations = options.validators + (options.jobs ? 1 : 0);
  // So that deadlines pass, power expires and emission halves within a minute.
  ChainParams& params = founding.params;
  params.verify_deadline_blocks = params.countersign_deadline_blocks = 24;
  params.power_expiry_epochs = 3;
  params.power_growth_floor_mflop = 50'000'000;
  params.halving_epochs = 10;
  params.score_initial = 1000;
  params.enrolment.points_false_result = 15;
  params.enrolment.suspension_epochs = 3;
  return founding;
}

}  // namespace

Cluster::Cluster(std::uint64_t seed, const ClusterOptions& options)
    : options_(options), rng_(seed), founding_(found(founding_for(seed, options))) {
  report_.seed = seed;
  cut_until_us_.assign(options.validators, std::vector<std::uint64_t>(options.validators));
  Surroundings around;
  around.send = [this](std::size_t from, const consensus::Peer& to, ReplicaChannel channel,
                       SharedBytes message) {
    const std::size_t member = member_by_key_.at(to);
    for (std::size_t node = 0; node < nodes_.size(); ++node) {
      if (member_of_[node] == member) transmit(from, node, channel, message);
    }
  };
  around.send_all = [this](std::size_t from, ReplicaChannel channel, SharedBytes message) {
    for (std::size_t to = 0; to < nodes_.size(); ++to) {
      if (member_of_[to] != member_of_[from]) transmit(from, to, channel, message);
    }
  };
  around.set_alarm = [this](std::size_t node, std::uint64_t life, ReplicaAlarm alarm, std::uint64_t token,
                            std::uint64_t after_ms) {
    schedule(after_ms * 1000, Alarm{node, life, alarm, token});
  };
  around.on_final = [this](std::size_t node, const Block& block, const Chain& chain) {
    if (honest(node)) on_final(node, block, chain);
  };
  around.violated = [this](std::size_t node, const std::string& what) { violate(node, what); };
  around.on_penalty = [this](std::size_t node, const consensus::Peer& peer, const char* why) {
    if (member_by_key_.at(peer) != liar_)
      violate(node, fmt::format("an honest peer was penalised for {}", why));
  };
  around.on_evidence = [this](std::size_t node, const consensus::Evidence& evidence) {
    if (!honest(node)) return;
    ++report_.evidence;
    if (member_by_key_.at(evidence.key) != liar_) violate(node, "evidence against an honest validator");
    to_file_.push_back(evidence);
  };
  for (std::size_t i = 0; i < options.validators; ++i) {
    member_by_key_.emplace(founding_.validators[i].public_key(), i);
    add_node(i, around);
  }
  hashes_.resize(founding_.log.size());
  choose_liar();
  if (liar_ != SIZE_MAX) add_node(liar_, around);
  begin_jobs();
}

void Cluster::add_node(std::size_t member, const Surroundings& around) {
  nodes_.push_back(std::make_unique<Node>(nodes_.size(), founding_.validators[member].copy(), founding_.log,
                                          options_for(scheme_, options_.gather_ms), report_.seed, around));
  member_of_.push_back(member);
  skew_us_.push_back(0);
  shared_epoch_.push_back(0);
  work_.emplace_back();
}

// Somebody without whom there is a quorum.
void Cluster::choose_liar() {
  if (options_.lies == Lies::never || (options_.lies == Lies::sometimes && rng_.one_in(2))) return;
  const std::size_t member = rng_.below(options_.validators);
  Chain chain;
  for (const Bytes& encoded : founding_.log) {
    auto block = decode_block(encoded);
    UFAB_ASSERT(block.ok() && chain.import(*std::move(block), Signatures::checked).ok());
  }
  if (!quorum_without(member, *chain.epoch())) return;
  liar_ = member;
  // Each of its two selves has somebody to talk to.
  const std::uint64_t all = (1ULL << options_.validators) - 1, others = all & ~(1ULL << member);
  while ((first_self_ & others) == 0 || (first_self_ & others) == others) first_self_ = rng_.below(all + 1);
}

void Cluster::violate(std::size_t node, const std::string& what) {
  if (honest(node) && report_.violation.empty())
    report_.violation =
        fmt::format("after {:.3f} s, node {}: {}", static_cast<double>(time_us_) / 1e6, node, what);
}

void Cluster::schedule(std::uint64_t after_us, What what) {
  due_.emplace(std::pair(time_us_ + after_us, order_++), std::move(what));
}

SharedBytes Cluster::meddle(const SharedBytes& message) {
  const std::uint64_t what = rng_.below(20);
  if (what > 2) {
    if (said_.size() < 64)
      said_.push_back(message);
    else
      said_[rng_.below(said_.size())] = message;
    return message;
  }
  ++report_.lies;
  if (what == 0) return nullptr;
  if (what == 1 && !said_.empty()) return said_[rng_.below(said_.size())];
  Bytes damaged = *message;
  damaged[rng_.below(damaged.size())] ^= static_cast<std::uint8_t>(1 + rng_.below(255));
  return std::make_shared<const Bytes>(std::move(damaged));
}

void Cluster::transmit(std::size_t from, std::size_t to, ReplicaChannel channel, SharedBytes message) {
  ++report_.messages;
  report_.bytes += message->size();
  const std::size_t sender = member_of_[from], receiver = member_of_[to];
  if (!honest(from)) {
    const bool first = from == sender;
    if (((first_self_ >> receiver) & 1) != (first ? 1 : 0)) return;
    message = meddle(message);
    if (message == nullptr) return;
  }
  if (cut_until_us_[sender][receiver] > time_us_ || rng_.percent(loss_percent_)) return;
  const std::uint64_t copies = rng_.percent(duplicate_percent_) ? 2 : 1;
  for (std::uint64_t i = 0; i < copies; ++i) {
    schedule(rng_.between(options_.delay_min_us, options_.delay_max_us),
             Delivery{from, to, channel, message});
  }
}

std::optional<std::uint64_t> Cluster::file(std::size_t node, std::size_t member, std::uint64_t sequence,
                                           RecordBody body) {
  Record record = sign_record(nodes_[node]->chain().state().chain_id(), founding_.owners[member], sequence,
                              now_us(node), std::move(body));
  Bytes encoding = encode_record(record);
  const RecordId id = record_id(encoding);
  Replica& replica = nodes_[node]->replica();
  const Status status =
      replica.admit({std::move(record), std::move(encoding), id, now_us(node), true}, now_us(node));
  return status.ok() ? std::optional(sequence) : std::nullopt;
}

// A record of the node's organisation.
void Cluster::file(std::size_t node, RecordBody body) {
  const std::size_t member = member_of_[node];
  const std::uint64_t next = nodes_[node]->replica().next_sequence(founding_.owners[member].public_key());
  static_cast<void>(file(node, member, next, std::move(body)));
}

// What a validator's node files besides its clients' records.
void Cluster::do_duties(std::size_t node) {
  if (!honest(node)) return;
  for (const consensus::Evidence& evidence : std::exchange(to_file_, {}))
    file(node, hpos::evidence_record(evidence));
  do_jobs(node);
  const State& state = nodes_[node]->chain().state();
  if (shared_epoch_[node] == state.epoch()) return;
  const auto share = seed_share_due(state, founding_.validators[member_of_[node]]);
  if (!share) return;
  shared_epoch_[node] = state.epoch();
  ++report_.seed_shares;
  file(node, *share);
}

// A node that died in a call comes back after a while.
void Cluster::after_call(std::size_t node) {
  if (!nodes_[node]->is_dying()) nodes_[node]->perform(now_us(node));
  if (!nodes_[node]->is_dying()) do_duties(node);
  to_file_.clear();
  if (!nodes_[node]->is_dying()) nodes_[node]->perform(now_us(node));
  if (!nodes_[node]->is_dying()) return;
  report_.disks_full += nodes_[node]->is_stopped() ? 1U : 0U;
  nodes_[node]->crash();
  ++report_.crashes;
  schedule(rng_.between(second_us / 10, 20 * second_us), Restart{node});
}

void Cluster::handle(const Delivery& event) {
  Node& node = *nodes_[event.to];
  if (!node.is_up()) return;
  if (event.channel == ReplicaChannel::records) {
    auto records = decode_records(*event.message, node.chain().state().chain_id(), now_us(event.to));
    if (!records.ok()) return violate(event.to, "records that do not hold: " + records.error().message);
    for (PooledRecord& record : *records)
      static_cast<void>(node.replica().admit(std::move(record), now_us(event.to)));
  } else {
    node.replica().receive(nodes_[event.from]->public_key(), event.channel, *event.message, now_us(event.to));
  }
  after_call(event.to);
}

void Cluster::handle(const Alarm& event) {
  Node& node = *nodes_[event.node];
  if (!node.is_up() || node.life() != event.life || !node.is_current(event.alarm, event.token)) return;
  node.replica().ring(event.alarm, now_us(event.node));
  after_call(event.node);
}

// A client of one organisation, at its own node: it pays somebody.
void Cluster::handle(const Submission&) {
  if (options_.records_per_second == 0) return;
  schedule(second_us / options_.records_per_second, Submission{});
  const std::size_t at = rng_.below(nodes_.size());
  Node& node = *nodes_[at];
  if (!honest(at) || !node.is_up() || node.replica().out_of_office()) return;
  const KeyPair& owner = founding_.owners[member_of_[at]];
  const auto to = static_cast<OrgId>(1 + (at + 1) % options_.validators);
  const std::uint64_t amount = rng_.one_in(10) ? 1ULL << 60 : rng_.between(1, 1000);  // some are refused
  Record record =
      sign_record(node.chain().state().chain_id(), owner, node.replica().next_sequence(owner.public_key()),
                  now_us(at), Transfer{to, amount, fmt::format("{}", report_.submitted)});
  Bytes encoding = encode_record(record);
  const RecordId id = record_id(encoding);
  if (!node.replica().admit({std::move(record), std::move(encoding), id, now_us(at), true}, now_us(at)).ok())
    return;
  ++report_.submitted;
  waiting_.emplace(id, std::pair(at, time_us_));
  after_call(at);
}

void Cluster::on_final(std::size_t node, const Block& block, const Chain& chain) {
  const std::uint64_t height = block.header.height;
  const bool first = height >= hashes_.size();
  if (first) {
    if (height != hashes_.size()) return violate(node, "it skipped a block");
    hashes_.push_back(chain.head_hash());
    report_.height = height;
    if (block.header.time_us > now_us() + block_ahead_max_us)
      violate(node, "a block is final whose time is far ahead");
    report_.views += block.header.view;
    if (height % chain.state().params().epoch_blocks == 0) ++report_.epochs;
  } else if (hashes_[height] != chain.head_hash()) {
    return violate(node, fmt::format("it has another block {} than others", height));
  }
  if (begun_us_ == UINT64_MAX && lowest() >= founding_.log.size()) begun_us_ = time_us_;
  if (!chain.state().accounts().recount()) violate(node, "minted - burned is not the sum of all balances");
  if (first) keep_books(node, block, chain);
  for (const Bytes& encoding : block.records) {
    const RecordId id = record_id(encoding);
    const auto record = decode_record(encoding);
    if (first && record.ok() && record->type() == RecordType::conviction) ++report_.convictions;
    if (!record.ok() || record_type_derived(record->type())) continue;
    if (first && !on_chain_.insert(id).second) violate(node, "a record is on the chain twice");
    const auto waiting = waiting_.find(id);
    if (waiting == waiting_.end() || waiting->second.first != node) continue;
    ++report_.final_records;
    if (waiting->second.second >= begun_us_) report_.finality_us.push_back(time_us_ - waiting->second.second);
    waiting_.erase(waiting);
  }
}

void Cluster::run_until(std::uint64_t time_us) {
  while (!due_.empty() && due_.begin()->first.first <= time_us && report_.violation.empty()) {
    const auto due = due_.extract(due_.begin());
    time_us_ = due.key().first;
    std::visit([this](const auto& event) { handle(event); }, due.mapped());
  }
  time_us_ = std::max(time_us_, time_us);
}

std::uint64_t Cluster::lowest() const {
  std::uint64_t low = UINT64_MAX;
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    if (honest(node)) low = std::min(low, nodes_[node]->chain().head().height);
  }
  return low;
}

ClusterReport Cluster::run() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) schedule(rng_.below(second_us), Restart{i});
  schedule(second_us, Submission{});
  if (workload_) schedule(second_us, Cheating{});
  chaos_ = options_.faults;
  if (options_.faults) schedule(2 * second_us, Mischance{});
  run_until(options_.chaos_s * second_us);
  chaos_ = false;
  closing_ = true;
  end_faults();
  const std::uint64_t begin = hashes_.size();
  const std::uint64_t end = time_us_ + options_.calm_s * second_us;
  const std::size_t witness = liar_ == 0 ? 1 : 0;  // what a liar sees is no violation
  // Blocks must come soon; jobs may take as long as deadlines of verifiers that never answer.
  const std::uint64_t progress_end = std::min(end, time_us_ + progress_max_us);
  while (time_us_ < progress_end && lowest() < begin + 3 && report_.violation.empty())
    run_until(std::min(progress_end, time_us_ + second_us));
  if (lowest() < begin + 3) {
    violate(witness,
            fmt::format("no progress in the calm: the lowest node is at block {}, the highest was at {}",
                        lowest(), begin - 1));
  }
  while (time_us_ < end && books_.open() > 0 && report_.violation.empty())
    run_until(std::min(end, time_us_ + second_us));
  if (books_.open() > 0) violate(witness, fmt::format("{} jobs do not settle", books_.open()));
  for (const auto& node : nodes_) {
    report_.misdirected += node->misdirected();
    report_.misdirected_found += node->misdirected_found();
  }
  report_.books = books_.report();
  report_.simulated_us = time_us_;
  std::sort(report_.finality_us.begin(), report_.finality_us.end());
  return report_;
}

}  // namespace ufab::sim
