#include "jobs/node/job_json.h"

#include <algorithm>
#include <boost/json.hpp>

#include "fabric/base/file.h"
#include "jobs/node/ledger_facts.h"

namespace ufab::jobs {

namespace json = boost::json;

namespace {

struct SlurmState {
  const char* name;
  const char* code;
};

// What Gateway::finish noted of an ordinary script's end; empty elsewhere.
json::object noted_outcome(const std::string& path) {
  const auto text = read_text_file(path, 65536);
  if (!text) return {};
  json::error_code error;
  const json::value value = json::parse(*text, error);
  return error || !value.is_object() ? json::object{} : value.get_object();
}

SlurmState slurm_state(const JobEntry& job, const std::string& run_result) {
  switch (job.phase) {
    case JobPhase::ordered:
    case JobPhase::leasing: return {"PENDING", "PD"};
    case JobPhase::running: return {"RUNNING", "R"};
    case JobPhase::validating: return {"COMPLETING", "CG"};
    case JobPhase::requeue: return {"REQUEUED", "RQ"};
    case JobPhase::settled: break;
  }
  const JobResult result = job.settlement ? job.settlement->result : JobResult::failed;
  if (result == JobResult::cancelled) return {"CANCELLED", "CA"};
  if (result == JobResult::failed && run_result == "timeout") return {"TIMEOUT", "TO"};
  if (result == JobResult::failed && run_result == "out_of_memory") return {"OUT_OF_MEMORY", "OOM"};
  if (result == JobResult::failed) return {"FAILED", "F"};
  if (job.usage && (job.usage->receipt.exit_code != 0 || job.usage->receipt.signal != 0))
    return {"FAILED", "F"};
  return {"COMPLETED", "CD"};
}

// Of a task of an array.
void add_task(json::object& object, const Gateway& gateway, JobId job) {
  const auto task = gateway.task_of(job);
  if (!task) return;
  object["array_job"] = task->array;
  object["array_task"] = task->task;
}

// "7", or "7_3" for task 3 of array 7.
std::string shown_number(const Gateway& gateway, JobId job) {
  const auto task = gateway.task_of(job);
  return task ? std::to_string(task->array) + "_" + std::to_string(task->task) : std::to_string(job);
}

json::object windows_to_json(const JobEntry& job) {
  std::uint64_t assigned = 0;
  std::uint64_t good = 0;
  for (const auto& [number, window] : job.windows) {
    assigned += window.check == WindowCheck::assigned ? 1 : 0;
    good += window.check == WindowCheck::good ? 1 : 0;
  }
  return {{"total", job.windows_total()},
          {"complete", job.windows_complete},
          {"assigned", assigned},
          {"verified", good}};
}

}  // namespace

json::object job_to_json(const NodeContext& node, const Gateway& gateway, const JobView& view, bool whole) {
  const JobEntry& job = view.job;
  const std::string finished_path = JobFolder(node.home, job.id).finished();
  const bool own = job.owner == node.chain->self();
  const bool settled = job.phase == JobPhase::settled;
  // Results come home to the owner only; for everybody else a job has ended when it is settled.
  const bool finished = settled && (!own || file_exists(finished_path));
  const json::object outcome = own && settled ? noted_outcome(finished_path) : json::object{};
  const SlurmState state = slurm_state(job, json_line(outcome, "result", 64));
  json::object object{{"schema", "ufab.job/1"},
                      {"job", job.id},
                      {"name", job.order.name},
                      {"kind", job_kind_name(job.order.kind)},
                      {"owner", view.organisations.at(job.owner).name},
                      {"state", state.name},
                      {"code", state.code},
                      {"phase", job_phase_name(job.phase)},
                      {"budget_micro", job.order.budget},
                      {"steps", job.order.steps},
                      {"attempts", job.attempts.size()},
                      {"held", gateway.is_held(job.id)},
                      {"finished", finished}};
  std::string reason = job.cancelled ? job.cancelled->reason : gateway.pending_reason(job.id);
  if (reason.empty()) reason = json_line(outcome, "reason", 200);
  if (reason.empty() && job.attempts.size() > 1) reason = "requeued";
  object["reason"] = reason;
  json::array members;
  if (!job.attempts.empty()) {
    const std::vector<MemberProgress> progress = gateway.progress(job.id);
    for (const MemberEntry& member : job.attempts.back().members) {
      json::object fields{{"organisation", view.organisations.at(member.share.organisation).name},
                          {"first_micro_batch", member.share.micro_batch_first},
                          {"micro_batches", member.share.micro_batch_count},
                          {"leased", member.leased}};
      for (const MemberProgress& known : progress) {
        if (known.organisation != view.organisations.at(member.share.organisation).name) continue;
        fields["reachable"] = known.reachable;
        fields["run"] = known.state;
        fields["result"] = known.result;
        fields["step"] = known.step;
        fields["loss"] = known.loss;
        fields["tokens_per_s"] = known.tokens_per_s;
        if (known.start_us != 0) fields["start_us"] = known.start_us;
        if (known.end_us != 0) fields["end_us"] = known.end_us;
      }
      members.push_back(std::move(fields));
    }
  }
  object["members"] = members;
  add_task(object, gateway, job.id);
  // When the script ran, in microseconds since 1970: as last heard, or as noted at its end.
  for (const char* key : {"start_us", "end_us"}) {
    const auto noted = json_number(outcome, key);
    if (noted && *noted != 0) object[key] = *noted;
    const json::value* heard = members.empty() ? nullptr : members.front().as_object().if_contains(key);
    if (!object.contains(key) && heard != nullptr) object[key] = *heard;
  }
  if (job.order.kind == JobKind::training) object["windows"] = windows_to_json(job);
  if (job.usage) {
    object["usage"] = json::object{{"provider", view.organisations.at(job.usage->provider).name},
                                   {"cpu_us", job.usage->receipt.cpu_us},
                                   {"wall_us", job.usage->receipt.wall_us},
                                   {"memory_peak_bytes", job.usage->receipt.memory_peak_bytes},
                                   {"exit_code", job.usage->receipt.exit_code},
                                   {"signal", job.usage->receipt.signal}};
  }
  if (job.settlement) {
    const Settlement& settlement = *job.settlement;
    json::array payments;
    for (const Payment& payment : settlement.payments) {
      const auto found = view.organisations.find(payment.organisation);
      payments.push_back(
          json::object{{"organisation", found == view.organisations.end() ? "?" : found->second.name},
                       {"windows", payment.windows},
                       {"work_mflop", payment.work_mflop},
                       {"cpu_us", payment.cpu_us},
                       {"amount_micro", payment.amount}});
    }
    object["settlement"] = json::object{{"result", job_result_name(settlement.result)},
                                        {"verified", settlement.verified},
                                        {"windows_paid", settlement.windows_paid},
                                        {"windows_verified", settlement.windows_verified},
                                        {"final_digest", settlement.final_digest.str()},
                                        {"payments", payments},
                                        {"fee_burned_micro", settlement.fee_burned},
                                        {"fee_treasury_micro", settlement.fee_treasury},
                                        {"refund_micro", settlement.refund}};
  }
  if (!whole) return object;
  object["script_digest"] = job.order.script_digest.str();
  object["data_digest"] = job.order.data_content_digest.str();
  object["folder"] = JobFolder(node.home, job.id).path();
  const auto spec = load_job_spec(JobFolder(node.home, job.id).spec());
  if (spec.ok() && spec->array_task) {
    object["array_job"] = spec->array_job == 0 ? job.id : spec->array_job;
    object["array_task"] = *spec->array_task;
  }
  return object;
}

std::string ordered_job_to_text(const Gateway& gateway, const OrderedJob& job) {
  const auto quoted = [](const std::string& text) { return json::serialize(json::string(text)); };
  std::string text = R"({"schema":"ufab.job/1","job":)" + std::to_string(job.id) + R"(,"name":)" +
                     quoted(job.name) + R"(,"kind":")" + job_kind_name(job.kind) + R"(","owner":)" +
                     quoted(job.owner) + R"(,"state":"PENDING","code":"PD","phase":")" +
                     job_phase_name(JobPhase::ordered) + R"(","budget_micro":)" + std::to_string(job.budget) +
                     R"(,"steps":)" + std::to_string(job.steps) + R"(,"attempts":0,"held":)" +
                     (gateway.is_held(job.id) ? "true" : "false") + R"(,"finished":false,"reason":)" +
                     quoted(gateway.pending_reason(job.id)) + R"(,"members":[])";
  if (const auto task = gateway.task_of(job.id)) {
    text +=
        R"(,"array_job":)" + std::to_string(task->array) + R"(,"array_task":)" + std::to_string(task->task);
  }
  if (job.kind == JobKind::training) {
    text += R"(,"windows":{"total":)" + std::to_string(job.windows) +
            R"(,"complete":0,"assigned":0,"verified":0})";
  }
  text += '}';
  return text;
}

