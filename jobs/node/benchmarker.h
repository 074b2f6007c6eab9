// The node's part in benchmarks (accounting/records/enrolment.h): runs its provider's own and files them,
// renews them before they expire, and re-executes the lanes of others that the ledger drew it for. Driven by
// the ledger like the provider's agent, and as repeatable: what was under way when the node died is found
// again in bench/ and in the batch system.
//
// An own benchmark takes all offered processors, so it starts only while no job is planned or running here,
// and while the present one is still valid it gives way to the first job that is. bench/HEIGHT holds it:
// seeds, bench.sh, output, result.json; it goes once its record is on the ledger.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "jobs/node/context.h"

namespace ufab::jobs {

// What decides over an own benchmark.
struct BenchmarkSituation {
  bool wanted = false;            // the chain asks for benchmarks, and this provider may have leases
  bool filed = false;             // in this epoch, or it waits for its check: the ledger takes no other
  bool asked = false;             // by the owner
  bool busy = false;              // a job of the fabric is planned or running here
  bool under_way = false;         // an own benchmark is
  std::uint64_t epochs_left = 0;  // of the valid one; 0: there is none
  std::uint64_t epochs_valid = 0;
};
enum class BenchmarkMove { nothing, start, stop };
// A benchmark is renewed in the last quarter of its time, at least one epoch.
[[nodiscard]] std::uint64_t renewal_epochs(std::uint64_t epochs_valid);
[[nodiscard]] BenchmarkMove benchmark_move(const BenchmarkSituation& situation);

class Benchmarker {
 public:
  explicit Benchmarker(NodeContext& node);
  // One pass. Called by one thread.
  void tick();
  // The owner wants one as soon as the provider is idle. Thread-safe.
  void ask() { asked_ = true; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Duty {
    OrgId organisation = 0;
    std::string name;
    std::uint64_t challenge_height = 0;
    std::uint32_t semantics_version = 0;
    std::uint32_t repeats = 0;
    Digest seed;
  };
  struct View {
    BenchmarkSituation situation;
    std::uint32_t slots = 0;
    std::uint64_t ms_min = 0;
    std::vector<Duty> duties;
  };
  [[nodiscard]] View look(OrgId self) const;
  [[nodiscard]] std::string folder_of(std::uint64_t height) const;
  Status start(OrgId self, const View& view);
  Status watch();
  Status file(const std::string& folder);
  void forget(bool failed);
  Status check(const Duty& duty);
  Status start_run(const std::string& name, const std::string& folder, std::uint32_t lanes,
                   std::uint32_t threads, const std::string& options);

  NodeContext& node_;
  std::atomic<bool> asked_{false};
  std::optional<std::uint64_t> height_;  // the challenge of the own one under way
  std::uint32_t failures_ = 0;
  std::uint64_t height_seen_ = 0;
  Clock::time_point not_before_{};
  std::map<std::string, int> tries_;
  std::map<std::string, std::string> said_;
};

}  // namespace ufab::jobs
