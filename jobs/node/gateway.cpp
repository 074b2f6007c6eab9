#include "jobs/node/gateway.h"

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "fabric/base/file.h"
#include "jobs/node/provider_agent.h"
#include "jobs/node/run_environment.h"

namespace ufab::jobs {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

using namespace std::chrono_literals;
constexpr auto lease_patience = 20s;
constexpr auto avoid_duration = 120s;  // then a silent provider is asked again
constexpr auto member_patience = 30s;
constexpr auto end_patience = 3s;       // between a run's end and the judgement over it: receipts travel
constexpr auto receipt_patience = 10s;  // after all runs ended well
constexpr auto ask_interval = 700ms;
constexpr auto ask_wait = 5s;
constexpr std::uint32_t max_attempts = 10;
constexpr std::uint64_t escrow_margin_ppm = 200'000;
constexpr std::uint64_t max_result_bytes = std::uint64_t{1} << 42;

bool is_passing(const MemberProgress& member) {
  if (member.result == "node_fail") return true;
  if (member.result != "failed") return false;
  return member.signal != 0 || member.exit_code == 75 || member.exit_code > 128;
}

Status link_or_copy(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::create_hard_link(from, to, error);
  if (error) fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
  if (error) return Error{ErrorCode::io, to + ": " + error.message()};
  return {};
}

json::object offer_to_json(const JobOffer& offer, std::uint64_t budget) {
  json::array members;
  for (const OfferMember& member : offer.members) {
    members.push_back(json::object{{"organisation", member.organisation},
                                   {"first_micro_batch", member.first_micro_batch},
                                   {"micro_batches", member.micro_batches},
                                   {"cost_micro", member.cost_micro}});
  }
  return {{"schema", "ufab.offer/1"},
          {"members", members},
          {"cost_micro", offer.cost_micro},
          {"escrow_micro", budget},
          {"expected_s", offer.expected_s}};
}

BrokerRequest broker_request(const JobSpec& spec) {
  BrokerRequest request;
  const SubmitOptions& options = spec.options;
  request.providers_min = options.providers.min;
  request.providers_max = options.providers.max;
  request.slots = options.tasks * options.cpus_per_task;
  request.memory_mib = options.memory_limit_mib();
  request.max_price_micro = options.max_price_micro;
  request.prefer = options.prefer;
  request.shares = options.shares;
  request.time_limit_s = std::uint64_t{options.time_limit_minutes.value_or(60)} * 60;
  return request;
}

}  // namespace

std::vector<ProviderCapacity> Gateway::capacities() const {
  return node_.chain->read([](const State& state) {
    std::vector<ProviderCapacity> all;
    for (const auto& [id, entry] : state.organisations()) {
      if (!entry.provider) continue;
      const ProviderOffer& offer = entry.provider->offer;
      ProviderCapacity capacity;
      capacity.organisation = entry.name;
      capacity.speed_mflops = offer.mflops;
      capacity.slots = offer.ranks * offer.threads;
      capacity.memory_mib = offer.memory_bytes >> 20;
      capacity.price_micro_per_tflop = offer.price_per_tflop;
      capacity.price_micro_per_cpu_hour = offer.price_per_cpu_hour;
      capacity.accepts_work =
          entry.provider->status == ProviderStatus::active && state.stake(id) >= state.params().stake_min;
      all.push_back(std::move(capacity));
    }
    return all;
  });
}

