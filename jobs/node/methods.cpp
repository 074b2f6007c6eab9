#include "jobs/node/methods.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "accounting/records/codec.h"
#include "jobs/node/agent_key.h"
#include "jobs/node/block_feed.h"
#include "jobs/node/consensus_json.h"
#include "jobs/node/job_json.h"
#include "jobs/node/known_links.h"
#include "jobs/node/provider_agent.h"
#include "jobs/node/validator_key.h"

namespace ufab::jobs {

namespace json = boost::json;

namespace {

using Method = Result<Answer> (*)(const MethodContext& context, const Caller& caller, const Request& request);

Result<Answer> chain_blocks(const MethodContext& context, const Caller&, const Request& request) {
  return answer_blocks(context.node->chain->ledger(), request);
}

Result<Answer> chain_snapshot(const MethodContext& context, const Caller&, const Request& request) {
  return context.node->chain->snapshots().manifest(request);
}

Result<Answer> chain_chunk(const MethodContext& context, const Caller&, const Request& request) {
  return context.node->chain->snapshots().chunk(request);
}

Result<Answer> chain_submit(const MethodContext& context, const Caller&, const Request& request) {
  UFAB_ASSIGN(const FiledRecord filed,
              context.node->chain->take_record(request.body, json_flag(request.params, "passed_on")));
  return Answer{{{"id", filed.id.str()}, {"height", filed.height}}, {}};
}

Result<Answer> chain_next_sequence(const MethodContext& context, const Caller&, const Request& request) {
  UFAB_ASSIGN(const std::string text, json_text(request.params, "key", 64));
  UFAB_ASSIGN(const PublicKey key, PublicKey::parse(text));
  UFAB_ASSIGN(const std::uint64_t sequence,
              context.node->chain->next_sequence_for(key, json_flag(request.params, "passed_on")));
  return Answer{{{"sequence", sequence}}, {}};
}

// A settled job leaves the node's memory after a while; the ledger keeps it.
Error no_job(const Chain& chain, std::uint64_t number) {
  const JobId last = chain.read([](const State& state) { return state.job_last(); });
  const std::string name = "no job " + std::to_string(number);
  if (number == 0 || number > last) return {ErrorCode::not_found, name};
  return {ErrorCode::not_found, name + " in memory any more; `ufab audit job " + std::to_string(number) +
                                    "` reads it from the ledger, and its files stay in jobs/" +
                                    std::to_string(number) + " of the home"};
}

// The parties of a job may see its files: owner, members, assigned verifiers, and the chain's validator.
Result<JobView> job_for(const MethodContext& context, const Caller& caller, const Request& request) {
  UFAB_ASSIGN(const std::uint64_t number, json_number(request.params, "job"));
  auto view = view_job(*context.node->chain, number);
  if (!view) return no_job(*context.node->chain, number);
  if (!caller) return *std::move(view);
  const bool party = std::any_of(view->organisations.begin(), view->organisations.end(),
                                 [&](const auto& entry) { return entry.second.has_key(*caller); });
  const bool validator =
      context.node->config.follow && context.node->config.follow->nodes.front().key == *caller;
  if (!party && !validator) return Error{ErrorCode::denied, "not a party of job " + std::to_string(number)};
  return *std::move(view);
}

Result<Answer> job_file(const MethodContext& context, const Caller& caller, const Request& request) {
  UFAB_ASSIGN(const JobView view, job_for(context, caller, request));
  UFAB_ASSIGN(const std::string name, json_text(request.params, "name", 128));
  UFAB_ASSIGN(const std::uint64_t offset, json_number(request.params, "offset"));
  const JobFolder folder(context.node->home, view.job.id);
  if (name == "spec" && caller) {
    UFAB_ASSIGN(const JobSpec spec, load_job_spec(folder.spec()));
    const std::string text = json::serialize(job_spec_to_json(spec, true)) + "\n";
    Answer answer;
    answer.result["size"] = text.size();
    if (offset < text.size())
      answer.body.assign(text.begin() + static_cast<std::ptrdiff_t>(offset), text.end());
    return answer;
  }
  UFAB_ASSIGN(const JobFile file, resolve_job_file(context.node->home, view.job.id, name));
  return read_job_file(file, offset);
}

Result<Answer> job_progress(const MethodContext& context, const Caller& caller, const Request& request) {
  UFAB_ASSIGN(const JobView view, job_for(context, caller, request));
  UFAB_ASSIGN(const std::uint64_t attempt, json_number(request.params, "attempt"));
  return local_progress(*context.node, view.job.id, static_cast<std::uint32_t>(attempt));
}

Result<Answer> node_status(const MethodContext& context, const Caller&, const Request&) {
  const NodeContext& node = *context.node;
  const Head head = node.chain->ledger().head();
  json::object result{{"schema", "ufab.status/1"},
                      {"organisation", node.config.organisation},
                      {"key", node.chain->key().public_key().hex()},
                      {"listen", Endpoint{node.config.listen_host, node.config.listen_port}.str()},
                      {"validator", node.chain->is_validator()},
                      {"validator_reachable", node.chain->validator_reachable()},
                      {"trouble", node.chain->trouble()},
                      {"chain_id", node.chain->ledger().chain_id().str()},
                      {"height", head.height},
                      {"head", head.hash.str()},
                      {"number", node.chain->self()},
                      {"has_owner_key", node.chain->has_owner_key()}};
  if (const auto role = node.chain->role()) result["signs_with"] = key_role_name(*role);
  result["ticket"] = node.chain->ticket().str();
  const JobQueue::Measures measures = context.gateway->queue_measures();
  result["queue"] = json::object{{"waiting", measures.waiting},
                                 {"unread", measures.unread},
                                 {"passes", measures.passes},
                                 {"longest_pass_us", measures.longest_pass.count()},
                                 {"longest_read_us", measures.longest_read.count()}};
  const Quota spending = context.gateway->spending();
  result["budget"] = json::object{{"limit_micro", spending.limit},
                                  {"settled_micro", spending.settled},
                                  {"committed_micro", spending.committed},
                                  {"in_flight_micro", spending.in_flight}};
  node.chain->read([&](const State& state) {
    result["chain_name"] = state.chain_name();
    result["epoch"] = state.epoch();
    result["organisations"] = state.organisations().size();
    result["jobs"] = state.job_last();
    return 0;
  });
  return Answer{std::move(result), {}};
}

Result<Answer> node_stop(const MethodContext& context, const Caller&, const Request& request) {
  if (json_flag(request.params, "end_runs")) {
    const auto names = context.node->batch->list();
    if (names) {
      for (const std::string& name : *names) static_cast<void>(context.node->batch->cancel(name));
    }
  }
  context.stop();
  return Answer{};
}

Result<Answer> submit(const MethodContext& context, const Caller&, const Request& request) {
  return context.gateway->submit(request.params, request.body);
}

// "jobs" {all, from, form}: a page of jobs numbered `from` and up; the answer's `next` says where to go on,
// and is absent at the end. Form "objects" (default): an array `jobs` of ufab.job/1. "text": the same objects
// in the body, separated by commas, for whoever only passes them on. "rows": lines in the body (job_to_row).
Result<Answer> list_jobs(const MethodContext& context, const Caller&, const Request& request) {
  const bool all = json_flag(request.params, "all");
  JobId from = 0;
  if (request.params.contains("from")) {
    UFAB_ASSIGN(from, json_number(request.params, "from"));
  }
  const std::string form =
      request.params.contains("form") ? json_line(request.params, "form", 16) : "objects";
  if (form != "objects" && form != "text" && form != "rows")
    return Error{ErrorCode::invalid, "no listing of the form '" + form + "'"};
  const NodeContext& node = *context.node;
  const Gateway& gateway = *context.gateway;
  const OrgId self = node.chain->self();
  const JobPage page = view_page(*node.chain, from, [&](const JobEntry& job) {
    const bool mine = job.owner == self;
    return (mine || all) && (all || job.phase != JobPhase::settled);
  });
  Answer answer{{{"schema", "ufab.queue/1"}}, {}};
  if (page.next != 0) answer.result["next"] = page.next;
  if (form == "rows") {
    std::string text;
    for (const auto& job : page.jobs) {
      const auto* ordered = std::get_if<OrderedJob>(&job);
      text += ordered != nullptr ? ordered_job_to_row(gateway, *ordered)
                                 : job_to_row(node, gateway, std::get<JobView>(job));
      text += '\n';
    }
    answer.body.assign(text.begin(), text.end());
    return answer;
  }
  std::string text;
  for (const auto& job : page.jobs) {
    if (!text.empty()) text += ',';
    const auto* ordered = std::get_if<OrderedJob>(&job);
    text += ordered != nullptr ? ordered_job_to_text(gateway, *ordered)
                               : json::serialize(job_to_json(node, gateway, std::get<JobView>(job), false));
  }
  if (form == "text") {
    answer.body.assign(text.begin(), text.end());
  } else {
    answer.result["jobs"] = json::parse("[" + text + "]");
  }
  return answer;
}

Result<Answer> show_job(const MethodContext& context, const Caller& caller, const Request& request) {
  UFAB_ASSIGN(const JobView view, job_for(context, caller, request));
  return Answer{job_to_json(*context.node, *context.gateway, view, true), {}};
}

Result<Answer> job_output(const MethodContext& context, const Caller& caller, const Request& request) {
  UFAB_ASSIGN(const JobView view, job_for(context, caller, request));
  UFAB_ASSIGN(const std::uint64_t offset, json_number(request.params, "offset"));
  UFAB_ASSIGN(const std::string wanted, json_text(request.params, "provider", 64));
  if (view.job.attempts.empty()) return Error{ErrorCode::not_found, "the job has not started yet"};
  for (const MemberEntry& member : view.job.attempts.back().members) {
    const OrgEntry& organisation = view.organisations.at(member.share.organisation);
    if (!wanted.empty() && organisation.name != wanted) continue;
    if (organisation.id == context.node->chain->self()) {
      UFAB_ASSIGN(const JobFile file, resolve_job_file(context.node->home, view.job.id, "output"));
      return read_job_file(file, offset);
    }
    return call_organisation(*context.node, organisation,
                             {"job.file", {{"job", view.job.id}, {"name", "output"}, {"offset", offset}}, {}},
                             std::chrono::seconds(10));
  }
  return Error{ErrorCode::not_found, "'" + wanted + "' does not run this job"};
}

Result<std::uint64_t> job_number(const Request& request) {
  return json_number(request.params, "job");
}

Result<Answer> array_tasks(const MethodContext& context, const Caller&, const Request& request) {
  UFAB_ASSIGN(const std::uint64_t job, job_number(request));
  return context.gateway->array_tasks(job);
}
Result<Answer> cancel_job(const MethodContext& context, const Caller&, const Request& request) {
  UFAB_ASSIGN(const std::uint64_t job, job_number(request));
  UFAB_TRY(context.gateway->cancel(job, "cancelled by its owner"));
  return Answer{};
}
Result<Answer> hold_job(const MethodContext& context, const Caller&, const Request& request) {
  UFAB_ASSIGN(const std::uint64_t job, job_number(request));
  UFAB_TRY(context.gateway->set_hold(job, true));
  return Answer{};
}
Result<Answer> release_job(const MethodContext& context, const Caller&, const Request& request) {
  UFAB_ASSIGN(const std::uint64_t job, job_number(request));
  UFAB_TRY(context.gateway->set_hold(job, false));
  return Answer{};
}
Result<Answer> requeue_job(const MethodContext& context, const Caller&, const Request& request) {
  UFAB_ASSIGN(const std::uint64_t job, job_number(request));
  UFAB_TRY(context.gateway->requeue(job));
  return Answer{};
}

Result<Answer> account(const MethodContext& context, const Caller&, const Request&) {
  return context.node->chain->read([&](const State& state) -> Result<Answer> {
    json::array all;
    for (const auto& [id, organisation] : state.organisations())
      all.push_back(organisation_to_json(state, organisation));
    return Answer{{{"schema", "ufab.accounts/1"},
                   {"organisation", context.node->config.organisation},
                   {"minted_micro", state.accounts().minted()},
                   {"burned_micro", state.accounts().burned()},
                   {"treasury_micro", state.accounts().balance({AccountKind::treasury, 0})},
                   {"stake_min_micro", state.params().stake_min},
                   {"epoch", state.epoch()},
                   {"bench_epochs", state.params().enrolment.bench_epochs},
                   {"accounts", all}},
                  {}};
  });
}

Result<Answer> provider_bench(const MethodContext& context, const Caller&, const Request&) {
  const auto obstacle = context.node->chain->read([&](const State& state) -> std::string {
    const OrgEntry* org = state.organisation_by_name(context.node->config.organisation);
    if (state.params().enrolment.bench_epochs == 0) return "this chain asks for no benchmarks";
    if (org == nullptr || !org->provider || org->provider->status != ProviderStatus::active)
      return "no active provider; `ufab provider enroll` makes one";
    if (org->benchmark && org->benchmark->epoch_filed == state.epoch())
      return "there is one in this epoch already";
    if (state.benchmark_stands(*org) && check_pending(*org->benchmark))
      return "the one before waits for its check";
    return {};
  });
  if (!obstacle.empty()) return Error{ErrorCode::conflict, obstacle};
  context.bench();
  return Answer{};
}

Result<Answer> link_echo(const MethodContext& context, const Caller& caller, const Request& request) {
  return context.links->echo(caller, request);
}

// {organisation}: reported_links() of it, and of this node's own organisation also LinkWatch::measured().
Result<Answer> provider_links(const MethodContext& context, const Caller&, const Request& request) {
  UFAB_ASSIGN(const std::string name, json_text(request.params, "organisation", name_size_max));
  UFAB_ASSIGN(json::object shown, context.node->chain->read([&](const State& state) -> Result<json::object> {
    const OrgEntry* org = state.organisation_by_name(name);
    if (org == nullptr || !org->provider)
      return Error{ErrorCode::not_found, "no provider '" + name + "' on this chain"};
    return reported_links(state, *org);
  }));
  if (name == context.node->config.organisation) {
    for (auto& [key, value] : context.links->measured()) shown[key] = value;
  }
  return Answer{std::move(shown), {}};
}

// A text that may be absent; one that is too long is refused, not dropped.
Result<std::string> note(const json::object& params, const char* key) {
  if (!params.contains(key)) return std::string();
  auto text = json_text(params, key);
  if (text.ok() && text->size() > text_size_max) {
    return Error{ErrorCode::limit, std::string("the ") + key + " has " + std::to_string(text->size()) +
                                       " bytes; at most " + std::to_string(text_size_max) + " are kept"};
  }
  return text;
}

// Records that the owner orders directly: the CLI names the kind and the fields, the node signs.
Result<Answer> file_record(const MethodContext& context, const Caller&, const Request& request) {
  const json::object& params = request.params;
  UFAB_ASSIGN(const std::string kind, json_text(params, "kind", 32));
  RecordBody body;
  if (kind == "transfer") {
    UFAB_ASSIGN(const std::string to, json_text(params, "to", 64));
    UFAB_ASSIGN(const std::uint64_t amount, json_number(params, "amount_micro"));
    const OrgId id = context.node->chain->read([&](const State& state) {
      const OrgEntry* entry = state.organisation_by_name(to);
      return entry == nullptr ? OrgId{0} : entry->id;
    });
    if (id == 0) return Error{ErrorCode::not_found, "no organisation '" + to + "' on this chain"};
    UFAB_ASSIGN(std::string memo, note(params, "memo"));
    body = Transfer{id, amount, std::move(memo)};
  } else if (kind == "stake" || kind == "unstake") {
    UFAB_ASSIGN(const std::uint64_t amount, json_number(params, "amount_micro"));
    if (kind == "stake") {
      body = Stake{amount};
    } else {
      body = Unstake{amount};
    }
  } else if (kind == "enroll") {
    ProviderOffer offer;
    offer.name = context.node->config.organisation;
    UFAB_ASSIGN(const std::uint64_t slots, json_number(params, "slots"));
    UFAB_ASSIGN(const std::uint64_t memory_mib, json_number(params, "memory_mib"));
    UFAB_ASSIGN(offer.mflops, json_number(params, "mflops"));
    UFAB_ASSIGN(offer.price_per_tflop, json_number(params, "price_micro_per_tflop"));
    UFAB_ASSIGN(offer.price_per_cpu_hour, json_number(params, "price_micro_per_cpu_hour"));
    offer.ranks = static_cast<std::uint32_t>(slots);
    offer.threads = 1;
    offer.memory_bytes = memory_mib << 20;
    const bool enrolled = context.node->chain->read([&](const State& state) {
      const OrgEntry* entry = state.organisation_by_name(offer.name);
      return entry != nullptr && entry->provider && entry->provider->status != ProviderStatus::left;
    });
    if (enrolled) {
      body = ProviderUpdate{offer};
    } else {
      body = ProviderEnrol{offer};
    }
  } else if (kind == "drain" || kind == "resume" || kind == "leave") {
    ProviderActionRecord action;
    action.action = kind == "drain"    ? ProviderAction::drain
                    : kind == "resume" ? ProviderAction::resume
                                       : ProviderAction::leave;
    UFAB_ASSIGN(action.reason, note(params, "reason"));
    body = action;
  } else if (kind.starts_with("agent_")) {
    UFAB_ASSIGN(body, agent_record(*context.node, kind, params));
  } else if (kind.starts_with("validator_")) {
    UFAB_ASSIGN(body, validator_record(*context.node, kind, params));
  } else if (kind == "usage_import") {
    UFAB_ASSIGN(body, decode_fields<UsageImport>(request.body, "usage import"));
  } else if (kind == "correction") {
    UFAB_ASSIGN(body, decode_fields<Correction>(request.body, "correction"));
  } else {
    return Error{ErrorCode::invalid, "no record kind '" + kind + "'"};
  }
  UFAB_ASSIGN(const FiledRecord submitted, context.node->chain->submit(std::move(body)));
  return Answer{{{"id", submitted.id.str()}, {"height", submitted.height}}, {}};
}

// What a record needs that the owner signs elsewhere: {key} in; chain, sequence and whose key it is out.
Result<Answer> next_of_owner(const MethodContext& context, const Caller&, const Request& request) {
  UFAB_ASSIGN(const std::string text, json_text(request.params, "key", 64));
  UFAB_ASSIGN(const PublicKey key, PublicKey::parse(text));
  return owner_facts(*context.node, key);
}

Result<Answer> submit_signed(const MethodContext& context, const Caller&, const Request& request) {
  UFAB_ASSIGN(const FiledRecord submitted, context.node->chain->submit_signed(request.body));
  return Answer{{{"id", submitted.id.str()}, {"height", submitted.height}}, {}};
}

// The agent's key of this home, made if need be, with the proof that its owner's record needs.
Result<Answer> agent_offer(const MethodContext& context, const Caller&, const Request&) {
  UFAB_ASSIGN(const AgentEnrol offer, offer_agent(*context.node));
  return Answer{{}, encode_fields(offer)};
}

// The validator's key of this home, made if need be, with the proofs that its owner's record needs.
Result<Answer> validator_offer(const MethodContext& context, const Caller&, const Request& request) {
  UFAB_ASSIGN(const ValidatorStand offer,
              offer_validator(*context.node, json_flag(request.params, "new_key")));
  return Answer{{}, encode_fields(offer)};
}

Result<Answer> node_consensus(const MethodContext& context, const Caller&, const Request&) {
  return Answer{consensus_json(*context.node->chain), {}};
}

Result<Answer> node_peers(const MethodContext& context, const Caller&, const Request&) {
  return Answer{peers_json(*context.node->chain), {}};
}

Result<Answer> show_validator(const MethodContext& context, const Caller&, const Request&) {
  return validator_status(*context.node);
}

enum class Access { anyone, party, owner };
struct Entry {
  const char* name;
  Access access;
  Method method;
  bool of_jobs = false;  // looks into jobs' folders
};
constexpr std::array entries{
    Entry{"chain.blocks", Access::anyone, chain_blocks},
    Entry{"chain.snapshot", Access::anyone, chain_snapshot},
    Entry{"chain.chunk", Access::anyone, chain_chunk},
    Entry{"chain.submit", Access::anyone, chain_submit},
    Entry{"chain.next_sequence", Access::anyone, chain_next_sequence},
    Entry{"link.echo", Access::anyone, link_echo},
    Entry{"job.file", Access::party, job_file, true},
    Entry{"job.progress", Access::party, job_progress, true},
    Entry{"node.status", Access::owner, node_status},
    Entry{"node.stop", Access::owner, node_stop},
    Entry{"submit", Access::owner, submit},
    Entry{"jobs", Access::owner, list_jobs, true},
    Entry{"job", Access::owner, show_job, true},
    Entry{"job.output", Access::owner, job_output, true},
    Entry{"array", Access::owner, array_tasks, true},
    Entry{"job.cancel", Access::owner, cancel_job, true},
    Entry{"job.hold", Access::owner, hold_job, true},
    Entry{"job.release", Access::owner, release_job, true},
    Entry{"job.requeue", Access::owner, requeue_job, true},
    Entry{"account", Access::owner, account},
    Entry{"provider.bench", Access::owner, provider_bench},
    Entry{"provider.links", Access::owner, provider_links},
    Entry{"record", Access::owner, file_record},
    Entry{"record.next", Access::owner, next_of_owner},
    Entry{"record.submit", Access::owner, submit_signed},
    Entry{"agent.offer", Access::owner, agent_offer},
    Entry{"node.consensus", Access::owner, node_consensus},
    Entry{"node.peers", Access::owner, node_peers},
    Entry{"validator.offer", Access::owner, validator_offer},
    Entry{"validator.status", Access::owner, show_validator},
};

}  // namespace

Result<Answer> answer_request(const MethodContext& context, const Caller& caller, const Request& request) {
  for (const Entry& entry : entries) {
    if (request.method != entry.name) continue;
    if (caller && entry.access == Access::owner) {
      return Error{ErrorCode::denied, "only the node's owner may ask " + request.method};
    }
    // What the standard library and Boost throw ends one request, never the node: requests come from
    // strangers.
    try {
      if (entry.of_jobs) context.gateway->place_submissions();
      return entry.method(context, caller, request);
    } catch (const std::exception& error) {
      context.node->log("request " + request.method + ": " + error.what());
      return Error{ErrorCode::invalid, request.method + " cannot be answered: " + error.what()};
    }
  }
  return Error{ErrorCode::not_found, "this node does not know '" + request.method + "'"};
}

}  // namespace ufab::jobs
