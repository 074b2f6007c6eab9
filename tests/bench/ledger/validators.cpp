#include "tests/bench/ledger/validators.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "accounting/replica/sim/founding.h"
#include "fabric/net/mesh_wire.h"
#include "jobs/node/committee.h"
#include "jobs/rpc/server.h"
#include "tests/bench/kernels/support.h"
#include "tests/bench/ledger/receipts.h"
#include "tests/bench/ledger/support.h"

namespace ufab::bench {

namespace {

using namespace std::chrono_literals;
using bench_ledger::fail;
using Clock = std::chrono::steady_clock;

constexpr std::size_t count = 4;
constexpr std::uint64_t wait_ms = 20'000;

// One node's part in the chain.
class Validator {
 public:
  Validator(const std::string& folder, const sim::Founding& founding, std::size_t number, Listener listener)
      : owner_(founding.owners[number].copy()), to_(number == 0 ? 2 : 1) {
    LedgerOptions options;
    options.folder = folder;
    auto ledger = Ledger::join(options, founding.log[0]);
    if (!ledger.ok()) fail(ledger.error().message);
    ledger_ = std::move(*ledger);
    for (std::size_t i = 1; i < founding.log.size(); ++i) {
      if (const Status status = ledger_->import_block(founding.log[i]); !status.ok())
        fail(status.error().message);
    }
    jobs::CommitteeOptions committee;
    committee.votes = folder + "/votes.log";
    if (!jobs::VoteFile::create(committee.votes).ok()) fail("no vote log");
    auto opened = jobs::Committee::open(*ledger_, founding.validators[number].copy(), std::move(committee));
    if (!opened.ok()) fail(opened.error().message);
    committee_ = std::move(*opened);
    auto credentials = Credentials::create(owner_);
    if (!credentials.ok()) fail("no credentials");
    server_ = std::make_unique<jobs::RpcServer>(
        *credentials, [](const PublicKey&) { return true; },
        [](const jobs::Caller&, const jobs::Request&) -> Result<jobs::Answer> {
          return Error{ErrorCode::denied, "nothing is served"};
        },
        jobs::OtherProtocol{
            frame_mesh_hello, [this](const PublicKey& key) { return committee_->mesh().is_peer(key); },
            [this](Link& link, const Frame& first) { committee_->mesh().serve(link, first); }});
    server_->serve(std::move(listener));
    thread_ = std::thread([this] {
      if (const Status status = committee_->run(stopping_); !status.ok()) fail(status.error().message);
    });
  }
  ~Validator() { stop(); }

  // Its links end, and it says nothing more.
  void stop() {
    if (!thread_.joinable()) return;
    stopping_ = true;
    committee_->wake();
    thread_.join();
    committee_->close();
    server_.reset();
  }
  [[nodiscard]] bool is_up() const { return thread_.joinable(); }
  // Until it is final here.
  void pay() {
    const auto outcome = committee_->sign_and_submit(owner_, Transfer{to_, 1, ""}, wait_ms);
    if (!outcome.ok() && !stopping_) fail(outcome.error().message);
  }
  // A record that somebody else has signed, as a client's call brings it.
  void submit(const Bytes& encoded) {
    auto record = decode_record(encoded);
    if (!record.ok() || !verify_record(ledger_->chain_id(), *record, encoded)) fail("a bad record");
    const auto outcome = committee_->submit(*std::move(record), encoded, wait_ms);
    if (!outcome.ok()) fail(outcome.error().message);
  }
  void file(const KeyPair& key, RecordBody body) {
    const auto outcome = committee_->sign_and_submit(key, std::move(body), wait_ms);
    if (!outcome.ok()) fail(outcome.error().message);
  }
  [[nodiscard]] std::uint64_t next_sequence(const PublicKey& key) { return committee_->next_sequence(key); }
  [[nodiscard]] const KeyPair& owner() const { return owner_; }
  [[nodiscard]] Ledger& ledger() { return *ledger_; }
  // Whether its own validator leads the present view.
  [[nodiscard]] bool leads() {
    const auto standing = committee_->standing();
    bool leads = false;
    ledger_->with_state([&](const State& state) {
      const OrgEntry* leader = state.organisation(state.producer(standing.view).organisation);
      leads = leader != nullptr && leader->key == owner_.public_key();
    });
    return leads;
  }

