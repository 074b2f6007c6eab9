#include "jobs/node/provider_agent.h"
#include "jobs/node/housekeeping.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <filesystem>

#include "fabric/base/file.h"
#include "fabric/train/checkpoint.h"
#include "fabric/train/gang.h"
#include "fabric/train/window.h"
#include "jobs/node/lease_desk.h"
#include "jobs/node/run_environment.h"

namespace ufab::jobs {

namespace {

constexpr std::uint64_t max_corpus_bytes = std::uint64_t{1} << 42;
constexpr std::uint64_t max_checkpoint_bytes = std::uint64_t{1} << 42;

// The error of something that only has to wait: said once, tried again.
Error waiting(std::string line) {
  return {ErrorCode::unavailable, std::move(line)};
}

const MemberEntry* member_of(const AttemptEntry& attempt, OrgId organisation) {
  const auto index = JobEntry::member_of(attempt, organisation);
  return index ? &attempt.members[*index] : nullptr;
}

Result<std::uint16_t> free_port(const std::string& host) {
  UFAB_ASSIGN(const Listener listener, Listener::bind_for_later(host));
  return listener.endpoint().port;
}

Status make_executable(const std::string& path) {
  if (::chmod(path.c_str(), 0700) != 0) return Error{ErrorCode::io, path + ": cannot be made executable"};
  return {};
}

}  // namespace

std::string run_name(JobId job, std::uint32_t attempt) {
  return "job-" + std::to_string(job) + "-" + std::to_string(attempt);
}

std::optional<std::pair<JobId, std::uint32_t>> parse_run_name(std::string_view name) {
  JobId job = 0;
  std::uint32_t attempt = 0;
  if (!name.starts_with("job-")) return std::nullopt;
  const std::size_t dash = name.find('-', 4);
  if (dash == std::string_view::npos) return std::nullopt;
  const auto number = [](std::string_view text, auto& into) {
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), into);
    return failed == std::errc() && end == text.data() + text.size();
  };
  if (!number(name.substr(4, dash - 4), job) || !number(name.substr(dash + 1), attempt)) return std::nullopt;
  return std::pair(job, attempt);
}

UsageReceipt usage_receipt(JobId job, std::uint32_t attempt, const RunStatus& status,
                           std::uint64_t processors) {
  UsageReceipt usage;
  usage.job = job;
  usage.attempt = attempt;
  usage.wall_us =
      status.end_us > status.start_us ? static_cast<std::uint64_t>(status.end_us - status.start_us) : 0;
  usage.cpu_us = std::min(status.cpu_us, usage.wall_us * processors);
  usage.memory_peak_bytes = status.max_rss_kib * 1024;
  usage.exit_code = static_cast<std::uint32_t>(status.exit_code);
  usage.signal = static_cast<std::uint32_t>(status.signal);
  const bool stopped = status.result != RunResult::completed && status.result != RunResult::failed;
  if (stopped && usage.exit_code == 0 && usage.signal == 0) usage.signal = SIGTERM;
  return usage;
}

std::optional<UsageValues> usage_values(const RunStatus& status) {
  if (status.external_id == 0 || status.cluster.empty() || status.end_us == 0) return std::nullopt;
  const auto time = [](std::int64_t us) { return static_cast<std::uint64_t>(std::max<std::int64_t>(0, us)); };
  UsageValues usage;
  usage.cluster = status.cluster;
  usage.external_id = status.external_id;
  usage.submit_us = time(status.submit_us);
  usage.start_us = time(status.start_us);
  usage.end_us = time(status.end_us);
  usage.elapsed_us = time(status.elapsed_us);
  usage.cpu_us = status.cpu_us;
  usage.processors = status.processors;
  usage.nodes = status.nodes;
  usage.memory_peak_bytes = status.max_rss_kib * 1024;
  usage.gpus = status.gpus;
  usage.gpu_us = status.gpu_us;
  usage.energy_j = status.energy_j;
  usage.billing_s = status.billing_s;
  usage.state = run_result_code(status.result);
  usage.exit_code = static_cast<std::uint32_t>(status.exit_code);
  usage.signal = static_cast<std::uint32_t>(status.signal);
  usage.user = status.user;
  usage.partition = status.partition;
  return usage;
}

