#include "accounting/audit/reconcile/reconcile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <tuple>

#include "accounting/audit/reconcile/match.h"

namespace ufab {

namespace {

using audit::distance;
using audit::Observed;
using audit::RunMatcher;
using audit::without;

// How much two values may differ.
enum class Slack { exact, time, elapsed, cpu, memory, energy, per_second };
struct NumberField {
  const char* name;
  Slack slack;
  std::uint64_t (*ledger)(const UsageValues&);
};
// In the order of audit::ObservedNumber, and of audit::ObservedText.
constexpr std::array<NumberField, audit::number_count> number_fields{{
    {"start_us", Slack::time, [](const UsageValues& u) -> std::uint64_t { return u.start_us; }},
    {"end_us", Slack::time, [](const UsageValues& u) -> std::uint64_t { return u.end_us; }},
    {"elapsed_us", Slack::elapsed, [](const UsageValues& u) -> std::uint64_t { return u.elapsed_us; }},
    {"cpu_us", Slack::cpu, [](const UsageValues& u) -> std::uint64_t { return u.cpu_us; }},
    {"memory_peak_bytes", Slack::memory,
     [](const UsageValues& u) -> std::uint64_t { return u.memory_peak_bytes; }},
    {"gpu_us", Slack::per_second, [](const UsageValues& u) -> std::uint64_t { return u.gpu_us; }},
    {"energy_j", Slack::energy, [](const UsageValues& u) -> std::uint64_t { return u.energy_j; }},
    {"billing_s", Slack::per_second, [](const UsageValues& u) -> std::uint64_t { return u.billing_s; }},
    {"exit_code", Slack::exact, [](const UsageValues& u) -> std::uint64_t { return u.exit_code; }},
    {"signal", Slack::exact, [](const UsageValues& u) -> std::uint64_t { return u.signal; }},
    {"processors", Slack::exact, [](const UsageValues& u) -> std::uint64_t { return u.processors; }},
    {"nodes", Slack::exact, [](const UsageValues& u) -> std::uint64_t { return u.nodes; }},
    {"gpus", Slack::exact, [](const UsageValues& u) -> std::uint64_t { return u.gpus; }},
}};
struct TextField {
  const char* name;
  std::string UsageValues::*ledger;
};
constexpr std::array<TextField, audit::text_count> text_fields{
    {{"state", &UsageValues::state}, {"user", &UsageValues::user}, {"partition", &UsageValues::partition}}};

class Comparison {
 public:
  explicit Comparison(const ReconcileInput& input) : input_(input), ledger_(input.ledger) {
    std::erase_if(ledger_, [&](const UsageRun& run) { return !looked_at(run.usage().cluster); });
    std::sort(ledger_.begin(), ledger_.end(), [](const UsageRun& a, const UsageRun& b) {
      const UsageValues &u = a.usage(), &v = b.usage();
      return std::tie(u.cluster, u.external_id, u.submit_us, a.job, a.attempt, a.import) <
             std::tie(v.cluster, v.external_id, v.submit_us, b.job, b.attempt, b.import);
    });
  }

  Reconciliation run() {
    sources_.reserve(2);
    add_source("sacct", input_.sacct);
    if (input_.telemetry) {
      add_source("telemetry", *input_.telemetry);
      result_.telemetry_matched = 0;
    }
    for (const RunMatcher& source : sources_) {
      for (const auto& [cluster, clock] : source.clocks()) {
        if (static_cast<std::uint64_t>(std::abs(clock.offset_us)) <= input_.tolerances.clock_us) continue;
        add_clock(source, cluster, clock);
      }
    }
    for (std::size_t i = 0; i < ledger_.size(); ++i) {
      if (input_.period.has(ledger_[i].usage().end_us)) compare_run(i);
    }
    for (const RunMatcher& source : sources_) {
      for (const Observed* row : source.left()) add_unknown(source, *row);
    }
    for (Difference& item : unknown_) result_.differences.push_back(std::move(item));
    std::sort(result_.differences.begin(), result_.differences.end());
    return std::move(result_);
  }

 private:
  [[nodiscard]] bool looked_at(const std::string& cluster) const {
    return !input_.cluster || *input_.cluster == cluster;
  }

  template <class Row>
  void add_source(const char* name, const std::vector<Row>& rows) {
    std::vector<Observed> list;
    for (const Row& row : rows) {
      if (looked_at(row.cluster)) list.push_back(audit::observed(row));
    }
    sources_.emplace_back(input_, ledger_, name, std::move(list));
  }

  Difference about(const UsageRun& run, DifferenceKind kind) const {
    Difference item;
    item.kind = kind;
    item.cluster = run.usage().cluster;
    item.external_id = run.usage().external_id;
    item.submit_us = run.usage().submit_us;
    item.job = run.job;
    item.attempt = run.attempt;
    return item;
  }