Result<Answer> Gateway::submit(const json::object& params, ByteView script) {
  const json::value* spec_json = params.if_contains("spec");
  if (spec_json == nullptr) return Error{ErrorCode::invalid, "field 'spec' is missing"};
  UFAB_ASSIGN(JobSpec spec, job_spec_from_json(*spec_json));
  UFAB_ASSIGN(const std::string train, json_text(params, "train"));
  UFAB_ASSIGN(const std::string data, json_text(params, "data"));
  spec.script = sha256(script);
  spec.training = !train.empty();

  const OrgId self = node_.chain->self();
  if (self == 0)
    return Error{ErrorCode::conflict, "this organisation is not on the chain yet; try again in a moment"};
  if (!spec.idempotency_key.empty()) {
    const auto known = node_.chain->read(
        [&](const State& state) { return state.job_by_idempotency_key(self, spec.idempotency_key); });
    if (known) return Answer{{{"job", *known}, {"known", true}}, {}};
  } else {
    spec.idempotency_key = "auto-" + sha256(KeyPair::generate().public_key().view()).hex().substr(0, 24);
  }

  BrokerRequest request = broker_request(spec);
  TrainingPlan plan;
  if (spec.training) {
    auto planned = plan_training(train, data);
    if (!planned) return planned.error();
    plan = *planned;
    spec.definition = plan.definition_file_digest;
    spec.data = plan.data_file_digest;
    request.steps = plan.steps;
    request.micro_batches = plan.micro_batches;
    request.flop_per_micro_batch = plan.flop_per_micro_batch;
  }
  UFAB_ASSIGN(const JobOffer offer, make_offer(request, capacities()));

  const std::uint64_t fee_ppm = node_.chain->read([](const State& state) { return state.params().fee_ppm; });
  std::uint64_t budget = spec.options.budget_micro;
  const std::uint64_t with_fee = offer.cost_micro + part_ppm(offer.cost_micro, fee_ppm) + 1;
  if (budget == 0) budget = with_fee + part_ppm(with_fee, escrow_margin_ppm);
  json::object answer{{"offer", offer_to_json(offer, budget)}};
  if (spec.training) {
    answer["parameters"] = plan.parameters;
    answer["work_flop"] = plan.flop_per_micro_batch * plan.micro_batches * plan.steps;
    answer["steps"] = plan.steps;
  }
  if (budget < with_fee) {
    return Error{ErrorCode::conflict, "the offer costs " + format_amount(with_fee) +
                                          " with its fee, the budget is " + format_amount(budget) +
                                          "; raise --budget or lower the work"};
  }
  const std::uint64_t balance = node_.chain->read([&](const State& state) { return state.balance(self); });
  if (balance < budget) {
    return Error{ErrorCode::conflict, "the budget of " + format_amount(budget) +
                                          " is more than the balance of " + format_amount(balance)};
  }
  if (json_flag(params, "test_only")) return Answer{std::move(answer), {}};

  // Everything that the job needs is durable here before its order exists.
  const std::string outbox = node_.home.file("outbox/" + sha256(spec.idempotency_key).hex().substr(0, 32));
  UFAB_TRY(make_folders(outbox, 0700));
  UFAB_TRY(make_folders(node_.home.file("jobs"), 0700));
  UFAB_TRY(write_file_atomic(outbox + "/script", script, 0700));
  if (spec.training) {
    UFAB_ASSIGN(const Bytes definition, read_file(train, 1u << 20));
    if (sha256(definition) != plan.definition_file_digest) {
      return Error{ErrorCode::conflict, train + ": changed while it was submitted"};
    }
    UFAB_TRY(write_file_atomic(outbox + "/definition.toml", definition));
    const std::string blob = node_.home.blob(plan.data_file_digest);
    if (!file_exists(blob)) {
      UFAB_TRY(make_folders(node_.home.file("blobs"), 0700));
      std::error_code error;
      fs::copy_file(plan.corpus_path, blob + ".part", fs::copy_options::overwrite_existing, error);
      if (error) return Error{ErrorCode::io, plan.corpus_path + ": " + error.message()};
      UFAB_ASSIGN(const Digest copied, sha256_file(blob + ".part"));
      if (copied != plan.data_file_digest) {
        return Error{ErrorCode::conflict, plan.corpus_path + ": changed while it was submitted"};
      }
      UFAB_TRY(rename_durable(blob + ".part", blob));
    }
    if (!file_exists(outbox + "/corpus.h5")) UFAB_TRY(link_or_copy(blob, outbox + "/corpus.h5"));
  }
  UFAB_TRY(save_job_spec(outbox + "/spec.json", spec));

  JobOrder order;
  order.kind = spec.training ? JobKind::training : JobKind::batch;
  order.name = spec.name;
  order.idempotency_key = spec.idempotency_key;
  order.script_digest = spec.script;
  order.definition_digest = plan.definition_digest;
  order.data_file_digest = plan.data_file_digest;
  order.data_content_digest = plan.data_content_digest;
  order.semantics_version = plan.semantics_version;
  order.steps = plan.steps;
  order.window_steps = plan.window_steps;
  order.micro_batches = plan.micro_batches;
  order.flop_per_micro_batch = plan.flop_per_micro_batch;
  const std::uint64_t any_price = std::numeric_limits<std::uint32_t>::max();
  const std::uint64_t max_price =
      spec.options.max_price_micro != 0 ? spec.options.max_price_micro : any_price;
  order.price_max_per_tflop = spec.training ? max_price : 0;
  order.price_max_per_cpu_hour = spec.training ? 0 : max_price;
  order.budget = budget;
  order.verify_rate_ppm = spec.training && !spec.options.verify.none ? spec.options.verify.rate_ppm : 0;
  order.providers_min = static_cast<std::uint16_t>(spec.options.providers.min);
  order.providers_max = static_cast<std::uint16_t>(spec.options.providers.max);
  const auto submitted = node_.chain->submit(order);
  if (!submitted) {
    const ErrorCode code = submitted.error().code;
    if (code != ErrorCode::unavailable && code != ErrorCode::timeout) {
      std::error_code error;
      fs::remove_all(outbox, error);
    }
    return submitted.error().within("order");
  }
  const auto job = node_.chain->read(
      [&](const State& state) { return state.job_by_idempotency_key(self, spec.idempotency_key); });
  if (!job)
    return Error{ErrorCode::unavailable,
                 "the order is on the ledger, this node has not seen it yet; see `ufab queue`"};
  adopt_outbox();
  answer["job"] = *job;
  node_.log("job " + std::to_string(*job) + ": ordered, " + format_amount(budget) + " in escrow");
  return Answer{std::move(answer), {}};
}