std::optional<std::uint64_t> paid_seconds(MicroUnc budget, std::uint64_t fee_ppm, MicroUnc price_per_cpu_hour,
                                          std::uint64_t processors) {
  if (price_per_cpu_hour == 0 || processors == 0) return std::nullopt;
  const MicroUnc for_use = mul_div(budget, ppm_one, ppm_one + fee_ppm).value_or(budget);
  const auto price = checked_mul(price_per_cpu_hour, processors);
  if (!price) return 1;
  const auto seconds = mul_div(for_use, 3600, *price);
  return seconds ? *seconds + 1 : seconds;  // the part of a second that is left is not worth a dispute
}

void ProviderAgent::tick() {
  if (!node_.config.provider) return;
  const OrgId self = node_.chain->self();
  if (self == 0) return;
  node_.desk->look(*node_.chain, self, LeaseDesk::Clock::now());
  for (const JobView& view : views_of(self)) {
    const Status status = advance(view);
    if (view.job.phase == JobPhase::settled && !has_runs(view)) {
      watched_.erase(view.job.id);
      said_.erase(std::to_string(view.job.id));
      continue;
    }
    const std::string key = std::to_string(view.job.id);
    const std::string line = status.ok() ? std::string() : status.error().message;
    if (std::exchange(said_[key], line) != line && !line.empty()) {
      node_.log("job " + key + ": " + line);
    }
  }
  file_imports();
}

Status ProviderAgent::advance(const JobView& view) {
  const JobEntry& job = view.job;
  const OrgId self = node_.chain->self();
  const AttemptEntry& attempt = job.attempts.back();
  const MemberEntry* member = member_of(attempt, self);
  const bool over = job.phase == JobPhase::settled || job.cancelled.has_value();
  if (over || member == nullptr) {
    end_other_runs(view, 0);
    if (member == nullptr || job.phase == JobPhase::settled) return {};
  }
  if (job.phase == JobPhase::leasing && !over) {
    end_other_runs(view, attempt.number);  // their leases are closed: others may have these processors
    return answer_ask(view, attempt, *member);
  }
  if (!member->leased) return {};
  if (job.phase == JobPhase::running && !over) {
    const auto status = node_.batch->status(run_name(job.id, attempt.number));
    if (!status.ok() && status.error().code == ErrorCode::not_found) UFAB_TRY(start_run(view, attempt));
  }
  if (job.order.kind == JobKind::batch) return file_usage(view, attempt);
  UFAB_TRY(file_receipts(view, attempt));
  return countersign(view, attempt);
}

void ProviderAgent::end_other_runs(const JobView& view, std::uint32_t keep_attempt) {
  for (const AttemptEntry& attempt : view.job.attempts) {
    if (attempt.number != keep_attempt)
      static_cast<void>(node_.batch->cancel(run_name(view.job.id, attempt.number)));
  }
}

Status ProviderAgent::fetch_inputs(const JobView& view, const JobFolder& folder) {
  const JobOrder& order = view.job.order;
  const OrgEntry& owner = view.organisations.at(view.job.owner);
  UFAB_TRY(make_folders(folder.path(), 0700));
  if (view.job.owner != node_.chain->self()) UFAB_TRY(mark_foreign(folder, owner.name));
  if (!file_exists(folder.spec())) {
    UFAB_TRY(fetch_job_file(node_, owner, view.job.id, "spec", folder.spec(), nullptr, 4u << 20));
  }
  if (!file_exists(folder.script())) {
    UFAB_TRY(fetch_job_file(node_, owner, view.job.id, "script", folder.script(), &order.script_digest,
                            max_script_bytes));
  }
  UFAB_TRY(make_executable(folder.script()));
  if (order.kind != JobKind::training) return {};
  UFAB_ASSIGN(const JobSpec spec, load_job_spec(folder.spec()));
  if (!file_exists(folder.definition())) {
    UFAB_TRY(fetch_job_file(node_, owner, view.job.id, "definition", folder.definition(), &spec.definition,
                            1u << 20));
  }
  if (!file_exists(folder.corpus())) {
    const std::string blob = node_.home.blob(order.data_file_digest);
    if (!use_blob(blob)) {
      UFAB_TRY(make_folders(node_.home.file("blobs"), 0700));
      UFAB_TRY(fetch_job_file(node_, owner, view.job.id, "corpus", blob, &order.data_file_digest,
                              max_corpus_bytes));
    }
    std::error_code error;
    std::filesystem::create_hard_link(blob, folder.corpus(), error);
    if (error) return Error{ErrorCode::io, folder.corpus() + ": " + error.message()};
  }
  return {};
}

