#include "fabric/train/trainer.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>
#include <future>

#include "fabric/train/bridge.h"
#include "fabric/train/checkpoint.h"
#include "fabric/train/first_state.h"
#include "fabric/train/plan_run.h"
#include "fabric/train/run_log.h"
#include "kernels/gradient.h"

namespace ufab {

namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t micros_since(Clock::time_point begin) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count());
}

std::uint64_t cpu_us(const rusage& usage) {
  const auto micros = [](const timeval& t) {
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(t.tv_usec);
  };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

rusage own_usage() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage;
}

class Trainer {
 public:
  Trainer(const Group& group, const TrainOptions& options, const TrainHooks& hooks,
          const volatile std::sig_atomic_t& stop)
      : group_(group), options_(options), definition_(options.definition), hooks_(hooks), stop_(stop) {}

  Result<TrainResult> run();

 private:
  Status load();
  Status prepare();
  Status join_gang();
  Status load_start();
  Status load_first();
  Status adopt(Result<Checkpoint> loaded, const std::string& path);
  Status choose_shares();

  // One step; stopped_ says that it ended early because somebody was told to stop.
  Status step();
  // Sums of all providers in sums_, or what prevents it. `report` in: this rank's; out: everybody's.
  Status gather(std::span<const int> exponents, std::uint32_t attempt, StepReport& report);
  Status exchange_with_gang(StepReport& report);
  void start_hashing();
  double evaluate();
  Status finish_step(StepLog line, Clock::time_point begin);
  void begin_window();
  Status end_window();
  Status save();
  Status write_result(const TrainResult& result, std::uint64_t wall_ms);

  [[nodiscard]] bool ends_window(std::uint64_t step) const {
    return step % static_cast<std::uint64_t>(definition_.window) == 0 || step == steps();
  }
  [[nodiscard]] std::uint64_t steps() const { return static_cast<std::uint64_t>(definition_.steps); }
  [[nodiscard]] MicroBatchRange provider_range() const {
    const GangMember& self = options_.gang.self_member();
    return {self.first_micro_batch, self.micro_batches};
  }

  const Group& group_;
  const TrainOptions& options_;
  const JobDefinition& definition_;
  const TrainHooks& hooks_;
  const volatile std::sig_atomic_t& stop_;

  std::optional<RunInputs> inputs_;
  std::optional<Engine> engine_;
  std::unique_ptr<Bridge> bridge_;  // leader of a gang of two or more
  Digest definition_digest_;
  std::vector<std::uint64_t> weights_;
  std::optional<TrainState> state_;                     // in the engine's memory, from prepare() on
  StateDigests digests_;                                // of state_ at the last window's end
  std::optional<std::pmr::vector<std::int32_t>> sums_;  // likewise
  std::optional<SumExchange> exchange_;                 // of sums_
  std::vector<Digest> sum_leaves_;
  std::vector<std::future<void>> hashing_;   // of sums_ into sum_leaves_, beside the optimizer
  std::vector<std::uint64_t> fingerprints_;  // of the provider's micro-batches, this step
  std::vector<std::uint64_t> peaks_;         // of the provider's micro-batches, this step
  std::uint64_t slowest_step_us_ = 0;
  bool stopped_ = false;

  std::optional<RunLog> log_;
  std::optional<Progress> progress_;
  Contributions contributions_;
  Clock::time_point window_begin_;
  std::uint64_t window_cpu_us_ = 0;
};

// Nothing is taken or written before every rank has what it needs and room for the plan.
Status Trainer::load() {
  UFAB_TRY(check_cover(options_.gang, static_cast<std::uint32_t>(definition_.micro_batches)));
  UFAB_ASSIGN(inputs_, load_inputs(group_, definition_, options_.corpus, options_.backend, options_.threads));
  return {};
}

Status Trainer::prepare() {
  definition_digest_ = definition_digest(definition_, inputs_->corpus.info().digest);
  engine_.emplace(definition_, inputs_->corpus, inputs_->split, *inputs_->backend, options_.recompute);
  state_.emplace(engine_->memory());
  sums_.emplace(engine_->parameter_count(), &engine_->memory());
  sum_leaves_.resize(chunk_count(sums_->size() * sizeof(std::int32_t)));
  if (group_.leader()) {
    UFAB_TRY(make_folders(options_.out + "/checkpoints"));
    UFAB_TRY(make_folders(options_.out + "/contributions"));
    prune_checkpoints(options_.out, 0);
  }
  return {};
}