  void add_clock(const RunMatcher& source, const std::string& cluster, const audit::ClockOffset& clock) {
    Difference item;
    item.kind = DifferenceKind::clock;
    item.cluster = cluster;
    item.sources = {source.name()};
    item.offset_us = clock.offset_us;
    item.rows = clock.rows;
    item.reason = fmt::format("the clock of {} is {} s {} of the ledger's in {}", cluster,
                              std::abs(clock.offset_us) / 1'000'000, clock.offset_us > 0 ? "ahead" : "behind",
                              source.name());
    result_.differences.push_back(std::move(item));
  }

  void compare_run(std::size_t i) {
    const UsageRun& run = ledger_[i];
    ++result_.ledger_runs;
    Difference missing = about(run, DifferenceKind::missing_in_slurm);
    for (const RunMatcher& source : sources_) {
      const Observed* row = source.partner(i);
      if (row == nullptr) {
        missing.sources.push_back(source.name());
        continue;
      }
      ++(source.name() == "sacct" ? result_.sacct_matched : *result_.telemetry_matched);
      compare(run, source, *row);
    }
    if (missing.sources.empty()) return;
    missing.reason = fmt::format("job {} attempt {} of the ledger is not in {}", run.job, run.attempt,
                                 fmt::join(missing.sources, " and "));
    result_.differences.push_back(std::move(missing));
  }

  void differs(const UsageRun& run, const RunMatcher& source, const char* field, std::string ledger,
               std::string slurm) {
    Difference item = about(run, DifferenceKind::differs);
    item.sources = {source.name()};
    item.field = field;
    item.reason = fmt::format("{}: the ledger has {}, {} has {}", field, ledger, source.name(), slurm);
    item.ledger_value = std::move(ledger);
    item.slurm_value = std::move(slurm);
    result_.differences.push_back(std::move(item));
  }

  void compare(const UsageRun& run, const RunMatcher& source, const Observed& row) {
    const UsageValues& u = run.usage();
    const std::int64_t offset = source.offset(u.cluster);
    const auto number = [&](const char* field, std::uint64_t ledger, std::uint64_t slurm) {
      differs(run, source, field, std::to_string(ledger), std::to_string(slurm));
    };
    if (row.id != u.external_id) number("external_id", u.external_id, row.id);
    if (distance(without(row.submit_us, offset), u.submit_us) > 2 * input_.tolerances.time_us) {
      number("submit_us", u.submit_us, row.submit_us);
    }
    // Of a job that was cancelled while it waited slurmctld tells its hooks that it started as it ended, on
    // what it had asked for.
    const auto& [start, end] = std::tie(row.numbers[audit::start_field], row.numbers[audit::end_field]);
    const bool never_ran = u.start_us == 0 && start && *start != 0 && start == end;
    for (std::size_t k = 0; k < number_fields.size(); ++k) {
      if (!row.numbers[k]) continue;
      if (never_ran && (k == audit::start_field || k == audit::processors_field || k == audit::nodes_field))
        continue;
      const NumberField& field = number_fields[k];
      const std::uint64_t ledger = field.ledger(u);
      const std::uint64_t slurm =
          field.slack == Slack::time ? without(*row.numbers[k], offset) : *row.numbers[k];
      // Nothing against something is a difference even where a little is none, for a time.
      const bool never = field.slack == Slack::time && (ledger == 0) != (slurm == 0);
      if (never || distance(ledger, slurm) > allowed(field.slack, u, ledger)) {
        number(field.name, ledger, *row.numbers[k]);
      }
    }
    for (std::size_t k = 0; k < text_fields.size(); ++k) {
      const std::string& ledger = u.*text_fields[k].ledger;
      if (row.texts[k] && *row.texts[k] != ledger)
        differs(run, source, text_fields[k].name, ledger, *row.texts[k]);
    }
  }

  [[nodiscard]] std::uint64_t allowed(Slack slack, const UsageValues& u, std::uint64_t value) const {
    const ReconcileTolerances& t = input_.tolerances;
    const std::uint64_t relative =
        static_cast<std::uint64_t>(static_cast<Uint128>(value) * t.relative_ppm / 1'000'000);
    switch (slack) {
      case Slack::exact: return 0;
      case Slack::time: return 2 * t.time_us;  // both sides may have been rounded
      case Slack::elapsed: return t.time_us;
      case Slack::cpu: return std::max(t.cpu_us, relative);
      case Slack::memory: return std::max(t.memory_bytes, relative);
      case Slack::energy: return std::max(t.energy_j, relative);
      case Slack::per_second: {
        // What the slack of the elapsed time is worth at the run's own rate.
        if (u.elapsed_us == 0) return value;
        return static_cast<std::uint64_t>(static_cast<Uint128>(value) * t.time_us / u.elapsed_us) + 1;
      }
    }
    return 0;
  }