Status ProviderAgent::file_lease(const JobView& view, const AttemptEntry& attempt,
                                 const MemberEntry& member) {
  // What the ledger would refuse is not sent again and again.
  const OrgId self = node_.chain->self();
  const std::string obstacle =
      node_.chain->read([&](const State& state) { return state.lease_obstacle(*state.organisation(self)); });
  if (!obstacle.empty()) return waiting("no lease: this provider " + obstacle);
  UFAB_TRY(check_isolation(view));
  const JobFolder folder(node_.home, view.job.id);
  UFAB_TRY(fetch_inputs(view, folder));
  UFAB_ASSIGN(const JobSpec spec, load_job_spec(folder.spec()));
  UFAB_TRY(check_ordered(spec, view.job.order));
  const ProviderConfig& provider = *node_.config.provider;
  const std::uint64_t slots = std::uint64_t{spec.options.tasks} * spec.options.cpus_per_task;
  if (slots > provider.slots) {
    return Error{ErrorCode::limit, "declined: the job wants " + std::to_string(slots) +
                                       " processors, this provider offers " + std::to_string(provider.slots)};
  }
  UFAB_TRY(make_folders(folder.attempt(attempt.number), 0700));
  const std::string key_path = folder.attempt(attempt.number) + "/bridge.key";
  if (!file_exists(key_path)) UFAB_TRY(KeyPair::generate().save(key_path));
  UFAB_ASSIGN(const KeyPair bridge, KeyPair::load(key_path));
  UFAB_ASSIGN(const std::uint16_t port, free_port(node_.config.listen_host));

  Lease lease;
  lease.job = view.job.id;
  lease.attempt = attempt.number;
  lease.micro_batch_first = member.share.micro_batch_first;
  lease.micro_batch_count = member.share.micro_batch_count;
  lease.ranks = spec.options.tasks;
  lease.threads = spec.options.cpus_per_task;
  lease.price_per_tflop = provider.price_micro_per_tflop;
  lease.price_per_cpu_hour = provider.price_micro_per_cpu_hour;
  lease.bridge_key = bridge.public_key();
  lease.bridge_address = Endpoint{node_.config.listen_host, port}.str();
  const auto submitted = node_.chain->submit(lease);
  if (!submitted) return submitted.error().within("lease");
  node_.log("job " + std::to_string(view.job.id) + ": leased micro-batches [" +
            std::to_string(lease.micro_batch_first) + ", " +
            std::to_string(lease.micro_batch_first + lease.micro_batch_count) + ") of attempt " +
            std::to_string(attempt.number));
  return {};
}

