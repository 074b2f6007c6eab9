// AUDITOR's records (University of Freiburg), as the Rust type Record of its crate serialises to JSON.
//
// Specification: github.com/ALU-Schumacher/AUDITOR, auditor/src/domain (record.rs, component.rs, score.rs,
// meta.rs, validname.rs): {record_id, meta: {key: [value, …]}, components: [{name, amount, scores: [{name,
// value}]}], start_time, stop_time, runtime}. Names are 1 to 256 characters; older versions refuse / ( ) " <
// > \ { } in them, which are written as '-'. Amounts are whole numbers, times RFC 3339 in UTC, runtime whole
// seconds from start to stop. The array may be sent as it is: POST /records (which works out the runtime
// itself).
//
//   record_id   ufab-CHAIN-job-JOB-ATTEMPT-PROVIDER (8 hex digits of the chain), "-cN" after the N-th
//   correction components  Cores, Nodes, GPUs as allocated; Elapsed_us (suspension excluded), TotalCPU_us,
//   GPUTime_us,
//               MaxRSS_bytes, Energy_J, Billing_s; those that are zero are left out, but Cores. Cores has the
//               benchmark as its score, GPUs the GPUs'.
//   meta        site_id, cluster_id, user_id, group_id (the organisation that ordered it), vo when given,
//   partition,
//               external_id, state, ufab_record; after a correction also supersedes and reason
// A correction is a record of its own, since AUDITOR refuses a second one of the same id and changes nothing
// of one but its stop time. The records that it supersedes, if AUDITOR has them, are to lose their run time:
// format auditor-update gives RecordUpdate objects for that (stop_time = start_time), one for each to PUT
// /record.
#include <fmt/format.h>

#include "accounting/audit/export/export.h"
#include "accounting/audit/export/text.h"

namespace ufab {

namespace {

constexpr std::size_t supersedes_max = 16;

std::string valid_name(std::string_view text) {
  std::string name = utf8_prefix(text, 256);
  for (char& c : name) {
    if (std::string_view("/()\"<>\\{}").find(c) != std::string_view::npos) c = '-';
  }
  return name.find_first_not_of(' ') == std::string::npos ? "-" : name;
}

// The id after so many corrections.
std::string record_id_of(const ExportInput& input, const UsageRun& run, std::size_t corrections) {
  return valid_name(fmt::format("ufab-{}-job-{}-{}-{}{}", input.chain_id.hex().substr(0, 8), run.job,
                                run.attempt, run.provider,
                                corrections == 0 ? "" : fmt::format("-c{}", corrections)));
}

std::string component(const char* name, std::uint64_t amount,
                      const std::optional<Benchmark>& score = std::nullopt) {
  const std::string scores =
      score ? fmt::format("{{\"name\":{},\"value\":{}}}", json_quoted(score->type), score->value()) : "";
  return fmt::format("{{\"name\":\"{}\",\"amount\":{},\"scores\":[{}]}}", name, amount, scores);
}

std::string meta_of(const ExportInput& input, const UsageRun& run, const UsageValues& u) {
  std::string meta;
  const auto add_list = [&meta](const char* key, const std::string& values) {
    meta += fmt::format("{}\"{}\":[{}]", meta.empty() ? "" : ",", key, values);
  };
  const auto add = [&](const char* key, std::string_view value) {
    if (!value.empty()) add_list(key, json_quoted(valid_name(value)));
  };
  add("site_id", export_site(input, run));
  add("cluster_id", u.cluster);
  add("user_id", u.user);
  add("group_id", run.owner);
  add("vo", input.options.vo);
  add("partition", u.partition);
  add("external_id", std::to_string(u.external_id));
  add("state", u.state);
  add("ufab_record", run.corrected() ? run.corrections.back().record.hex() : run.import.hex());
  if (run.corrected()) {
    std::string before;  // the last one first, and no more than anybody will look for
    for (std::size_t n = run.corrections.size(), k = 0; n-- > 0 && k < supersedes_max; ++k) {
      before += (before.empty() ? "" : ",") + json_quoted(record_id_of(input, run, n));
    }
    add_list("supersedes", before);
    add("reason", run.corrections.back().reason);
  }
  return "{" + meta + "}";
}

std::string record_of(const ExportInput& input, const UsageRun& run) {
  const UsageValues& u = run.usage();
  std::string components = component("Cores", u.processors, input.options.benchmark);
  if (u.gpus != 0) components += "," + component("GPUs", u.gpus, input.options.gpu_benchmark);
  const std::pair<const char*, std::uint64_t> amounts[] = {
      {"Nodes", u.nodes},        {"Elapsed_us", u.elapsed_us},          {"TotalCPU_us", u.cpu_us},
      {"GPUTime_us", u.gpu_us},  {"MaxRSS_bytes", u.memory_peak_bytes}, {"Energy_J", u.energy_j},
      {"Billing_s", u.billing_s}};
  for (const auto& [name, amount] : amounts) {
    if (amount != 0) components += "," + component(name, amount);
  }
  return fmt::format(
      "{{\"record_id\":{},\"meta\":{},\"components\":[{}],\"start_time\":\"{}\",\"stop_time\":\"{}\","
      "\"runtime\":{}}}",
      json_quoted(record_id_of(input, run, run.corrections.size())), meta_of(input, run, u), components,
      iso_time_exact(u.start_us), iso_time_exact(u.end_us), whole_seconds(u.end_us - u.start_us));
}

// One object a line inside the array: easy to look through, and to take apart.
void add_line(std::string& text, const std::string& object) {
  text += (text == "[" ? "\n" : ",\n") + object;
}

}  // namespace

Result<std::string> export_auditor(const ExportInput& input) {
  std::string text = "[";
  for (const UsageRun& run : input.runs) {
    if (input.period.has(run) && run.usage().start_us != 0) add_line(text, record_of(input, run));
  }
  return text + "\n]\n";
}

Result<std::string> export_auditor_update(const ExportInput& input) {
  std::string text = "[";
  for (const UsageRun& run : input.runs) {
    if (!input.period.has(run)) continue;
    const std::vector<const UsageValues*> superseded = run.superseded();
    for (std::size_t n = 0; n < superseded.size(); ++n) {
      if (superseded[n]->start_us == 0) continue;
      add_line(text, fmt::format("{{\"record_id\":{},\"meta\":null,\"components\":[],\"start_time\":null,"
                                 "\"stop_time\":\"{}\"}}",
                                 json_quoted(record_id_of(input, run, n)),
                                 iso_time_exact(superseded[n]->start_us)));
    }
  }
  return text + "\n]\n";
}

}  // namespace ufab
