// Submissions: the offer, what must be durable before the order, the order itself, and the files of the job.
#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <limits>
#include <thread>

#include "fabric/base/file.h"
#include "jobs/node/gateway.h"

namespace ufab::jobs {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t escrow_margin_ppm = 200'000;

json::object offer_to_json(const JobOffer& offer, std::uint64_t budget) {
  json::array members;
  for (const OfferMember& member : offer.members) {
    members.push_back(json::object{{"organisation", member.organisation},
                                   {"first_micro_batch", member.first_micro_batch},
                                   {"micro_batches", member.micro_batches},
                                   {"cost_micro", member.cost_micro}});
  }
  json::object object{{"schema", "ufab.offer/1"},
                      {"members", members},
                      {"cost_micro", offer.cost_micro},
                      {"escrow_micro", budget},
                      {"expected_s", offer.expected_s}};
  if (const auto& slowest = offer.slowest_link) {
    object["slowest_link"] = json::object{{"between", {slowest->one, slowest->other}},
                                          {"rtt_us", slowest->link.round_trip_us},
                                          {"kbyte_per_s", slowest->link.bytes_per_s / 1000},
                                          {"measured", slowest->link.measured_s != 0}};
  }
  return object;
}

}  // namespace

BrokerRequest broker_request(const JobSpec& spec) {
  BrokerRequest request;
  const SubmitOptions& options = spec.options;
  request.providers_min = options.providers.min;
  request.providers_max = options.providers.max;
  const std::uint64_t slots = std::uint64_t{options.tasks} * options.cpus_per_task;
  request.slots =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(slots, std::numeric_limits<std::uint32_t>::max()));
  request.memory_mib = options.memory_limit_mib();
  request.max_price_micro = options.max_price_micro;
  request.prefer = options.prefer;
  request.shares = options.shares;
  request.time_limit_s = std::uint64_t{options.time_limit_minutes.value_or(60)} * 60;
  return request;
}

// What one submission asks for, priced: of an array the same for every task.
struct Gateway::Prepared {
  JobSpec spec;
  std::string train;  // the definition's path; empty: an ordinary script
  TrainingPlan plan;
  MicroUnc budget = 0;
  json::object answer;  // the offer
};

namespace {

// The fabric's providers say nothing of GPUs yet: a job that needs one must not run without.
Status check_providable(const SubmitOptions& options) {
  const std::pair<const char*, const GenericResources*> wanted[] = {
      {"gres", &options.gres},
      {"gpus", &options.gpus},
      {"gpus-per-node", &options.gpus_per_node},
      {"gpus-per-task", &options.gpus_per_task},
      {"gpus-per-socket", &options.gpus_per_socket}};
  for (const auto& [option, resources] : wanted) {
    for (const GenericResource& resource : *resources) {
      if (resource.count == 0) continue;
      return Error{ErrorCode::conflict,
                   std::string("option --") + option + ": no provider of this chain offers " + resource.name};
    }
  }
  return {};
}

}  // namespace

