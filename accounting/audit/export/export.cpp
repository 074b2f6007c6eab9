#include "accounting/audit/export/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "accounting/audit/export/text.h"
#include "accounting/records/codec.h"
#include "fabric/base/toml.h"

namespace ufab {

std::string Benchmark::value() const {
  std::string text = fmt::format("{}.{:03}", thousandths / 1000, thousandths % 1000);
  while (text.ends_with("0") && !text.ends_with(".0")) text.pop_back();
  return text;
}

Result<Benchmark> parse_benchmark(std::string_view text) {
  const Error malformed{ErrorCode::usage,
                        fmt::format("benchmark '{}': expected TYPE=VALUE with at most three decimals, "
                                    "like HEPscore23=15.3",
                                    text)};
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return malformed;
  Benchmark benchmark;
  benchmark.type = text.substr(0, equals);
  // The names that APEL knows, whose case it does not mind.
  std::string lower = benchmark.type;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (lower != "hepscore23" && lower != "hepspec" && lower != "si2k") {
    return Error{ErrorCode::usage,
                 fmt::format("benchmark type '{}': expected HEPscore23, HEPSPEC or Si2k", benchmark.type)};
  }
  const std::string_view value = text.substr(equals + 1);
  std::uint64_t thousandths = 0;
  int decimals = -1;  // no point yet
  for (const char c : value) {
    if (c == '.' && decimals < 0) {
      decimals = 0;
      continue;
    }
    if (c < '0' || c > '9' || decimals == 3 || thousandths > 1'000'000'000) return malformed;
    thousandths = thousandths * 10 + static_cast<std::uint64_t>(c - '0');
    if (decimals >= 0) ++decimals;
  }
  if (value.empty() || value.starts_with('.') || decimals == 0) return malformed;
  for (int i = std::max(decimals, 0); i < 3; ++i) thousandths *= 10;
  if (thousandths == 0 || thousandths > 1'000'000'000) return malformed;
  benchmark.thousandths = thousandths;
  return benchmark;
}

Status read_export_options(std::string_view text, const std::string& where, ExportOptions& options) {
  const std::pair<std::string_view, std::string ExportOptions::*> texts[] = {
      {"site", &ExportOptions::site},
      {"submit_host", &ExportOptions::submit_host},
      {"vo", &ExportOptions::vo},
      {"vo_group", &ExportOptions::vo_group},
      {"vo_role", &ExportOptions::vo_role},
      {"fqan", &ExportOptions::fqan},
      {"global_user", &ExportOptions::global_user},
      {"infrastructure_type", &ExportOptions::infrastructure_type},
      {"infrastructure", &ExportOptions::infrastructure},
      {"gpu_model", &ExportOptions::gpu_model}};
  const std::pair<std::string_view, std::optional<Benchmark> ExportOptions::*> benchmarks[] = {
      {"benchmark", &ExportOptions::benchmark}, {"gpu_benchmark", &ExportOptions::gpu_benchmark}};
  try {
    const toml::table table = toml::parse(text, where);
    for (const auto& [key, node] : table) {
      const auto value = node.value_exact<std::string>();
      if (!value)
        return Error{ErrorCode::invalid, fmt::format("{}: {} must be a text in quotes", where, key.str())};
      bool known = false;
      for (const auto& [name, member] : texts) {
        if (key.str() != name) continue;
        options.*member = *value;
        known = true;
      }
      for (const auto& [name, member] : benchmarks) {
        if (key.str() != name) continue;
        UFAB_ASSIGN(options.*member, parse_benchmark(*value));
        known = true;
      }
      if (!known)
        return Error{ErrorCode::invalid, fmt::format("{}: there is no option '{}'", where, key.str())};
    }
  } catch (const toml::parse_error& error) {
    return Error{ErrorCode::invalid,
                 fmt::format("{}: line {}: {}", where, error.source().begin.line, error.description())};
  } catch (const std::logic_error& error) {  // fabric/base/toml_config.h
    return Error{ErrorCode::invalid, fmt::format("{}: {}", where, error.what())};
  }
  return check_export_options(options);
}

Status check_export_options(const ExportOptions& o) {
  for (const std::string* text : {&o.site, &o.submit_host, &o.vo, &o.vo_group, &o.vo_role, &o.fqan,
                                  &o.global_user, &o.infrastructure_type, &o.infrastructure, &o.gpu_model}) {
    if (text->size() > 255 || !is_printable_utf8(*text) || text->find("%%") != std::string::npos) {
      return Error{ErrorCode::usage,
                   fmt::format("'{}': expected at most 255 bytes of printable text without %%",
                               utf8_prefix(is_printable_utf8(*text) ? *text : "?", 40))};
    }
  }
  return {};
}

std::string local_job_id(const UsageValues& usage) {
  return fmt::format("{}.{}", usage.external_id, usage.cluster);
}
std::string export_site(const ExportInput& input, const UsageRun& run) {
  return input.options.site.empty() ? run.provider : input.options.site;
}
std::string export_global_user(const ExportInput& input, const UsageRun& run) {
  return input.options.global_user.empty() ? run.owner : input.options.global_user;
}
std::string export_submit_host(const ExportInput& input, const UsageValues& usage) {
  return input.options.submit_host.empty() ? usage.cluster : input.options.submit_host;
}

std::vector<KeyedRecord> keyed_records(const ExportInput& input, std::uint64_t (*key)(const UsageValues&)) {
  std::vector<KeyedRecord> records;
  for (const UsageRun& run : input.runs) {
    if (!input.period.has(run)) continue;
    const UsageValues& now = run.usage();
    const bool stands = now.start_us != 0;
    std::set<std::uint64_t> seen;
    if (stands) seen.insert(key(now));
    for (const UsageValues* before : run.superseded()) {
      if (before->start_us == 0 || !seen.insert(key(*before)).second) continue;
      UsageValues empty = *before;
      empty.start_us = empty.end_us;
      empty.elapsed_us = empty.cpu_us = empty.gpu_us = empty.memory_peak_bytes = 0;
      empty.energy_j = empty.billing_s = 0;
      records.push_back({&run, std::move(empty), true});
    }
    if (stands) records.push_back({&run, now, false});
  }
  return records;
}

std::span<const ExportFormat> export_formats() {
  static constexpr std::array<ExportFormat, 8> formats{{
      {"apel", export_apel, "APEL individual job messages, version 0.3 or 0.4"},
      {"apel-summary", export_apel_summary, "APEL monthly summaries, version 0.3 or 0.4, normalised or not"},
      {"car", export_car, "usage records in XML: CAR 1.2, the profile of OGF's UR 2.0 that APEL reads"},
      {"gpu", export_gpu, "APEL's draft GPU message 0.1, one a line"},
      {"auditor", export_auditor, "AUDITOR's records, a JSON array"},
      {"auditor-update", export_auditor_update, "AUDITOR's updates that end what corrections superseded"},
      {"sacct", export_sacct, "sacct --parsable2, with a header line"},
      {"csv", export_csv, "everything, comma-separated (RFC 4180)"},
  }};
  return formats;
}

}  // namespace ufab
