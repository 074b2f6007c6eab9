#include "jobs/node/link_watch.h"

#include <algorithm>
#include <boost/json.hpp>

namespace ufab::jobs {

namespace json = boost::json;

namespace {

using namespace std::chrono_literals;
constexpr auto look_interval = 500ms;
constexpr auto file_again_after = 30s;

std::int64_t now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

// Such a provider may be in a gang.
bool may_share_a_gang(const State& state, const OrgEntry& org) {
  return org.provider && org.provider->status == ProviderStatus::active && !org.endpoint.empty() &&
         state.stake(org.id) >= state.params().stake_min;
}

bool has_work(const State& state, OrgId provider) {
  const auto& jobs = state.jobs_in_progress();
  return std::any_of(jobs.begin(), jobs.end(), [&](const JobId id) {
    const JobEntry& job = *state.job(id);
    if (job.phase != JobPhase::leasing && job.phase != JobPhase::running) return false;
    const AttemptEntry& attempt = job.attempts.back();
    return attempt.ended_us == 0 && JobEntry::member_of(attempt, provider).has_value();
  });
}

}  // namespace

void LinkWatch::tick() {
  if (answer_.valid()) {
    if (answer_.wait_for(0s) != std::future_status::ready) return;
    take_outcome();
  }
  const auto& provider = node_.config.provider;
  if (!provider || provider->link_check_s == 0 || Clock::now() - looked_ < look_interval) return;
  looked_ = Clock::now();
  const LinkLook seen = look(std::int64_t{1000} * provider->link_check_s);
  LinkMoves moves;
  {
    const std::lock_guard lock(mutex_);
    moves = link_step(book_, seen);
  }
  if (moves.measure) {
    began_ = Clock::now();
    answer_ = std::async(std::launch::async,
                         [probe = probe_, target = target_of(*moves.measure)]() -> Result<LinkSample> {
                           UFAB_ASSIGN(const Endpoint endpoint, Endpoint::parse(target.endpoint));
                           return probe(endpoint, target.keys, target.small);
                         });
  }
  if (moves.report && Clock::now() >= file_after_) file(*std::move(moves.report));
}

void LinkWatch::take_outcome() {
  const Result<LinkSample> sample = answer_.get();
  LinkOutcome outcome;
  outcome.now_ms = now_ms();
  outcome.took_ms = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began_).count();
  outcome.interval_ms =
      std::int64_t{1000} * (node_.config.provider ? node_.config.provider->link_check_s : 0);
  outcome.self = node_.chain->self();
  if (sample.ok()) outcome.sample = *sample;
  if (!sample.ok()) outcome.trouble = sample.error().message;
  const std::lock_guard lock(mutex_);
  link_step(book_, outcome);
}

LinkLook LinkWatch::look(std::int64_t interval_ms) const {
  LinkLook seen;
  seen.now_ms = now_ms();
  seen.interval_ms = interval_ms;
  seen.self = node_.chain->self();
  node_.chain->read([&](const State& state) {
    seen.epoch = state.epoch();
    seen.ledger_us = state.time_us();
    for (const auto& [id, org] : state.organisations()) {
      if (may_share_a_gang(state, org)) seen.providers.push_back(id);
      if (id == seen.self) seen.filed = org.links;
    }
    return 0;
  });
  return seen;
}

LinkWatch::Target LinkWatch::target_of(OrgId peer) const {
  const OrgId self = node_.chain->self();
  return node_.chain->read([&](const State& state) {
    const OrgEntry& org = *state.organisation(peer);
    return Target{org.endpoint, org.keys(), has_work(state, self) || has_work(state, peer)};
  });
}

void LinkWatch::file(LinkReport report) {
  const std::size_t peers = report.peers.size();
  const auto submitted = node_.chain->submit(std::move(report));
  const std::string line = submitted.ok()
                               ? "the links to " + std::to_string(peers) + " providers are reported"
                               : submitted.error().message;
  if (!submitted.ok()) file_after_ = Clock::now() + file_again_after;
  if (submitted.ok() || std::exchange(said_, line) != line) node_.log("links: " + line);
}

Result<Answer> LinkWatch::echo(const Caller& caller, const Request& request) {
  if (!caller) return Error{ErrorCode::denied, "link.echo is for other providers' nodes"};
  if (request.body.size() > echo_bytes_max) {
    return Error{ErrorCode::limit, "an echo has at most " + std::to_string(echo_bytes_max) + " bytes, not " +
                                       std::to_string(request.body.size())};
  }
  const OrgId organisation = node_.chain->read([&](const State& state) {
    const auto holder = state.key_holder(*caller);
    return holder && may_share_a_gang(state, *holder->organisation) ? holder->organisation->id : 0;
  });
  if (organisation == 0) return Error{ErrorCode::denied, "link.echo is for active, staked providers"};
  if (!gate_.admit(organisation, request.body.size(), now_ms()))
    return Error{ErrorCode::limit, "too many echoes; measure less often"};
  return Answer{{}, request.body};
}

json::object LinkWatch::measured() const {
  struct Row {
    OrgId id;
    LinkPeer peer;
  };
  std::vector<Row> rows;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, peer] : book_.peers) rows.push_back({id, peer});
  }
  const std::int64_t now = now_ms();
  json::array list;
  for (const Row& row : rows) {
    json::object shown = node_.chain->read([&](const State& state) {
      const OrgEntry& org = *state.organisation(row.id);
      return json::object{{"organisation", org.name}, {"endpoint", org.endpoint}};
    });
    shown["failures"] = row.peer.failures;
    shown["trouble"] = row.peer.trouble;
    if (!row.peer.samples.empty()) {
      const LinkSample link = smoothed(row.peer.samples);
      shown["rtt_us"] = link.rtt_us;
      shown["kbyte_per_s"] = link.kbyte_per_s;
      shown["age_s"] = (now - row.peer.sampled_ms) / 1000;
    }
    list.push_back(std::move(shown));
  }
  return {{"measured", std::move(list)}};
}

}  // namespace ufab::jobs
