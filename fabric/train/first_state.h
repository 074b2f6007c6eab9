// What a job starts from: step 0, moments zero, and the parameters of model_init at the definition's seed or,
// when the definition has model.init_digest, those of that digest.
//
// The definition names initial parameters by what they are, not by where they lie: the digest enters the
// definition's digest, and the file is given beside it, at every start of a run and to a verifier of window
// 0. Any checkpoint of fabric/train/checkpoint.h will do, of an import or of an earlier job; of it only the
// parameters are taken. Its model must be the definition's with the corpus's vocabulary. What its tokens
// meant is not checked: that the corpus was made by the same tokenizer is the researcher's to know.
#pragma once

#include <string>

#include "fabric/train/engine.h"

namespace ufab {

// `init`: path of that checkpoint; empty: none was given. ErrorCode::usage when definition and command line
// do not go together, ErrorCode::conflict when the checkpoint is not the one that the definition means.
[[nodiscard]] Result<TrainState> first_state(const Engine& engine, const JobDefinition& definition,
                                             const std::string& init);

}  // namespace ufab