Status Trainer::join_gang() {
  if (options_.gang.members.size() < 2 || !group_.leader()) return {};
  UFAB_ASSIGN(bridge_, Bridge::join(options_.gang, definition_digest_));
  return {};
}

Status Trainer::adopt(Result<Checkpoint> loaded, const std::string& path) {
  UFAB_TRY(loaded);
  if (loaded->info.definition != definition_digest_) {
    return Error{ErrorCode::conflict,
                 path + ": made by another job definition or corpus; --resume none starts anew"};
  }
  *state_ = std::move(loaded->state);
  digests_ = loaded->info.digests;
  return {};
}

Status Trainer::load_first() {
  *state_ = TrainState();  // never two states at a time: they are most of the memory
  auto first = first_state(*engine_, definition_, options_.init);
  UFAB_TRY(group_.agree(first.ok() ? Status() : first.error()));
  *state_ = std::move(*first);
  digests_ = group_state_digest(group_, *state_);
  return {};
}

Status Trainer::load_start() {
  bool loaded = false;
  if (options_.resume == "latest") {
    auto claims = load_window_claims(options_.out);
    if (!claims && claims.error().code != ErrorCode::not_found) return group_.agree(claims.error());
    for (const auto& file : list_checkpoints(options_.out)) {
      // Killed between a window's checkpoint and its claim: the window is done again, so that it is claimed.
      const bool claimed =
          claims && std::any_of(claims->begin(), claims->end(),
                                [&](const WindowClaim& claim) { return claim.end_step == file.step; });
      if (!claimed) continue;
      Status status = group_.agree(adopt(load_checkpoint(file.path), file.path));
      loaded = status.ok();
      if (loaded) break;
      if (status.error().code != ErrorCode::corrupt) return status;
      if (group_.leader())
        fmt::print(stderr, "ufab-train: {}; trying the one before\n", status.error().message);
    }
  } else if (options_.resume != "none") {
    UFAB_TRY(group_.agree(adopt(load_checkpoint(options_.resume), options_.resume)));
    loaded = true;
  }
  if (!loaded) UFAB_TRY(load_first());
  if (options_.gang.members.size() < 2) return {};

  // The members' newest checkpoints may differ by one when a run was killed: all go back to the oldest.
  std::array<std::int64_t, 1> lowest{static_cast<std::int64_t>(state_->step)};
  Status status;
  if (bridge_) {
    auto step = bridge_->lowest_step(state_->step);
    if (step.ok()) lowest[0] = static_cast<std::int64_t>(*step);
    if (!step.ok()) status = step.error();
  }
  UFAB_TRY(group_.agree(status));
  group_.broadcast(lowest);
  const auto start = static_cast<std::uint64_t>(lowest[0]);
  if (start == 0 && state_->step != 0) {
    UFAB_TRY(load_first());
  } else if (start != state_->step) {
    *state_ = TrainState();
    const std::string path = checkpoint_path(options_.out, start);
    UFAB_TRY(group_.agree(adopt(load_checkpoint(path), path)));
  }
  if (bridge_) status = bridge_->check_state(state_->step, digests_.state);
  return group_.agree(status);
}

Status Trainer::choose_shares() {
  weights_ = options_.shares;
  if (!weights_.empty() && weights_.size() != static_cast<std::size_t>(group_.size())) {
    return Error{ErrorCode::usage, fmt::format("{} shares for {} ranks", weights_.size(), group_.size())};
  }
  if (options_.measure_shares) {
    weights_.assign(static_cast<std::size_t>(group_.size()), 0);
    weights_[static_cast<std::size_t>(group_.rank())] = 1'000'000'000 / engine_->measure_us() + 1;
    group_.sum_everywhere(weights_);
  }
  return {};
}