 private:
  KeyPair owner_;
  OrgId to_ = 0;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<jobs::Committee> committee_;
  std::unique_ptr<jobs::RpcServer> server_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

using Validators = std::vector<std::unique_ptr<Validator>>;

Validators start(const std::string& folder) {
  std::vector<Listener> listeners;
  sim::FoundingOptions options;
  options.epoch_blocks = 5000;
  options.block_interval_ms = 500;
  options.equal_pledges = true;
  for (std::size_t i = 0; i < count; ++i) {
    auto listener = Listener::bind({"127.0.0.1", 0});
    if (!listener.ok()) fail(listener.error().message);
    options.endpoints.push_back(listener->endpoint().str());
    listeners.push_back(std::move(*listener));
  }
  const sim::Founding founding = sim::found(options);
  Validators validators;
  for (std::size_t i = 0; i < count; ++i) {
    validators.push_back(std::make_unique<Validator>(folder + "/validator" + std::to_string(i), founding, i,
                                                     std::move(listeners[i])));
  }
  for (auto& validator : validators) validator->pay();  // all links are up
  return validators;
}

// So many clients at each node, one payment after another: seconds from submission to finality, sorted.
std::vector<double> run_clients(Validators& validators, std::size_t clients, std::chrono::milliseconds time) {
  std::vector<std::vector<double>> latencies(clients);
  std::vector<std::thread> threads;
  const auto end = Clock::now() + time;
  for (std::size_t c = 0; c < clients; ++c) {
    threads.emplace_back([&, c] {
      while (Clock::now() < end) latencies[c].push_back(time_once([&] { validators[c % count]->pay(); }));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<double> all;
  for (const auto& some : latencies) all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end());
  return all;
}

double quantile(const std::vector<double>& sorted, double q) {
  return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
}

void low_load(Validators& validators) {
  const auto all = run_clients(validators, 1, 3000ms);
  print({"ledger", "4 validators, one record in flight: p50 to final", "ms", 1e3 * quantile(all, 0.5), -1, 0,
         20, true});
  print({"ledger", "4 validators, one record in flight: p99 to final", "ms", 1e3 * quantile(all, 0.99), -1, 0,
         0, true});
}

// Of this process, all four nodes and their clients, on all processors.
double processor_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

void in_flight(Validators& validators, std::size_t clients, double aim) {
  constexpr auto time = 5000ms;
  Ledger& ledger = validators[0]->ledger();
  const std::uint64_t height = ledger.head().height;
  const double before = processor_seconds();
  const auto all = run_clients(validators, clients, time);
  const double used = processor_seconds() - before;
  const auto blocks = static_cast<double>(ledger.head().height - height);
  const std::string what = "4 validators, " + std::to_string(clients) + " signed records in flight";
  print({"ledger", what.c_str(), "record/s", static_cast<double>(all.size()) / 5.0, -1, 0, aim});
  print({"ledger", (what + ": p50").c_str(), "ms", 1e3 * quantile(all, 0.5), -1, 0, 0, true});
  print({"ledger", (what + ": p99").c_str(), "ms", 1e3 * quantile(all, 0.99), -1, 0, 0, true});
  print({"ledger", (what + ": longest").c_str(), "ms", 1e3 * all.back(), -1, 0, 0, true});
  const auto records = static_cast<double>(all.size());
  print({"ledger", (what + ": records in a block").c_str(), "record", records / blocks, -1, 0, 0});
  print({"ledger", (what + ": processor time of all four a record").c_str(), "ms", 1e3 * used / records, -1,
         0, 0, true});
}

// Batches of a thousand receipts, each under one signature of the provider, through the second node: a few of
// them under way at a time, in their order.
void receipts(Validators& validators) {
  constexpr std::size_t jobs = 12, clients = 8;
  Validator& node = *validators[1];
  bench_ledger::ReceiptSource source(
      {node.ledger().chain_id(),
       [&](const KeyPair& key, RecordBody body) { node.file(key, std::move(body)); },
       [&](const PublicKey& key) { return node.next_sequence(key); }},
      node.owner().copy(), 2);
  source.enrol();
  double seconds = 0;
  for (std::size_t job = 0; job < jobs; ++job) {
    std::vector<std::vector<Receipt>> batches;
    const std::vector<Bytes> records = source.next_job(batches);
    std::atomic<std::size_t> next{0};
    seconds += time_once([&] {
      std::vector<std::jthread> threads;
      for (std::size_t c = 0; c < clients; ++c) {
        threads.emplace_back([&] {
          for (std::size_t i = next++; i < records.size(); i = next++) node.submit(records[i]);
        });
      }
    });
  }
  print({"ledger", "4 validators, receipts in batches of 1000, final", "receipt/s",
         static_cast<double>(jobs * bench_ledger::windows_per_job) / seconds, -1, 0, 22'000});
}

// The longest time without a new block after the leader died, at a node that stays.
void leader_dies(Validators& validators) {
  std::atomic<bool> done{false};
  std::vector<std::thread> clients;
  std::size_t leader = 0;
  // Node 0 is where the gap is measured.
  for (;;) {
    leader = 0;
    for (std::size_t i = 1; i < count; ++i) {
      if (validators[i]->leads()) leader = i;
    }
    if (leader != 0) break;
    validators[0]->pay();
  }
  for (std::size_t c = 0; c < count; ++c) {
    clients.emplace_back([&, c] {
      while (!done && (c != leader || validators[c]->is_up())) {
        if (c == leader) return;
        validators[c]->pay();
      }
    });
  }
  std::this_thread::sleep_for(300ms);
  Ledger& ledger = validators[0]->ledger();
  validators[leader]->stop();
  double worst = 0;
  const auto end = Clock::now() + 5s;
  auto last = Clock::now();
  std::uint64_t height = ledger.head().height;
  while (Clock::now() < end) {
    const Head head = ledger.wait_for_block(height, 1000);
    const auto now = Clock::now();
    worst = std::max(worst, std::chrono::duration<double>(now - last).count());
    if (head.height > height) last = now;
    height = head.height;
  }
  done = true;
  for (std::thread& client : clients) client.join();
  print({"ledger", "4 validators, one dies under load: longest gap", "s", worst, -1, 0, 1.0, true});
}

}  // namespace

void validators(const std::string& folder) {
  Validators all = start(folder);
  low_load(all);
  in_flight(all, 4, 1000);
  in_flight(all, 256, 0);
  receipts(all);
  leader_dies(all);
}

}  // namespace ufab::bench