void Gateway::adopt_outbox() {
  const std::lock_guard lock(mutex_);
  const OrgId self = node_.chain->self();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(node_.home.file("outbox"), error)) {
    const auto spec = load_job_spec((entry.path() / "spec.json").string());
    if (!spec) continue;  // a submission that was cut off before its order
    const auto job = node_.chain->read(
        [&](const State& state) { return state.job_by_idempotency_key(self, spec->idempotency_key); });
    if (!job) continue;
    const std::string folder = node_.home.job_folder(*job);
    if (file_exists(folder + "/spec.json")) continue;
    if (spec->options.hold) static_cast<void>(write_file_atomic((entry.path() / "held").string(), {}));
    // Two steps of one node may have made the folder for attempts already; the owner's files go in beside.
    fs::create_directories(folder, error);
    for (const auto& file : fs::directory_iterator(entry.path(), error)) {
      if (file.path().filename() != "spec.json")
        fs::rename(file.path(), folder / file.path().filename(), error);
    }
    static_cast<void>(rename_durable((entry.path() / "spec.json").string(), folder + "/spec.json"));
    fs::remove_all(entry.path(), error);
  }
}

Status Gateway::set_hold(JobId job, bool held) {
  const auto view = view_job(*node_.chain, job);
  if (!view || view->job.owner != node_.chain->self())
    return Error{ErrorCode::not_found, "no job " + std::to_string(job)};
  const std::string path = JobFolder(node_.home, job).path() + "/held";
  if (held) {
    if (view->job.phase != JobPhase::ordered)
      return Error{ErrorCode::conflict, "the job has started already"};
    return write_file_atomic(path, {});
  }
  std::error_code error;
  fs::remove(path, error);
  return {};
}

bool Gateway::is_held(JobId job) const {
  return file_exists(JobFolder(node_.home, job).path() + "/held");
}

Status Gateway::cancel(JobId job, const std::string& reason) {
  const auto view = view_job(*node_.chain, job);
  if (!view || view->job.owner != node_.chain->self())
    return Error{ErrorCode::not_found, "no job " + std::to_string(job)};
  if (view->job.phase == JobPhase::settled) return Error{ErrorCode::conflict, "the job has ended already"};
  if (view->job.cancelled) return {};
  Cancel record;
  record.job = job;
  record.result = JobResult::cancelled;
  record.reason = reason;
  const auto submitted = node_.chain->submit(record);
  return submitted.ok() ? Status{} : Status(submitted.error());
}

