#include "fabric/train/bridge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <thread>

#include "fabric/base/codec.h"
#include "fabric/train/bridge_lobby.h"
#include "fabric/train/bridge_messages.h"
#include "fabric/train/state.h"
#include "fabric/train/sum_pack.h"

namespace ufab {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t kChunkSums = kDigestChunk / sizeof(std::int32_t);

Status send_chunk(Link& link, std::span<const std::int32_t> chunk, Bytes& buffer, Deadline deadline) {
  pack_sums(chunk, buffer);
  return link.send_bytes(buffer, deadline);
}

Status recv_chunk(Link& link, std::span<std::int32_t> chunk, Bytes& buffer, Deadline deadline) {
  std::array<std::uint8_t, 1> width{};
  UFAB_TRY(link.recv_bytes(width, deadline));
  if (width[0] < 1 || width[0] > 4) {
    return Error{ErrorCode::invalid, fmt::format("sums of {} bytes each: 1 to 4 are possible", width[0])};
  }
  buffer.resize(chunk.size() * width[0]);
  UFAB_TRY(link.recv_bytes(buffer, deadline));
  unpack_sums(buffer, width[0], chunk);
  return {};
}

ByteView readable_bytes(std::span<const std::int32_t> sums) {
  return {reinterpret_cast<const std::uint8_t*>(sums.data()), sums.size_bytes()};
}

// How long an exchange of sums may take. A peer's silence ends it, and so does a peer that is never silent
// but slower than kSlowestLink: otherwise one byte before each time limit would hold a job for ever.
class ExchangeClock {
 public:
  ExchangeClock() = default;
  // `bytes`: what one link carries in both directions at most; `links`: of the hub.
  ExchangeClock(milliseconds silence, std::size_t bytes, std::size_t links)
      : silence_(silence), end_(deadline_in(silence + milliseconds(1000 * (bytes * links / kSlowestLink)))) {}
  [[nodiscard]] Deadline next() const { return std::min(end_, deadline_in(silence_)); }

 private:
  milliseconds silence_{0};
  Deadline end_;
};

template <typename Body>
Status for_each_chunk(std::span<std::int32_t> sums, const Body& body) {
  for (std::uint64_t i = 0; i * kChunkSums < sums.size(); ++i) {
    const auto rest = sums.subspan(i * kChunkSums);
    UFAB_TRY(body(i, rest.first(std::min(rest.size(), kChunkSums))));
  }
  return {};
}

class Member final : public Bridge {
 public:
  Member(const Gang& gang, LinkPtr link) : gang_(gang), link_(std::move(link)) {}

  Status hello(const Digest& definition, Deadline deadline) {
    const BridgeHello hello{gang_.job, gang_.attempt, gang_.self, definition};
    return named(ask(kHello, encode_hello(hello), deadline));
  }
  Result<std::uint64_t> lowest_step(std::uint64_t mine) override {
    Writer writer;
    writer.u64(mine);
    auto answer = ask(kStep, writer.take(), timeout());
    UFAB_TRY(named(answer));
    Reader reader(*answer);
    const std::uint64_t lowest = reader.u64();
    UFAB_TRY(reader.finish("step"));
    return lowest;
  }
  Status check_state(std::uint64_t step, const Digest& digest) override {
    return named(ask(kState, encode_state(step, digest), timeout()));
  }

  Result<StepReport> exchange(const StepReport& mine, std::span<std::int32_t> sums, const ChunkSeen& seen,
                              milliseconds patience) override {
    const std::uint64_t id = ++exchange_;
    const ExchangeClock clock(milliseconds(gang_.peer_timeout_ms) + patience, sums.size_bytes(),
                              gang_.members.size() - 1);
    Status sent;
    // A chunk of the total arrives only after the hub got this side's, so the two threads never touch one
    // chunk at the same time.
    std::thread sender([&] {
      sent = link_->send({kSums, id, encode_report(mine)}, clock.next());
      if (!sent) return;
      sent = for_each_chunk(sums, [&](std::uint64_t i, std::span<std::int32_t> chunk) {
        seen(i, readable_bytes(chunk));
        return send_chunk(*link_, chunk, outgoing_, clock.next());
      });
    });
    Result<Bytes> head = expect_frame(*link_, kSums, id, clock.next());
    Status received = head ? Status{} : Status{head.error()};
    if (received) {
      received = for_each_chunk(sums, [&](std::uint64_t, std::span<std::int32_t> chunk) {
        return recv_chunk(*link_, chunk, incoming_, clock.next());
      });
    }
    if (!received) link_->interrupt();
    sender.join();
    if (!received) return received.error().within(hub_name());
    if (!sent) return sent.error().within(hub_name());
    UFAB_ASSIGN(StepReport total, decode_report(*head));
    if (total.peaks.size() == mine.peaks.size()) return total;
    return Error{ErrorCode::invalid, hub_name() + ": peaks of another number of tensors"};
  }