// Another member, or one of an earlier attempt, has the checkpoint that this attempt starts from.
Status ProviderAgent::fetch_resume_checkpoint(const JobView& view, const AttemptEntry& attempt) {
  const JobEntry& job = view.job;
  const std::uint64_t step = attempt.window_first * job.order.window_steps;
  const std::string name = "checkpoint:" + std::to_string(attempt.number) + ":" + std::to_string(step);
  if (resolve_job_file(node_.home, job.id, name)) return {};
  const JobFolder folder(node_.home, job.id);
  const std::string destination = checkpoint_path(folder.out(attempt.number), step);
  UFAB_TRY(make_folders(folder.out(attempt.number) + "/checkpoints", 0700));
  std::string reasons;
  for (auto earlier = job.attempts.rbegin(); earlier != job.attempts.rend(); ++earlier) {
    for (const MemberEntry& member : earlier->members) {
      const auto found = view.organisations.find(member.share.organisation);
      if (found == view.organisations.end() || found->first == node_.chain->self()) continue;
      const Status status =
          fetch_job_file(node_, found->second, job.id, name, destination, nullptr, max_checkpoint_bytes);
      if (status.ok()) return {};
      reasons = status.error().message;
    }
  }
  return waiting("nobody has the checkpoint of step " + std::to_string(step) + " (" + reasons + ")");
}

Status ProviderAgent::start_run(const JobView& view, const AttemptEntry& attempt) {
  const JobEntry& job = view.job;
  const OrgId self = node_.chain->self();
  end_other_runs(view, attempt.number);
  for (const AttemptEntry& earlier : job.attempts) {
    if (earlier.number == attempt.number) continue;
    const auto status = node_.batch->status(run_name(job.id, earlier.number));
    if (status.ok() && status->state != RunState::ended) {
      return waiting("attempt " + std::to_string(earlier.number) + " is still ending");
    }
  }
  const JobFolder folder(node_.home, job.id);
  UFAB_TRY(fetch_inputs(view, folder));
  UFAB_ASSIGN(const JobSpec spec, load_job_spec(folder.spec()));
  const bool training = job.order.kind == JobKind::training;
  const bool isolated = node_.config.provider->isolation.applies_to(view.organisations.at(job.owner).name);
  std::optional<TrainingInputs> inputs;
  if (training) {
    UFAB_TRY(make_folders(folder.out(attempt.number), 0700));
    Gang& gang = inputs.emplace().gang;
    gang.job = job.id;
    gang.attempt = attempt.number;
    gang.bridge_secret = folder.attempt(attempt.number) + "/bridge.key";
    for (const MemberEntry& member : attempt.members) {
      if (member.share.organisation == self) gang.self = static_cast<std::uint32_t>(gang.members.size());
      UFAB_ASSIGN(const Endpoint endpoint, Endpoint::parse(member.lease.bridge_address));
      gang.members.push_back({view.organisations.at(member.share.organisation).name, member.lease.bridge_key,
                              endpoint.host, endpoint.port, member.share.micro_batch_first,
                              member.share.micro_batch_count});
    }
    if (attempt.window_first > 0) {
      UFAB_TRY(fetch_resume_checkpoint(view, attempt));
      const std::uint64_t step = attempt.window_first * job.order.window_steps;
      UFAB_ASSIGN(inputs->resume, resolve_job_file(node_.home, job.id,
                                                   "checkpoint:" + std::to_string(attempt.number) + ":" +
                                                       std::to_string(step)));
      gang.resume = inputs->resume->folder + "/" + inputs->resume->name;
    }
    if (!isolated)
      UFAB_TRY(
          write_file_atomic(folder.attempt(attempt.number) + "/gang.json", as_bytes(gang_json(gang) + "\n")));
  }

  const bool own_job = job.owner == self;
  const SubmitOptions& options = spec.options;
  RunRequest run;
  run.name = run_name(job.id, attempt.number);
  run.script = folder.script();
  run.arguments = spec.arguments;
  run.folder = folder.path();
  if (own_job) run.folder = options.working_folder.empty() ? spec.submit_folder : options.working_folder;
  run.input = "/dev/null";
  if (own_job) {
    const std::string input = expand_file_name(options.input, name_values(spec, job.id));
    run.input = (std::filesystem::path(run.folder) / input).string();
  }
  run.output = folder.path() + "/output";
  const bool one_file = options.error.empty() || options.error == options.output;
  run.error = one_file ? run.output : folder.path() + "/error";
  run.append_output = attempt.number > 1;  // what earlier attempts said stays
  run.environment = run_environment(node_, spec, job.id, attempt, own_job);
  run.job_name = spec.name;
  run.script_digest = job.order.script_digest;
  run.tasks = options.tasks;
  run.cpus_per_task = options.cpus_per_task;
  run.slots = options.tasks * options.cpus_per_task;
  run.time_limit_s = run_limit_s(spec, job.order);
  if (!training && !own_job) {
    // The specification is its owner's word; what the ledger holds in escrow is all that will be paid.
    const std::uint64_t fee_ppm =
        node_.chain->read([](const State& state) { return state.params().fee_ppm; });
    const Lease& lease = member_of(attempt, self)->lease;
    const auto paid = paid_seconds(job.order.budget, fee_ppm, lease.price_per_cpu_hour, run.slots);
    if (paid && (run.time_limit_s == 0 || run.time_limit_s > *paid)) run.time_limit_s = *paid;
  }
  run.memory_limit_mib = options.memory_mib;
  if (options.signal) {
    run.warn_signal = options.signal->number;
    run.warn_before_s = options.signal->seconds_before_end;
    run.warn_shell_only = options.signal->batch_shell_only;
  }
  if (isolated) UFAB_TRY(isolate(view, attempt, inputs, own_job, run));
  UFAB_TRY(note_import(run.name));
  UFAB_TRY(node_.batch->start(run));
  node_.log("job " + std::to_string(job.id) + ": started attempt " + std::to_string(attempt.number));
  return {};
}