  // A row of Slurm that no run of the ledger took: nothing, unless it is the fabric's.
  void add_unknown(const RunMatcher& source, const Observed& row) {
    const bool ours = source.ours(row);
    if (ours && row.tag->job == 0) return;  // a verification
    const bool place = input_.partitions.contains(row.partition) || input_.accounts.contains(row.account);
    const std::int64_t offset = source.offset(row.cluster);
    const std::uint64_t end_us = without(row.numbers[audit::end_field].value_or(row.submit_us), offset);
    if (!input_.period.has(end_us)) return;
    if (!ours && (!place || end_us < input_.fabric_since_us)) return;
    std::vector<std::size_t>& of_id = unknown_of_id_[{row.cluster, row.id}];
    for (const std::size_t k : of_id) {
      Difference& known = unknown_[k];
      if (known.sources.back() == source.name() ||
          distance(known_submit_us_[k], without(row.submit_us, offset)) > 2 * input_.tolerances.time_us) {
        continue;
      }
      known.sources.push_back(source.name());
      return;
    }
    of_id.push_back(unknown_.size());
    Difference item;
    item.kind = DifferenceKind::missing_on_ledger;
    item.cluster = row.cluster;
    item.external_id = row.id;
    item.submit_us = row.submit_us;
    item.sources = {source.name()};
    if (ours) {
      item.job = row.tag->job;
      item.attempt = row.tag->attempt;
      item.reason = input_.leased.contains({item.job, item.attempt})
                        ? fmt::format("job {} attempt {} was leased, but its usage is not on the ledger",
                                      item.job, item.attempt)
                        : fmt::format("it is tagged as job {} attempt {}, which this provider never leased",
                                      item.job, item.attempt);
    } else {
      const bool by_partition = input_.partitions.contains(row.partition);
      item.reason =
          fmt::format("it ran in the fabric's {} {} without the fabric",
                      by_partition ? "partition" : "account", by_partition ? row.partition : row.account);
    }
    unknown_.push_back(std::move(item));
    known_submit_us_.push_back(without(row.submit_us, offset));
  }

  const ReconcileInput& input_;
  std::vector<UsageRun> ledger_;
  std::vector<RunMatcher> sources_;
  std::vector<Difference> unknown_;
  std::map<std::pair<std::string, std::uint64_t>, std::vector<std::size_t>> unknown_of_id_;
  std::vector<std::uint64_t> known_submit_us_;  // of each, on the ledger's clock
  Reconciliation result_;
};

}  // namespace

const char* difference_kind_name(DifferenceKind kind) {
  switch (kind) {
    case DifferenceKind::missing_on_ledger: return "missing_on_ledger";
    case DifferenceKind::missing_in_slurm: return "missing_in_slurm";
    case DifferenceKind::differs: return "differs";
    case DifferenceKind::clock: return "clock";
  }
  return "?";
}

std::optional<RunTag> parse_run_tag(std::string_view name) {
  const auto take = [&name](std::string_view text) {
    if (!name.starts_with(text)) return false;
    name.remove_prefix(text.size());
    return true;
  };
  const auto hex = [&name](std::size_t digits) -> std::optional<std::string> {
    const std::string text(name.substr(0, digits));
    if (text.size() != digits || text.find_first_not_of("0123456789abcdef") != std::string::npos)
      return std::nullopt;
    name.remove_prefix(digits);
    return text;
  };
  const auto number = [&name](auto& value) {
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
    if (error != std::errc()) return false;
    name.remove_prefix(static_cast<std::size_t>(end - name.data()));
    return value != 0;
  };
  RunTag tag;
  if (!take("ufab:")) return std::nullopt;
  const auto chain = hex(8);
  if (!chain || !take(":")) return std::nullopt;
  if (take("verify-")) {
    const std::size_t end = std::min(name.find_first_not_of("0123456789-"), name.size());
    name.remove_prefix(end);
    if (end == 0 || !take(":")) return std::nullopt;
  } else if (!take("job-") || !number(tag.job) || !take("-") || !number(tag.attempt) || !take(":")) {
    return std::nullopt;
  }
  if (!hex(16) || !name.empty()) return std::nullopt;
  tag.chain = *chain;
  return tag;
}

UsageValues usage_of(const SacctJob& job) {
  UsageValues u;
  u.cluster = job.cluster;
  u.external_id = job.id;
  u.submit_us = job.submit_us;
  u.start_us = job.start_us;
  u.end_us = job.end_us;
  u.elapsed_us = job.elapsed_us;
  u.cpu_us = job.cpu_us;
  u.processors = job.processors;
  u.nodes = job.nodes;
  u.memory_peak_bytes = job.memory_peak_bytes;
  u.gpus = job.gpus;
  u.gpu_us = job.gpu_us;
  u.energy_j = job.energy_j;
  u.billing_s = job.billing_s;
  u.state = job.state;
  u.exit_code = job.exit_code;
  u.signal = job.signal;
  u.user = job.user;
  u.partition = job.partition;
  return u;
}

Reconciliation reconcile(const ReconcileInput& input) {
  return Comparison(input).run();
}

}  // namespace ufab
