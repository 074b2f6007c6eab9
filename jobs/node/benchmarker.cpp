#include "jobs/node/benchmarker.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "fabric/base/file.h"
#include "fabric/bench/bench_run.h"
#include "jobs/node/run_environment.h"
#include "kernels/semantics.h"

namespace ufab::jobs {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
constexpr auto backoff_first = 5s;
constexpr auto backoff_max = 600s;
constexpr std::uint64_t time_limit_s = 3600;  // of any run here: a lane may be checked on a slower machine
constexpr int check_tries_max = 3;
constexpr std::size_t result_bytes_max = 1 << 20;

std::string run_name(std::uint64_t height) {
  return "bench-" + std::to_string(height);
}

}  // namespace

std::uint64_t renewal_epochs(std::uint64_t epochs_valid) {
  return std::max<std::uint64_t>(1, epochs_valid / 4);
}

BenchmarkMove benchmark_move(const BenchmarkSituation& s) {
  if (s.under_way) {
    const bool gives_way = s.busy && s.epochs_left > 0;
    return gives_way || !s.wanted ? BenchmarkMove::stop : BenchmarkMove::nothing;
  }
  if (!s.wanted || s.filed || s.busy) return BenchmarkMove::nothing;
  const bool due = s.epochs_left <= renewal_epochs(s.epochs_valid);
  return due || s.asked ? BenchmarkMove::start : BenchmarkMove::nothing;
}

Benchmarker::Benchmarker(NodeContext& node) : node_(node) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(node_.home.file("bench"), error)) {
    const std::string name = entry.path().filename().string();
    std::uint64_t height = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), height);
    if (failed == std::errc() && end == name.data() + name.size())
      height_ = std::max(height, height_.value_or(0));
  }
}

std::string Benchmarker::folder_of(std::uint64_t height) const {
  return node_.home.file("bench/" + std::to_string(height));
}

Benchmarker::View Benchmarker::look(OrgId self) const {
  View view = node_.chain->read([&](const State& state) {
    View seen;
    const EnrolmentParams& p = state.params().enrolment;
    if (p.bench_epochs == 0) return seen;
    seen.ms_min = p.bench_ms_min;
    const OrgEntry& org = *state.organisation(self);
    BenchmarkSituation& s = seen.situation;
    s.epochs_valid = p.bench_epochs;
    s.wanted = org.provider && org.provider->status == ProviderStatus::active && may_lease(org.standing);
    if (org.provider)
      seen.slots = static_cast<std::uint32_t>(std::min<std::uint64_t>(
          std::uint64_t{org.provider->offer.ranks} * org.provider->offer.threads, provider_slots_max));
    if (state.benchmark_stands(org)) {
      s.epochs_left = org.benchmark->epoch_end - state.epoch();
      s.filed = org.benchmark->epoch_filed == state.epoch() || check_pending(*org.benchmark);
    }
    const bool matters = height_.has_value() || asked_ || s.epochs_left <= renewal_epochs(p.bench_epochs);
    s.busy = matters && std::any_of(state.jobs().begin(), state.jobs().end(), [&](const auto& item) {
               const JobEntry& job = item.second;
               return (job.phase == JobPhase::leasing || job.phase == JobPhase::running) && !job.cancelled &&
                      JobEntry::member_of(job.attempts.back(), self).has_value();
             });
    for (const auto& [id, other] : state.organisations()) {
      if (!other.benchmark || other.benchmark->check != BenchmarkState::waiting ||
          other.benchmark->verifier != self) {
        continue;
      }
      const BenchmarkEntry& b = *other.benchmark;
      seen.duties.push_back({id, other.name, b.challenge_height, b.semantics_version, b.repeats,
                             benchmark_lane_seed(b.challenge, b.lane)});
    }
    return seen;
  });
  if (!node_.config.provider) view.situation.wanted = false;
  view.situation.asked = asked_;
  view.situation.under_way = height_.has_value();
  return view;
}