Status ProviderAgent::file_receipts(const JobView& view, const AttemptEntry& attempt) {
  const JobEntry& job = view.job;
  const OrgId self = node_.chain->self();
  const std::size_t me = *JobEntry::member_of(attempt, self);
  const JobFolder folder(node_.home, job.id);
  const JobFile written = folder.written(attempt.number, "windows.jsonl");
  const auto text = read_foreign_text(written.folder, written.name, window_claims_bytes_max);
  if (!text && text.error().code == ErrorCode::not_found) return {};
  UFAB_TRY(text);
  UFAB_ASSIGN(const std::vector<WindowClaim> claims, parse_window_claims(*text, written.name));
  std::vector<Receipt> receipts;
  for (const WindowClaim& claim : claims) {
    const auto line = job.windows.find(claim.window);
    const bool filed = line != job.windows.end() && line->second.attempt == attempt.number &&
                       me < line->second.receipts.size() && line->second.receipts[me].filed;
    if (filed || claim.window < attempt.window_first || receipts.size() == receipts_max) continue;
    Receipt receipt;
    receipt.job = job.id;
    receipt.attempt = attempt.number;
    receipt.provider = self;
    receipt.window = claim.window;
    receipt.start_digest = claim.start_digest;
    receipt.end_digest = claim.end_digest;
    receipt.contribution_root = claim.contributions_root;
    receipt.work_flop = claim.work_flop;
    receipt.cpu_us = claim.cpu_us;
    receipt.wall_us = claim.wall_us;
    receipt.memory_peak_bytes = claim.max_rss_kib * 1024;
    receipts.push_back(receipt);
  }
  if (receipts.empty() || (job.phase != JobPhase::running)) return {};
  // By its first window too: after a crash this node's copy may lack a receipt that is on the ledger, and
  // once it has caught up the rest must go in.
  const std::string key = run_name(job.id, attempt.number) + ":" + std::to_string(receipts.front().window) +
                          "-" + std::to_string(receipts.back().window);
  if (refused_.contains(key)) return {};
  const auto submitted = node_.chain->submit(ReceiptBatch::of(std::move(receipts)));
  if (!submitted) {
    const ErrorCode code = submitted.error().code;
    if (code != ErrorCode::unavailable && code != ErrorCode::timeout) refused_.insert(key);
    return submitted.error().within("receipts");
  }
  return {};
}

