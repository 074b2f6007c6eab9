// sim scale: what consensus costs and how fast it is, by the number of validators and the network's delay.
#include <boost/json.hpp>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "accounting/audit/charts.h"
#include "accounting/consensus/sim/load.h"
#include "accounting/consensus/sim/scale.h"
#include "fabric/base/file.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace json = boost::json;
using consensus::Bend;
using consensus::Load;
using consensus::ScaleOptions;
using consensus::ScaleReport;

namespace {

constexpr std::uint64_t s_per_hour = 3600, s_per_year = 31'557'600;
constexpr std::uint64_t delay_ms_max = 10'000, minutes_max = 600, upload_mbit_max = 1'000'000;
constexpr std::size_t list_max = 16;

struct Study {
  std::vector<std::uint64_t> validators, delays_ms;
  std::uint64_t providers = 10'000, minutes = 3, upload_mbit_per_s = 100, sync_us = 1000, verify_ns = 0;
  std::uint64_t fill_ms = consensus::Timing{}.fill_ms, seed = 1, bend_validators = 256;
  bool measured = false;  // verify_ns, on this machine
  Load load;
};

struct Row {
  std::uint64_t validators = 0, delay_ms = 0;
  bool loaded = false;
  ScaleReport report;
};

struct Bends {
  std::uint64_t delay_ms = 0;
  Bend idle, loaded;                                    // over the number of validators
  std::vector<std::pair<std::uint64_t, Bend>> payload;  // over the offered load, by the number of validators
};

Result<std::vector<std::uint64_t>> parse_list(const std::string& text, const char* option,
                                              std::uint64_t max) {
  std::vector<std::uint64_t> values;
  const char* at = text.data();
  const char* end = at + text.size();
  const Error wrong{ErrorCode::usage, std::string(option) + " is up to " + std::to_string(list_max) +
                                          " whole numbers of 1 to " + std::to_string(max) +
                                          " with commas between, not '" + text + "'"};
  while (values.size() < list_max) {
    std::uint64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || value == 0 || value > max) return wrong;
    values.push_back(value);
    if (next == end) return values;
    if (*next != ',') return wrong;
    at = next + 1;
  }
  return wrong;
}

// Nanoseconds of processor time that one Ed25519 verification takes here: the best of several rounds.
std::uint64_t measure_verify_ns() {
  constexpr std::uint64_t rounds = 8, checks = 200;
  const auto cpu_ns = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
  };
  const KeyPair key = KeyPair::from_seed({1});
  const Bytes message = consensus::vote_signing_bytes({}, 1, 1, consensus::VoteKind::notarise, {});
  const Signature signature = key.sign(message);
  const consensus::Ed25519Scheme scheme;
  std::uint64_t best = UINT64_MAX;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::uint64_t begin = cpu_ns();
    for (std::uint64_t i = 0; i < checks; ++i)
      UFAB_ASSERT(scheme.verify(key.public_key(), message, signature));
    best = std::min(best, (cpu_ns() - begin) / checks);
  }
  return best;
}

ScaleOptions options_of(const Study& study, std::uint64_t validators, std::uint64_t delay_ms, bool loaded) {
  ScaleOptions options;
  options.seed = study.seed;
  options.validators = validators;
  options.delay_us = delay_ms * 1000;
  options.upload_bit_per_s = study.upload_mbit_per_s * 1'000'000;
  options.sync_us = study.sync_us;
  options.verify_ns = study.verify_ns;
  options.payload_base = study.load.block_size;
  options.payload_per_s = loaded ? study.load.bytes_per_hour() / s_per_hour : 0;
  options.simulated_ms = study.minutes * 60'000;
  options.timing.view_ms += study.fill_ms - options.timing.fill_ms;
  options.timing.fill_ms = study.fill_ms;
  return options;
}

double seconds(const ScaleReport& report) {
  return static_cast<double>(report.simulated_us) / 1e6;
}

// Of one processor core, at each validator.
double cpu_share(const Study& study, const Row& row) {
  const double votes = static_cast<double>(row.report.signatures_checked) /
                       static_cast<double>(row.validators) / seconds(row.report);
  const double records =
      row.loaded ? static_cast<double>(study.load.signed_per_hour()) / static_cast<double>(s_per_hour) : 0;
  return (votes + records) * static_cast<double>(study.verify_ns) / 1e9;
}

