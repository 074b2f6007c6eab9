// Looks again and again whether the provider still has what it offers on the ledger, and corrects the offer:
// a cluster loses nodes, a machine is given less memory. What is there less of is offered less, and offered
// again in full when it is back; a provider with nothing left is drained, with the reason on the ledger, and
// resumed. What runs is not touched.
//
// "In full" is what the operator enrolled, remembered while the node runs: a node that was started anew takes
// the present offer for it, and `ufab provider enroll` sets it right. An operator who offers more processors
// than the machine has does so on purpose (`ufab provider check` says what it means): then only memory is
// compared. A batch system that does not answer is no news: nothing changes. How often is in the provider's
// section of config.toml (capacity_check_s).
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <string>

#include "jobs/node/context.h"

namespace ufab::jobs {

struct OfferSize {
  std::uint64_t slots = 0;
  std::uint64_t memory_mib = 0;
  friend bool operator==(const OfferSize&, const OfferSize&) = default;
};
struct CapacityMove {
  enum class Kind { nothing, update, drain, resume };
  Kind kind = Kind::nothing;
  OfferSize size;      // update
  std::string reason;  // for people
};
// `full` is what the operator enrolled, `there` what the machines have now, `own_drain` whether the present
// drain is this watch's. Pure.
[[nodiscard]] CapacityMove capacity_move(ProviderStatus status, const OfferSize& offered,
                                         const OfferSize& full, bool own_drain, const OfferSize& there);

class CapacityWatch {
 public:
  // Asks the machine or the batch system; may take long, and is called from a thread of its own.
  using Ask = std::function<Result<OfferSize>(const ProviderConfig&)>;
  CapacityWatch(NodeContext& node, Ask ask) : node_(node), ask_(std::move(ask)) {}
  // One look at what has come of the last question. Called by one thread.
  void tick();

 private:
  Status act(const OfferSize& there);
  using Clock = std::chrono::steady_clock;
  NodeContext& node_;
  Ask ask_;
  Clock::time_point asked_ = Clock::now();
  std::future<Result<OfferSize>> answer_;
  std::optional<OfferSize> full_;  // while the offer is smaller than that
  OfferSize set_;                  // what this watch set last
  bool own_drain_ = false;
  std::string said_;
};

// The machine of a local provider, the partition of one under Slurm. A machine that had fewer processors than
// were offered when the node started is taken to have as many as are offered.
[[nodiscard]] CapacityWatch::Ask ask_machines();

}  // namespace ufab::jobs
