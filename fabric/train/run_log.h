// The files that a run's leader writes into its output folder, besides checkpoints and contributions:
//   log.jsonl      one line per step, {"schema":"ufab.train.step/1","step":1,"loss":5.5,"eval_loss":5.5 (when
//                  evaluated),"lr":0.001,"grad_norm":1.2,"tokens":768,"tokens_per_s":9000.0,"wall_ms":85.3,
//                  "redone":1 (when it was)}; tokens: of the whole step, all providers; wall_ms: of this
//                  step; redone: how often the step was done again because gradients outgrew the fixed point
//   windows.jsonl  fabric/train/window.h
// Lines are written as they come and made durable at the end of every window, before the window's claim, and
// the claim after its checkpoint: a claim always has its evidence on disk. After a resume no step appears
// twice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fabric/base/file.h"
#include "fabric/train/window.h"

namespace ufab {

struct StepLog {
  std::uint64_t step = 0;
  double loss = 0;
  std::optional<double> eval_loss;
  double learning_rate = 0, grad_norm = 0;
  std::uint64_t tokens = 0;
  double wall_ms = 0;
  std::uint32_t redone = 0;
};

class RunLog {
 public:
  // Creates the folder's files, or cuts them back to what belongs to steps 1 .. resumed_step.
  [[nodiscard]] static Result<RunLog> open(const std::string& folder, std::uint64_t resumed_step);

  [[nodiscard]] Status step(const StepLog& line);
  [[nodiscard]] Status sync_steps() { return steps_.sync(); }
  // Appends the claim and makes it durable.
  [[nodiscard]] Status window(const WindowClaim& claim);

 private:
  AppendFile steps_, windows_;
};

}  // namespace ufab