// Prices the job. `orders`: how many of them will be filed with this budget each.
Result<Gateway::Prepared> Gateway::prepare(const json::object& params, JobSpec spec, std::uint64_t orders) {
  Prepared prepared;
  UFAB_ASSIGN(prepared.train, json_text(params, "train"));
  UFAB_ASSIGN(const std::string data, json_text(params, "data"));
  UFAB_TRY(check_providable(spec.options));
  BrokerRequest request = broker_request(spec);
  TrainingPlan& plan = prepared.plan;
  if (spec.training) {
    UFAB_ASSIGN(plan, plan_training(prepared.train, data));
    spec.definition = plan.definition_file_digest;
    spec.data = plan.data_file_digest;
    spec.exchange_bytes = request.exchange_bytes = plan.exchange_bytes;
    request.steps = plan.steps;
    request.micro_batches = plan.micro_batches;
    request.flop_per_micro_batch = plan.flop_per_micro_batch;
  }
  request.now_s = wall_clock_s();
  const bool exchanges = request.exchange_bytes != 0 && request.providers_max > 1;
  UFAB_ASSIGN(const JobOffer offer, make_offer(request, capacities(), exchanges ? queue_.links() : Links()));

  const std::uint64_t fee_ppm = node_.chain->read([](const State& state) { return state.params().fee_ppm; });
  std::uint64_t budget = spec.options.budget_micro;
  const std::uint64_t with_fee = offer.cost_micro + part_ppm(offer.cost_micro, fee_ppm) + 1;
  if (budget == 0) budget = with_fee + part_ppm(with_fee, escrow_margin_ppm);
  prepared.answer = {{"offer", offer_to_json(offer, budget)}};
  if (spec.training) {
    prepared.answer["parameters"] = plan.parameters;
    prepared.answer["work_flop"] = plan.flop_per_micro_batch * plan.micro_batches * plan.steps;
    prepared.answer["steps"] = plan.steps;
  }
  if (budget < with_fee) {
    return Error{ErrorCode::conflict, "the offer costs " + format_amount(with_fee) +
                                          " with its fee, the budget is " + format_amount(budget) +
                                          "; raise --budget or lower the work"};
  }
  const OrgId self = node_.chain->self();
  const std::uint64_t balance = node_.chain->read([&](const State& state) { return state.balance(self); });
  const auto total = checked_mul(budget, orders);
  if (!total || balance < *total) {
    const std::string of_all = orders == 1 ? "" : " for each of " + std::to_string(orders) + " tasks";
    return Error{ErrorCode::conflict, "the budget of " + format_amount(budget) + of_all +
                                          " is more than the balance of " + format_amount(balance)};
  }
  // The ledger would refuse it too, and the refusal would stand there.
  if (const auto left = node_.chain->allowance(); left && *left < *total) {
    return Error{ErrorCode::conflict, "agent of " + node_.config.organisation + ": allowance left " +
                                          format_amount(*left) + ", the order needs " +
                                          format_amount(*total) +
                                          "; `ufab agent allowance` with the organisation's key sets it"};
  }
  prepared.budget = budget;
  prepared.spec = std::move(spec);
  return prepared;
}

std::optional<JobId> Gateway::job_of_key(const std::string& key) const {
  const OrgId self = node_.chain->self();
  return node_.chain->read([&](const State& state) { return state.job_by_idempotency_key(self, key); });
}

Result<Answer> Gateway::submit(const json::object& params, ByteView script) {
  const json::value* spec_json = params.if_contains("spec");
  if (spec_json == nullptr) return Error{ErrorCode::invalid, "field 'spec' is missing"};
  UFAB_ASSIGN(JobSpec spec, job_spec_from_json(*spec_json));
  UFAB_ASSIGN(const std::string train, json_text(params, "train"));
  spec.script = sha256(script);
  spec.training = !train.empty();
  if (node_.chain->self() == 0)
    return Error{ErrorCode::conflict, "this organisation is not on the chain yet; try again in a moment"};
  if (spec.idempotency_key.empty())
    spec.idempotency_key = "auto-" + sha256(KeyPair::generate().public_key().view()).hex().substr(0, 24);
  if (spec.options.array) return submit_array(params, std::move(spec), script);

  if (const auto known = job_of_key(spec.idempotency_key))
    return Answer{{{"job", *known}, {"known", true}}, {}};
  const std::lock_guard lock(submit_mutex_);
  if (const auto known = job_of_key(spec.idempotency_key))
    return Answer{{{"job", *known}, {"known", true}}, {}};
  UFAB_ASSIGN(Prepared prepared, prepare(params, std::move(spec), 1));
  if (json_flag(params, "test_only")) return Answer{std::move(prepared.answer), {}};
  UFAB_ASSIGN(Answer filed, file_order(prepared, script));
  for (const auto& [key, value] : prepared.answer) filed.result[key] = value;
  return filed;
}

