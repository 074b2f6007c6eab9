// APEL individual job messages, versions 0.3 and 0.4.
//
// Specification: the message formats of APEL (EGI accounting, https://docs.egi.eu/internal/accounting; fields
// and rules as its parser checks them, github.com/apel/apel, apel/db/records/job.py and record.py,
// release 2.5.0).
//
// Layout: a header line "APEL-individual-job-message: v0.3", then for each record lines "Field: value" and a
// line
// "%%". Fields in the order below; a field without a value is left out; mandatory are Site, LocalJobId,
// WallDuration, CpuDuration, StartTime, EndTime.
//   Site, SubmitHost, VO, VOGroup, VORole, FQAN, Infrastructure*, ServiceLevel*   from ExportOptions
//   MachineName   the cluster; Queue the partition; LocalJobId "ID.CLUSTER"; LocalUserId the local user
//   WallDuration  elapsed seconds without suspension, not multiplied by processors; CpuDuration user + system
//   StartTime, EndTime   seconds since 1970; MemoryReal the peak in KB (1024 bytes)
//   ServiceLevelType, ServiceLevel   0.3: the benchmark's name and value per core; without a benchmark both
//   are
//                 left out, and APEL takes it as "custom" with factor 1. 0.4: "ServiceLevel: {NAME: VALUE}",
//                 and since its reader needs one, 0.4 without a benchmark is refused here.
// Key at APEL: Site, LocalJobId, EndTime; a record of the same key replaces the older one. Its own keys that
// a correction moved away from are therefore published with zero durations.
#include <fmt/format.h>

#include "accounting/audit/export/export.h"
#include "accounting/audit/export/text.h"

namespace ufab {

namespace {

// Text of others may not end a record early.
std::string plain(std::string text) {
  for (std::size_t at = text.find("%%"); at != std::string::npos; at = text.find("%%", at))
    text[at + 1] = '_';
  return text;
}

void line(std::string& to, const char* field, const std::string& value) {
  if (!value.empty()) to += fmt::format("{}: {}\n", field, plain(value));
}
void number(std::string& to, const char* field, std::uint64_t value) {
  to += fmt::format("{}: {}\n", field, value);
}

}  // namespace

Result<std::string> export_apel(const ExportInput& input) {
  const ExportOptions& o = input.options;
  const bool v4 = o.apel_version == ApelVersion::v0_4;
  if (v4 && !o.benchmark) {
    return Error{ErrorCode::usage,
                 "APEL 0.4 needs a benchmark: give --benchmark TYPE=VALUE, or use version 0.3"};
  }
  std::string text = fmt::format("APEL-individual-job-message: v0.{}\n", v4 ? 4 : 3);
  const auto end_second = [](const UsageValues& u) { return whole_seconds(u.end_us); };
  for (const KeyedRecord& record : keyed_records(input, end_second)) {
    const UsageValues& u = record.usage;
    line(text, "Site", export_site(input, *record.run));
    line(text, "SubmitHost", export_submit_host(input, u));
    line(text, "MachineName", u.cluster);
    line(text, "Queue", u.partition);
    line(text, "LocalJobId", local_job_id(u));
    line(text, "LocalUserId", u.user);
    line(text, "GlobalUserName", export_global_user(input, *record.run));
    line(text, "FQAN", o.fqan);
    line(text, "VO", o.vo);
    line(text, "VOGroup", o.vo_group);
    line(text, "VORole", o.vo_role);
    number(text, "WallDuration", whole_seconds(u.elapsed_us));
    number(text, "CpuDuration", whole_seconds(u.cpu_us));
    number(text, "Processors", u.processors);
    number(text, "NodeCount", u.nodes);
    number(text, "StartTime", whole_seconds(u.start_us));
    number(text, "EndTime", whole_seconds(u.end_us));
    line(text, "InfrastructureDescription", o.infrastructure);
    line(text, "InfrastructureType", o.infrastructure_type);
    if (u.memory_peak_bytes != 0) number(text, "MemoryReal", u.memory_peak_bytes / 1024);
    if (v4) {
      text += fmt::format("ServiceLevel: {{{}: {}}}\n", o.benchmark->type, o.benchmark->value());
    } else if (o.benchmark) {
      line(text, "ServiceLevelType", o.benchmark->type);
      line(text, "ServiceLevel", o.benchmark->value());
    }
    text += "%%\n";
  }
  return text;
}

}  // namespace ufab