// A run under Slurm is noted in imports/ before it starts and until its use is on the ledger: accounting may
// answer long after the job has settled and left the state.
Status ProviderAgent::note_import(const std::string& run) {
  if (!node_.batch->keeps_accounts()) return {};
  UFAB_TRY(make_folders(node_.home.file("imports"), 0700));
  return write_file_atomic(node_.home.file("imports/" + run), {}, 0600);
}

void ProviderAgent::file_imports() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(node_.home.file("imports"), error)) {
    const std::string run = entry.path().filename().string();
    const auto parts = parse_run_name(run);
    if (!parts) continue;
    const auto done = [&](const std::string& trouble) {
      if (!trouble.empty()) node_.log("usage of " + run + " is not imported: " + trouble);
      std::filesystem::remove(entry.path(), error);
    };
    const auto status = node_.batch->status(run);
    if (!status) {
      if (status.error().code == ErrorCode::not_found) done("");  // noted, and never started
      continue;
    }
    if (status->state != RunState::ended) continue;
    if (status->external_id == 0) {
      done("");  // it never became a job
      continue;
    }
    const auto values = usage_values(*status);
    if (!values) continue;  // accounting has not answered yet
    const UsageSlot slot{parts->first, parts->second, node_.chain->self()};
    if (node_.chain->read([&](const State& state) { return state.usage_imports().find(slot) != nullptr; })) {
      done("");
      continue;
    }
    auto record = usage_import(slot.job, slot.attempt, *values);
    if (!record) {
      done(record.error().message);
      continue;
    }
    const auto submitted = node_.chain->submit(*std::move(record));
    if (submitted.ok()) {
      done("");
    } else if (submitted.error().code != ErrorCode::unavailable &&
               submitted.error().code != ErrorCode::timeout) {
      done(submitted.error().message);
    }
  }
}

Status ProviderAgent::countersign(const JobView& view, const AttemptEntry& attempt) {
  const JobEntry& job = view.job;
  if (job.phase != JobPhase::running) return {};
  const std::size_t me = *JobEntry::member_of(attempt, node_.chain->self());
  Countersignature signature;
  signature.job = job.id;
  signature.attempt = attempt.number;
  for (const auto& [number, window] : job.windows) {
    if (window.attempt != attempt.number || me >= window.receipts.size() || !window.receipts[me].filed)
      continue;
    const Receipt& own = window.receipts[me].receipt;
    for (std::size_t other = 0; other < window.receipts.size(); ++other) {
      const MemberReceipt& entry = window.receipts[other];
      const bool agreed = (entry.countersigned >> me & 1) != 0;
      if (other == me || !entry.filed || agreed || signature.receipts.size() == receipts_max) continue;
      // A member whose digests differ gets no signature: the ledger then sees a dispute.
      if (entry.receipt.start_digest != own.start_digest || entry.receipt.end_digest != own.end_digest)
        continue;
      signature.receipts.push_back({number, entry.receipt.provider, entry.digest});
    }
  }
  if (signature.receipts.empty()) return {};
  const auto submitted = node_.chain->submit(std::move(signature));
  return submitted.ok() ? Status{} : submitted.error().within("countersignature");
}

Status ProviderAgent::file_usage(const JobView& view, const AttemptEntry& attempt) {
  const JobEntry& job = view.job;
  if (job.usage || job.phase != JobPhase::running) return {};
  const auto status = node_.batch->status(run_name(job.id, attempt.number));
  if (!status) return status.error().code == ErrorCode::not_found ? Status{} : Status(status.error());
  if (status->state != RunState::ended) return {};
  // The script did not come to its end: no claim about it is filed until its owner has said that it failed;
  // else the owner plans the next attempt.
  if (is_machines_fault(status->result) && !job.cancelled) return {};
  const Lease& lease = member_of(attempt, node_.chain->self())->lease;
  const auto submitted = node_.chain->submit(
      usage_receipt(job.id, attempt.number, *status, std::uint64_t{lease.ranks} * lease.threads));
  return submitted.ok() ? Status{} : submitted.error().within("usage receipt");
}

}  // namespace ufab::jobs