// One order for each task, in the order of their indices. The array's number is its first task's; a task's
// key is the array's and its index, so that a submission that was cut off goes on where it was when it is
// repeated with its key.
Result<Answer> Gateway::submit_array(const json::object& params, JobSpec spec, ByteView script) {
  const std::lock_guard lock(submit_mutex_);
  const std::string array_key = spec.idempotency_key;
  const std::vector<std::uint32_t> tasks = spec.options.array->tasks;
  std::uint64_t missing = 0;
  for (const std::uint32_t task : tasks) missing += job_of_key(array_task_key(array_key, task)) ? 0U : 1U;
  Prepared prepared;
  if (missing != 0) {
    UFAB_ASSIGN(prepared, prepare(params, std::move(spec), missing));
    if (json_flag(params, "test_only")) return Answer{std::move(prepared.answer), {}};
  }
  JobId array_job = 0;
  json::array jobs;
  for (const std::uint32_t task : tasks) {
    const std::string key = array_task_key(array_key, task);
    auto number = job_of_key(key);
    if (!number) {
      prepared.spec.idempotency_key = key;
      prepared.spec.array_task = task;
      prepared.spec.array_job = array_job;
      auto filed = file_order(prepared, script);
      if (!filed) {
        const std::string where = "task " + std::to_string(task) + " of the array, after " +
                                  std::to_string(jobs.size()) + " that are submitted";
        return filed.error().within(where);
      }
      number = filed->result.at("job").to_number<JobId>();
    }
    if (array_job == 0) array_job = *number;
    jobs.push_back(*number);
  }
  json::object answer = std::move(prepared.answer);
  answer["job"] = array_job;
  answer["tasks"] = tasks.size();
  answer["task_jobs"] = std::move(jobs);
  if (missing == 0) answer["known"] = true;
  return Answer{std::move(answer), {}};
}

// What the job needs beside its order. The corpus is a blob of this home first, and durable.
Result<Submission> Gateway::submission_of(const Prepared& prepared, ByteView script) {
  const JobSpec& spec = prepared.spec;
  Submission submission;
  submission.key = spec.idempotency_key;
  submission.held = spec.options.hold;
  submission.specification = job_spec_text(spec);
  submission.script.assign(script.begin(), script.end());
  if (!spec.training) return submission;
  const std::string& train = prepared.train;
  const TrainingPlan& plan = prepared.plan;
  UFAB_ASSIGN(submission.definition, read_file(train, 1u << 20));
  if (sha256(submission.definition) != plan.definition_file_digest) {
    return Error{ErrorCode::conflict, train + ": changed while it was submitted"};
  }
  const std::string blob = node_.home.blob(plan.data_file_digest);
  if (!use_blob(blob)) {
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
  return submission;
}

namespace {

// The job's name as the ledger takes it: at most 64 bytes, cut between characters; what it does not take is
// "_". The specification keeps the whole name.
std::string ledger_name(const std::string& name) {
  if (check_job_name(name).ok()) return name;
  std::string kept;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    kept.push_back(byte < 0x20 || byte == 0x7f ? '_' : c);
  }
  if (kept.size() > name_size_max) kept.resize(name_size_max);
  for (int cut = 0; cut < 3 && !kept.empty() && !check_job_name(kept).ok(); ++cut) kept.pop_back();
  if (check_job_name(kept).ok()) return kept;
  std::replace_if(
      kept.begin(), kept.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '_');
  return kept.empty() ? "job" : kept;  // not UTF-8 at all
}

JobOrder order_of(const JobSpec& spec, const TrainingPlan& plan, MicroUnc budget) {
  JobOrder order;
  order.kind = spec.training ? JobKind::training : JobKind::batch;
  order.name = ledger_name(spec.name);
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
  const BrokerRequest request = broker_request(spec);
  order.slots = std::max(request.slots, 1U);
  order.memory_mib = request.memory_mib;
  order.time_limit_s =
      std::min<std::uint64_t>(std::uint64_t{spec.options.time_limit_minutes.value_or(0)} * 60, UINT32_MAX);
  order.nice =
      static_cast<std::uint32_t>(std::max(spec.options.nice, 0));  // to others: never more than equal
  order.begin_us =
      static_cast<std::uint64_t>(std::max<std::int64_t>(spec.options.begin.value_or(0), 0)) * 1'000'000;
  return order;
}

}  // namespace

