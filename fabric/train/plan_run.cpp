#include "fabric/train/plan_run.h"

#include <algorithm>

namespace ufab {

RunPlan plan_run(const Group& group, const TrainOptions& options, const RunInputs& inputs) {
  const ResidentMemory resident = resident_memory();
  PlanInput input;
  input.definition = options.definition;
  input.vocab_size = inputs.corpus.info().vocab_size;
  input.corpus_bytes = inputs.corpus.mapped_bytes();
  const JobDefinition& definition = options.definition;
  input.scratch_bytes = inputs.backend->scratch_bytes(kernels::model_scratch(
      inputs.model, static_cast<int>(definition.micro_batch), static_cast<int>(definition.seq_len),
      definition.matmul_format(), inputs.backend->logits_bytes()));
  input.logits_bytes = inputs.backend->logits_bytes();
  input.present_bytes = resident.bytes - std::min(resident.file_bytes, input.corpus_bytes);
  input.ranks = group.size();
  input.local_ranks = group.local().ranks;
  input.threads = inputs.backend->threads();
  input.leader = group.leader();
  input.members = static_cast<std::uint32_t>(options.gang.members.size());
  input.micro_batches = options.gang.self_member().micro_batches;
  input.measures_shares = options.measure_shares;
  input.recompute = options.recompute;

  MemoryQuestion question;
  question.option_bytes = options.memory_bytes;
  question.own_bytes = input.present_bytes;
  question.local_ranks = input.local_ranks;
  question.device = inputs.backend->device_memory_left();
  return {make_plan(input), memory_left(question)};
}

}  // namespace ufab
