#include "fabric/train/bridge_lobby.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <thread>

#include "fabric/train/bridge_messages.h"

namespace ufab {

namespace {

Status check_hello(const Gang& gang, const Digest& definition, const BridgeHello& hello,
                   const PublicKey& key) {
  if (hello.member >= gang.members.size() || hello.member == gang.hub ||
      gang.members[hello.member].bridge_key != key) {
    return Error{ErrorCode::denied, "the peer's key is not that of the member it says it is"};
  }
  if (hello.job != gang.job || hello.attempt != gang.attempt) {
    return Error{ErrorCode::conflict, fmt::format("{} runs job {} attempt {}, {} job {} attempt {}",
                                                  gang.self_member().name, gang.job, gang.attempt,
                                                  gang.members[hello.member].name, hello.job, hello.attempt)};
  }
  if (hello.definition != definition) {
    return Error{ErrorCode::conflict,
                 fmt::format("{} has definition {}, {} has {}", gang.self_member().name, definition.str(),
                             gang.members[hello.member].name, hello.definition.str())};
  }
  return {};
}

class Lobby {
 public:
  Lobby(const Gang& gang, const Digest& definition, const Credentials& credentials, Listener listener)
      : gang_(gang),
        definition_(definition),
        credentials_(credentials),
        listener_(std::move(listener)),
        links_(gang.members.size()) {}
  Lobby(const Lobby&) = delete;
  Lobby& operator=(const Lobby&) = delete;
  ~Lobby() {
    for (Visitor& visitor : visitors_) visitor.thread.join();
  }

  Result<std::vector<LinkPtr>> receive(Deadline deadline) {
    Status accepted;
    while (accepted && take_seat(deadline)) {
      auto pending = listener_.accept(deadline);
      if (pending) {
        seat(std::move(*pending), deadline);
      } else {
        accepted = pending.error();
      }
    }
    const std::lock_guard lock(mutex_);
    closed_ = true;
    if (mismatch_) return mismatch_->within("bridge");
    if (!missing().empty()) {
      return Error{accepted ? ErrorCode::timeout : accepted.error().code,
                   "bridge: not joined in time: " + missing()};
    }
    return std::move(links_);
  }

 private:
  struct Visitor {
    std::thread thread;
    bool done = false;  // guarded by mutex_
  };

  [[nodiscard]] std::string missing() const {
    std::string names;
    for (std::uint32_t i = 0; i < links_.size(); ++i) {
      if (i != gang_.hub && !links_[i]) names += (names.empty() ? "" : ", ") + gang_.members[i].name;
    }
    return names;
  }
  [[nodiscard]] bool complete() const { return mismatch_ || missing().empty(); }

  // True: a seat is free and somebody is missing. False: complete, or the deadline has passed.
  bool take_seat(Deadline deadline) {
    std::unique_lock lock(mutex_);
    const auto clear = [&] {
      for (auto it = visitors_.begin(); it != visitors_.end();) {
        if (!it->done) {
          ++it;
          continue;
        }
        it->thread.join();
        it = visitors_.erase(it);
      }
      return complete() || visitors_.size() < kLobbySeats;
    };
    return changed_.wait_until(lock, deadline, clear) && !complete();
  }

  void seat(PendingLink pending, Deadline deadline) {
    const std::lock_guard lock(mutex_);
    Visitor& visitor = visitors_.emplace_back();
    visitor.thread = std::thread([this, &visitor, deadline, held = std::move(pending)]() mutable {
      welcome(std::move(held), std::min(deadline, deadline_in(kLobbyPatience)));
      const std::lock_guard inner(mutex_);
      visitor.done = true;
      changed_.notify_one();
    });
  }

  // Whoever is no member, or does not say so in time, is forgotten.
  void welcome(PendingLink pending, Deadline patience) {
    const AllowPeer allow = [&](const PublicKey& key) {
      return std::any_of(gang_.members.begin(), gang_.members.end(),
                         [&](const GangMember& member) { return member.bridge_key == key; });
    };
    auto link = std::move(pending).handshake(credentials_, allow, patience);
    if (!link) return;
    const auto payload = expect_frame(**link, kHello, 1, patience);
    if (!payload) return;
    const auto hello = decode_hello(*payload);
    if (!hello) return;
    const Status good = check_hello(gang_, definition_, *hello, *(*link)->peer());
    const bool told = good || (*link)->send(failure_frame(1, good.error()), patience);
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    if (good) {
      links_[hello->member] = std::move(*link);  // a member that joins again replaces its dead link
    } else if (told && good.error().code != ErrorCode::denied) {
      // A mismatch of a real member cannot heal by waiting; a stranger's claim is its own problem.
      mismatch_ = good.error();
    }
    if (complete()) listener_.interrupt();
  }

  const Gang& gang_;
  const Digest definition_;
  const Credentials credentials_;
  Listener listener_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Visitor> visitors_;
  std::vector<LinkPtr> links_;
  std::optional<Error> mismatch_;
  bool closed_ = false;
};

}  // namespace

Result<std::vector<LinkPtr>> receive_members(const Gang& gang, const Digest& definition,
                                             const Credentials& credentials) {
  const Deadline deadline = deadline_in(std::chrono::milliseconds(gang.join_timeout_ms));
  const GangMember& self = gang.self_member();
  UFAB_ASSIGN(Listener listener, Listener::bind({self.host, self.port}));
  return Lobby(gang, definition, credentials, std::move(listener)).receive(deadline);
}

}  // namespace ufab
