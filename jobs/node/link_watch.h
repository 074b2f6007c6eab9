// Measures this provider's links to the other providers again and again (link_book.h says whom and when,
// link_probe.h how) and reports them on the ledger (accounting/records/links.h), where every owner's broker
// reads them. The other side of it, too: answers "link.echo" of other providers within EchoGate's bounds.
//
// While a job is asked of, or runs on, this provider or the peer, the measurement is a small one. Nothing is
// measured by a node without an active, staked provider, nor when the provider's section of config.toml says
// 0 (link_check_s). What was measured is forgotten when the node ends; the ledger remembers.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <mutex>

#include "jobs/node/context.h"
#include "jobs/node/link_book.h"
#include "jobs/node/link_probe.h"
#include "jobs/rpc/server.h"

namespace ufab::jobs {

class LinkWatch {
 public:
  // Takes seconds, and is called from a thread of its own.
  using Probe = std::function<Result<LinkSample>(const Endpoint& endpoint, const std::vector<PublicKey>& keys,
                                                 bool small)>;
  LinkWatch(NodeContext& node, Probe probe) : node_(node), probe_(std::move(probe)) {}
  // Waits for the measurement under way.
  ~LinkWatch() = default;
  LinkWatch(const LinkWatch&) = delete;
  LinkWatch& operator=(const LinkWatch&) = delete;

  // One look. Called by one thread.
  void tick();
  // "link.echo": the body comes back. ErrorCode::denied for whoever has no active, staked provider; limit for
  // more than echo_bytes_max bytes, or more than EchoGate admits. Thread-safe.
  [[nodiscard]] Result<Answer> echo(const Caller& caller, const Request& request);
  // What this node measured, or why it could not: an array `measured` of {organisation, endpoint, failures,
  // trouble}, and where there are samples rtt_us, kbyte_per_s and age_s. Thread-safe.
  [[nodiscard]] boost::json::object measured() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Target {
    std::string endpoint;
    std::vector<PublicKey> keys;
    bool small = false;
  };
  void take_outcome();
  [[nodiscard]] LinkLook look(std::int64_t interval_ms) const;
  [[nodiscard]] Target target_of(OrgId peer) const;
  void file(LinkReport report);

  NodeContext& node_;
  Probe probe_;
  EchoGate gate_;
  Clock::time_point looked_{};
  Clock::time_point file_after_{};
  Clock::time_point began_{};
  std::string said_;
  mutable std::mutex mutex_;
  LinkBook book_;  // guarded by mutex_
  std::future<Result<LinkSample>> answer_;
};

}  // namespace ufab::jobs
