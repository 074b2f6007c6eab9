#include "accounting/consensus/sim/scale_cluster.h"

#include <algorithm>

#include "accounting/amount.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

namespace {

constexpr std::uint64_t ns_per_us = 1000, ns_per_ms = 1'000'000, ns_per_s = 1'000'000'000;
constexpr std::uint64_t log_frame_size = 40;    // accounting/log/segment_log.h
constexpr std::uint64_t samples_per_block = 8;  // of the times at which its records came
constexpr std::size_t events_max = 1U << 24;    // under way at one time

std::uint64_t product(std::uint64_t a, std::uint64_t b, std::uint64_t divisor) {
  const auto result = mul_div(a, b, divisor);
  UFAB_ASSERT(result.has_value());
  return *result;
}

std::size_t certificate_size(std::uint16_t validators, std::size_t signers) {
  auto certificate = std::make_shared<Certificate>();
  certificate->validators = validators;
  certificate->kind = VoteKind::skip;
  for (std::size_t i = 0; i < signers; ++i) certificate->signers.push_back(static_cast<Seat>(i));
  certificate->signatures.resize(signers);
  return encode_message(CertificatePtr(certificate)).size();
}

// `values` with a weight each, sorted here.
Quantiles quantiles(std::vector<std::pair<std::uint64_t, std::uint64_t>>& values) {
  std::sort(values.begin(), values.end());
  std::uint64_t total = 0, sum = 0;
  for (const auto& [value, weight] : values) total += weight;
  Quantiles result;
  bool half = false;
  for (const auto& [value, weight] : values) {
    sum += weight;
    if (!half && sum * 2 >= total) {
      half = true;
      result.p50_us = value;
    }
    if (sum * 100 >= total * 99) {
      result.p99_us = value;
      break;
    }
  }
  return result;
}

}  // namespace

ScaleCluster::ScaleCluster(const ScaleOptions& options)
    : options_(options), rng_(options.seed), upload_bit_per_s_(options.upload_bit_per_s) {
  const std::size_t count = options.validators;
  UFAB_ASSERT(count > 0 && count <= validators_max);
  std::vector<Validator> validators;
  for (std::size_t i = 0; i < count; ++i) {
    signers_.emplace_back(i);
    validators.push_back({signers_.back().public_key(), 1, 1});
  }
  auto set = ValidatorSet::make(std::move(validators));
  UFAB_ASSERT(set.ok());
  const auto leader = [count](View view) { return static_cast<Seat>((view - 1) % count); };
  const auto epoch = std::make_shared<const Epoch>(
      Epoch{sha256("scale"), 1, std::move(*set), leader, {0, 0, sha256("genesis")}, UINT64_MAX});
  // What records on their way to the leaders leave of an upload, and a twentieth of it at the least.
  const std::uint64_t forwarded = product(options.payload_per_s * 8, count - 1, count);
  if (upload_bit_per_s_ > 0)
    upload_bit_per_s_ = std::max(upload_bit_per_s_ - std::min(upload_bit_per_s_, forwarded),
                                 std::max<std::uint64_t>(upload_bit_per_s_ / 20, 1));
  vote_size_ = encode_message(Vote{1, 1, VoteKind::skip, {}, 0, {}}).size();
  request_size_ = encode_message(BlockRequest{}).size();
  proposal_size_ = encode_message(std::make_shared<const Proposal>()).size();
  const auto seats = static_cast<std::uint16_t>(count);
  certificate_size_ = consensus::certificate_size(seats, 0);
  signature_size_ = consensus::certificate_size(seats, 1) - certificate_size_;
  coverage_[0] = {};
  nodes_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    nodes_[i].arrived_ns.resize(count);
    const Config config{options.limits, options.timing, &scheme_, &signers_[i]};
    Started started =
        start(config, {epoch, epoch->anchor, epoch->anchor, nullptr, std::vector<VoteRecord>{}});
    nodes_[i].state = std::move(started.state);
    for (Action& action : started.actions) nodes_[i].queue.push_back(std::move(action));
  }
}

std::size_t ScaleCluster::size_of(const Message& message) const {
  if (std::holds_alternative<Vote>(message)) return vote_size_;
  if (const auto* certificate = std::get_if<CertificatePtr>(&message))
    return certificate_size_ + (*certificate)->signers.size() * signature_size_;
  if (const auto* proposal = std::get_if<ProposalPtr>(&message))
    return proposal_size_ + (*proposal)->payload.size();
  return request_size_;
}

void ScaleCluster::schedule(std::uint64_t time_ns, Event event) {
  UFAB_ASSERT(due_.size() < events_max);
  event.time_ns = time_ns;
  event.order = order_++;
  due_.push(std::move(event));
}

