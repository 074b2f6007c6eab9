#include "jobs/node/link_probe.h"

#include <algorithm>
#include <limits>

#include "jobs/rpc/client.h"

namespace ufab::jobs {

namespace {

using namespace std::chrono_literals;
constexpr std::chrono::milliseconds echo_wait = 2s;
constexpr std::size_t echoes = 5;
constexpr std::int64_t echoes_within_us = 1'000'000;  // no further one is begun then
constexpr std::size_t chunk_first = 16u << 10;
constexpr std::size_t chunk_max_small = 256u << 10;

std::uint32_t bounded(std::int64_t value) {
  constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(value, 1, most));
}

// Bytes that went both ways in a time, as kB/s of one direction.
std::int64_t rate_of(std::size_t bytes, std::int64_t us) {
  return static_cast<std::int64_t>(2 * bytes) * 1000 / std::max<std::int64_t>(us, 1);
}

}  // namespace

Result<LinkSample> measure_link(const Echo& echo, const MicroClock& now_us, bool small) {
  std::vector<std::int64_t> trips;
  const std::int64_t began = now_us();
  while (trips.size() < echoes && (trips.empty() || now_us() - began < echoes_within_us)) {
    const std::int64_t sent = now_us();
    UFAB_TRY(echo(0, echo_wait));
    trips.push_back(now_us() - sent);
  }
  std::sort(trips.begin(), trips.end());
  const std::int64_t rtt = trips[trips.size() / 2];

  std::int64_t rate = 0;
  const std::int64_t end = now_us() + probe_transfer_us;
  const std::size_t last = small ? chunk_max_small : echo_bytes_max;
  for (std::size_t bytes = chunk_first;; bytes = std::min(bytes * 4, last)) {
    const std::int64_t sent = now_us();
    const std::int64_t expected = rate == 0 ? 0 : rtt + static_cast<std::int64_t>(2 * bytes) * 1000 / rate;
    if (sent + expected > end) break;
    const Status status = echo(bytes, std::chrono::microseconds(end - sent + rtt));
    const std::int64_t took = now_us() - sent;
    if (!status.ok()) {
      // What did not come back in time says at least how slow the link is.
      if (rate == 0 && status.error().code != ErrorCode::timeout) return status.error();
      if (rate == 0) rate = rate_of(bytes, took);
      break;
    }
    // Never much less than it took: of a small chunk over a long link the difference is mere chance.
    rate = std::max<std::int64_t>(rate_of(bytes, std::max(took - rtt, took / 4)), 1);
    if (bytes == last) break;
  }
  return LinkSample{bounded(rtt), bounded(rate)};
}

Result<LinkSample> probe_link(const Endpoint& endpoint, const std::vector<PublicKey>& keys,
                              const Credentials& credentials, bool small) {
  using Clock = std::chrono::steady_clock;
  UFAB_ASSIGN(LinkPtr link, connect_tls(endpoint, credentials, allow_any_of(keys), deadline_in(echo_wait)));
  RpcClient client(std::move(link));
  const Bytes payload(echo_bytes_max, 0x5a);
  const Echo echo = [&](std::size_t bytes, std::chrono::microseconds timeout) -> Status {
    Request request{"link.echo", {}, Bytes(payload.begin(), payload.begin() + static_cast<long>(bytes))};
    UFAB_ASSIGN(const Answer answer,
                client.call(request, std::chrono::ceil<std::chrono::milliseconds>(timeout)));
    if (answer.body.size() != bytes) return Error{ErrorCode::invalid, "its echo is not what was sent"};
    return {};
  };
  const MicroClock now_us = [] {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count();
  };
  return measure_link(echo, now_us, small);
}

bool EchoGate::admit(OrgId organisation, std::size_t bytes, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  const auto [at, added] = accounts_.try_emplace(organisation);
  Account& account = at->second;
  if (!added) {
    const std::int64_t passed_ms = std::clamp<std::int64_t>(now_ms - account.filled_ms, 0, 3'600'000);
    account.left = std::min(burst_bytes, account.left + passed_ms * bytes_per_s / 1000);
  }
  account.filled_ms = now_ms;
  const std::int64_t cost = std::max(least_bytes, static_cast<std::int64_t>(bytes));
  if (cost > account.left) return false;
  account.left -= cost;
  return true;
}

}  // namespace ufab::jobs
