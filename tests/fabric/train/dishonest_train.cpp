// A trainer that cheats in one way, to show that the verifier notices. The way comes in UFAB_CHEAT:
//   gradient:STEP:MB   adds to the sum after micro-batch MB of STEP, claims the fingerprint of what it sent
//   hidden:STEP:MB     the same, but claims the honest fingerprint
//   stale:STEP         computes STEP from parameters of the step before
//   end_digest, start_digest, work    a false field in every claim
//   exponent:STEP      no cheat: every rank begins STEP at a scale that its gradients outgrow
#include <fmt/format.h>
#include <mpi.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "fabric/train/trainer.h"

namespace {

using namespace ufab;

TrainHooks cheating_hooks(const std::string& cheat) {
  TrainHooks hooks;
  unsigned long long step = 0, batch = 0;
  const bool open = std::sscanf(cheat.c_str(), "gradient:%llu:%llu", &step, &batch) == 2;
  if (open || std::sscanf(cheat.c_str(), "hidden:%llu:%llu", &step, &batch) == 2) {
    hooks.after_micro_batch = [=](std::uint64_t at, std::uint32_t micro_batch, std::span<std::int32_t> sums,
                                  std::uint64_t& fingerprint) {
      if (at != step || micro_batch != batch) return;
      sums[17] += 1;
      if (open) fingerprint += 1;
    };
  } else if (std::sscanf(cheat.c_str(), "stale:%llu", &step) == 1) {
    hooks.before_step = [=, old = std::pmr::vector<float>()](TrainState& state) mutable {
      if (state.step + 2 == step) old = state.params;
      if (state.step + 1 == step) state.params = old;
    };
  } else if (std::sscanf(cheat.c_str(), "exponent:%llu", &step) == 1) {
    hooks.before_step = [=](TrainState& state) {
      if (state.step + 1 == step)
        for (int& exponent : state.exponents) exponent += 24;
    };
  } else {
    hooks.before_claim = [=](WindowClaim& claim) {
      if (cheat == "end_digest") claim.end_digest = claim.start_digest;
      if (cheat == "start_digest") claim.start_digest.bytes[0] ^= 1;
      if (cheat == "work") claim.work_flop *= 2;
    };
  }
  return hooks;
}

const char* option(int argc, char** argv, const char* name) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], name) == 0) return argv[i + 1];
  }
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  const char* cheat = std::getenv("UFAB_CHEAT");
  TrainOptions options;
  options.definition = load_definition(option(argc, argv, "--job")).value();
  options.corpus = options.definition.corpus;
  options.out = option(argc, argv, "--out");
  options.gang = load_gang(option(argc, argv, "--gang")).value();
  options.threads = 1;
  options.progress = ProgressStyle::none;
  const volatile std::sig_atomic_t stop = 0;
  const auto result =
      train(Group(MPI_COMM_WORLD), options, cheating_hooks(cheat == nullptr ? "" : cheat), stop);
  if (!result.ok()) fmt::print(stderr, "{}\n", result.error().message);
  MPI_Finalize();
  return result.ok() ? 0 : 1;
}
