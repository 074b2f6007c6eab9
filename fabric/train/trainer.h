// Training of one job on one provider's ranks, alone or in a gang over the bridge.
//
// One step: every rank adds the gradients of its micro-batches as integers (Engine); MPI sums them to the
// leader; the leader records their digest as this provider's contribution and adds the other providers' over
// the bridge; the total goes back to every rank, and each applies the same AdamW step to its own copy of the
// state. The peaks of the gradients travel with the sums: where they left the fixed point's range, the step
// is done again with smaller exponents, by everybody. The state after step n is a pure function of the
// definition and the corpus: ranks, shares, threads, providers, kernels and resumes change nothing (DESIGN
// section 5).
#pragma once

#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "fabric/train/contributions.h"
#include "fabric/train/engine.h"
#include "fabric/train/gang.h"
#include "fabric/train/group.h"
#include "fabric/train/progress.h"
#include "fabric/train/window.h"

namespace ufab {

struct TrainOptions {
  JobDefinition definition;
  std::string corpus;  // path
  std::string out;     // output folder
  std::string init;    // checkpoint that definition.init_digest means; see first_state.h
  Gang gang;
  std::string resume = "latest";      // "latest", "none" or a checkpoint's path
  std::vector<std::uint64_t> shares;  // one weight per rank; empty: equal
  bool measure_shares = false;        // weights from a short measurement at the start
  int threads = 0;                    // per rank; 0: cores / ranks on this machine
  kernels::BackendKind backend = kernels::BackendKind::cpu;
  bool recompute = false;  // activations again in the backward pass: less memory, the same bits
  std::uint64_t keep = 0;  // newest checkpoints to keep; 0: all
  ProgressStyle progress = ProgressStyle::automatic;  // of the leader
  std::uint64_t memory_bytes = 0;  // what the job may use on this machine; 0: as the machine's limits say
};

// Where a test may put dishonesty or a fault. Empty in the product.
struct TrainHooks {
  Engine::AfterMicroBatch after_micro_batch;
  std::function<void(TrainState& state)> before_step;    // on every rank
  std::function<void(WindowClaim& claim)> before_claim;  // on the leader
};

struct TrainResult {
  std::uint64_t step = 0;
  StateDigests digests;
  double loss = 0;       // evaluation loss at the end (over the training part when nothing is held out)
  bool stopped = false;  // *stop was set; everything up to the last window's end is on disk
};

// Collective over the group; every rank returns the same. unavailable and timeout: a peer was lost, and
// the same run may be tried again; limit: it would not fit into memory (fabric/train/plan.h), and nothing was
// begun. `stop` is read at every step.
[[nodiscard]] Result<TrainResult> train(const Group& group, const TrainOptions& options,
                                        const TrainHooks& hooks, const volatile std::sig_atomic_t& stop);

// The parts below are shared with the verifier.

// State digests with the work spread over the ranks.
[[nodiscard]] StateDigests group_state_digest(const Group& group, const TrainState& state);
// This rank's part of `range`, by weight (empty: equal weights).
[[nodiscard]] MicroBatchRange rank_range(const Group& group, MicroBatchRange range,
                                         const std::vector<std::uint64_t>& weights);

}  // namespace ufab