// A node that is busy takes what comes in turn.
void ScaleCluster::handle(const Event& event) {
  Node& node = nodes_[event.to];
  if (event.what != What::awake) {
    if (node.inbox.empty() && node.busy_until_ns <= now_ns_) return dispatch(event);
    node.inbox.push_back(event);
    if (node.inbox.size() > 1) return;
  }
  while (!node.inbox.empty() && node.busy_until_ns <= now_ns_) {
    const Event next = std::move(node.inbox.front());
    node.inbox.pop_front();
    dispatch(next);
  }
  if (!node.inbox.empty()) schedule(node.busy_until_ns, {.to = event.to, .what = What::awake});
}

void ScaleCluster::dispatch(const Event& event) {
  Node& node = nodes_[event.to];
  switch (event.what) {
    case What::message:
      return take(event.to, MessageReceived{signers_[event.from].public_key(), *event.message});
    case What::view_timer:
      if (event.token == node.timers[0]) take(event.to, TimerFired{Timer::view, event.view});
      return;
    case What::standstill_timer:
      if (event.token == node.timers[1]) take(event.to, TimerFired{Timer::standstill, 0});
      return;
    case What::synced: node.syncing = false; return run_queue(event.to);
    case What::built:
      if (node.state.building && node.state.building->view == event.view)
        take(event.to, PayloadReady{event.view, payload_of(event.view, node.state.building->bytes_max)});
      return;
    case What::validated: {
      const ProposalPtr& block = std::get<ProposalPtr>(*event.message);
      return take(event.to, BlockValidated{event.view, block->digest, true});
    }
    case What::awake: return;
  }
}

void ScaleCluster::take(Seat self, const consensus::Event& event) {
  Node& node = nodes_[self];
  const std::uint64_t before = scheme_.count();
  Actions actions = step(node.state, event);
  node.busy_until_ns = now_ns_ + (scheme_.count() - before) * options_.verify_ns;
  for (Action& action : actions) node.queue.push_back(std::move(action));
  run_queue(self);
}

void ScaleCluster::run_queue(Seat self) {
  Node& node = nodes_[self];
  while (!node.syncing && !node.queue.empty()) {
    const Action action = std::move(node.queue.front());
    node.queue.pop_front();
    perform(self, action);
  }
}

// Times are those at which the node is done with the step.
void ScaleCluster::perform(Seat self, const Action& action) {
  Node& node = nodes_[self];
  const std::uint64_t time_ns = std::max(now_ns_, node.busy_until_ns);
  if (std::holds_alternative<PersistVote>(action)) {
    if (options_.sync_us == 0) return;
    node.syncing = true;
    schedule(time_ns + options_.sync_us * ns_per_us, {.to = self, .what = What::synced});
  } else if (const auto* cast = std::get_if<Broadcast>(&action)) {
    broadcast(self, time_ns, cast->message);
  } else if (const auto* send = std::get_if<Send>(&action)) {
    const auto to = node.state.epoch->validators.find(send->to);
    UFAB_ASSERT(to.has_value());
    transmit(self, *to, time_ns, std::make_shared<const Message>(send->message), size_of(send->message));
  } else if (const auto* timer = std::get_if<SetTimer>(&action)) {
    const bool view = timer->timer == Timer::view;
    node.timers[view ? 0 : 1] = ++node.tokens;
    schedule(time_ns + timer->after_ms * ns_per_ms, {.to = self,
                                                     .what = view ? What::view_timer : What::standstill_timer,
                                                     .view = timer->view,
                                                     .token = node.tokens});
  } else if (const auto* build = std::get_if<BuildPayload>(&action)) {
    schedule(built_at(*build, time_ns), {.to = self, .what = What::built, .view = build->view});
  } else if (const auto* validate = std::get_if<ValidateBlock>(&action)) {
    schedule(time_ns, {.to = self,
                       .what = What::validated,
                       .view = validate->block->header.view,
                       .message = std::make_shared<const Message>(validate->block)});
  } else if (const auto* deliver = std::get_if<Deliver>(&action)) {
    delivered(self, time_ns, *deliver);
  }
  // The rest is about faults and epochs' ends, and a chain that is asked for: nobody loses blocks here.
}

void ScaleCluster::broadcast(Seat self, std::uint64_t time_ns, const Message& message) {
  const auto shared = std::make_shared<const Message>(message);
  const std::size_t size = size_of(message);
  const std::size_t count = nodes_.size();
  for (std::size_t i = 1; i < count; ++i)
    transmit(self, static_cast<Seat>((self + i) % count), time_ns, shared, size);
}

void ScaleCluster::transmit(Seat from, Seat to, std::uint64_t time_ns, const MessagePtr& message,
                            std::size_t size) {
  Node& sender = nodes_[from];
  ++report_.messages;
  report_.bytes += size;
  if (std::holds_alternative<ProposalPtr>(*message)) report_.bytes_proposals += size;
  if (std::holds_alternative<Vote>(*message)) report_.bytes_votes += size;
  if (std::holds_alternative<CertificatePtr>(*message)) report_.bytes_certificates += size;
  std::uint64_t sent_ns = time_ns;
  if (upload_bit_per_s_ > 0) {
    sent_ns = std::max(time_ns, sender.upload_free_ns) + size * 8 * ns_per_s / upload_bit_per_s_;
    sender.upload_free_ns = sent_ns;
  }
  const std::uint64_t delay_ns = options_.delay_us * ns_per_us;
  const std::uint64_t jitter_ns = rng_.below(part_ppm(delay_ns, options_.jitter_ppm) + 1);
  std::uint64_t& arrived_ns = sender.arrived_ns[to];
  arrived_ns = std::max(arrived_ns, sent_ns + delay_ns + jitter_ns);
  schedule(arrived_ns, {.to = to, .from = from, .what = What::message, .message = message});
}

