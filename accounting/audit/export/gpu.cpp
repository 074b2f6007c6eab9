// APEL's draft of a GPU message, version 0.1, in JSON.
//
// Specification: github.com/apel/apel, branch of the accelerator records, apel/common/message_schemas.py
// (GPU_MSG_SCHEMA) and apel/db/records/accelerator.py: a draft, not deployed. {"Type": "APEL GPU message",
// "Version": "0.1", "UsageRecords": […]} with 1 to 1000 records; one message a line here, none when there is
// no record.
//   MeasurementMonth, MeasurementYear   of the run's end, UTC
//   AssociatedRecordType "job", AssociatedRecord the LocalJobId of apel.cpp
//   GlobalUserName; FQAN, "None" without one; SiteName
//   Count               GPUs allocated
//   AvailableDuration   seconds for which they were held: gpu_us / Count
//   BenchmarkType, Benchmark, Model   when the options have them; Type "GPU"
// The draft names no key. Corrections are published as if it were (SiteName, AssociatedRecord, month), which
// is what every other message of APEL does; an old month, or a run that turned out to have no GPU, has
// duration 0.
#include <fmt/format.h>

#include "accounting/audit/export/export.h"
#include "accounting/audit/export/text.h"

namespace ufab {

namespace {

constexpr std::size_t records_per_message = 1000;

std::uint64_t month_number(const UsageValues& u) {
  const UtcTime end = utc_time(u.end_us);
  return u.gpus == 0 ? 0 : std::uint64_t{end.year} * 12 + end.month;
}

std::string gpu_record(const ExportInput& input, const KeyedRecord& record) {
  const ExportOptions& o = input.options;
  const UsageValues& u = record.usage;
  const UtcTime end = utc_time(u.end_us);
  std::string text = fmt::format("{{\"MeasurementMonth\":{},\"MeasurementYear\":{}", end.month, end.year);
  text +=
      fmt::format(",\"AssociatedRecordType\":\"job\",\"AssociatedRecord\":{}", json_quoted(local_job_id(u)));
  text += fmt::format(",\"GlobalUserName\":{}", json_quoted(export_global_user(input, *record.run)));
  text += fmt::format(",\"FQAN\":{}", json_quoted(o.fqan.empty() ? "None" : o.fqan));
  text += fmt::format(",\"SiteName\":{}", json_quoted(export_site(input, *record.run)));
  text += fmt::format(",\"Count\":{},\"AvailableDuration\":{}", u.gpus, whole_seconds(u.gpu_us / u.gpus));
  if (o.gpu_benchmark) {
    text += fmt::format(",\"BenchmarkType\":{},\"Benchmark\":{}", json_quoted(o.gpu_benchmark->type),
                        o.gpu_benchmark->value());
  }
  text += ",\"Type\":\"GPU\"";
  if (!o.gpu_model.empty()) text += ",\"Model\":" + json_quoted(o.gpu_model);
  return text + "}";
}

}  // namespace

Result<std::string> export_gpu(const ExportInput& input) {
  std::string text;
  std::string records;
  std::size_t count = 0;
  const auto flush = [&] {
    if (count == 0) return;
    text += "{\"Type\":\"APEL GPU message\",\"Version\":\"0.1\",\"UsageRecords\":[" + records + "]}\n";
    records.clear();
    count = 0;
  };
  for (const KeyedRecord& record : keyed_records(input, month_number)) {
    if (record.usage.gpus == 0) continue;
    if (count > 0) records += ",";
    records += gpu_record(input, record);
    if (++count == records_per_message) flush();
  }
  flush();
  return text;
}

}  // namespace ufab
