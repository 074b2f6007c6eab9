// Checkpoints: the training state at the end of a window, in parallel HDF5.
//
// On disk (HDF5, no time stamps), checkpoints/step-00000200.h5:
//   /params /m /v     contiguous f32, little-endian, fabric/train/state.h's order
//   /exponents        contiguous i32, little-endian, one per tensor
//   root attributes   format "ufab.checkpoint", version 2, step, parameters (u64 count), semantics (u64,
//                     kernels' version), vocab_size, context, layers, heads, width (u64), definition, corpus,
//                     state_digest, parameters_digest, digest ("sha256:...")
//   of the llama family (kernels/model.h) version 3, and after width: kv_heads, hidden, tied (u64), family,
//                     norm_epsilon, rope_theta (text: the shortest decimals that read back equal)
// digest = SHA-256 of the canonical encoding of text "ufab.checkpoint/2" (or 3) and the attributes step ..
// state_digest in the order above (numbers as u64, digests as 32 bytes); it and the state digest are checked
// at load, so that every attribute and every number is covered. Every rank writes its slice collectively into
// a temporary name; then sync, rename, sync of the folder.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "fabric/train/state.h"
#include "kernels/model.h"

namespace ufab {

struct CheckpointInfo {
  kernels::ModelConfig model;
  Digest definition, corpus;
  StateDigests digests;
};

// "2 layers, 4 heads, width 64, context 32, vocabulary 256", as messages show it; of the llama family with
// what that has to choose besides.
[[nodiscard]] std::string describe_model(const kernels::ModelConfig& model);

struct Checkpoint {
  CheckpointInfo info;
  TrainState state;
};

[[nodiscard]] std::string checkpoint_path(const std::string& folder, std::uint64_t step);
struct CheckpointFile {
  std::uint64_t step = 0;
  std::string path;
};
// The checkpoints of an output folder by descending step; names that are not checkpoints are skipped.
[[nodiscard]] std::vector<CheckpointFile> list_checkpoints(const std::string& folder);
// Removes temporary files that a killed run left, and all but the newest `keep` checkpoints (0: keeps all).
void prune_checkpoints(const std::string& folder, std::uint64_t keep);

// Collective over `group`: every rank holds the same state and gets the same answer.
[[nodiscard]] Status save_checkpoint(MPI_Comm group, const std::string& path, const CheckpointInfo& info,
                                     const TrainState& state);
// Memory that parallel HDF5 takes on a rank while a vector of so many bytes is written: an estimate, measured
// with Open MPI 4.1. One or two ranks write from where the vector lies; of more, some collect the others'
// parts.
[[nodiscard]] std::uint64_t checkpoint_buffer_bytes(int ranks, std::uint64_t vector_bytes);
[[nodiscard]] inline Status save_checkpoint(MPI_Comm group, const std::string& path,
                                            const Checkpoint& checkpoint) {
  return save_checkpoint(group, path, checkpoint.info, checkpoint.state);
}
// The same file by one process alone, with or without MPI; a failure leaves nothing.
[[nodiscard]] Status save_checkpoint_alone(const std::string& path, const Checkpoint& checkpoint);
// Local: any process, with or without MPI. Corrupt when anything does not match its digest.
[[nodiscard]] Result<Checkpoint> load_checkpoint(const std::string& path);

}  // namespace ufab