Status Trainer::exchange_with_gang(StepReport& report) {
  Status status;
  if (bridge_) {
    const std::chrono::microseconds patience(20 * slowest_step_us_);
    const auto seen = [&](std::uint64_t chunk, ByteView bytes) { sum_leaves_[chunk] = sha256(bytes); };
    auto total = bridge_->exchange(report, *sums_, seen,
                                   std::chrono::duration_cast<std::chrono::milliseconds>(patience));
    if (total.ok()) report = *total;
    if (!total.ok()) status = total.error();
  }
  UFAB_TRY(group_.agree(status));
  std::vector<std::int64_t> shared{report.non_finite, report.stop, std::bit_cast<std::int64_t>(report.loss)};
  for (const std::uint64_t peak : report.peaks) shared.push_back(std::bit_cast<std::int64_t>(peak));
  group_.broadcast(shared);
  report.non_finite = shared[0] != 0;
  report.stop = shared[1] != 0;
  report.loss = std::bit_cast<std::uint64_t>(shared[2]);
  for (std::size_t t = 0; t < report.peaks.size(); ++t) {
    report.peaks[t] = std::bit_cast<std::uint64_t>(shared[3 + t]);
  }
  exchange_->broadcast(*sums_);
  return {};
}

// As many threads as the rank computes with: SHA-256 would otherwise take longer than all else that can be
// done meanwhile. Clearing hashing_ waits for them (the destructor of a std::async future does).
void Trainer::start_hashing() {
  const auto threads = static_cast<std::uint64_t>(inputs_->backend->threads());
  for (std::uint64_t first = 0; first < std::min<std::uint64_t>(threads, sum_leaves_.size()); ++first) {
    hashing_.push_back(std::async(std::launch::async, [this, first, threads] {
      hash_chunks(sum_bytes(*sums_), first, threads, sum_leaves_);
    }));
  }
}

Status Trainer::gather(std::span<const int> exponents, std::uint32_t attempt, StepReport& report) {
  const MicroBatchRange whole = provider_range();
  const MicroBatchRange mine = rank_range(group_, whole, weights_);
  const auto begin = Clock::now();
  const ShareReport share =
      engine_->sum_gradients(*state_, exponents, mine, *sums_, hooks_.after_micro_batch);
  slowest_step_us_ = std::max(slowest_step_us_, micros_since(begin));

  // Flags and loss, then a peak per tensor, then a fingerprint per micro-batch of the provider.
  std::vector<std::uint64_t> values{share.non_finite, stop_ != 0, static_cast<std::uint64_t>(share.loss)};
  const auto peaks = static_cast<std::ptrdiff_t>(values.size());
  values.insert(values.end(), share.peaks.begin(), share.peaks.end());
  const auto fingerprints = static_cast<std::ptrdiff_t>(values.size());
  values.resize(values.size() + whole.count);
  std::copy(share.fingerprints.begin(), share.fingerprints.end(),
            values.begin() + fingerprints + static_cast<std::ptrdiff_t>(mine.first - whole.first));
  group_.sum_everywhere(values);
  peaks_.assign(values.begin() + peaks, values.begin() + fingerprints);
  fingerprints_.assign(values.begin() + fingerprints, values.end());
  report = {state_->step + 1, attempt, values[0] != 0, values[1] != 0, values[2], peaks_};

  if (options_.gang.members.size() > 1) {
    exchange_->sum_to_leader(*sums_);
    return exchange_with_gang(report);
  }
  exchange_->sum_everywhere(*sums_);
  if (group_.leader()) {
    start_hashing();
  }
  return {};
}