// Files the order of prepared.spec, whose key is on no order that this node knows of. Answers {job}. Under
// submit_mutex_.
Result<Answer> Gateway::file_order(const Prepared& prepared, ByteView script) {
  const JobSpec& spec = prepared.spec;
  const std::string& key = spec.idempotency_key;
  // An earlier submission with this key that was cut off: its order may stand on the ledger already, while
  // this node's copy of the chain has not come so far.
  const auto earlier = journal_->pending(key);
  if (earlier) {
    UFAB_ASSIGN(const JobSpec before, job_spec_from_text(earlier->specification));
    if (before.script != spec.script || before.definition != spec.definition || before.data != spec.data) {
      return Error{ErrorCode::conflict,
                   "idempotency key '" + key + "' was used with another script, definition or corpus"};
    }
  }
  if (journal_->backlog().pending >= 2 * backlog_max) place_submissions();  // they come faster than ticks
  UFAB_ASSIGN(Submission submission, submission_of(prepared, script));
  UFAB_TRY(journal_->add(std::move(submission)));
  const auto submitted = node_.chain->submit(order_of(spec, prepared.plan, prepared.budget));
  if (!submitted) {
    if (earlier) {
      const auto give_up = Clock::now() + ask_wait;
      while (!job_of_key(key) && Clock::now() < give_up)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (const auto known = job_of_key(key)) return Answer{{{"job", *known}, {"known", true}}, {}};
      return submitted.error().within("order");
    }
    const ErrorCode code = submitted.error().code;
    if (code != ErrorCode::unavailable && code != ErrorCode::timeout) journal_->withdraw(key);
    return submitted.error().within("order");
  }
  const auto job = job_of_key(key);
  if (!job)
    return Error{ErrorCode::unavailable,
                 "the order is on the ledger, this node has not seen it yet; see `ufab queue`"};
  node_.log("job " + std::to_string(*job) + ": ordered, " + format_amount(prepared.budget) + " in escrow");
  return Answer{{{"job", *job}}, {}};
}

Result<Answer> Gateway::array_tasks(JobId job) const {
  json::array tasks;
  const auto spec = load_job_spec(JobFolder(node_.home, job).spec());
  if (spec.ok() && spec->array_task && spec->options.array) {
    const std::string array_key = array_key_of(spec->idempotency_key, *spec->array_task);
    for (const std::uint32_t task : spec->options.array->tasks) {
      if (const auto number = job_of_key(array_task_key(array_key, task)))
        tasks.push_back(json::object{{"task", task}, {"job", *number}});
    }
  }
  return Answer{{{"tasks", std::move(tasks)}}, {}};
}

Status Gateway::place(const Submission& submission, JobId job) {
  const JobFolder folder(node_.home, job);
  UFAB_TRY(make_folders(folder.path(), 0700));
  if (!submission.definition.empty() && !file_exists(folder.corpus())) {
    UFAB_ASSIGN(const JobSpec spec, job_spec_from_text(submission.specification));
    UFAB_TRY(link_or_copy(node_.home.blob(spec.data), folder.corpus()));
  }
  return place_submission(submission, folder);
}

void Gateway::place_when_due() {
  const SubmissionJournal::Backlog backlog = journal_->backlog();
  if (left_placed_ &&
      (backlog.pending == 0 || (backlog.pending < backlog_max && Clock::now() - backlog.last < lull)))
    return;
  place_submissions();
  left_placed_ = true;
}

// What cannot be placed stays pending, and the next call tries again.
void Gateway::place_submissions() {
  const std::lock_guard lock(place_mutex_);
  for (const auto& submission : journal_->pending()) {
    const auto job = job_of_key(submission->key);
    if (!job) continue;  // its order is under way, or was never filed
    if (const Status status = place(*submission, *job); status.ok()) {
      journal_->placed(submission->key);
    } else {
      say(*job, "its files: " + status.error().message);
    }
  }
}

}  // namespace ufab::jobs
