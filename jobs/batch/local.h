// The batch system of a provider without one: runs scripts on this machine, first come first served, as many
// at a time as fit in its slots. Each run has a supervisor process ("shepherd", jobs/batch/shepherd.h) that
// outlives the node, so that a node killed at any moment finds its runs again.
//
// On disk, under one folder:  RUN/request.json (durable before the run exists), RUN/status.json (replaced
// atomically by the shepherd), RUN/cancel (its presence asks for the end).
// Thread-safe. One process at a time may use a folder.
#pragma once

#include <memory>
#include <string>

#include "jobs/batch/batch_system.h"

namespace ufab::jobs {

struct LocalBatchConfig {
  std::string folder;
  std::string shepherd;  // path of the ufabd program, which is also the shepherd
  std::uint32_t slots = 1;
};

[[nodiscard]] Result<std::unique_ptr<BatchSystem>> make_local_batch(const LocalBatchConfig& config);

}  // namespace ufab::jobs
