// Usage records in XML: the Compute Accounting Record, CAR 1.2.
//
// Specification: EMI, "Definition of the Compute Accounting Record" 1.2, the profile that OGF took up as
// Usage Record 2.0 (GFD.204) and the one that APEL reads; namespace
// http://eu-emi.eu/namespaces/2012/11/computerecord. Elements and attributes as APEL reads and writes them
// (github.com/apel/apel, car_parser.py and job.py) and as ARC's JURA writes them. EMI's own car_v1.2.xsd is
// not to be had any more under a licence that we could see, so tests/accounting/audit/export/car.xsd is a
// schema of our own, written from these sources.
//
//   RecordIdentity  recordId "ufab:CHAIN:IMPORT" (12 hex digits each), the same for a run however often it is
//                   corrected; createTime that of the block of the import, or of its last correction
//   JobIdentity     GlobalJobId "ufab:CHAIN:job-JOB-ATTEMPT:PROVIDER", LocalJobId as in apel.cpp
//   Status          completed, aborted (cancelled, preempted, deadline), failed (all else); ExitStatus
//   WallDuration    PT…S, elapsed without suspension; CpuDuration usageType="all"
//   ServiceLevel    type and value per core; without a benchmark "custom", 1.0
//   Memory          type="Physical" metric="max" storageUnit="KB"
//   TimeInstant     type="submit"; Charge unit="billing-seconds": Slurm's TRES-weighted seconds
// Corrections: as in apel.cpp, whose database reads this; a withdrawn key has a recordId of its own
// ("…:ENDTIME").
#include <fmt/format.h>

#include "accounting/audit/export/export.h"
#include "accounting/audit/export/text.h"

namespace ufab {

namespace {

const char* status_of(const std::string& state) {
  if (state == "CD") return "completed";
  return state == "CA" || state == "PR" || state == "DL" ? "aborted" : "failed";
}

void element(std::string& to, const char* name, const std::string& value,
             const std::string& attributes = "") {
  to += fmt::format("    <urf:{}{}>{}</urf:{}>\n", name, attributes, xml_escape(value), name);
}

std::string attribute(const char* name, std::string_view value) {
  return fmt::format(" urf:{}=\"{}\"", name, xml_escape(value));
}

void user_identity(std::string& text, const ExportInput& input, const KeyedRecord& record) {
  const ExportOptions& o = input.options;
  text += "    <urf:UserIdentity>\n";
  const auto inner = [&text](const char* name, const std::string& value, const std::string& attributes = "") {
    if (value.empty()) return;
    text += "  ";
    element(text, name, value, attributes);
  };
  inner("GlobalUserName", export_global_user(input, *record.run), attribute("type", "opensslCompat"));
  inner("Group", o.vo);
  inner("GroupAttribute", o.fqan, attribute("type", "FQAN"));
  inner("GroupAttribute", o.vo_group, attribute("type", "vo-group"));
  inner("GroupAttribute", o.vo_role, attribute("type", "vo-role"));
  inner("LocalUserId", record.usage.user);
  text += "    </urf:UserIdentity>\n";
}

void usage_record(std::string& text, const ExportInput& input, const KeyedRecord& record) {
  const ExportOptions& o = input.options;
  const UsageRun& run = *record.run;
  const UsageValues& u = record.usage;
  const std::string chain = input.chain_id.hex().substr(0, 12);
  std::string id = fmt::format("ufab:{}:{}", chain, run.import.hex().substr(0, 12));
  if (record.withdrawn) id += fmt::format(":{}", whole_seconds(u.end_us));
  const std::uint64_t created = run.corrections.empty() ? run.time_us : run.corrections.back().time_us;
  text += "  <urf:UsageRecord>\n";
  text += fmt::format("    <urf:RecordIdentity{}{}/>\n", attribute("createTime", iso_time(created)),
                      attribute("recordId", id));
  text += "    <urf:JobIdentity>\n  ";
  element(text, "GlobalJobId",
          fmt::format("ufab:{}:job-{}-{}:{}", chain, run.job, run.attempt, run.provider));
  text += "  ";
  element(text, "LocalJobId", local_job_id(u));
  text += "    </urf:JobIdentity>\n";
  user_identity(text, input, record);
  element(text, "JobName", run.job_name);
  if (u.billing_s != 0)
    element(text, "Charge", std::to_string(u.billing_s), attribute("unit", "billing-seconds"));
  element(text, "Status", status_of(u.state));
  element(text, "ExitStatus", std::to_string(u.exit_code));
  text += fmt::format("    <urf:Infrastructure{}{}/>\n", attribute("description", o.infrastructure),
                      attribute("type", o.infrastructure_type));
  element(text, "WallDuration", fmt::format("PT{}S", whole_seconds(u.elapsed_us)));
  element(text, "CpuDuration", fmt::format("PT{}S", whole_seconds(u.cpu_us)), attribute("usageType", "all"));
  element(text, "ServiceLevel", o.benchmark ? o.benchmark->value() : "1.0",
          attribute("type", o.benchmark ? o.benchmark->type : "custom"));
  if (u.memory_peak_bytes != 0) {
    element(text, "Memory", std::to_string(u.memory_peak_bytes / 1024),
            attribute("type", "Physical") + attribute("metric", "max") + attribute("storageUnit", "KB"));
  }
  element(text, "TimeInstant", iso_time(u.submit_us), attribute("type", "submit"));
  element(text, "NodeCount", std::to_string(u.nodes));
  element(text, "Processors", std::to_string(u.processors));
  element(text, "EndTime", iso_time(u.end_us));
  element(text, "StartTime", iso_time(u.start_us));
  element(text, "MachineName", u.cluster);
  element(text, "SubmitHost", export_submit_host(input, u));
  if (!u.partition.empty()) element(text, "Queue", u.partition, attribute("description", "execution"));
  element(text, "Site", export_site(input, run));
  text += "  </urf:UsageRecord>\n";
}

}  // namespace

Result<std::string> export_car(const ExportInput& input) {
  std::string text =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<urf:UsageRecords xmlns:urf=\"http://eu-emi.eu/namespaces/2012/11/computerecord\">\n";
  const auto end_second = [](const UsageValues& u) { return whole_seconds(u.end_us); };
  for (const KeyedRecord& record : keyed_records(input, end_second)) usage_record(text, input, record);
  text += "</urf:UsageRecords>\n";
  return text;
}

}  // namespace ufab