void Benchmarker::tick() {
  const OrgId self = node_.chain->self();
  if (self == 0) return;
  const View view = look(self);
  // Only on a block that has just been made: its age would count as computing time.
  const std::uint64_t height = node_.chain->ledger().head().height;
  const bool fresh = std::exchange(height_seen_, height) != height;
  const auto say = [&](const std::string& what, const Status& status) {
    const std::string line = status.ok() ? std::string() : status.error().message;
    if (std::exchange(said_[what], line) != line && !line.empty()) node_.log(what + ": " + line);
  };
  switch (benchmark_move(view.situation)) {
    case BenchmarkMove::start:
      if (fresh && Clock::now() >= not_before_) say("benchmark", start(self, view));
      break;
    case BenchmarkMove::stop:
      node_.log("benchmark: stopped; it is run again once the provider is idle");
      static_cast<void>(node_.batch->cancel(run_name(*height_)));
      forget(false);
      break;
    case BenchmarkMove::nothing:
      if (height_) say("benchmark", watch());
      break;
  }
  for (const Duty& duty : view.duties) say("check of the benchmark of " + duty.name, check(duty));
}

Status Benchmarker::start_run(const std::string& name, const std::string& folder, std::uint32_t lanes,
                              std::uint32_t threads, const std::string& options) {
  const std::string script =
      "#!/bin/sh\n"
      "# Written by ufabd: a benchmark, or a lane of another's, with the project's exact kernels.\n"
      "exec ufab train --ranks \"$UFAB_RANKS\" --threads \"$UFAB_THREADS\" -- --bench seeds --out . " +
      options + "\n";
  UFAB_TRY(write_file_atomic(folder + "/bench.sh", as_bytes(script), 0700));
  JobSpec spec;
  spec.name = "benchmark";
  spec.options.tasks = lanes;
  spec.options.cpus_per_task = threads;
  AttemptEntry attempt;
  attempt.number = 1;
  RunRequest run;
  run.name = name;
  run.script = folder + "/bench.sh";
  run.folder = folder;
  run.input = "/dev/null";
  run.output = run.error = folder + "/output";
  run.environment = run_environment(node_, spec, 0, attempt, false);
  run.tasks = lanes;
  run.cpus_per_task = threads;
  run.slots = lanes * threads;
  run.time_limit_s = time_limit_s;
  return node_.batch->start(run);
}

Status Benchmarker::start(OrgId self, const View& view) {
  const std::uint32_t slots = std::min(view.slots, run_slots(node_.config));
  const auto lanes = static_cast<std::uint32_t>(std::min<std::size_t>(slots, benchmark_lanes_max));
  const Head head = node_.chain->ledger().head();
  const Digest challenge = benchmark_challenge(head.hash, self);
  const std::string folder = folder_of(head.height);
  UFAB_TRY(make_folders(folder, 0700));
  std::string seeds;
  for (std::uint32_t lane = 0; lane < lanes; ++lane)
    seeds += benchmark_lane_seed(challenge, lane).str() + "\n";
  UFAB_TRY(write_file_atomic(folder + "/seeds", as_bytes(seeds)));
  // Half as long again as the chain wants: what is not computing (starting ranks, the way to the next block)
  // counts against the provider, the less the longer it runs.
  const std::uint64_t ms = view.ms_min + view.ms_min / 2;
  height_ = head.height;
  Status started =
      start_run(run_name(head.height), folder, lanes, slots / lanes,
                "--bench-seconds " + std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 / 100));
  if (!started.ok()) {
    forget(true);
    return started;
  }
  node_.log("benchmark: " + std::to_string(lanes) + " lanes, challenge of block " +
            std::to_string(head.height));
  return {};
}

