// queue_fill HOME N: puts N orders of this home's organisation on its own ledger, with their specs beside
// them, as if each had been submitted, and a provider of 64 processors that never answers, so that some are
// decided and the rest wait. Every tenth is held. The node must be down.
#include <unistd.h>

#include <atomic>
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "accounting/ledger.h"
#include "jobs/node/home.h"
#include "jobs/node/job_files.h"
#include "jobs/node/job_spec.h"

namespace {

using namespace ufab;
using namespace ufab::jobs;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "queue_fill: %s\n", what.c_str());
  std::exit(1);
}

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) fail(result.error().message);
  return std::move(result).value();
}
JobSpec spec_of(std::uint64_t i) {
  JobSpec spec;
  spec.name = "job-" + std::to_string(i % 50);
  spec.idempotency_key = "fill-" + std::to_string(i);
  spec.script = sha256("script");
  spec.submit_folder = "/";
  spec.options.tasks = static_cast<std::uint32_t>(1 + i % 64);
  spec.options.time_limit_minutes = static_cast<std::uint32_t>(10 + i % 1000);
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string::npos) spec.environment[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return spec;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: queue_fill HOME N");
  const Home home(argv[1]);
  const std::uint64_t count = std::strtoull(argv[2], nullptr, 10);
  const KeyPair key = must(home.load_key());
  LedgerOptions options;
  options.folder = home.chain_folder();
  const auto ledger = must(Ledger::open(options, &key));
  must(ledger->sign_and_submit(key, Stake{200 * micro_per_unc}));
  must(ledger->sign_and_submit(
      key, ProviderEnrol{{must(home.load_config()).organisation, 64, 1, 1u << 30, 1, 1, 1}}));
  std::atomic<std::uint64_t> next{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 64; ++t) {
    threads.emplace_back([&] {
      for (std::uint64_t i = next++; i < count; i = next++) {
        const JobSpec spec = spec_of(i);
        JobOrder order;
        order.kind = JobKind::batch;
        order.name = spec.name;
        order.idempotency_key = spec.idempotency_key;
        order.script_digest = spec.script;
        order.slots = spec.options.tasks;
        order.time_limit_s = std::uint64_t{*spec.options.time_limit_minutes} * 60;
        order.budget = 100;
        order.price_max_per_cpu_hour = 1000;
        must(ledger->sign_and_submit(key, order));
        std::optional<JobId> job;
        ledger->with_state(
            [&](const State& state) { job = state.job_by_idempotency_key(1, spec.idempotency_key); });
        if (!job) fail("an order has no job");
        const JobFolder folder(home, *job);
        // Not synced one by one, as a submission's are: the bench would be of the disk.
        std::filesystem::create_directories(folder.path());
        if (i % 10 == 9) std::ofstream(folder.path() + "/held");
        std::ofstream(folder.spec()) << boost::json::serialize(job_spec_to_json(spec, false)) << "\n";
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}
