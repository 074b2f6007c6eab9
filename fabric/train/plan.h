// What a job will take, before it runs: the memory of one rank, piece by piece, and the work, operator by
// operator. Pure functions of the definition and of what the caller knows of the run; the numbers of the
// model and of its kernels come from kernels/, from the code that takes the memory and counts the work.
//
// ufab-train --print-plan --json prints
//   {"schema":"ufab.train.plan/1","parameters":41856,"ranks":2,"ranks_on_machine":2,"threads":1,"recompute":false,
//    "memory":[{"name":"parameters","bytes":167424,"kind":"needed"}, ...],
//    "total_bytes":71303168,"needed_bytes":24117248,"left_bytes":8589934592,"left_by":"cgroup limit",
//    "fits":true,
//    "work":[{"name":"attention","flop_per_micro_batch":1572864,"flop_per_step":12582912,"paid":true}, ...],
//    "paid_flop_per_micro_batch":...,"paid_flop_per_step":...,"paid_flop_per_job":...}
// kind is "needed", "present" (taken when the plan is made: libraries, MPI) or "mapped" (pages of a file,
// shared by the ranks, which the kernel drops when memory is short). total_bytes is the resident memory to
// expect at the peak; needed_bytes is what the rank has yet to take and must find: the needed pieces.
// left_bytes (null: no limit is known) is what it may take, left_by the limit that says so
// (fabric/train/memory_left.h). Paid work is what the ledger pays for (kernels::model_train_flop). Not in the
// table: evaluations (a third of the paid work of a micro-batch each), digests, and steps done again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fabric/train/definition.h"
#include "fabric/train/memory_left.h"

namespace ufab {

struct PlanInput {
  JobDefinition definition;
  std::uint32_t vocab_size = 0;
  std::uint64_t corpus_bytes = 0;   // mapped
  std::uint64_t scratch_bytes = 0;  // of the kernels: Backend::scratch_bytes
  std::size_t logits_bytes = kernels::kLogitsBytes;
  std::uint64_t present_bytes = 0;  // of libraries and MPI
  int ranks = 1, local_ranks = 1, threads = 1;
  bool leader = true;               // the rank that keeps the records
  std::uint32_t members = 1;        // of the gang
  std::uint32_t micro_batches = 0;  // of this provider, each step
  bool measures_shares = false;     // --shares speed
  bool recompute = false;           // --recompute
};

enum class MemoryKind { needed, present, mapped };
struct MemoryPiece {
  std::string name;
  std::uint64_t bytes = 0;
  MemoryKind kind = MemoryKind::needed;
};

struct WorkPiece {
  std::string name;
  std::uint64_t flop_per_micro_batch = 0;
  std::uint64_t flop_per_step = 0;  // of the whole job's micro-batches
  bool paid = false;
};

struct TrainPlan {
  PlanInput input;
  std::uint64_t parameters = 0;
  std::vector<MemoryPiece> memory;
  std::vector<WorkPiece> work;

  [[nodiscard]] std::uint64_t total_bytes() const;
  [[nodiscard]] std::uint64_t needed_bytes() const;
  [[nodiscard]] std::uint64_t paid_flop_per_micro_batch() const;
  [[nodiscard]] std::uint64_t paid_flop_per_step() const;
};

// The definition must fit the vocabulary (ModelConfig::validate; asserted).
[[nodiscard]] TrainPlan make_plan(const PlanInput& input);

// Success, or ErrorCode::limit with one line: what the rank needs, what is left, and what would make it fit.
[[nodiscard]] Status check_fit(const TrainPlan& plan, const MemoryLeft& left);

// "12.3 GiB".
[[nodiscard]] std::string readable_bytes(std::uint64_t bytes);
// For people, and as above; both end in a newline.
[[nodiscard]] std::string plan_text(const TrainPlan& plan, const MemoryLeft& left);
[[nodiscard]] std::string plan_json(const TrainPlan& plan, const MemoryLeft& left);

}  // namespace ufab
