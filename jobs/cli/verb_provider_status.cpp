// provider status: every provider on the chain, or all that the ledger says of one.
#include <boost/json.hpp>
#include <cstdio>

#include "accounting/amount.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace {

namespace json = boost::json;

std::uint64_t number(const json::object& object, const char* key) {
  return object.at(key).to_number<std::uint64_t>();
}
std::string text(const json::object& object, const char* key) {
  return std::string(object.at(key).as_string());
}
std::string decimal(std::uint64_t value) {
  return std::to_string(value);
}

// "to epoch 12", or what it lacks.
std::string benchmark_word(const json::object& organisation, bool asked) {
  if (!asked) return "-";
  if (!organisation.contains("benchmark")) return "none";
  const json::object& benchmark = organisation.at("benchmark").as_object();
  if (benchmark.at("valid").as_bool()) return "to " + decimal(number(benchmark, "epoch_end"));
  const std::string state = text(benchmark, "state");
  return state == "refuted" || state == "withdrawn" ? state : "expired";
}

void print_standing(const json::object& standing, std::uint64_t epoch) {
  const std::string status = text(standing, "status");
  std::string line = status + ", " + decimal(number(standing, "points")) + " points";
  if (number(standing, "step") > 0) line += ", suspended " + decimal(number(standing, "step")) + " times";
  if (number(standing, "until_epoch") > 0)
    line += ", until epoch " + decimal(number(standing, "until_epoch"));
  std::printf("standing   %s (epoch %s now)\n", line.c_str(), decimal(epoch).c_str());
  for (const json::value& entry : standing.at("faults").as_array()) {
    const json::object& fault = entry.as_object();
    const std::uint64_t job = number(fault, "job");
    const std::string by = text(fault, "by");
    std::printf("  fault    %-20s +%-3s block %s, epoch %s%s%s%s%s\n", text(fault, "kind").c_str(),
                decimal(number(fault, "points")).c_str(), decimal(number(fault, "block")).c_str(),
                decimal(number(fault, "epoch")).c_str(), job == 0 ? "" : ", job ",
                job == 0 ? "" : decimal(job).c_str(), by.empty() ? "" : ", seen by ", by.c_str());
  }
}

void print_one(const json::object& organisation, std::uint64_t epoch, bool asked) {
  const json::object& provider = organisation.at("provider").as_object();
  const std::string obstacle = text(provider, "obstacle");
  std::printf("provider   %s, %s\n", text(organisation, "organisation").c_str(),
              text(provider, "status").c_str());
  std::printf("leases     %s\n", obstacle.empty() ? "may come" : ("none: it " + obstacle).c_str());
  std::printf("offers     %s processors, %s MiB, %s per TFLOP, %s per processor hour\n",
              decimal(number(provider, "slots")).c_str(), decimal(number(provider, "memory_mib")).c_str(),
              format_amount(number(provider, "price_micro_per_tflop")).c_str(),
              format_amount(number(provider, "price_micro_per_cpu_hour")).c_str());
  std::printf("speed      %.1f GFLOP/s counted, %.1f claimed\n",
              static_cast<double>(number(provider, "mflops")) / 1000.0,
              static_cast<double>(number(provider, "mflops_claimed")) / 1000.0);
  if (organisation.contains("benchmark")) {
    const json::object& b = organisation.at("benchmark").as_object();
    const std::string verifier = text(b, "verifier");
    std::printf(
        "benchmark  %.1f GFLOP/s shown by %s lanes of %s repeats, challenge of block %s; counts to epoch "
        "%s; check: %s%s%s\n",
        static_cast<double>(number(b, "mflops")) / 1000.0, decimal(number(b, "lanes")).c_str(),
        decimal(number(b, "repeats")).c_str(), decimal(number(b, "challenge_block")).c_str(),
        decimal(number(b, "epoch_end")).c_str(), text(b, "state").c_str(), verifier.empty() ? "" : " by ",
        verifier.c_str());
  } else {
    std::printf("benchmark  %s\n", asked ? "none yet" : "this chain asks for none");
  }
  print_standing(organisation.at("standing").as_object(), epoch);
}

std::string age_word(std::uint64_t seconds) {
  if (seconds < 120) return decimal(seconds) + " s";
  if (seconds < 7200) return decimal(seconds / 60) + " min";
  return decimal(seconds / 3600) + " h";
}