double disk_gb_per_year(const Row& row) {
  return static_cast<double>(row.report.disk_bytes) / seconds(row.report) * static_cast<double>(s_per_year) /
         1e9;
}

double per_block(std::uint64_t value, const ScaleReport& report) {
  return report.blocks == 0 ? 0 : static_cast<double>(value) / static_cast<double>(report.blocks);
}

json::object to_json(const Study& study, const Row& row) {
  const ScaleReport& r = row.report;
  const double all = static_cast<double>(r.bytes + r.bytes_forwarded);
  return {{"validators", row.validators},
          {"delay_ms", row.delay_ms},
          {"loaded", row.loaded},
          {"blocks", r.blocks},
          {"views_skipped", r.views - std::min(r.views, r.blocks)},
          {"blocks_per_s", static_cast<double>(r.blocks) / seconds(r)},
          {"proposal_to_final_p50_ms", static_cast<double>(r.proposal_to_final.p50_us) / 1e3},
          {"proposal_to_final_p99_ms", static_cast<double>(r.proposal_to_final.p99_us) / 1e3},
          {"arrival_to_final_p50_ms", static_cast<double>(r.arrival_to_final.p50_us) / 1e3},
          {"arrival_to_final_p99_ms", static_cast<double>(r.arrival_to_final.p99_us) / 1e3},
          {"messages_per_block", per_block(r.messages, r)},
          {"bytes_per_block", per_block(r.bytes, r)},
          {"messages_per_s", static_cast<double>(r.messages) / seconds(r)},
          {"bytes_per_s", all / seconds(r)},
          {"bytes_per_s_per_validator", all / seconds(r) / static_cast<double>(row.validators)},
          {"signatures_checked_per_block_per_validator",
           per_block(r.signatures_checked, r) / static_cast<double>(row.validators)},
          {"cores_for_signatures", cpu_share(study, row)},
          {"certificate_max_bytes", r.certificate_size_max},
          {"disk_gb_per_year", disk_gb_per_year(row)},
          {"falls_behind", r.saturated}};
}

json::object to_json(const Bend& bend, const char* unit) {
  return {
      {unit, bend.at == 0 ? json::value(nullptr) : json::value(bend.at)},
      {"searched_up_to", bend.searched},
      {"start_ms", static_cast<double>(bend.start_us) / 1e3},
      {"bent_ms", bend.at == 0 ? json::value(nullptr) : json::value(static_cast<double>(bend.bent_us) / 1e3)},
      {"cause", bend.at == 0 ? json::value(nullptr) : json::value(cause_text(bend.cause))}};
}

json::object to_json(const Study& study, const std::vector<Row>& rows, const std::vector<Bends>& bends) {
  json::array table, bent;
  for (const Row& row : rows) table.push_back(to_json(study, row));
  for (const Bends& b : bends) {
    json::array payload;
    for (const auto& [validators, bend] : b.payload) {
      json::object one = to_json(bend, "payload_bytes_per_s");
      one["validators"] = validators;
      payload.push_back(std::move(one));
    }
    bent.push_back(json::object{{"delay_ms", b.delay_ms},
                                {"validators_idle", to_json(b.idle, "validators")},
                                {"validators_loaded", to_json(b.loaded, "validators")},
                                {"payload", std::move(payload)}});
  }
  json::array parts;
  for (const consensus::LoadPart& part : study.load.parts)
    parts.push_back(json::object{{"record", part.record}, {"bytes", part.size}, {"per_hour", part.per_hour}});
  return {{"schema", "ufab.sim.scale/1"},
          {"providers", study.providers},
          {"load_bytes_per_s", study.load.bytes_per_hour() / s_per_hour},
          {"load_records_per_hour", study.load.records_per_hour()},
          {"load", std::move(parts)},
          {"upload_mbit_per_s", study.upload_mbit_per_s},
          {"sync_us", study.sync_us},
          {"fill_ms", study.fill_ms},
          {"verify_ns", study.verify_ns},
          {"verify_measured", study.measured},
          {"simulated_minutes", study.minutes},
          {"seed", study.seed},
          {"rows", std::move(table)},
          {"bends", std::move(bent)}};
}