std::string ordered_job_to_row(const Gateway& gateway, const OrderedJob& job) {
  return shown_number(gateway, job.id) + "|" + job.name + "|" + job.owner + "|PENDING|PD|0|" +
         std::to_string(job.steps) + "||" + gateway.pending_reason(job.id);
}

std::string job_to_row(const NodeContext& node, const Gateway& gateway, const JobView& view) {
  const json::object job = job_to_json(node, gateway, view, false);
  std::string providers;
  std::uint64_t step = 0;  // the gang runs in lock-step: the member that reported last is the truth for all
  for (const json::value& entry : job.at("members").as_array()) {
    const json::object& member = entry.as_object();
    providers += (providers.empty() ? "" : ",") + std::string(member.at("organisation").as_string());
    if (const json::value* at = member.if_contains("step"))
      step = std::max(step, at->to_number<std::uint64_t>());
  }
  const auto text = [&](const char* key) { return std::string(job.at(key).as_string()); };
  return shown_number(gateway, view.job.id) + "|" + text("name") + "|" + text("owner") + "|" + text("state") +
         "|" + text("code") + "|" + std::to_string(step) + "|" + std::to_string(view.job.order.steps) + "|" +
         providers + "|" + text("reason");
}

namespace {

json::object standing_to_json(const State& state, const Standing& standing) {
  json::array faults;
  for (const FaultEntry& fault : standing.recent) {
    const OrgEntry* by = state.organisation(fault.by);
    faults.push_back(json::object{{"kind", fault_kind_name(fault.kind)},
                                  {"job", fault.job},
                                  {"by", by == nullptr ? "" : by->name},
                                  {"block", fault.height},
                                  {"epoch", fault.epoch},
                                  {"points", fault.points}});
  }
  return {{"status", standing_status_name(standing.status)},
          {"points", standing.points},
          {"step", standing.step},
          {"until_epoch", standing.until_epoch},
          {"faults", std::move(faults)}};
}

json::object benchmark_to_json(const State& state, const OrgEntry& organisation) {
  const BenchmarkEntry& benchmark = *organisation.benchmark;
  const OrgEntry* verifier = state.organisation(benchmark.verifier);
  return {{"state", benchmark_state_name(benchmark.check)},
          {"valid", state.benchmark_valid(organisation)},
          {"mflops", benchmark.mflops},
          {"challenge_block", benchmark.challenge_height},
          {"lanes", benchmark.lanes_count},
          {"repeats", benchmark.repeats},
          {"epoch_end", benchmark.epoch_end},
          {"verifier", verifier == nullptr ? "" : verifier->name}};
}

}  // namespace