Status Gateway::requeue(JobId job) {
  const auto view = view_job(*node_.chain, job);
  if (!view || view->job.owner != node_.chain->self())
    return Error{ErrorCode::not_found, "no job " + std::to_string(job)};
  if (view->job.phase != JobPhase::running && view->job.phase != JobPhase::leasing) {
    return Error{ErrorCode::conflict, "only a running job can be requeued"};
  }
  const std::lock_guard lock(mutex_);
  watches_[job].requeue_asked = true;
  return {};
}

Gateway::Watch Gateway::watch_of(JobId job) const {
  const std::lock_guard lock(mutex_);
  const auto found = watches_.find(job);
  return found == watches_.end() ? Watch{} : found->second;
}

std::vector<MemberProgress> Gateway::progress(JobId job) const {
  return watch_of(job).progress;
}
std::string Gateway::pending_reason(JobId job) const {
  if (is_held(job)) return "held";
  return watch_of(job).reason;
}

void Gateway::tick() {
  adopt_outbox();
  const OrgId self = node_.chain->self();
  if (self == 0) return;
  const auto views = view_jobs(*node_.chain, [&](const JobEntry& job) {
    return job.owner == self && !file_exists(JobFolder(node_.home, job.id).path() + "/finished");
  });
  for (const JobView& view : views) {
    const Status status = drive(view);
    const std::string line = status.ok() ? std::string() : status.error().message;
    const std::lock_guard lock(mutex_);
    Watch& watch = watches_[view.job.id];
    watch.reason = line;
    if (std::exchange(watch.said, line) != line && !line.empty()) {
      node_.log("job " + std::to_string(view.job.id) + ": " + line);
    }
  }
}

Status Gateway::plan_attempt(const JobView& view, const std::string& reason) {
  const JobEntry& job = view.job;
  const auto number = static_cast<std::uint32_t>(job.attempts.size()) + 1;
  if (number > max_attempts)
    return fail(view, "gave up after " + std::to_string(max_attempts) + " attempts: " + reason);
  UFAB_ASSIGN(const JobSpec spec, load_job_spec(JobFolder(node_.home, job.id).spec()));
  BrokerRequest request = broker_request(spec);
  request.steps = job.order.steps;
  request.micro_batches = job.order.micro_batches;
  request.flop_per_micro_batch = job.order.flop_per_micro_batch;
  for (const OrgId id : job.excluded) request.exclude.push_back(view.organisations.at(id).name);
  for (const auto& [name, since] : watch_of(job.id).avoid) {
    if (Clock::now() - since < avoid_duration) request.exclude.push_back(name);
  }
  // Fewer than asked for may carry on what the convicted or silent left behind.
  if (!request.exclude.empty() && number > 1) {
    request.providers_min = 1;
    request.shares.clear();
  }
  UFAB_ASSIGN(const JobOffer offer, make_offer(request, capacities()));
  JobAttempt attempt;
  attempt.job = job.id;
  attempt.attempt = number;
  attempt.window_first = job.windows_complete;
  attempt.reason = reason.substr(0, text_size_max);
  UFAB_TRY(node_.chain->read([&](const State& state) -> Status {
    for (const OfferMember& member : offer.members) {
      const OrgEntry* entry = state.organisation_by_name(member.organisation);
      if (entry == nullptr) return Error{ErrorCode::not_found, "no organisation " + member.organisation};
      attempt.shares.push_back({entry->id, member.first_micro_batch, member.micro_batches});
    }
    return {};
  }));
  const auto submitted = node_.chain->submit(std::move(attempt));
  return submitted.ok() ? Status{} : submitted.error().within("attempt");
}

Status Gateway::fail(const JobView& view, const std::string& reason) {
  Cancel record;
  record.job = view.job.id;
  record.result = JobResult::failed;
  record.reason = reason.substr(0, text_size_max);
  const auto submitted = node_.chain->submit(record);
  return submitted.ok() ? Status{} : Status(submitted.error());
}

