// APEL summaries: how much a user used in a month.
//
// Specification: as for apel.cpp (github.com/apel/apel, apel/db/records/summary.py and normalised_summary.py,
// release 2.5.0). Three messages of the same layout ("Field: value" lines, "%%" after each record):
//   version 0.3               "APEL-summary-job-message: v0.3", which is the normalised one
//   version 0.4               "APEL-summary-job-message: v0.4", with "ServiceLevel: {NAME: VALUE}"
//   version 0.4, normalised   "APEL-normalised-summary-message: v0.4", "NormalisedWallDuration: {NAME:
//   SECONDS}"
// Normalised durations are seconds × the benchmark's value per core, cut to whole ones; without a benchmark
// 0.3 takes the factor 1, as APEL does for "custom", and 0.4, which must name one, is refused.
//
// Groups: Site, Month, Year, GlobalUserName, VO, VOGroup, VORole, SubmitHost, infrastructure, NodeCount,
// Processors; the month is that of a run's end in UTC. A summary replaces the one of the same group at APEL,
// so a part of a month would take away the rest of it: the period is widened to whole months. A group that a
// correction left empty is published with zero jobs and durations.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "accounting/audit/export/export.h"
#include "accounting/audit/export/text.h"

namespace ufab {

namespace {

// Site, year, month, global user, submit host, nodes, processors: the rest is the same for all.
using Group =
    std::tuple<std::string, unsigned, unsigned, std::string, std::string, std::uint32_t, std::uint32_t>;

struct Sum {
  std::uint64_t earliest_s = UINT64_MAX, latest_s = 0;
  std::uint64_t wall_us = 0, cpu_us = 0, jobs = 0;
};

Group group_of(const ExportInput& input, const UsageRun& run, const UsageValues& u) {
  const UtcTime end = utc_time(u.end_us);
  return {export_site(input, run),      end.year, end.month,   export_global_user(input, run),
          export_submit_host(input, u), u.nodes,  u.processors};
}

// seconds × value, the value in thousandths.
std::uint64_t normalise(std::uint64_t us, const std::optional<Benchmark>& benchmark) {
  const std::uint64_t factor = benchmark ? benchmark->thousandths : 1000;
  return static_cast<std::uint64_t>(static_cast<Uint128>(whole_seconds(us)) * factor / 1000);
}

std::map<Group, Sum> sums(const ExportInput& input) {
  std::map<Group, Sum> groups;
  const Period months = input.period.whole_months();
  const auto seen = [](Sum& sum, const UsageValues& u) {
    sum.earliest_s = std::min(sum.earliest_s, whole_seconds(u.end_us));
    sum.latest_s = std::max(sum.latest_s, whole_seconds(u.end_us));
  };
  for (const UsageRun& run : input.runs) {
    const UsageValues& now = run.usage();
    if (now.start_us == 0 || !months.has(now.end_us)) continue;
    Sum& sum = groups[group_of(input, run, now)];
    seen(sum, now);
    sum.wall_us += now.elapsed_us;
    sum.cpu_us += now.cpu_us;
    ++sum.jobs;
  }
  for (const UsageRun& run : input.runs) {
    for (const UsageValues* before : run.superseded()) {
      if (before->start_us == 0 || !months.has(before->end_us)) continue;
      Sum& sum = groups[group_of(input, run, *before)];
      if (sum.jobs == 0) seen(sum, *before);
    }
  }
  return groups;
}

void line(std::string& to, const char* field, const std::string& value) {
  if (!value.empty()) to += fmt::format("{}: {}\n", field, value);
}

}  // namespace

Result<std::string> export_apel_summary(const ExportInput& input) {
  const ExportOptions& o = input.options;
  const bool v4 = o.apel_version == ApelVersion::v0_4;
  const bool normalised = !v4 || o.normalised;
  if (v4 && !o.benchmark) {
    return Error{ErrorCode::usage,
                 "APEL 0.4 needs a benchmark: give --benchmark TYPE=VALUE, or use version 0.3"};
  }
  std::string text = !v4          ? "APEL-summary-job-message: v0.3\n"
                     : normalised ? "APEL-normalised-summary-message: v0.4\n"
                                  : "APEL-summary-job-message: v0.4\n";
  for (const auto& [group, sum] : sums(input)) {
    const auto& [site, year, month, user, host, nodes, processors] = group;
    line(text, "Site", site);
    text += fmt::format("Month: {}\nYear: {}\n", month, year);
    line(text, "GlobalUserName", user);
    line(text, "VO", o.vo);
    line(text, "VOGroup", o.vo_group);
    line(text, "VORole", o.vo_role);
    line(text, "SubmitHost", host);
    line(text, normalised ? "Infrastructure" : "InfrastructureType", o.infrastructure_type);
    line(text, "InfrastructureDescription", o.infrastructure);
    if (!normalised) {
      text += fmt::format("ServiceLevel: {{{}: {}}}\n", o.benchmark->type, o.benchmark->value());
    }
    text += fmt::format("NodeCount: {}\nProcessors: {}\nEarliestEndTime: {}\nLatestEndTime: {}\n", nodes,
                        processors, sum.earliest_s, sum.latest_s);
    text += fmt::format("WallDuration: {}\nCpuDuration: {}\n", whole_seconds(sum.wall_us),
                        whole_seconds(sum.cpu_us));
    if (normalised) {
      const auto normal = [&](const char* field, std::uint64_t us) {
        const std::uint64_t value = normalise(us, o.benchmark);
        text += v4 ? fmt::format("{}: {{{}: {}}}\n", field, o.benchmark->type, value)
                   : fmt::format("{}: {}\n", field, value);
      };
      normal("NormalisedWallDuration", sum.wall_us);
      normal("NormalisedCpuDuration", sum.cpu_us);
    }
    text += fmt::format("NumberOfJobs: {}\n%%\n", sum.jobs);
  }
  return text;
}

}  // namespace ufab