// Bytes of records that fit into a block.
std::uint64_t ScaleCluster::room(std::size_t bytes_max) const {
  return bytes_max - std::min<std::uint64_t>(bytes_max, options_.payload_base);
}

// When the block is full, or has waited long enough.
std::uint64_t ScaleCluster::built_at(const BuildPayload& action, std::uint64_t time_ns) {
  Coverage& coverage = coverage_[action.view];
  coverage.from_ns = coverage.to_ns = coverage_.at(action.parent.view).to_ns;
  const std::uint64_t latest_ns = time_ns + action.wait_ms * ns_per_ms;
  if (options_.payload_per_s == 0) return latest_ns;
  const std::uint64_t full_ns = coverage.from_ns + options_.delay_us * ns_per_us +
                                product(room(action.bytes_max), ns_per_s, options_.payload_per_s);
  return std::min(latest_ns, std::max(time_ns, full_ns));
}

Bytes ScaleCluster::payload_of(View view, std::size_t bytes_max) {
  Coverage& coverage = coverage_.at(view);
  coverage.proposed_ns = now_ns_;
  std::uint64_t bytes = 0;
  const std::uint64_t known_ns = now_ns_ - std::min(now_ns_, options_.delay_us * ns_per_us);
  if (options_.payload_per_s > 0 && known_ns > coverage.from_ns) {
    const std::uint64_t offered = product(options_.payload_per_s, known_ns - coverage.from_ns, ns_per_s);
    bytes = std::min(offered, room(bytes_max));
    coverage.to_ns = offered > bytes
                         ? coverage.from_ns + product(bytes, ns_per_s, options_.payload_per_s)
                         : known_ns;
  }
  return Bytes(std::min<std::uint64_t>(bytes_max, options_.payload_base) + bytes);
}

void ScaleCluster::delivered(Seat self, std::uint64_t time_ns, const Deliver& action) {
  Node& node = nodes_[self];
  const View view = action.block->header.view;
  const Coverage& coverage = coverage_.at(view);
  ++node.blocks;
  proposal_to_final_us_.emplace_back((time_ns - coverage.proposed_ns) / ns_per_us, 1);
  const std::uint64_t length_ns = coverage.to_ns - coverage.from_ns;
  for (std::uint64_t i = 0; i < samples_per_block && length_ns > 0; ++i) {
    const std::uint64_t came_ns = coverage.from_ns + length_ns * (2 * i + 1) / (2 * samples_per_block);
    arrival_to_final_us_.emplace_back((time_ns - came_ns) / ns_per_us, length_ns / ns_per_us);
  }
  const std::size_t certificate = size_of(action.certificate) - 1;  // a message's tag is not stored
  report_.certificate_size_max = std::max<std::uint64_t>(report_.certificate_size_max, certificate);
  if (self != 0) return;
  report_.payload_bytes += action.block->payload.size();
  final_until_ns_ = coverage.to_ns;
  report_.disk_bytes += size_of(action.block) - 1 + log_frame_size;
  if (action.certificate->block == action.block->digest) report_.disk_bytes += certificate;
}

bool ScaleCluster::done() const {
  return options_.blocks_max > 0 && std::all_of(nodes_.begin(), nodes_.end(), [&](const Node& node) {
           return node.blocks >= options_.blocks_max;
         });
}

ScaleReport ScaleCluster::run() {
  const std::uint64_t end_ns = options_.simulated_ms * ns_per_ms;
  for (std::size_t i = 0; i < nodes_.size(); ++i) run_queue(static_cast<Seat>(i));
  std::uint64_t handled = 0;
  while (!due_.empty() && due_.top().time_ns <= end_ns) {
    const Event event = due_.top();
    due_.pop();
    now_ns_ = event.time_ns;
    handle(event);
    if (++handled % nodes_.size() == 0 && done()) break;
  }
  if (!done()) now_ns_ = end_ns;
  report_.simulated_us = now_ns_ / ns_per_us;
  report_.blocks = nodes_[0].blocks;
  report_.views = nodes_[0].state.view - 1;
  report_.signatures_checked = scheme_.count();
  report_.bytes_forwarded = product(options_.payload_per_s * (nodes_.size() - 1), now_ns_, ns_per_s);
  report_.saturated = options_.payload_per_s > 0 && final_until_ns_ < now_ns_ / 4 * 3;
  report_.proposal_to_final = quantiles(proposal_to_final_us_);
  report_.arrival_to_final = quantiles(arrival_to_final_us_);
  return report_;
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