Status Gateway::drive(const JobView& view) {
  const JobEntry& job = view.job;
  if (job.phase == JobPhase::settled) return finish(view);
  if (!job.attempts.empty()) mirror_output(view, false);
  if (job.cancelled) return {};
  Watch watch = watch_of(job.id);
  const auto present = static_cast<std::uint32_t>(job.attempts.size());
  if (watch.attempt != present) {
    watch.attempt = present;
    watch.attempt_seen = Clock::now();
    watch.ended_since.reset();
    watch.unreachable_since.clear();
    watch.requeue_asked = false;
  }
  Status status;
  switch (job.phase) {
    case JobPhase::ordered:
      if (!is_held(job.id)) status = plan_attempt(view, "");
      break;
    case JobPhase::leasing:
      if (watch.requeue_asked || Clock::now() - watch.attempt_seen > lease_patience) {
        std::string silent;
        for (const MemberEntry& member : job.attempts.back().members) {
          if (member.leased) continue;
          const std::string& name = view.organisations.at(member.share.organisation).name;
          watch.avoid[name] = Clock::now();
          silent += " " + name;
        }
        {
          const std::lock_guard lock(mutex_);
          watches_[job.id] = watch;
        }
        status = plan_attempt(view, "no lease from" + silent);
      }
      break;
    case JobPhase::running:
      status = job.order.kind == JobKind::batch && job.usage ? countersign_usage(view)
                                                             : drive_running(view, watch);
      break;
    case JobPhase::validating:
      if (job.order.kind == JobKind::batch) status = countersign_usage(view);
      break;
    case JobPhase::requeue: status = plan_attempt(view, "a verdict took windows back"); break;
    case JobPhase::settled: break;
  }
  const std::lock_guard lock(mutex_);
  watch.said = watches_[job.id].said;
  watch.requeue_asked = watch.requeue_asked || watches_[job.id].requeue_asked;
  watches_[job.id] = std::move(watch);
  return status;
}

void Gateway::ask_members(const JobView& view, Watch& watch) {
  if (Clock::now() - watch.asked < ask_interval) return;
  watch.asked = Clock::now();
  const AttemptEntry& attempt = view.job.attempts.back();
  std::vector<MemberProgress> all;
  for (const MemberEntry& member : attempt.members) {
    const OrgEntry& organisation = view.organisations.at(member.share.organisation);
    MemberProgress progress;
    progress.organisation = organisation.name;
    const bool own = organisation.id == node_.chain->self();
    const Result<Answer> answer =
        own ? Result<Answer>(local_progress(node_, view.job.id, attempt.number))
            : call_organisation(node_, organisation,
                                {"job.progress", {{"job", view.job.id}, {"attempt", attempt.number}}, {}},
                                ask_wait);
    progress.reachable = answer.ok();
    if (answer.ok()) {
      const json::object& fields = answer->result;
      const auto text = [&](const char* key) {
        return json_text(fields, key).ok() ? *json_text(fields, key) : "";
      };
      const auto number = [&](const char* key) {
        return json_number(fields, key).ok() ? *json_number(fields, key) : 0;
      };
      progress.state = text("state");
      progress.result = text("result");
      progress.reason = text("reason");
      progress.loss = text("loss");
      progress.exit_code = static_cast<int>(number("exit_code"));
      progress.signal = static_cast<int>(number("signal"));
      progress.step = number("step");
      progress.tokens_per_s = static_cast<double>(number("tokens_per_s"));
      watch.unreachable_since.erase(progress.organisation);
    } else {
      watch.unreachable_since.try_emplace(progress.organisation, Clock::now());
    }
    all.push_back(std::move(progress));
  }
  watch.progress = std::move(all);
}

