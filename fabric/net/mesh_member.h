// One peer of a mesh (fabric/net/mesh.h): the thread that keeps a link to it, its queue, its score, and the
// links that it opened. Internal to fabric/net.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "fabric/net/mesh.h"

namespace ufab {

// What all members share; outlives them.
struct MeshContext {
  Credentials credentials;
  MeshOptions options;
  Mesh::Handler handler;
};

// Tells the peer why it is not served.
void refuse_mesh_link(Link& link, const std::string& why);

class MeshMember {
 public:
  // Starts the thread.
  MeshMember(const MeshContext& context, const MeshPeer& peer);
  // Precondition: serve() is not running.
  ~MeshMember();
  MeshMember(const MeshMember&) = delete;
  MeshMember& operator=(const MeshMember&) = delete;

  // Precondition: the same key.
  void set_place(const MeshPeer& peer);
  bool push(MeshChannel channel, SharedBytes message);
  void penalise(std::uint32_t points, const std::string& why);
  void serve(Link& link, const Frame& first);
  // Ends all links for good; does not wait for it.
  void stop();
  // After stop(): whether the destructor would not wait.
  [[nodiscard]] bool is_finished() const { return finished_; }
  [[nodiscard]] MeshPeerStatus status() const;

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] std::uint64_t microseconds_until(Clock::time_point now) const;

  // The link to the peer: the sending thread.
  void keep_connected();
  Error send_on_one_link(const MeshPeer& place, const std::stop_token& stop);
  Result<MeshHello> greet(Link& link);
  void begin_link(const MeshHello& theirs, std::uint32_t version);
  Error send_waiting(Link& link, const std::stop_token& stop);
  void read_answers(Link& link);
  Status read_answer(Link& link);

  // Links from the peer: serve()'s thread.
  Result<Frame> admit(Link& link, const Frame& first);
  Error receive(Link& link);
  Status take(Link& link, Frame frame, MeshAssembler& assembler);
  // Counts a frame that came in, and waits where the peer is over its rate.
  void count_in(const Link& link, std::size_t bytes);

  // Under the lock.
  void note_error(const std::string& what) { status_.last_error = what; }
  void penalise_locked(std::uint32_t points, const std::string& why);
  void begin_ban();
  void break_links();

  const MeshContext& context_;
  const PublicKey key_;
  MeshPeer place_;  // where it is
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // for the sending thread
  std::condition_variable resumed_;  // for a serve() that pauses
  bool stopped_ = false;
  std::optional<Error> broken_;  // why the link to the peer is of no use any more
  std::stop_source attempt_;     // ends the present attempt to connect, or its link
  Link* incoming_ = nullptr;     // the latest link from the peer
  std::size_t serving_ = 0;
  MeshQueue queue_;
  PeerScore score_;
  MeshPeerStatus status_;  // without what queue_ and score_ know
  const Clock::time_point began_ = Clock::now();
  // The ids of pings are the microseconds since began_ at which they were sent.
  std::uint64_t last_ping_ = 0, last_pong_ = 0;
  std::atomic<bool> finished_{false};
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace ufab