void print_bend(const char* what, const Bend& bend, const std::string& at, const std::string& searched) {
  if (bend.at == 0) {
    std::printf("  %s: finality does not double up to %s (%.0f ms at the start)\n", what, searched.c_str(),
                static_cast<double>(bend.start_us) / 1e3);
    return;
  }
  std::printf("  %s: finality doubles at %s (%.0f to %.0f ms) because of %s; then: %s\n", what, at.c_str(),
              static_cast<double>(bend.start_us) / 1e3, static_cast<double>(bend.bent_us) / 1e3,
              cause_text(bend.cause), remedy_text(bend.cause));
}

void print_bends(const Bends& bends) {
  std::printf("delay %llu ms\n", static_cast<unsigned long long>(bends.delay_ms));
  const auto validators = [](std::uint64_t count) { return std::to_string(count) + " validators"; };
  print_bend("empty blocks", bends.idle, validators(bends.idle.at), validators(bends.idle.searched));
  print_bend("with the load", bends.loaded, validators(bends.loaded.at), validators(bends.loaded.searched));
  for (const auto& [count, bend] : bends.payload) {
    const auto rate = [](std::uint64_t bytes) { return std::to_string(bytes / 1000) + " kB/s of records"; };
    print_bend(validators(count).c_str(), bend, rate(bend.at), rate(bend.searched));
  }
}

void print_study(const Study& study, const std::vector<Row>& rows, const std::vector<Bends>& bends) {
  std::printf(
      "%llu providers: %.1f records/s, %.1f kB/s; upload %llu Mbit/s, sync %llu us, verify %.1f us (%s)\n",
      static_cast<unsigned long long>(study.providers),
      static_cast<double>(study.load.records_per_hour()) / static_cast<double>(s_per_hour),
      static_cast<double>(study.load.bytes_per_hour()) / static_cast<double>(s_per_hour) / 1e3,
      static_cast<unsigned long long>(study.upload_mbit_per_s),
      static_cast<unsigned long long>(study.sync_us), static_cast<double>(study.verify_ns) / 1e3,
      study.measured ? "measured here, now" : "as given");
  std::printf(
      "                         finality, ms     from arrival, ms          messages    kB sent/s     "
      "certificate  disk    cores for\n");
  std::printf(
      "validators delay  load     p50      p99     p50      p99  blocks/s  /block   each      all      "
      "bytes     GB/year signatures  skipped\n");
  for (const Row& row : rows) {
    const ScaleReport& r = row.report;
    const double all = static_cast<double>(r.bytes + r.bytes_forwarded) / seconds(r) / 1e3;
    std::printf(
        "%10llu %5llu  %-4s %8.1f %8.1f %8.0f %8.0f %8.3f %9.0f %8.1f %9.0f %8llu %9.1f %8.4f %6llu%s\n",
        static_cast<unsigned long long>(row.validators), static_cast<unsigned long long>(row.delay_ms),
        row.loaded ? "yes" : "no", static_cast<double>(r.proposal_to_final.p50_us) / 1e3,
        static_cast<double>(r.proposal_to_final.p99_us) / 1e3,
        static_cast<double>(r.arrival_to_final.p50_us) / 1e3,
        static_cast<double>(r.arrival_to_final.p99_us) / 1e3, static_cast<double>(r.blocks) / seconds(r),
        per_block(r.messages, r), all / static_cast<double>(row.validators), all,
        static_cast<unsigned long long>(r.certificate_size_max), disk_gb_per_year(row), cpu_share(study, row),
        static_cast<unsigned long long>(r.views - std::min(r.views, r.blocks)),
        r.saturated ? "  falls behind" : "");
  }
  for (const Bends& b : bends) print_bends(b);
}

