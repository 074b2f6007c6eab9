#include "jobs/node/training_plan.h"

#include "accounting/amount.h"
#include "fabric/base/file.h"
#include "fabric/data/corpus.h"
#include "fabric/train/definition.h"
#include "kernels/model.h"
#include "kernels/semantics.h"

namespace ufab::jobs {

Result<TrainingPlan> plan_training(const std::string& definition_path, const std::string& data) {
  TrainingPlan plan;
  UFAB_ASSIGN(const Bytes text, read_file(definition_path, 1u << 20));
  plan.definition_file_digest = sha256(text);
  UFAB_ASSIGN(const JobDefinition definition, parse_definition(as_text(text), definition_path));
  if (!definition.init_digest.empty()) {
    return Error{ErrorCode::usage,
                 definition_path +
                     ": model.init_digest: initial parameters do not travel to providers in this "
                     "version; train here with `ufab train --config FILE -- --init CHECKPOINT`"};
  }
  if (!definition.is_exact()) {
    return Error{
        ErrorCode::usage,
        definition_path +
            ": precision is 'fast': no provider is paid for what another cannot compute again; train "
            "here with `ufab train`, or choose an exact format"};
  }
  plan.corpus_path = data.empty() ? definition.corpus : data;
  auto corpus = Corpus::load(plan.corpus_path);
  if (!corpus) return corpus.error();
  UFAB_ASSIGN(plan.data_file_digest, sha256_file(plan.corpus_path));
  plan.data_content_digest = corpus->info().digest;
  plan.definition_digest = definition_digest(definition, corpus->info().digest);

  const kernels::ModelConfig model = definition.model(corpus->info().vocab_size);
  if (const auto wrong = model.validate()) return Error{ErrorCode::invalid, definition_path + ": " + *wrong};
  plan.parameters = kernels::model_parameter_count(model);
  plan.exchange_bytes =
      plan.parameters * sizeof(std::int32_t);  // a gradient sum for each (kernels/gradient.h)
  plan.semantics_version = kernels::kSemanticsVersion;
  plan.steps = static_cast<std::uint64_t>(definition.steps);
  plan.window_steps = static_cast<std::uint32_t>(definition.window);
  plan.micro_batches = static_cast<std::uint32_t>(definition.micro_batches);
  plan.flop_per_micro_batch = kernels::model_train_flop(
      model, static_cast<std::uint64_t>(definition.micro_batch * definition.seq_len));
  const auto per_step = checked_mul(plan.flop_per_micro_batch, plan.micro_batches);
  if (!per_step || !checked_mul(*per_step, plan.steps)) {
    return Error{ErrorCode::limit,
                 definition_path + ": the job is more than 18 exaFLOP, this version's bound"};
  }
  return plan;
}

}  // namespace ufab::jobs
