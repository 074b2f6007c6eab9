// audit export: the ledger's usage records in other systems' formats, offline.
#include <cstdio>

#include "accounting/audit/export/export.h"
#include "accounting/audit/export/text.h"
#include "fabric/base/file.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace {

constexpr std::size_t config_size_max = 64 << 10;

std::string about() {
  std::string text =
      "Writes what providers' batch systems reported to the ledger (usage imports, corrections applied) for "
      "another "
      "accounting system, reading and verifying the chain of this home offline. Formats:\n";
  for (const ExportFormat& format : export_formats()) {
    text += std::string("  ") + format.name + std::string(16 - std::string(format.name).size(), ' ') +
            format.help + "\n";
  }
  text +=
      "A corrected run is exported once, as it stands; where the format's reader would count an older record "
      "of it "
      "twice, that record is published again without use. Times are UTC.\n"
      "--config FILE (TOML) sets site, submit_host, vo, vo_group, vo_role, fqan, global_user, "
      "infrastructure_type, "
      "infrastructure, benchmark, gpu_benchmark, gpu_model; options on the line come after it.";
  return text;
}

Result<const ExportFormat*> format_named(const std::string& name) {
  std::string names;
  for (const ExportFormat& format : export_formats()) {
    if (name == format.name) return &format;
    names += (names.empty() ? "" : "|") + std::string(format.name);
  }
  return Error{ErrorCode::usage,
               name.empty() ? "give --format " + names : "no format '" + name + "'; there are " + names};
}

}  // namespace

VerbResult audit_export(const Invocation& invocation, Words words) {
  std::string format_name, from, to, output, config, provider, apel_version = "0.3", benchmark, gpu_benchmark;
  ExportOptions given;  // on the line
  CommandLine line("audit export --format FORMAT [--from DATE] [--to DATE] [-o FILE]", about());
  line.text("--format", format_name, "one of the above");
  line.text("--from", from, "runs that ended at this time or later: YYYY-MM-DD[THH:MM:SS]");
  line.text("--to", to, "runs that ended before this time");
  line.text("-o,--output", output, "the file to write (default: standard output)");
  line.text("--provider", provider, "only the runs of this organisation (default: all)");
  line.text("--config", config, "a file with the names of the site; see above");
  line.text("--site", given.site, "the site's name (default: the provider's on the ledger)");
  line.text("--submit-host", given.submit_host, "the submit host (default: the cluster's name)");
  line.text("--vo", given.vo, "virtual organisation (default: none)");
  line.text("--fqan", given.fqan, "VOMS attribute (default: none)");
  line.text("--benchmark", benchmark,
            "speed of a core, TYPE=VALUE: HEPscore23, HEPSPEC or Si2k (default: none)");
  line.text("--gpu-benchmark", gpu_benchmark, "speed of a GPU, TYPE=VALUE (default: none)");
  line.text("--gpu-model", given.gpu_model, "the GPUs' model (default: none)");
  line.text("--apel-version", apel_version, "0.3 (default) or 0.4, which needs --benchmark");
  line.flag("--normalised", given.normalised, "apel-summary 0.4: the normalised summary (0.3 always is)");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const ExportFormat* format, format_named(format_name));
  ExportInput input;
  ExportOptions& options = input.options;
  if (!from.empty()) {
    UFAB_ASSIGN(input.period.from_us, parse_utc(from));
  }
  if (!to.empty()) {
    UFAB_ASSIGN(input.period.to_us, parse_utc(to));
  }
  if (!config.empty()) {
    UFAB_ASSIGN(const std::string text, read_text_file(config, config_size_max));
    UFAB_TRY(read_export_options(text, config, options));
  }
  for (const auto member : {&ExportOptions::site, &ExportOptions::submit_host, &ExportOptions::vo,
                            &ExportOptions::fqan, &ExportOptions::gpu_model}) {
    if (!(given.*member).empty()) options.*member = given.*member;
  }
  options.normalised = given.normalised;
  if (!benchmark.empty()) {
    UFAB_ASSIGN(options.benchmark, parse_benchmark(benchmark));
  }
  if (!gpu_benchmark.empty()) {
    UFAB_ASSIGN(options.gpu_benchmark, parse_benchmark(gpu_benchmark));
  }
  UFAB_TRY(check_export_options(options));
  if (apel_version != "0.3" && apel_version != "0.4") {
    return Error{ErrorCode::usage, "--apel-version '" + apel_version + "': expected 0.3 or 0.4"};
  }
  options.apel_version = apel_version == "0.4" ? ApelVersion::v0_4 : ApelVersion::v0_3;

  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(UsageLedger ledger, read_usage(home.chain_folder()));
  if (!provider.empty()) {
    std::erase_if(ledger.runs, [&](const UsageRun& run) { return run.provider != provider; });
  }
  input.chain_id = ledger.chain_id;
  input.runs = std::move(ledger.runs);
  UFAB_ASSIGN(const std::string text, format->write(input));
  if (!output.empty()) {
    UFAB_TRY(write_file_atomic(output, as_bytes(text)));
    return 0;
  }
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return Error{ErrorCode::io, "standard output: cannot be written"};
  }
  return 0;
}

}  // namespace ufab::jobs