 private:
  [[nodiscard]] std::string hub_name() const { return "bridge to " + gang_.members[gang_.hub].name; }
  [[nodiscard]] Deadline timeout() const { return deadline_in(milliseconds(gang_.join_timeout_ms)); }
  Result<Bytes> ask(BridgeFrame type, Bytes payload, Deadline deadline) {
    const std::uint64_t id = ++exchange_;
    UFAB_TRY(link_->send({type, id, std::move(payload)}, deadline));
    return expect_frame(*link_, type, id, deadline);
  }
  template <typename T>
  Status named(const Result<T>& result) const {
    if (!result) return result.error().within(hub_name());
    return {};
  }

  Gang gang_;
  LinkPtr link_;
  Bytes outgoing_, incoming_;  // one chunk each, of the sending and of the receiving thread
  std::uint64_t exchange_ = 0;
};

// How many chunks of a total are complete: the hub's receiving thread counts, its sending thread waits.
class ChunkProgress {
 public:
  void advance() {
    const std::lock_guard lock(mutex_);
    ++complete_;
    changed_.notify_one();
  }
  void abort() {
    const std::lock_guard lock(mutex_);
    aborted_ = true;
    changed_.notify_one();
  }
  // Until chunk `index` is complete; false: it never will be.
  bool await(std::uint64_t index) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return aborted_ || complete_ > index; });
    return complete_ > index;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t complete_ = 0;
  bool aborted_ = false;
};

class Hub final : public Bridge {
 public:
  // links[i] is member i's; null for the hub itself.
  Hub(const Gang& gang, std::vector<LinkPtr> links) : gang_(gang), links_(std::move(links)) {}

  Status hello_done() { return answer_all(kHello, {}, timeout()); }

  Result<std::uint64_t> lowest_step(std::uint64_t mine) override {
    std::uint64_t lowest = mine;
    UFAB_TRY(collect(kStep, [&](std::uint32_t, ByteView payload) -> Status {
      Reader reader(payload);
      lowest = std::min(lowest, reader.u64());
      return reader.finish("step");
    }));
    Writer writer;
    writer.u64(lowest);
    UFAB_TRY(answer_all(kStep, writer.take(), timeout()));
    return lowest;
  }

  Status check_state(std::uint64_t step, const Digest& digest) override {
    UFAB_TRY(collect(kState, [&](std::uint32_t member, ByteView payload) -> Status {
      Reader reader(payload);
      const std::uint64_t other_step = reader.u64();
      const ByteView other = reader.raw(32);
      UFAB_TRY(reader.finish("state"));
      if (other_step == step && Digest::from(other) == digest) return {};
      return Error{
          ErrorCode::conflict,
          fmt::format("{} starts from step {} {}, {} from step {} {}", gang_.self_member().name, step,
                      digest.str(), gang_.members[member].name, other_step, Digest::from(other).str())};
    }));
    return answer_all(kState, {}, timeout());
  }

  Result<StepReport> exchange(const StepReport& mine, std::span<std::int32_t> sums, const ChunkSeen& seen,
                              milliseconds patience) override {
    clock_ = ExchangeClock(milliseconds(gang_.peer_timeout_ms) + patience, sums.size_bytes(),
                           gang_.members.size() - 1);
    StepReport total = mine;
    UFAB_TRY(collect(kSums, [&](std::uint32_t, ByteView payload) -> Status {
      UFAB_ASSIGN(const StepReport report, decode_report(payload));
      if (report.step != mine.step || report.attempt != mine.attempt) {
        return Error{ErrorCode::conflict, fmt::format("step {}, try {}; expected step {}, try {}",
                                                      report.step, report.attempt, mine.step, mine.attempt)};
      }
      if (report.peaks.size() != mine.peaks.size()) {
        return Error{ErrorCode::invalid, fmt::format("peaks of {} tensors; the model has {}",
                                                     report.peaks.size(), mine.peaks.size())};
      }
      total.non_finite |= report.non_finite;
      total.stop |= report.stop;
      total.loss += report.loss;
      for (std::size_t t = 0; t < report.peaks.size(); ++t) total.peaks[t] += report.peaks[t];
      return {};
    }));
    UFAB_TRY(answer_all(kSums, encode_report(total), clock_.next()));
    scratch_.resize(std::min(sums.size(), kChunkSums));
    streaming_ = true;
    ChunkProgress progress;
    Status sent;
    std::thread sender([&] { sent = send_totals(sums, progress); });
    const Status added = for_each_chunk(sums, [&](std::uint64_t i, std::span<std::int32_t> chunk) {
      seen(i, readable_bytes(chunk));
      Status status = add_members(chunk);
      if (status) progress.advance();
      return status;
    });
    if (!added) progress.abort();
    sender.join();
    UFAB_TRY(added);
    UFAB_TRY(sent);
    streaming_ = false;
    return total;
  }

 private:
  [[nodiscard]] Deadline timeout() const { return deadline_in(milliseconds(gang_.join_timeout_ms)); }