void Benchmarker::forget(bool failed) {
  std::error_code error;
  fs::remove_all(folder_of(*height_), error);
  height_.reset();
  asked_ = false;
  failures_ = failed ? std::min(failures_ + 1, 16U) : 0;
  if (failed) {
    not_before_ =
        Clock::now() + std::min<Clock::duration>(backoff_first * (1U << (failures_ - 1)), backoff_max);
  }
}

Status Benchmarker::watch() {
  const auto status = node_.batch->status(run_name(*height_));
  if (!status.ok()) {
    if (status.error().code != ErrorCode::not_found) return status.error();
    forget(true);  // noted, and never started
    return {};
  }
  if (status->state != RunState::ended) return {};
  Status filed = file(folder_of(*height_));
  if (!filed.ok() &&
      (filed.error().code == ErrorCode::unavailable || filed.error().code == ErrorCode::timeout))
    return filed;  // the validator may be back before the challenge is too old
  forget(!filed.ok());
  return filed;
}

Status Benchmarker::file(const std::string& folder) {
  const auto text = read_text_file(folder + "/result.json", result_bytes_max);
  if (!text) {
    const auto output = read_text_file(folder + "/output", result_bytes_max);
    const std::string said = output ? output->substr(0, output->find('\n')) : "nothing";
    return Error{ErrorCode::io, "it ended without a result; it said: " + said};
  }
  UFAB_ASSIGN(BenchResult result, parse_bench_result(*text));
  if (result.repeats == 0 || result.repeats > benchmark_repeats_max ||
      result.lanes.size() > benchmark_lanes_max)
    return Error{ErrorCode::invalid, "its result is out of bounds"};
  ProviderBenchmark body;
  body.challenge_height = *height_;
  body.semantics_version = result.semantics_version;
  body.repeats = static_cast<std::uint32_t>(result.repeats);
  body.lanes = std::move(result.lanes);
  const auto submitted = node_.chain->submit(std::move(body));
  if (!submitted) return submitted.error();
  node_.log("benchmark: on the ledger, block " + std::to_string(submitted->height));
  return {};
}

Status Benchmarker::check(const Duty& duty) {
  const std::string key = std::to_string(duty.organisation) + "-" + std::to_string(duty.challenge_height);
  const std::string folder = node_.home.file("bench-checks/" + key);
  int& tries = tries_[key];
  if (duty.semantics_version != static_cast<std::uint32_t>(kernels::kSemanticsVersion)) {
    return Error{ErrorCode::conflict, "it was made with version " + std::to_string(duty.semantics_version) +
                                          " of the kernels, this node has " +
                                          std::to_string(kernels::kSemanticsVersion)};
  }
  if (tries >= check_tries_max) return {};
  const std::string name = "bench-check-" + key + "-" + std::to_string(tries);
  const auto status = node_.batch->status(name);
  if (!status.ok()) {
    if (status.error().code != ErrorCode::not_found) return status.error();
    UFAB_TRY(make_folders(folder, 0700));
    UFAB_TRY(write_file_atomic(folder + "/seeds", as_bytes(duty.seed.str() + "\n")));
    return start_run(name, folder, 1, 1, "--bench-repeats " + std::to_string(duty.repeats));
  }
  if (status->state != RunState::ended) return {};
  const auto text = read_text_file(folder + "/result.json", result_bytes_max);
  if (!text) {
    ++tries;
    return Error{ErrorCode::io, "it ended without a result; see " + folder + "/output"};
  }
  UFAB_ASSIGN(const BenchResult result, parse_bench_result(*text));
  if (result.lanes.size() != 1 || result.repeats != duty.repeats) {
    ++tries;
    return Error{ErrorCode::invalid, "its result is about something else"};
  }
  const auto submitted =
      node_.chain->submit(BenchmarkCheck{duty.organisation, duty.challenge_height, result.lanes[0]});
  if (!submitted) return submitted.error();
  node_.log("benchmark of " + duty.name + ": a lane re-executed");
  std::error_code error;
  fs::remove_all(folder, error);
  tries_.erase(key);
  return {};
}

}  // namespace ufab::jobs
