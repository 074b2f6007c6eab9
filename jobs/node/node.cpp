#include "jobs/node/node.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <thread>

#include "fabric/base/file.h"
#include "fabric/net/mesh_wire.h"
#include "jobs/batch/plugin.h"
#include "jobs/node/benchmarker.h"
#include "jobs/node/capacity_watch.h"
#include "jobs/node/housekeeping.h"
#include "jobs/node/lease_desk.h"
#include "jobs/node/link_watch.h"
#include "jobs/node/methods.h"
#include "jobs/node/provider_agent.h"
#include "jobs/node/validator_duties.h"
#include "jobs/node/verifier.h"

namespace ufab::jobs {

namespace {

using namespace std::chrono_literals;
constexpr auto tick_interval = 150ms;

std::atomic<bool> stop_requested{false};
void on_signal(int) {
  stop_requested = true;
}

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

// stderr is node.log when `ufab up` started the node.
void log_line(const std::string& line) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char stamp[40];
  std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::fprintf(stderr, "%s.%03dZ %s\n", stamp, static_cast<int>(ms), line.c_str());
}

// Ends the pause between two passes of the agents early: they act on what the ledger says, so a new block is
// news. While blocks come faster than passes, one pass sees to several of them: after each the agents rest
// for `rest` times as long as it took, so that they use a small part of one processor beside those who
// submit.
class Wakeup {
 public:
  void notify() {
    const std::lock_guard lock(mutex_);
    news_ = true;
    condition_.notify_one();
  }
  void wait(std::chrono::steady_clock::duration pass) {
    std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(rest * pass, rest_max));
    std::unique_lock lock(mutex_);
    condition_.wait_for(lock, tick_interval, [&] { return news_; });
    news_ = false;
  }

 private:
  static constexpr int rest = 4;
  static constexpr auto rest_max = std::chrono::milliseconds(20);
  std::mutex mutex_;
  std::condition_variable condition_;
  bool news_ = false;
};

std::string trainer_of(const HomeConfig& config, const std::string& program_folder) {
  const bool named = config.provider && !config.provider->trainer.empty();
  return named ? config.provider->trainer : program_folder + "/ufab-train";
}

// The provider section may change while the node runs (`ufab provider init`); the rest is read once. Only the
// thread that drives the agents reads the section.
class ProviderWatch {
 public:
  explicit ProviderWatch(NodeContext& node)
      : node_(node),
        batch_(node.config.provider ? node.config.provider->batch : "local"),
        read_(modified()) {}

  void tick() {
    const auto time = modified();
    if (time == read_) return;
    const auto config = node_.home.load_config();
    if (!config) return;  // being edited; the next look may find it whole
    read_ = time;
    if (config->provider && config->provider->batch != batch_)
      node_.log("the provider's batch system changes with the next `ufab down` and `ufab up`");
    node_.config.provider = config->provider;
    node_.trainer = trainer_of(*config, node_.program_folder);
    node_.batch->set_slots(run_slots(*config));
    node_.log("the provider section was read again");
  }

 private:
  [[nodiscard]] std::filesystem::file_time_type modified() const {
    std::error_code error;
    return std::filesystem::last_write_time(node_.home.file("config.toml"), error);
  }
  NodeContext& node_;
  const std::string batch_;  // the one that runs
  std::filesystem::file_time_type read_;
};

}  // namespace

Status run_node(const Home& home, const NodeOptions& options) {
  catch_signals();
  UFAB_ASSIGN(const HomeConfig config, home.load_config());
  const auto lock = FileLock::acquire(home.file("node.lock"));
  if (!lock) {
    if (lock.error().code == ErrorCode::conflict)
      return Error{ErrorCode::conflict, "the node of this home runs already"};
    return lock.error();
  }
  Wakeup wakeup;  // outlives the chain, which calls it
  UFAB_ASSIGN(const std::unique_ptr<Chain> chain, Chain::open(home, config, log_line));
  chain->ledger().on_block([&wakeup](const Head&) { wakeup.notify(); });
  UFAB_ASSIGN(const Credentials credentials, Credentials::create(chain->key()));
  PeerPool peers(credentials);
  const ProviderConfig provider_config = config.provider.value_or(ProviderConfig{});
  const BatchConfig batch_config{home.batch_folder(provider_config.batch),
                                 options.program,
                                 run_slots(config),
                                 chain->ledger().chain_id().hex().substr(0, 8),
                                 provider_config.batch_settings,
                                 log_line};
  UFAB_ASSIGN(const std::unique_ptr<BatchSystem> batch,
              make_batch_system(provider_config.batch, batch_config));

  NodeContext node{home, config, chain.get(), &peers, batch.get(), {}, {}, log_line};
  node.program_folder = std::filesystem::path(options.program).parent_path().string();
  node.trainer = trainer_of(config, node.program_folder);
  LeaseDesk desk;
  node.desk = &desk;
  Gateway gateway(node);
  UFAB_TRY(gateway.open());
  ProviderAgent provider(node);
  Verifier verifier(node);
  ValidatorDuties duties(node);
  Benchmarker benchmarker(node);
  CapacityWatch capacity(node, ask_machines());
  Housekeeping housekeeping(node, [&gateway](const auto& what) { gateway.undisturbed(what); });
  LinkWatch links(node,
                  [&credentials](const Endpoint& endpoint, const std::vector<PublicKey>& keys, bool small) {
                    return probe_link(endpoint, keys, credentials, small);
                  });
  const MethodContext methods{&node, &gateway, &links, [] { stop_requested = true; },
                              [&benchmarker] { benchmarker.ask(); }};

  auto listener = Listener::bind({config.listen_host, config.listen_port});
  if (!listener) return listener.error().within("listening on port " + std::to_string(config.listen_port));
  UFAB_ASSIGN(LocalListener local, LocalListener::bind(home.socket()));
  chain->start();
  RpcServer server(
      credentials, [](const PublicKey& key) { return key.is_acceptable(); },
      [&](const Caller& caller, const Request& request) { return answer_request(methods, caller, request); },
      OtherProtocol{frame_mesh_hello,
                    [&chain](const PublicKey& key) { return chain->expects_validator(key); },
                    [&chain](Link& link, const Frame& first) { chain->serve_validator(link, first); }});
  server.serve(*std::move(listener));
  server.serve(std::move(local));
  log_line("node of " + config.organisation + " is up, height " +
           std::to_string(chain->ledger().head().height));

  ProviderWatch watch(node);
  while (!stop_requested) {
    const auto began = std::chrono::steady_clock::now();
    watch.tick();
    batch->tick();
    provider.tick();
    gateway.tick();
    verifier.tick();
    duties.tick();
    benchmarker.tick();
    capacity.tick();
    housekeeping.tick();
    links.tick();
    wakeup.wait(std::chrono::steady_clock::now() - began);
  }
  log_line("node of " + config.organisation + " goes down");
  return {};
}

}  // namespace ufab::jobs
