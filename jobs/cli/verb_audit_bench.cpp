// audit bench: re-executes lanes of benchmarks that the ledger holds.
#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <map>
#include <random>
#include <thread>

#include "accounting/audit/audit.h"
#include "fabric/bench/lane.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"
#include "jobs/node/home.h"
#include "kernels/semantics.h"

namespace ufab::jobs {

namespace {

namespace json = boost::json;

// Which lanes: all for 0, else so many at random. Nobody who files a benchmark may know which.
std::vector<std::uint32_t> lanes_to_check(std::size_t count, std::uint64_t wanted) {
  std::vector<std::uint32_t> lanes(count);
  for (std::size_t i = 0; i < count; ++i) lanes[i] = static_cast<std::uint32_t>(i);
  if (wanted == 0 || wanted >= count) return lanes;
  std::random_device random;
  std::shuffle(lanes.begin(), lanes.end(), random);
  lanes.resize(wanted);
  std::sort(lanes.begin(), lanes.end());
  return lanes;
}

}  // namespace

VerbResult audit_bench(const Invocation& invocation, Words words) {
  std::string organisation;
  std::uint64_t wanted = 1;
  bool every = false;
  bool as_json = false;
  CommandLine line(
      "audit bench [ORGANISATION] [--lanes N] [--every] [--json]",
      "Re-executes lanes of benchmarks with this machine's kernels and compares with the digests that stand "
      "on "
      "the ledger, and with what the drawn verifiers said. A lane takes as long as the benchmark did, on a "
      "processor like its own. Exit status 1 names what is wrong.");
  line.optional("organisation", organisation, "of this one only");
  line.number("--lanes", wanted, "lanes of each benchmark, chosen at random (default 1; 0: all of them)");
  line.flag("--every", every, "every benchmark on the ledger (default: the last of each organisation)");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(std::vector<BenchmarkAudit> all, audit_benchmarks(home.chain_folder(), organisation));
  if (!every) {
    std::map<OrgId, BenchmarkAudit> last;
    for (BenchmarkAudit& item : all) last.insert_or_assign(item.organisation, std::move(item));
    all.clear();
    for (auto& [id, item] : last) all.push_back(std::move(item));
  }
  const auto threads = static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1U, 8U));
  const auto backend = kernels::make_backend(kernels::BackendKind::cpu, threads);
  bool good = true;
  json::array list;
  for (const BenchmarkAudit& item : all) {
    const std::string place =
        "block " + std::to_string(item.height) + " record " + std::to_string(item.position);
    json::object object{{"organisation", item.name},         {"block", item.height},
                        {"record", item.position},           {"challenge_block", item.challenge_height},
                        {"challenge", item.challenge.str()}, {"lanes", item.lanes.size()},
                        {"repeats", item.repeats},           {"mflops", item.mflops},
                        {"epoch_end", item.epoch_end}};
    if (item.semantics_version != static_cast<std::uint32_t>(kernels::kSemanticsVersion)) {
      good = false;
      object["trouble"] = "kernels of another version";
      if (!as_json)
        std::printf("%s  %s: made with version %u of the kernels, this program has %d\n", item.name.c_str(),
                    place.c_str(), item.semantics_version, kernels::kSemanticsVersion);
      list.push_back(std::move(object));
      continue;
    }
    std::vector<std::uint32_t> lanes = lanes_to_check(item.lanes.size(), wanted);
    // Where the verifier's word is against the provider's, that lane decides who is wrong.
    const bool disputed = item.check && item.check->digest != item.lanes.at(item.lane);
    if (disputed && std::find(lanes.begin(), lanes.end(), item.lane) == lanes.end())
      lanes.push_back(item.lane);
    json::array checked;
    for (const std::uint32_t lane : lanes) {
      const Digest computed = run_lane(benchmark_lane_seed(item.challenge, lane), item.repeats, *backend);
      const bool same = computed == item.lanes[lane];
      good = good && same;
      checked.push_back(json::object{{"lane", lane}, {"ok", same}, {"computed", computed.str()}});
      if (!as_json) {
        std::printf("%s  %s  lane %u of %zu, %u repeats: %s\n", item.name.c_str(), place.c_str(), lane,
                    item.lanes.size(), item.repeats,
                    same
                        ? "the same digest"
                        : ("WRONG: the ledger has " + item.lanes[lane].str() + ", computed " + computed.str())
                              .c_str());
      }
      if (!item.check || lane != item.lane || computed == item.check->digest) continue;
      good = false;
      object["wrong_check"] = item.check->verifier;
      if (!as_json) {
        std::printf("%s  block %llu record %u  the check of lane %u by %s is WRONG: computed %s\n",
                    item.name.c_str(), static_cast<unsigned long long>(item.check->height),
                    item.check->position, lane, item.check->verifier.c_str(), computed.str().c_str());
      }
    }
    object["checked"] = std::move(checked);
    list.push_back(std::move(object));
  }
  if (as_json) {
    print_json({{"schema", "ufab.audit-bench/1"}, {"ok", good}, {"benchmarks", std::move(list)}});
  } else if (all.empty()) {
    std::puts("no benchmark on this ledger");
  }
  return good ? 0 : 1;
}

}  // namespace ufab::jobs
