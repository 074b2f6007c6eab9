// What this node's validator owes the ledger besides votes: its share of the next epoch's seed, and evidence
// against others that it has come upon. Not thread-safe: one caller, the node's loop.
#pragma once

#include <chrono>
#include <optional>

#include "jobs/node/context.h"

namespace ufab::jobs {

class ValidatorDuties {
 public:
  explicit ValidatorDuties(NodeContext& node) : node_(node) {}
  void tick();

 private:
  void file(RecordBody body, const std::string& what);

  NodeContext& node_;
  std::uint64_t shared_epoch_ = 0;                      // in which a share was filed
  std::chrono::steady_clock::time_point next_share_{};  // not tried again before
};

}  // namespace ufab::jobs