Status Gateway::drive_running(const JobView& view, Watch& watch) {
  const JobEntry& job = view.job;
  ask_members(view, watch);
  if (watch.requeue_asked) return plan_attempt(view, "requeued by its owner");
  std::string passing;
  std::string lasting;
  std::size_t ended_well = 0;
  for (const MemberProgress& member : watch.progress) {
    if (!member.reachable) {
      if (Clock::now() - watch.unreachable_since[member.organisation] > member_patience) {
        passing = "the node of " + member.organisation + " does not answer";
        watch.avoid[member.organisation] = Clock::now();
      }
      continue;
    }
    if (member.state != "ended") continue;
    if (member.result == "completed") {
      ++ended_well;
      continue;
    }
    const std::string line =
        member.organisation + ": " + member.result +
        (member.reason.empty() ? ", exit code " + std::to_string(member.exit_code) : ", " + member.reason);
    (is_passing(member) ? passing : lasting) = line;
  }
  if (job.order.kind == JobKind::batch && lasting.empty() && passing.empty()) return {};
  // An ordinary script's failure is its own affair: the provider files the use and the job ends with it.
  if (job.order.kind == JobKind::batch && !lasting.empty()) return {};
  if (job.order.kind == JobKind::batch && passing.find("node_fail") == std::string::npos &&
      passing.find("does not answer") == std::string::npos) {
    return {};
  }
  const bool all_well = ended_well == watch.progress.size() && ended_well > 0;
  if (passing.empty() && lasting.empty() && !all_well) {
    watch.ended_since.reset();
    return {};
  }
  if (!watch.ended_since) watch.ended_since = Clock::now();
  const auto waited = Clock::now() - *watch.ended_since;
  if (all_well && passing.empty()) {
    if (waited < receipt_patience) return {};
    return blame_missing_receipts(view, watch);
  }
  if (waited < end_patience) return {};
  UFAB_ASSIGN(const JobSpec spec, load_job_spec(JobFolder(node_.home, job.id).spec()));
  if (!lasting.empty()) return fail(view, lasting);
  if (!spec.options.requeue) return fail(view, passing);
  {
    const std::lock_guard lock(mutex_);
    watches_[job.id].avoid = watch.avoid;
  }
  return plan_attempt(view, passing);
}

// Every run ended well, and still a window is not complete: a member's receipts are missing or were refused.
Status Gateway::blame_missing_receipts(const JobView& view, Watch& watch) {
  const JobEntry& job = view.job;
  const AttemptEntry& attempt = job.attempts.back();
  const auto open = job.windows.find(job.windows_complete);
  std::string missing;
  for (std::size_t i = 0; i < attempt.members.size(); ++i) {
    const bool filed = open != job.windows.end() && open->second.attempt == attempt.number &&
                       i < open->second.receipts.size() && open->second.receipts[i].filed;
    if (filed) continue;
    const std::string& name = view.organisations.at(attempt.members[i].share.organisation).name;
    watch.avoid[name] = Clock::now();
    missing += (missing.empty() ? "" : ", ") + name;
  }
  if (missing.empty() || attempt.members.size() == 1) {
    return fail(view, "the script ended without training every window");
  }
  {
    const std::lock_guard lock(mutex_);
    watches_[job.id].avoid = watch.avoid;
  }
  return plan_attempt(view, "no valid receipt from " + missing);
}

Status Gateway::countersign_usage(const JobView& view) {
  const JobEntry& job = view.job;
  if (!job.usage || job.usage->provider == job.owner) return {};
  Countersignature signature;
  signature.job = job.id;
  signature.attempt = job.usage->receipt.attempt;
  signature.receipts.push_back({0, job.usage->provider, job.usage->digest});
  const auto submitted = node_.chain->submit(std::move(signature));
  return submitted.ok() ? Status{} : submitted.error().within("countersignature");
}

// Brings the first member's output to where the script's --output says, as far as it has been written.
void Gateway::mirror_output(const JobView& view, bool last) {
  const JobEntry& job = view.job;
  const JobFolder folder(node_.home, job.id);
  const auto spec = load_job_spec(folder.spec());
  if (!spec || job.attempts.empty() || job.attempts.back().members.empty()) return;
  const OrgEntry& lead = view.organisations.at(job.attempts.back().members.front().share.organisation);
  const char* user = std::getenv("USER");
  const NameValues names{job.id, spec->name, user == nullptr ? "" : user, short_host_name()};
  const SubmitOptions& options = spec->options;
  const std::string base = options.working_folder.empty() ? spec->submit_folder : options.working_folder;
  const auto mirror = [&](const char* name, const std::string& pattern) {
    if (pattern.empty()) return;
    const std::string target = (fs::path(base) / expand_file_name(pattern, names)).string();
    std::error_code error;
    std::uint64_t have = fs::exists(target, error) ? fs::file_size(target, error) : 0;
    for (;;) {
      Result<Answer> piece = Error{ErrorCode::not_found, ""};
      if (lead.id == node_.chain->self()) {
        const auto path = resolve_job_file(node_.home, job.id, name);
        if (path) piece = read_job_file(*path, have);
      } else {
        piece = call_organisation(
            node_, lead, {"job.file", {{"job", job.id}, {"name", name}, {"offset", have}}, {}}, ask_wait);
      }
      if (!piece || piece->body.empty()) return;
      auto file = AppendFile::open(target);
      if (!file || !file->append(piece->body).ok()) return;
      have += piece->body.size();
      if (!last) return;  // the rest at the next tick
    }
  };
  mirror("output", options.output);
  mirror("error", options.error);
}