json::object organisation_to_json(const State& state, const OrgEntry& organisation) {
  json::object object{
      {"organisation", organisation.name},
      {"number", organisation.id},
      {"balance_micro", state.balance(organisation.id)},
      {"stake_micro", state.stake(organisation.id)},
      {"unbonding_micro", state.accounts().balance({AccountKind::unbonding, organisation.id})},
      {"escrow_micro", organisation.escrowed},
      {"spent_micro", organisation.spent},
      {"used_slot_s", decayed_use(organisation, state.time_us())},
      {"score", organisation.score},
      {"endpoint", organisation.endpoint}};
  if (organisation.agent) {
    const AgentEntry& agent = *organisation.agent;
    object["agent"] = json::object{{"key", agent.key.hex()},
                                   {"allowance_micro", agent.allowance},
                                   {"escrow_micro", agent.escrowed},
                                   {"spent_micro", agent.spent},
                                   {"records", agent.sequence}};
  }
  if (organisation.provider) {
    const ProviderOffer& offer = organisation.provider->offer;
    object["provider"] = json::object{{"status", provider_status_name(organisation.provider->status)},
                                      {"slots", offer.ranks * offer.threads},
                                      {"memory_mib", offer.memory_bytes >> 20},
                                      {"mflops", state.speed_mflops(organisation)},
                                      {"mflops_claimed", offer.mflops},
                                      {"obstacle", state.lease_obstacle(organisation)},
                                      {"price_micro_per_tflop", offer.price_per_tflop},
                                      {"price_micro_per_cpu_hour", offer.price_per_cpu_hour}};
    object["standing"] = standing_to_json(state, organisation.standing);
    if (organisation.benchmark) object["benchmark"] = benchmark_to_json(state, organisation);
  }
  return object;
}

}  // namespace ufab::jobs