Status Trainer::step() {
  const auto begin = Clock::now();
  if (hooks_.before_step) hooks_.before_step(*state_);
  StepReport report;
  std::vector<int> exponents = state_->exponents;
  std::uint32_t redone = 0;
  for (;; ++redone) {
    UFAB_TRY(gather(exponents, redone, report));
    const bool again = kernels::adjust_exponents(report.step, report.peaks, exponents);
    if (report.stop || again || report.non_finite) hashing_.clear();  // sums_ will change
    if (report.stop) {
      stopped_ = stop_ != 0 || options_.gang.members.size() < 2;
      if (stopped_) return {};
      return Error{ErrorCode::unavailable,
                   fmt::format("step {}: a member of the gang was stopped", report.step)};
    }
    if (report.non_finite) {
      return Error{ErrorCode::invalid,
                   fmt::format("step {}: the loss or a gradient is not finite; a lower learning rate or a "
                               "gradient clip may help",
                               report.step)};
    }
    if (!again) break;
    if (redone + 1 == kernels::kStepTries) {
      return Error{ErrorCode::invalid,
                   fmt::format("step {}: gradients outgrow every fixed-point scale; a lower "
                               "learning rate may help",
                               report.step)};
    }
  }
  const double loss = static_cast<double>(static_cast<std::int64_t>(report.loss)) * kLossUnit /
                      static_cast<double>(definition_.micro_batches);
  const double norm = engine_->apply(*state_, exponents, report.peaks, *sums_);
  hashing_.clear();
  if (group_.leader()) contributions_.steps.push_back({sum_digest(sum_leaves_, peaks_), fingerprints_});
  StepLog line;
  line.step = state_->step;
  line.loss = loss;
  line.grad_norm = norm;
  line.redone = redone;
  return finish_step(line, begin);
}

double Trainer::evaluate() {
  std::array<std::int64_t, 1> sum{engine_->evaluate(*state_, static_cast<std::uint64_t>(group_.rank()),
                                                    static_cast<std::uint64_t>(group_.size()))};
  group_.sum_everywhere(std::span<std::int64_t>(sum));
  return static_cast<double>(sum[0]) * kLossUnit / static_cast<double>(definition_.eval_batches);
}

Status Trainer::finish_step(StepLog line, Clock::time_point begin) {
  if (definition_.eval_every > 0 && line.step % static_cast<std::uint64_t>(definition_.eval_every) == 0) {
    line.eval_loss = evaluate();
  }
  line.learning_rate = learning_rate_at(definition_, state_->step);
  line.tokens = definition_.tokens_per_step();
  line.wall_ms = static_cast<double>(micros_since(begin)) / 1000;
  Status status;
  if (group_.leader()) {
    status = log_->step(line);
    progress_->step(line.step, line.loss, line.eval_loss, line.tokens);
  }
  if (!ends_window(state_->step)) return status;  // a full disk is found by all at the window's end
  UFAB_TRY(group_.agree(status));
  return end_window();
}

void Trainer::begin_window() {
  window_begin_ = Clock::now();
  window_cpu_us_ = cpu_us(own_usage());
  contributions_ = {static_cast<std::uint32_t>(state_->step / static_cast<std::uint64_t>(definition_.window)),
                    state_->step + 1,
                    provider_range().first,
                    provider_range().count,
                    {}};
}

Status Trainer::save() {
  const CheckpointInfo info{engine_->model(), definition_digest_, inputs_->corpus.info().digest, digests_};
  return save_checkpoint(group_.communicator(), checkpoint_path(options_.out, state_->step), info, *state_);
}

Status Trainer::end_window() {
  WindowClaim claim;
  claim.window = contributions_.window;
  claim.first_step = contributions_.first_step;
  claim.end_step = state_->step;
  claim.start_digest = digests_.state;
  digests_ = group_state_digest(group_, *state_);
  claim.end_digest = digests_.state;
  claim.micro_batches = (claim.end_step - claim.first_step + 1) * provider_range().count;
  claim.tokens =
      claim.micro_batches * static_cast<std::uint64_t>(definition_.micro_batch * definition_.seq_len);
  claim.work_flop = kernels::model_train_flop(engine_->model(), claim.tokens);

  Status status;
  if (group_.leader()) {
    claim.contributions_root = contributions_.root();
    status = write_file_atomic(contributions_path(options_.out, claim.window),
                               encode_contributions(contributions_));
    if (status) status = log_->sync_steps();
  }
  UFAB_TRY(group_.agree(status));
  UFAB_TRY(save());

  const rusage usage = own_usage();
  std::array<std::uint64_t, 1> cpu{cpu_us(usage) - window_cpu_us_};
  std::array<std::uint64_t, 1> memory{static_cast<std::uint64_t>(usage.ru_maxrss)};
  group_.sum_everywhere(std::span<std::uint64_t>(cpu));
  group_.max_everywhere(memory);
  claim.wall_us = micros_since(window_begin_);
  claim.cpu_us = cpu[0];
  claim.max_rss_kib = memory[0];
  if (group_.leader()) {
    if (hooks_.before_claim) hooks_.before_claim(claim);
    status = log_->window(claim);
    prune_checkpoints(options_.out, options_.keep);
  }
  begin_window();
  return group_.agree(status);
}