Status Gateway::finish(const JobView& view) {
  const JobEntry& job = view.job;
  const JobFolder folder(node_.home, job.id);
  mirror_output(view, true);
  if (job.order.kind == JobKind::training) {
    UFAB_TRY(make_folders(folder.result() + "/logs", 0700));
    const OrgId self = node_.chain->self();
    for (const AttemptEntry& attempt : job.attempts) {
      for (const MemberEntry& member : attempt.members) {
        const OrgEntry& organisation = view.organisations.at(member.share.organisation);
        const std::string name = "log:" + std::to_string(attempt.number);
        const std::string target =
            folder.result() + "/logs/attempt-" + std::to_string(attempt.number) + ".jsonl";
        if (file_exists(target)) break;
        if (organisation.id == self) {
          if (const auto path = resolve_job_file(node_.home, job.id, name))
            static_cast<void>(link_or_copy(*path, target));
        } else if (fetch_job_file(node_, organisation, job.id, name, target, nullptr, max_result_bytes)
                       .ok()) {
          break;
        }
      }
    }
    const std::string model = folder.result() + "/model.h5";
    const bool trained = job.settlement && job.windows_complete == job.windows_total();
    if (trained && !file_exists(model)) {
      const std::string name =
          "checkpoint:" + std::to_string(job.attempts.back().number) + ":" + std::to_string(job.order.steps);
      Status fetched = Error{ErrorCode::not_found, "nobody has the final checkpoint"};
      for (const MemberEntry& member : job.attempts.back().members) {
        const OrgEntry& organisation = view.organisations.at(member.share.organisation);
        if (organisation.id == self) {
          const auto path = resolve_job_file(node_.home, job.id, name);
          fetched = path.ok() ? link_or_copy(*path, model) : Status(path.error());
        } else {
          fetched = fetch_job_file(node_, organisation, job.id, name, model, nullptr, max_result_bytes);
        }
        if (fetched.ok()) break;
      }
      UFAB_TRY(fetched);
    }
  }
  UFAB_TRY(make_folders(folder.path(), 0700));
  UFAB_TRY(write_file_atomic(folder.path() + "/finished", {}));
  node_.log("job " + std::to_string(job.id) + ": settled");
  return {};
}

Answer local_progress(const NodeContext& node, JobId job, std::uint32_t attempt) {
  Answer answer;
  const auto status = node.batch->status(run_name(job, attempt));
  if (!status) return answer;
  static constexpr const char* states[] = {"pending", "running", "ended"};
  answer.result["state"] = states[static_cast<std::size_t>(status->state)];
  answer.result["result"] = run_result_name(status->result);
  answer.result["reason"] = status->reason;
  answer.result["exit_code"] = status->exit_code;
  answer.result["signal"] = status->signal;
  // The newest step: the last whole line of the trainer's log.
  const std::string path = JobFolder(node.home, job).out(attempt) + "/log.jsonl";
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  if (error || size == 0) return answer;
  const auto tail = read_job_file(path, size > 8192 ? size - 8192 : 0);
  if (!tail) return answer;
  std::string_view text = as_text(tail->body);
  text = text.substr(0, text.rfind('\n') == std::string_view::npos ? 0 : text.rfind('\n'));
  text = text.substr(text.rfind('\n') == std::string_view::npos ? 0 : text.rfind('\n') + 1);
  json::error_code parse_error;
  const json::value line = json::parse(text, parse_error);
  if (parse_error || !line.is_object()) return answer;
  const json::object& fields = line.get_object();
  if (const json::value* step = fields.if_contains("step")) answer.result["step"] = *step;
  if (const json::value* loss = fields.if_contains("loss")) answer.result["loss"] = json_decimal(*loss);
  if (const json::value* speed = fields.if_contains("tokens_per_s"); speed != nullptr && speed->is_number()) {
    answer.result["tokens_per_s"] = static_cast<std::uint64_t>(std::max(0.0, speed->to_number<double>()));
  }
  return answer;
}

}  // namespace ufab::jobs
