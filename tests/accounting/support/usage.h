// Values of a usage import for tests: a run of Slurm that ended well, every field with a value of its own.
#pragma once

#include "accounting/records/bodies.h"

namespace ufab::test {

inline UsageValues usage_values(std::uint64_t external_id = 4711) {
  UsageValues u;
  u.cluster = "north";
  u.external_id = external_id;
  u.submit_us = 1'800'000'000'000'000;
  u.start_us = u.submit_us + 5'000'000;
  u.end_us = u.start_us + 100'000'000;
  u.elapsed_us = 90'000'000;
  u.cpu_us = 170'000'000;
  u.processors = 2;
  u.nodes = 1;
  u.memory_peak_bytes = 300 << 20;
  u.gpus = 1;
  u.gpu_us = 90'000'000;
  u.energy_j = 12'345;
  u.billing_s = 180;
  u.state = "CD";
  u.user = "ufab-alice";
  u.partition = "batch";
  return u;
}

}  // namespace ufab::test
