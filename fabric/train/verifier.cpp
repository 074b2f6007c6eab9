#include "fabric/train/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <iterator>

#include "fabric/base/file.h"
#include "fabric/train/checkpoint.h"
#include "fabric/train/first_state.h"
#include "fabric/train/inputs.h"
#include "kernels/gradient.h"

namespace ufab {

namespace json = boost::json;

namespace {

struct MemberClaim {
  WindowClaim claim;
  Contributions contributions;
};

class Verifier {
 public:
  Verifier(const Group& group, const VerifyOptions& options, const volatile std::sig_atomic_t& stop)
      : group_(group), options_(options), definition_(options.definition), stop_(stop) {}
  Result<WindowVerdict> run();

 private:
  Status prepare();
  void load_claims();
  // Loads one member's claim; nullopt when it condemns the member without any computing.
  std::optional<MemberClaim> load_claim(const GangMember& member, MemberVerdict& verdict) const;
  // The step's totals in total_; members that differ are marked. Sets diverged_ at the first difference.
  Status step();
  Status add_member(std::size_t index, std::span<const int> exponents);
  void judge_ends();
  void condemn(std::size_t index, const char* reason) {
    verdict_.members[index].ok = false;
    verdict_.members[index].reason = reason;
  }

  const Group& group_;
  const VerifyOptions& options_;
  const JobDefinition& definition_;
  const volatile std::sig_atomic_t& stop_;
  std::optional<RunInputs> inputs_;
  std::optional<Engine> engine_;
  std::optional<TrainState> state_;  // in the engine's memory, from prepare() on, as the sums
  std::optional<std::pmr::vector<std::int32_t>> total_, part_;
  std::optional<SumExchange> exchange_;  // of part_
  std::vector<std::uint64_t> peaks_;     // of total_
  std::vector<std::optional<MemberClaim>> claims_;
  std::uint64_t first_step_ = 0, end_step_ = 0;
  bool diverged_ = false;
  WindowVerdict verdict_;
};

Status Verifier::prepare() {
  if (!definition_.is_exact()) {
    return Error{ErrorCode::usage,
                 "precision is 'fast': only an exact job can be verified by computing it again"};
  }
  UFAB_TRY(check_cover(options_.gang, static_cast<std::uint32_t>(definition_.micro_batches)));
  if (options_.window >= definition_.window_count()) {
    return Error{ErrorCode::usage,
                 fmt::format("window {} of a job that has {}", options_.window, definition_.window_count())};
  }
  const auto window = static_cast<std::uint64_t>(definition_.window);
  first_step_ = options_.window * window + 1;
  end_step_ = std::min((options_.window + 1) * window, static_cast<std::uint64_t>(definition_.steps));
  UFAB_ASSIGN(inputs_, load_inputs(group_, definition_, options_.corpus, options_.backend, options_.threads));
  engine_.emplace(definition_, inputs_->corpus, inputs_->split, *inputs_->backend, options_.recompute);
  state_.emplace(engine_->memory());
  total_.emplace(engine_->parameter_count(), &engine_->memory());
  part_.emplace(engine_->parameter_count(), &engine_->memory());
  peaks_.resize(engine_->tensor_count());
  if (options_.start.empty()) {
    if (options_.window != 0) return Error{ErrorCode::usage, "--start is needed for any window but 0"};
    UFAB_ASSIGN(*state_, first_state(*engine_, definition_, options_.init));
    return {};
  }
  UFAB_ASSIGN(Checkpoint checkpoint, load_checkpoint(options_.start));
  if (checkpoint.info.definition != definition_digest(definition_, inputs_->corpus.info().digest)) {
    return Error{ErrorCode::conflict, options_.start + ": made by another job definition or corpus"};
  }
  if (checkpoint.state.step + 1 != first_step_) {
    return Error{ErrorCode::usage,
                 fmt::format("{}: holds step {}; window {} starts after step {}", options_.start,
                             checkpoint.state.step, options_.window, first_step_ - 1)};
  }
  *state_ = std::move(checkpoint.state);
  return {};
}

std::optional<MemberClaim> Verifier::load_claim(const GangMember& member, MemberVerdict& verdict) const {
  const std::string folder = options_.claims + "/" + member.name;
  const auto refuse = [&](const char* reason) {
    verdict.ok = false;
    verdict.reason = reason;
    return std::nullopt;
  };
  const auto claims = load_window_claims(folder);
  if (!claims) return refuse("contributions");
  const auto claim = std::find_if(claims->rbegin(), claims->rend(),
                                  [&](const WindowClaim& c) { return c.window == options_.window; });
  if (claim == claims->rend()) return refuse("contributions");
  if (claim->first_step != first_step_ || claim->end_step != end_step_) return refuse("range");
  auto contributions = load_contributions(contributions_path(folder, options_.window));
  if (!contributions || contributions->root() != claim->contributions_root) return refuse("contributions");
  if (contributions->window != options_.window || contributions->first_step != first_step_ ||
      contributions->steps.size() != end_step_ - first_step_ + 1 ||
      contributions->first_micro_batch != member.first_micro_batch ||
      contributions->micro_batches != member.micro_batches) {
    return refuse("range");
  }
  const std::uint64_t batches = (end_step_ - first_step_ + 1) * member.micro_batches;
  const std::uint64_t tokens =
      batches * static_cast<std::uint64_t>(definition_.micro_batch * definition_.seq_len);
  if (claim->micro_batches != batches || claim->tokens != tokens ||
      claim->work_flop != kernels::model_train_flop(engine_->model(), tokens)) {
    return refuse("work");
  }
  return MemberClaim{*claim, std::move(*contributions)};
}

// The leader reads and judges; the others only compute.
void Verifier::load_claims() {
  verdict_.window = options_.window;
  for (const GangMember& member : options_.gang.members) {
    verdict_.members.push_back({member.name, true, "", {}, {}});
    claims_.push_back(group_.leader() ? load_claim(member, verdict_.members.back()) : std::nullopt);
  }
}

Status Verifier::add_member(std::size_t index, std::span<const int> exponents) {
  const GangMember& member = options_.gang.members[index];
  const MicroBatchRange whole{member.first_micro_batch, member.micro_batches};
  const MicroBatchRange mine = rank_range(group_, whole, {});
  const ShareReport share = engine_->sum_gradients(*state_, exponents, mine, *part_, {});
  std::vector<std::uint64_t> flags{share.non_finite, stop_ != 0};
  std::vector<std::uint64_t> peaks = share.peaks, fingerprints(whole.count);
  std::copy(share.fingerprints.begin(), share.fingerprints.end(),
            fingerprints.begin() + static_cast<std::ptrdiff_t>(mine.first - whole.first));
  group_.sum_everywhere(flags);
  group_.sum_everywhere(peaks);
  group_.sum_everywhere(fingerprints);
  exchange_->sum_everywhere(*part_);
  for (std::size_t i = 0; i < part_->size(); ++i) {
    (*total_)[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>((*total_)[i]) +
                                             static_cast<std::uint32_t>((*part_)[i]));
  }
  for (std::size_t t = 0; t < peaks.size(); ++t) peaks_[t] += peaks[t];
  if (flags[1] != 0) return Error{ErrorCode::unavailable, "stopped before a verdict"};
  if (flags[0] != 0) {
    return Error{ErrorCode::invalid,
                 fmt::format("step {}: the loss or a gradient is not finite", state_->step + 1)};
  }
  if (!claims_[index] || diverged_) return {};

  std::vector<Digest> leaves(chunk_count(part_->size() * sizeof(std::int32_t)));
  hash_chunks(sum_bytes(*part_), 0, 1, leaves);
  const StepContribution& claimed = claims_[index]->contributions.steps[state_->step + 1 - first_step_];
  const auto differs =
      std::mismatch(claimed.fingerprints.begin(), claimed.fingerprints.end(), fingerprints.begin()).first;
  if (sum_digest(leaves, peaks) == claimed.sum_digest && differs == claimed.fingerprints.end()) return {};
  condemn(index, "gradient");
  verdict_.members[index].first_bad_step = state_->step + 1;
  if (differs != claimed.fingerprints.end()) {
    verdict_.members[index].micro_batch =
        whole.first + static_cast<std::uint32_t>(std::distance(claimed.fingerprints.begin(), differs));
  }
  return {};
}

Status Verifier::step() {
  std::vector<int> exponents = state_->exponents;
  for (int attempt = 0; attempt < kernels::kStepTries; ++attempt) {
    const std::vector<int> used = exponents;
    engine_->clear(*total_);
    std::fill(peaks_.begin(), peaks_.end(), 0);
    for (std::size_t i = 0; i < claims_.size(); ++i) UFAB_TRY(add_member(i, used));
    if (kernels::adjust_exponents(
            state_->step + 1, peaks_,
            exponents)) {  // all do the step again: what was judged meant other exponents
      for (MemberVerdict& member : verdict_.members) {
        if (member.first_bad_step == state_->step + 1) member = {member.name, true, "", {}, {}};
      }
      continue;
    }
    engine_->apply(*state_, used, peaks_, *total_);
    diverged_ = std::any_of(verdict_.members.begin(), verdict_.members.end(),
                            [](const MemberVerdict& member) { return member.first_bad_step.has_value(); });
    return {};
  }
  return Error{ErrorCode::invalid,
               fmt::format("step {}: gradients outgrow every fixed-point scale", state_->step + 1)};
}

// With all sums right, the state that they lead to is everybody's; with one wrong, nobody's end digest tells.
void Verifier::judge_ends() {
  for (std::size_t i = 0; i < claims_.size(); ++i) {
    if (!claims_[i] || !verdict_.members[i].ok) continue;
    if (claims_[i]->claim.start_digest != verdict_.start_digest) {
      condemn(i, "start_digest");
    } else if (!diverged_ && claims_[i]->claim.end_digest != verdict_.end_digest) {
      condemn(i, "end_digest");
    }
  }
}

Result<WindowVerdict> Verifier::run() {
  UFAB_TRY(group_.agree(prepare()));
  exchange_.emplace(group_, device_offer(*inputs_->backend));
  load_claims();
  verdict_.start_digest = group_state_digest(group_, *state_).state;
  while (state_->step < end_step_) UFAB_TRY(step());
  verdict_.end_digest = group_state_digest(group_, *state_).state;
  Status status;
  if (group_.leader()) {
    judge_ends();
    status = make_folders(options_.out);
    if (status) {
      status = write_file_atomic(options_.out + "/verdict.json", as_bytes(verdict_json(verdict_) + "\n"));
    }
  }
  UFAB_TRY(group_.agree(status));
  // The other ranks learn whether everything matched; the leader alone knows why not.
  for (MemberVerdict& member : verdict_.members) {
    std::array<std::uint64_t, 1> bad{member.ok ? 0ULL : 1ULL};
    group_.max_everywhere(bad);
    member.ok = bad[0] == 0;
  }
  return std::move(verdict_);
}

}  // namespace

bool WindowVerdict::matches() const {
  return std::all_of(members.begin(), members.end(), [](const MemberVerdict& member) { return member.ok; });
}

std::string verdict_json(const WindowVerdict& verdict) {
  json::array members;
  for (const MemberVerdict& member : verdict.members) {
    json::object object{{"name", member.name}, {"ok", member.ok}};
    if (!member.ok) object["reason"] = member.reason;
    if (member.first_bad_step) object["first_bad_step"] = *member.first_bad_step;
    if (member.micro_batch) object["micro_batch"] = *member.micro_batch;
    members.push_back(std::move(object));
  }
  return json::serialize(json::object{{"schema", "ufab.verdict/1"},
                                      {"window", verdict.window},
                                      {"start_digest", verdict.start_digest.str()},
                                      {"end_digest", verdict.end_digest.str()},
                                      {"matches", verdict.matches()},
                                      {"members", std::move(members)}});
}

Result<WindowVerdict> parse_verdict(std::string_view text) {
  const Error malformed{ErrorCode::invalid, "not a JSON object of schema ufab.verdict/1"};
  boost::system::error_code error;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !root.is_object()) return malformed;
  try {
    const json::object& object = root.as_object();
    if (object.at("schema").as_string() != "ufab.verdict/1") return malformed;
    WindowVerdict verdict;
    verdict.window = object.at("window").to_number<std::uint64_t>();
    UFAB_ASSIGN(verdict.start_digest, Digest::parse(std::string_view(object.at("start_digest").as_string())));
    UFAB_ASSIGN(verdict.end_digest, Digest::parse(std::string_view(object.at("end_digest").as_string())));
    for (const json::value& value : object.at("members").as_array()) {
      const json::object& entry = value.as_object();
      MemberVerdict member;
      member.name = std::string(entry.at("name").as_string());
      member.ok = entry.at("ok").as_bool();
      if (const auto* reason = entry.if_contains("reason")) member.reason = std::string(reason->as_string());
      if (const auto* step = entry.if_contains("first_bad_step")) {
        member.first_bad_step = step->to_number<std::uint64_t>();
      }
      if (const auto* batch = entry.if_contains("micro_batch")) {
        member.micro_batch = batch->to_number<std::uint32_t>();
      }
      verdict.members.push_back(std::move(member));
    }
    if (verdict.matches() != object.at("matches").as_bool()) return malformed;
    return verdict;
  } catch (const std::exception&) {  // a field is missing or of another type
    return malformed;
  }
}

Result<WindowVerdict> verify_window(const Group& group, const VerifyOptions& options,
                                    const volatile std::sig_atomic_t& stop) {
  return Verifier(group, options, stop).run();
}

}  // namespace ufab