// "0.3 ms, 310.2 MB/s"
std::string link_word(std::uint64_t rtt_us, std::uint64_t kbyte_per_s) {
  char word[80];
  std::snprintf(word, sizeof word, "%.1f ms, %.1f MB/s", static_cast<double>(rtt_us) / 1000,
                static_cast<double>(kbyte_per_s) / 1000);
  return word;
}

void print_links(const json::object& links) {
  const json::array& all = links.at("links").as_array();
  if (all.empty()) std::puts("links      none reported");
  for (const json::value& entry : all) {
    const json::object& link = entry.as_object();
    const std::string says = link_word(number(link, "rtt_us"), number(link, "kbyte_per_s"));
    std::string line = says + ", " + age_word(number(links, "age_s")) + " ago";
    if (!link.contains("counts_rtt_us")) {
      line += "; too old to count";
    } else if (const auto counts =
                   link_word(number(link, "counts_rtt_us"), number(link, "counts_kbyte_per_s"));
               counts != says) {
      line += "; counts as " + counts + " by what the other side says";
    }
    std::printf("link       to %s: %s\n", text(link, "organisation").c_str(), line.c_str());
  }
  const json::value* measured = links.if_contains("measured");
  if (measured == nullptr) return;
  for (const json::value& entry : measured->as_array()) {
    const json::object& link = entry.as_object();
    if (number(link, "failures") == 0) continue;
    std::printf("  fails    to %s, in a row %s: %s\n", text(link, "organisation").c_str(),
                decimal(number(link, "failures")).c_str(), text(link, "trouble").c_str());
  }
}

}  // namespace

VerbResult provider_status(const Invocation& invocation, Words words) {
  std::string name;
  bool as_json = false;
  CommandLine line(
      "provider status [ORGANISATION] [--json]",
      "Every provider on the chain: what it offers, the speed that counts, its standing, and until "
      "which epoch its benchmark counts. Of one organisation: also its faults and its measured links.");
  line.optional("organisation", name, "this one, in full");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Answer answer, ask_node(invocation, "account", {}));
  const std::uint64_t epoch = number(answer.result, "epoch");
  const bool asked = number(answer.result, "bench_epochs") > 0;
  json::array providers;
  for (const json::value& entry : answer.result.at("accounts").as_array()) {
    if (!entry.as_object().contains("provider")) continue;
    if (name.empty() || entry.at("organisation").as_string() == name) providers.push_back(entry);
  }
  if (!name.empty() && providers.empty())
    return Error{ErrorCode::not_found, "no provider '" + name + "' on this chain"};
  json::object links;
  if (!name.empty()) {
    UFAB_ASSIGN(Answer reported, ask_node(invocation, "provider.links", {{"organisation", name}}));
    links = std::move(reported.result);
    for (auto& [key, value] : links) providers[0].as_object()[key == "age_s" ? "links_age_s" : key] = value;
  }
  if (as_json) {
    print_json({{"schema", "ufab.providers/1"}, {"epoch", epoch}, {"providers", providers}});
    return 0;
  }
  if (!name.empty()) {
    print_one(providers[0].as_object(), epoch, asked);
    print_links(links);
    return 0;
  }
  std::printf("%-16s %-9s %5s %9s %10s %14s %14s %6s %-9s %s\n", "PROVIDER", "STATUS", "SLOTS", "MEM_MIB",
              "GFLOP/S", "UNC/TFLOP", "STAKE", "SCORE", "STANDING", "BENCHMARK");
  for (const json::value& entry : providers) {
    const json::object& o = entry.as_object();
    const json::object& p = o.at("provider").as_object();
    std::printf("%-16s %-9s %5llu %9llu %10.1f %14s %14s %6llu %-9s %s\n", text(o, "organisation").c_str(),
                text(p, "status").c_str(), static_cast<unsigned long long>(number(p, "slots")),
                static_cast<unsigned long long>(number(p, "memory_mib")),
                static_cast<double>(number(p, "mflops")) / 1000.0,
                format_amount(number(p, "price_micro_per_tflop")).c_str(),
                format_amount(number(o, "stake_micro")).c_str(),
                static_cast<unsigned long long>(number(o, "score")),
                text(o.at("standing").as_object(), "status").c_str(), benchmark_word(o, asked).c_str());
  }
  return 0;
}

}  // namespace ufab::jobs
