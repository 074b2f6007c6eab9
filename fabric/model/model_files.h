// A model out of a checkpoint into Hugging Face's files, and back.
//
// Written are OUTPUT (fabric/model/safetensors.h, tensors of fabric/model/hugging_face.h in the order of the
// parameter vector, names without "transformer.") and config.json in its folder. The metadata holds
//   format "pt", which that library asks for, and of the checkpoint
//   ufab.step, ufab.parameters_digest and, unless zero, ufab.definition, ufab.corpus    ("sha256:...")
// so the same model makes the same file. A config.json that is there already stays as it is when it describes
// the same model, and is ErrorCode::conflict when it does not.
//
// Read back, the shape comes from config.json beside the weights, or, of a GPT-2, from the tensors and
// `heads`. The tensors must be exactly the model's, in F32, F16 or BF16, and finite; see hugging_face.h for
// what else may be there. Where the metadata names a parameters' digest and all tensors are F32, it must be
// theirs (ErrorCode::corrupt). The checkpoint is one of step 0 with moments zero, of no job: its definition's
// digest is zero, its corpus's the metadata's or zero. A job starts from it when its definition says so
// (fabric/train/first_state.h).
//
// Nothing is left behind by a call that fails. Memory: the checkpoint, and a piece of about a megabyte.
#pragma once

#include <cstdint>
#include <string>

#include "fabric/base/digest.h"
#include "kernels/model.h"

namespace ufab {

struct ModelFile {
  kernels::ModelConfig model;
  std::uint64_t step = 0;
  std::uint64_t tensors = 0;  // of the model; what an import passed over is not counted
  std::uint64_t parameters = 0;
  Digest parameters_digest;
  std::string config;  // path of config.json; empty: none was read
};

[[nodiscard]] Result<ModelFile> export_model(const std::string& checkpoint, const std::string& output);
// heads 0: as config.json says. Local: one process, with or without MPI.
[[nodiscard]] Result<ModelFile> import_model(const std::string& weights, const std::string& output,
                                             int heads = 0);

}  // namespace ufab
