#include "fabric/train/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "fabric/train/bridge.h"
#include "fabric/train/checkpoint.h"
#include "fabric/train/group.h"
#include "fabric/train/state.h"
#include "kernels/model.h"

namespace ufab {

namespace {

using Pieces = std::vector<MemoryPiece>;

void add(Pieces& pieces, std::string name, std::uint64_t bytes, MemoryKind kind = MemoryKind::needed) {
  if (bytes > 0) pieces.push_back({std::move(name), bytes, kind});
}

// Every rank holds the whole state.
void add_state(Pieces& pieces, std::uint64_t parameters) {
  add(pieces, "parameters", parameters * sizeof(float));
  add(pieces, "first moments", parameters * sizeof(float));
  add(pieces, "second moments", parameters * sizeof(float));
  add(pieces, "gradient sums", parameters * sizeof(std::int32_t));
}

void add_micro_batch(Pieces& pieces, const PlanInput& input, const kernels::ModelConfig& model) {
  const JobDefinition& d = input.definition;
  for (const kernels::ModelMemory& piece :
       kernels::model_memory(model, static_cast<int>(d.micro_batch), static_cast<int>(d.seq_len),
                             input.recompute, input.logits_bytes)) {
    add(pieces, piece.name, piece.bytes);
  }
  const auto tokens = static_cast<std::uint64_t>(2 * d.micro_batch * d.seq_len + d.seq_len + 1);
  add(pieces, "tokens of a micro-batch", tokens * sizeof(std::int32_t));
}

// The trainer's own: what it keeps for the records of a window, and what passes through.
void add_records(Pieces& pieces, const PlanInput& input, std::uint64_t parameters) {
  const std::uint64_t vector_bytes = parameters * sizeof(float);
  // Of the sums, and at a window's end of the three vectors, twice: as digests and as words to add up.
  add(pieces, "digests' leaves", (1 + 3 * 2) * chunk_count(vector_bytes) * sizeof(Digest));
  if (input.leader) {
    const auto steps = static_cast<std::uint64_t>(std::min(input.definition.window, input.definition.steps));
    const std::uint64_t encoded = sizeof(Digest) + input.micro_batches * sizeof(std::uint64_t);
    // As values, and at the window's end beside them as the file's bytes.
    add(pieces, "contributions of a window", steps * (2 * encoded + sizeof(std::vector<std::uint64_t>)));
  }
  if (input.leader && input.members > 1) add(pieces, "bridge's chunks", kBridgeBytes);
  // Never at the same time.
  add(pieces, "checkpoint buffers or messages",
      std::max(checkpoint_buffer_bytes(input.ranks, vector_bytes),
               collective_bytes(input.ranks, vector_bytes)));
  if (input.measures_shares) add(pieces, "measurement of shares", 4 * vector_bytes);
}

Pieces plan_memory(const PlanInput& input, const kernels::ModelConfig& model, std::uint64_t parameters) {
  Pieces pieces;
  add(pieces, "libraries and MPI", input.present_bytes, MemoryKind::present);
  add(pieces, "corpus", input.corpus_bytes, MemoryKind::mapped);
  add_state(pieces, parameters);
  add_micro_batch(pieces, input, model);
  add(pieces, "scratch of the kernels", input.scratch_bytes);
  add_records(pieces, input, parameters);
  return pieces;
}

std::vector<WorkPiece> plan_work(const PlanInput& input, const kernels::ModelConfig& model,
                                 std::uint64_t parameters) {
  const JobDefinition& d = input.definition;
  std::vector<WorkPiece> pieces;
  const auto tokens = static_cast<std::uint64_t>(d.micro_batch * d.seq_len);
  const auto micro_batches = static_cast<std::uint64_t>(d.micro_batches);
  for (const kernels::ModelWork& work : kernels::model_work(model)) {
    pieces.push_back({work.name, tokens * work.flop, micro_batches * tokens * work.flop, work.paid});
  }
  if (input.recompute) {
    const std::uint64_t again = tokens * kernels::model_recompute_flop(model);
    pieces.push_back({"layers computed again", again, micro_batches * again, false});
  }
  // Operations a parameter: scale, compare and round; a square for the norm and the update.
  constexpr std::uint64_t kToIntegers = 4, kUpdate = 2 + 16;
  pieces.push_back(
      {"gradients to integers", kToIntegers * parameters, micro_batches * kToIntegers * parameters, false});
  pieces.push_back({"norm and AdamW", 0, kUpdate * parameters, false});
  return pieces;
}

// The largest smaller micro-batch of the same step that fits.
std::string smaller_micro_batch(const PlanInput& input, std::uint64_t left) {
  const std::int64_t whole = input.definition.micro_batch;
  for (std::int64_t size = whole - 1; size >= 1; --size) {
    if (whole % size != 0) continue;
    PlanInput smaller = input;
    smaller.definition.micro_batch = size;
    smaller.definition.micro_batches *= whole / size;
    if (smaller.definition.micro_batches > kMicroBatchesMax) break;
    smaller.micro_batches *= static_cast<std::uint32_t>(whole / size);
    const std::uint64_t needed = make_plan(smaller).needed_bytes();
    if (needed > left) continue;
    return fmt::format("train.micro_batch = {} with train.micro_batches = {} needs {}{}", size,
                       smaller.definition.micro_batches, readable_bytes(needed),
                       input.recompute ? " with --recompute" : "");
  }
  return "";
}

std::string fewer_ranks(std::uint64_t needed, const MemoryLeft& left) {
  const std::uint64_t all = left.bytes * static_cast<std::uint64_t>(left.sharers);
  if (left.sharers < 2 || all < needed) return "";
  return fmt::format("{} of {} ranks on this machine would fit", all / needed, left.sharers);
}

// The same job with the layers computed again, or with a smaller micro-batch, or with both.
std::string less_activations(const PlanInput& input, std::uint64_t left) {
  PlanInput lean = input;
  lean.recompute = true;
  std::string cure;
  const std::uint64_t needed = make_plan(lean).needed_bytes();
  if (!input.recompute && needed <= left) {
    cure = fmt::format("--recompute needs {}", readable_bytes(needed));
  }
  std::string smaller = smaller_micro_batch(input, left);
  if (cure.empty() && smaller.empty() && !input.recompute) smaller = smaller_micro_batch(lean, left);
  if (!cure.empty() && !smaller.empty()) cure += ", ";
  return cure + smaller;
}

std::string what_would_fit(const TrainPlan& plan, const MemoryLeft& left) {
  std::string less = less_activations(plan.input, left.bytes);
  if (!less.empty()) return less;
  std::string fewer = fewer_ranks(plan.needed_bytes(), left);
  if (!fewer.empty()) return fewer;
  PlanInput least = plan.input;
  least.definition.micro_batch = 1;
  least.recompute = true;
  return fmt::format(
      "even train.micro_batch = 1 needs {} with --recompute: a smaller model or more memory is wanted",
      readable_bytes(make_plan(least).needed_bytes()));
}

}  // namespace

std::uint64_t TrainPlan::total_bytes() const {
  std::uint64_t sum = 0;
  for (const MemoryPiece& piece : memory) sum += piece.bytes;
  return sum;
}

std::uint64_t TrainPlan::needed_bytes() const {
  std::uint64_t sum = 0;
  for (const MemoryPiece& piece : memory) sum += piece.kind == MemoryKind::needed ? piece.bytes : 0;
  return sum;
}

std::uint64_t TrainPlan::paid_flop_per_micro_batch() const {
  std::uint64_t sum = 0;
  for (const WorkPiece& piece : work) sum += piece.paid ? piece.flop_per_micro_batch : 0;
  return sum;
}

std::uint64_t TrainPlan::paid_flop_per_step() const {
  std::uint64_t sum = 0;
  for (const WorkPiece& piece : work) sum += piece.paid ? piece.flop_per_step : 0;
  return sum;
}

TrainPlan make_plan(const PlanInput& input) {
  const kernels::ModelConfig model = input.definition.model(input.vocab_size);
  TrainPlan plan;
  plan.input = input;
  plan.parameters = kernels::model_parameter_count(model);
  plan.memory = plan_memory(input, model, plan.parameters);
  plan.work = plan_work(input, model, plan.parameters);
  return plan;
}

Status check_fit(const TrainPlan& plan, const MemoryLeft& left) {
  const std::uint64_t needed = plan.needed_bytes();
  if (needed <= left.bytes) return {};
  const std::string sharers =
      left.sharers > 1 ? fmt::format(", divided by {} ranks of this machine", left.sharers) : "";
  return Error{
      ErrorCode::limit,
      fmt::format("the job will not fit: a rank needs {} bytes ({}), {} are left ({}; {}{}); {}; more "
                  "ranks do not help, each holds the whole state",
                  needed, readable_bytes(needed), left.bytes, readable_bytes(left.bytes), left.source,
                  sharers, what_would_fit(plan, left))};
}

}  // namespace ufab
