// sim queue: a trace of a real machine replayed under this project's scheduling policy and, in the same run,
// under first come, first served and EASY backfill.
#include <boost/json.hpp>
#include <cstdio>
#include <limits>

#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"
#include "jobs/queue/replay.h"

namespace ufab::jobs {

namespace json = boost::json;

namespace {

constexpr const char* usage =
    "sim queue --trace FILE [--slots N] [--providers N] [--load F] [--estimate F] [--jobs N] [--json]";

json::object result_to_json(const ReplayResult& result) {
  return {{"policy", result.name},
          {"utilisation", result.utilisation},
          {"utilisation_until_last_arrival", result.utilisation_arrivals},
          {"wait_mean_s", result.wait_mean_s},
          {"wait_median_s", result.wait_median_s},
          {"wait_p95_s", result.wait_p95_s},
          {"wait_max_s", result.wait_max_s},
          {"wait_max_wide_s", result.wait_max_wide_s},
          {"bounded_slowdown_mean", result.slowdown_mean},
          {"bounded_slowdown_median", result.slowdown_median},
          {"bounded_slowdown_p95", result.slowdown_p95},
          {"fairness_users", result.fairness_users},
          {"queue_longest", result.queue_longest},
          {"passes", result.passes},
          {"makespan_s", result.makespan_s}};
}

void print_table(const std::vector<ReplayResult>& results) {
  std::printf("%-6s %8s %10s %10s %10s %10s %12s %10s %10s %8s\n", "POLICY", "USED", "WAIT_MEAN", "MEDIAN",
              "P95", "MAX", "MAX_WIDE", "SLOWDOWN", "P95", "FAIR");
  for (const ReplayResult& result : results) {
    std::printf("%-6s %7.2f%% %9.0fs %9.0fs %9.0fs %9.0fs %11.0fs %10.3f %10.2f %8.3f\n", result.name.c_str(),
                result.utilisation * 100, result.wait_mean_s, result.wait_median_s, result.wait_p95_s,
                result.wait_max_s, result.wait_max_wide_s, result.slowdown_mean, result.slowdown_p95,
                result.fairness_users);
  }
}

VerbResult sim_queue(Words words) {
  std::string path;
  ReplayOptions options;
  std::uint64_t slots = 0;
  std::uint64_t providers = 1;
  bool as_json = false;
  CommandLine line(usage,
                   "Replays a trace (Standard Workload Format, plain or gzip) under the scheduling policy "
                   "that nodes run, beside first come, first served and EASY backfill.");
  line.text("--trace", path, "the trace");
  line.number("--slots", slots, "the machine's size; default: as the trace says");
  line.number("--providers", providers, "equal parts of the machine; wider jobs become gangs; default 1");
  line.decimal("--load", options.load, "divides the time between arrivals; default 1");
  line.decimal(
      "--estimate", options.estimate_factor,
      "mean factor between run time and time limit where the trace has no limits; 1: exact; default 3");
  line.number("--jobs", options.jobs_max, "only the first N jobs");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (path.empty()) return Error{ErrorCode::usage, "sim queue needs --trace FILE"};
  if (slots > std::numeric_limits<std::int32_t>::max() || providers > 4096)
    return Error{ErrorCode::usage, "--slots is at most 2147483647, --providers at most 4096"};
  options.slots = static_cast<std::uint32_t>(slots);
  options.providers = static_cast<std::uint32_t>(providers);
  UFAB_ASSIGN(const Trace trace, load_trace(path));
  std::vector<ReplayResult> results;
  for (const Contender& contender : standard_contenders()) {
    UFAB_ASSIGN(ReplayResult result, replay(trace, options, contender));
    results.push_back(std::move(result));
  }
  const ReplayResult& any = results.front();
  if (as_json) {
    json::array policies;
    for (const ReplayResult& result : results) policies.push_back(result_to_json(result));
    print_json({{"schema", "ufab.sim.queue/1"},
                {"jobs", any.jobs},
                {"jobs_left_out", trace.left_out},
                {"slots", options.slots != 0 ? options.slots : trace.slots},
                {"providers", options.providers},
                {"load_factor", options.load},
                {"offered_load", any.offered_load},
                {"estimate_factor", options.estimate_factor},
                {"limits_made_up", any.limits_made_up},
                {"limits_raised", any.limits_raised},
                {"policies", policies}});
    return 0;
  }
  std::printf("%llu jobs, offered load %.3f of %u slots on %u provider%s\n",
              static_cast<unsigned long long>(any.jobs), any.offered_load,
              options.slots != 0 ? options.slots : trace.slots, options.providers,
              options.providers == 1 ? "" : "s");
  if (any.limits_made_up != 0) {
    std::printf("%llu jobs without a requested time: limits of %.3g times the run time on average, made up\n",
                static_cast<unsigned long long>(any.limits_made_up), options.estimate_factor);
  }
  print_table(results);
  return 0;
}

}  // namespace

VerbResult verb_sim(const Invocation&, Words words) {
  if (words.empty() || words[0] == "-h" || words[0] == "--help") {
    for (const char* one : {usage, sim_consensus_usage, sim_ledger_usage, sim_scale_usage})
      std::printf("%s ufab %s\n", one == usage ? "usage:" : "      ", one);
    return words.empty() ? 2 : 0;
  }
  if (words[0] == "queue") return sim_queue(words.subspan(1));
  if (words[0] == "consensus") return sim_consensus(words.subspan(1));
  if (words[0] == "ledger") return sim_ledger(words.subspan(1));
  if (words[0] == "scale") return sim_scale(words.subspan(1));
  return Error{ErrorCode::usage,
               "no simulation '" + words[0] + "'; there are: queue, consensus, ledger, scale"};
}

}  // namespace ufab::jobs