std::string plot(const Study& study, const std::vector<Row>& rows) {
  std::vector<audit::Line> lines;
  for (std::size_t d = 0; d < study.delays_ms.size(); ++d) {
    for (const bool loaded : {false, true}) {
      audit::Line line;
      line.label = std::to_string(study.delays_ms[d]) + " ms" + (loaded ? ", with load" : ", empty blocks");
      line.color = static_cast<unsigned>(d);
      line.dashed = !loaded;
      for (const Row& row : rows) {
        if (row.delay_ms == study.delays_ms[d] && row.loaded == loaded && row.report.blocks > 0)
          line.points.push_back({row.validators, row.report.proposal_to_final.p50_us});
      }
      lines.push_back(std::move(line));
    }
  }
  return audit::stand_alone(audit::lines_chart("Finality by validators and one-way delay", "validators",
                                               "median ms from proposal to final", lines));
}

}  // namespace

VerbResult sim_scale(Words words) {
  std::string validators = "4,16,31,100", delays = "1,50,200", file;
  Study study;
  bool as_json = false, no_bends = false;
  CommandLine line(sim_scale_usage,
                   "Runs the consensus core without faults over a network with a fixed delay and a bounded "
                   "upload, with empty blocks and under the load that so many providers make, and says what "
                   "finality takes, what it costs, and where it bends.");
  line.text("--validators", validators, "how many, with commas between; default 4,16,31,100");
  line.text("--delay-ms", delays, "one way, with commas between; default 1,50,200");
  line.number("--providers", study.providers, "whose records come; default 10000");
  line.number("--upload-mbit", study.upload_mbit_per_s,
              "of each validator, in Mbit/s; 0: no bound; default 100");
  line.number("--sync-us", study.sync_us, "until a vote is on disk; default 1000");
  line.number("--fill-ms", study.fill_ms, "a leader waits that long for records; default 1000");
  line.number("--verify-ns", study.verify_ns, "to check a signature; default: measured at the start");
  line.number("--minutes", study.minutes, "simulated for each row; default 3");
  line.number("--seed", study.seed, "of the network's jitter; default 1");
  line.flag("--no-bends", no_bends, "only the table, without the search for where finality doubles");
  line.text("--plot", file, "writes the medians as SVG");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(study.validators, parse_list(validators, "--validators", consensus::validators_max));
  UFAB_ASSIGN(study.delays_ms, parse_list(delays, "--delay-ms", delay_ms_max));
  if (study.providers > 1'000'000) return Error{ErrorCode::usage, "--providers is at most 1000000"};
  if (study.minutes == 0 || study.minutes > minutes_max)
    return Error{ErrorCode::usage, "--minutes is 1 to " + std::to_string(minutes_max)};
  if (study.upload_mbit_per_s > upload_mbit_max)
    return Error{ErrorCode::usage, "--upload-mbit is at most " + std::to_string(upload_mbit_max)};
  if (study.sync_us > 1'000'000 || study.verify_ns > 1'000'000'000 || study.fill_ms > 60'000)
    return Error{ErrorCode::usage,
                 "--sync-us is at most 1000000, --verify-ns 1000000000 and --fill-ms 60000"};
  study.measured = !line.given("--verify-ns");
  if (study.measured) study.verify_ns = measure_verify_ns();
  study.load = consensus::load_of(study.providers);
  std::vector<Row> rows;
  std::vector<Bends> bends;
  for (const std::uint64_t delay_ms : study.delays_ms) {
    for (const std::uint64_t count : study.validators) {
      for (const bool loaded : {false, true})
        rows.push_back({count, delay_ms, loaded, run_scale(options_of(study, count, delay_ms, loaded))});
    }
    if (no_bends) continue;
    Bends& b = bends.emplace_back();
    b.delay_ms = delay_ms;
    b.idle = bend_by_validators(options_of(study, 4, delay_ms, false), study.bend_validators);
    b.loaded = bend_by_validators(options_of(study, 4, delay_ms, true), study.bend_validators);
    for (const std::uint64_t count : study.validators)
      b.payload.emplace_back(count, bend_by_payload(options_of(study, count, delay_ms, true)));
  }
  if (!file.empty()) UFAB_TRY(write_file_atomic(file, as_bytes(plot(study, rows))));
  if (as_json) {
    print_json(to_json(study, rows, bends));
  } else {
    print_study(study, rows, bends);
  }
  return 0;
}

}  // namespace ufab::jobs