Status Trainer::write_result(const TrainResult& result, std::uint64_t wall_ms) {
  return write_file_atomic(
      options_.out + "/result.json",
      as_bytes(fmt::format(
          R"({{"schema":"ufab.train.result/1","step":{},"loss":{:.6f},"final_digest":"{}","state_digest":"{}",)"
          R"("definition_digest":"{}","corpus_digest":"{}","unigram_entropy":{:.6f},"wall_ms":{}}})"
          "\n",
          result.step, result.loss, result.digests.parameters.str(), result.digests.state.str(),
          definition_digest_.str(), inputs_->corpus.info().digest.str(),
          inputs_->corpus.info().unigram_entropy, wall_ms)));
}

Result<TrainResult> Trainer::run() {
  const auto begin = Clock::now();
  UFAB_TRY(group_.agree(load()));
  const RunPlan plan = plan_run(group_, options_, *inputs_);
  UFAB_TRY(group_.agree(check_fit(plan.plan, plan.left)));
  UFAB_TRY(group_.agree(prepare()));
  exchange_.emplace(group_, device_offer(*inputs_->backend));
  UFAB_TRY(group_.agree(join_gang()));
  UFAB_TRY(load_start());
  UFAB_TRY(group_.agree(choose_shares()));
  Status status;
  if (group_.leader()) {
    auto log = RunLog::open(options_.out, state_->step);
    if (log.ok()) log_ = std::move(*log);
    if (!log.ok()) status = log.error();
    if (options_.progress != ProgressStyle::none && state_->step > 0)
      fmt::print("resumed at step {}\n", state_->step);
    progress_.emplace(options_.progress, state_->step, steps());
  }
  UFAB_TRY(group_.agree(status));
  begin_window();
  while (state_->step < steps() && !stopped_) UFAB_TRY(step());
  progress_.reset();
  TrainResult result{state_->step, digests_, 0, stopped_};
  if (stopped_) return result;
  result.loss = evaluate();
  if (group_.leader()) status = write_result(result, micros_since(begin) / 1000);
  UFAB_TRY(group_.agree(status));
  return result;
}

}  // namespace

Result<TrainResult> train(const Group& group, const TrainOptions& options, const TrainHooks& hooks,
                          const volatile std::sig_atomic_t& stop) {
  return Trainer(group, options, hooks, stop).run();
}

StateDigests group_state_digest(const Group& group, const TrainState& state) {
  const std::uint64_t each = chunk_count(state.params.size() * sizeof(float));
  std::vector<Digest> leaves(3 * each);
  const std::span<Digest> all(leaves);
  const auto rank = static_cast<std::uint64_t>(group.rank());
  const auto ranks = static_cast<std::uint64_t>(group.size());
  const std::pmr::vector<float>* vectors[] = {&state.params, &state.m, &state.v};
  for (std::size_t i = 0; i < 3; ++i) {
    hash_chunks(float_bytes(*vectors[i]), rank, ranks, all.subspan(i * each, each));
  }
  // Every leaf is set on one rank and zero elsewhere, so a sum gathers them.
  std::vector<std::uint64_t> words(leaves.size() * 4);
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::memcpy(&words[i], leaves[i / 4].bytes.data() + i % 4 * 8, 8);
  }
  group.sum_everywhere(words);
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::memcpy(leaves[i / 4].bytes.data() + i % 4 * 8, &words[i], 8);
  }
  return combine_state_digest(state.step, state.exponents, leaves);
}

MicroBatchRange rank_range(const Group& group, MicroBatchRange range,
                           const std::vector<std::uint64_t>& weights) {
  const auto shares = divide_by_weight(
      range.count,
      weights.empty() ? std::vector<std::uint64_t>(static_cast<std::size_t>(group.size()), 1) : weights);
  MicroBatchRange mine{range.first, shares[static_cast<std::size_t>(group.rank())]};
  for (int rank = 0; rank < group.rank(); ++rank) mine.first += shares[static_cast<std::size_t>(rank)];
  return mine;
}

}  // namespace ufab
