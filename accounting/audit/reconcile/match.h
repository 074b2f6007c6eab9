// Which row of a source is which run of the ledger: steps (1) to (3) of reconcile.h. Private to the
// reconciliation.
#pragma once

#include <array>
#include <map>
#include <tuple>

#include "accounting/audit/reconcile/reconcile.h"

namespace ufab::audit {

// Places of the numbers that Observed has.
enum ObservedNumber : std::size_t {
  start_field,
  end_field,
  elapsed_field,
  cpu_field,
  memory_field,
  gpu_time_field,
  energy_field,
  billing_field,
  exit_code_field,
  signal_field,
  processors_field,
  nodes_field,
  gpus_field,
  number_count
};
enum ObservedText : std::size_t { state_field, user_field, partition_field, text_count };

// A job as one source has it. Fields without a value were not measured there and are not compared.
struct Observed {
  std::string cluster;
  std::uint64_t id = 0;
  std::uint64_t submit_us = 0;
  bool open = false;  // has not ended: may be a partner, is never missing
  std::optional<RunTag> tag;
  std::string account, partition;
  std::array<std::optional<std::uint64_t>, number_count> numbers;
  std::array<std::optional<std::string>, text_count> texts;
};
[[nodiscard]] Observed observed(const SacctJob& job);
[[nodiscard]] Observed observed(const TelemetryJob& job);

[[nodiscard]] std::uint64_t distance(std::uint64_t a, std::uint64_t b);
// A time of a source on the ledger's clock; 0 ("never") stays.
[[nodiscard]] std::uint64_t without(std::uint64_t time_us, std::int64_t offset_us);

struct ClockOffset {
  std::int64_t offset_us = 0;  // the source's time less the ledger's
  std::uint64_t rows = 0;      // pairs that have it
};

// One source against the ledger; all is worked out by the constructor, whatever order the rows came in. The
// runs must be in an order that follows from themselves. Refers to both of its first arguments.
class RunMatcher {
 public:
  RunMatcher(const ReconcileInput& input, const std::vector<UsageRun>& ledger, std::string name,
             std::vector<Observed> rows);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::map<std::string, ClockOffset>& clocks() const { return clocks_; }
  // The row of the run; null if there is none.
  [[nodiscard]] const Observed* partner(std::size_t run) const {
    return partner_[run] ? &rows_[*partner_[run]] : nullptr;
  }
  // Ended rows that no run of the ledger took.
  [[nodiscard]] std::vector<const Observed*> left() const;
  [[nodiscard]] std::int64_t offset(const std::string& cluster) const;
  // Whether the row carries this chain's tag.
  [[nodiscard]] bool ours(const Observed& row) const { return row.tag && row.tag->chain == input_.chain; }

 private:
  using IdKey = std::pair<std::string, std::uint64_t>;  // cluster, id
  // The row that is the run beyond doubt, whatever the clocks say; null if there is none.
  [[nodiscard]] const Observed* sure_partner(const UsageRun& run,
                                             const std::map<IdKey, int>& runs_of_id) const;
  [[nodiscard]] bool same_tag(const Observed& row, const UsageRun& run) const;
  void find_clocks();
  void match_keys();
  void match_tags();
  void take(std::size_t run, std::size_t row);

  const ReconcileInput& input_;
  const std::vector<UsageRun>& ledger_;
  std::string name_;
  std::vector<Observed> rows_;
  std::map<IdKey, std::vector<std::size_t>> by_id_;
  std::map<std::tuple<std::string, JobId, std::uint32_t>, std::vector<std::size_t>> by_tag_;
  std::map<std::string, ClockOffset> clocks_;
  std::vector<std::optional<std::size_t>> partner_;  // of each run
  std::vector<bool> taken_;                          // of each row
};

}  // namespace ufab::audit