  template <typename Body>
  Status for_each_member(const Body& body) {
    for (std::uint32_t i = 0; i < links_.size(); ++i) {
      if (!links_[i]) continue;
      if (Status status = body(i, *links_[i]); !status) {
        return fail(status.error().within("bridge to " + gang_.members[i].name));
      }
    }
    return {};
  }
  template <typename Body>
  Status collect(BridgeFrame type, const Body& body) {
    ++exchange_;
    return for_each_member([&](std::uint32_t i, Link& link) -> Status {
      UFAB_ASSIGN(const Bytes payload,
                  expect_frame(link, type, exchange_, type == kSums ? clock_.next() : timeout()));
      return body(i, payload);
    });
  }
  Status answer_all(BridgeFrame type, const Bytes& payload, Deadline deadline) {
    return for_each_member([&](std::uint32_t, Link& link) {
      return link.send({type, exchange_, payload}, deadline);
    });
  }
  Status add_members(std::span<std::int32_t> chunk) {
    const auto other = std::span(scratch_).first(chunk.size());
    return for_each_member([&](std::uint32_t, Link& link) -> Status {
      UFAB_TRY(recv_chunk(link, other, incoming_, clock_.next()));
      // Unsigned, because a hostile member may make it wrap; honest sums are bounded (kernels/gradient.h).
      for (std::size_t k = 0; k < chunk.size(); ++k) {
        chunk[k] = static_cast<std::int32_t>(static_cast<std::uint32_t>(chunk[k]) +
                                             static_cast<std::uint32_t>(other[k]));
      }
      return {};
    });
  }
  Status send_totals(std::span<std::int32_t> sums, ChunkProgress& progress) {
    return for_each_chunk(sums, [&](std::uint64_t i, std::span<std::int32_t> chunk) -> Status {
      if (!progress.await(i)) return {};
      pack_sums(chunk, outgoing_);
      return for_each_member(
          [&](std::uint32_t, Link& link) { return link.send_bytes(outgoing_, clock_.next()); });
    });
  }
  // Tells every member that can still be told. Inside a stream of sums a member cannot tell a frame from
  // sums, so there the links just close.
  Error fail(Error error) {
    for (const auto& link : links_) {
      if (!link) continue;
      const Frame failure = failure_frame(exchange_, error);
      if (streaming_ || !link->send(failure, deadline_in(milliseconds(200)))) link->interrupt();
      link->shutdown();
    }
    return error;
  }

  Gang gang_;
  std::vector<LinkPtr> links_;
  std::vector<std::int32_t> scratch_;
  Bytes outgoing_, incoming_;  // one chunk each, of the sending and of the receiving thread
  ExchangeClock clock_;        // of the present exchange of sums
  bool streaming_ = false;
  std::uint64_t exchange_ = 1;  // the hello
};

Result<std::unique_ptr<Bridge>> join_as_hub(const Gang& gang, const Digest& definition,
                                            const Credentials& credentials) {
  UFAB_ASSIGN(std::vector<LinkPtr> links, receive_members(gang, definition, credentials));
  auto hub = std::make_unique<Hub>(gang, std::move(links));
  UFAB_TRY(hub->hello_done());
  return std::unique_ptr<Bridge>(std::move(hub));
}

Result<std::unique_ptr<Bridge>> join_as_member(const Gang& gang, const Digest& definition,
                                               const Credentials& credentials) {
  const Deadline deadline = deadline_in(milliseconds(gang.join_timeout_ms));
  const GangMember& hub = gang.members[gang.hub];
  const std::string where = fmt::format("bridge to {}", hub.name);
  for (milliseconds pause{20};; pause = std::min(2 * pause, milliseconds(500))) {
    auto link = connect_tls({hub.host, hub.port}, credentials, allow_only(hub.bridge_key), deadline);
    if (link) {
      auto member = std::make_unique<Member>(gang, std::move(*link));
      UFAB_TRY(member->hello(definition, deadline));
      return std::unique_ptr<Bridge>(std::move(member));
    }
    // The hub may not have started yet: its batch system decides when.
    if (link.error().code != ErrorCode::unavailable || Deadline::clock::now() + pause >= deadline) {
      return link.error().within(where);
    }
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace

Result<std::unique_ptr<Bridge>> Bridge::join(const Gang& gang, const Digest& definition) {
  UFAB_ASSERT(gang.members.size() >= 2);
  if (gang.bridge_secret.empty()) return Error{ErrorCode::invalid, "the gang file names no bridge_secret"};
  UFAB_ASSIGN(const KeyPair key, KeyPair::load(gang.bridge_secret));
  if (key.public_key() != gang.self_member().bridge_key) {
    return Error{ErrorCode::invalid, fmt::format("{}: not the bridge key of member {}", gang.bridge_secret,
                                                 gang.self_member().name)};
  }
  UFAB_ASSIGN(const Credentials credentials, Credentials::create(key));
  return gang.self == gang.hub ? join_as_hub(gang, definition, credentials)
                               : join_as_member(gang, definition, credentials);
}

}  // namespace ufab
